/* api/endpoints.c: endpoints: from a definition to the route that the gateway matches. */
#include "api/endpoints.h"
#include "api/resource.h"

#include "base/own.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static bool list_has(const json_t *document, const char *key, const char *text)
{
        const json_t *value;
        size_t i;

        json_array_foreach(json_object_get(document, key), i, value)
        {
                if (strcmp(json_string_value(value), text) == 0)
                        return true;
        }
        return false;
}

static char **strings_of(const json_t *list, size_t *ret_count)
{
        size_t count = json_array_size(list);
        char **strings = calloc(count + 1, sizeof(*strings)); /* one more: for the default host */

        for (size_t i = 0; strings != NULL && i < count; i++) {
                if ((strings[i] = strdup(json_string_value(json_array_get(list, i)))) == NULL) {
                        while (i > 0)
                                free(strings[--i]);
                        free(strings);
                        return NULL;
                }
        }
        *ret_count = strings != NULL ? count : 0;
        return strings;
}

char *endpoint_default_host(const struct api *api, struct str organization, struct str project)
{
        char *host;

        if (asprintf(&host, "%.*s.%.*s.%s", STR_ARG(project), STR_ARG(organization),
                     api->config.dispatch_host) < 0)
                return NULL;
        for (char *p = host; *p != '\0'; p++)
                *p = (char)tolower((unsigned char)*p);
        return host;
}

static bool entry_fill(const struct api *api, const struct store_key *key, const json_t *document,
                       struct endpoint_entry *entry)
{
        const json_t *method;
        struct str function = json_str(document, "function");
        size_t i;

        entry->cors = json_is_true(json_object_get(document, "cors"));
        entry->enabled = json_is_true(json_object_get(document, "enabled"));
        entry->http = list_has(document, "protocols", "http");
        entry->https = list_has(document, "protocols", "https");
        json_array_foreach(json_object_get(document, "methods"), i, method) entry->methods |=
                route_method_bit(str_of(json_string_value(method)));
        entry->organization = strndup(key->organization.p, key->organization.len);
        entry->project = strndup(key->project.p, key->project.len);
        entry->name = strndup(key->name.p, key->name.len);
        entry->function = strndup(function.p, function.len);
        entry->hosts = strings_of(json_object_get(document, "hosts"), &entry->host_count);
        entry->paths = strings_of(json_object_get(document, "uris"), &entry->path_count);
        if (entry->hosts != NULL && entry->host_count == 0 &&
            (entry->hosts[0] = endpoint_default_host(api, key->organization, key->project)) != NULL)
                entry->host_count = 1;
        return entry->organization != NULL && entry->project != NULL && entry->name != NULL &&
               entry->function != NULL && entry->host_count > 0 && entry->paths != NULL;
}

struct endpoint_entry *endpoint_entry_of(const struct api *api, const struct store_key *key,
                                         const json_t *document)
{
        struct endpoint_entry *entry = endpoint_entry_create();

        if (entry != NULL && !entry_fill(api, key, document, entry)) {
                endpoint_entry_unref(entry);
                return NULL;
        }
        return entry;
}

static void entry_ref(void *value)
{
        endpoint_entry_ref(value);
}

static void entry_unref(void *value)
{
        endpoint_entry_unref(value);
}

static const struct hamt_ops entry_ops = {entry_ref, entry_unref};

void endpoints_init(struct api *api)
{
        hamt_init(&api->endpoints, &entry_ops);
}

void endpoints_finish(struct api *api)
{
        hamt_finish(&api->endpoints);
}

/* What an endpoint routes now, borrowed; NULL when it has no route yet. */
static struct endpoint_entry *entry_current(const struct api *api, const struct store_row *row)
{
        return row->id != NULL ? hamt_get(&api->endpoints, str_of(row->id)) : NULL;
}

static enum err_code routes_check(struct change *change, struct err *err)
{
        const struct api_call *call = change->call;
        struct store_key key = api_key(MODEL_ENDPOINT, call->caller.organization, call->caller.project,
                                       json_str(change->document, "name"));
        struct endpoint_entry *entry = endpoint_entry_of(change->api, &key, change->document);

        if (entry == NULL)
                return err_nomem(err);
        enum err_code code = snapshot_check_endpoint(change->api->config.hub, entry,
                                                     entry_current(change->api, &change->before), err);
        endpoint_entry_unref(entry);
        return code;
}

static enum err_code unsupported_check(const json_t *document, struct err *err)
{
        struct str authentication = json_str(document, "authentication");

