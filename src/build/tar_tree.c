/* build/tar_tree.c: walks a tree by descriptors and writes what it finds. */
#include "build/tar_tree.h"

#include "base/own.h"
#include "base/str.h"
#include "build/bytecode.h"
#include "build/names.h"
#include "build/tree.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

enum { CHUNK = 131072, LINKED_MAX = 1 << 20 };

/* The first name of a file that has several. */
struct linked {
        dev_t dev;
        ino_t ino;
        char path[];
};

struct walk {
        struct tar_out *out;
        const struct tar_tree *tree;
        char *chunk;
        void *linked; /* tsearch(3) */
        size_t linked_count;
        int depth;
        char path[PATH_MAX]; /* of the folder, "" for the top */
};

static int linked_order(const void *a, const void *b)
{
        const struct linked *x = a;
        const struct linked *y = b;

        if (x->dev != y->dev)
                return x->dev < y->dev ? -1 : 1;
        return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* The earlier name of this file, or NULL, and then this is one for those that come. */
static enum err_code linked_find(struct walk *walk, const struct stat *st, const char *path, const char **ret,
                                 struct err *err)
{
        size_t len = strlen(path) + 1;
        own_mem struct linked *entry = malloc(sizeof(*entry) + len);

        *ret = NULL;
        if (entry == NULL)
                return err_nomem(err);
        entry->dev = st->st_dev;
        entry->ino = st->st_ino;
        memcpy(entry->path, path, len);

        struct linked **slot = tsearch(entry, &walk->linked, linked_order);

        if (slot == NULL)
                return err_nomem(err);
        if (*slot != entry) {
                *ret = (*slot)->path;
                return ERR_OK;
        }
        (void)take_ptr(&entry);
        if (++walk->linked_count > LINKED_MAX)
                return err_set(err, ERR_TOO_LARGE, "more than %d files with several names", LINKED_MAX);
        return ERR_OK;
}

static enum err_code join(const struct walk *walk, const char *before, const char *name, char out[PATH_MAX],
                          struct err *err)
{
        int len = snprintf(out, PATH_MAX, "%s%s%s%s", walk->path, walk->path[0] != '\0' ? "/" : "", before,
                           name);

        return len < PATH_MAX ? ERR_OK : err_set(err, ERR_INVALID, "a path of more than %d bytes", PATH_MAX);
}

static struct tar_member member_of(const struct walk *walk, const char *path, enum tar_type type,
                                   const struct stat *st)
{
        return (struct tar_member){
                .path = path, .type = type, .mode = st->st_mode & 01777, .time = walk->tree->time};
}

/* Numbers that are no owner, or anything else there, are passed over. */
static void owner_take(const struct walk *walk, int fd, struct tar_member *member)
{
        char text[32], rest;
        unsigned uid, gid, mode;
        ssize_t len = walk->tree->owners ? fgetxattr(fd, TAR_TREE_OWNER, text, sizeof(text) - 1) : -1;

        text[len > 0 ? len : 0] = '\0';
        if (sscanf(text, "%7u:%7u:%4o%c", &uid, &gid, &mode, &rest) != 3 || uid > TAR_ID_MAX ||
            gid > TAR_ID_MAX)
                return;
        member->uid = uid;
        member->gid = gid;
        member->mode = mode & 07777;
}

/* Exactly so many bytes: one that grows or shrinks meanwhile would break the tar. */
static enum err_code put_content(struct walk *walk, int fd, uint64_t size, struct err *err)
{
        uint64_t left = size;
        enum err_code code = ERR_OK;

        while (code == ERR_OK && left > 0) {
                ssize_t got = read(fd, walk->chunk, left < CHUNK ? (size_t)left : CHUNK);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return err_sys(err, "read");
                if (got == 0)
                        return err_set(err, ERR_SYSTEM, "a file that shrank while it was read");
                code = tar_write_data(walk->out, walk->chunk, (size_t)got, err);
                left -= (uint64_t)got;
        }
        return code == ERR_OK ? tar_write_pad(walk->out, size, err) : code;
}

static enum err_code put_file(struct walk *walk, int dir_fd, const char *name, const char *path,
                              const struct bytecode *bytecode, const struct stat *st, struct err *err)
{
        struct tar_member member = member_of(walk, path, TAR_FILE, st);
        enum err_code code = ERR_OK;

        if (st->st_nlink > 1)
                code = linked_find(walk, st, path, &member.link, err);
        if (code != ERR_OK)
                return code;
        if (bytecode_fits(bytecode, name, st))
                member.time = st->st_mtim.tv_sec;

        own_fd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

        if (fd < 0)
                return err_sys(err, "open");
        owner_take(walk, fd, &member); /* of a hard link too: who unpacks it sets them again */
        if (member.link != NULL) {
                member.type = TAR_HARDLINK;
                return tar_write_head(walk->out, &member, err);
        }
        member.size = (uint64_t)st->st_size;
        code = tar_write_head(walk->out, &member, err);
        return code == ERR_OK ? put_content(walk, fd, member.size, err) : code;
}

static enum err_code put_symlink(struct walk *walk, int dir_fd, const char *name, const char *path,
                                 const struct stat *st, struct err *err)
{
        char target[PATH_MAX];
        struct tar_member member = member_of(walk, path, TAR_SYMLINK, st);
        ssize_t len = readlinkat(dir_fd, name, target, sizeof(target) - 1);

        if (len < 0)
                return err_sys(err, "read link");
        target[len] = '\0';
        member.link = target;
        member.mode = 0777;
        return tar_write_head(walk->out, &member, err);
}

static enum err_code put_empty(struct walk *walk, const char *before, const char *name, struct err *err)
{
        char path[PATH_MAX];
        struct tar_member member = {.path = path, .type = TAR_FILE, .mode = 0644, .time = walk->tree->time};
        enum err_code code = join(walk, before, name, path, err);

        return code == ERR_OK ? tar_write_head(walk->out, &member, err) : code;
}

static bool opaque(int folder_fd)
{
        static const char *const names[] = {"trusted.overlay.opaque", "user.overlay.opaque"};
        char value = 0;

        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
                if (fgetxattr(folder_fd, names[i], &value, 1) == 1 && value == 'y')
                        return true;
        return false;
}

static enum err_code walk_folder(struct walk *walk, int folder_fd, struct err *err);

static enum err_code put_folder(struct walk *walk, int dir_fd, const char *name, const char *path,
                                const struct stat *st, struct err *err)
{
        struct tar_member member = member_of(walk, path, TAR_FOLDER, st);
        own_fd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        size_t len = strlen(walk->path);
        enum err_code code;

        if (fd < 0)
                return err_sys(err, "open");
        if (walk->depth == TREE_DEPTH_MAX)
                return err_set(err, ERR_INVALID, "a tree that is too deep");
        owner_take(walk, fd, &member);
        code = tar_write_head(walk->out, &member, err);
        if (code != ERR_OK)
                return code;
        snprintf(walk->path + len, sizeof(walk->path) - len, "%s%s", len > 0 ? "/" : "", name);
        walk->depth++;
        if (opaque(fd))
                code = put_empty(walk, ".wh.", ".wh..opq", err);
        if (code == ERR_OK)
                code = walk_folder(walk, fd, err);
        if (code != ERR_OK)
                return code; /* with the path where it happened */
        walk->depth--;
        walk->path[len] = '\0';
        return ERR_OK;
}

static enum err_code put_entry(struct walk *walk, int dir_fd, const char *name,
                               const struct bytecode *bytecode, struct err *err)
{
        char path[PATH_MAX];
        struct stat st;
        enum err_code code = join(walk, "", name, path, err);

        if (code != ERR_OK)
                return code;
        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return err_sys(err, "look at '%s'", name);
        if (S_ISDIR(st.st_mode))
                return put_folder(walk, dir_fd, name, path, &st, err);
        if (S_ISREG(st.st_mode))
                return put_file(walk, dir_fd, name, path, bytecode, &st, err);
        if (S_ISLNK(st.st_mode))
                return put_symlink(walk, dir_fd, name, path, &st, err);
        if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0))
                return put_empty(walk, ".wh.", name, err);
        return ERR_OK;
}

