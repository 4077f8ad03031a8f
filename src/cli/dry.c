/* cli/dry.c: what would be sent, in place of sending it. */
#include "cli/dry.h"

#include "base/own.h"
#include "cli/show.h"

#include <string.h>

bool cli_is_dry(const struct cli *cli)
{
        return args_knows(&cli->args, "dry-run") && args_bool(&cli->args, "dry-run");
}

/* As the server would say it. */
static enum err_code check(const struct resource *resource, const json_t *body, struct err *err)
{
        own_json json_t *parsed = NULL;
        enum err_code code = model_parse(resource_model(resource), body, NULL, &parsed, err);

        const struct err refusal = *err;

        if (code == ERR_OK)
                return ERR_OK;
        return err_set(err, code, "[Code: %d] %s",
                       refusal.detail != 0 ? refusal.detail : err_http_status(code), refusal.text);
}

static bool is_whole(const struct cli *cli, const struct call *call)
{
        bool from_file = args_command(&cli->args)->data == NULL;

        return call->body != NULL && (from_file || strcmp(call->method, "POST") == 0);
}

static enum err_code show_request(struct cli *cli, const struct call *call, struct err *err)
{
        own_json json_t *request = json_pack("{s:s, s:s}", "method", call->method, "path", call->path);

        if (request == NULL ||
            (call->body != NULL && json_object_set(request, "body", (json_t *)call->body) < 0))
                return err_nomem(err);
        if (cli->output == OUTPUT_YAML)
                cli_say(cli, "---\n");
        return show_value(cli, request, err);
}

static enum err_code show_name_alone(struct cli *cli, const struct call *call, struct err *err)
{
        const char *name = show_name(cli, call->body, strrchr(call->path, '/') + 1);

        if (name == NULL)
                return err_nomem(err);
        cli_say(cli, "%s\n", name);
        return ERR_OK;
}

enum err_code dry_run(struct cli *cli, const struct resource *resource, const struct call *call,
                      struct err *err)
{
        enum err_code code = is_whole(cli, call) ? check(resource, call->body, err) : ERR_OK;

        if (code != ERR_OK)
                return code;
        switch (cli->output) {
        case OUTPUT_JSON:
        case OUTPUT_YAML:
                return show_request(cli, call, err);
        case OUTPUT_NAME:
                return show_name_alone(cli, call, err);
        case OUTPUT_TABLE:
        case OUTPUT_WIDE:
                break;
        }
        cli_say(cli, "%s %s\n", call->method, call->path);
        return call->body != NULL ? show_value(cli, call->body, err) : ERR_OK;
}
