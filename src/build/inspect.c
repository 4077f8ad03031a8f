/* build/inspect.c: see inspect.h. */
#include "build/inspect.h"

#include "base/own.h"
#include "base/str.h"
#include "build/inspect_version.h"

#include <elf.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { HEADERS_MAX = 64 };

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct found {
        char path[PATH_MAX]; /* in the image */
        char real[PATH_MAX]; /* behind its links */
        const char *libc;
        char version[INSPECT_VERSION_MAX];
};

/* The program interpreter of an ELF file tells the C library. */
static const char *libc_of(int fd)
{
        Elf64_Ehdr head;
        Elf64_Phdr program;
        char name[PATH_MAX] = "";

        if (pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
            memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64)
                return NULL;
        for (int i = 0; i < head.e_phnum && i < HEADERS_MAX; i++) {
                off_t at = (off_t)(head.e_phoff + (uint64_t)i * sizeof(program));
                if (pread(fd, &program, sizeof(program), at) != (ssize_t)sizeof(program))
                        return NULL;
                if (program.p_type != PT_INTERP)
                        continue;
                size_t len = program.p_filesz < sizeof(name) - 1 ? program.p_filesz : sizeof(name) - 1;
                if (pread(fd, name, len, (off_t)program.p_offset) != (ssize_t)len)
                        return NULL;
                return strstr(name, "ld-musl") != NULL ? "musl" : "glibc";
        }
        return "static";
}

static void path_of(int fd, char path[PATH_MAX])
{
        char link[64];

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t len = readlink(link, path, PATH_MAX - 1);
        path[len > 0 ? len : 0] = '\0';
}

static bool take_if_program(int image_fd, struct found *found)
{
        own_fd int fd = inspect_open(image_fd, found->path);
        char root[PATH_MAX];
        struct stat status;

        if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || (status.st_mode & 0111) == 0)
                return false;
        found->libc = libc_of(fd);
        path_of(fd, found->real);
        path_of(image_fd, root);
        if (strncmp(found->real, root, strlen(root)) == 0)
                memmove(found->real, found->real + strlen(root), strlen(found->real + strlen(root)) + 1);
        return found->libc != NULL;
}

static bool find(int image_fd, const char *name, const char *usual, const char *path, struct found *found)
{
        struct str rest = str_of(path[0] != '\0' ? path : PATH_DEFAULT);

        while (rest.len > 0) {
                struct str folder = str_cut(&rest, ':');
                int len = snprintf(found->path, sizeof(found->path), "%.*s/%s", STR_ARG(folder), name);
                if (folder.len > 0 && folder.p[0] == '/' && len < (int)sizeof(found->path) &&
                    strchr(found->path, ' ') == NULL && take_if_program(image_fd, found))
                        return true;
        }
        snprintf(found->path, sizeof(found->path), "%s", usual);
        return take_if_program(image_fd, found);
}

static enum err_code check(const struct runtime *runtime, const struct found *found, struct err *err)
{
        if (strcmp(found->libc, "musl") == 0)
                return err_set(err, ERR_UNPROCESSABLE,
                               "%s of the image is built for musl, and the agent for %s needs the GNU C "
                               "library: take an "
                               "image that is based on Debian, Ubuntu, Fedora or the like",
                               found->path, runtime->language);
        if (found->version[0] != '\0' && runtime->minimum[0] != '\0' &&
            inspect_older(found->version, runtime->minimum))
                return err_set(err, ERR_UNPROCESSABLE,
                               "%s of the image is version %s, and the agent for %s needs %s or newer",
                               found->path, found->version, runtime->language, runtime->minimum);
        return ERR_OK;
}

/* What the interpreter loads of ours. */
static enum err_code check_glibc(int image_fd, int runtime_fd, const struct runtime *runtime, struct err *err)
{
        char version[INSPECT_VERSION_MAX], needed[INSPECT_VERSION_MAX];

        inspect_glibc(image_fd, version);
        inspect_glibc_needed(runtime_fd, needed);
        if (version[0] == '\0' || !inspect_older(version, needed))
                return ERR_OK;
        return err_set(err, ERR_UNPROCESSABLE,
                       "the image's GNU C library is version %s, and the agent for %s needs %s or newer: "
                       "take an image of a "
                       "newer release",
                       version, runtime->language, needed);
}

enum err_code inspect_image(int image_fd, int runtime_fd, const struct runtime *runtime, const char *path,
                            json_t **ret, struct err *err)
{
        const char *slash = strrchr(runtime->argv, '/');
        own_mem struct found *found = calloc(1, sizeof(*found));

        if (found == NULL)
                return err_nomem(err);
        if (strncmp(runtime->argv, "/runtime/", 9) == 0) {
                *ret = json_object();
                return *ret != NULL ? ERR_OK : err_nomem(err);
        }
        if (!find(image_fd, slash + 1, runtime->argv, path, found))
                return err_set(err, ERR_UNPROCESSABLE, "the image has no '%s' in its PATH: it is none for %s",
                               slash + 1, runtime->language);
        inspect_version(image_fd, slash + 1, found->path, found->real, found->version);
        enum err_code code = check(runtime, found, err);
        if (code == ERR_OK)
                code = check_glibc(image_fd, runtime_fd, runtime, err);
        if (code != ERR_OK)
                return code;
        *ret = json_pack("{s:s, s:s, s:s}", "interpreter", found->path, "version", found->version, "libc",
                         found->libc);
        return *ret != NULL ? ERR_OK : err_set(err, ERR_UNPROCESSABLE, "the interpreter's path is not UTF-8");
}
