/*
 * fuzz/ldcache.c: the dynamic linker's cache. What was filtered once is a cache, and filtering it again for
 * everything gives the same bytes.
 */
#include "build/ldcache.h"

#include "base/own.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CACHE_MAX = 64 << 20 };

static bool not_local(void *arg, const char *path)
{
        (void)arg;
        return strncmp(path, "/usr/local/", 11) != 0;
}

static bool everything(void *arg, const char *path)
{
        (void)arg;
        (void)path;
        return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        own_buf struct buf first, second;

        buf_init(&first, CACHE_MAX);
        buf_init(&second, CACHE_MAX);
        if (ldcache_filter((struct str){(const char *)data, size}, not_local, NULL, &first, NULL) != ERR_OK)
                return 0;
        assert(ldcache_filter((struct str){first.data, first.len}, everything, NULL, &second, NULL) ==
               ERR_OK);
        assert(second.len == first.len && memcmp(second.data, first.data, first.len) == 0);
        return 0;
}
