/*
 * cli/show.h: resources on standard output: as the table of their kind, as JSON or YAML in SEED's form, or by
 * name alone.
 */
#ifndef DISPATCH_CLI_SHOW_H
#define DISPATCH_CLI_SHOW_H

#include "cli/cli.h"
#include "cli/resource.h"

/* A reply that should be an object or a list of objects; NULL is shown as an empty one. */
enum err_code show_one(struct cli *cli, const struct resource *resource, const json_t *object,
                       struct err *err);
enum err_code show_list(struct cli *cli, const struct resource *resource, const json_t *list,
                        struct err *err);
/* The list's rows without a header. */
enum err_code show_rows(struct cli *cli, const struct resource *resource, const json_t *list,
                        struct err *err);

/* Any value as the output asks: JSON unless it is YAML. */
enum err_code show_value(struct cli *cli, const json_t *value, struct err *err);
/* 4-space JSON of a reply in SEED's form, whatever the output. */
enum err_code show_json(struct cli *cli, const struct resource *resource, const json_t *reply,
                        struct err *err);

/* "TEXT: NAME" as a line, or the object as -o says. */
enum err_code show_done(struct cli *cli, const struct resource *resource, const char *text, const char *name,
                        const json_t *object, struct err *err);

/* The name that the reply carries (at the top or in meta), else `otherwise`. Lives in the arena; NULL when
 * out of memory. */
const char *show_name(struct cli *cli, const json_t *object, const char *otherwise);

#endif