static bool excepted(const struct walk *walk, const char *name)
{
        return walk->depth == 0 && walk->tree->except != NULL &&
               str_ends(str_of(name), str_of(walk->tree->except));
}

static enum err_code walk_folder(struct walk *walk, int folder_fd, struct err *err)
{
        own_names struct names names = {0};
        __attribute__((cleanup(bytecode_close))) struct bytecode bytecode = {.fd = -1};
        enum err_code code = names_read(folder_fd, &names, err);

        if (code == ERR_OK)
                code = bytecode_open(folder_fd, &names, &bytecode, err);
        for (size_t i = 0; code == ERR_OK && i < names.count; i++) {
                if (excepted(walk, names.list[i]))
                        continue;
                code = put_entry(walk, folder_fd, names.list[i], &bytecode, err);
                if (code != ERR_OK && walk->depth == 0)
                        return err_wrap(err, code, "'/%s'",
                                        walk->path[0] != '\0' ? walk->path : names.list[i]);
        }
        return code;
}

static void linked_clear(void **linked)
{
        tdestroy(*linked, free);
}

enum err_code tar_tree(struct tar_out *out, int root_fd, const struct tar_tree *tree, struct err *err)
{
        own_mem struct walk *walk = calloc(1, sizeof(*walk));
        own_mem char *chunk = malloc(CHUNK);
        struct tar_member member = {
                .path = tree->prefix, .type = TAR_FOLDER, .mode = 0755, .time = tree->time};
        enum err_code code = ERR_OK;

        assert(strlen(tree->prefix) < sizeof(walk->path));
        if (walk == NULL || chunk == NULL)
                return err_nomem(err);
        walk->out = out;
        walk->tree = tree;
        walk->chunk = chunk;
        snprintf(walk->path, sizeof(walk->path), "%s", tree->prefix);
        if (tree->prefix[0] != '\0')
                code = tar_write_head(out, &member, err);
        if (code == ERR_OK)
                code = walk_folder(walk, root_fd, err);
        linked_clear(&walk->linked);
        return code;
}
