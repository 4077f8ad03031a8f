/* tests/unit/image/test_reference.c: which references lead to which built-in base image. */
#include "image/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct runtime languages[] = {
        {.language = "any", .serves = "images"}, {.language = "native"}, {.language = "python3"}};
static const struct runtime_table runtimes = {.count = 3, .runtimes = languages};
static const struct runtime_table no_runtimes = {0};

static struct reference_table *table_of(const char *rules)
{
        struct reference_table *table = NULL;
        struct err err = {0};

        if (reference_table_create(str_of(rules), &runtimes, &table, &err) != ERR_OK)
                fail_msg("%s", err.text);
        return table;
}

static void resolves(const char *rules, const char *reference, const char *language)
{
        struct reference_table *table = table_of(rules);
        struct reference_base base = {0};
        struct err err = {0};

        if (reference_resolve(table, str_of(reference), &base, &err) != ERR_OK)
                fail_msg("%s: %s", reference, err.text);
        assert_string_equal(base.language, language);
        reference_table_destroy(table);
}

static void fails(const char *rules, const char *reference, enum err_code code, const char *text)
{
        struct reference_table *table = table_of(rules);
        struct reference_base base = {0};
        struct err err = {0};

        assert_int_equal(reference_resolve(table, str_of(reference), &base, &err), code);
        if (strstr(err.text, text) == NULL)
                fail_msg("'%s' is not in '%s'", text, err.text);
        assert_string_equal(base.language, "");
        reference_table_destroy(table);
}

static void takes_the_built_in_images_by_their_own_names(void **state)
{
        (void)state;
        resolves("", "builtin:python3", "python3");
        resolves("", "builtin:native", "native");
        fails("", "builtin:", ERR_INVALID, "is not builtin:LANGUAGE");
        fails("", "builtin:../x", ERR_INVALID, "is not builtin:LANGUAGE");
        fails("", "builtin:cobol", ERR_UNPROCESSABLE,
              "no runtime for cobol in this version (languages: native, python3)");
        fails("", "builtin:any", ERR_UNPROCESSABLE, "no runtime for any in this version");
}

static void takes_the_published_base_images_by_default(void **state)
{
        static const char *const names[] = {
                "dispatchframework/python3-base:0.0.13-knative",
                "dispatchframework/python3-base",
                "docker.io/dispatchframework/python3-base:latest",
                "index.docker.io/dispatchframework/python3-base",
        };

        (void)state;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                resolves(REFERENCE_RULES_DEFAULT, names[i], "python3");
        resolves(REFERENCE_RULES_DEFAULT, "dispatchframework/native-base:1", "native");
}

static void says_that_a_language_has_no_runtime_yet(void **state)
{
        static const char *const names[] = {"nodejs", "java", "powershell"};
        char reference[80], text[80];

        (void)state;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                snprintf(reference, sizeof(reference), "dispatchframework/%s-base:0.0.13", names[i]);
                snprintf(text, sizeof(text), "no runtime for %s in this version", names[i]);
                fails(REFERENCE_RULES_DEFAULT, reference, ERR_UNPROCESSABLE, text);
        }
}

static void says_what_to_do_with_any_other_reference(void **state)
{
        (void)state;
        fails(REFERENCE_RULES_DEFAULT, "docker.io/library/python:3.11-slim", ERR_UNPROCESSABLE,
              "image 'python': this version runs built-in base images only: use builtin:LANGUAGE (languages: "
              "native, "
              "python3), or start the server with --image-references 'python=builtin:LANGUAGE'");
        fails("", "dispatchframework/python3-base:0.0.13", ERR_UNPROCESSABLE, "built-in base images only");
        fails(REFERENCE_RULES_DEFAULT, "registry.example.com:5000/dispatchframework/python3-base",
              ERR_UNPROCESSABLE, "'registry.example.com:5000/dispatchframework/python3-base'");
        fails(REFERENCE_RULES_DEFAULT, "dispatchframework/deeper/python3-base", ERR_UNPROCESSABLE,
              "use builtin:");
        fails(REFERENCE_RULES_DEFAULT, "dispatchframework/-base", ERR_INVALID, "not an image reference");
}

static void maps_no_reference_with_a_digest(void **state)
{
        (void)state;
        fails(REFERENCE_RULES_DEFAULT,
              "dispatchframework/python3-base@sha256:"
              "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
              ERR_UNPROCESSABLE, "a digest names one exact image");
}

