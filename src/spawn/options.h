/*
 * spawn/options.h: the command line of dispatch-spawn, which dispatch-server makes from its own.
 */
#ifndef DISPATCH_SPAWN_OPTIONS_H
#define DISPATCH_SPAWN_OPTIONS_H

#include "base/err.h"
#include "base/ipv4.h"
#include "wire/quota.h"

#include <stddef.h>
#include <stdint.h>

enum { OPTIONS_LISTEN_MAX = 8, OPTIONS_LOOPS_MAX = 64, OPTIONS_CREDENTIALS_MAX = 32 };

/* Everything points into argv. */
struct options {
        const char *state_dir;
        const char *runtime_dir;
        const char *user;
        const char *build_helper;
        const char *server;
        const char *listen[OPTIONS_LISTEN_MAX]; /* ROLE=ADDRESS */
        size_t listen_count;
        const char *credentials[OPTIONS_CREDENTIALS_MAX]; /* files: a certificate, its key, and so on */
        size_t credential_count;
        struct ipv4_range network_range; /* where the addresses of sandboxes are to be */
        struct quota quotas[QUOTAS_MAX];
        size_t quota_count;
        uint32_t loops;
        uint32_t drain_ms;
        uint32_t ready_ms;  /* for a new server in an upgrade */
        char **server_argv; /* NULL-terminated; [0] is its name */
};

enum err_code options_parse(int argc, char **argv, struct options *ret, struct err *err);

#endif
