/*
 * build/tar_tree.h: a folder as the members of a tar, the same bytes for the same content on each machine:
 * names sorted by their bytes, owners 0 and no setuid bits unless `owners`, and of times only those that
 * Python's bytecode names (PEP 552; with another one each start would compile again).
 *
 * As a layer of an image (OCI image specification, layer.md): a 0:0 character device, an overlay's whiteout,
 * becomes `.wh.NAME`, an opaque folder has `.wh..wh..opq` in it first, a second name of a file is a hard
 * link. Devices, sockets and pipes have no place in a layer and are left out. Blocking.
 */
#ifndef DISPATCH_BUILD_TAR_TREE_H
#define DISPATCH_BUILD_TAR_TREE_H

#include "build/tar_write.h"

/* "UID:GID:MODE" of a file or folder in a flat layer, what it was where that is not 0:0 and 0755 or 0644. */
#define TAR_TREE_OWNER "user.dispatch.owner"

struct tar_tree {
        const char
                *prefix; /* the folder that holds it in the tar, "function", made as a member; "" for none */
        int64_t time;    /* of every member, SOURCE_DATE_EPOCH (reproducible-builds.org), or 0 */
        const char *except; /* folders at the top whose names end so stay out; NULL: none */
        bool owners; /* TAR_TREE_OWNER counts: only for layers that packages of the distribution made */
};

enum err_code tar_tree(struct tar_out *out, int root_fd, const struct tar_tree *tree, struct err *err);

#endif
