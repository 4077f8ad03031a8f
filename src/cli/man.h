/* cli/man.h: the manual pages of section 1, from the table of commands. */
#ifndef DISPATCH_CLI_MAN_H
#define DISPATCH_CLI_MAN_H

#include "base/err.h"
#include "cli/flags.h"

/* Writes dispatch.1, and dispatch-create-function.1 and so on for each command below, into `folder`. */
enum err_code man_write(const struct command *root, const char *folder, struct err *err);

#endif
