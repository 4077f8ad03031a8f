/*
 * fuzz/cage.h: a folder in memory in which an unpacker works, with a file beside it that must not change, and
 * the checks of what may lie there afterwards.
 */
#ifndef DISPATCH_FUZZ_CAGE_H
#define DISPATCH_FUZZ_CAGE_H

#include "build/tree.h"

#include "base/own.h"

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

enum { FILES_MAX = 64, BYTES_MAX = 256 << 10, BLOCK = 512 };

static bool cage_whiteouts; /* may be there */
static char cage[PATH_MAX];
static int cage_fd;
static int archive_fd;
static struct {
        uint64_t files;
        uint64_t bytes;
} seen;

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st;
        (void)type;
        (void)ftw;
        return remove(path);
}

static inline void remove_cage(void)
{
        nftw(cage, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

static inline void cage_make(void)
{
        umask(022);
        setlocale(LC_CTYPE, "C.UTF-8");
        snprintf(cage, sizeof(cage), "%s/dispatch-fuzz-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        assert(mkdtemp(cage) != NULL);
        atexit(remove_cage);
        cage_fd = open(cage, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        archive_fd = memfd_create("archive", MFD_CLOEXEC);
        assert(cage_fd >= 0 && archive_fd >= 0);
        close(openat(cage_fd, "outside", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static inline int check_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        unsigned mode = st->st_mode & 07777;

        (void)path;
        (void)type;
        if (ftw->level == 0)
                return 0;
        seen.files++;
        if (S_ISDIR(st->st_mode))
                assert(mode == 0755);
        else if (S_ISREG(st->st_mode))
                assert(mode == 0755 || mode == 0644);
        else if (S_ISCHR(st->st_mode))
                assert(cage_whiteouts && st->st_rdev == 0);
        else
                assert(S_ISLNK(st->st_mode));
        if (S_ISREG(st->st_mode))
                seen.bytes +=
                        (uint64_t)st->st_size / st->st_nlink; /* a file with several names is there once */
        return 0;
}

static inline void check_outside(void)
{
        own_dir DIR *dir = opendir(cage);
        struct stat st;
        size_t count = 0;

        assert(dir != NULL);
        while (readdir(dir) != NULL)
                count++;
        assert(count == 4); /* ".", "..", "out", "outside" */
        assert(fstatat(cage_fd, "outside", &st, 0) == 0 && st.st_size == 0 && st.st_nlink == 1 &&
               (st.st_mode & 07777) == 0600);
}

/* One input through an unpacker. */
static inline void cage_try(const uint8_t *data, size_t size,
                            enum err_code (*unpack)(int fd, struct tree *tree, struct err *err),
                            void (*check_good)(const char *out))
{
        char out[PATH_MAX + 8];
        struct tree tree;
        struct err err = {0};

        snprintf(out, sizeof(out), "%s/out", cage);
        assert(mkdirat(cage_fd, "out", 0755) == 0);
        assert(ftruncate(archive_fd, 0) == 0 && pwrite(archive_fd, data, size, 0) == (ssize_t)size);
        own_fd int out_fd = openat(cage_fd, "out", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        tree_init(&tree, out_fd, BYTES_MAX, FILES_MAX);

        enum err_code code = unpack(archive_fd, &tree, &err);

        assert((code == ERR_OK) == (err.text[0] == '\0'));
        seen.files = seen.bytes = 0;
        nftw(out, check_entry, 32, FTW_PHYS);
        assert(seen.files <= FILES_MAX && seen.bytes <= BYTES_MAX && tree.bytes <= BYTES_MAX);
        if (code == ERR_OK && check_good != NULL)
                check_good(out);
        check_outside();
        tree_finish(&tree);
        nftw(out, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

/* The checksums of tar headers, or hardly any would be read. */
static inline void mend_checksums(uint8_t *data, size_t size)
{
        for (size_t at = 0; at + BLOCK <= size; at += BLOCK) {
                uint8_t *header = data + at;
                unsigned sum = 0;
                char text[8];

                if (memcmp(header + 257, "ustar", 5) != 0)
                        continue;
                memset(header + 148, ' ', 8);
                for (size_t i = 0; i < BLOCK; i++)
                        sum += header[i];
                snprintf(text, sizeof(text), "%06o", sum);
                memcpy(header + 148, text, 7);
        }
}

#endif
