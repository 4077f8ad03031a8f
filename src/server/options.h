/*
 * server/options.h: the server's options, from one table: flag, DISPATCH_* variable, key of the configuration
 * file, default, help.
 *
 * Flags > environment > configuration file > defaults. An unknown flag or key is an error that names it. The
 * table also prints --help and the reference in docs/configuration.md.
 */
#ifndef DISPATCH_SERVER_OPTIONS_H
#define DISPATCH_SERVER_OPTIONS_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct server_options {
        /* Strings are never NULL and belong to the struct. */
        char *organization_limits;
        char *config, *state_dir, *user, *host, *socket, *gateway_host;
        char *organization, *dispatch_host, *image_registry, *registry_auth_file, *registry_auth,
                *registry_insecure, *registry_local, *registry_ca, *image_folders, *storage, *file_sourceroot,
                *image_references;
        char *runtime_dir, *helper_dir, *network_range;

        char *build_env, *package_allow;
        char *tls_certificate, *tls_certificate_key; /* lists, separated by commas */
        char *minio_username, *minio_password, *minio_address;
        char *s3_endpoint, *s3_bucket, *s3_region, *s3_prefix, *s3_ca;
        char *s3_access_key, *s3_secret_key, *s3_secret_key_file, *s3_session_token;
        uint64_t s3_part_mib, s3_timeout_ms, gc_grace_s;
        uint64_t port, gateway_port, tls_port, gateway_tls_port, loops;
        uint64_t registry_patience_s;
        uint64_t run_timeout_ms, queue_requests, queue_wait_ms, start_timeout_ms, drain_ms, drain_idle_ms;
        uint64_t request_bytes_max, reply_bytes_max, log_bytes_max, source_bytes_max;
        uint64_t instances_max, pool_memory_mib, instance_pids_max, instance_tmp_mib, runs_keep;
        uint64_t header_bytes_max, header_count_max, header_timeout_ms, body_timeout_ms, write_timeout_ms,
                idle_timeout_ms, handshake_timeout_ms;
        uint64_t connections_max;
        uint64_t build_timeout_ms, build_memory_mib, build_disk_mib;
        bool enable_tls, disable_http, skip_auth, s3_path_style, disable_registry, debug, help, version;
};

/* Reads all sources. ERR_INVALID: the text says which option and what to do. */
enum err_code options_read(struct server_options *options, int argc, char *const *argv,
                           char *const *environment, struct err *err);
void options_finish(struct server_options *options);

/* Every option with its value in force, as `--name=value`: what the server is started with, so that it need
 * not read the sources again (it may not be allowed to). Not those that are secret: anybody on the host may
 * read a command line. */
void options_each(const struct server_options *options,
                  void (*each)(void *arg, const char *name, const char *value), void *arg);
/* The secret ones that are set, by the names of their variables: how the server gets them instead. */
void options_each_secret(const struct server_options *options,
                         void (*each)(void *arg, const char *variable, const char *value), void *arg);

/* What --help prints. */
enum err_code options_help(struct buf *out);
/* The table of docs/configuration.md. */
enum err_code options_markdown(struct buf *out);
/* Every option as the table has it; `variable` is NULL for what only the command line takes. */
void options_describe(void (*each)(void *arg, const char *name, const char *variable, const char *initial,
                                   bool has_value, const char *help),
                      void *arg);
/* The manual page dispatch-server(8). */
enum err_code options_man(struct buf *out);

#define own_options __attribute__((cleanup(options_finish)))

#endif
