/*
 * runtimes/http/command.h: what of an image is to be started, and how.
 *
 * The handler of a function that is an image is a JSON object: {"argv": [string, ...], "cwd": PATH,
 * "protocol": "http" or "dispatch"}; argv is the image's Entrypoint and Cmd. Its environment is the agent's,
 * which the server has put together (image, then function).
 */
#ifndef DISPATCH_RUNTIME_HTTP_COMMAND_H
#define DISPATCH_RUNTIME_HTTP_COMMAND_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum { COMMAND_ARGS_MAX = 256, COMMAND_BYTES_MAX = 65536, COMMAND_PORT = 8080 };

struct command {
        bool messages; /* it speaks the messages of CONTRACT 8.2, not plain requests */
        uint16_t port; /* $PORT */
        char *argv[COMMAND_ARGS_MAX + 1];
        char *cwd;
        char program[PATH_MAX]; /* the file that argv[0] names */
        struct buf text;        /* what the pointers point into */
};

/* ERR_INVALID, ERR_NOT_FOUND: what is wrong with the image, in one line. Sets PORT in the environment where
 * it is not there. command_finish in any case. */
enum err_code command_read(struct str handler, struct command *ret, struct err *err);
void command_finish(struct command *command);

#endif
