/*
 * build/tar_write.h: a tar, member by member, that depends on nothing but what it is given: ustar headers
 * (POSIX.1-1988), and a pax header (POSIX.1-2001) before a member only where ustar cannot say it: a name that
 * is too long or no ASCII, a large file.
 */
#ifndef DISPATCH_BUILD_TAR_WRITE_H
#define DISPATCH_BUILD_TAR_WRITE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { TAR_BLOCK = 512 };

enum tar_type { TAR_FILE = '0', TAR_HARDLINK = '1', TAR_SYMLINK = '2', TAR_FOLDER = '5' };

/* Where the bytes go. */
struct tar_out {
        enum err_code (*write)(void *arg, const void *bytes, size_t len, struct err *err);
        void *arg;
};

struct tar_member {
        const char *path; /* relative; a folder's without its slash */
        enum tar_type type;
        unsigned mode;
        const char *link;  /* of links: where to; else NULL */
        uint64_t size;     /* of a file; its bytes follow with tar_write_data, then tar_write_pad */
        int64_t time;      /* seconds since 1970, not negative */
        uint32_t uid, gid; /* at most TAR_ID_MAX */
};

enum { TAR_ID_MAX = 07777777 };

/* ERR_INVALID: a path of more than PATH_MAX bytes. */
enum err_code tar_write_head(struct tar_out *out, const struct tar_member *member, struct err *err);
static inline enum err_code tar_write_data(struct tar_out *out, const void *bytes, size_t len,
                                           struct err *err)
{
        return out->write(out->arg, bytes, len, err);
}
/* What fills the last block of a file of `size` bytes. */
enum err_code tar_write_pad(struct tar_out *out, uint64_t size, struct err *err);
/* A whole small file. */
enum err_code tar_write_text(struct tar_out *out, const struct tar_member *member, const void *bytes,
                             struct err *err);
enum err_code tar_write_end(struct tar_out *out, struct err *err);

#endif
