/* tests/unit/schema/regex_test.c: what of ECMA-262's patterns is taken, what it means, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schema/regex.h"

struct match_case {
        const char *pattern, *subject;
        bool matches;
};

static const struct match_case match_cases[] = {
        {"^a.c$", "abc", true},
        {"^a.c$", "a\nc", false},
        {"^a.c$",
         "a\xe2\x80\xa8"
         "c",
         false}, /* U+2028 */
        {"^abc$", "abc\n", false},
        {"b", "abc", true},
        {"^\\d+$", "0123", true},
        {"^\\d$", "\xdf\x80", false}, /* NKO zero */
        {"^\\w$", "\xc3\xa9", false},
        {"^\\s$", "\xc2\xa0", true},     /* no-break space */
        {"^\\s$", "\xef\xbb\xbf", true}, /* zero width no-break space */
        {"^\\S$", "\xc2\xa0", false},
        {"^[^\\S]$", "\xe2\x80\xa9", true},
        {"^[\\s\\d]+$", "1 2\xe3\x80\x80", true},
        {"^\\u0041\\x42\\u{43}$", "ABC", true},
        {"^\\ud83d\\udc32+$", "\xf0\x9f\x90\xb2\xf0\x9f\x90\xb2", true},
        {"^.$", "\xf0\x9f\x90\xb2", true},
        {"^[\\u{1F432}-\\u{1F434}]$", "\xf0\x9f\x90\xb3", true},
        {"^\\cJ$", "\n", true},
        {"^\\0$", "0", false},
        {"^[\\b]$", "\b", true},
        {"^[]$", "", false},
        {"^[^]$", "\n", true},
        {"^[[:alpha:]]$", "a]", true}, /* a class of its own characters, and a bracket */
        {"^a{2}$", "aa", true},
        {"^a{,2}$", "a{,2}", true},
        {"^a{$", "a{", true},
        {"^]}$", "]}", true},
        {"^(a)|b\\1$", "b", true}, /* a group that took no part is empty */
        {"^(?<x>a+)-\\k<x>$", "aa-aa", true},
        {"^(?<!a)b", "b", true},
        {"(?<=a)b$", "ab", true},
        {"^(?!a)", "a", false},
        {"^\\p{Letter}\\p{Lu}\\P{L}$",
         "\xc3\xa9"
         "A1",
         true},
        {"^\\p{Script=Greek}+$", "\xce\xb1\xce\xb2", true},
        {"^\\p{gc=Decimal_Number}$", "\xdf\x80", true},
        {"^\\-\\_\\ \\@\\/$", "-_ @/", true},
        {"^#x y$", "#x y", true},
        {"a*?b", "aab", true},
        {"", "anything", true},
};

static void patterns_mean_what_ecma_262_says(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(match_cases) / sizeof(match_cases[0]); i++) {
                const struct match_case *c = &match_cases[i];
                struct regex *regex = NULL;
                struct regex_space space = {NULL, NULL};
                uint64_t steps = 100000;
                struct err err;

                if (regex_compile(str_of(c->pattern), &regex, &err) != ERR_OK)
                        fail_msg("%s: %s", c->pattern, err.text);
                enum regex_result result = regex_match(regex, str_of(c->subject), &space, &steps);
                if (result != (c->matches ? REGEX_MATCH : REGEX_NO_MATCH))
                        fail_msg("%s on %s: %d", c->pattern, c->subject, result);
                regex_space_finish(&space);
                regex_free(regex);
        }
}

static void what_ecma_262_does_not_know_is_refused(void **state)
{
        static const char *const patterns[] = {
                "\\Z",      "\\a",       "\\A",   "a++",          "a*+",          "a{2}+",
                "*",        "(*ACCEPT)", "(?>a)", "(?i)a",        "(?#x)",        "(?|a)",
                "(?P<x>a)", "\\Qa\\E",   "\\R",   "\\K",          "\\h",          "(",
                ")",        "[",         "[a",    "[b-a]",        "[\\d-x]",      "[a-\\d]",
                "\\",       "\\u12",     "\\xZ1", "\\ud800",      "[\\ud800]",    "\\u{110000}",
                "a{2,1}",   "a{99999}",  "\\p",   "\\p{Nothing}", "\\p{Foo=Bar}", "\\k<x>",
                "(?<1>a)",  "|*",        "^*",    "(?<=a*)b",     "\\C",          "\\1",
                "(?&x)",    "(?R)",      "(?1)",  "\\g{1}",       "\\N",          "\\X",
                "\\c1",
        };

        (void)state;
        for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
                struct regex *regex = NULL;
                struct err err = {.text = ""};

                if (regex_compile(str_of(patterns[i]), &regex, &err) != ERR_UNPROCESSABLE)
                        fail_msg("%s was taken", patterns[i]);
                assert_null(regex);
                assert_true(err.text[0] != '\0');
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(patterns_mean_what_ecma_262_says),
                cmocka_unit_test(what_ecma_262_does_not_know_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
