/* tests/unit/wire/test_spawn.c: what the check of a frame lets through, and frames over a real pair. */
#include "wire/spawn.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static union spawn_frame start_frame(void)
{
        union spawn_frame frame;

        memset(&frame, 0, sizeof(frame));
        frame.start = (struct spawn_start){.head = {.op = SPAWN_START, .id = 7},
                                           .organization = "dispatch-server",
                                           .function = "default.hello",
                                           .runtime = "python3",
                                           .code = "src-0123",
                                           .filter = "default",
                                           .layer_count = 1,
                                           .layers = {"builtin-python3-abc"},
                                           .memory_mib = 256,
                                           .cpu_millicores = 1000,
                                           .pids_max = 64,
                                           .tmp_mib = 64,
                                           .argc = 2,
                                           .argv = "/runtime/agent\0x"};
        return frame;
}

static enum err_code check(const union spawn_frame *frame)
{
        return spawn_frame_check(frame, spawn_frame_size(frame->head.op), NULL);
}

static bool allow_taken(const char *allow, size_t len)
{
        union spawn_frame frame = start_frame();

        frame.head.op = SPAWN_START_EGRESS;
        memset(frame.egress.allow, 0, sizeof(frame.egress.allow));
        memcpy(frame.egress.allow, allow, len);
        return check(&frame) == ERR_OK;
}

#define ALLOW(text) allow_taken(text, sizeof(text) - 1)

static void an_allow_list_holds_names_and_ranges_and_nothing_behind(void **state)
{
        char many[ALLOW_BYTES_MAX] = {0};

        (void)state;
        assert_true(ALLOW(""));
        assert_true(ALLOW("example.com\0*.a.example\0"
                          "192.0.2.0/24\0"
                          "198.51.100.1"));
        assert_false(ALLOW("exa mple.com"));
        assert_false(ALLOW("192.0.2.1/24"));
        assert_false(ALLOW("a.example\0\0b.example"));
        assert_false(ALLOW("\0x"));
        for (size_t i = 0; i <= ALLOW_ITEMS_MAX; i++)
                many[2 * i] = 'a';
        assert_false(allow_taken(many, sizeof(many)));
        many[2 * (size_t)ALLOW_ITEMS_MAX] = '\0';
        assert_true(allow_taken(many, sizeof(many)));
        memset(many, 'a', sizeof(many));
        assert_false(allow_taken(many, sizeof(many)));
}

static void names_are_lower_case_words_without_paths(void **state)
{
        static const char *const good[] = {"a", "0", "a.b-c_d", "builtin-python3-0a"};
        static const char *const wrong[] = {"", ".", "..", "a..b", "a/b", "-a", "A", "a b", "_a", "\xc3\xa4"};

        (void)state;
        for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
                assert_true(spawn_name_valid(good[i], 24));
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
                assert_false(spawn_name_valid(wrong[i], 24));
        assert_false(spawn_name_valid("abcd", 4)); /* no NUL within the field */
}

static void a_start_is_valid_only_as_a_whole(void **state)
{
        union spawn_frame frame = start_frame();

        (void)state;
        assert_int_equal(check(&frame), ERR_OK);
        assert_int_equal(spawn_frame_check(&frame, sizeof(struct spawn_start) - 1, NULL), ERR_INVALID);
        assert_int_equal(spawn_frame_check(&frame, 4, NULL), ERR_INVALID);

        frame.head.reserved = 1;
        assert_int_equal(check(&frame), ERR_INVALID);
        frame = start_frame();
        frame.start.layer_count = SPAWN_LAYERS_MAX + 1;
        assert_int_equal(check(&frame), ERR_INVALID);
        frame = start_frame();
        frame.start.layer_count = 2;
        assert_int_equal(check(&frame), ERR_INVALID);
        frame = start_frame();
        memcpy(frame.start.code, "../../etc", sizeof("../../etc"));
        assert_int_equal(check(&frame), ERR_INVALID);
        frame = start_frame();
        memset(frame.start.runtime, 'a', sizeof(frame.start.runtime));
        assert_int_equal(check(&frame), ERR_INVALID);
        frame = start_frame();
        frame.start.memory_mib = 0;
        assert_int_equal(check(&frame), ERR_INVALID);
}

