/*
 * tests/unit/sandbox/fixture.h: a state folder with one layer (busybox) and what it takes to run a shell
 * script in a sandbox. Needs root.
 */
#ifndef DISPATCH_TESTS_SANDBOX_FIXTURE_H
#define DISPATCH_TESTS_SANDBOX_FIXTURE_H

#include "sandbox/sandbox.h"

enum { FIXTURE_UID_FIRST = 0x60000000, FIXTURE_OUTPUT_MAX = 65536 };

struct fixture {
        char path[64]; /* of the state folder */
        uid_t uid;     /* of its sandboxes: apart from those of a Dispatch that runs beside this test */
        int state_fd;
        int layer_fd;
        struct sandbox_host host;
        struct cgroup_tree *tree;
};

/* How one script is run; zero fields take the fixture's defaults. */
struct script {
        const char *text;
        struct cgroup_limits limits;
        uint32_t tmp_mib;
        const char *filter;
        bool stay; /* do not wait for its end */
};

struct outcome {
        char text[FIXTURE_OUTPUT_MAX]; /* what it wrote to 3 */
        size_t len;
        bool by_signal;
        int value;
        struct cgroup_usage usage;
        enum err_code code; /* of making or starting it */
        struct err err;
};

/* False, with a printed reason: not root, so the test is to be skipped. */
bool fixture_possible(void);

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Runs it to its end. With `stay` the sandbox is running on return, and the caller ends it. */
void fixture_run(struct fixture *fixture, const struct script *script, struct outcome *ret);
/* The two steps by themselves. *ret_out_fd reads what the script writes to 3. */
enum err_code fixture_start(struct fixture *fixture, const struct script *script, struct sandbox *ret,
                            struct cgroup **ret_cgroup, int *ret_out_fd, struct err *err);
/* Until the process runs its program, or could not. */
enum err_code fixture_await_running(struct sandbox *sandbox, struct err *err);
void fixture_await_gone(struct sandbox *sandbox, bool *ret_by_signal, int *ret_value);

/* Counts of what must not leak: mounts and descriptors of this process, cgroups of the tree, processes under
 * the sandboxes' user ids. */
struct leaks {
        size_t mounts, descriptors, cgroups, processes;
};
void leaks_count(const struct fixture *fixture, struct leaks *ret);

#endif
