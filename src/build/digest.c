/* build/digest.c: walks a tree by descriptors, with OpenSSL's SHA-256 (it uses the processor's instructions
 * for it). */
#include "build/digest.h"

#include "base/own.h"
#include "base/str.h"
#include "build/names.h"
#include "build/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>

enum { CHUNK = 131072 };

struct walk {
        EVP_MD_CTX *sha;
        char *chunk;
        int depth;
        char path[PATH_MAX]; /* of the folder, "" for the root */
};

static enum err_code put(struct walk *walk, const void *bytes, size_t len, struct err *err)
{
        if (EVP_DigestUpdate(walk->sha, bytes, len) != 1)
                return err_set(err, ERR_SYSTEM, "SHA-256 failed");
        return ERR_OK;
}

static enum err_code put_head(struct walk *walk, char type, const struct stat *st, const char *name,
                              struct err *err)
{
        char head[PATH_MAX + NAME_MAX + 64];
        int len = snprintf(head, sizeof(head), "%c %o %s/%s", type, (unsigned)st->st_mode & 07777, walk->path,
                           name);

        return put(walk, head, (size_t)len + 1, err);
}

static enum err_code put_file(struct walk *walk, int fd, const struct stat *st, struct err *err)
{
        char size[32];
        int len = snprintf(size, sizeof(size), "%llu", (unsigned long long)st->st_size);
        enum err_code code = put(walk, size, (size_t)len + 1, err);

        while (code == ERR_OK) {
                ssize_t got = read(fd, walk->chunk, CHUNK);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return err_sys(err, "read");
                if (got == 0)
                        break;
                code = put(walk, walk->chunk, (size_t)got, err);
        }
        return code;
}

static enum err_code put_link(struct walk *walk, int dir_fd, const char *name, struct err *err)
{
        char target[PATH_MAX];
        ssize_t len = readlinkat(dir_fd, name, target, sizeof(target) - 1);

        if (len < 0)
                return err_sys(err, "read link");
        target[len] = '\0';
        return put(walk, target, (size_t)len + 1, err);
}

static enum err_code walk_folder(struct walk *walk, int folder_fd, struct err *err);

static enum err_code walk_into(struct walk *walk, int fd, const char *name, struct err *err)
{
        size_t len = strlen(walk->path);
        enum err_code code;

        if (len + strlen(name) + 2 > sizeof(walk->path) || walk->depth == TREE_DEPTH_MAX)
                return err_set(err, ERR_INVALID, "a tree that is too deep");
        walk->depth++;
        snprintf(walk->path + len, sizeof(walk->path) - len, "/%s", name);
        code = walk_folder(walk, fd, err);
        walk->path[len] = '\0';
        walk->depth--;
        return code;
}

static enum err_code walk_entry(struct walk *walk, int dir_fd, const char *name, struct err *err)
{
        struct stat st;
        enum err_code code;

        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return err_sys(err, "look at '%s'", name);
        if (S_ISLNK(st.st_mode)) {
                code = put_head(walk, 'l', &st, name, err);
                return code == ERR_OK ? put_link(walk, dir_fd, name, err) : code;
        }
        if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
                return err_set(err, ERR_INVALID, "'%s' is no file, folder or link", name);

        own_fd int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return err_sys(err, "open '%s'", name);
        code = put_head(walk, S_ISDIR(st.st_mode) ? 'd' : 'f', &st, name, err);
        if (code != ERR_OK)
                return code;
        return S_ISDIR(st.st_mode) ? walk_into(walk, fd, name, err) : put_file(walk, fd, &st, err);
}

static enum err_code walk_folder(struct walk *walk, int folder_fd, struct err *err)
{
        own_names struct names names = {0};
        enum err_code code = names_read(folder_fd, &names, err);

        for (size_t i = 0; code == ERR_OK && i < names.count; i++)
                code = walk_entry(walk, folder_fd, names.list[i], err);
        return code;
}

static void sha_release(EVP_MD_CTX **sha)
{
        EVP_MD_CTX_free(*sha);
}

enum err_code digest_tree(int root_fd, char out[DIGEST_HEX_LEN + 1], struct err *err)
{
        __attribute__((cleanup(sha_release))) EVP_MD_CTX *sha = EVP_MD_CTX_new();
        own_mem struct walk *walk = calloc(1, sizeof(*walk));
        own_mem char *chunk = malloc(CHUNK);
        unsigned char digest[EVP_MAX_MD_SIZE];
        enum err_code code;

        if (sha == NULL || walk == NULL || chunk == NULL)
                return err_nomem(err);
        walk->sha = sha;
        walk->chunk = chunk;
        if (EVP_DigestInit_ex(sha, EVP_sha256(), NULL) != 1)
                return err_set(err, ERR_SYSTEM, "SHA-256 is not to be had");
        code = walk_folder(walk, root_fd, err);
        if (code != ERR_OK)
                return err_wrap(err, code, "digest of '/%s'", walk->path);
        if (EVP_DigestFinal_ex(sha, digest, NULL) != 1)
                return err_set(err, ERR_SYSTEM, "SHA-256 failed");
        hex_encode(digest, DIGEST_HEX_LEN / 2, out);
        out[DIGEST_HEX_LEN] = '\0';
        return ERR_OK;
}