static void follows_the_users_rules_in_their_order(void **state)
{
        static const char rules[] = "# ours\n"
                                    "team/special=builtin:native, team/*=builtin:python3\n"
                                    "\n"
                                    "registry.example.com:5000/base:v1 = builtin:native\n"
                                    "registry.example.com:5000/base=builtin:python3\n"
                                    "python=builtin:python3\n"
                                    "tagged:*-slim=builtin:native\n";

        (void)state;
        resolves(rules, "team/special:7", "native");
        resolves(rules, "team/other", "python3");
        resolves(rules, "registry.example.com:5000/base:v1", "native");
        resolves(rules, "registry.example.com:5000/base:v2", "python3");
        resolves(rules, "docker.io/library/python:3", "python3");
        resolves(rules, "library/python", "python3");
        resolves(rules, "tagged:3-slim", "native");
        fails(rules, "tagged:3", ERR_UNPROCESSABLE, "use builtin:");
        fails(rules, "team/a/b", ERR_UNPROCESSABLE, "use builtin:");
}

static void takes_no_tag_for_latest_where_a_rule_has_one(void **state)
{
        (void)state;
        resolves("x/y:latest=builtin:native", "x/y", "native");
        fails("x/y:v1=builtin:native", "x/y", ERR_UNPROCESSABLE, "use builtin:");
}

static void refuses_what_is_no_reference(void **state)
{
        static const char *const texts[] = {
                "",
                " ",
                "a b",
                "UPPER/case",
                "/x",
                "x/",
                "a//b",
                "x:",
                "x@",
                "x@sha256:12",
                "x:a:b",
                "-x",
                "x-",
                "http://x/y",
                "x\ny",
                "a.b:port/",
                "\xff",
                "x:tag!",
                "x@:0123456789abcdef0123456789abcdef",
        };

        (void)state;
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                fails(REFERENCE_RULES_DEFAULT, texts[i], ERR_INVALID, "not an image reference");
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                struct err err = {0};
                assert_int_equal(reference_check(str_of(texts[i]), &err), ERR_UNPROCESSABLE);
                assert_non_null(strstr(err.text, "not an image reference"));
        }
}

static void takes_the_form_of_any_registrys_reference(void **state)
{
        static const char *const texts[] = {"python", "python:3.12-slim",
                                            "registry.example.com:5000/a/b_c:1.2",
                                            "x:1@sha256:0123456789abcdef0123456789abcdef", "localhost/x"};

        (void)state;
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                struct err err = {0};
                assert_int_equal(reference_check(str_of(texts[i]), &err), ERR_OK);
        }
}

static void says_nothing_unprintable_about_what_is_no_reference(void **state)
{
        char text[300];

        (void)state;
        fails("", "x\x1b[31m\xc3\xa9y", ERR_INVALID, "'x?[31m??y' is not an image reference");
        memset(text, 'X', sizeof(text));
        text[sizeof(text) - 1] = '\0';
        fails("", text, ERR_INVALID, "XXX...' is not an image reference");
}

static void refuses_wrong_rules_by_name(void **state)
{
        static const char *const rules[] = {
                "nothing",
                "a/b=python3",
                "a/b=builtin:",
                "a/b=builtin:*",
                "*/*=builtin:*",
                "A=builtin:python3",
                "a/b=builtin:../x",
                "=builtin:native",
                "a@sha256:0123456789abcdef0123456789abcdef=builtin:native",
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
                struct reference_table *table = NULL;
                struct err err = {0};

                assert_int_equal(reference_table_create(str_of(rules[i]), &runtimes, &table, &err),
                                 ERR_INVALID);
                assert_non_null(strstr(err.text, rules[i]));
                assert_null(table);
        }
}

static void works_without_any_runtime(void **state)
{
        struct reference_table *table = NULL;
        struct reference_base base;
        struct err err;

        (void)state;
        assert_int_equal(reference_table_create(STR(""), &no_runtimes, &table, &err), ERR_OK);
        assert_ptr_equal(reference_runtimes(table), &no_runtimes);
        assert_int_equal(reference_resolve(table, STR("builtin:native"), &base, &err), ERR_UNPROCESSABLE);
        assert_non_null(strstr(err.text, "(languages: none)"));
        reference_table_destroy(table);
        reference_table_destroy(NULL);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(takes_the_built_in_images_by_their_own_names),
                cmocka_unit_test(takes_the_published_base_images_by_default),
                cmocka_unit_test(says_that_a_language_has_no_runtime_yet),
                cmocka_unit_test(says_what_to_do_with_any_other_reference),
                cmocka_unit_test(maps_no_reference_with_a_digest),
                cmocka_unit_test(follows_the_users_rules_in_their_order),
                cmocka_unit_test(takes_no_tag_for_latest_where_a_rule_has_one),
                cmocka_unit_test(refuses_what_is_no_reference),
                cmocka_unit_test(takes_the_form_of_any_registrys_reference),
                cmocka_unit_test(says_nothing_unprintable_about_what_is_no_reference),
                cmocka_unit_test(refuses_wrong_rules_by_name),
                cmocka_unit_test(works_without_any_runtime),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
