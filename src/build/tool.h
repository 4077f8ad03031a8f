/*
 * build/tool.h: runs another program (skopeo, mmdebstrap, apt-get) without a shell and reads what it says.
 *
 * Blocking. What the program writes is as hostile as what it works on: lines are cut at TOOL_LINE_MAX, made
 * printable UTF-8 and handed over one by one; nothing is kept. The program dies with its caller.
 */
#ifndef DISPATCH_BUILD_TOOL_H
#define DISPATCH_BUILD_TOOL_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

enum { TOOL_LINE_MAX = 2048 };

/* What is zero or NULL here is not asked for. */
struct tool {
        const char *const *argv;        /* ends with NULL; argv[0] without a slash is looked for in PATH */
        const char *const *environment; /* ends with NULL; NULL: the caller's */
        int directory_fd;               /* where it starts, if directory_given */
        bool directory_given;
        bool here_is_root; /* and that folder is its root: takes CAP_SYS_CHROOT */
        int input_fd;      /* its standard input, if input_given; else /dev/null */
        bool input_given;
        /* Standard output as bytes; NULL: it is read as lines, like standard error. An error ends the
         * program. */
        enum err_code (*data)(void *arg, const void *bytes, size_t len, struct err *err);
        void (*line)(void *arg, struct str line);
        /* Called every second at least; an error ends the program. */
        enum err_code (*tick)(void *arg, struct err *err);
        /* Sent where `data` or `tick` failed, to the program and all that it started: it has a process group
         * of its own then, and is waited for while it cleans up. 0: it is killed. */
        int stop_signal;
        void *arg;
};

/*
 * *ret_status is its exit status, 128 and the signal's number where a signal ended it. ERR_NOT_FOUND: there
 * is no such program; the text says so. The code of `data` or `tick` when that failed.
 */
enum err_code tool_run(const struct tool *tool, int *ret_status, struct err *err);

#endif
