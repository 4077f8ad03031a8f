/*
 * fuzz/json.c: json_valid and json_parse agree with each other and with jansson about any bytes, and what was
 * read prints and reads again as the same value.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
        if (!holds)
                abort();
}

static void check_round_trip(const json_t *value,
                             enum err_code (*print)(const json_t *, struct buf *, struct err *))
{
        own_buf struct buf text, again;
        own_json json_t *second = NULL;
        struct err err;

        buf_init(&text, 1 << 24);
        buf_init(&again, 1 << 24);
        check(print(value, &text, &err) == ERR_OK);
        check(json_parse((struct str){text.data, text.len}, &second, &err) == ERR_OK);
        check(json_equal(value, second));
        check(print(second, &again, &err) == ERR_OK);
        check(again.len == text.len && memcmp(again.data, text.data, text.len) == 0);
}

/* The deepest nesting of a text that jansson accepts. */
static unsigned depth_of(const uint8_t *data, size_t size)
{
        unsigned depth = 0, deepest = 0;
        bool in_string = false;

        for (size_t i = 0; i < size; i++) {
                if (in_string && data[i] == '\\')
                        i++;
                else if (data[i] == '"')
                        in_string = !in_string;
                else if (!in_string && (data[i] == '[' || data[i] == '{'))
                        deepest = ++depth > deepest ? depth : deepest;
                else if (!in_string && (data[i] == ']' || data[i] == '}'))
                        depth--;
        }
        return deepest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str text = {(const char *)data, size};
        own_json json_t *ours = NULL;
        own_json json_t *theirs =
                json_loadb((const char *)data, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
        struct err err = {0};
        enum err_code valid = json_valid(text);
        enum err_code parsed = json_parse(text, &ours, &err);

        check(parsed == ERR_OK || parsed == ERR_INVALID);
        if (parsed == ERR_OK)
                check(valid == ERR_OK && theirs != NULL && json_equal(ours, theirs));
        else if (valid == ERR_OK)
                check(strstr(err.text, "duplicate object key") != NULL ||
                      strstr(err.text, "out of range") != NULL);
        /* jansson skips a NUL behind a number. */
        if (theirs != NULL && parsed != ERR_OK && memchr(data, 0, size) == NULL)
                check(depth_of(data, size) > JSON_DEPTH_MAX);
        if (parsed == ERR_OK) {
                check_round_trip(ours, json_print);
                check_round_trip(ours, json_print_indented);
        }
        return 0;
}
