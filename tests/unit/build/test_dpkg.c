/* tests/unit/build/test_dpkg.c: dpkg's database and what packages need, on databases made for the purpose. */
#include "build/closure.h"
#include "build/dpkg.h"

#include "base/own.h"
#include "support.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static void parse(struct dpkg *dpkg, const char *status, const char *diversions)
{
        struct buf first, second;
        struct err err = {0};

        buf_init(&first, DPKG_STATUS_MAX);
        buf_init(&second, DPKG_LIST_MAX);
        assert_int_equal(buf_append_text(&first, status), ERR_OK);
        assert_int_equal(buf_append_text(&second, diversions), ERR_OK);
        if (dpkg_parse(&first, &second, dpkg, &err) != ERR_OK)
                fail_msg("%s", err.text);
}

#define INSTALLED "Status: install ok installed\n"
#define AMD64     INSTALLED "Architecture: amd64\n"

/* The names of a closure, with blanks between, in the order of the database. */
static const char *names(const struct closure *closure)
{
        static char text[1024];
        size_t used = 0;

        text[0] = '\0';
        for (size_t i = 0; i < closure->dpkg->package_count; i++)
                if (closure->chosen[i])
                        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%.*s",
                                                 used > 0 ? " " : "",
                                                 STR_ARG(closure->dpkg->packages[i].name));
        return text;
}

static void closure_is(const char *status, const char *roots, const char *expected)
{
        struct dpkg dpkg;
        struct closure closure;
        struct err err = {0};

        parse(&dpkg, status, "");
        assert_int_equal(closure_init(&closure, &dpkg, &err), ERR_OK);
        if (closure_add(&closure, str_of(roots), false, &err) != ERR_OK)
                fail_msg("%s", err.text);
        assert_string_equal(names(&closure), expected);
        closure_finish(&closure);
        dpkg_finish(&dpkg);
}

static void closure_fails(const char *status, const char *roots, const char *expected)
{
        struct dpkg dpkg;
        struct closure closure;
        struct err err = {0};

        parse(&dpkg, status, "");
        assert_int_equal(closure_init(&closure, &dpkg, &err), ERR_OK);
        assert_int_equal(closure_add(&closure, str_of(roots), false, &err), ERR_UNAVAILABLE);
        assert_string_equal(err.text, expected);
        closure_finish(&closure);
        dpkg_finish(&dpkg);
}

static void reads_installed_packages_only(void **state)
{
        struct dpkg dpkg;

        (void)state;
        parse(&dpkg,
              "Package: b\n" AMD64 "Version: 1:2.0-1\n\n"
              "Package: removed\nStatus: deinstall ok config-files\n\n"
              "Package: half\nStatus: install ok half-installed\n\n"
              "Package: pending\nStatus: install ok triggers-pending\n\n"
              "Package: held\nStatus: hold ok installed\n\n\n"
              "Package: a\n" INSTALLED "Description: short\n long\n .\n Package: not-a-field\n",
              "");
        assert_int_equal(dpkg.package_count, 4);
        assert_true(str_eq(dpkg.packages[0].name, STR("a")));
        assert_true(str_eq(dpkg.packages[1].name, STR("b")));
        assert_true(str_eq(dpkg.packages[1].version, STR("1:2.0-1")));
        assert_true(str_eq(dpkg.packages[2].name, STR("held")));
        assert_true(str_eq(dpkg.packages[3].name, STR("pending")));
        dpkg_finish(&dpkg);
}

static void reads_nothing_as_no_packages(void **state)
{
        struct dpkg dpkg;

        (void)state;
        parse(&dpkg, "", "");
        assert_int_equal(dpkg.package_count, 0);
        assert_int_equal(dpkg_find(&dpkg, STR("x")), -1);
        dpkg_finish(&dpkg);
        parse(&dpkg, "\n\n:\nPackage\n\nPackage:\nStatus: install ok installed", "");
        assert_int_equal(dpkg.package_count, 0);
        dpkg_finish(&dpkg);
}

