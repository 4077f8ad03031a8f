/* tests/unit/agent/test_request.c: what is made of a request: payload, context, secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtimes/agent/form.h"
#include "runtimes/agent/json_scan.h"
#include "runtimes/agent/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NONE -1 /* an InputError is expected */

struct row {
        const char *source, *method, *path, *type;
        struct str body;
        int kind; /* enum agent_payload_kind */
        struct str payload;
};

static const struct row rows[] = {
        {"endpoint", "GET", "/?a=1&a=2", NULL, STR_INIT(""), AGENT_PAYLOAD_JSON,
         STR_INIT("{\"a\":[\"1\",\"2\"]}")},
        {"endpoint", "GET", "/", "application/json", STR_INIT("[1]"), AGENT_PAYLOAD_JSON, STR_INIT("{}")},
        {"endpoint", "HEAD", "/?x", NULL, STR_INIT(""), AGENT_PAYLOAD_JSON, STR_INIT("{\"x\":\"\"}")},
        {"endpoint", "OPTIONS", "/?x=1", NULL, STR_INIT(""), AGENT_PAYLOAD_JSON, STR_INIT("{\"x\":\"1\"}")},
        {"endpoint", "OPTIONS", "/?x=1", NULL, STR_INIT("b"), AGENT_PAYLOAD_BYTES, STR_INIT("b")},
        {"endpoint", "POST", "/?x=1", NULL, STR_INIT(""), AGENT_PAYLOAD_JSON, STR_INIT("{}")},
        {"endpoint", "POST", "/", "application/json", STR_INIT(""), NONE,
         STR_INIT("request body is not json")},
        {"endpoint", "POST", "/", "application/json", STR_INIT("{"), NONE,
         STR_INIT("request body is not json")},
        {"endpoint", "POST", "/", "application/json; charset=utf-8", STR_INIT(" 1 "), AGENT_PAYLOAD_JSON,
         STR_INIT(" 1 ")},
        {"endpoint", "POST", "/", "application/json; charset=latin1", STR_INIT("1"), NONE,
         STR_INIT("request body is not json: charset latin1 is not UTF-8")},
        {"endpoint", "POST", "/", "application/vnd.x+json", STR_INIT("1"), AGENT_PAYLOAD_JSON, STR_INIT("1")},
        {"endpoint", "POST", "/", "+json", STR_INIT("1"), AGENT_PAYLOAD_BYTES, STR_INIT("1")},
        {"endpoint", "POST", "/", "application/x-www-form-urlencoded;charset=x", STR_INIT("a=b"),
         AGENT_PAYLOAD_JSON, STR_INIT("{\"a\":\"b\"}")},
        {"endpoint", "POST", "/", "text/plain", STR_INIT("t"), AGENT_PAYLOAD_BYTES, STR_INIT("t")},
        {"endpoint", "POST", "/", "application/base64", STR_INIT("AAAA"), AGENT_PAYLOAD_BYTES,
         STR_INIT("AAAA")},
        {"endpoint", "POST", "/", "image/png", STR_INIT("\0"), AGENT_PAYLOAD_BYTES, STR_INIT("\0")},
        {"run", "POST", "/", "application/json", STR_INIT(""), AGENT_PAYLOAD_NONE, STR_INIT("")},
        {"run", "POST", "/", NULL, STR_INIT(""), AGENT_PAYLOAD_NONE, STR_INIT("")},
        {"run", "OPTIONS", "/?x=1", NULL, STR_INIT(""), AGENT_PAYLOAD_NONE, STR_INIT("")},
        {"run", "GET", "/?x=1", NULL, STR_INIT("b"), AGENT_PAYLOAD_JSON, STR_INIT("{\"x\":\"1\"}")},
        {"run", "POST", "/", "APPLICATION/JSON", STR_INIT("{}"), AGENT_PAYLOAD_JSON, STR_INIT("{}")},
        {"run", "POST", "/", "application/json", STR_INIT("{"), NONE,
         STR_INIT("Invalid Input: unexpected end of JSON input")},
        {"run", "POST", "/", "text/plain", STR_INIT("t"), AGENT_PAYLOAD_TEXT, STR_INIT("t")},
        {"run", "POST", "/", "application/base64", STR_INIT("AAE="), AGENT_PAYLOAD_BYTES, STR_INIT("\0\1")},
        {"run", "POST", "/", "application/base64", STR_INIT("A"), NONE,
         STR_INIT("Invalid Input: illegal base64 data at input byte 1")},
        {"run", "POST", "/", "application/x-www-form-urlencoded", STR_INIT("a=b"), AGENT_PAYLOAD_JSON,
         STR_INIT("{\"a\":\"b\"}")},
        {"run", "POST", "/", NULL, STR_INIT("x"), AGENT_PAYLOAD_BYTES, STR_INIT("x")},
        {"run", "POST", "/", "; charset=x", STR_INIT("x"), AGENT_PAYLOAD_BYTES, STR_INIT("x")},
};

static struct agent_request request_of(const struct row *row, struct frame_field fields[8])
{
        size_t count = 0;

