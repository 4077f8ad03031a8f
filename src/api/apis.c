/*
 * api/apis.c: SOLO's view of endpoints (CONTRACT 0.5, 7.3). The same rows and routes as SEED's view; what
 * differs is what no hosts mean: here any host, with the organization in front of every path. A row says so
 * by the host
 * "*"; one without hosts, made through SEED's view, is shown here with the default host that it answers to.
 */
#include "api/endpoints.h"
#include "api/resource.h"

#include "base/own.h"

#include <stdlib.h>

/* True for "/ORGANIZATION/...". */
static bool is_prefixed(struct str uri, struct str organization)
{
        return uri.len > organization.len + 1 && uri.p[0] == '/' &&
               str_eq(str_slice(uri, 1, organization.len + 1), organization) &&
               uri.p[organization.len + 1] == '/';
}

/* A path that an update sends back as it got it has its prefix already. */
static json_t *uri_prefix(const struct change *change, struct str uri)
{
        struct str organization = change->call->caller.organization;
        bool slash = uri.len > 0 && uri.p[0] == '/';

        if (change->verb == VERB_UPDATE && is_prefixed(uri, organization))
                return json_of(uri);
        return json_sprintf("/%.*s%s%.*s", STR_ARG(organization), slash ? "" : "/", STR_ARG(uri));
}

static enum err_code uris_prefix(struct change *change, struct err *err)
{
        own_json json_t *prefixed = json_array();
        const json_t *sent = json_object_get(change->document, "uris"), *uri;
        size_t i;

        if (json_array_size(sent) == 0)
                json_array_append_new(prefixed, uri_prefix(change, STR("/")));
        json_array_foreach(sent, i, uri)
        {
                struct str text = {json_string_value(uri), json_string_length(uri)};

                if (json_array_append_new(prefixed, uri_prefix(change, text)) < 0)
                        return err_nomem(err);
        }
        if (json_array_size(prefixed) == 0 || json_object_set(change->document, "uris", prefixed) < 0 ||
            json_object_set_new(change->document, "hosts", json_pack("[s]", ENDPOINT_ANY_HOST)) < 0)
                return err_nomem(err);
        return ERR_OK;
}

static enum err_code api_check(struct change *change, struct err *err)
{
        if (json_array_size(json_object_get(change->document, "hosts")) == 0) {
                enum err_code code = uris_prefix(change, err);

                if (code != ERR_OK)
                        return code;
        }
        return endpoint_check(change, err);
}

/* Such a row is what this view makes of no hosts, so it is shown without. */
static bool is_of_organization(const struct store_row *row)
{
        const json_t *hosts = json_object_get(row->document, "hosts"), *uri;
        size_t i;

        if (json_array_size(hosts) != 1 ||
            strcmp(json_string_value(json_array_get(hosts, 0)), ENDPOINT_ANY_HOST) != 0)
                return false;
        json_array_foreach(json_object_get(row->document, "uris"), i, uri)
        {
                if (!is_prefixed(str_of(json_string_value(uri)), str_of(row->organization)))
                        return false;
        }
        return true;
}

static enum err_code api_reveal(struct api *api, const struct store_row *row, json_t *document,
                                struct err *err)
{
        if (is_of_organization(row)) {
                json_object_del(document, "hosts");
                return ERR_OK;
        }
        if (json_array_size(json_object_get(row->document, "hosts")) > 0)
                return ERR_OK;

        own_mem char *host = endpoint_default_host(api, str_of(row->organization), str_of(row->project));
        if (host == NULL || json_object_set_new(document, "hosts", json_pack("[s]", host)) < 0)
                return err_nomem(err);
        return ERR_OK;
}

static const char *const api_owned[] = {"status", NULL};

const struct api_resource api_apis = {
        .kind = MODEL_API,
        .created = 200,
        .updated = 200,
        .deleted = 200,
        .creating = "CREATING",
        .updating = "UPDATING",
        .owned = api_owned,
        .check = api_check,
        .committed = endpoint_committed,
        .reveal = api_reveal,
};
