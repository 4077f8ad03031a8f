/*
 * fuzz/archive.c: any bytes through the unpacker of sources, into a folder in memory.
 *
 * Beside the folder nothing changes; in it there are only files, folders and links, with the two modes that
 * are allowed, within the bounds; and after a success no link leads out.
 */
#include "build/unpack.h"
#include "cage.h"

static int check_link(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        char real[PATH_MAX];

        (void)type;
        if (ftw->level > 0 && S_ISLNK(st->st_mode) && realpath(path, real) != NULL)
                assert(strncmp(real, cage, strlen(cage)) == 0 &&
                       strncmp(real + strlen(cage), "/out", 4) == 0);
        return 0;
}

static void check_links(const char *out)
{
        nftw(out, check_link, 32, FTW_PHYS);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
        (void)argc;
        (void)argv;
        cage_make();
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cage_try(data, size, unpack_archive, check_links);
        return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
        (void)seed;
        size = LLVMFuzzerMutate(data, size, max_size);
        mend_checksums(data, size);
        return size;
}
