/* cli/commands.h: what the table of commands in commands.c runs, beside the generic commands of resource.h.
 */
#ifndef DISPATCH_CLI_COMMANDS_H
#define DISPATCH_CLI_COMMANDS_H

#include "cli/cli.h"

enum err_code exec_run(struct cli *cli, struct err *err);
enum err_code runs_get(struct cli *cli, struct err *err);
enum err_code instances_get(struct cli *cli, struct err *err);
enum err_code describe_function(struct cli *cli, struct err *err);
enum err_code emit_run(struct cli *cli, struct err *err);
enum err_code driver_create(struct cli *cli, struct err *err);
enum err_code export_run(struct cli *cli, struct err *err);
enum err_code logs_run(struct cli *cli, struct err *err);
enum err_code version_run(struct cli *cli, struct err *err);
enum err_code completion_run(struct cli *cli, struct err *err);
enum err_code login_run(struct cli *cli, struct err *err);
enum err_code logout_run(struct cli *cli, struct err *err);

enum err_code context_list(struct cli *cli, struct err *err);
enum err_code context_manage(struct cli *cli, struct err *err);
enum err_code context_set(struct cli *cli, struct err *err);
enum err_code context_current(struct cli *cli, struct err *err);
enum err_code context_delete(struct cli *cli, struct err *err);

/* create, update, apply and delete -f FILE */
enum err_code stream_create(struct cli *cli, struct err *err);
enum err_code stream_update(struct cli *cli, struct err *err);
enum err_code stream_apply(struct cli *cli, struct err *err);
enum err_code stream_delete(struct cli *cli, struct err *err);

/* create, apply and delete seed-images */
enum err_code seed_create(struct cli *cli, struct err *err);
enum err_code seed_apply(struct cli *cli, struct err *err);
enum err_code seed_delete(struct cli *cli, struct err *err);

/* Of create, update and apply -f. */
extern const struct flag flags_stream[];
/* get, create and delete of what identities are for. */
extern const struct command commands_iam[];

#endif
