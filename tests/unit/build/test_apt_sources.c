/* tests/unit/build/test_apt_sources.c: the host's own release among the sources of apt. */
#include "build/apt_sources.h"

#include "support.h"

#include <string.h>

static void list(const char *text, const char *wanted)
{
        struct buf out = {.max = APT_SOURCES_MAX};

        assert_int_equal(apt_sources_list(str_of(text), STR("bookworm"), &out, NULL), ERR_OK);
        assert_string_equal(buf_text(&out), wanted);
        buf_finish(&out);
}

static void stanzas(const char *text, const char *wanted)
{
        struct buf out = {.max = APT_SOURCES_MAX};

        assert_int_equal(apt_sources_deb822(str_of(text), STR("bookworm"), &out, NULL), ERR_OK);
        assert_string_equal(buf_text(&out), wanted);
        buf_finish(&out);
}

static void test_lines_of_the_release_and_its_updates(void **state)
{
        (void)state;
        list("# deb http://a bookworm main\n"
             "deb http://deb.debian.org/debian bookworm main contrib # all of it\n"
             "deb-src http://deb.debian.org/debian bookworm main\n"
             "deb [ arch=amd64 signed-by=/usr/share/keyrings/k.gpg ] https://mirror/debian bookworm-updates "
             "main\n"
             "deb http://security.debian.org/debian-security bookworm-security main\n"
             "deb http://deb.debian.org/debian bookworm-backports main\n"
             "deb http://deb.debian.org/debian trixie main\n"
             "deb https://packages.example.com/apt vendor-bookworm main",
             "deb http://deb.debian.org/debian bookworm main contrib\n"
             "deb [signed-by=/usr/share/keyrings/k.gpg] https://mirror/debian bookworm-updates main\n"
             "deb http://security.debian.org/debian-security bookworm-security main\n");
        list("", "");
        list("deb\ndeb [\ndeb http://a\n", "");
}

static void test_stanzas_of_the_release(void **state)
{
        (void)state;
        stanzas("Types: deb deb-src\nURIs: http://deb.debian.org/debian http://other/debian\n"
                "Suites: bookworm bookworm-updates\n bookworm-backports\nComponents: main\n"
                "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n"
                "# a vendor\nTypes: deb\nURIs: https://deb.example.com\nSuites: nodistro\nComponents: "
                "main\n\n"
                "Types: deb\nURIs: http://off/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n\n"
                "types: deb\nuris: http://key/debian\nsuites: bookworm\ncomponents: main\nsigned-by:\n"
                " -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n -----END PGP PUBLIC KEY BLOCK-----",
                "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian "
                "bookworm main\n"
                "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian "
                "bookworm-updates main\n"
                "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://other/debian bookworm "
                "main\n"
                "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://other/debian "
                "bookworm-updates main\n"
                "deb http://key/debian bookworm main\n");
        stanzas("\n\n", "");
        stanzas("no colon\nTypes\n", "");
}

static void test_names_of_a_release(void **state)
{
        struct str id, codename;

        (void)state;
        apt_sources_release(STR("PRETTY_NAME=\"x\"\nID=debian\nVERSION_CODENAME=bookworm\n"), &id, &codename);
        assert_true(str_eq(id, STR("debian")));
        assert_true(str_eq(codename, STR("bookworm")));
        apt_sources_release(STR("ID=\"alpine\"\n"), &id, &codename);
        assert_true(str_eq(id, STR("alpine")));
        assert_int_equal(codename.len, 0);
}

static void test_all_files_of_a_host_in_order(void **state)
{
        struct place place;
        struct buf out = {.max = APT_SOURCES_MAX};

        (void)state;
        place_make(&place);
        assert_int_equal(apt_sources_read(place.out_fd, STR("bookworm"), &out, NULL), ERR_OK);
        assert_int_equal(out.len, 0);
        put_text(place.out_fd, "etc/apt/sources.list", "deb http://one bookworm main\n");
        put_text(place.out_fd, "etc/apt/sources.list.d/b.sources",
                 "Types: deb\nURIs: http://three\nSuites: bookworm\nComponents: main\n");
        put_text(place.out_fd, "etc/apt/sources.list.d/a.list", "deb http://two bookworm main\n");
        put_text(place.out_fd, "etc/apt/sources.list.d/c.list.save", "deb http://four bookworm main\n");
        assert_int_equal(apt_sources_read(place.out_fd, STR("bookworm"), &out, NULL), ERR_OK);
        assert_string_equal(buf_text(&out), "deb http://one bookworm main\ndeb http://two bookworm main\n"
                                            "deb http://three bookworm main\n");
        buf_finish(&out);
        place_clear(&place);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lines_of_the_release_and_its_updates),
                cmocka_unit_test(test_stanzas_of_the_release),
                cmocka_unit_test(test_names_of_a_release),
                cmocka_unit_test(test_all_files_of_a_host_in_order),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
