/*
 * fuzz/cli_link.c: whatever a server writes into a Link field, the next page is a path of its own API, taken
 * as it stands in the field, or there is none.
 */
#include "cli/link.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str value = {(const char *)data, size}, next = link_next(value);

        if (next.p == NULL)
                return 0;
        assert(next.p > value.p && next.p + next.len < value.p + value.len);
        assert(str_starts(next, STR("/v1/")) && next.p[-1] == '<' && next.p[next.len] == '>');
        for (size_t i = 0; i < next.len; i++)
                assert(next.p[i] > ' ' && next.p[i] < 0x7f && next.p[i] != '>');
        return 0;
}
