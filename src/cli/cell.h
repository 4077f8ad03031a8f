/*
 * cli/cell.h: one field of an object as a cell of its table.
 */
#ifndef DISPATCH_CLI_CELL_H
#define DISPATCH_CLI_CELL_H

#include "cli/cli.h"
#include "cli/form.h"

/* The row's next cell. ERR_NO_MEMORY, ERR_LIMIT. */
enum err_code cell_add(struct cli *cli, struct table *table, const struct column *column,
                       const json_t *object);

#endif
