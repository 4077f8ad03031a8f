/* tests/unit/image/test_builder.c: build jobs against a spawn that does what each test wants of it. */
#include "image/builder.h"

#include "base/own.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cmocka.h>

struct fixture {
        struct loop *loop;
        struct builder *builder;
        int server_fd;
        int spawn_fd;
        int ended; /* jobs */
        enum err_code code;
        char text[SPAWN_TEXT_MAX];
        char layer[SPAWN_NAME_MAX];
        char info[SPAWN_INFO_MAX];
        int log_fd; /* the job's end of the last build's log; -1: none */
        char lines[SPAWN_LINE_MAX * 2];
        size_t result_len; /* of the last line of type R */
};

static int setup(void **state)
{
        struct fixture *f = test_calloc(1, sizeof(*f));
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
        f->log_fd = -1;
        f->server_fd = fds[0];
        f->spawn_fd = fds[1];
        assert_int_equal(loop_create(&f->loop, NULL), ERR_OK);
        assert_int_equal(builder_create(f->loop, f->server_fd, &f->builder, NULL), ERR_OK);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        builder_destroy(f->builder);
        loop_destroy(f->loop);
        own_fd_release(&f->log_fd);
        if (f->server_fd >= 0)
                close(f->server_fd);
        if (f->spawn_fd >= 0)
                close(f->spawn_fd);
        test_free(f);
        return 0;
}

static void done(void *arg, const struct builder_result *result)
{
        struct fixture *f = arg;

        f->ended++;
        f->code = result->code;
        snprintf(f->text, sizeof(f->text), "%s", result->text);
        snprintf(f->layer, sizeof(f->layer), "%s", result->layer);
        snprintf(f->info, sizeof(f->info), "%s", result->info);
}

