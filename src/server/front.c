/*
 * server/front.c: what the command line starts: the checks that a user should hear of at once, then exec of
 * dispatch-spawn, which takes this process over (so that the process that a supervisor watches is the
 * privileged one).
 */
#include "server/server.h"
#include "server/storage.h"
#include "wire/quota.h"

#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FRONT_ARGS_MAX = 512, FRONT_TEXT_MAX = 65536, LOOPS_MAX = 256, CERTIFICATES_MAX = 16 };

/* The arguments of dispatch-spawn; texts are kept in `text`. */
struct arguments {
        const char *items[FRONT_ARGS_MAX];
        size_t count;
        char text[FRONT_TEXT_MAX];
        size_t used;
        bool full;
};

static void add(struct arguments *arguments, const char *text)
{
        if (arguments->count + 1 >= FRONT_ARGS_MAX) {
                arguments->full = true;
                return;
        }
        arguments->items[arguments->count++] = text;
        arguments->items[arguments->count] = NULL;
}

static void addf(struct arguments *arguments, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void addf(struct arguments *arguments, const char *fmt, ...)
{
        char *at = arguments->text + arguments->used;
        size_t room = sizeof(arguments->text) - arguments->used;
        va_list args;

        va_start(args, fmt);
        int len = vsnprintf(at, room, fmt, args);
        va_end(args);
        if (len < 0 || (size_t)len >= room) {
                arguments->full = true;
                return;
        }
        arguments->used += (size_t)len + 1;
        add(arguments, at);
}

static bool address_is_loopback(const char *host)
{
        struct in_addr v4;
        struct in6_addr v6;

        if (inet_pton(AF_INET, host, &v4) == 1)
                return (ntohl(v4.s_addr) >> 24) == 127;
        return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static enum err_code check_address(const struct server_options *options, const char *flag, const char *host,
                                   struct err *err)
{
        struct in6_addr any;

        if (inet_pton(AF_INET, host, &any) != 1 && inet_pton(AF_INET6, host, &any) != 1)
                return err_set(err, ERR_INVALID, "--%s takes an IP address such as 127.0.0.1, not '%s'", flag,
                               host);
        if (!options->skip_auth && !address_is_loopback(host))
                return err_set(err, ERR_FORBIDDEN,
                               "--%s %s would serve strangers without asking who they are; give --skip-auth "
                               "if that is meant",
                               flag, host);
        return ERR_OK;
}

static const char *gateway_host(const struct server_options *options)
{
        return options->gateway_host[0] != '\0' ? options->gateway_host : options->host;
}

static size_t list_count(const char *list)
{
        size_t count = list[0] != '\0' ? 1 : 0;

        for (; *list != '\0'; list++)
                count += *list == ',' ? 1 : 0;
        return count;
}

static enum err_code check_tls(const struct server_options *options, struct err *err)
{
        size_t certificates = list_count(options->tls_certificate),
               keys = list_count(options->tls_certificate_key);

        if (options->disable_http && !options->enable_tls)
                return err_set(err, ERR_INVALID,
                               "--disable-http leaves no port to serve: give --enable-tls with it");
        if (certificates != keys)
                return err_set(err, ERR_INVALID,
                               "%zu of --tls-certificate and %zu of --tls-certificate-key: each certificate "
                               "needs its "
                               "key",
                               certificates, keys);
        if (certificates > CERTIFICATES_MAX)
                return err_set(err, ERR_INVALID, "--tls-certificate may be given %d times", CERTIFICATES_MAX);
        return ERR_OK;
}

static enum err_code check_builds(const struct server_options *options, struct err *err)
{
        const char *allow = options->package_allow, *variables = options->build_env;

        if (allow[0] != '\0' && allow[0] != '/')
                return err_set(err, ERR_INVALID, "--package-allow takes an absolute path, not '%s'", allow);
        if (allow[0] != '\0' && access(allow, R_OK) < 0)
                return err_sys(err, "--package-allow: open %s", allow);
        if (variables[0] != '\0' &&
            (variables[0] == '=' || strcspn(variables, "=") >= strcspn(variables, ",")))
                return err_set(err, ERR_INVALID, "--build-env takes NAME=VALUE, not '%s'", variables);
        return ERR_OK;
}

static enum err_code check(const struct server_options *options, struct err *err)
{
        enum err_code code = check_address(options, "host", options->host, err);

        if (code == ERR_OK)
                code = check_address(options, "gateway-host", gateway_host(options), err);
        if (code == ERR_OK)
                code = check_tls(options, err);
        if (code == ERR_OK)
                code = check_builds(options, err);
        if (code == ERR_OK)
                code = storage_export(options, err);
        if (code == ERR_OK && geteuid() != 0)
                code = err_set(err, ERR_FORBIDDEN,
                               "making sandboxes needs root on this version: run 'sudo dispatch-server ...'");
        return code;
}

/* Each item of --organization-limits; spawn holds them. */
static enum err_code add_quotas(struct arguments *arguments, const struct server_options *options,
                                struct err *err)
{
        struct str rest = str_of(options->organization_limits);
        struct quota quota;

        for (size_t count = 1; rest.len > 0; count++) {
                struct str item = str_trim(str_cut(&rest, ','), " \t");
                enum err_code code = count <= QUOTAS_MAX
                                             ? quota_parse(item, &quota, err)
                                             : err_set(err, ERR_INVALID, "more than %d items", QUOTAS_MAX);
                if (code != ERR_OK)
                        return err_wrap(err, code, "--organization-limits");
                addf(arguments, "--organization-limits=%.*s", STR_ARG(item));
        }
        return ERR_OK;
}

static void add_option(void *arg, const char *name, const char *value)
{
        addf(arg, "--%s=%s", name, value);
}

/* This program's own path, by which an upgrade starts whatever is there then. */
static enum err_code find_self(char self[PATH_MAX], struct err *err)
{
        ssize_t len = readlink("/proc/self/exe", self, PATH_MAX - 1);

        if (len < 0)
                return err_sys(err, "find this program");
        self[len] = '\0';
        return ERR_OK;
}

/* Where its helpers and runtimes are: beside it in a build, in libexec once installed. */
static enum err_code find_folders(const struct server_options *options, const char *program,
                                  char helpers[PATH_MAX], char runtimes[PATH_MAX], struct err *err)
{
        char self[PATH_MAX], probe[PATH_MAX + 64];
        int len;

        snprintf(self, sizeof(self), "%s", program);
        *strrchr(self, '/') = '\0';
        snprintf(probe, sizeof(probe), "%s/dispatch-spawn", self);
        bool built = access(probe, X_OK) == 0;
        if (options->helper_dir[0] != '\0')
                len = snprintf(helpers, PATH_MAX, "%s", options->helper_dir);
        else
                len = snprintf(helpers, PATH_MAX, built ? "%s" : "%s/../libexec/dispatch", self);
        if (len >= PATH_MAX)
                return err_set(err, ERR_INVALID, "the path of the helpers is too long");
        if (options->runtime_dir[0] != '\0')
                len = snprintf(runtimes, PATH_MAX, "%s", options->runtime_dir);
        else
                len = snprintf(runtimes, PATH_MAX, "%s/runtimes", helpers);
        return len < PATH_MAX ? ERR_OK : err_set(err, ERR_INVALID, "the path of the runtimes is too long");
}

static void add_listen(struct arguments *arguments, const char *role, const char *host, uint64_t port)
{
        add(arguments, "--listen");
        addf(arguments, strchr(host, ':') != NULL ? "%s=tcp:[%s]:%llu" : "%s=tcp:%s:%llu", role, host,
             (unsigned long long)port);
}

static void add_socket(struct arguments *arguments, const struct server_options *options,
                       const char *state_dir)
{
        if (strcmp(options->socket, "none") == 0)
                return;
        add(arguments, "--listen");
        if (options->socket[0] != '\0')
                addf(arguments, "unix=unix:%s", options->socket);
        else
                addf(arguments, "unix=unix:%s/dispatch.sock", state_dir);
}

/* Relative to where the user stands now: spawn's working directory is another. */
static enum err_code absolute(const char *path, char out[PATH_MAX], struct err *err)
{
        char here[PATH_MAX];

        if (path[0] != '/' && getcwd(here, sizeof(here)) == NULL)
                return err_sys(err, "find the working directory");
        int len = path[0] == '/' ? snprintf(out, PATH_MAX, "%s", path)
                                 : snprintf(out, PATH_MAX, "%s/%s", here, path);
        return len < PATH_MAX ? ERR_OK
                              : err_set(err, ERR_INVALID,
                                        "a path of an option is longer than %d characters: '%.60s...'",
                                        PATH_MAX - 1, path);
}

static void add_listeners(struct arguments *arguments, const struct server_options *options)
{
        if (getenv(SERVER_ENV_MAINTENANCE) != NULL)
                return;
        if (!options->disable_http) {
                add_listen(arguments, "api", options->host, options->port);
                add_listen(arguments, "gateway", gateway_host(options), options->gateway_port);
        }
        if (options->enable_tls) {
                add_listen(arguments, "api-tls", options->host, options->tls_port);
                add_listen(arguments, "gateway-tls", gateway_host(options), options->gateway_tls_port);
        }
}

/* In turn a certificate and its key; they are spawn's to open. */
static enum err_code add_credentials(struct arguments *arguments, const struct server_options *options,
                                     struct err *err)
{
        struct str certificates = str_of(options->tls_certificate),
                   keys = str_of(options->tls_certificate_key);
        char given[PATH_MAX], path[PATH_MAX];

        for (bool key = false; options->enable_tls && (key ? keys.len : certificates.len) > 0; key = !key) {
                struct str name = str_cut(key ? &keys : &certificates, ',');
                if (name.len == 0)
                        return err_set(err, ERR_INVALID, "--tls-certificate%s has an empty name in its list",
                                       key ? "-key" : "");
                snprintf(given, sizeof(given), "%.*s", STR_ARG(name));
                enum err_code code = absolute(given, path, err);
                if (code != ERR_OK)
                        return code;
                addf(arguments, "--credential=%s", path);
        }
        return ERR_OK;
}

enum err_code server_front(const struct server_options *options, int argc, char *const *argv, struct err *err)
{
        static struct arguments arguments;
        char self[PATH_MAX], helpers[PATH_MAX], runtimes[PATH_MAX], runtimes_full[PATH_MAX], state[PATH_MAX],
                spawn[PATH_MAX + 32];
        enum err_code code = check(options, err);
        uint64_t loops = options->loops;

        (void)argc;
        if (code == ERR_OK)
                code = find_self(self, err);
        if (code == ERR_OK)
                code = find_folders(options, self, helpers, runtimes, err);
        if (code == ERR_OK)
                code = absolute(runtimes, runtimes_full, err);
        if (code == ERR_OK)
                code = absolute(options->state_dir, state, err);
        if (code != ERR_OK)
                return code;
        if (loops == 0)
                loops = (uint64_t)(sysconf(_SC_NPROCESSORS_ONLN) > 0 ? sysconf(_SC_NPROCESSORS_ONLN) : 1);
        if (loops > LOOPS_MAX)
                loops = LOOPS_MAX;
        snprintf(spawn, sizeof(spawn), "%s/dispatch-spawn", helpers);

        add(&arguments, "dispatch-spawn");
        addf(&arguments, "--state-dir=%s", state);
        addf(&arguments, "--user=%s", options->user);
        addf(&arguments, "--loops=%llu", (unsigned long long)loops);
        addf(&arguments, "--drain-ms=%llu", (unsigned long long)options->drain_ms);
        addf(&arguments, "--network-range=%s", options->network_range);
        add_listeners(&arguments, options);
        code = add_credentials(&arguments, options, err);
        if (code == ERR_OK)
                code = add_quotas(&arguments, options, err);
        if (code != ERR_OK)
                return code;
        add_socket(&arguments, options, state);
        addf(&arguments, "--runtime-dir=%s", runtimes_full);
        addf(&arguments, "--build-helper=%s/dispatch-build", helpers);
        addf(&arguments, "--server=%s", self);
        add(&arguments, "--");
        add(&arguments, argv[0]);
        options_each(options, add_option, &arguments);
        if (arguments.full)
                return err_set(err, ERR_INVALID, "the options are too long");
        execv(spawn, (char *const *)(void *)arguments.items);
        return err_sys(err, "start '%s' (is the installation complete?)", spawn);
}

enum err_code server_base_image(int argc, char *const *argv, struct err *err)
{
        static struct arguments arguments;
        struct server_options none = {.helper_dir = (char *)"", .runtime_dir = (char *)""};
        char self[PATH_MAX], helpers[PATH_MAX], runtimes[PATH_MAX], build[PATH_MAX + 32];
        enum err_code code = find_self(self, err);

        if (code == ERR_OK)
                code = find_folders(&none, self, helpers, runtimes, err);
        if (code != ERR_OK)
                return code;
        snprintf(build, sizeof(build), "%s/dispatch-build", helpers);
        add(&arguments, "dispatch-build");
        add(&arguments, "base-image");
        add(&arguments, runtimes);
        for (int i = 2; i < argc; i++)
                add(&arguments, argv[i]);
        if (arguments.full)
                return err_set(err, ERR_INVALID, "the arguments are too long");
        execv(build, (char *const *)(void *)arguments.items);
        return err_sys(err, "start '%s' (is the installation complete?)", build);
}
