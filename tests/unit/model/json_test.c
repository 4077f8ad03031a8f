/* tests/unit/model/json_test.c: what foreign JSON is let in, in which words the rest is refused, and
 * printing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/own.h"
#include "model/json.h"

static const char *refusal(const char *text)
{
        static struct err err;
        json_t *value = NULL;

        assert_int_equal(json_parse(str_of(text), &value, &err), ERR_INVALID);
        assert_null(value);
        return err.text;
}

static void accepted(const char *text, const char *printed)
{
        own_json json_t *value = NULL;
        own_buf struct buf out;
        struct err err;

        buf_init(&out, 4096);
        assert_int_equal(json_valid(str_of(text)), ERR_OK);
        assert_int_equal(json_parse(str_of(text), &value, &err), ERR_OK);
        assert_int_equal(json_print(value, &out, &err), ERR_OK);
        assert_string_equal(buf_text(&out), printed);
}

static void test_values_of_each_kind_are_read_and_printed_alike(void **state)
{
        (void)state;
        accepted(" { \"b\" : [ 1 , -2.5e3 , true , false , null , \"x\" ] , \"a\" : { } } ",
                 "{\"b\":[1,-2500.0,true,false,null,\"x\"],\"a\":{}}");
        accepted("\"\\u00e9\\n\\ud83d\\ude00/\"", "\"\u00e9\\n\U0001f600/\"");
        accepted("[]", "[]");
        accepted("0.1", "0.1");
        accepted("-0", "0");
        accepted("1e21", "1e+21");
        accepted("9223372036854775807", "9223372036854775807");
        accepted("\"\\u007f\\u0001\"", "\"\x7f\\u0001\"");
}

static void test_errors_speak_as_the_original_does(void **state)
{
        (void)state;
        assert_string_equal(refusal(""), "unexpected EOF");
        assert_string_equal(refusal("{\"a\":"), "unexpected EOF");
        assert_string_equal(refusal("bad"), "invalid character 'b' looking for beginning of value");
        assert_string_equal(refusal("{a:1}"),
                            "invalid character 'a' looking for beginning of object key string");
        assert_string_equal(refusal("{\"a\" 1}"), "invalid character '1' after object key");
        assert_string_equal(refusal("{\"a\":1 2}"), "invalid character '2' after object key:value pair");
        assert_string_equal(refusal("[1 2]"), "invalid character '2' after array element");
        assert_string_equal(refusal("1 2"), "invalid character '2' after top-level value");
        assert_string_equal(refusal("tru]"), "invalid character ']' in literal true");
        assert_string_equal(refusal("-x"), "invalid character 'x' in numeric literal");
        assert_string_equal(refusal("1.x"), "invalid character 'x' after decimal point in numeric literal");
        assert_string_equal(refusal("\"\\q\""), "invalid character 'q' in string escape code");
        assert_string_equal(refusal("'a'"), "invalid character '\\'' looking for beginning of value");
}

static void test_what_rfc_8259_forbids_is_refused(void **state)
{
        static const char *const texts[] = {"01",
                                            "+1",
                                            ".5",
                                            "1.",
                                            "1e",
                                            "[1,]",
                                            "{\"a\":1,}",
                                            "[",
                                            "]",
                                            "}",
                                            "nul",
                                            "True",
                                            "\"\t\"",
                                            "\"\\ud800\"",
                                            "\"\\ud800\\u0041\"",
                                            "\"\\udc00\"",
                                            "\"\\u0000\"",
                                            "\"\xff\"",
                                            "\"\xc0\x80\"",
                                            "\"\xed\xa0\x80\"",
                                            "\"\xf4\x90\x80\x80\"",
                                            "\"abc",
                                            "/* c */ 1",
                                            "NaN",
                                            "{\"a\"}",
                                            "[1}",
                                            "\f1"};

        (void)state;
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                assert_int_equal(json_valid(str_of(texts[i])), ERR_INVALID);
                refusal(texts[i]);
        }
}

static void test_the_same_key_twice_is_refused_without_quoting_the_text(void **state)
{
        const char *text = refusal("{\"password\":\"s3cret\",\"password\":\"s3cret\"}");

        (void)state;
        assert_non_null(strstr(text, "duplicate object key"));
        assert_null(strstr(text, "s3cret"));
        assert_non_null(strstr(refusal("[1e999]"), "number out of range"));
        assert_non_null(strstr(refusal("18446744073709551616"), "number out of range"));
}

static void test_nesting_is_bounded_at_128(void **state)
{
        char text[300];

        (void)state;
        memset(text, '[', 128);
        memset(text + 128, ']', 128);
        assert_int_equal(json_valid((struct str){text, 256}), ERR_OK);
        memset(text, '[', 129);
        memset(text + 129, ']', 129);
        assert_int_equal(json_valid((struct str){text, 258}), ERR_INVALID);
        text[258] = '\0';
        assert_string_equal(refusal(text), "invalid character '[' nested deeper than 128 levels");
}

