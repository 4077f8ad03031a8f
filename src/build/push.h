/*
 * build/push.h: brings an image layout to a registry by skopeo(1), which speaks the registry's protocol (OCI
 * distribution specification) and its ways of signing in.
 *
 *      reference     HOST[:PORT]/PATH:TAG, as skopeo takes it behind docker://
 *      insecure      the registry may speak HTTP, or have a certificate that nobody knows
 *      auth          {"auths": {HOST: {"auth": ...}}}, the form of docker's config.json; or null
 *      authority     certificates (PEM) of who signed the registry's; or null
 */
#ifndef DISPATCH_BUILD_PUSH_H
#define DISPATCH_BUILD_PUSH_H

#include "base/err.h"
#include "base/str.h"

#include <jansson.h>

/*
 * The layout's only image. ERR_FORBIDDEN: the registry wants other credentials; ERR_UNPROCESSABLE: it does
 * not take this repository; ERR_UNAVAILABLE: it cannot be reached, or skopeo is not installed; ERR_BAD_REPLY:
 * else. The text begins with the registry.
 */
enum err_code push_run(const json_t *push, const char *layout, int log_fd, struct err *err);

/* What skopeo reads by the options --*-authfile and --*-cert-dir, out of the parts `auth` and `authority`. */
#define PUSH_AUTH_FILE   "/tmp/auth.json"
#define PUSH_CERT_FOLDER "/tmp/certs"
enum err_code push_files_put(const json_t *auth, const json_t *authority, struct err *err);

/* What skopeo's last words mean. */
enum err_code push_explain(struct str registry, struct str said, struct err *err);

#endif
