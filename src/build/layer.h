/*
 * build/layer.h: one layer of an image, a tar that is plain or compressed with gzip or zstd, into a folder
 * (OCI image specification, layer.md).
 *
 * Files, folders and links are written as they are, links that lead out too: they are resolved in the image's
 * own root. Nothing is written through a link. Whiteouts become character devices 0:0, opaque folders get the
 * attribute user.overlay.opaque, as overlayfs takes them with userxattr. Holes stay holes. Other attributes
 * are kept where they are of "user." and not overlayfs's. Owners, set-id bits, devices, pipes and sockets are
 * left out.
 *
 * Blocking; memory is bounded whatever the layer says.
 */
#ifndef DISPATCH_BUILD_LAYER_H
#define DISPATCH_BUILD_LAYER_H

#include "build/oci_write.h"
#include "build/tree.h"

/*
 * Reads the blob from its beginning up to its end. ERR_CORRUPT: it has not the digest or size that `layer`
 * says (an empty digest, as in a docker archive, is filled in, with the size), or what it unpacks to has not
 * its diff_id; ERR_INVALID: a member that must not be; ERR_TOO_LARGE: past the tree's bounds.
 */
enum err_code layer_unpack(int blob_fd, struct oci_layer *layer, struct tree *tree, struct err *err);

#endif