static void a_role_goes_with_what_it_needs(void **state)
{
        union spawn_frame frame = start_frame();

        (void)state;
        frame.start.from = 3;
        assert_int_equal(check(&frame), ERR_OK);
        frame.start.from = frame.head.id; /* from itself */
        assert_int_equal(check(&frame), ERR_INVALID);
        frame.start.from = 3;
        frame.start.role = SPAWN_ROLE_TEMPLATE; /* a template comes from nothing */
        assert_int_equal(check(&frame), ERR_INVALID);
        frame.start.from = 0;
        assert_int_equal(check(&frame), ERR_OK);
        frame.start.role = SPAWN_ROLE_ZYGOTE; /* with code */
        assert_int_equal(check(&frame), ERR_INVALID);
        frame.start.code[0] = '\0';
        assert_int_equal(check(&frame), ERR_OK);
        frame.start.role = SPAWN_ROLE_STEM;
        assert_int_equal(check(&frame), ERR_OK);
        frame.start.role = SPAWN_ROLE_STEM + 1;
        assert_int_equal(check(&frame), ERR_INVALID);
        frame = start_frame();
        frame.start.spares = 1; /* of a template alone */
        assert_int_equal(check(&frame), ERR_INVALID);
        frame.start.role = SPAWN_ROLE_TEMPLATE;
        assert_int_equal(check(&frame), ERR_OK);
        frame.start.spares = SPAWN_SPARES_MAX + 1;
        assert_int_equal(check(&frame), ERR_INVALID);
}

static void argv_must_hold_what_argc_says(void **state)
{
        union spawn_frame frame = start_frame();

        (void)state;
        frame.start.argc = 0;
        assert_int_equal(check(&frame), ERR_INVALID);
        frame.start.argc = SPAWN_ARGV_MAX;
        assert_int_equal(check(&frame), ERR_INVALID);
        frame = start_frame();
        memset(frame.start.argv, 'x', sizeof(frame.start.argv));
        frame.start.argv[0] = '/';
        frame.start.argc = 1;
        assert_int_equal(check(&frame), ERR_INVALID);
        frame = start_frame();
        frame.start.argv[0] = 'r'; /* a relative path */
        assert_int_equal(check(&frame), ERR_INVALID);
}

static void an_unknown_operation_has_no_size(void **state)
{
        union spawn_frame frame;

        (void)state;
        memset(&frame, 0, sizeof(frame));
        assert_int_equal(spawn_frame_size(0), 0);
        assert_int_equal(spawn_frame_size(63), 0);
        assert_int_equal(spawn_frame_check(&frame, sizeof(frame.head), NULL), ERR_INVALID);
}

static void a_build_names_its_layer_only_for_source(void **state)
{
        union spawn_frame frame;

        (void)state;
        memset(&frame, 0, sizeof(frame));
        frame.build = (struct spawn_build){.head = {.op = SPAWN_BUILD},
                                           .kind = "source",
                                           .language = "python3",
                                           .layer = "src-1",
                                           .fds = SPAWN_BUILD_INPUT,
                                           .memory_mib = 1,
                                           .cpu_millicores = 1,
                                           .pids_max = 1,
                                           .tmp_mib = 1,
                                           .disk_mib = 1,
                                           .files_max = 1};
        assert_int_equal(check(&frame), ERR_OK);
        frame.build.fds = SPAWN_BUILD_INPUT | SPAWN_BUILD_LOG;
        assert_int_equal(check(&frame), ERR_OK);
        frame.build.fds = SPAWN_BUILD_INPUT | SPAWN_BUILD_DATA;
        assert_int_equal(check(&frame), ERR_INVALID);
        frame.build.fds = 0;
        assert_int_equal(check(&frame), ERR_INVALID);
        frame.build.fds = SPAWN_BUILD_INPUT;
        frame.build.network = SPAWN_NETWORK_HOST;
        assert_int_equal(check(&frame), ERR_INVALID);
        frame.build.network = SPAWN_NETWORK_NONE;
        memcpy(frame.build.program, "/opt/java", sizeof("/opt/java")); /* and no image */
        assert_int_equal(check(&frame), ERR_INVALID);
        frame.build.layer_count = 1;
        assert_int_equal(check(&frame), ERR_INVALID);
        memcpy(frame.build.layers[0], "image", sizeof("image"));
        assert_int_equal(check(&frame), ERR_OK);
        frame.build.program[0] = '.';
        assert_int_equal(check(&frame), ERR_INVALID);
        memset(frame.build.program, '/', sizeof(frame.build.program));
        assert_int_equal(check(&frame), ERR_INVALID);
        memset(frame.build.program, 0, sizeof(frame.build.program));
        memset(frame.build.layers[0], 0, sizeof(frame.build.layers[0]));
        assert_int_equal(check(&frame), ERR_INVALID);
        frame.build.layer_count = 0;
        frame.build.pids_max = 0;
        assert_int_equal(check(&frame), ERR_INVALID);
        frame.build.pids_max = 1;
        memcpy(frame.build.kind, "builtin", sizeof("builtin"));
        assert_int_equal(check(&frame), ERR_INVALID);
        frame.build.fds = 0;
        assert_int_equal(check(&frame), ERR_INVALID);
        frame.build.layer[0] = '\0';
        assert_int_equal(check(&frame), ERR_OK);
        memcpy(frame.build.kind, "other", sizeof("other"));
        assert_int_equal(check(&frame), ERR_INVALID);
}

