/*
 * runtimes/http/secrets.h: a function's secrets as files, as a cluster mounts them, for a process that knows
 * nothing of this project.
 *
 * A folder that the agent's command line names, in the sandbox's /tmp (in memory, and its alone), to which
 * /run/secrets leads: a file a key with its value, and a file
 * NAME.json a secret (docs/function-images.md). DISPATCH_SECRETS_DIR names it. Nothing goes into the
 * environment.
 */
#ifndef DISPATCH_RUNTIME_HTTP_SECRETS_H
#define DISPATCH_RUNTIME_HTTP_SECRETS_H

#include "base/err.h"
#include "base/str.h"

/* Writes the members of a JSON object (empty: none), each a file; what is there is replaced. */
enum err_code secrets_write(const char *folder, struct str object, struct err *err);

#endif
