/*
 * cli/endpoint.c: endpoints in their two forms: SEED's `endpoint` and SOLO's `api`, which are two views of
 * the same resource, with the members of each in its own order.
 */
#include "base/own.h"
#include "cli/form.h"
#include "cli/resource.h"

#include <string.h>

static enum err_code set_protocols(struct cli *cli, json_t *body, bool update, struct err *err)
{
        if (update && args_text(&cli->args, "https-only") == NULL)
                return ERR_OK;
        return body_set(body, "protocols",
                        args_bool(&cli->args, "https-only") ? json_pack("[s]", "https")
                                                            : json_pack("[s, s]", "http", "https"),
                        err);
}

/* What is called, and how: the members that both forms have in the same order. */
static enum err_code set_calls(struct cli *cli, json_t *body, struct err *err)
{
        enum err_code code = ERR_OK;

        if (args_bool(&cli->args, "cors"))
                code = body_set(body, "cors", json_true(), err);
        if (code == ERR_OK && !args_bool(&cli->args, "disable"))
                code = body_set(body, "enabled", json_true(), err);
        if (code == ERR_OK)
                code = body_argument(cli, body, "function", 1, err);
        if (code == ERR_OK)
                code = body_list_or(cli, body, "hosts", "domain", json_array(), err);
        return code == ERR_OK ? body_list_or(cli, body, "methods", "method", json_pack("[s]", "GET"), err)
                              : code;
}

static enum err_code create_endpoint(struct cli *cli, json_t *body, struct err *err)
{
        enum err_code code = set_calls(cli, body, err);

        if (code == ERR_OK)
                code = set_protocols(cli, body, false, err);
        return code == ERR_OK ? body_list_or(cli, body, "uris", "path", json_pack("[s]", "/"), err) : code;
}

static enum err_code update_endpoint(struct cli *cli, json_t *body, struct err *err)
{
        const struct args *args = &cli->args;
        enum err_code code = body_text(cli, body, "function", "function", err);

        if (code == ERR_OK && args_knows(args, "auth"))
                code = body_text(cli, body, "authentication", "auth", err);
        if (code == ERR_OK && args_text(args, "cors") != NULL)
                code = body_set(body, "cors", json_boolean(args_bool(args, "cors")), err);
        if (code == ERR_OK && args_text(args, "disable") != NULL)
                code = body_set(body, "enabled", json_boolean(!args_bool(args, "disable")), err);
        if (code == ERR_OK && args_text(args, "enable") != NULL)
                code = body_set(body, "enabled", json_boolean(args_bool(args, "enable")), err);
        if (code == ERR_OK)
                code = body_list(cli, body, "hosts", "domain", err);
        if (code == ERR_OK)
                code = body_list(cli, body, "methods", "method", err);
        if (code == ERR_OK)
                code = set_protocols(cli, body, true, err);
        return code == ERR_OK ? body_list(cli, body, "uris", "path", err) : code;
}

static enum err_code fill_endpoint(struct cli *cli, json_t *body, bool update, struct err *err)
{
        return update ? update_endpoint(cli, body, err) : create_endpoint(cli, body, err);
}

/* SOLO's encoder sorts by name, and leaves no list out. */
static enum err_code create_api(struct cli *cli, json_t *body, struct err *err)
{
        const char *text = args_text(&cli->args, "auth");
        enum err_code code;

        json_object_del(body, "name");
        code = body_set(body, "authentication", json_string(text != NULL ? text : "public"), err);
        if (code == ERR_OK)
                code = set_calls(cli, body, err);
        if (code == ERR_OK)
                code = body_argument(cli, body, "name", 0, err);
        if (code == ERR_OK)
                code = set_protocols(cli, body, false, err);
        if (code == ERR_OK)
                code = body_set(body, "tags", json_array(), err);
        return code == ERR_OK ? body_list_or(cli, body, "uris", "path", json_pack("[s]", "/"), err) : code;
}

static enum err_code fill_api(struct cli *cli, json_t *body, bool update, struct err *err)
{
        return update ? update_endpoint(cli, body, err) : create_api(cli, body, err);
}

const struct resource resource_endpoint = {
        .kind = MODEL_ENDPOINT,
        .form = &form_endpoint,
        .created = "Created endpoint",
        .updated = "Updated endpoint",
        .deleted = "Deleted api",
        .deleted_form = DELETED_REPLY,
        .has_kind = true,
        .keeps_revision = true,
        .fill = fill_endpoint,
};
const struct resource resource_api = {
        .kind = MODEL_API,
        .form = &form_api,
        .created = "Created api",
        .updated = "Updated api",
        .deleted = "Deleted api",
        .deleted_form = DELETED_REPLY,
        .keeps_revision = true,
        .fill = fill_api,
};
