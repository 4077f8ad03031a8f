/*
 * tests/unit/json/json_test.c: src/json beside jansson: the same texts and the same calls come to the same,
 * also when memory is short.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "cases.h"

enum { TRANSCRIPT_MAX = 64 << 20 };

static void assert_same(struct buf *theirs, struct buf *ours)
{
        assert_non_null(buf_text(theirs));
        assert_non_null(buf_text(ours));
        assert_string_equal(theirs->data, ours->data);
        assert_int_equal(theirs->len, ours->len);
}

static void same_text(struct str text)
{
        for (size_t flags = 0; flags < 32; flags++) {
                own_buf struct buf theirs = {.max = TRANSCRIPT_MAX}, ours = {.max = TRANSCRIPT_MAX};
                cases_jansson.text(text, flags | CASES_REASON, &theirs);
                cases_ours.text(text, flags | CASES_REASON, &ours);
                assert_same(&theirs, &ours);
        }
}

static void texts_are_read_and_printed_alike(void **state)
{
        static const char *const texts[] = {
                "",
                " ",
                "{}",
                "[]",
                " [ ] ",
                "[1,2]",
                "[1 2]",
                "[1,]",
                "[,1]",
                "{\"a\":1}",
                "{\"a\":1,}",
                "{\"a\" : 1 , \"b\":[ ]}",
                "{a:1}",
                "{\"a\"}",
                "{\"a\":}",
                "{\"a\":1 \"b\":2}",
                "{\"a\":1,\"a\":2}",
                "{\"a\":{\"a\":1},\"b\":1, \"a\":x}",
                "{\"\":0}",
                "[[[[]]]]",
                "[",
                "]",
                "{",
                "}",
                "[}",
                "{]",
                "null",
                "true",
                "false",
                "nul",
                "nulll",
                "True",
                "[null,true,false]",
                "\"\"",
                "\"a",
                "\"a\"b",
                "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
                "\"\\x\"",
                "\"\\u00e4\\u20AC\"",
                "\"\\ud83d\\ude00\"",
                "\"\\ud83d\"",
                "\"\\ud83dx\"",
                "\"\\ude00\\ud83d\"",
                "\"\\ud83d\\u0041\"",
                "\"\\u12\"",
                "\"\\u12g4\"",
                "\"\\u0000\"",
                "{\"\\u0000\":1}",
                "{\"a\\u0000b\":1}",
                "\"\x01\"",
                "\"\n\"",
                "\"\x7f\"",
                "\"\xc3\xa4\"",
                "\"\xc3\"",
                "\"\xff\"",
                "\"\xc0\x80\"",
                "\"\xed\xa0\x80\"",
                "\"\xf4\x8f\xbf\xbf\"",
                "\"\xf4\x90\x80\x80\"",
                "\xef\xbb\xbf{}",
                "\xff",
                "0",
                "-0",
                "-",
                "01",
                "-01",
                "1.",
                ".5",
                "1.5",
                "1e5",
                "1E+5",
                "1e-5",
                "1e",
                "1e+",
                "+1",
                "1.0",
                "-0.0",
                "1e400",
                "-1e400",
                "1e-400",
                "9223372036854775807",
                "9223372036854775808",
                "-9223372036854775808",
                "-9223372036854775809",
                "[1e400]",
                "[99999999999999999999]",
                "{\"a\":99999999999999999999}",
                "123456789012345678901234567890.5",
                "0.1",
                "1e23",
                "5e-324",
                "2.2250738585072014e-308",
                "1x",
                "[1]x",
                "[1]]",
                "{} {}",
                "1 ",
                "\t1\r\n",
                "\v1",
                "[1]\xc2\xa0",
                "[\"a\",{\"b\":[1,2.5,{\"c\":null}]},\"d/e<>&\"]",
                "/**/1",
                "NaN",
                "[Infinity]",
                "'a'",
                "[\"\\u2028\"]",
        };
        char number[200];

        (void)state;
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                same_text(str_of(texts[i]));
        memset(number, '1', sizeof(number));
        same_text((struct str){number, sizeof(number)});
        number[1] = '.';
        same_text((struct str){number, sizeof(number)});
        same_text((struct str){"[1]]", 3}); /* what is behind the end is not looked at */
        same_text((struct str){"123", 2});
        same_text((struct str){"\"a\"", 2});
        same_text((struct str){"\"\\", 2});
}

static void nesting_is_bounded_alike(void **state)
{
        static const size_t depths[] = {1, 2047, 2048, 2049, 100000};
        own_mem char *text = malloc(200001);

        (void)state;
        assert_non_null(text);
        for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
                own_buf struct buf theirs = {.max = TRANSCRIPT_MAX}, ours = {.max = TRANSCRIPT_MAX};
                memset(text, '[', depths[i]);
                memset(text + depths[i], ']', depths[i]);
                assert_int_equal(cases_jansson.text((struct str){text, depths[i] * 2}, 0, &theirs),
                                 cases_ours.text((struct str){text, depths[i] * 2}, 0, &ours));
                assert_same(&theirs, &ours);
        }
}

static void calls_do_alike(void **state)
{
        own_buf struct buf theirs = {.max = TRANSCRIPT_MAX}, ours = {.max = TRANSCRIPT_MAX};

        (void)state;
        cases_jansson.api(&theirs);
        cases_ours.api(&ours);
        assert_same(&theirs, &ours);
}

static unsigned left; /* allocations until one fails; 0: none will */
static long live;     /* blocks that are not given back */
static bool failed;

static void *scarce(size_t size)
{
        void *memory = left > 0 && --left == 0 ? NULL : malloc(size);

        failed = failed || memory == NULL;
        live += memory != NULL;
        return memory;
}

static void give_back(void *memory)
{
        live -= memory != NULL;
        free(memory);
}

static void no_failed_allocation_leaks_or_crashes(void **state)
{
        static const char text[] = "{\"a\": [1, 2.5, \"text\\n\", null, {\"b\": {}}], \"c\": "
                                   "11111111111111111111111111111111111111"
                                   "1111111111111111111111111111111111111111.5}";
        unsigned n = 0;

        (void)state;
        cases_ours.set_memory(scarce, give_back);
        do {
                own_buf struct buf out = {.max = TRANSCRIPT_MAX};
                left = ++n;
                failed = false;
                cases_ours.text(STR(text), 0, &out);
                assert_int_equal(live, 0);
        } while (failed);
        assert_true(n > 20);
        for (n = 1, failed = true; failed; n += 1 + n / 50) {
                own_buf struct buf out = {.max = TRANSCRIPT_MAX};
                left = n;
                failed = false;
                cases_ours.api(&out);
                assert_int_equal(live, 0);
        }
        left = 0;
        cases_ours.set_memory(malloc, free);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(texts_are_read_and_printed_alike),
                cmocka_unit_test(nesting_is_bounded_alike),
                cmocka_unit_test(calls_do_alike),
                cmocka_unit_test(no_failed_allocation_leaks_or_crashes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
