/*
 * cli/settings.c: which server to talk to, and as whom. Four sources in a fixed order; an empty value counts
 * as not set. Nothing at all set means the server that a developer has just started on this machine.
 */
#include "cli/config.h"

#include <assert.h>
#include <string.h>

struct sources {
        struct arena *arena;
        const struct args *args;
        settings_lookup *lookup;
        const json_t *context;
        bool out_of_memory;
};

struct setting {
        const char *flag;
        const char *variable;
        const char *key; /* in the context, or NULL */
};

static const struct setting setting_host = {"host", "DISPATCH_HOST", "host"};
static const struct setting setting_port = {"port", "DISPATCH_PORT", "port"};
static const struct setting setting_scheme = {"scheme", "DISPATCH_SCHEME", "scheme"};
static const struct setting setting_organization = {"organization", "DISPATCH_ORGANIZATION", "organization"};
static const struct setting setting_project = {"project", "DISPATCH_PROJECT", "project"};
static const struct setting setting_insecure = {"insecure", "DISPATCH_INSECURE", "insecure"};
static const struct setting setting_ca_file = {"cacert", "DISPATCH_CACERT", "cacert"};
static const struct setting setting_token = {"token", "DISPATCH_TOKEN", NULL};
static const struct setting setting_account = {"service-account", "DISPATCH_SERVICE_ACCOUNT",
                                               "serviceaccount"};
static const struct setting setting_key = {"jwt-private-key", "DISPATCH_JWT_PRIVATE_KEY", "jwtprivatekey"};

/* A context's value as text: ports are numbers there, insecure is a boolean. */
static const char *context_text(struct sources *from, const char *key)
{
        const json_t *value = json_object_get(from->context, key);
        const char *text;

        if (json_is_boolean(value))
                return json_is_true(value) ? "true" : "false";
        if (!json_is_integer(value))
                return json_string_value(value);
        text = arena_printf(from->arena, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        from->out_of_memory = from->out_of_memory || text == NULL;
        return text;
}

/* NULL when it is set nowhere. */
static const char *find(struct sources *from, const struct setting *setting)
{
        const char *text = args_text(from->args, setting->flag);

        if (text == NULL || text[0] == '\0')
                text = from->lookup(setting->variable);
        if ((text == NULL || text[0] == '\0') && setting->key != NULL)
                text = context_text(from, setting->key);
        return text != NULL && text[0] != '\0' ? text : NULL;
}

static const char *find_or(struct sources *from, const struct setting *setting, const char *otherwise)
{
        const char *text = find(from, setting);

        return text != NULL ? text : otherwise;
}

static enum err_code parse_port(const char *text, int64_t *ret, struct err *err)
{
        uint64_t port;

        if (!str_to_u64(str_of(text), &port) || port == 0 || port > 65535)
                return err_set(err, ERR_INVALID, "invalid port \"%s\": must be 1 to 65535", text);
        *ret = (int64_t)port;
        return ERR_OK;
}

/*
 * The original's defaults are https and 443. They hold as soon as a host is named; without one the server is
 * this machine's own, which speaks plain HTTP on loopback.
 */
static enum err_code resolve_address(struct sources *from, struct settings *settings, struct err *err)
{
        const char *host = find(from, &setting_host);
        const char *scheme = find(from, &setting_scheme);
        const char *port = find(from, &setting_port);
        bool local = host == NULL || strncmp(host, "unix:", 5) == 0;

        settings->host = host != NULL ? host : "127.0.0.1";
        settings->scheme = scheme != NULL ? scheme : local ? "http" : "https";
        if (host != NULL && local) {
                settings->socket_path = host + 5;
                settings->host = "localhost";
                if (settings->socket_path[0] == '\0')
                        return err_set(err, ERR_INVALID,
                                       "invalid host \"unix:\": the socket's path is missing");
        }
        if (strcmp(settings->scheme, "http") != 0 && strcmp(settings->scheme, "https") != 0)
                return err_set(err, ERR_INVALID, "invalid scheme \"%s\": must be http or https",
                               settings->scheme);
        if (port == NULL)
                port = strcmp(settings->scheme, "http") == 0 && local ? "8080" : "443";
        return parse_port(port, &settings->port, err);
}

static int64_t gateway_port(const json_t *context, const char *key, int64_t otherwise)
{
        json_int_t port = json_integer_value(json_object_get(context, key));

        return port > 0 && port <= 65535 ? port : otherwise;
}

enum err_code settings_resolve(struct settings *settings, struct arena *arena, const struct args *args,
                               settings_lookup *lookup, const json_t *context, struct err *err)
{
        struct sources from = {arena, args, lookup, context, false};
        struct settings found = {.socket_path = NULL};
        const char *insecure = find(&from, &setting_insecure);
        enum err_code code = resolve_address(&from, &found, err);

        if (code != ERR_OK)
                return code;
        if (insecure != NULL && !flag_parse_bool(insecure, &found.insecure))
                return err_set(err, ERR_INVALID, "invalid value \"%s\" for insecure: must be true or false",
                               insecure);
        found.organization = find_or(&from, &setting_organization, "");
        found.project = find_or(&from, &setting_project, "");
        found.ca_file = find_or(&from, &setting_ca_file, "");
        found.token = find_or(&from, &setting_token, "");
        found.service_account = find_or(&from, &setting_account, "");
        found.jwt_private_key = find_or(&from, &setting_key, "");
        found.cookie = json_string_value(json_object_get(context, "cookie"));
        if (found.cookie == NULL)
                found.cookie = "";
        if (from.out_of_memory)
                return err_nomem(err);
        found.api_http_port = gateway_port(context, "api-http-port", 8081);
        found.api_https_port = gateway_port(context, "api-https-port", 8444);
        *settings = found;
        return ERR_OK;
}

const char *settings_gateway_url(const struct settings *settings, struct arena *arena, struct str protocol,
                                 struct str uri)
{
        bool https = str_eq(protocol, STR("https"));
        bool bare_ipv6 = strchr(settings->host, ':') != NULL && settings->host[0] != '[';
        int port = (int)(https ? settings->api_https_port : settings->api_http_port);
        const char *host = bare_ipv6 ? arena_printf(arena, "[%s]", settings->host) : settings->host;

        if (host == NULL)
                return NULL;
        if (port == (https ? 443 : 80))
                return arena_printf(arena, "%.*s://%s%.*s", STR_ARG(protocol), host, STR_ARG(uri));
        return arena_printf(arena, "%.*s://%s:%d%.*s", STR_ARG(protocol), host, port, STR_ARG(uri));
}
