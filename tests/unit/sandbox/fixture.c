/* tests/unit/sandbox/fixture.c: see fixture.h. */
#include "fixture.h"

#include "layer.h"

#include "base/own.h"
#include "sandbox/cgroup_impl.h"
#include "wire/spawn.h"

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
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

bool fixture_possible(void)
{
        if (geteuid() == 0)
                return true;
        print_message("skipped: sandboxes are made by root\n");
        return false;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
        (void)status;
        (void)type;
        (void)ftw;
        return remove(path);
}

static int layer_make(struct fixture *fixture)
{
        if (mkdirat(fixture->state_fd, "layer", 0755) < 0)
                return -1;
        fixture->layer_fd = openat(fixture->state_fd, "layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fixture->layer_fd < 0)
                return -1;
        return layer_fill(fixture->layer_fd);
}

int fixture_setup(void **state)
{
        struct fixture *fixture = calloc(1, sizeof(*fixture));
        char tree_name[32];
        struct err err;

        if (fixture == NULL)
                return -1;
        *state = fixture;
        if (geteuid() != 0)
                return 0;
        umask(022);
        fixture->uid = FIXTURE_UID_FIRST + (uid_t)getpid();
        snprintf(tree_name, sizeof(tree_name), "dispatch-test-%d", (int)getpid());
        /* What others on this host mount and unmount must not be counted. */
        if (sandbox_host_enter(&err) != ERR_OK || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -1;
        snprintf(fixture->path, sizeof(fixture->path), "/tmp/dispatch-sandbox-XXXXXX");
        if (mkdtemp(fixture->path) == NULL)
                return -1;
        fixture->state_fd = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fixture->state_fd < 0 || layer_make(fixture) < 0)
                return -1;
        int init_fd = open(DISPATCH_INIT, O_RDONLY | O_CLOEXEC);
        if (init_fd < 0)
                return -1;
        if (sandbox_host_init(&fixture->host, init_fd, fixture->state_fd, "dev", &err) != ERR_OK ||
            cgroup_tree_create(fixture->state_fd, tree_name, &fixture->tree, &err) != ERR_OK) {
                print_message("setup: %s\n", err.text);
                return -1;
        }
        return 0;
}

int fixture_teardown(void **state)
{
        struct fixture *fixture = *state;

        if (geteuid() == 0) {
                cgroup_tree_destroy(fixture->tree);
                sandbox_host_finish(&fixture->host);
                close(fixture->host.init_fd);
                close(fixture->layer_fd);
                char dev[96];
                snprintf(dev, sizeof(dev), "%s/dev", fixture->path);
                (void)umount2(dev, MNT_DETACH);
                close(fixture->state_fd);
                (void)nftw(fixture->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        }
        free(fixture);
        return 0;
}

enum err_code fixture_start(struct fixture *fixture, const struct script *script, struct sandbox *ret,
                            struct cgroup **ret_cgroup, int *ret_out_fd, struct err *err)
{
        static const struct cgroup_limits usual = {
                .memory_bytes = 64 << 20, .cpu_millicores = 1000, .pids_max = 32};
        char argv[SPAWN_ARGV_MAX];
        struct mounts mounts;
        enum err_code code;
        int out[2];

        mounts_init(&mounts);
        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        code = cgroup_create(fixture->tree, "org", "tasks",
                             script->limits.memory_bytes > 0 ? &script->limits : &usual, ret_cgroup, err);
        if (code == ERR_OK) {
                code = mounts_open_root(&fixture->layer_fd, 1, -1, &mounts.root_fd, err);
                if (code == ERR_OK)
                        code = mounts_open_dev(&fixture->host.mounts, &mounts.dev_fd, err);
                if (code == ERR_OK) {
                        struct sandbox_spec spec = {
                                .uid = fixture->uid,
                                .mounts = &mounts,
                                .cgroup = *ret_cgroup,
                                .filter = filter_find(script->filter != NULL ? script->filter : "default"),
                                .tmp_mib = script->tmp_mib > 0 ? script->tmp_mib : 4};
                        code = sandbox_make(&fixture->host, &spec, ret, err);
                }
                if (code != ERR_OK)
                        cgroup_release(*ret_cgroup);
        }
        mounts_finish(&mounts);
        if (code == ERR_OK) {
                int len = snprintf(argv, sizeof(argv), "/bin/sh%c-c%cexec 2>&3; %s", 0, 0, script->text);
                assert_true(len < (int)sizeof(argv));
                struct sandbox_process process = {.argv = argv,
                                                  .argv_len = (size_t)len + 1,
                                                  .argc = 3,
                                                  .fds = {out[1]},
                                                  .fd_count = 1,
                                                  .program_fd = -1,
                                                  .output = true};
                code = sandbox_start(ret, &process, err);
                if (code != ERR_OK) {
                        sandbox_finish(ret);
                        cgroup_release(*ret_cgroup);
                }
        }
        close(out[1]);
        if (code == ERR_OK)
                *ret_out_fd = out[0];
        else
                close(out[0]);
        return code;
}

enum err_code fixture_await_running(struct sandbox *sandbox, struct err *err)
{
        while (sandbox->state != SANDBOX_RUNNING) {
                struct pollfd wait = {.fd = sandbox->control_fd, .events = POLLIN};
                assert_int_equal(poll(&wait, 1, 10000), 1);
                enum err_code code = sandbox_report(sandbox, err);
                if (code != ERR_OK && code != ERR_LIMIT)
                        return code;
        }
        return ERR_OK;
}

void fixture_await_gone(struct sandbox *sandbox, bool *ret_by_signal, int *ret_value)
{
        struct pollfd wait = {.fd = sandbox->pid_fd, .events = POLLIN};

        assert_int_equal(poll(&wait, 1, 20000), 1);
        assert_true(sandbox_reap(sandbox, ret_by_signal, ret_value));
}

static void output_read(int fd, struct outcome *outcome)
{
        while (outcome->len < sizeof(outcome->text) - 1) {
                ssize_t got =
                        read(fd, outcome->text + outcome->len, sizeof(outcome->text) - 1 - outcome->len);
                if (got <= 0)
                        break;
                outcome->len += (size_t)got;
        }
        outcome->text[outcome->len] = '\0';
}

void fixture_run(struct fixture *fixture, const struct script *script, struct outcome *ret)
{
        struct sandbox sandbox = {.pid = 0};
        struct cgroup *cgroup = NULL;
        int out_fd = -1;

        memset(ret, 0, sizeof(*ret));
        ret->code = fixture_start(fixture, script, &sandbox, &cgroup, &out_fd, &ret->err);
        if (ret->code == ERR_OK) {
                ret->code = fixture_await_running(&sandbox, &ret->err);
                output_read(out_fd, ret);
                close(out_fd);
                fixture_await_gone(&sandbox, &ret->by_signal, &ret->value);
                cgroup_usage(cgroup, &ret->usage);
                sandbox_finish(&sandbox);
                cgroup_release(cgroup);
        }
        for (int i = 0; i < 100 && cgroup_sweep(fixture->tree, 1) > 0; i++)
                (void)poll(NULL, 0, 1);
}

static size_t lines_count(const char *path)
{
        own_file FILE *file = fopen(path, "re");
        size_t lines = 0;
        int c;

        while (file != NULL && (c = fgetc(file)) != EOF)
                lines += c == '\n';
        return lines;
}

static size_t entries_count(int dir_fd, const char *path, unsigned depth)
{
        own_fd int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
        const struct dirent *entry;
        size_t count = 0;

        if (dir == NULL)
                return 0;
        int opened = take_fd(&fd);
        while ((entry = readdir(dir)) != NULL) {
                if (entry->d_name[0] == '.')
                        continue;
                if (depth == 0 || entry->d_type == DT_DIR)
                        count += 1 + (depth > 0 ? entries_count(opened, entry->d_name, depth - 1) : 0);
        }
        return count;
}

static size_t processes_of(uid_t uid)
{
        own_dir DIR *proc = opendir("/proc");
        const struct dirent *entry;
        size_t count = 0;

        while (proc != NULL && (entry = readdir(proc)) != NULL) {
                char path[64];
                int pid = 0, owner = -1;
                if (sscanf(entry->d_name, "%d", &pid) != 1)
                        continue;
                snprintf(path, sizeof(path), "/proc/%d/status", pid);
                own_file FILE *file = fopen(path, "re");
                char line[128];
                while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
                        if (sscanf(line, "Uid: %d", &owner) == 1)
                                break;
                }
                count += (uid_t)owner == uid;
        }
        return count;
}

void leaks_count(const struct fixture *fixture, struct leaks *ret)
{
        *ret = (struct leaks){.mounts = lines_count("/proc/self/mountinfo"),
                              .descriptors = entries_count(AT_FDCWD, "/proc/self/fd", 0),
                              .processes = processes_of(fixture->uid)};
        for (size_t i = 0; i < fixture->tree->hierarchy_count; i++)
                ret->cgroups += entries_count(AT_FDCWD, fixture->tree->hierarchies[i].path, 3);
}
