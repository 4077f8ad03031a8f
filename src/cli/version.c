/* cli/version.c: the versions of client and server. */
#include "cli/commands.h"

#include "base/own.h"
#include "cli/show.h"
#include "cli/text.h"

#include <sys/utsname.h>

static json_t *client_version(void)
{
        struct utsname system;
        char platform[sizeof(system.sysname) + sizeof(system.machine) + 2] = "";

        if (uname(&system) == 0)
                snprintf(platform, sizeof(platform), "%s/%s", system.sysname, system.machine);
        if (platform[0] >= 'A' && platform[0] <= 'Z')
                platform[0] = (char)(platform[0] | 0x20);
        return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "version", DISPATCH_VERSION, "commit", "",
                         "buildDate", "", "goVersion", "", "compiler",
#ifdef __clang__
                         "clang " __clang_version__,
#else
                         "gcc " __VERSION__,
#endif
                         "platform", platform);
}

static enum err_code say_version(struct cli *cli, const char *who, struct str version, struct err *err)
{
        own_buf struct buf safe = {.max = CLI_TEXT_MAX};

        if (text_append_safe(&safe, version) != ERR_OK)
                return err_nomem(err);
        cli_say(cli, "%s: %.*s\n", who, (int)safe.len, safe.data != NULL ? safe.data : "");
        return ERR_OK;
}

/* 2 spaces here, unlike everywhere else. */
static enum err_code say_both(struct cli *cli, json_t *client, json_t *server, struct err *err)
{
        own_json json_t *both = json_pack("{s:O, s:O}", "client", client, "server", server);

        if (both == NULL)
                return err_nomem(err);
        if (cli->output == OUTPUT_YAML)
                return show_value(cli, both, err);
        json_dumpf(both, cli->out, JSON_INDENT(2));
        cli_say(cli, "\n");
        return ERR_OK;
}

enum err_code version_run(struct cli *cli, struct err *err)
{
        own_json json_t *client = client_version(), *server = NULL;
        bool both = cli->output == OUTPUT_JSON || cli->output == OUTPUT_YAML;
        enum err_code code = client != NULL ? ERR_OK : err_nomem(err);

        if (code == ERR_OK && !both)
                code = say_version(cli, "Client", json_str(client, "version"), err);
        if (code == ERR_OK)
                code = cli_get(cli, "/v1/version", &server, err);
        if (code == ERR_OK && !json_is_object(server))
                code = err_set(err, ERR_BAD_REPLY,
                               "unexpected error received from server: the reply is not an object");
        if (code != ERR_OK)
                return code;
        return both ? say_both(cli, client, server, err)
                    : say_version(cli, "Server", json_str(server, "version"), err);
}