static void test_long_strings_are_checked_at_every_offset(void **state)
{
        char text[64];

        (void)state;
        for (size_t at = 1; at < 40; at++) {
                memset(text, 'a', sizeof(text));
                text[0] = text[41] = '"';
                assert_int_equal(json_valid((struct str){text, 42}), ERR_OK);
                text[at] = '\x1f';
                assert_int_equal(json_valid((struct str){text, 42}), ERR_INVALID);
                text[at] = '\x80';
                assert_int_equal(json_valid((struct str){text, 42}), ERR_INVALID);
                text[at] = '"';
                assert_int_equal(json_valid((struct str){text, 42}), ERR_INVALID);
                text[at] = '\x7f';
                assert_int_equal(json_valid((struct str){text, 42}), ERR_OK);
        }
}

static void test_indented_form_is_that_of_gos_encoder(void **state)
{
        own_json json_t *value = NULL;
        own_buf struct buf out;
        struct err err;

        (void)state;
        buf_init(&out, 4096);
        assert_int_equal(
                json_parse(STR("{\"a\":[1,{\"b\":\"<&>\xe2\x80\xa8\xe2\x80\xa9\"}],\"c\":{},\"d\":[]}"),
                           &value, &err),
                ERR_OK);
        assert_int_equal(json_print_indented(value, &out, &err), ERR_OK);
        assert_string_equal(buf_text(&out),
                            "{\n    \"a\": [\n        1,\n        {\n            \"b\": "
                            "\"\\u003c\\u0026\\u003e\\u2028\\u2029\"\n        }\n    ],\n    \"c\": {},\n"
                            "    \"d\": []\n}");
}

static void test_printing_stops_at_the_buffers_maximum_and_leaves_it_as_it_was(void **state)
{
        own_json json_t *value = json_string("0123456789");
        own_buf struct buf out;
        struct err err;

        (void)state;
        buf_init(&out, 10);
        assert_int_equal(buf_append_text(&out, "ab"), ERR_OK);
        assert_int_equal(json_print(value, &out, &err), ERR_TOO_LARGE);
        assert_int_equal(out.len, 2);
        assert_int_equal(json_quote(STR("a\"b"), &out), ERR_OK);
        assert_string_equal(buf_text(&out), "ab\"a\\\"b\"");
        assert_int_equal(json_quote(STR("\xff"), &out), ERR_INVALID);
}

static void test_no_text_at_all_ends_too_early(void **state)
{
        json_t *value = NULL;
        struct err err;

        (void)state;
        assert_int_equal(json_parse((struct str){NULL, 0}, &value, &err), ERR_INVALID);
        assert_string_equal(err.text, "unexpected EOF");
        assert_int_equal(json_valid((struct str){NULL, 0}), ERR_INVALID);
}

static void test_the_number_of_values_is_bounded(void **state)
{
        own_buf struct buf text = {.max = 8 << 20};
        json_t *value = NULL;
        struct err err;

        (void)state;
        assert_int_equal(buf_append_text(&text, "[1"), ERR_OK);
        for (int i = 2; i < JSON_VALUES_MAX; i++)
                assert_int_equal(buf_append_text(&text, ",1"), ERR_OK);
        assert_int_equal(buf_append_text(&text, "]"), ERR_OK);
        assert_int_equal(json_parse((struct str){text.data, text.len}, &value, &err), ERR_OK);
        json_decref(value);
        value = NULL;
        text.len--;
        assert_int_equal(buf_append_text(&text, ",{}]"), ERR_OK);
        assert_int_equal(json_parse((struct str){text.data, text.len}, &value, &err), ERR_INVALID);
        assert_non_null(strstr(err.text, "1000000 values"));
        assert_int_equal(json_parse_own((struct str){text.data, text.len}, &value, &err), ERR_OK);
        json_decref(value);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_values_of_each_kind_are_read_and_printed_alike),
                cmocka_unit_test(test_errors_speak_as_the_original_does),
                cmocka_unit_test(test_what_rfc_8259_forbids_is_refused),
                cmocka_unit_test(test_the_same_key_twice_is_refused_without_quoting_the_text),
                cmocka_unit_test(test_nesting_is_bounded_at_128),
                cmocka_unit_test(test_the_number_of_values_is_bounded),
                cmocka_unit_test(test_no_text_at_all_ends_too_early),
                cmocka_unit_test(test_long_strings_are_checked_at_every_offset),
                cmocka_unit_test(test_indented_form_is_that_of_gos_encoder),
                cmocka_unit_test(test_printing_stops_at_the_buffers_maximum_and_leaves_it_as_it_was),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
