/* tests/unit/build/test_system.c: what apt-get is asked for, and what is made of its answers. */
#include "build/system.h"

#include "build/catalogue.h"
#include "image/deb_name.h"
#include "support.h"

#include <string.h>

static void test_names_and_versions_of_packages(void **state)
{
        static const char *const good[] = {
                "curl", "libstdc++6", "g++", "libc6:amd64", "curl=7.88.1-10+deb12u8", "x11-apps=1:7.7~rc1",
                "0ad"};
        static const char *const bad[] = {
                "",         "c",     "--option", "-y",     "curl-",       "curl=",      "curl=-1",
                "curl=1 2", "cu rl", "curl;id",  "../x",   "./local.deb", "/x.deb",     "curl/testing",
                "a=b=c=",   "lib*",  "^task",    "curl\n", "+x",          "libc6:am d", "libc6:"};

        (void)state;
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
                if (!deb_name_valid(str_of(good[i])))
                        fail_msg("%s", good[i]);
        }
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                if (deb_name_valid(str_of(bad[i])))
                        fail_msg("%s", bad[i]);
        }
}

static void test_catalogue_of_what_is_new(void **state)
{
        struct buf out = {.max = SYSTEM_CATALOGUE_MAX}, origins = {.max = CATALOGUE_ORIGINS_MAX};

        (void)state;
        assert_int_equal(
                system_catalogue(
                        STR("ii \tbase\t1\tall\nii \tgrown\t1\tamd64\n"),
                        STR("ii \tbase\t1\tall\nii \tgrown\t2\tamd64\nii \tnew\t1:1.0~rc\tamd64\n"
                            "rc \tremoved\t1\tall\nii \te\"vil\t1\tall\nii \tmore\nrubbish"),
                        STR("Reading...\n'http://m/pool/new_1%3a1.0~rc_amd64.deb' new_1%3a1.0~rc_amd64.deb "
                            "1 x\n'http://m/\"' grown_2_amd64.deb 1 x\n'"),
                        &out, &origins, NULL),
                ERR_OK);
        assert_string_equal(buf_text(&out),
                            "{\"packages\":[{\"type\":\"deb\",\"name\":\"grown\",\"version\":\"2\","
                            "\"architecture\":\"amd64\","
                            "\"origin\":\"\"},{\"type\":\"deb\",\"name\":\"new\",\"version\":\"1:1.0~rc\","
                            "\"architecture\":"
                            "\"amd64\",\"origin\":\"http://m/pool/new_1%3a1.0~rc_amd64.deb\"}]}");
        assert_string_equal(buf_text(&origins),
                            "new\t1:1.0~rc\tamd64\thttp://m/pool/new_1%3a1.0~rc_amd64.deb\n");
        buf_clear(&out);
        assert_int_equal(system_catalogue(STR(""), STR(""), STR(""), &out, &origins, NULL), ERR_OK);
        assert_string_equal(buf_text(&out), "{\"packages\":[]}");
        buf_finish(&out);
        buf_finish(&origins);
}

static void test_origins_have_no_passwords(void **state)
{
        static const char *const uris[][2] = {
                {"https://me:se%40cret@host:8/x_1_all.deb", "https://host:8/x_1_all.deb"},
                {"https://a@b:c@host/@/x.deb", "https://host/@/x.deb"},
                {"file:/repo/x.deb", "file:/repo/x.deb"},
                {"http://host/a:b@c/x.deb", "http://host/a:b@c/x.deb"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
                struct buf out = {.max = SYSTEM_CATALOGUE_MAX}, origins = {.max = CATALOGUE_ORIGINS_MAX};
                char line[256], wanted[256];

                snprintf(line, sizeof(line), "'%s' x_1_all.deb 1 y\n", uris[i][0]);
                snprintf(wanted, sizeof(wanted), "x\t1\tall\t%s\n", uris[i][1]);
                assert_int_equal(system_catalogue(STR(""), STR("ii \tx\t1\tall\n"), str_of(line), &out,
                                                  &origins, NULL),
                                 ERR_OK);
                assert_string_equal(buf_text(&origins), wanted);
                buf_finish(&out);
                buf_finish(&origins);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names_and_versions_of_packages),
                cmocka_unit_test(test_catalogue_of_what_is_new),
                cmocka_unit_test(test_origins_have_no_passwords),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
