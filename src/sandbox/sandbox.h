/*
 * sandbox/sandbox.h: makes a sandbox, and starts a process in it. Two steps, so that sandboxes can be made
 * ahead of need and a later way to start (from a template, a zygote, a stem) is another second step.
 *
 * A sandbox is a set of new user, mount, pid, IPC, UTS, network and cgroup namespaces with a user id of its
 * own (1000 inside), held by a small init (spawn/init.c). Nothing of a tenant runs before every right is
 * gone: no capabilities, no_new_privs, a seccomp filter, a read-only root, limits.
 *
 * What the process sees: the root read-only; /function and /runtime read-only; /tmp of its own, limited; /dev
 * with null, zero, full, random, urandom and shm; /proc of its own, read-only; no /sys; a network with only
 * lo, or one that reaches the outside (network.h). PATH, HOME=/tmp, TMPDIR=/tmp and LANG=C.UTF-8 in the
 * environment, / as working directory.
 *
 * Its descriptors: 0 is /dev/null, 3 is what the caller gives (an instance: the channel). 1 and 2 are two
 * sealed files in memory of SANDBOX_OUTPUT_BYTES each (F_SEAL_GROW, F_SEAL_SHRINK), so whatever the process,
 * its children or a C library print is kept and bounded: a write past the end fails with EPERM. The offset is
 * shared by all who inherit the descriptor. After a run the agent reads [0, lseek(fd, 0, SEEK_CUR)) with
 * pread(2) and seeks back to 0; an offset at the end means that more may have been printed.
 *
 * One thread, which must not end before the sandbox does: it is the parent whose death ends the sandbox.
 */
#ifndef DISPATCH_SANDBOX_SANDBOX_H
#define DISPATCH_SANDBOX_SANDBOX_H

#include "base/err.h"
#include "sandbox/cgroup.h"
#include "sandbox/filters.h"
#include "sandbox/mounts.h"
#include "sandbox/network.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
        SANDBOX_UID = 1000, /* inside, user and group */
        SANDBOX_OUTPUT_BYTES = 1024 * 1024
};

/* What all sandboxes of this process share. */
struct sandbox_host {
        struct mounts_host mounts;
        int init_fd; /* the static init's program; the caller's */
        int self_fd; /* this process, by pidfd */
        int net_fd;  /* its network namespace */
};

struct sandbox_spec {
        uid_t uid;                   /* of the host, this sandbox's alone */
        uid_t owner;                 /* of its user namespace: who may join it. 0: root alone */
        const struct sandbox *below; /* in whose pid namespace its own is: who joins it must be in there, and
                                        the end of that one ends this one. NULL: this process's */
        bool fork_server;   /* it stays in this user namespace, to join those of others (wire/fork.h);
                               without any capability there either */
        uint32_t uid_count; /* more than 1: it is root of so many ids, from `uid` on (rights.h) */
        bool chroot;        /* and then, may change its root (chroot(2)) in its own namespaces */
        const struct mounts *mounts; /* open; the caller's */
        struct cgroup *cgroup;       /* the caller's; outlives the sandbox */
        const struct filter *filter;
        uint32_t tmp_mib;
        uint64_t file_bytes_max;            /* 0: no bound of its own */
        bool host_network;                  /* no network namespace of its own: for who runs nobody's code */
        const struct network_link *network; /* NULL: only lo. The caller's */
};

/*
 *   MAKING ─▶ READY ─▶ STARTING ─▶ RUNNING     READY ─▶ RUNNING: what was forked into it
 *      └────────┴──────────┴──────────┴─▶ GONE
 */
enum sandbox_state { SANDBOX_MAKING, SANDBOX_READY, SANDBOX_STARTING, SANDBOX_RUNNING, SANDBOX_GONE };

/* Zero is no sandbox; sandbox_finish takes it. */
struct sandbox {
        enum sandbox_state state;
        pid_t pid;
        int pid_fd;     /* readable once every process of it is gone */
        int control_fd; /* readable when sandbox_report has something to say */
        bool exited;    /* the process ended by itself: wait_status is its */
        int wait_status;
};

/* First of all, before folders are opened: a session keyring and a mount namespace of our own (mounts.h). */
enum err_code sandbox_host_enter(struct err *err);

/* init_fd is the static init's program, and stays the caller's. folder, below dir_fd, is where the shared
 * /dev goes.
 */
enum err_code sandbox_host_init(struct sandbox_host *host, int init_fd, int dir_fd, const char *folder,
                                struct err *err);
void sandbox_host_finish(struct sandbox_host *host);

/*
 * First step. On success the sandbox is being made beside the caller: what goes wrong from here on arrives as
 * a report. The spec is not needed any more.
 */
enum err_code sandbox_make(const struct sandbox_host *host, const struct sandbox_spec *spec,
                           struct sandbox *ret, struct err *err);

struct sandbox_process {
        const char *argv; /* argc strings, each NUL-terminated, SPAWN_ARGV_MAX bytes at most */
        size_t argv_len;
        uint32_t argc;
        int fds[4]; /* become 3, 4, ...; they stay the caller's */
        size_t fd_count;
        int program_fd; /* -1: argv[0] is the path of the program in the sandbox */
        bool output;    /* keep what it prints, as above; else 1 and 2 are /dev/null */
        bool lingers;   /* its end is reported, and the sandbox stays until it is killed */
};

/* A file in memory for what is printed, as above, sealed; -1 and errno. */
int sandbox_output_create(const char *name);

/* Second step; once a sandbox. It may be taken before the first has finished. */
enum err_code sandbox_start(struct sandbox *sandbox, const struct sandbox_process *process, struct err *err);

/* The other second step, of a sandbox that is READY: a process that somebody forked into it runs, which has
 * this number in there. It is RUNNING then. */
enum err_code sandbox_adopt(struct sandbox *sandbox, int32_t pid, struct err *err);

/*
 * Reads what the sandbox says, without blocking. ERR_OK: the state may have moved (RUNNING: the process runs
 * its program). ERR_LIMIT: nothing to read. Any other code: the sandbox could not be made or the program not
 * run; the text says why, and the sandbox is ending.
 */
enum err_code sandbox_report(struct sandbox *sandbox, struct err *err);

/* SIGKILL to everything in it, at once. Again and again is fine. */
void sandbox_kill(struct sandbox *sandbox);
/* The same to the process of a RUNNING sandbox that lingers, and to what is left of it; not to what is
 * `below` it. sandbox_report sets `exited` then. */
void sandbox_stop(struct sandbox *sandbox);

/*
 * Once pid_fd is readable: reaps it and reads its last words. *ret_by_signal and *ret_value say how its
 * process ended (killed from outside: by SIGKILL). False: it is not gone yet.
 */
bool sandbox_reap(struct sandbox *sandbox, bool *ret_by_signal, int *ret_value);

/* Closes the descriptors. A sandbox that is not gone is killed, and waited for. */
void sandbox_finish(struct sandbox *sandbox);

#endif
