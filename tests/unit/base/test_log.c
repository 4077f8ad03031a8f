/* tests/unit/base/test_log.c: log lines and the clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"

#include <fcntl.h>
#include <string.h>

/* What `write_line` writes to standard error. */
static size_t captured(void (*write_line)(void), char *out, size_t size)
{
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        own_fd int reader = fds[0];
        own_fd int kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        assert_true(kept >= 0);
        assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
        close(fds[1]);
        write_line();
        assert_true(dup2(kept, STDERR_FILENO) >= 0);
        ssize_t n = read(reader, out, size - 1);
        assert_true(n >= 0);
        out[n] = '\0';
        return (size_t)n;
}

static void write_fields(void)
{
        const struct log_field fields[] = {{"function", "hello"},
                                           {"none", NULL},
                                           {"empty", ""},
                                           {"text", "a \"b\"\nlevel=error\x1b[0m"}};

        log_fields(LOG_INFO, fields, 4, "ready %d", 1);
}

static void a_line_has_its_fields_and_nothing_can_forge_another(void **state)
{
        char line[8192];

        (void)state;
        captured(write_fields, line, sizeof(line));
        assert_memory_equal(line, "time=\"20", 8);
        assert_non_null(strstr(line, " level=info msg=\"ready 1\" function=hello empty=\"\" "
                                     "text=\"a \\\"b\\\"\\nlevel=error\\x1b[0m\"\n"));
        assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void write_long(void)
{
        log_error("%09000d", 0);
}

static void a_long_line_is_cut_but_ends(void **state)
{
        char line[8192];

        (void)state;
        size_t len = captured(write_long, line, sizeof(line));
        assert_true(len <= 4096);
        assert_int_equal(line[len - 1], '\n');
}

static void write_debug(void)
{
        log_debug("not shown");
}

static void lines_below_the_level_are_dropped(void **state)
{
        char line[256];

        (void)state;
        log_level_set(LOG_INFO);
        assert_int_equal(captured(write_debug, line, sizeof(line)), 0);
        log_level_set(LOG_DEBUG);
        assert_true(captured(write_debug, line, sizeof(line)) > 0);
        log_level_set(LOG_INFO);
}

static void times_are_written_as_rfc_3339(void **state)
{
        static const struct {
                int64_t us;
                const char *text;
        } rows[] = {
                {0, "1970-01-01T00:00:00.000000Z"},
                {1538689412123456, "2018-10-04T21:43:32.123456Z"},
                {-1, "1969-12-31T23:59:59.999999Z"},
                {-1000000, "1969-12-31T23:59:59.000000Z"},
                {-62135596800000000, "0001-01-01T00:00:00.000000Z"},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                char text[CLOCK_RFC3339_LEN];
                clock_rfc3339(rows[i].us, text);
                assert_string_equal(text, rows[i].text);
        }
}

static void the_monotonic_clock_does_not_go_back(void **state)
{
        uint64_t last = clock_mono_us();

        (void)state;
        for (int i = 0; i < 1000; i++) {
                uint64_t now = clock_mono_us();
                assert_true(now >= last);
                last = now;
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_line_has_its_fields_and_nothing_can_forge_another),
                cmocka_unit_test(a_long_line_is_cut_but_ends),
                cmocka_unit_test(lines_below_the_level_are_dropped),
                cmocka_unit_test(times_are_written_as_rfc_3339),
                cmocka_unit_test(the_monotonic_clock_does_not_go_back),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
