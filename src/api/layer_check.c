/*
 * api/layer_check.c: the background check at start: a READY function whose layer is missing (a disk that was
 * restored from a copy, a folder that somebody cleared) has it made again from its source, or fetched again
 * where it is an image. One function after the other, so that a server with many is not kept busy with it.
 */
#include "api/functions.h"
#include "api/rows.h"
#include "api/sources.h"

#include "base/own.h"

#include <stdlib.h>

struct layer_check {
        struct api *api;
        struct layer_check *next;
        char *organization, *project, *name;
        bool fetched; /* its source, once */
        size_t layer; /* of a function that is an image: the next to look for */
};

static void check_next(struct api *api);

static void check_free(struct layer_check *check)
{
        free(check->organization);
        free(check->project);
        free(check->name);
        free(check);
}

static struct layer_check *check_pop(struct api *api)
{
        struct layer_check *check = api->checks;

        api->checks = check->next;
        return check;
}

void functions_checks_finish(struct api *api)
{
        while (api->checks != NULL)
                check_free(check_pop(api));
}

static void check_done(void *arg, const struct builder_result *result)
{
        struct api *api = arg;
        struct err err;

        if (result->code != ERR_OK) {
                err_set(&err, result->code, "function %s: %s", api->checks->name, result->text);
                api_problem(api, "make a missing layer again (an update of the function repairs it)", &err);
        }
        check_free(check_pop(api));
        check_next(api);
}

static void check_fetched(void *arg, enum err_code code, const struct err *err)
{
        struct api *api = arg;

        if (code != ERR_OK) {
                api_problem(api, "fetch the source of a missing layer", err);
                check_free(check_pop(api));
        }
        check_next(api);
}

static enum err_code check_row(const struct api *api, struct store_row *row)
{
        const struct layer_check *check = api->checks;
        struct store_key key = {MODEL_FUNCTION, str_of(check->organization), str_of(check->project),
                                str_of(check->name)};

        return store_get(api->config.store, &key, row, NULL);
}

/* The layer is gone, and the source's file too: that comes back first. */
static void check_looked(void *arg, const struct builder_result *result)
{
        struct api *api = arg;
        const struct layer_check *check = api->checks;
        own_row struct store_row row = {0};

        if (result->code != ERR_NOT_FOUND || check_row(api, &row) != ERR_OK) {
                check_free(check_pop(api));
                check_next(api);
                return;
        }
        const json_t *active = json_object_get(row.internal, "active");
        struct source_place place = {check->organization, check->project,
                                     json_string_value(json_object_get(active, "key")),
                                     json_string_value(json_object_get(active, "url"))};
        if (place.key == NULL)
                place.key = "";
        source_fetch(api, &place, check_fetched, api);
}

/* Where an object store has the source, its file is not missed before the layer is. */
static bool check_look(struct api *api, const json_t *active, const char *layer)
{
        struct layer_check *check = api->checks;

        if (check->fetched || json_object_get(active, "url") == NULL)
                return false;
        check->fetched = true;
        builder_check(api->config.builder, layer, check_looked, api);
        return true;
}

static void check_layer_looked(void *arg, const struct builder_result *result);

/* Those of the root, then those that a stack of them lists. NULL: there are no more. */
static const char *layer_at(const json_t *active, size_t i)
{
        const json_t *layers = json_object_get(active, "layers"),
                     *blobs = json_object_get(json_object_get(active, "image"), "blobs");
        size_t count = json_array_size(layers);

        if (i < count)
                return json_string_value(json_array_get(layers, i));
        return json_string_value(json_object_get(json_array_get(blobs, i - count), "layer"));
}

/* The layers of a function that is an image, one after the other. False: all were looked for. */
static bool check_layers(struct api *api, const json_t *active)
{
        const char *layer = layer_at(active, api->checks->layer);

        if (json_object_get(active, "image") == NULL || layer == NULL || strlen(layer) >= SPAWN_NAME_MAX)
                return false;
        builder_check(api->config.builder, layer, check_layer_looked, api);
        return true;
}

/* One that is gone is fetched again, with the function's whole image. */
static void check_layer_looked(void *arg, const struct builder_result *result)
{
        struct api *api = arg;
        own_row struct store_row row = {0};

        api->checks->layer++;
        if (check_row(api, &row) == ERR_OK) {
                if (result->code == ERR_NOT_FOUND)
                        functions_layer_made(api, MODEL_FUNCTION, &row);
                else if (check_layers(api, json_object_get(row.internal, "active")))
                        return;
        }
        check_free(check_pop(api));
        check_next(api);
}

/* Starts the job of the first check; false when there is nothing to do for it. */
static bool check_start(struct api *api)
{
        own_row struct store_row row = {0};
        int fd;

        if (check_row(api, &row) != ERR_OK)
                return false;
        const json_t *active = json_object_get(row.internal, "active");
        const char *layer = json_string_value(json_object_get(active, "layer"));
        const char *language = json_string_value(json_object_get(active, "language"));
        const char *source = json_string_value(json_object_get(active, "key"));
        if (check_layers(api, active))
                return true;
        if (layer == NULL || language == NULL || source == NULL)
                return false;
        if (source_open(api, source, &fd, NULL) != ERR_OK)
                return check_look(api, active, layer);
        source_build(api, layer, language, json_object_get(active, "layers"),
                     json_string_value(json_object_get(active, "interpreter")), fd, check_done, api);
        return true;
}

static void check_next(struct api *api)
{
        while (api->checks != NULL && !check_start(api))
                check_free(check_pop(api));
}

/* Of each function that serves; only noted, so that the rows are gone over once, also where they are many. */
static bool check_add(void *arg, struct store_row *row)
{
        struct api *api = arg;
        bool serves = json_object_get(row->internal, "active") != NULL;
        struct layer_check *check = serves ? calloc(1, sizeof(*check)) : NULL;

        if (check == NULL)
                return true;
        check->organization = strdup(row->organization);
        check->project = strdup(row->project);
        check->name = strdup(row->name);
        if (check->organization == NULL || check->project == NULL || check->name == NULL) {
                check_free(check);
                return true;
        }
        check->next = api->checks;
        api->checks = check;
        return true;
}

void functions_check_layers(struct api *api)
{
        struct store_key key = {MODEL_FUNCTION, STR(""), STR(""), STR("")};
        struct err err;

        if (api->checks != NULL)
                return; /* one is under way */
        if (store_list(api->config.store, &key, check_add, api, &err) != ERR_OK)
                api_problem(api, "check the layers of functions", &err);
        check_next(api);
}
