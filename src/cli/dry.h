/*
 * cli/dry.h: --dry-run: the request that would be sent, checked as far as the client can, and shown instead.
 */
#ifndef DISPATCH_CLI_DRY_H
#define DISPATCH_CLI_DRY_H

#include "cli/resource.h"

bool cli_is_dry(const struct cli *cli);

/*
 * Shows "METHOD PATH" and the body as JSON; with -o json or yaml an object {method, path, body}, with -o name
 * the name alone. A body that the server's rules refuse is an error in its words; of an update by flags,
 * whose body is what they change, nothing is checked.
 */
enum err_code dry_run(struct cli *cli, const struct resource *resource, const struct call *call,
                      struct err *err);

#endif
