/*
 * fuzz/yaml.c: whatever is read as YAML stays within the limits, and prints and reads again as the same
 * value; so does every JSON value that JSON's reader accepts.
 */
#include <stdint.h>
#include <stdlib.h>

#include "model/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
        if (!holds)
                abort();
}

static size_t count_values(const json_t *value)
{
        size_t count = 1, index;
        const char *key;
        json_t *member;

        json_object_foreach((json_t *)value, key, member) count += count_values(member);
        json_array_foreach(value, index, member) count += count_values(member);
        return count;
}

static void check_round_trip(const json_t *value)
{
        own_buf struct buf text;
        own_json json_t *again = NULL;
        struct err err;

        buf_init(&text, YAML_TEXT_MAX);
        if (yaml_print(value, &text, &err) == ERR_TOO_LARGE)
                return;
        check(yaml_parse((struct str){text.data, text.len}, &again, &err) == ERR_OK);
        check(json_equal(value, again));
}

static enum err_code check_document(void *arg, size_t index, size_t line, json_t *document, struct err *err)
{
        size_t *next = arg;

        (void)err;
        check(index == (*next)++ && line > 0 && count_values(document) <= YAML_NODES_MAX);
        check_round_trip(document);
        return ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str text = {(const char *)data, size};
        own_json json_t *value = NULL;
        size_t next = 0;
        struct err err;

        yaml_parse_stream(text, check_document, &next, &err);
        if (json_parse(text, &value, &err) == ERR_OK)
                check_round_trip(value);
        return 0;
}
