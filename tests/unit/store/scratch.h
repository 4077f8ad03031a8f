/*
 * tests/unit/store/scratch.h: a folder of a test's own, removed with its files when the test is over; in
 * memory where that is possible, for the tests sync thousands of times.
 */
#ifndef DISPATCH_TESTS_STORE_SCRATCH_H
#define DISPATCH_TESTS_STORE_SCRATCH_H

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct scratch {
        char dir[128];
        char url[160];
        char file[160];
};

static inline void scratch_make(struct scratch *scratch)
{
        const char *base = getenv("TMPDIR");

        if (base == NULL)
                base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        snprintf(scratch->dir, sizeof(scratch->dir), "%.80s/dispatch-store-XXXXXX", base);
        if (mkdtemp(scratch->dir) == NULL)
                abort();
        snprintf(scratch->url, sizeof(scratch->url), "sqlite:%s", scratch->dir);
        snprintf(scratch->file, sizeof(scratch->file), "%s/dispatch.db", scratch->dir);
}

static inline void scratch_remove(struct scratch *scratch)
{
        DIR *dir = opendir(scratch->dir);

        for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
                if (entry->d_name[0] != '.')
                        unlinkat(dirfd(dir), entry->d_name, 0);
        if (dir != NULL)
                closedir(dir);
        rmdir(scratch->dir);
}

/* Nothing happens if there is no such file. */
static inline void scratch_copy(const char *from, const char *to)
{
        FILE *in = fopen(from, "rbe"), *out = in != NULL ? fopen(to, "wbe") : NULL;
        char bytes[1 << 14];

        for (size_t len; out != NULL && (len = fread(bytes, 1, sizeof(bytes), in)) > 0;)
                if (fwrite(bytes, 1, len, out) != len)
                        abort();
        if (out != NULL)
                fclose(out);
        if (in != NULL)
                fclose(in);
}

#endif