        fields[count++] = (struct frame_field){STR(":method"), str_of(row->method)};
        fields[count++] = (struct frame_field){STR(":path"), str_of(row->path)};
        fields[count++] = (struct frame_field){STR(":source"), str_of(row->source)};
        if (row->type != NULL)
                fields[count++] = (struct frame_field){STR("content-type"), str_of(row->type)};
        return (struct agent_request){.fields = fields, .field_count = count, .body = row->body};
}

static void payloads_follow_the_table(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                __attribute__((cleanup(decoded_finish))) struct decoded decoded;
                struct frame_field fields[8];
                struct agent_request request = request_of(&rows[i], fields);
                struct err err;

                decoded_init(&decoded);
                enum err_code code = request_decode(&request, &decoded, &err);
                if (rows[i].kind == NONE) {
                        assert_int_equal(code, ERR_INVALID);
                        assert_string_equal(err.text, rows[i].payload.p);
                        continue;
                }
                if (code != ERR_OK || (int)decoded.kind != rows[i].kind ||
                    !str_eq(decoded.payload, rows[i].payload))
                        fail_msg("row %zu: kind %d, '%.*s'", i, (int)decoded.kind, STR_ARG(decoded.payload));
        }
}

static void a_body_that_is_too_large_is_an_input_error(void **state)
{
        (void)state;
        __attribute__((cleanup(decoded_finish))) struct decoded decoded;
        struct agent_request request = {.body_too_large = true};
        struct err err;

        decoded_init(&decoded);
        assert_int_equal(request_decode(&request, &decoded, &err), ERR_INVALID);
}

static void forms_become_objects(void **state)
{
        (void)state;
        static const struct {
                const char *form, *json;
        } forms[] = {
                {"", "{}"},
                {"&&", "{}"},
                {"a", "{\"a\":\"\"}"},
                {"=", "{\"\":\"\"}"},
                {"a=b=c", "{\"a\":\"b=c\"}"},
                {"a+b=c%20d", "{\"a b\":\"c d\"}"},
                {"%61=1&a=2", "{\"a\":[\"1\",\"2\"]}"},
                {"b=1&a=2&b=3&c=4&b=5", "{\"b\":[\"1\",\"3\",\"5\"],\"a\":\"2\",\"c\":\"4\"}"},
                {"a=%zz%4&b=%", "{\"a\":\"%zz%4\",\"b\":\"%\"}"},
                {"a=%ff", "{\"a\":\"\xef\xbf\xbd\"}"},
                {"a=%00%22", "{\"a\":\"\\u0000\\\"\"}"},
                {"%ff=1&%fe=2&a=3", "{\"\xef\xbf\xbd\":[\"1\",\"2\"],\"a\":\"3\"}"},
        };

        for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
                own_buf struct buf out;
                buf_init(&out, 4096);
                assert_int_equal(form_to_json(str_of(forms[i].form), &out, NULL), ERR_OK);
                assert_string_equal(buf_text(&out), forms[i].json);
        }
}

static void a_form_of_too_many_fields_is_refused(void **state)
{
        (void)state;
        own_buf struct buf form, out;

        buf_init(&form, 1 << 20);
        buf_init(&out, 1 << 20);
        for (int i = 0; i <= FORM_FIELDS_MAX; i++)
                assert_int_equal(buf_append(&form, "a&", 2), ERR_OK);
        struct str all = {form.data, form.len};
        assert_int_equal(form_to_json(all, &out, NULL), ERR_INVALID);
        assert_int_equal(out.len, 0);
        assert_int_equal(form_to_json(str_slice(all, 2, all.len), &out, NULL), ERR_OK);
        assert_int_equal(json_check((struct str){out.data, out.len}, NULL), ERR_OK);
}

static void the_context_has_what_the_request_says(void **state)
{
        (void)state;
        const struct frame_field fields[] = {
                {STR_INIT(":method"), STR_INIT("PUT")},
                {STR_INIT(":path"), STR_INIT("/p?q=1")},
                {STR_INIT(":source"), STR_INIT("run")},
                {STR_INIT("x-request-id"), STR_INIT("one")},
                {STR_INIT("x-request-id"), STR_INIT("t\"wo")},
                {STR_INIT("dispatch-deadline"), STR_INIT("soon")},
                {STR_INIT("dispatch-timeout-ms"), STR_INIT("007")},
                {STR_INIT("dispatch-event"), STR_INIT("{\"e\":1}")},
                {STR_INIT("dispatch-http-context"), STR_INIT("[]")},
        };
        struct agent_request request = {
                .fields = fields, .field_count = 9, .secrets = STR_INIT("{\"b\":\"run\"}")};
        own_buf struct buf out;

        buf_init(&out, 4096);
        assert_int_equal(request_context(&request, STR("{\"a\":\"1\",\"b\":\"2\"}"), &out), ERR_OK);
        assert_string_equal(
                buf_text(&out),
                "{\"secrets\":{\"a\":\"1\",\"b\":\"run\"},\"request\":{\"uri\":\"/p?q=1\",\"method\":\"PUT\","
                "\"header\":{\"X-Request-Id\":[\"one\",\"t\\\"wo\"]}},\"event\":{\"e\":1},"
                "\"deadline\":\"soon\",\"timeout\":7}");
}

