/*
 * build/builtin.h: a built-in base image: the files of the host's packages that a language's manifest names,
 * and of all that these need, with bytecode, alternatives, certificates and an /etc of its own.
 *
 * The same host gives the same image, to the byte: its digest names the layer, so an upgrade of the host
 * makes a new one beside the old.
 */
#ifndef DISPATCH_BUILD_BUILTIN_H
#define DISPATCH_BUILD_BUILTIN_H

#include "build/digest.h"
#include "build/tree.h"
#include "image/runtime.h"

#include <stddef.h>
#include <stdint.h>

struct builtin_result {
        char version[128]; /* of the first package that the manifest names */
        char digest[DIGEST_HEX_LEN + 1];
        size_t packages;
        uint64_t unreadable; /* files left out because this user may not read them */
};

/* host_fd is the host's root. ERR_UNAVAILABLE: the host lacks something; the text says what to do. */
enum err_code builtin_make(const struct runtime *runtime, int host_fd, struct tree *tree,
                           struct builtin_result *ret, struct err *err);

/* What installs dependencies in images of the language, by its manifest: files of the host, once its
 * packages are there, and the host's configuration of them. For the top of an image while that happens;
 * nothing in it stands in the way of what images have. Only the digest is filled in. */
enum err_code builtin_tools(const struct runtime *runtime, int host_fd, struct tree *tree,
                            struct builtin_result *ret, struct err *err);

#endif
