/*
 * fuzz/form.c: any query or form becomes one JSON object, or is refused for its number of fields. Its members
 * are strings or arrays of at least two strings, no name comes twice, and as many values come out as pieces
 * went in.
 */
#include "runtimes/agent/form.h"
#include "runtimes/agent/json_scan.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 1 << 16, OUT_MAX = 1 << 22 };

static size_t pieces_of(struct str form)
{
        size_t count = 0;

        while (form.len > 0)
                count += str_cut(&form, '&').len > 0;
        return count;
}

static size_t values_of(struct str value)
{
        struct json_scan scan;
        struct json_token token;
        size_t count = 0;

        json_scan_init(&scan, value);
        assert(json_scan_next(&scan, &token, NULL) == ERR_OK);
        if (token.type == JSON_TOKEN_STRING)
                return 1;
        assert(token.type == JSON_TOKEN_ARRAY);
        while (json_scan_next(&scan, &token, NULL) == ERR_OK && token.type == JSON_TOKEN_STRING)
                count++;
        assert(token.type == JSON_TOKEN_ARRAY_END && count >= 2);
        return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str form = {(const char *)data, size};
        own_buf struct buf out;
        struct json_scan scan;
        struct json_token key;
        struct str value;
        struct err err;
        size_t count = 0;

        if (size > INPUT_MAX)
                return 0;
        buf_init(&out, OUT_MAX);
        enum err_code code = form_to_json(form, &out, &err);
        if (code != ERR_OK) {
                assert(code == ERR_INVALID && pieces_of(form) > FORM_FIELDS_MAX);
                return 0;
        }
        struct str object = {out.data, out.len};
        assert(json_check(object, NULL) == ERR_OK && json_is_object(object) && str_is_utf8(object));
        json_scan_init(&scan, object);
        assert(json_scan_next(&scan, &key, NULL) == ERR_OK);
        while (json_scan_member(&scan, &key, &value)) {
                count += values_of(value);
                assert(json_member(object, key.text).p == value.p); /* the first of its name is this one */
        }
        assert(count == pieces_of(form));
        return 0;
}