static void the_context_of_an_endpoint_has_its_http_context(void **state)
{
        (void)state;
        const struct frame_field fields[] = {
                {STR_INIT(":method"), STR_INIT("GET")},
                {STR_INIT(":path"), STR_INIT("/p?q=1")},
                {STR_INIT(":scheme"), STR_INIT("https")},
                {STR_INIT(":source"), STR_INIT("endpoint")},
        };
        struct agent_request request = {.fields = fields, .field_count = 4};
        own_buf struct buf out;

        buf_init(&out, 4096);
        assert_int_equal(request_context(&request, STR(""), &out), ERR_OK);
        struct str http = json_member((struct str){out.data, out.len}, STR("httpContext"));
        assert_true(str_eq(
                http, STR("{\"args\":\"q=1\",\"request\":\"GET /p?q=1 HTTP/1.1\",\"request_uri\":\"/p?q=1\","
                          "\"scheme\":\"https\",\"server_protocol\":\"HTTP/1.1\",\"upstream_uri\":\"/p\","
                          "\"uri\":\"/p\",\"method\":\"GET\"}")));
}

static void a_messages_context_is_completed(void **state)
{
        (void)state;
        struct agent_request request = {
                .envelope = true,
                .body = STR_INIT("{\"context\":{\"secrets\":{\"a\":\"theirs\"},\"request\":1,\"x\":[]},"
                                 "\"payload\":{\"p\":1}}"),
        };
        __attribute__((cleanup(decoded_finish))) struct decoded decoded;
        own_buf struct buf out;

        buf_init(&out, 4096);
        decoded_init(&decoded);
        assert_int_equal(request_context(&request, STR("{\"a\":\"1\",\"b\":\"2\"}"), &out), ERR_OK);
        assert_string_equal(buf_text(&out),
                            "{\"secrets\":{\"b\":\"2\",\"a\":\"theirs\"},\"request\":1,\"x\":[]}");
        assert_int_equal(request_decode(&request, &decoded, NULL), ERR_OK);
        assert_true(str_eq(decoded.payload, STR("{\"p\":1}")));
}

static void put_file(const char *folder, const char *name, const char *text)
{
        char path[300];

        snprintf(path, sizeof(path), "%s/%s", folder, name);
        FILE *file = fopen(path, "we");
        assert_non_null(file);
        fputs(text, file);
        fclose(file);
}

static void secrets_come_from_a_folder_and_variables(void **state)
{
        (void)state;
        char folder[] = "/tmp/agent-secrets-XXXXXX", command[64];
        own_buf struct buf out;

        buf_init(&out, 1 << 16);
        assert_non_null(mkdtemp(folder));
        put_file(folder, "plain", "value\n");
        put_file(folder, "db.json", " {\"user\":\"u\",\"db\":\"a key wins over the secret's name\"} ");
        put_file(folder, "list.json", "[1]");
        put_file(folder, ".hidden", "x");
        setenv("DISPATCH_SECRETS_DIR", folder, 1);
        setenv("d_secret_old", "{\"user\":\"v\"}", 1);
        assert_int_equal(secrets_from_environment(&out, NULL), ERR_OK);
        struct str all = {out.data, out.len};
        assert_int_equal(json_check(all, NULL), ERR_OK);
        assert_true(str_eq(json_member(all, STR("plain")), STR("\"value\\n\"")));
        assert_true(str_eq(json_member(all, STR("user")), STR("\"v\"")));
        assert_true(str_eq(json_member(all, STR("db")), STR("\"a key wins over the secret's name\"")));
        assert_true(str_eq(json_member(all, STR("list.json")), STR("\"[1]\"")));
        assert_true(str_eq(json_member(all, STR("old")), STR("\"{\\\"user\\\":\\\"v\\\"}\"")));
        assert_null(json_member(all, STR(".hidden")).p);

        unsetenv("DISPATCH_SECRETS_DIR");
        unsetenv("d_secret_old");
        for (const char *const *name =
                     (const char *const[]){"plain", "db.json", "list.json", ".hidden", NULL};
             *name != NULL; name++) {
                snprintf(command, sizeof(command), "%s/%s", folder, *name);
                unlink(command);
        }
        rmdir(folder);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(payloads_follow_the_table),
                cmocka_unit_test(a_body_that_is_too_large_is_an_input_error),
                cmocka_unit_test(forms_become_objects),
                cmocka_unit_test(a_form_of_too_many_fields_is_refused),
                cmocka_unit_test(the_context_has_what_the_request_says),
                cmocka_unit_test(the_context_of_an_endpoint_has_its_http_context),
                cmocka_unit_test(a_messages_context_is_completed),
                cmocka_unit_test(secrets_come_from_a_folder_and_variables),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