static void prefers_the_hosts_own_architecture(void **state)
{
        struct dpkg dpkg;

        (void)state;
        parse(&dpkg,
              "Package: dpkg\n" AMD64 "\n"
              "Package: lib\n" INSTALLED "Architecture: i386\n\n"
              "Package: lib\n" AMD64 "\n"
              "Package: text\n" INSTALLED "Architecture: all\n\n"
              "Package: old\n" INSTALLED "Architecture: i386\n",
              "");
        assert_true(str_eq(dpkg.architecture, STR("amd64")));
        assert_true(str_eq(dpkg.packages[dpkg_find(&dpkg, STR("lib"))].architecture, STR("amd64")));
        assert_true(str_eq(dpkg.packages[dpkg_find(&dpkg, STR("lib:any"))].architecture, STR("amd64")));
        assert_true(str_eq(dpkg.packages[dpkg_find(&dpkg, STR("lib:i386"))].architecture, STR("i386")));
        assert_int_equal(dpkg_find(&dpkg, STR("lib:arm64")), -1);
        assert_true(dpkg_find(&dpkg, STR("text:amd64")) >= 0);
        assert_true(dpkg_find(&dpkg, STR("old")) >= 0);
        dpkg_finish(&dpkg);
}

static void follows_depends_and_pre_depends_round_circles(void **state)
{
        (void)state;
        closure_is("Package: a\n" AMD64 "Depends: b (>= 1.0~), c:any (<< 2) [amd64]\nPre-Depends: d\n\n"
                   "Package: b\n" AMD64 "Depends: a\n\n"
                   "Package: c\n" AMD64 "Recommends: e\n\n"
                   "Package: d\n" AMD64 "\nPackage: e\n" AMD64,
                   "a", "a b c d");
}

static void reads_folded_fields(void **state)
{
        (void)state;
        closure_is("Package: a\n" AMD64 "Depends: b,\n c |\n  d\n\nPackage: b\n" AMD64 "\nPackage: d\n" AMD64,
                   "a", "a b d");
}

static void takes_the_first_alternative_that_is_installed(void **state)
{
        (void)state;
        closure_is("Package: a\n" AMD64 "Depends: none | second (>= 3) | third\n\n"
                   "Package: second\n" AMD64 "\nPackage: third\n" AMD64,
                   "a", "a second");
}

static void takes_a_provider_for_a_virtual_name(void **state)
{
        (void)state;
        closure_is("Package: a\n" AMD64 "Depends: awk\n\n"
                   "Package: mawk\n" AMD64 "Provides: awk (= 1), other\n\n"
                   "Package: gawk\n" AMD64 "Provides: awk\n",
                   "a", "a gawk");
        /* one that is in the set already before another */
        closure_is("Package: a\n" AMD64 "Depends: awk\n\n"
                   "Package: mawk\n" AMD64 "Provides: awk (= 1), other\n\n"
                   "Package: gawk\n" AMD64 "Provides: awk\n",
                   "mawk, a", "a mawk");
        /* and a real package of that name before any */
        closure_is("Package: a\n" AMD64 "Depends: awk | mawk\n\nPackage: mawk\n" AMD64 "\n"
                   "Package: gawk\n" AMD64 "Provides: awk\n",
                   "a", "a mawk");
}

static void leaves_the_package_manager_out(void **state)
{
        (void)state;
        closure_is("Package: a\n" AMD64
                   "Pre-Depends: dpkg (>= 1.13)\nDepends: debconf (>= 0.5) | debconf-2.0, b\n\n"
                   "Package: b\n" AMD64 "Depends: perl:any\n\n"
                   "Package: debconf\n" AMD64 "Depends: perl-base\n\nPackage: dpkg\n" AMD64 "Depends: tar\n\n"
                   "Package: tar\n" AMD64,
                   "a", "a b");
}

static void says_what_to_install(void **state)
{
        (void)state;
        closure_fails("Package: a\n" AMD64, "a, python3 | pypy3",
                      "no python3 on this host: install it with 'apt-get install python3'");
}

static void says_that_a_package_lacks_what_it_needs(void **state)
{
        (void)state;
        closure_fails("Package: a\n" AMD64 "Depends: b (>= 1)\n", "a",
                      "package a needs b, which is not installed: repair the host's packages with 'apt-get "
                      "--fix-broken install'");
}

