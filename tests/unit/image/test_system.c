/* tests/unit/image/test_system.c: what the jobs of system dependencies are told. */
#include "image/system.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum err_code input(const char *packages, struct buf *out, struct err *err)
{
        json_t *list = json_loads(packages, 0, NULL);

        assert_non_null(list);
        *out = (struct buf){.max = IMAGE_SYSTEM_INPUT_MAX};
        enum err_code code = image_system_input(list, out, err);
        json_decref(list);
        return code;
}

static void packages_are_sorted_and_each_there_once(void **state)
{
        struct buf out;

        (void)state;
        assert_int_equal(
                input("[{\"name\":\"zip\"},{\"name\":\"curl\",\"version\":\"7.88\"},{\"name\":\"zip\"},"
                      "{\"name\":\"git\",\"version\":\"\"}]",
                      &out, NULL),
                ERR_OK);
        assert_string_equal(buf_text(&out), "curl=7.88\ngit\nzip\n");
        buf_finish(&out);
}

static void what_is_no_package_is_named(void **state)
{
        static const struct {
                const char *packages, *said;
        } cases[] = {
                {"[{\"name\":\"--yes\"}]", "'--yes' is no name and version of a Debian package"},
                {"[{\"name\":\"a b\"}]", "'a b' is no name"},
                {"[{\"name\":\"curl=1\"}]", "'curl=1' is no name"},
                {"[{\"name\":\"curl\",\"version\":\"1;2\"}]", "'curl=1;2' is no name"},
                {"[{\"version\":\"1\"}]", "without a name"},
                {"[{\"name\":\"curl\",\"version\":\"1\"},{\"name\":\"curl\"}]", "'curl' with two versions"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct buf out;
                struct err err;

                assert_int_equal(input(cases[i].packages, &out, &err), ERR_INVALID);
                if (strstr(err.text, cases[i].said) == NULL)
                        fail_msg("%s: %s", cases[i].packages, err.text);
                buf_finish(&out);
        }
}

static void a_root_takes_the_place_of_a_builtin_image_alone(void **state)
{
        json_t *builtin = json_pack("[s]", "builtin-python3-0123"),
               *foreign = json_pack("[s,s]", "oci-1", "oci-2"), *none = json_array();
        char name[SPAWN_NAME_MAX];

        (void)state;
        assert_true(image_system_root(builtin, name));
        assert_string_equal(name, "debroot-python3-0123");
        assert_false(image_system_root(foreign, name));
        assert_false(image_system_root(none, name));
        json_decref(builtin);
        json_decref(foreign);
        json_decref(none);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(packages_are_sorted_and_each_there_once),
                cmocka_unit_test(what_is_no_package_is_named),
                cmocka_unit_test(a_root_takes_the_place_of_a_builtin_image_alone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
