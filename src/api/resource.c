/* api/resource.c: what all resources have in common: how a row is shown, listed and read. */
#include "api/resource.h"
#include "api/image_catalogue.h"
#include "api/image_log.h"
#include "api/page.h"
#include "api/precondition.h"

#include "base/own.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum err_code api_not_found(enum model_kind kind, struct str name, struct err *err)
{
        return err_set(err, ERR_NOT_FOUND, "%s %.*s not found", model_resource(kind)->label,
                       (int)(name.len < 128 ? name.len : 128), name.p);
}

json_t *api_image_url(const struct api *api)
{
        char uuid[UUID_LEN + 1];

        uuid_generate(uuid);
        return json_sprintf("%s/%s", api->config.image_registry, uuid);
}

enum err_code api_body_parse(const struct api_call *call, enum model_kind kind, json_t **ret, struct err *err)
{
        struct err inner;

        if (call->body.len == 0) {
                err_set(err, ERR_UNPROCESSABLE, "body in body is required");
                err->detail = 602;
                return ERR_UNPROCESSABLE;
        }

        enum err_code code = json_parse((struct str){call->body.data, call->body.len}, ret, &inner);
        if (code == ERR_OK)
                return ERR_OK;
        if (code == ERR_NO_MEMORY)
                return err_nomem(err);
        return err_set(err, ERR_INVALID, "parsing %s body from \"\" failed, because %s",
                       model_resource(kind)->body_name, inner.text);
}

/* What a row knows beside its document. */
static int show_meta(const struct api *api, json_t *document, const struct model_resource *model,
                     const struct store_row *row)
{
        const char *project = row->project[0] != '\0' ? row->project : api->config.project;
        int failed = 0;

        failed |= json_object_set_new(document, "kind", json_string(model->kind_name));
        failed |= json_object_set_new(document, "name", json_string(row->name));
        failed |= json_object_set_new(document, "id", json_string(row->id));
        failed |= json_object_set_new(document, "project", json_string(project));
        failed |= json_object_set_new(document, "org", json_string(row->organization));
        failed |= json_object_set_new(document, "createdTime", json_integer(row->created_us / 1000000));
        failed |= json_object_set_new(document, "modifiedTime", json_integer(row->modified_us / 1000000));
        failed |= json_object_set_new(document, "revision", json_sprintf("%lld", (long long)row->revision));
        return failed;
}

enum err_code api_row_show(struct api *api, const struct api_resource *resource, const struct store_row *row,
                           json_t **ret, struct err *err)
{
        const struct model_resource *model = model_resource(resource->kind);
        own_json json_t *document = json_copy(row->document);

        if (document == NULL || show_meta(api, document, model, row) != 0 ||
            json_object_set_new(document, "conditions", status_conditions(document, row->internal)) < 0)
                return err_nomem(err);
        if (resource->reveal != NULL) {
                enum err_code code = resource->reveal(api, row, document, err);
                if (code != ERR_OK)
                        return code;
        }
        own_json json_t *shown = model_print(model, document, MODEL_PRINT_REPLY);
        if (shown == NULL)
                return err_nomem(err);
        *ret = take_ptr(&shown);
        return ERR_OK;
}

void api_row_reply(struct api_call *call, const struct api_resource *resource, int status, const char *state,
                   const struct store_row *row)
{
        own_json json_t *shown = NULL;
        char etag[ETAG_LEN_MAX];
        struct err err;

        if (status == 204) {
                api_call_empty(call, status);
                return;
        }
        if (api_row_show(call->api, resource, row, &shown, &err) != ERR_OK) {
                api_problem(call->api, "show a resource", &err);
                api_call_fail(call, &err);
                return;
        }
        if (state != NULL)
                json_object_set_new(shown, "status", json_string(state));
        api_etag(row, etag);
        api_call_field(call, "ETag", etag);
        api_call_json(call, status, shown);
}

struct store_key api_call_key(const struct api_call *call, enum model_kind kind)
{
        return api_key(kind, call->caller.organization, call->caller.project, call->name);
}

struct listing {
        struct page page;
        const struct api_resource *resource;
};

static bool row_wanted(const struct params *params, const json_t *document)
{
        static const struct {
                enum param param;
                const char *key;
        } filters[] = {{PARAM_LANGUAGE, "language"}, {PARAM_STATE, "status"}, {PARAM_FUNCTION, "function"}};

        for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
                struct str asked = params->text[filters[i].param];

                if (asked.len > 0 && !str_eq(asked, json_str(document, filters[i].key)))
                        return false;
        }
        return params_tags_hold(params, json_object_get(document, "tags"));
}

static bool list_row(void *arg, struct store_row *row)
{
        struct listing *listing = arg;
        struct page *page = &listing->page;
        own_json json_t *shown = NULL;

        if (!page_look(page))
                return false;
        if (!row_wanted(&page->params, row->document)) {
                page_pass(page, str_of(row->name));
                return true;
        }
        if (!page_has_room(page))
                return false;
        page->code = api_row_show(page->call->api, listing->resource, row, &shown, &page->err);
        return page->code == ERR_OK && page_add(page, shown, str_of(row->name));
}

static void call_list(const struct api_resource *resource, struct api_call *call)
{
        struct store_key key = api_call_key(call, resource->kind);
        struct listing listing = {.resource = resource};
        struct err err;

        key.name = STR("");
        if (page_begin(&listing.page, call, resource->kind, 0, &err) != ERR_OK) {
                api_call_fail(call, &err);
                return;
        }
        enum err_code code =
                store_list_after(call->api->config.store, &key, listing.page.after, list_row, &listing, &err);
        page_finish(&listing.page, code, &err);
}

enum err_code api_row_get(const struct api_call *call, const struct api_resource *resource,
                          struct store_row *ret, struct err *err)
{
        struct store_key key = api_call_key(call, resource->kind);
        enum err_code code = store_get(call->api->config.store, &key, ret, err);

        return code == ERR_NOT_FOUND ? api_not_found(resource->kind, call->name, err) : code;
}

static void not_modified_reply(struct api_call *call, const struct store_row *row)
{
        char etag[ETAG_LEN_MAX];

        api_etag(row, etag);
        api_call_field(call, "ETag", etag);
        api_call_empty(call, 304);
}

static void call_get(const struct api_resource *resource, struct api_call *call)
{
        own_row struct store_row row = {0};
        struct err err;

        if (api_row_get(call, resource, &row, &err) != ERR_OK)
                api_call_fail(call, &err);
        else if (call->route.view == VIEW_LOGS)
                image_log_call(call, &row);
        else if (call->route.view == VIEW_PACKAGES)
                image_packages_call(call, &row);
        else if (call->route.view == VIEW_SBOM)
                image_sbom_call(call, &row);
        else if (precondition_has(call, &row))
                not_modified_reply(call, &row);
        else
                api_row_reply(call, resource, 200, NULL, &row);
}

void api_resource_call(const struct api_resource *resource, struct api_call *call)
{
        switch (call->route.verb) {
        case VERB_LIST:
                call_list(resource, call);
                break;
        case VERB_GET:
                call_get(resource, call);
                break;
        case VERB_CREATE:
        case VERB_UPDATE:
                api_call_change(resource, call);
                break;
        case VERB_DELETE:
                api_call_delete(resource, call);
                break;
        }
}
