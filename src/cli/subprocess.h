/* cli/subprocess.h: running a program of the system for what it prints. */
#ifndef DISPATCH_CLI_SUBPROCESS_H
#define DISPATCH_CLI_SUBPROCESS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/*
 * Runs argv[0], found by PATH and without a shell, with `input` on its standard input; what it writes to
 * standard output is appended to `output`, what it writes to standard error is dropped. Blocks until it has
 * ended; past `timeout_ms` it is killed (ERR_TIMEOUT), also when it writes more than `output` takes
 * (ERR_TOO_LARGE). ERR_NOT_FOUND: there is no such program, or it exits with 127 as if so. *ret_exit is its
 * exit status, 128 + N after signal N.
 */
enum err_code subprocess_run(char *const argv[], struct str input, int timeout_ms, struct buf *output,
                             int *ret_exit, struct err *err);

#endif
