/* build/inspect.c: see inspect.h. */
#include "build/inspect.h"

#include "base/own.h"
#include "base/str.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { HEADERS_MAX = 64, HEADER_FILE_MAX = 8192, VERSION_MAX = 32 };

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct found {
        char path[PATH_MAX]; /* in the image */
        char real[PATH_MAX]; /* behind its links, with what is above the image's root */
        const char *libc;
        char version[VERSION_MAX];
};

/* As a process with the image as its root would find it. */
static int open_in(int image_fd, const char *path)
{
        struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK, .resolve = RESOLVE_IN_ROOT};

        return (int)syscall(SYS_openat2, image_fd, path, &how, sizeof(how));
}

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

static bool take_if_program(int image_fd, struct found *found)
{
        own_fd int fd = open_in(image_fd, found->path);
        char link[64];
        struct stat status;

        if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || (status.st_mode & 0111) == 0)
                return false;
        found->libc = libc_of(fd);
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t len = readlink(link, found->real, sizeof(found->real) - 1);
        found->real[len > 0 ? len : 0] = '\0';
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

/* "python3.12" behind all links; a "python3" that is a file itself says nothing more. */
static void version_of_name(const char *name, struct found *found)
{
        const char *slash = strrchr(found->real, '/');
        const char *base = slash != NULL ? slash + 1 : found->real;
        size_t len = strcspn(name, "0123456789");

        if (strcmp(base, name) != 0 && strncmp(base, name, len) == 0 &&
            strspn(base + len, "0123456789.") == strlen(base + len))
                snprintf(found->version, sizeof(found->version), "%.31s", base + len);
}

static unsigned long header_number(const char *text, const char *name)
{
        const char *at = strstr(text, name);

        return at != NULL ? strtoul(at + strlen(name), NULL, 10) : 0;
}

/* Node.js comes with its headers beside it. */
static void version_of_header(int image_fd, struct found *found)
{
        char path[PATH_MAX + 64], text[HEADER_FILE_MAX + 1];
        const char *bin = strstr(found->path, "/bin/");

        if (bin == NULL)
                return;
        snprintf(path, sizeof(path), "%.*s/include/node/node_version.h", (int)(bin - found->path),
                 found->path);
        own_fd int fd = open_in(image_fd, path);
        ssize_t len = fd >= 0 ? read(fd, text, HEADER_FILE_MAX) : 0;
        text[len > 0 ? len : 0] = '\0';
        unsigned long major = header_number(text, "#define NODE_MAJOR_VERSION ");
        if (major > 0)
                snprintf(found->version, sizeof(found->version), "%lu.%lu", major,
                         header_number(text, "#define NODE_MINOR_VERSION "));
}

/* Numbers between dots, compared one by one. */
static bool older(const char *version, const char *than)
{
        while (*than != '\0') {
                char *end, *than_end;
                unsigned long a = strtoul(version, &end, 10), b = strtoul(than, &than_end, 10);
                if (a != b)
                        return a < b;
                version = end + (*end == '.');
                than = than_end + (*than_end == '.');
                if (than_end == than && *than != '\0')
                        return false;
        }
        return false;
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
            older(found->version, runtime->minimum))
                return err_set(err, ERR_UNPROCESSABLE,
                               "%s of the image is version %s, and the agent for %s needs %s or newer",
                               found->path, found->version, runtime->language, runtime->minimum);
        return ERR_OK;
}

enum err_code inspect_image(int image_fd, const struct runtime *runtime, const char *path, json_t **ret,
                            struct err *err)
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
        version_of_name(slash + 1, found);
        if (strcmp(slash + 1, "node") == 0)
                version_of_header(image_fd, found);
        enum err_code code = check(runtime, found, err);
        if (code != ERR_OK)
                return code;
        *ret = json_pack("{s:s, s:s, s:s}", "interpreter", found->path, "version", found->version, "libc",
                         found->libc);
        return *ret != NULL ? ERR_OK : err_set(err, ERR_UNPROCESSABLE, "the interpreter's path is not UTF-8");
}
