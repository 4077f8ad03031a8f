/* tests/unit/cli/flags_test.c: command lines by a small tree, and the promises of the real one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/cli.h"

static enum err_code nothing(struct cli *cli, struct err *err)
{
        (void)cli;
        (void)err;
        return ERR_OK;
}

static const struct flag leaf_flags[] = {
        {"method", 'm', FLAG_STRINGS, NULL, "methods", false},
        {"all", 'a', FLAG_BOOL, NULL, "all of it", false},
        {"brief", 'b', FLAG_BOOL, NULL, "less of it", false},
        {"count", 'c', FLAG_NUMBER, "1", "how many", false},
        {"wait", '\0', FLAG_DURATION, "10m", "how long", false},
        {"env", 'e', FLAG_PAIRS, NULL, "variables", false},
        {.name = NULL},
};
static const struct command leaves[] = {
        {.name = "thing",
         .aliases = {"things"},
         .args = "NAME [PATH]",
         .args_min = 1,
         .args_max = 2,
         .brief = "Make a thing",
         .flags = leaf_flags,
         .run = nothing},
        {.name = NULL},
};
static const struct command branches[] = {{.name = "make", .brief = "Make", .commands = leaves},
                                          {.name = NULL}};
static const struct command root = {.name = "tool", .brief = "A tool", .commands = branches};

static struct args args;
static struct err err;

#define PARSE(...)                                                                                           \
        parse((char *[]){"tool", __VA_ARGS__},                                                               \
              (int)(sizeof((char *[]){"tool", __VA_ARGS__}) / sizeof(char *)))

static enum err_code parse(char *argv[], int argc)
{
        return args_parse(&root, argc, argv, &args, &err);
}

static void a_command_is_found_by_name_and_alias(void **state)
{
        (void)state;
        assert_int_equal(PARSE("make", "things", "a"), ERR_OK);
        assert_int_equal(args.depth, 3);
        assert_ptr_equal(args_command(&args), &leaves[0]);
        assert_int_equal(args.count, 1);
        assert_string_equal(args.values[0], "a");
}

static void flags_stand_anywhere(void **state)
{
        (void)state;
        assert_int_equal(PARSE("--host", "h", "make", "-o", "json", "thing", "a", "--all", "b"), ERR_OK);
        assert_string_equal(args_text(&args, "host"), "h");
        assert_string_equal(args_text(&args, "output"), "json");
        assert_true(args_bool(&args, "all"));
        assert_int_equal(args.count, 2);
        assert_string_equal(args.values[1], "b");
        assert_int_equal(args_check(&args, &err), ERR_OK);
}

static void short_flags_combine_and_carry_values(void **state)
{
        int at = 0;

        (void)state;
        assert_int_equal(PARSE("make", "thing", "-abmGET", "-m", "PUT", "-m=POST", "-ac", "7", "x"), ERR_OK);
        assert_true(args_bool(&args, "all"));
        assert_true(args_bool(&args, "brief"));
        assert_string_equal(args_next(&args, "method", &at), "GET");
        assert_string_equal(args_next(&args, "method", &at), "PUT");
        assert_string_equal(args_next(&args, "method", &at), "POST");
        assert_null(args_next(&args, "method", &at));

        int64_t count = 0;
        assert_true(args_number(&args, "count", &count));
        assert_int_equal(count, 7);
        assert_int_equal(args.count, 1);
}

static void a_boolean_takes_a_value_only_behind_equals(void **state)
{
        (void)state;
        assert_int_equal(PARSE("make", "thing", "--all=false", "true"), ERR_OK);
        assert_false(args_bool(&args, "all"));
        assert_string_equal(args_text(&args, "all"), "false");
        assert_string_equal(args.values[0], "true");
        assert_int_equal(PARSE("make", "thing", "--all=maybe"), ERR_INVALID);
}

static void two_dashes_end_the_flags(void **state)
{
        (void)state;
        assert_int_equal(PARSE("make", "thing", "--", "--all", "-"), ERR_OK);
        assert_false(args_bool(&args, "all"));
        assert_string_equal(args.values[0], "--all");
        assert_string_equal(args.values[1], "-");
}

static void errors_are_worded_like_cobras(void **state)
{
        (void)state;
        assert_int_equal(PARSE("make", "thing", "--nope=1"), ERR_INVALID);
        assert_string_equal(err.text, "unknown flag: --nope");
        assert_int_equal(PARSE("make", "thing", "-az"), ERR_INVALID);
        assert_string_equal(err.text, "unknown shorthand flag: 'z' in -az");
        assert_int_equal(PARSE("make", "thing", "--count"), ERR_INVALID);
        assert_string_equal(err.text, "flag needs an argument: --count");
        assert_int_equal(PARSE("make", "thing", "-c"), ERR_INVALID);
        assert_string_equal(err.text, "flag needs an argument: 'c' in -c");
        assert_int_equal(PARSE("burn"), ERR_NOT_FOUND);
        assert_string_equal(err.text, "unknown command \"burn\" for \"tool\"");
}

static void values_are_checked_by_type(void **state)
{
        static const char *const bad[] = {
                "--count=-1", "--count=1.5", "--count=",   "--count=99999999999999999999",
                "--wait=5x",  "--wait=",     "--wait=-1s", "--env=novalue",
                "--env==x"};

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_int_equal(PARSE("make", "thing", (char *)bad[i]), ERR_INVALID);
        assert_int_equal(PARSE("make", "thing", "--env=A=", "--wait=1h30m", "x"), ERR_OK);
}

static void durations_add_up(void **state)
{
        int64_t ms = 0;

        (void)state;
        assert_true(flag_parse_duration_ms("1h30m", &ms));
        assert_int_equal(ms, 5400000);
        assert_true(flag_parse_duration_ms("250ms", &ms));
        assert_int_equal(ms, 250);
        assert_true(flag_parse_duration_ms("90", &ms));
        assert_int_equal(ms, 90000);
        assert_false(flag_parse_duration_ms("9223372036854775807h", &ms));
        assert_false(flag_parse_duration_ms("m", &ms));
}

static void the_number_of_arguments_is_checked(void **state)
{
        (void)state;
        assert_int_equal(PARSE("make", "thing"), ERR_OK);
        assert_int_equal(args_check(&args, &err), ERR_INVALID);
        assert_string_equal(err.text, "accepts between 1 and 2 arg(s), received 0");
}

static void too_many_flags_are_an_error_not_an_overflow(void **state)
{
        static char *argv[ARGS_VALUES_MAX + 8] = {"tool", "make", "thing"};

        (void)state;
        for (int i = 3; i < ARGS_VALUES_MAX + 8; i++)
                argv[i] = "-a";
        assert_int_equal(parse(argv, ARGS_VALUES_MAX + 8), ERR_LIMIT);
        for (int i = 3; i < ARGS_VALUES_MAX + 8; i++)
                argv[i] = "a";
        assert_int_equal(parse(argv, ARGS_VALUES_MAX + 8), ERR_LIMIT);
}

static void help_lists_what_the_table_has(void **state)
{
        char *text = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);

        (void)state;
        assert_int_equal(PARSE("make", "thing", "-h"), ERR_OK);
        assert_true(args.help);
        help_print(out, &args);
        fclose(out);
        assert_non_null(strstr(text,
                               "Make a thing\n\nUsage:\n  tool make thing NAME [PATH] [flags]\n\n"
                               "Aliases:\n  thing, things\n\nFlags:\n  -m, --method strings   methods\n"));
        assert_non_null(strstr(text, "      --wait duration    how long (default 10m)\n"));
        assert_non_null(strstr(text, "  -h, --help             help for thing\n\nGlobal Flags:\n"));
        free(text);
}

/* No two commands of a level answer to one word, no two flags of a command to one name or letter. */
static void check_command(const struct command *command)
{
        for (const struct command *a = command->commands; a != NULL && a->name != NULL; a++) {
                assert_non_null(a->brief);
                assert_true(a->run != NULL || a->commands != NULL);
                assert_true(a->args_min <= a->args_max);
                for (const struct command *b = a + 1; b->name != NULL; b++)
                        assert_string_not_equal(a->name, b->name);
                check_command(a);
        }
        for (const struct flag *a = command->flags; a != NULL && a->name != NULL; a++) {
                for (const struct flag *b = a + 1; b->name != NULL; b++) {
                        assert_string_not_equal(a->name, b->name);
                        assert_true(a->letter == '\0' || a->letter != b->letter);
                }
                for (const struct flag *b = flags_global; b->name != NULL; b++) {
                        assert_string_not_equal(a->name, b->name);
                        assert_true(a->letter == '\0' || a->letter != b->letter);
                }
        }
}

static void the_real_tree_is_unambiguous(void **state)
{
        (void)state;
        check_command(&cli_commands);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_command_is_found_by_name_and_alias),
                cmocka_unit_test(flags_stand_anywhere),
                cmocka_unit_test(short_flags_combine_and_carry_values),
                cmocka_unit_test(a_boolean_takes_a_value_only_behind_equals),
                cmocka_unit_test(two_dashes_end_the_flags),
                cmocka_unit_test(errors_are_worded_like_cobras),
                cmocka_unit_test(values_are_checked_by_type),
                cmocka_unit_test(durations_add_up),
                cmocka_unit_test(the_number_of_arguments_is_checked),
                cmocka_unit_test(too_many_flags_are_an_error_not_an_overflow),
                cmocka_unit_test(help_lists_what_the_table_has),
                cmocka_unit_test(the_real_tree_is_unambiguous),
        };

        return cmocka_run_group_tests_name("cli flags", tests, NULL, NULL);
}
