/*
 * cli/login.c: login keeps a service account in the current context once the server has taken it; logout
 * forgets all credentials there.
 */
#include "cli/commands.h"

#include "base/own.h"

#include <limits.h>
#include <string.h>

/* Relative to no directory, since later commands run in others. */
static const char *absolute(struct cli *cli, const char *path)
{
        char directory[PATH_MAX];

        if (path[0] == '/' || path[0] == '\0' || getcwd(directory, sizeof(directory)) == NULL)
                return path;
        return arena_printf(&cli->arena, "%s/%s", directory, path);
}

/* A context named after the host, dots turned into dashes. */
static enum err_code add_context(struct cli *cli, struct err *err)
{
        const struct settings *settings = &cli->settings;
        bool socket = settings->socket_path != NULL;
        const char *host =
                socket ? arena_printf(&cli->arena, "unix:%s", settings->socket_path) : settings->host;
        char *name = host != NULL ? arena_strdup(&cli->arena, str_of(host)) : NULL;
        json_t *context;

        if (name == NULL)
                return err_nomem(err);
        for (char *at = name; *at != '\0'; at++)
                *at = *at == '.' ? '-' : *at;
        context = json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:b}", "host", host, "port",
                            (json_int_t)settings->port, "scheme", settings->scheme, "organization",
                            settings->organization, "project", settings->project, "cookie", "", "insecure",
                            settings->insecure);
        if (settings->ca_file[0] != '\0' &&
            json_object_set_new(context, "cacert", json_string(absolute(cli, settings->ca_file))) < 0) {
                json_decref(context);
                return err_nomem(err);
        }
        if (context == NULL || json_object_set_new(config_contexts(&cli->config), name, context) < 0 ||
            json_object_set_new(cli->config.root, "current", json_string(name)) < 0)
                return err_nomem(err);
        return ERR_OK;
}

static json_t *current_context(struct cli *cli)
{
        return json_object_get(config_contexts(&cli->config), config_current_name(&cli->config));
}

static enum err_code keep_account(struct cli *cli, struct err *err)
{
        const struct settings *settings = &cli->settings;
        const char *key = absolute(cli, settings->jwt_private_key);
        json_t *context = current_context(cli);

        if (settings->service_account[0] == '\0' || settings->token[0] != '\0')
                return ERR_OK;
        if (key == NULL ||
            json_object_set_new(context, "serviceaccount", json_string(settings->service_account)) < 0 ||
            json_object_set_new(context, "jwtprivatekey", json_string(key)) < 0)
                return err_nomem(err);
        return ERR_OK;
}

enum err_code login_run(struct cli *cli, struct err *err)
{
        own_json json_t *reply = NULL;
        enum err_code code;

        if (cli->settings.token[0] == '\0' && cli->settings.service_account[0] == '\0')
                return err_set(err, ERR_INVALID,
                               "login needs --service-account with --jwt-private-key, or --token: signing in "
                               "by a browser is not in this version of Dispatch");
        code = cli_get(cli, "/home", &reply, err);
        if (code != ERR_OK) {
                fprintf(cli->err, "error logging in: ");
                return code;
        }
        if (current_context(cli) == NULL)
                code = add_context(cli, err);
        if (code == ERR_OK)
                code = keep_account(cli, err);
        if (code == ERR_OK)
                code = config_save(&cli->config, err);
        if (code == ERR_OK)
                cli_say(cli, "You have successfully logged in\n");
        return code;
}

enum err_code logout_run(struct cli *cli, struct err *err)
{
        json_t *context = current_context(cli);
        enum err_code code = ERR_OK;

        if (context != NULL) {
                json_object_del(context, "serviceaccount");
                json_object_del(context, "jwtprivatekey");
                code = json_object_set_new(context, "cookie", json_string("")) < 0 ? err_nomem(err) : ERR_OK;
        }
        if (code == ERR_OK && context != NULL)
                code = config_save(&cli->config, err);
        if (code == ERR_OK)
                cli_say(cli, "You have successfully logged out\n");
        return code;
}
