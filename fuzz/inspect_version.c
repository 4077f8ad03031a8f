/*
 * fuzz/inspect_version.c: files of an image that tell a version. Input: one byte that chooses the file, then
 * the file; for the name of a program behind its links, the name.
 *
 * Whatever it is, what is found is a short text of digits and dots, the same when asked again, not older than
 * itself, and of two versions at most one is the older.
 */
#include "build/inspect_version.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum form { NAME, NODE_HEADER, NODE, JAVA_RELEASE, GLIBC, GLIBC_NEEDED, FORMS };

static const char *const files[FORMS] = {
        [NODE_HEADER] = "usr/include/node/node_version.h",
        [NODE] = "usr/bin/node",
        [JAVA_RELEASE] = "usr/release",
        [GLIBC] = "lib64/libc.so.6",
        [GLIBC_NEEDED] = "module.so",
};
static char root[] = "/tmp/fuzz-inspect-XXXXXX";
static int root_fd;

static void root_remove(void)
{
        static const char *const folders[] = {"usr/include/node", "usr/include", "usr/bin", "usr", "lib64"};

        for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
                (void)unlinkat(root_fd, folders[i], AT_REMOVEDIR);
        (void)rmdir(root);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
        static const char *const folders[] = {"usr", "usr/bin", "usr/include", "usr/include/node", "lib64"};

        (void)argc;
        (void)argv;
        if (mkdtemp(root) == NULL)
                abort();
        root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
                if (mkdirat(root_fd, folders[i], 0755) < 0)
                        abort();
        atexit(root_remove);
        return 0;
}

static void file_put(const char *path, const uint8_t *data, size_t size)
{
        int fd = openat(root_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        if (fd < 0 || write(fd, data, size) != (ssize_t)size)
                abort();
        close(fd);
}

static void name_ask(const uint8_t *data, size_t size, char version[INSPECT_VERSION_MAX])
{
        char real[PATH_MAX];

        snprintf(real, sizeof(real), "/usr/bin/%.*s", (int)size, (const char *)data);
        inspect_version(root_fd, "python3", "/usr/bin/python3", real, version);
}

static void ask(enum form form, const uint8_t *data, size_t size, char version[INSPECT_VERSION_MAX])
{
        memset(version, 'x', INSPECT_VERSION_MAX);
        if (form == NAME)
                name_ask(data, size, version);
        else if (form == JAVA_RELEASE)
                inspect_version(root_fd, "java", "/usr/bin/java", "/usr/bin/java", version);
        else if (form == GLIBC)
                inspect_glibc(root_fd, version);
        else if (form == GLIBC_NEEDED)
                inspect_glibc_needed(root_fd, version);
        else
                inspect_version(root_fd, "node", "/usr/bin/node", "/usr/bin/node", version);
}

static void check(const char version[INSPECT_VERSION_MAX])
{
        static const char other[] = "2.36";

        assert(memchr(version, '\0', INSPECT_VERSION_MAX) != NULL);
        assert(strspn(version, "0123456789.") == strlen(version));
        assert(!inspect_older(version, version));
        assert(!inspect_older(version, other) || !inspect_older(other, version));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char version[INSPECT_VERSION_MAX], again[INSPECT_VERSION_MAX];

        if (size == 0)
                return 0;
        enum form form = data[0] % FORMS;
        if (files[form] != NULL)
                file_put(files[form], data + 1, size - 1);
        ask(form, data + 1, size - 1, version);
        ask(form, data + 1, size - 1, again);
        if (files[form] != NULL)
                (void)unlinkat(root_fd, files[form], 0);
        check(version);
        assert(strcmp(version, again) == 0);
        return 0;
}