static int memory_file(void)
{
        int fd = memfd_create("archive", MFD_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static void source(struct fixture *f, const char *layer)
{
        builder_source(f->builder, layer, "python3", memory_file(), done, f);
}

/* One pass of the loop; then waits until spawn has something to read, or a moment for timers to come due. */
static void turn(struct fixture *f)
{
        struct pollfd waiting = {.fd = f->spawn_fd, .events = POLLIN};

        loop_step(f->loop, false);
        poll(&waiting, 1, 5);
}

/* The next frame that spawn gets; fails when there is none. */
static union spawn_frame next(struct fixture *f)
{
        union spawn_frame frame;
        int fds[SPAWN_FDS_MAX];
        size_t count = 0;
        struct err err = {0};

        for (int i = 0; i < 1000; i++) {
                enum err_code code = spawn_receive(f->spawn_fd, &frame, fds, &count, &err);

                if (code == ERR_OK) {
                        bool logs = frame.head.op == SPAWN_BUILD && (frame.build.fds & SPAWN_BUILD_LOG) != 0;

                        if (frame.head.op == SPAWN_BUILD)
                                assert_int_equal(count,
                                                 (strcmp(frame.build.kind, "source") == 0 ? 1 : 0) + logs);
                        if (logs) {
                                own_fd_release(&f->log_fd);
                                f->log_fd = fds[--count];
                        }
                        for (size_t j = 0; j < count; j++)
                                close(fds[j]);
                        return frame;
                }
                assert_int_equal(code, ERR_LIMIT);
                turn(f);
        }
        fail_msg("no frame came");
        return frame;
}

static union spawn_frame expect(struct fixture *f, enum spawn_op op)
{
        union spawn_frame frame = next(f);

        assert_int_equal(frame.head.op, op);
        return frame;
}

static void expect_silence(struct fixture *f)
{
        union spawn_frame frame;
        int fds[SPAWN_FDS_MAX];
        size_t count;

        for (int i = 0; i < 3; i++)
                loop_step(f->loop, false);
        assert_int_equal(spawn_receive(f->spawn_fd, &frame, fds, &count, NULL), ERR_LIMIT);
}

static void answer_layer(struct fixture *f, const union spawn_frame *asked, bool exists)
{
        union spawn_frame frame = {
                .layer = {.head = {.op = SPAWN_LAYER, .id = asked->head.id}, .exists = exists}};

        memcpy(frame.layer.layer, asked->layer.layer, sizeof(frame.layer.layer));
        builder_deliver(f->builder, &frame);
}

static void answer_built(struct fixture *f, uint64_t id, enum err_code code, const char *layer)
{
        union spawn_frame frame = {.built = {.head = {.op = SPAWN_BUILT, .id = id}, .code = code}};

        snprintf(frame.built.layer, sizeof(frame.built.layer), "%s", layer);
        snprintf(frame.built.text, sizeof(frame.built.text), "%s", code == ERR_OK ? "" : "it went wrong");
        snprintf(frame.built.info, sizeof(frame.built.info), "{\"files\":1}");
        builder_deliver(f->builder, &frame);
}

static void wait_for(struct fixture *f, int ended)
{
        for (int i = 0; i < 1000 && f->ended < ended; i++)
                turn(f);
        assert_int_equal(f->ended, ended);
}

static void asks_for_the_layer_then_builds_it(void **state)
{
        struct fixture *f = *state;
        union spawn_frame frame;

        source(f, "source-abc");
        frame = expect(f, SPAWN_LAYER_STAT);
        assert_string_equal(frame.layer.layer, "source-abc");
        assert_true(frame.head.id >> 63 == 1);
        answer_layer(f, &frame, false);
        frame = expect(f, SPAWN_BUILD);
        assert_string_equal(frame.build.kind, "source");
        assert_string_equal(frame.build.language, "python3");
        assert_string_equal(frame.build.layer, "source-abc");
        assert_int_equal(frame.build.disk_mib, 512);
        assert_int_equal(frame.build.files_max, 20000);
        assert_int_equal(f->ended, 0);
        answer_built(f, frame.head.id, ERR_OK, "source-abc");
        assert_int_equal(f->ended, 1);
        assert_int_equal(f->code, ERR_OK);
        assert_string_equal(f->layer, "source-abc");
        assert_string_equal(f->info, "{\"files\":1}");
        assert_string_equal(f->text, "");
}

static void builds_no_layer_that_is_there(void **state)
{
        struct fixture *f = *state;
        union spawn_frame frame;

        source(f, "source-abc");
        frame = expect(f, SPAWN_LAYER_STAT);
        answer_layer(f, &frame, true);
        assert_int_equal(f->ended, 1);
        assert_int_equal(f->code, ERR_OK);
        assert_string_equal(f->layer, "source-abc");
        assert_string_equal(f->info, "{}");
        expect_silence(f);
}

static void builds_a_base_image_without_asking(void **state)
{
        struct fixture *f = *state;
        union spawn_frame frame;

        builder_builtin(f->builder, "python3", done, f);
        assert_int_equal(f->ended, 0);
        frame = expect(f, SPAWN_BUILD);
        assert_string_equal(frame.build.kind, "builtin");
        assert_string_equal(frame.build.language, "python3");
        assert_string_equal(frame.build.layer, "");
        answer_built(f, frame.head.id, ERR_OK, "builtin-python3-0123");
        assert_string_equal(f->layer, "builtin-python3-0123");
}

static void reports_why_a_build_failed(void **state)
{
        struct fixture *f = *state;
        union spawn_frame frame;

        builder_builtin(f->builder, "python3", done, f);
        frame = expect(f, SPAWN_BUILD);
        answer_built(f, frame.head.id, ERR_UNAVAILABLE, "");
        assert_int_equal(f->code, ERR_UNAVAILABLE);
        assert_string_equal(f->text, "it went wrong");
        assert_string_equal(f->layer, "");
}

static void takes_an_unknown_code_for_an_error(void **state)
{
        struct fixture *f = *state;
        union spawn_frame frame;

        builder_builtin(f->builder, "python3", done, f);
        frame = expect(f, SPAWN_BUILD);
        answer_built(f, frame.head.id, (enum err_code)9999, "x");
        assert_int_equal(f->code, ERR_SYSTEM);
}

static void runs_at_most_four_jobs_and_the_rest_in_order(void **state)
{
        struct fixture *f = *state;
        union spawn_frame asked[BUILDER_JOBS_MAX], frame;
        char layer[32];

        for (int i = 0; i < 6; i++) {
                snprintf(layer, sizeof(layer), "layer-%d", i);
                source(f, layer);
        }
        for (int i = 0; i < BUILDER_JOBS_MAX; i++) {
                snprintf(layer, sizeof(layer), "layer-%d", i);
                asked[i] = expect(f, SPAWN_LAYER_STAT);
                assert_string_equal(asked[i].layer.layer, layer);
        }
        expect_silence(f);
        answer_layer(f, &asked[2], true);
        frame = expect(f, SPAWN_LAYER_STAT);
        assert_string_equal(frame.layer.layer, "layer-4");
        expect_silence(f);
        answer_layer(f, &asked[0], false);
        frame = expect(f, SPAWN_BUILD);
        expect_silence(f);
        answer_built(f, frame.head.id, ERR_INVALID, "");
        frame = expect(f, SPAWN_LAYER_STAT);
        assert_string_equal(frame.layer.layer, "layer-5");
}

static void builds_one_layer_once_at_a_time(void **state)
{
        struct fixture *f = *state;
        union spawn_frame frame;

        source(f, "same");
        source(f, "same");
        source(f, "other");
        frame = expect(f, SPAWN_LAYER_STAT);
        assert_string_equal(expect(f, SPAWN_LAYER_STAT).layer.layer, "other");
        expect_silence(f);
        answer_layer(f, &frame, false);
        frame = expect(f, SPAWN_BUILD);
        answer_built(f, frame.head.id, ERR_OK, "same");
        frame = expect(f, SPAWN_LAYER_STAT);
        assert_string_equal(frame.layer.layer, "same");
        answer_layer(f, &frame, true);
        assert_int_equal(f->ended, 2);
}

static void drops_a_layer_after_the_jobs_that_were_asked_for_before(void **state)
{
        struct fixture *f = *state;
        union spawn_frame frame;

        source(f, "same");
        builder_drop(f->builder, "same");
        builder_drop(f->builder, "free");
        frame = expect(f, SPAWN_LAYER_STAT);
        assert_string_equal(expect(f, SPAWN_LAYER_DROP).layer.layer, "free");
        expect_silence(f);
        answer_layer(f, &frame, true);
        assert_string_equal(expect(f, SPAWN_LAYER_DROP).layer.layer, "same");
        assert_int_equal(f->ended, 1);
}

static void kills_a_job_past_its_deadline(void **state)
{
        struct fixture *f = *state;
        union spawn_frame frame;
        uint64_t id;

        builder_deadlines_set(f->builder, 5, 10000);
        builder_builtin(f->builder, "python3", done, f);
        id = expect(f, SPAWN_BUILD).head.id;
        frame = expect(f, SPAWN_KILL);
        assert_int_equal(frame.head.id, id);
        assert_int_equal(f->ended, 0);
        answer_built(f, id, ERR_SYSTEM, "");
        assert_int_equal(f->ended, 1);
        assert_int_equal(f->code, ERR_TIMEOUT);
        assert_string_equal(f->text, "the build took longer than 5 ms");
}

static void keeps_the_result_of_a_job_that_ended_while_it_was_killed(void **state)
{
        struct fixture *f = *state;
        uint64_t id;

        builder_deadlines_set(f->builder, 5, 10000);
        builder_builtin(f->builder, "python3", done, f);
        id = expect(f, SPAWN_BUILD).head.id;
        expect(f, SPAWN_KILL);
        answer_built(f, id, ERR_OK, "layer");
        assert_int_equal(f->code, ERR_OK);
        assert_string_equal(f->layer, "layer");
}

static void gives_up_a_killed_job_that_does_not_go(void **state)
{
        struct fixture *f = *state;
        uint64_t id;

        builder_deadlines_set(f->builder, 5, 5);
        builder_builtin(f->builder, "python3", done, f);
        id = expect(f, SPAWN_BUILD).head.id;
        expect(f, SPAWN_KILL);
        wait_for(f, 1);
        assert_int_equal(f->code, ERR_TIMEOUT);
        answer_built(f, id, ERR_OK, "too-late");
        assert_int_equal(f->ended, 1);
}

static void times_out_when_spawn_does_not_answer_about_a_layer(void **state)
{
        struct fixture *f = *state;

        builder_deadlines_set(f->builder, 5, 5);
        source(f, "layer");
        expect(f, SPAWN_LAYER_STAT);
        wait_for(f, 1);
        assert_int_equal(f->code, ERR_TIMEOUT);
        expect_silence(f);
}

static void ignores_answers_that_nobody_waits_for(void **state)
{
        struct fixture *f = *state;
        union spawn_frame frame = {.built = {.head = {.op = SPAWN_BUILT, .id = 7}}};

        builder_deliver(f->builder, &frame);
        source(f, "layer");
        frame = expect(f, SPAWN_LAYER_STAT);
        answer_built(f, frame.head.id, ERR_OK, "layer"); /* the right id, the wrong time */
        assert_int_equal(f->ended, 0);
        answer_layer(f, &frame, false);
        frame.head.id = expect(f, SPAWN_BUILD).head.id;
        answer_layer(f, &frame, true);
        assert_int_equal(f->ended, 0);
}

static void waits_while_the_link_is_full(void **state)
{
        struct fixture *f = *state;
        union spawn_frame frame = {.head = {.op = SPAWN_READY}};
        int sent = 0;

        while (spawn_send(f->server_fd, &frame, NULL, 0, NULL) == ERR_OK)
                sent++;
        builder_builtin(f->builder, "python3", done, f);
        for (int i = 0; i < 3; i++)
                turn(f);
        assert_int_equal(f->ended, 0);
        while (sent-- > 0)
                expect(f, SPAWN_READY);
        expect(f, SPAWN_BUILD);
        expect_silence(f);
}

static void fails_when_spawn_is_gone(void **state)
{
        struct fixture *f = *state;

        close(f->spawn_fd);
        f->spawn_fd = -1;
        source(f, "layer");
        assert_int_equal(f->ended, 0);
        wait_for(f, 1);
        assert_int_not_equal(f->code, ERR_OK);
        assert_non_null(strstr(f->text, "ask dispatch-spawn"));
}

static void refuses_jobs_past_the_queues_end(void **state)
{
        struct fixture *f = *state;

        for (int i = 0; i < BUILDER_QUEUE_MAX; i++)
                builder_builtin(f->builder, "python3", done, f);
        assert_int_equal(f->ended, 0);
        source(f, "layer");
        assert_int_equal(f->ended, 1);
        assert_int_equal(f->code, ERR_LIMIT);
}

static void again(void *arg, const struct builder_result *result)
{
        struct fixture *f = arg;

        assert_int_equal(result->code, ERR_OK);
        source(f, "second");
}

static void lets_done_ask_for_another_job(void **state)
{
        struct fixture *f = *state;
        union spawn_frame frame;

        builder_source(f->builder, "first", "python3", memory_file(), again, f);
        frame = expect(f, SPAWN_LAYER_STAT);
        answer_layer(f, &frame, true);
        frame = expect(f, SPAWN_LAYER_STAT);
        assert_string_equal(frame.layer.layer, "second");
}

static void forgets_its_jobs_when_it_is_destroyed(void **state)
{
        struct fixture *f = *state;

        source(f, "first");
        expect(f, SPAWN_LAYER_STAT);
        builder_builtin(f->builder, "python3", done, f);
        builder_destroy(f->builder);
        f->builder = NULL;
        assert_int_equal(f->ended, 0);
}

static void line(void *arg, char type, struct str text)
{
        struct fixture *f = arg;
        size_t len = strlen(f->lines);

        assert_int_equal(f->ended, 0);
        if (type == 'R')
                f->result_len = text.len;
        else
                snprintf(f->lines + len, sizeof(f->lines) - len, "%c[%.*s]", type, STR_ARG(text));
}

/* A job with a log; what the job writes there is the test's. */
static uint64_t run_with_log(struct fixture *f, const char *language)
{
        const struct builder_task task = {.kind = "builtin",
                                          .language = language,
                                          .slow = true,
                                          .input_fd = -1,
                                          .data_fd = -1,
                                          .line = line};

        return builder_run(f->builder, &task, done, f);
}

static void say(struct fixture *f, const char *bytes, size_t len)
{
        enum { PART = 4096 }; /* a pipe takes that without waiting */

        for (size_t at = 0; at < len; at += PART) {
                size_t part = len - at < PART ? len - at : PART;

                assert_int_equal(write(f->log_fd, bytes + at, part), part);
                loop_step(f->loop, false);
        }
}

static void lines_of_the_log_arrive_before_the_end(void **state)
{
        static const char said[] =
                "L one\nP 1/2 of\tit\nX no type\nL\nLx\n\nL bad \xff\x1b[31m\nL \xc3\xa9\nL no end";
        struct fixture *f = *state;

        (void)run_with_log(f, "python3");
        uint64_t id = expect(f, SPAWN_BUILD).head.id;
        say(f, said, sizeof(said) - 1);
        assert_string_equal(f->lines, "L[one]P[1/2 of it]L[bad ??[31m]L[\xc3\xa9]");
        answer_built(f, id, ERR_OK, "layer");
        assert_int_equal(f->ended, 1);
        assert_string_equal(f->lines, "L[one]P[1/2 of it]L[bad ??[31m]L[\xc3\xa9]L[no end]");
}

static void a_line_is_cut_and_a_result_is_whole_or_dropped(void **state)
{
        struct fixture *f = *state;
        size_t size = (size_t)SPAWN_RESULT_MAX + 4096;
        char *bytes = test_malloc(size);

        (void)run_with_log(f, "python3");
        uint64_t id = expect(f, SPAWN_BUILD).head.id;
        memset(bytes, 'a', size);
        memcpy(bytes, "L ", 2);
        bytes[10000] = '\n';
        say(f, bytes, 10001);
        assert_int_equal(strlen(f->lines), SPAWN_LINE_MAX - 2 + 3);
        bytes[10000] = 'a';
        memcpy(bytes, "R ", 2);
        bytes[size - 1] = '\n';
        say(f, bytes, size);
        assert_int_equal(f->result_len, 0);
        bytes[SPAWN_RESULT_MAX] = '\n';
        say(f, bytes, (size_t)SPAWN_RESULT_MAX + 1);
        assert_int_equal(f->result_len, SPAWN_RESULT_MAX - 2);
        answer_built(f, id, ERR_OK, "layer");
        test_free(bytes);
}

static void a_character_is_not_cut_in_two(void **state)
{
        struct fixture *f = *state;
        char bytes[SPAWN_LINE_MAX + 8];

        (void)run_with_log(f, "python3");
        uint64_t id = expect(f, SPAWN_BUILD).head.id;
        memset(bytes, 'a', sizeof(bytes));
        memcpy(bytes, "L ", 2);
        memcpy(bytes + SPAWN_LINE_MAX - 1, "\xe2\x82\xac", 3); /* one byte of it has room */
        bytes[sizeof(bytes) - 1] = '\n';
        say(f, bytes, sizeof(bytes));
        assert_int_equal(strlen(f->lines), SPAWN_LINE_MAX - 3 + 3);
        assert_null(strchr(f->lines, '?'));
        answer_built(f, id, ERR_OK, "layer");
}

static void slow_jobs_leave_room_for_others(void **state)
{
        struct fixture *f = *state;

        for (int i = 0; i < BUILDER_SLOW_MAX + 1; i++)
                (void)run_with_log(f, "python3");
        for (int i = 0; i < BUILDER_SLOW_MAX; i++)
                assert_int_equal(expect(f, SPAWN_BUILD).build.fds, SPAWN_BUILD_LOG);
        expect_silence(f);
        builder_builtin(f->builder, "native", done, f);
        union spawn_frame other = expect(f, SPAWN_BUILD);
        assert_string_equal(other.build.language, "native");
        expect_silence(f);
}

static void a_running_job_is_cancelled(void **state)
{
        struct fixture *f = *state;
        uint64_t id = run_with_log(f, "python3");

        assert_int_equal(expect(f, SPAWN_BUILD).head.id, id);
        builder_cancel(f->builder, id);
        assert_int_equal(expect(f, SPAWN_KILL).head.id, id);
        builder_cancel(f->builder, id);
        assert_int_equal(f->ended, 0);
        answer_built(f, id, ERR_CANCELLED, "");
        assert_int_equal(f->ended, 1);
        assert_int_equal(f->code, ERR_CANCELLED);
        assert_string_equal(f->text, "the build was cancelled");
        builder_cancel(f->builder, id);
        expect_silence(f);
}

static void a_waiting_job_is_cancelled(void **state)
{
        struct fixture *f = *state;

        for (int i = 0; i < BUILDER_SLOW_MAX; i++) {
                (void)run_with_log(f, "python3");
                expect(f, SPAWN_BUILD);
        }
        builder_cancel(f->builder, run_with_log(f, "python3"));
        assert_int_equal(f->ended, 0);
        wait_for(f, 1);
        assert_int_equal(f->code, ERR_CANCELLED);
        expect_silence(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                TEST(asks_for_the_layer_then_builds_it),
                TEST(lines_of_the_log_arrive_before_the_end),
                TEST(a_line_is_cut_and_a_result_is_whole_or_dropped),
                TEST(a_character_is_not_cut_in_two),
                TEST(slow_jobs_leave_room_for_others),
                TEST(a_running_job_is_cancelled),
                TEST(a_waiting_job_is_cancelled),
                TEST(builds_no_layer_that_is_there),
                TEST(builds_a_base_image_without_asking),
                TEST(reports_why_a_build_failed),
                TEST(takes_an_unknown_code_for_an_error),
                TEST(runs_at_most_four_jobs_and_the_rest_in_order),
                TEST(builds_one_layer_once_at_a_time),
                TEST(drops_a_layer_after_the_jobs_that_were_asked_for_before),
                TEST(kills_a_job_past_its_deadline),
                TEST(keeps_the_result_of_a_job_that_ended_while_it_was_killed),
                TEST(gives_up_a_killed_job_that_does_not_go),
                TEST(times_out_when_spawn_does_not_answer_about_a_layer),
                TEST(ignores_answers_that_nobody_waits_for),
                TEST(waits_while_the_link_is_full),
                TEST(fails_when_spawn_is_gone),
                TEST(refuses_jobs_past_the_queues_end),
                TEST(lets_done_ask_for_another_job),
                TEST(forgets_its_jobs_when_it_is_destroyed),
#undef TEST
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
