/*
 * build/layout_copy.h: takes an OCI layout elsewhere, with skopeo: into an archive, into a layout that is
 * there already, or to a registry.
 *
 * For a command of this host's administrator, whose own files it uses: what runs in a sandbox is
 * build/push.h. Blocking.
 */
#ifndef DISPATCH_BUILD_LAYOUT_COPY_H
#define DISPATCH_BUILD_LAYOUT_COPY_H

#include "base/err.h"

#include <stdbool.h>

/* What may be NULL is not asked for. */
struct layout_copy {
        const char *
                folder; /* the layout, which a folder of certificates is put beside for as long as it takes */
        const char *tag;         /* of the image in it */
        const char *destination; /* oci:, oci-archive: or docker:// */
        const char *authfile;    /* may be NULL */
        const char *authority;   /* certificates (PEM) to trust beside the system's; may be NULL */
        bool insecure;           /* no TLS, or with any certificate */
};

/* ERR_UNAVAILABLE: skopeo is missing or did not succeed; its own last words, and what helps, are in the text.
 */
enum err_code layout_copy(const struct layout_copy *copy, struct err *err);

#endif
