/* tests/unit/sandbox/harness.c: see harness.h. */
#include "harness.h"

#include "base/own.h"
#include "layer.h"
#include "wire/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

bool harness_possible(void)
{
        if (geteuid() == 0)
                return true;
        print_message("skipped: dispatch-spawn runs as root\n");
        return false;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
        (void)status;
        (void)type;
        (void)ftw;
        return remove(path);
}

static int socket_make(struct harness *harness)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        harness->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", harness->path);
        if (harness->listener < 0 ||
            bind(harness->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            chmod(address.sun_path, 0777) < 0 || setenv("DISPATCH_TEST_SOCKET", address.sun_path, 1) < 0)
                return -1;
        return listen(harness->listener, 8);
}

static int folders_make(struct harness *harness)
{
        static const char *const names[] = {"state", "state/layers", "state/layers/root", "runtimes",
                                            "runtimes/python3"};
        own_fd int dir = open(harness->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                if (mkdirat(dir, names[i], 0755) < 0)
                        return -1;
        }
        own_fd int layer = openat(dir, "state/layers/root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return layer_fill(layer);
}

int harness_setup(void **state)
{
        struct harness *harness = calloc(1, sizeof(*harness));

        if (harness == NULL)
                return -1;
        *state = harness;
        if (geteuid() != 0)
                return 0;
        umask(022);
        snprintf(harness->path, sizeof(harness->path), "/tmp/dispatch-spawn-XXXXXX");
        if (mkdtemp(harness->path) == NULL || chmod(harness->path, 0755) < 0)
                return -1;
        return folders_make(harness) < 0 ? -1 : socket_make(harness);
}

int harness_teardown(void **state)
{
        struct harness *harness = *state;

        if (geteuid() == 0) {
                own_mem char *record = harness_record(harness);
                if (harness->spawn > 0) {
                        kill(harness->spawn, SIGTERM);
                        assert_int_equal(harness_spawn_wait(harness), 0);
                        assert_true(harness_cgroups_gone(record));
                }
                assert_true(harness_processes_end(harness));
                close(harness->listener);
                (void)nftw(harness->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        }
        free(harness);
        return 0;
}

void harness_spawn_start(struct harness *harness)
{
        char dir[96], runtimes[96], certificate[96], key[96];

        snprintf(certificate, sizeof(certificate), "--credential=%s/crt", harness->path);
        snprintf(key, sizeof(key), "--credential=%s/key", harness->path);
        snprintf(dir, sizeof(dir), "%s/state", harness->path);
        snprintf(runtimes, sizeof(runtimes), "%s/runtimes", harness->path);
        harness->spawn = fork();
        assert_true(harness->spawn >= 0);
        if (harness->spawn == 0) {
                execl(DISPATCH_SPAWN, "dispatch-spawn", "--state-dir", dir, "--runtime-dir", runtimes,
                      "--loops", "2", "--drain-ms", "2000", "--ready-ms", "5000", "--listen",
                      "api=tcp:127.0.0.1:0", "--build-helper", PLAYER, "--server", PLAYER,
                      harness->credentials ? certificate : "--loops=2",
                      harness->credentials ? key : "--loops=2", "--", "dispatch-server", (char *)NULL);
                _exit(127);
        }
}

static void await_readable(int fd)
{
        struct pollfd wait = {.fd = fd, .events = POLLIN};

        assert_int_equal(poll(&wait, 1, HARNESS_WAIT_MS), 1);
}

void harness_server_accept(struct harness *harness, struct played *ret)
{
        char space[CMSG_SPACE(HARNESS_LINKS * sizeof(int))] __attribute__((aligned(8)));
        struct iovec iov = {ret->listen, sizeof(ret->listen) - 1};
        struct msghdr message = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};

        memset(ret, 0, sizeof(*ret));
        await_readable(harness->listener);
        ret->control = accept4(harness->listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(ret->control >= 0);
        await_readable(ret->control);
        assert_true(recvmsg(ret->control, &message, MSG_CMSG_CLOEXEC) > 0);
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
        assert_non_null(cmsg);
        assert_int_equal(cmsg->cmsg_len, CMSG_LEN(HARNESS_LINKS * sizeof(int)));
        memcpy(ret->links, CMSG_DATA(cmsg), HARNESS_LINKS * sizeof(int));

        own_mem char *record = harness_record(harness);
        const char *name = record != NULL ? strstr(record, "/dispatch-") : NULL;
        assert_non_null(name);
        snprintf(harness->tree, sizeof(harness->tree), "%.*s", (int)strcspn(name, "\n"), name);
}

void harness_server_close(struct played *played)
{
        close(played->control);
        for (size_t i = 0; i < HARNESS_LINKS; i++)
                close(played->links[i]);
}

void harness_up(struct harness *harness, struct played *ret)
{
        union spawn_frame ready = harness_head_frame(SPAWN_READY, 0), hello, credential;

        harness_spawn_start(harness);
        harness_server_accept(harness, ret);
        harness_receive(ret->links[0], SPAWN_HELLO, &hello, NULL);
        ret->generation = hello.hello.generation;
        harness_receive(ret->links[0], SPAWN_CREDENTIAL, &credential, NULL);
        assert_int_equal(credential.credential.count, 0);
        harness_send(ret->links[0], &ready, NULL);
}

int harness_spawn_wait(struct harness *harness)
{
        int status;

        assert_int_equal(waitpid(harness->spawn, &status, 0), harness->spawn);
        harness->spawn = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void harness_send(int link, const union spawn_frame *frame, const int *fd)
{
        struct err err;
        enum err_code code = spawn_send(link, frame, fd, fd != NULL ? 1 : 0, &err);

        if (code != ERR_OK)
                print_message("%s\n", err.text);
        assert_int_equal(code, ERR_OK);
}

void harness_receive(int link, enum spawn_op op, union spawn_frame *ret, int *ret_fd)
{
        int fds[SPAWN_FDS_MAX];
        size_t count = 0;

        await_readable(link);
        assert_int_equal(spawn_receive(link, ret, fds, &count, NULL), ERR_OK);
        assert_int_equal(ret->head.op, op);
        assert_true(count <= 1);
        if (ret_fd != NULL)
                *ret_fd = count == 1 ? fds[0] : -1;
        else
                assert_int_equal(count, 0);
}

bool harness_link_is_closed(int link)
{
        union spawn_frame frame;
        int fds[SPAWN_FDS_MAX];
        size_t count = 0;

        await_readable(link);
        return spawn_receive(link, &frame, fds, &count, NULL) == ERR_CANCELLED;
}

union spawn_frame harness_start_frame(uint64_t id, const char *script)
{
        union spawn_frame frame;

        memset(&frame, 0, sizeof(frame));
        frame.start = (struct spawn_start){.head = {.op = SPAWN_START, .id = id},
                                           .organization = "org",
                                           .function = "tasks",
                                           .runtime = "python3",
                                           .filter = "default",
                                           .layer_count = 1,
                                           .layers = {"root"},
                                           .memory_mib = 64,
                                           .cpu_millicores = 1000,
                                           .pids_max = 16,
                                           .tmp_mib = 4,
                                           .argc = 3};
        int len = snprintf(frame.start.argv, sizeof(frame.start.argv), "/bin/sh%c-c%c%s", 0, 0, script);
        assert_true(len < (int)sizeof(frame.start.argv));
        return frame;
}

union spawn_frame harness_head_frame(enum spawn_op op, uint64_t id)
{
        union spawn_frame frame;

        memset(&frame, 0, sizeof(frame));
        frame.head = (struct spawn_head){.op = op, .id = id};
        return frame;
}

void harness_started(int link, union spawn_frame *ret, struct harness_channel *ret_channel)
{
        int fds[SPAWN_FDS_MAX];
        size_t count = 0;

        await_readable(link);
        assert_int_equal(spawn_receive(link, ret, fds, &count, NULL), ERR_OK);
        assert_int_equal(ret->head.op, SPAWN_STARTED);
        assert_int_equal(count, ret->started.ok ? CHANNEL_FDS : 0);
        *ret_channel = (struct harness_channel){-1, -1};
        if (count == 0)
                return;
        assert_true(ring_file_is(fds[0]));
        close(fds[0]);
        *ret_channel = (struct harness_channel){.out = fds[2], .in = fds[1]};
}

void harness_channel_close(struct harness_channel channel)
{
        close(channel.out);
        close(channel.in);
}

struct harness_channel harness_instance(int link, uint64_t id, const char *script)
{
        union spawn_frame frame = harness_start_frame(id, script);
        struct harness_channel channel;

        harness_send(link, &frame, NULL);
        harness_started(link, &frame, &channel);
        if (!frame.started.ok)
                print_message("%s\n", frame.started.text);
        assert_true(frame.started.ok);
        assert_int_equal(frame.head.id, id);
        return channel;
}

static bool file_has(const char *path, const char *part)
{
        own_file FILE *file = fopen(path, "re");
        char line[512];

        while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
                if (strstr(line, part) != NULL)
                        return true;
        }
        return false;
}

unsigned harness_processes(const struct harness *harness)
{
        own_dir DIR *proc = opendir("/proc");
        const struct dirent *entry;
        unsigned count = 0;

        while (proc != NULL && harness->tree[0] != '\0' && (entry = readdir(proc)) != NULL) {
                char path[64];
                int pid;
                if (sscanf(entry->d_name, "%d", &pid) != 1)
                        continue;
                snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
                count += file_has(path, harness->tree);
        }
        return count;
}

bool harness_processes_end(const struct harness *harness)
{
        for (int i = 0; i < 500; i++) {
                if (harness_processes(harness) == 0)
                        return true;
                (void)poll(NULL, 0, 10);
        }
        return false;
}

char *harness_record(const struct harness *harness)
{
        char path[96];

        snprintf(path, sizeof(path), "%s/state/cgroups", harness->path);
        own_file FILE *file = fopen(path, "re");
        char *text = calloc(1, 16384);
        if (file == NULL || text == NULL) {
                free(text);
                return NULL;
        }
        (void)!fread(text, 1, 16383, file);
        return text;
}

bool harness_cgroups_gone(const char *record)
{
        own_mem char *copy = record != NULL ? strdup(record) : NULL;
        char *rest = NULL;

        if (copy == NULL)
                return false;
        for (char *line = strtok_r(copy, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
                if (access(line, F_OK) == 0) {
                        print_message("left: %s\n", line);
                        return false;
                }
        }
        return true;
}
