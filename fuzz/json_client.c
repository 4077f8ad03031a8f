/*
 * fuzz/json_client.c: src/json and jansson take the same texts, and make the same of them: the first byte
 * chooses the loader's flags, the rest is the text.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/json.h"
#include "tests/unit/json/cases.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TRANSCRIPT_MAX = 64 << 20, TEXT_MAX = 64 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        own_buf struct buf theirs = {.max = TRANSCRIPT_MAX}, ours = {.max = TRANSCRIPT_MAX};

        if (size == 0 || size > TEXT_MAX)
                return 0;
        struct str text = {(const char *)data + 1, size - 1};
        bool theirs_took = cases_jansson.text(text, data[0] & 31, &theirs);
        bool ours_took = cases_ours.text(text, data[0] & 31, &ours);

        /* A text with two faults has two reasons; nothing but what json_valid lets through gets this far. */
        if (!ours_took && !theirs_took && json_valid(text) != ERR_OK)
                return 0;
        /* jansson skips a NUL behind a number. */
        if (!ours_took && theirs_took && memchr(text.p, '\0', text.len) != NULL)
                return 0;
        if (ours_took != theirs_took || ours.len != theirs.len ||
            memcmp(ours.data, theirs.data, ours.len) != 0)
                abort();
        return 0;
}
