/* What package managers have written down, and the words of installers that failed. */
#include "build/catalogue.h"
#include "build/inside_deps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef enum err_code (*parser)(struct str text, json_t *packages, struct err *err);

/* "name version;..." of what a text lists. */
static void lists(parser parse, const char *text, const char *wanted)
{
        json_t *packages = json_array(), *package;
        char found[512] = "";
        size_t i;

        assert_int_equal(parse(str_of(text), packages, NULL), ERR_OK);
        json_array_foreach(packages, i, package)
                snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s %s;",
                         json_string_value(json_object_get(package, "name")),
                         json_string_value(json_object_get(package, "version")));
        assert_string_equal(found, wanted);
        json_decref(packages);
}

static void debs_that_are_installed(void **state)
{
        (void)state;
        lists(catalogue_deb,
              "Package: a\nStatus: install ok installed\nVersion: 1:2-3\n\nPackage: b\nStatus: deinstall ok "
              "config-files\nVersion: 1\n\nPackage: c\nVersion: 4",
              "a 1:2-3;c 4;");
        lists(catalogue_deb, "Package: a\n\nVersion: 1\n\nPackage: b c\nVersion: 1\n\n:\n\n", "");
}

static void packages_of_alpine(void **state)
{
        (void)state;
        lists(catalogue_apk, "C:Q1\nP:musl\nV:1.2.4-r2\nA:x86_64\n\nP:zlib\nV:1.3",
              "musl 1.2.4-r2;zlib 1.3;");
}

static void packages_of_python(void **state)
{
        (void)state;
        lists(catalogue_pypi,
              "Metadata-Version: 2.1\nName: six\nVersion: 1.16.0\r\n\nName: other\nVersion: 2\n",
              "six 1.16.0;");
        lists(catalogue_pypi, "Name: six\n\nVersion: 2", "");
}

static void packages_of_npm(void **state)
{
        (void)state;
        lists(catalogue_npm, "{\"name\": \"@a/b\", \"version\": \"1.0.0\"}", "@a/b 1.0.0;");
        lists(catalogue_npm, "{\"name\": 1, \"version\": \"1.0.0\"}", "");
        lists(catalogue_npm, "{", "");
}

static void packages_of_maven(void **state)
{
        (void)state;
        lists(catalogue_maven, "org.a:b:1.0\nbroken\n:x:1\n", "org.a/b 1.0;");
}

static void origins_of_debs(void **state)
{
        static const char *const wanted[] = {"http://m/b", NULL, NULL, "file:/c"};
        json_t *packages =
                json_pack("[{s:s,s:s,s:s,s:s},{s:s,s:s,s:s,s:s},{s:s,s:s,s:s,s:s},{s:s,s:s,s:s}]", "type",
                          "deb", "name", "a", "version", "1", "architecture", "all", "type", "deb", "name",
                          "a", "version", "2", "architecture", "all", "type", "pypi", "name", "a", "version",
                          "1", "architecture", "all", "type", "deb", "name", "c", "version", "1");

        (void)state;
        assert_int_equal(catalogue_origins(STR("a\t1\tall\thttp://m/a\nbroken\n\t\t\t\na\t2\tall\t\n"
                                               "a\t2\tall\tbl ank\na\t2\tall\t\xff\nc\t1\t\tfile:/c\n"
                                               "a\t1\tall\thttp://m/b"),
                                           packages, NULL),
                         ERR_OK);
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
                const char *found = json_string_value(json_object_get(json_array_get(packages, i), "origin"));
                if (wanted[i] == NULL)
                        assert_null(found);
                else
                        assert_string_equal(found, wanted[i]);
        }
        json_decref(packages);
}

static void says(const char *output, const char *wanted)
{
        char words[120];

        inside_deps_reason(str_of(output), words, sizeof(words));
        assert_string_equal(words, wanted);
}

static void the_words_of_a_failed_installer(void **state)
{
        (void)state;
        says("Collecting x\nERROR: no x\n  ERROR: No match\nnotice\n", "ERROR: no x; ERROR: No match");
        says("npm ERR! code E404\nnpm ERR! 404 Not Found\n", "npm ERR! code E404; npm ERR! 404 Not Found");
        says("[INFO] x\n[ERROR] bad\n[ERROR] bad\n", "[ERROR] bad");
        says("one\ntwo\nthree\nfour\nfive\n\n", "two; three; four; five");
        says("", "");
        says("error: \xc3\xa9\x1b\n", "error: \xc3\xa9");
}

static void long_words_are_cut_at_a_character(void **state)
{
        char words[16];

        (void)state;
        inside_deps_reason(STR("error: \xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"), words,
                           sizeof(words));
        assert_true(strlen(words) < sizeof(words));
        assert_true(str_is_utf8(str_of(words)));
        assert_non_null(strstr(words, "..."));
}

static void an_os_names_itself(void **state)
{
        struct str text = STR("NAME=x\nID=debian\nVERSION_ID=\"12\"\n");

        (void)state;
        assert_true(str_eq(catalogue_os(text, STR("ID")), STR("debian")));
        assert_true(str_eq(catalogue_os(text, STR("VERSION_ID")), STR("12")));
        assert_int_equal(catalogue_os(text, STR("VERSION")).len, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(debs_that_are_installed),
                cmocka_unit_test(packages_of_alpine),
                cmocka_unit_test(packages_of_python),
                cmocka_unit_test(packages_of_npm),
                cmocka_unit_test(packages_of_maven),
                cmocka_unit_test(origins_of_debs),
                cmocka_unit_test(the_words_of_a_failed_installer),
                cmocka_unit_test(long_words_are_cut_at_a_character),
                cmocka_unit_test(an_os_names_itself),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
