/* build/inspect_version.c: see inspect_version.h. */
#include "build/inspect_version.h"

#include "base/own.h"
#include "base/str.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
        TEXT_FILE_MAX = 8192,
        CHUNK = 1 << 16,
        NUMBER_MAX = 24,              /* of what is looked for in a program, behind its prefix */
        PROGRAM_BYTES_MAX = 256 << 20 /* that are looked through */
};

int inspect_open(int image_fd, const char *path)
{
        struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK, .resolve = RESOLVE_IN_ROOT};

        return (int)syscall(SYS_openat2, image_fd, path, &how, sizeof(how));
}

bool inspect_older(const char *version, const char *than)
{
        while (*than != '\0') {
                char *end, *than_end;
                unsigned long a = strtoul(version, &end, 10), b = strtoul(than, &than_end, 10);
                if (a != b)
                        return a < b;
                version = end + (*end == '.');
                if (than_end == than)
                        return false;
                than = than_end + (*than_end == '.');
        }
        return false;
}

/* The digits and dots at the beginning of a text. */
static void number_take(const char *text, char version[INSPECT_VERSION_MAX])
{
        size_t len = strspn(text, "0123456789.");

        snprintf(version, INSPECT_VERSION_MAX, "%.*s", (int)(len < NUMBER_MAX ? len : NUMBER_MAX), text);
}

/* "python3.12" behind all links; a "python3" that is a file itself says nothing more. */
static void version_of_name(const char *name, const char *real, char version[INSPECT_VERSION_MAX])
{
        const char *slash = strrchr(real, '/');
        const char *base = slash != NULL ? slash + 1 : real;
        size_t len = strcspn(name, "0123456789");

        if (strcmp(base, name) != 0 && strncmp(base, name, len) == 0 &&
            strspn(base + len, "0123456789.") == strlen(base + len))
                number_take(base + len, version);
}

/* A small file that lies at PLACE beside the program's folder. */
static bool text_read(int image_fd, const char *program, const char *place, char text[TEXT_FILE_MAX + 1])
{
        char path[PATH_MAX + 64];
        const char *bin = strstr(program, "/bin/");

        if (bin == NULL)
                return false;
        snprintf(path, sizeof(path), "%.*s/%s", (int)(bin - program), program, place);
        own_fd int fd = inspect_open(image_fd, path);
        ssize_t len = fd >= 0 ? read(fd, text, TEXT_FILE_MAX) : 0;
        text[len > 0 ? len : 0] = '\0';
        return len > 0;
}

static unsigned long header_number(const char *text, const char *name)
{
        const char *at = strstr(text, name);

        return at != NULL ? strtoul(at + strlen(name), NULL, 10) : 0;
}

/* The newest version that stands behind `prefix` anywhere in a file. */
static void version_in_file(int fd, const char *prefix, char version[INSPECT_VERSION_MAX])
{
        size_t kept = 0, prefix_len = strlen(prefix), total = 0;
        own_mem char *bytes = malloc(CHUNK + 1);
        char found[INSPECT_VERSION_MAX];

        while (bytes != NULL && total < PROGRAM_BYTES_MAX) {
                ssize_t got = read(fd, bytes + kept, CHUNK - kept);
                if (got <= 0)
                        return;
                size_t len = kept + (size_t)got, tail = prefix_len + NUMBER_MAX;
                total += (size_t)got;
                bytes[len] = '\0';
                for (char *at = bytes;
                     (at = memmem(at, len - (size_t)(at - bytes), prefix, prefix_len)) != NULL;) {
                        at += prefix_len;
                        number_take(at, found);
                        if (found[0] != '\0' && (version[0] == '\0' || inspect_older(version, found)))
                                memcpy(version, found, sizeof(found));
                }
                kept = len < tail ? len : tail; /* what begins here may end in the next */
                memmove(bytes, bytes + len - kept, kept);
        }
}

/* Node.js may have its headers beside it, and names its version in itself. */
static void version_of_node(int image_fd, const char *path, char version[INSPECT_VERSION_MAX])
{
        char text[TEXT_FILE_MAX + 1];
        unsigned long major = 0;

        if (text_read(image_fd, path, "include/node/node_version.h", text))
                major = header_number(text, "#define NODE_MAJOR_VERSION ");
        if (major > 0) {
                snprintf(version, INSPECT_VERSION_MAX, "%lu.%lu", major,
                         header_number(text, "#define NODE_MINOR_VERSION "));
                return;
        }
        own_fd int fd = inspect_open(image_fd, path);
        if (fd >= 0)
                version_in_file(fd, "node.js/v", version);
}

/* A JDK or JRE has a file `release` at its top. */
static void version_of_java(int image_fd, const char *real, char version[INSPECT_VERSION_MAX])
{
        static const char key[] = "JAVA_VERSION=\"";
        char text[TEXT_FILE_MAX + 1];
        const char *at = text_read(image_fd, real, "release", text) ? strstr(text, key) : NULL;

        if (at != NULL)
                number_take(at + sizeof(key) - 1, version);
}

void inspect_version(int image_fd, const char *name, const char *path, const char *real,
                     char version[INSPECT_VERSION_MAX])
{
        version[0] = '\0';
        version_of_name(name, real, version);
        if (strcmp(name, "node") == 0)
                version_of_node(image_fd, path, version);
        else if (strcmp(name, "java") == 0)
                version_of_java(image_fd, real, version);
}

#define GLIBC_VERSION "GLIBC_"

void inspect_glibc(int image_fd, char version[INSPECT_VERSION_MAX])
{
        static const char *const places[] = {
#if defined(__x86_64__)
                "lib/x86_64-linux-gnu",
                "usr/lib/x86_64-linux-gnu",
#elif defined(__aarch64__)
                "lib/aarch64-linux-gnu",
                "usr/lib/aarch64-linux-gnu",
#endif
                "lib64",
                "usr/lib64",
                "lib",
                "usr/lib"
        };
        char path[64];

        version[0] = '\0';
        for (size_t i = 0; version[0] == '\0' && i < sizeof(places) / sizeof(places[0]); i++) {
                snprintf(path, sizeof(path), "/%s/libc.so.6", places[i]);
                own_fd int fd = inspect_open(image_fd, path);
                if (fd >= 0)
                        version_in_file(fd, GLIBC_VERSION, version);
        }
}

void inspect_glibc_needed(int runtime_fd, char version[INSPECT_VERSION_MAX])
{
        own_fd int dir_fd = openat(runtime_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_dir DIR *dir = dir_fd >= 0 ? fdopendir(dir_fd) : NULL;

        version[0] = '\0';
        if (dir == NULL)
                return;
        (void)take_fd(&dir_fd);
        for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
                struct str name = str_of(entry->d_name);
                if (!str_ends(name, STR(".so")) && !str_ends(name, STR(".node")))
                        continue;
                own_fd int fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
                if (fd >= 0)
                        version_in_file(fd, GLIBC_VERSION, version);
        }
}