        if (authentication.len > 0 && !str_eq(authentication, STR("public")))
                return err_set(
                        err, ERR_UNPROCESSABLE,
                        "authentication '%.*s' is not available in this version of Dispatch: endpoints "
                        "are public",
                        (int)(authentication.len < 64 ? authentication.len : 64), authentication.p);
        const json_t *tls = json_object_get(document, "tls");
        if (tls != NULL && !(json_is_string(tls) && json_string_length(tls) == 0))
                return err_set(err, ERR_UNPROCESSABLE, "tls is not available in this version of Dispatch");
        return ERR_OK;
}

/* SEED's clients do not know who may call an endpoint, and so must not change it. */
static enum err_code authentication_keep(struct change *change, struct err *err)
{
        json_t *stored = json_object_get(change->before.document, "authentication");

        if (stored == NULL || json_object_get(change->document, "authentication") != NULL)
                return ERR_OK;
        return json_object_set(change->document, "authentication", stored) == 0 ? ERR_OK : err_nomem(err);
}

enum err_code endpoint_check(struct change *change, struct err *err)
{
        enum err_code code = unsupported_check(change->document, err);

        if (code == ERR_OK)
                code = authentication_keep(change, err);
        if (code == ERR_OK)
                code = endpoint_normalize(change->document, err);
        if (code == ERR_OK)
                code = routes_check(change, err);
        if (code == ERR_OK)
                code = status_move(change->document, change->internal, STATUS_READY, NULL, err);
        return code;
}

/* The map learns of the entry first: it can be taken back, a route could not. */
static enum err_code entry_replace(struct api *api, const struct store_row *row, struct endpoint_entry *entry,
                                   struct err *err)
{
        struct hamt before = hamt_share(&api->endpoints);
        struct endpoint_entry *old = hamt_get(&before, str_of(row->id));

        if (hamt_set(&api->endpoints, str_of(row->id), entry) != ERR_OK) {
                hamt_finish(&before);
                return err_nomem(err);
        }
        enum err_code code = snapshot_put_endpoint(api->config.hub, entry, old, err);
        if (code != ERR_OK) {
                hamt_finish(&api->endpoints);
                api->endpoints = before;
                return code;
        }
        hamt_finish(&before);
        return ERR_OK;
}

enum err_code endpoint_publish(struct api *api, const struct store_row *row, struct err *err)
{
        struct store_key key = api_row_key(MODEL_ENDPOINT, row);
        struct endpoint_entry *entry = endpoint_entry_of(api, &key, row->document);

        if (entry == NULL)
                return err_nomem(err);
        snprintf(entry->endpoint_id, sizeof(entry->endpoint_id), "%s", row->id);
        enum err_code code = entry_replace(api, row, entry, err);
        endpoint_entry_unref(entry);
        return code;
}

static enum err_code endpoint_drop(struct api *api, const struct store_row *row, struct err *err)
{
        struct endpoint_entry *entry = entry_current(api, row);

        if (entry == NULL)
                return ERR_OK;
        enum err_code code = snapshot_drop_endpoint(api->config.hub, entry, err);
        if (code == ERR_OK && hamt_remove(&api->endpoints, str_of(row->id)) != ERR_OK)
                return err_nomem(err);
        return code;
}

bool endpoint_committed(struct change *change)
{
        struct api *api = change->api;
        enum err_code code;
        struct err err;

        if (change->verb == VERB_DELETE)
                code = endpoint_drop(api, &change->before, &err);
        else
                code = endpoint_publish(api, &change->after, &err);
        if (code != ERR_OK)
                api_problem(api, "change an endpoint's route (it is stored; a restart does it)", &err);
        return true;
}

/* The hosts that it answers to, the default one included, without pretending that a caller had named it. */
static enum err_code endpoint_reveal(struct api *api, const struct store_row *row, json_t *document,
                                     struct err *err)
{
        own_mem char *host = endpoint_default_host(api, str_of(row->organization), str_of(row->project));
        json_t *hosts = json_object_get(row->document, "hosts");

        if (host == NULL)
                return err_nomem(err);

        json_t *backing = json_array_size(hosts) > 0 ? json_pack("{s:O}", "hosts", hosts)
                                                     : json_pack("{s:[s]}", "hosts", host);
        if (json_object_set_new(document, "backingObject", backing) < 0)
                return err_nomem(err);
        return ERR_OK;
}

static const char *const endpoint_owned[] = {"status", NULL};

const struct api_resource api_endpoints = {
        .kind = MODEL_ENDPOINT,
        .created = 200, /* SEED's client takes no 201 here */
        .updated = 200,
        .deleted = 200,
        .owned = endpoint_owned,
        .check = endpoint_check,
        .committed = endpoint_committed,
        .reveal = endpoint_reveal,
};
