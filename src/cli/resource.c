/* cli/resource.c: create, get, update and delete of any kind; what differs is in the tables of fill.c. */
#include "cli/resource.h"

#include "base/own.h"
#include "cli/dry.h"
#include "cli/image.h"
#include "cli/list.h"
#include "cli/name.h"
#include "cli/show.h"

#include <assert.h>
#include <string.h>

const struct resource *resource_of(const struct cli *cli)
{
        const struct resource *resource = args_command(&cli->args)->data;

        assert(resource != NULL);
        return resource;
}

static const char *collection_of(const struct resource *resource)
{
        return resource_model(resource)->collection;
}

/* With --dry-run nothing is sent: what would be is shown. */
static enum err_code send(struct cli *cli, const struct resource *resource, const char *method,
                          const char *path, const json_t *body, json_t **ret, struct err *err)
{
        const struct call call = {
                .method = method,
                .path = path,
                .body = body,
        };

        if (cli_is_dry(cli))
                return dry_run(cli, resource, &call, err);
        return cli_call(cli, &call, ret, err);
}

/* The name that was typed must be sendable as JSON. */
static enum err_code start_body(const char *name, json_t **ret, struct err *err)
{
        if (!str_is_utf8(str_of(name)))
                return err_set(err, ERR_INVALID, "the name must be UTF-8");
        *ret = json_pack("{s:s}", "name", name);
        return *ret != NULL ? ERR_OK : err_nomem(err);
}

static void put_kind_first(const struct resource *resource, json_t **body)
{
        own_json json_t *kinded = NULL;

        if (!resource->has_kind)
                return;
        kinded = json_pack("{s:s}", "kind", resource_model(resource)->kind_name);
        if (kinded == NULL || json_object_update(kinded, *body) < 0)
                return; /* the server does not need it */
        json_decref(*body);
        *body = take_ptr(&kinded);
}

/* The first argument, unless that says something else. */
static enum err_code choose_name(struct cli *cli, const struct resource *resource, struct err *err)
{
        const char *given = resource->named_by_flag ? args_text(&cli->args, "name") : cli->args.values[0];

        cli->subject = given != NULL ? given : name_random(&cli->arena);
        return cli->subject != NULL ? ERR_OK : err_nomem(err);
}

/* With --wait, until it is READY; then prints what was done. */
static enum err_code conclude(struct cli *cli, const struct resource *resource, const char *text,
                              json_t **object, struct err *err)
{
        const char *name = cli->subject;
        enum err_code code = ERR_OK;

        if (cli_is_dry(cli))
                return ERR_OK;
        if (args_knows(&cli->args, "wait") && args_bool(&cli->args, "wait"))
                code = resource_wait(cli, resource, name, object, err);
        if (code != ERR_OK)
                return code;
        name = show_name(cli, *object, name);
        return name != NULL ? show_done(cli, resource, text, name, *object, err) : err_nomem(err);
}

enum err_code resource_create(struct cli *cli, struct err *err)
{
        const struct resource *resource = resource_of(cli);
        own_json json_t *body = NULL, *object = NULL;
        const char *path;
        enum err_code code = choose_name(cli, resource, err);

        if (code == ERR_OK)
                code = start_body(cli->subject, &body, err);

        if (code == ERR_OK)
                put_kind_first(resource, &body);
        if (code == ERR_OK)
                code = resource->fill(cli, body, false, err);
        if (code == ERR_OK)
                code = body_application(cli, body, err);
        if (code == ERR_OK)
                code = client_path(&cli->arena, collection_of(resource), NULL, &path, err);
        if (code == ERR_OK)
                code = send(cli, resource, "POST", path, body, &object, err);
        return code == ERR_OK ? conclude(cli, resource, resource->created, &object, err) : code;
}

/* The endpoints of one function: the original's server ignores the filter, so it is done here. */
static enum err_code filter_by_function(struct cli *cli, json_t **list, struct err *err)
{
        const char *function = args_text(&cli->args, "func");
        own_json json_t *kept = json_array();

        if (function == NULL || !json_is_array(*list))
                return ERR_OK;
        for (size_t i = 0; i < json_array_size(*list); i++) {
                json_t *object = json_array_get(*list, i);
                if (str_eq(json_str(object, "function"), str_of(function)) &&
                    json_array_append(kept, object) < 0)
                        return err_nomem(err);
        }
        if (kept == NULL)
                return err_nomem(err);
        json_decref(*list);
        *list = take_ptr(&kept);
        return ERR_OK;
}

enum err_code resource_get(struct cli *cli, struct err *err)
{
        const struct resource *resource = resource_of(cli);
        const char *name = cli->args.count > 0 ? cli->args.values[0] : NULL, *path;
        own_json json_t *reply = NULL;
        enum err_code code = client_path(&cli->arena, collection_of(resource), name, &path, err);

