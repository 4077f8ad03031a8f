/*
 * cli/config.h: the configuration file with its contexts, and the settings that flags, environment and
 * context add up to (CONTRACT.md 1.1).
 */
#ifndef DISPATCH_CLI_CONFIG_H
#define DISPATCH_CLI_CONFIG_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "cli/flags.h"
#include "model/json.h"

#include <stdbool.h>
#include <stdint.h>

enum { CONFIG_FILE_MAX = 1 << 20 };

struct config {
        const char *path; /* NULL: there is nowhere to keep one */
        json_t *root;     /* {"current": NAME, "contexts": {NAME: {...}}}; never NULL after config_load */
};

/* From --config or DISPATCH_CONFIG (which must exist then), else ~/.dispatch/config.json. Unknown keys are
 * errors. */
enum err_code config_load(struct config *config, struct arena *arena, const char *path_given,
                          struct err *err);
/* The content of such a file; its format is that of the path's extension. */
enum err_code config_parse(const char *path, struct str text, json_t **ret, struct err *err);
void config_finish(struct config *config);
/* Writes it back whole, by way of a second file: 4 spaces, 0600, or YAML where the name says so. */
enum err_code config_save(const struct config *config, struct err *err);

/* The current context, a view into the file; NULL when there is none. ERR_NOT_FOUND if it names none. */
enum err_code config_current(const struct config *config, const json_t **ret, struct err *err);
const char *config_current_name(const struct config *config); /* "" if none */
/* {NAME: context} */
json_t *config_contexts(const struct config *config);

struct settings {
        const char *socket_path; /* a Unix socket, or NULL */
        const char *host;
        int64_t port;
        const char *scheme;
        const char *organization; /* "" where not configured; so are the following */
        const char *project;
        const char *cookie;
        const char *token;
        const char *service_account;
        const char *jwt_private_key;
        const char *ca_file; /* of certificates to trust beside the system's */
        bool insecure;
        int64_t api_http_port, api_https_port; /* of the server's gateway, for what is shown */
};

/* "PROTOCOL://HOST[:PORT]URI" on the server's gateway, the port left out where it is the protocol's own. In
 * the arena; NULL when out of memory. */
const char *settings_gateway_url(const struct settings *settings, struct arena *arena, struct str protocol,
                                 struct str uri);

/* What `lookup` finds under a name of the environment, or NULL: getenv, or a test's own. */
typedef const char *settings_lookup(const char *name);

/* Flag, then environment, then context, then default. Everything points into args, the environment, the
 * context and the arena. */
enum err_code settings_resolve(struct settings *settings, struct arena *arena, const struct args *args,
                               settings_lookup *lookup, const json_t *context, struct err *err);

#define own_config __attribute__((cleanup(config_finish)))

#endif
