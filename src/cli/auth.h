/* cli/auth.h: the signed claim of a service account (CONTRACT.md 1.2). */
#ifndef DISPATCH_CLI_AUTH_H
#define DISPATCH_CLI_AUTH_H

#include "base/buf.h"
#include "base/err.h"
#include "cli/config.h"

/* Appends a JSON Web Token (RFC 7519), RS256, issued by ORGANIZATION/ACCOUNT and good for an hour. */
enum err_code auth_sign(const struct settings *settings, struct buf *out, struct err *err);

#endif
