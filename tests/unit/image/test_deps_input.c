/* The records that tell a job what to install. */
#include "image/deps_input.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void what_is_added_comes_out_again(void **state)
{
        own_buf struct buf buf = {.max = DEPS_INPUT_MAX};
        struct deps_record record;

        (void)state;
        assert_int_equal(deps_input_add(&buf, DEPS_FILE, STR("requirements.txt"), STR("a\nb\n"), NULL),
                         ERR_OK);
        assert_int_equal(deps_input_add(&buf, DEPS_VARIABLE, STR("NAME"), STR(""), NULL), ERR_OK);
        struct str input = {buf.data, buf.len};
        assert_int_equal(deps_input_next(&input, &record, NULL), ERR_OK);
        assert_int_equal(record.type, DEPS_FILE);
        assert_string_equal(record.name.p, "requirements.txt");
        assert_string_equal(record.value.p, "a\nb\n");
        assert_int_equal(deps_input_next(&input, &record, NULL), ERR_OK);
        assert_string_equal(record.name.p, "NAME");
        assert_int_equal(record.value.len, 0);
        assert_int_equal(deps_input_next(&input, &record, NULL), ERR_NOT_FOUND);
}

static void what_is_no_record_is_refused(void **state)
{
        static const struct str bad[] = {STR_INIT("X\0\0"), STR_INIT("Fname"), STR_INIT("Fname\0value"),
                                         STR_INIT("F\0value\0")};
        own_buf struct buf buf = {.max = DEPS_INPUT_MAX};
        struct deps_record record;

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                struct str input = bad[i];
                assert_int_equal(deps_input_next(&input, &record, NULL), ERR_INVALID);
        }
        assert_int_equal(deps_input_add(&buf, DEPS_FILE, STR("a"), STR("x\0y"), NULL), ERR_INVALID);
        assert_int_equal(buf.len, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_added_comes_out_again),
                cmocka_unit_test(what_is_no_record_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