        if (code == ERR_OK && name != NULL && args_knows(&cli->args, "selector") &&
            args_text(&cli->args, "selector") != NULL)
                code = err_set(err, ERR_INVALID, "--selector goes with a list, not with a name");
        if (code == ERR_OK && name == NULL && args_knows(&cli->args, "sbom") && args_bool(&cli->args, "sbom"))
                code = err_set(err, ERR_INVALID, "--sbom needs the name of one");
        if (code == ERR_OK && name == NULL)
                code = list_query(cli, resource, &path, err);
        if (code == ERR_OK)
                code = name != NULL ? cli_get(cli, path, &reply, err) : list_get(cli, path, &reply, err);
        if (code == ERR_OK && name == NULL)
                code = list_shape(cli, resource, &reply, err);
        if (code == ERR_OK && args_knows(&cli->args, "func"))
                code = filter_by_function(cli, &reply, err);
        if (code != ERR_OK)
                return code;
        if (args_knows(&cli->args, "wide") && args_bool(&cli->args, "wide") && cli->output == OUTPUT_TABLE)
                cli->output = OUTPUT_WIDE;
        if (args_knows(&cli->args, "all") && args_bool(&cli->args, "all") && cli->output == OUTPUT_TABLE)
                cli->output = OUTPUT_JSON;
        if (name == NULL)
                return show_list(cli, resource, reply, err);
        if (args_knows(&cli->args, "sbom") && args_bool(&cli->args, "sbom"))
                return image_show_sbom(cli, resource, name, err);
        code = show_one(cli, resource, reply, err);
        if (code == ERR_OK && cli->output == OUTPUT_WIDE && image_has_log(resource) &&
            str_eq(json_str(reply, "status"), STR("READY")))
                code = image_show_packages(cli, resource, name, err);
        return code;
}

/* True if anything beyond the name says what to change. */
static bool changes_something(const struct cli *cli)
{
        const struct flag *flags = args_command(&cli->args)->flags;

        if (cli->args.count > 1)
                return true;
        for (int i = 0; i < cli->args.given_count; i++) {
                const struct flag *given = cli->args.given[i].flag;
                for (const struct flag *flag = flags; flag != NULL && flag->name != NULL; flag++) {
                        if (flag == given && strncmp(flag->name, "wait", 4) != 0 &&
                            strcmp(flag->name, "dry-run") != 0)
                                return true;
                }
        }
        return false;
}

/* GET, change, PUT: the revision that came with the object makes the server refuse what crossed another
 * change. */
enum err_code resource_update(struct cli *cli, struct err *err)
{
        const struct resource *resource = resource_of(cli);
        own_json json_t *body = NULL, *object = NULL;
        const char *path;

        cli->subject = cli->args.values[0];
        if (!changes_something(cli))
                return err_set(err, ERR_INVALID, "nothing to change: see --help for what can be given");

        enum err_code code =
                client_path(&cli->arena, collection_of(resource), cli->args.values[0], &path, err);
        if (code == ERR_OK)
                code = cli_is_dry(cli) ? start_body(cli->args.values[0], &body, err)
                                       : cli_get(cli, path, &body, err);
        if (code == ERR_OK && !json_is_object(body))
                code = err_set(err, ERR_BAD_REPLY,
                               "unexpected error received from server: the reply is not an object");
        if (code == ERR_OK)
                code = resource->fill(cli, body, true, err);
        if (code == ERR_OK)
                code = body_application(cli, body, err);
        if (code == ERR_OK)
                code = send(cli, resource, "PUT", path, body, &object, err);
        return code == ERR_OK ? conclude(cli, resource, resource->updated, &object, err) : code;
}

static enum err_code say_deleted(struct cli *cli, const struct resource *resource, const json_t *reply,
                                 struct err *err)
{
        const char *argument = cli->args.values[0], *name;
        own_json json_t *stub = NULL;
        bool as_text = cli->output == OUTPUT_JSON || cli->output == OUTPUT_YAML;

        if (resource->deleted_form != DELETED_REPLY)
                reply = NULL;
        name = show_name(cli, reply, argument);
        if (name == NULL)
                return err_nomem(err);
        if (reply == NULL) {
                stub = resource->deleted_form == DELETED_META
                               ? json_pack("{s:{s:s}}", "meta", "name", argument)
                               : json_pack("{s:s}", "name", argument);
                if (stub == NULL)
                        return err_nomem(err);
                reply = stub;
        }
        if (as_text && resource->deleted_form == DELETED_META)
                return show_value(cli, reply, err);
        return show_done(cli, resource, resource->deleted, name, reply, err);
}

enum err_code resource_delete(struct cli *cli, struct err *err)
{
        const struct resource *resource = resource_of(cli);
        own_json json_t *reply = NULL;
        const char *path;
        enum err_code code =
                client_path(&cli->arena, collection_of(resource), cli->args.values[0], &path, err);

        if (code == ERR_OK)
                code = send(cli, resource, "DELETE", path, NULL, &reply, err);
        return code == ERR_OK && !cli_is_dry(cli) ? say_deleted(cli, resource, reply, err) : code;
}
