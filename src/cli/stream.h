/*
 * cli/stream.h: the documents of a YAML stream, one request each.
 */
#ifndef DISPATCH_CLI_STREAM_H
#define DISPATCH_CLI_STREAM_H

#include "cli/cli.h"

struct stream_verb;

extern const struct stream_verb stream_verb_create, stream_verb_update, stream_verb_apply, stream_verb_delete;

/* All documents of `text`, which errors call `name`; "Created KIND: NAME" for each. */
enum err_code stream_run_text(struct cli *cli, const struct stream_verb *verb, const char *name,
                              struct str text, struct err *err);

#endif
