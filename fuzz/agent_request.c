/*
 * fuzz/agent_request.c: what the agent makes of any request: first byte where it came from and how, then a
 * head up to the first NUL ("name: value" lines), then the body.
 *
 * Properties: a payload that is called JSON is JSON; the context is a JSON object whatever fields, secrets
 * and message it is made of; a string that was put comes back.
 */
#include "runtimes/agent/json_scan.h"
#include "runtimes/agent/request.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES_MAX = 1 << 24 };

static size_t split_head(struct str head, struct frame_field *fields)
{
        size_t count = 0;

        while (head.len > 0 && count < FRAME_FIELDS_MAX) {
                struct str value = str_cut(&head, '\n'), name = str_cut(&value, ':');
                if (name.len == 0)
                        continue;
                fields[count++] = (struct frame_field){name, str_trim(value, " ")};
        }
        return count;
}

static bool scans_to_the_end(struct str text)
{
        struct json_scan scan;
        struct json_token token;

        json_scan_init(&scan, text);
        do {
                if (json_scan_next(&scan, &token, NULL) != ERR_OK)
                        return false;
        } while (token.type != JSON_TOKEN_END);
        return true;
}

static void check_round_trip(struct str bytes)
{
        own_buf struct buf literal, back;
        struct json_scan scan;
        struct json_token token;

        buf_init(&literal, BYTES_MAX);
        buf_init(&back, BYTES_MAX);
        assert(json_put_string(&literal, bytes) == ERR_OK);
        json_scan_init(&scan, (struct str){literal.data, literal.len});
        assert(json_scan_next(&scan, &token, NULL) == ERR_OK && token.type == JSON_TOKEN_STRING);
        assert(json_unescape(token.text, &back) == ERR_OK);
        assert(str_is_utf8((struct str){back.data, back.len}));
        assert(!str_is_utf8(bytes) || str_eq((struct str){back.data, back.len}, bytes));
}

/* Every value of an object that was accepted can be found and is itself JSON. */
static void check_members(struct str object)
{
        struct json_scan scan;
        struct json_token key;
        struct str value;

        if (!json_is_object(object))
                return;
        json_scan_init(&scan, object);
        assert(json_scan_next(&scan, &key, NULL) == ERR_OK);
        while (json_scan_member(&scan, &key, &value)) {
                assert(json_check(value, NULL) == ERR_OK);
                assert(json_member(object, key.text).p != NULL);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct frame_field fields[FRAME_FIELDS_MAX];
        __attribute__((cleanup(decoded_finish))) struct decoded decoded;
        own_buf struct buf context;

        decoded_init(&decoded);
        buf_init(&context, BYTES_MAX);
        if (size < 1 || size > 1 << 16)
                return 0;
        struct str body = {(const char *)data + 1, size - 1}, head = str_cut(&body, '\0');
        struct agent_request request = {
                .fields = fields,
                .field_count = split_head(head, fields),
                .body = body,
                .envelope = (data[0] & 1) != 0,
                .secrets = json_is_object(body) ? body : STR(""),
        };

        if (request_decode(&request, &decoded, NULL) == ERR_OK && decoded.kind == AGENT_PAYLOAD_JSON)
                assert(json_check(decoded.payload, NULL) == ERR_OK);
        if (request_context(&request, request.secrets, &context) == ERR_OK)
                assert(context.data[0] == '{' && scans_to_the_end((struct str){context.data, context.len}));
        check_round_trip(body);
        check_members(body);
        return 0;
}
