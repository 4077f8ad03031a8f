/*
 * build/oci_sink.h: a blob while it is written into a layout's blobs folder: counted, digested and, for a
 * layer, compressed on the way; it gets its name when it is whole.
 */
#ifndef DISPATCH_BUILD_OCI_SINK_H
#define DISPATCH_BUILD_OCI_SINK_H

#include "build/oci_write.h"

struct oci_sink;

enum err_code oci_sink_create(struct oci *oci, bool compress, struct oci_sink **ret, struct err *err);
/* Drops what was not finished. Takes NULL. */
void oci_sink_destroy(struct oci_sink *sink);
enum err_code oci_sink_write(struct oci_sink *sink, const void *bytes, size_t len, struct err *err);
/* The blob is in place. diff_id is what was written in, before compression; NULL when it does not matter. */
enum err_code oci_sink_end(struct oci_sink *sink, struct oci_blob *ret, char diff_id[OCI_DIGEST_MAX],
                           struct err *err);

#endif