static void leaves_out_optional_names_that_are_missing(void **state)
{
        struct dpkg dpkg;
        struct closure closure;

        (void)state;
        parse(&dpkg, "Package: a\n" AMD64 "Depends: b\n\nPackage: b\n" AMD64, "");
        assert_int_equal(closure_init(&closure, &dpkg, NULL), ERR_OK);
        assert_int_equal(closure_add(&closure, STR("none, a, also-none"), true, NULL), ERR_OK);
        assert_string_equal(names(&closure), "a b");
        closure_finish(&closure);
        dpkg_finish(&dpkg);
}

static void finds_diversions_by_others(void **state)
{
        struct dpkg dpkg;
        const struct dpkg_diversion *found;
        struct dpkg_package dash = {.name = STR_INIT("dash")}, other = {.name = STR_INIT("other")};

        (void)state;
        parse(&dpkg, "", "/bin/sh\n/bin/sh.distrib\ndash\n/usr/bin/x\n/usr/bin/x.real\n:\n");
        assert_null(dpkg_diverted(&dpkg, &dash, STR("/bin/sh")));
        found = dpkg_diverted(&dpkg, &other, STR("/bin/sh"));
        assert_non_null(found);
        assert_true(str_eq(found->to, STR("/bin/sh.distrib")));
        assert_non_null(dpkg_diverted(&dpkg, &dash, STR("/usr/bin/x")));
        assert_null(dpkg_diverted(&dpkg, &dash, STR("/usr/bin/y")));
        dpkg_finish(&dpkg);
}

static void refuses_diversions_that_are_cut_off(void **state)
{
        struct buf first, second;
        struct dpkg dpkg;
        struct err err = {0};

        (void)state;
        buf_init(&first, 100);
        buf_init(&second, 100);
        assert_int_equal(buf_append_text(&second, "/bin/sh\n/bin/sh.distrib\n"), ERR_OK);
        assert_int_equal(dpkg_parse(&first, &second, &dpkg, &err), ERR_CORRUPT);
}

static void finds_lists_with_and_without_an_architecture(void **state)
{
        struct place place;
        struct dpkg_package plain = {.name = STR_INIT("a"), .architecture = STR_INIT("amd64")};
        struct dpkg_package same = {.name = STR_INIT("lib"), .architecture = STR_INIT("amd64")};
        struct dpkg_package none = {.name = STR_INIT("none"), .architecture = STR_INIT("amd64")};
        own_buf struct buf list;

        (void)state;
        buf_init(&list, 1000);
        place_make(&place);
        put_text(place.out_fd, "info/a.list", "/.\n/a\n");
        put_text(place.out_fd, "info/lib:amd64.list", "/lib\n");
        assert_int_equal(dpkg_files(place.out_fd, &plain, &list, NULL), ERR_OK);
        assert_int_equal(list.len, 6);
        buf_clear(&list);
        assert_int_equal(dpkg_files(place.out_fd, &same, &list, NULL), ERR_OK);
        assert_int_equal(list.len, 5);
        assert_int_equal(dpkg_files(place.out_fd, &none, &list, NULL), ERR_NOT_FOUND);
        place_clear(&place);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_installed_packages_only),
                cmocka_unit_test(reads_nothing_as_no_packages),
                cmocka_unit_test(prefers_the_hosts_own_architecture),
                cmocka_unit_test(follows_depends_and_pre_depends_round_circles),
                cmocka_unit_test(reads_folded_fields),
                cmocka_unit_test(takes_the_first_alternative_that_is_installed),
                cmocka_unit_test(takes_a_provider_for_a_virtual_name),
                cmocka_unit_test(leaves_the_package_manager_out),
                cmocka_unit_test(says_what_to_install),
                cmocka_unit_test(says_that_a_package_lacks_what_it_needs),
                cmocka_unit_test(leaves_out_optional_names_that_are_missing),
                cmocka_unit_test(finds_diversions_by_others),
                cmocka_unit_test(refuses_diversions_that_are_cut_off),
                cmocka_unit_test(finds_lists_with_and_without_an_architecture),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
