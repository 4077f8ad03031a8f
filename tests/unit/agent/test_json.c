/* tests/unit/agent/test_json.c: the JSON scanner and its strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtimes/agent/json_scan.h"

static void valid_texts_are_accepted(void **state)
{
        (void)state;
        static const char *const rows[] = {"0",
                                           "-0",
                                           "10",
                                           "-1.5e+10",
                                           "1E3",
                                           "0.0",
                                           "true",
                                           "false",
                                           "null",
                                           "\"\"",
                                           " [ ] ",
                                           "{}",
                                           "[1,2,[3,{}]]",
                                           "{\"a\":{\"b\":[null]}}",
                                           "\r\n\t 1",
                                           "\"\\u00e9\\n\\/\"",
                                           "\"\xc3\xa9\"",
                                           "{\"\":1}",
                                           "[[],[]]",
                                           "{\"a\":1,\"a\":2}"};

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                if (json_check(str_of(rows[i]), NULL) != ERR_OK)
                        fail_msg("refused: %s", rows[i]);
        }
}

static void broken_texts_are_refused_in_gos_words(void **state)
{
        (void)state;
        static const struct {
                struct str text;
                const char *why;
        } rows[] = {
                {STR_INIT(""), "unexpected end of JSON input"},
                {STR_INIT("  "), "unexpected end of JSON input"},
                {STR_INIT("["), "unexpected end of JSON input"},
                {STR_INIT("{\"a\""), "unexpected end of JSON input"},
                {STR_INIT("\"abc"), "unexpected end of JSON input"},
                {STR_INIT("-"), "unexpected end of JSON input"},
                {STR_INIT("tru"), "unexpected end of JSON input"},
                {STR_INIT("]"), "invalid character ']' looking for beginning of value"},
                {STR_INIT("[}"), "invalid character '}' looking for beginning of value"},
                {STR_INIT("[1}"), "invalid character '}' after array element"},
                {STR_INIT("{]"), "invalid character ']' looking for beginning of object key string"},
                {STR_INIT("{\"a\":1,}"), "invalid character '}' looking for beginning of object key string"},
                {STR_INIT("{\"a\":1]"), "invalid character ']' after object key:value pair"},
                {STR_INIT("{\"a\",1}"), "invalid character ',' after object key"},
                {STR_INIT("1 x"), "invalid character 'x' after top-level value"},
                {STR_INIT("+1"), "invalid character '+' looking for beginning of value"},
                {STR_INIT("-a"), "invalid character 'a' in numeric literal"},
                {STR_INIT("1.a"), "invalid character 'a' after decimal point in numeric literal"},
                {STR_INIT("1e+a"), "invalid character 'a' in exponent of numeric literal"},
                {STR_INIT("nul1"), "invalid character '1' in literal null (expecting 'l')"},
                {STR_INIT("\"\t\""), "invalid character '\\t' in string literal"},
                {STR_INIT("\"\0\""), "invalid character '\\x00' in string literal"},
                {STR_INIT("\"\\x\""), "invalid character 'x' in string escape code"},
                {STR_INIT("\"\\u12x4\""), "invalid character 'x' in \\u hexadecimal character escape"},
                {STR_INIT("\xe9"), "invalid character '\xc3\xa9' looking for beginning of value"},
                {STR_INIT("\x80"), "invalid character '\\u0080' looking for beginning of value"},
                {STR_INIT("\""
                          "\xc3\""),
                 "invalid UTF-8 in string literal"},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct err err;
                assert_int_equal(json_check(rows[i].text, &err), ERR_INVALID);
                assert_string_equal(err.text, rows[i].why);
        }
}

static void nesting_has_a_limit(void **state)
{
        (void)state;
        own_buf struct buf deep;

        buf_init(&deep, 4 * JSON_SCAN_DEPTH_MAX);
        for (int i = 0; i < JSON_SCAN_DEPTH_MAX; i++)
                assert_int_equal(buf_append(&deep, "[", 1), ERR_OK);
        for (int i = 0; i < JSON_SCAN_DEPTH_MAX; i++)
                assert_int_equal(buf_append(&deep, "]", 1), ERR_OK);
        assert_int_equal(json_check((struct str){deep.data, deep.len}, NULL), ERR_OK);
        deep.data[deep.len - 1] = '[';
        memset(deep.data, '[', JSON_SCAN_DEPTH_MAX + 1);
        assert_int_equal(json_check((struct str){deep.data, deep.len}, NULL), ERR_INVALID);
}

static void members_are_found_with_their_whole_value(void **state)
{
        (void)state;
        struct str object = STR(" {\"a\" : [1, {\"b\": 2}] , \"b\":\"x\\\"y\", \"a\": 7 }");

        assert_true(str_eq(json_member(object, STR("a")), STR("7")));
        assert_true(str_eq(json_member(object, STR("b")), STR("\"x\\\"y\"")));
        assert_null(json_member(object, STR("c")).p);
        assert_null(json_member(STR("[1]"), STR("a")).p);
        assert_null(json_member(STR(""), STR("a")).p);
        assert_true(json_is_object(object));
        assert_false(json_is_object(STR("[{}]")));
        assert_false(json_is_object(STR("{} {}")));
}

static void a_string_comes_back_as_it_was_put(void **state)
{
        (void)state;
        struct str text = STR("plain \"quoted\" \\ \b\f\n\r\t \1\x1f \x7f \xc3\xa9 \xf0\x9f\x98\x80");
        own_buf struct buf literal, back;
        struct json_scan scan;
        struct json_token token;

        buf_init(&literal, 4096);
        buf_init(&back, 4096);
        assert_int_equal(json_put_string(&literal, text), ERR_OK);
        json_scan_init(&scan, (struct str){literal.data, literal.len});
        assert_int_equal(json_scan_next(&scan, &token, NULL), ERR_OK);
        assert_int_equal(token.type, JSON_TOKEN_STRING);
        assert_true(token.escaped);
        assert_int_equal(json_unescape(token.text, &back), ERR_OK);
        assert_true(str_eq((struct str){back.data, back.len}, text));
}

static void what_is_not_utf8_is_replaced(void **state)
{
        (void)state;
        own_buf struct buf literal, plain;

        buf_init(&literal, 4096);
        assert_int_equal(json_put_string(&literal, STR("a\xff\xc3")), ERR_OK);
        assert_true(str_eq((struct str){literal.data, literal.len}, STR("\"a\xef\xbf\xbd\xef\xbf\xbd\"")));

        buf_init(&plain, 4096);
        assert_int_equal(json_unescape(STR("\\ud83d\\ude00 \\ud83d \\ude00 \\ud83d\\u0041 \\u0000"), &plain),
                         ERR_OK);
        assert_true(str_eq((struct str){plain.data, plain.len},
                           STR("\xf0\x9f\x98\x80 \xef\xbf\xbd \xef\xbf\xbd \xef\xbf\xbd"
                               "A \0")));
}

static void the_buffers_maximum_holds(void **state)
{
        (void)state;
        own_buf struct buf small;

        buf_init(&small, 4);
        assert_int_equal(json_put_string(&small, STR("abc")), ERR_TOO_LARGE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(valid_texts_are_accepted),
                cmocka_unit_test(broken_texts_are_refused_in_gos_words),
                cmocka_unit_test(nesting_has_a_limit),
                cmocka_unit_test(members_are_found_with_their_whole_value),
                cmocka_unit_test(a_string_comes_back_as_it_was_put),
                cmocka_unit_test(what_is_not_utf8_is_replaced),
                cmocka_unit_test(the_buffers_maximum_holds),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