static void each_organization_has_its_own_mark(void **state)
{
        /* Of the SHA-256 of "" and "abc" (FIPS 180-4's example). */
        char a[SPAWN_MARK_LEN + 1], b[SPAWN_MARK_LEN + 1];

        (void)state;
        spawn_mark("", a);
        assert_string_equal(a, "e3b0c44298fc1c149afbf4c8");
        spawn_mark("abc", b);
        assert_string_equal(b, "ba7816bf8f01cfea414140de");
}

static void no_name_is_taken_for_another_s(void **state)
{
        char plain[SPAWN_GROUP_MAX], odd[SPAWN_GROUP_MAX], copied[SPAWN_GROUP_MAX];
        char longest[SPAWN_GROUP_MAX + 10];

        (void)state;
        spawn_group("team-1", plain);
        assert_string_equal(plain, "team-1");
        spawn_group("Team One", odd);
        assert_int_equal(strlen(odd), 1 + SPAWN_MARK_LEN);
        assert_true(spawn_name_valid(odd, sizeof(odd)));
        spawn_group(odd, copied); /* somebody names an organization so */
        assert_string_not_equal(copied, odd);
        memset(longest, 'a', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = '\0';
        spawn_group(longest, copied);
        assert_int_equal(strlen(copied), 1 + SPAWN_MARK_LEN);
}

static void frames_and_descriptors_cross_a_link(void **state)
{
        union spawn_frame out = start_frame(), in;
        int pair[2], fds[SPAWN_FDS_MAX];
        size_t count;

        (void)state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(spawn_receive(pair[1], &in, fds, &count, NULL), ERR_LIMIT);
        assert_int_equal(spawn_send(pair[0], &out, (int[]){pair[0], pair[1]}, 2, NULL), ERR_OK);
        assert_int_equal(spawn_receive(pair[1], &in, fds, &count, NULL), ERR_OK);
        assert_int_equal(count, 2);
        assert_memory_equal(&in.start, &out.start, sizeof(out.start));
        assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
        close(fds[0]);
        close(fds[1]);
        close(pair[0]);
        assert_int_equal(spawn_receive(pair[1], &in, fds, &count, NULL), ERR_CANCELLED);
        assert_int_equal(spawn_send(pair[1], &out, NULL, 0, NULL), ERR_CANCELLED);
        close(pair[1]);
}

static int fd_next(void)
{
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        close(fd);
        return fd;
}

static void a_bad_frame_leaves_no_descriptor(void **state)
{
        union spawn_frame out = start_frame(), in;
        int pair[2], fds[SPAWN_FDS_MAX];
        size_t count;

        (void)state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        int next = fd_next();

        char space[CMSG_SPACE(4 * sizeof(int))] __attribute__((aligned(8))) = {0};
        struct iovec iov = {&out, sizeof(out.start)};
        struct msghdr message = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = space,
                                 .msg_controllen = CMSG_LEN(4 * sizeof(int))};
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(4 * sizeof(int));
        memcpy(CMSG_DATA(cmsg), (int[]){0, 1, 2, 0}, 4 * sizeof(int));
        assert_true(sendmsg(pair[0], &message, 0) > 0);
        assert_int_equal(spawn_receive(pair[1], &in, fds, &count, NULL), ERR_INVALID);
        assert_int_equal(fd_next(), next);

        struct rlimit before, none;
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = (struct rlimit){.rlim_cur = (rlim_t)next + 1, .rlim_max = before.rlim_max};
        message.msg_controllen = CMSG_LEN(2 * sizeof(int));
        cmsg->cmsg_len = CMSG_LEN(2 * sizeof(int));
        assert_true(sendmsg(pair[0], &message, 0) > 0);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        assert_int_equal(spawn_receive(pair[1], &in, fds, &count, NULL), ERR_NO_MEMORY);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(count, 0);
        assert_int_equal(in.head.op, SPAWN_START);
        assert_int_equal(fd_next(), next);

        out.head.op = 999;
        message.msg_controllen = CMSG_LEN(sizeof(int));
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        assert_true(sendmsg(pair[0], &message, 0) > 0);
        assert_int_equal(spawn_receive(pair[1], &in, fds, &count, NULL), ERR_INVALID);
        assert_int_equal(fd_next(), next);
        close(pair[0]);
        close(pair[1]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_are_lower_case_words_without_paths),
                cmocka_unit_test(an_allow_list_holds_names_and_ranges_and_nothing_behind),
                cmocka_unit_test(a_start_is_valid_only_as_a_whole),
                cmocka_unit_test(a_role_goes_with_what_it_needs),
                cmocka_unit_test(argv_must_hold_what_argc_says),
                cmocka_unit_test(an_unknown_operation_has_no_size),
                cmocka_unit_test(a_build_names_its_layer_only_for_source),
                cmocka_unit_test(each_organization_has_its_own_mark),
                cmocka_unit_test(no_name_is_taken_for_another_s),
                cmocka_unit_test(frames_and_descriptors_cross_a_link),
                cmocka_unit_test(a_bad_frame_leaves_no_descriptor),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
