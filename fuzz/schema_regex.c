/*
 * fuzz/schema_regex.c: any text as a pattern of ECMA-262. It compiles or is refused with a text; a match ends
 * within its steps and gives the same answer for the same price twice.
 *
 * The input is the pattern, a NUL and the subject.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "schema/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS_MAX = 20000 };

static void check(bool holds)
{
        if (!holds)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str subject = {(const char *)data, size}, pattern = str_cut(&subject, '\0');
        struct regex *regex = NULL;
        struct regex_space space = {NULL, NULL};
        struct err err = {.text = ""};
        uint64_t first = STEPS_MAX, second = STEPS_MAX;

        if (!str_is_utf8(pattern) || !str_is_utf8(subject))
                return 0;
        enum err_code code = regex_compile(pattern, &regex, &err);
        if (code != ERR_OK) {
                check((code == ERR_UNPROCESSABLE || code == ERR_LIMIT) && regex == NULL &&
                      err.text[0] != '\0');
                return 0;
        }
        enum regex_result result = regex_match(regex, subject, &space, &first);
        check(regex_match(regex, subject, &space, &second) == result && first == second);
        check(first <= STEPS_MAX && (result != REGEX_STEPS || first == 0));
        check(result != REGEX_NO_MEMORY);
        regex_space_finish(&space);
        regex_free(regex);
        return 0;
}
