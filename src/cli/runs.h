/*
 * cli/runs.h: what get run and logs share.
 */
#ifndef DISPATCH_CLI_RUNS_H
#define DISPATCH_CLI_RUNS_H

#include "cli/cli.h"

#include <stdint.h>

/* 0001-01-01, the zero time of the original, in seconds since 1970: every run there is. */
extern const int64_t runs_since_ever_s;

/* "/v1/runs[/RUN]?[functionName=FUNCTION&]since=S" */
enum err_code runs_path(struct cli *cli, const char *function, const char *run, int64_t since_s,
                        const char **ret, struct err *err);

/* True if a started after b: by the second that every server tells, then by the finer time of ours. */
bool runs_is_later(const json_t *a, const json_t *b);

#endif
