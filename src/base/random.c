/* base/random.c: the one place that asks the kernel for randomness. */
#include "base/random.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum { ENTROPY_BYTES_MAX = 256 };

void random_fill(void *out, size_t len)
{
        assert(len <= ENTROPY_BYTES_MAX);
        if (getentropy(out, len) < 0)
                abort();
}
