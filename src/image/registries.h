/*
 * image/registries.h: what the administrator and the users say about container registries: which may speak
 * plain HTTP, which are reached through the host's own network, who signs their certificates, and
 * credentials.
 *
 * A registry is HOST or HOST:PORT, as it stands before the first slash of a reference; a reference without
 * one is docker.io's. Credentials have the form of docker's config.json: {"auths": {KEY: {"auth": BASE64}}},
 * KEY a registry, perhaps with a path behind it. Immutable once made; any thread.
 */
#ifndef DISPATCH_IMAGE_REGISTRIES_H
#define DISPATCH_IMAGE_REGISTRIES_H

#include "base/err.h"
#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>

enum {
        REGISTRIES_FILE_MAX = 1 << 20, /* bytes of a file of credentials, and of all certificates */
        REGISTRY_MAX = 280             /* of a registry's name, with its NUL */
};

struct registries;

struct registries_config {
        const char *insecure;  /* list of registries, separated by commas */
        const char *local;     /* the same */
        const char *auth_file; /* "" for none */
        const char *auth; /* {"username", "password"} as JSON or base64 of it, for `prefix`; "" for none */
        const char *authority; /* folder of *.crt and *.pem, or a file; "" for none */
        const char *prefix;    /* where images go, "HOST/PATH"; "": they are pushed to none */
};

/* Blocking (reads files). Errors name the option. */
enum err_code registries_create(const struct registries_config *config, struct registries **ret,
                                struct err *err);
void registries_destroy(struct registries *registries); /* takes NULL */

bool registries_insecure(const struct registries *registries, const char *registry);
bool registries_local(const struct registries *registries, const char *registry);
/* "" for none. */
const char *registries_prefix(const struct registries *registries);
/* PEM; NULL: what the system trusts. */
const char *registries_authority(const struct registries *registries);
/* The credentials for one registry and no other; NULL: there are none. New. */
json_t *registries_auth(const struct registries *registries, const char *registry);

/* Credentials out of a secret: its keys username and password, or .dockerconfigjson. ERR_UNPROCESSABLE: it
 * has neither, or none for this registry. New. */
enum err_code registries_secret_auth(const json_t *secret, const char *registry, json_t **ret,
                                     struct err *err);

/* The registry of a reference. False: it is none that can be pushed to ("HOST[:PORT]/PATH[:TAG]", no digest).
 */
bool registry_of(struct str reference, char registry[REGISTRY_MAX]);

#endif
