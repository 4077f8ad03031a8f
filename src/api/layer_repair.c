/*
 * api/layer_repair.c: layers of base images that are missing (a folder that somebody cleared, a disk restored
 * from a copy) are made again from the host's packages. The host may have been upgraded since: then the new
 * layer has another name, and whoever names the old one moves to it. One layer after the other. Those of
 * images from elsewhere, and those that an image adds, are made again with that image.
 */
#include "api/functions.h"
#include "api/images.h"
#include "api/rows.h"

#include "base/own.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct layer_repair {
        struct layer_repair *next;
        struct api *api;
        char layer[SPAWN_NAME_MAX];
        char language[SPAWN_NAME_MAX];
};

static void repair_next(struct api *api);

static void repair_pop(struct api *api)
{
        struct layer_repair *repair = api->repairs;

        api->repairs = repair->next;
        free(repair);
}

void layers_finish(struct api *api)
{
        while (api->repairs != NULL)
                repair_pop(api);
}

/* Where a row names the layers that it runs on. */
static const json_t *named_in(enum model_kind kind, const struct store_row *row)
{
        return kind == MODEL_FUNCTION ? json_object_get(row->internal, "active") : row->internal;
}

/* The layers that can be made again: those that are of the host's packages. */
static bool is_builtin(const char *layer)
{
        return layer != NULL && strncmp(layer, "builtin-", 8) == 0 && strlen(layer) < SPAWN_NAME_MAX;
}

/* Those of what an image adds are made again with the image. */
static bool is_added(const char *layer)
{
        return layer != NULL && strncmp(layer, "deps-", 5) == 0 && strlen(layer) < SPAWN_NAME_MAX;
}

static bool starts_with(const char *text, const char *with)
{
        return strncmp(text, with, strlen(with)) == 0;
}

/* Those of an image from elsewhere are made again with its base image, from the blobs that were kept or from
 * where they came. */
static bool is_fetched(const char *layer)
{
        return layer != NULL && (starts_with(layer, "oci-") || starts_with(layer, "stack-")) &&
               strlen(layer) < SPAWN_NAME_MAX;
}

static bool is_wanted(const struct api *api, const char *layer)
{
        const struct layer_repair *repair = api->repairs;

        if (layer == NULL)
                return false;
        while (repair != NULL && strcmp(repair->layer, layer) != 0)
                repair = repair->next;
        return repair == NULL && (is_builtin(layer) || is_added(layer) || is_fetched(layer));
}

static void repair_add(struct api *api, const char *layer, const char *language)
{
        struct layer_repair *repair = is_wanted(api, layer) ? calloc(1, sizeof(*repair)) : NULL;

        if (repair == NULL)
                return; /* the next check finds it */
        repair->api = api;
        snprintf(repair->layer, sizeof(repair->layer), "%s", layer);
        snprintf(repair->language, sizeof(repair->language), "%s", language);
        repair->next = api->repairs;
        api->repairs = repair;
}

/* Only noted, so that the rows are gone over once, also where they are many. */
struct collection {
        struct api *api;
        enum model_kind kind;
};

static bool layers_collect(void *arg, struct store_row *row)
{
        const struct collection *collection = arg;
        struct api *api = collection->api;
        const json_t *named = named_in(collection->kind, row), *layer;
        const char *language = json_string_value(json_object_get(named, "language"));
        size_t i;

        if (language == NULL || strlen(language) >= SPAWN_NAME_MAX)
                return true;
        json_array_foreach(json_object_get(named, "layers"), i, layer)
        {
                repair_add(api, json_string_value(layer), language);
        }
        /* a stack's own */
        json_array_foreach(json_object_get(named, "blobs"), i, layer)
        {
                repair_add(api, json_string_value(json_object_get(layer, "layer")), language);
        }
        return true;
}

static bool row_names(const struct store_row *row, struct str layer)
{
        const json_t *active = json_object_get(row->internal, "active"), *blob;
        const json_t *named = active != NULL ? active : row->internal;
        size_t i;

        json_array_foreach(json_object_get(named, "blobs"), i, blob)
        {
                if (str_eq(json_str(blob, "layer"), layer))
                        return true;
        }
        return api_list_has(json_object_get(named, "layers"), layer);
}

/* Everybody who names the old layer hears of the one that was made. */
static void layer_made(struct api *api, const char *old, const char *made)
{
        static const enum model_kind kinds[] = {MODEL_BASE_IMAGE, MODEL_IMAGE, MODEL_FUNCTION};
        bool other = strcmp(old, made) != 0;
        struct err err;

        api->layer_made = made;
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                struct store_key key = {kinds[i], STR(""), STR(""), STR("")};
                if (kinds[i] == MODEL_FUNCTION && !other)
                        continue; /* those that failed were woken with their images */
                if (api_rows_each(api, &key, row_names, str_of(old),
                                  kinds[i] == MODEL_FUNCTION ? functions_layer_made : images_layer_made,
                                  &err) != ERR_OK)
                        api_stumble(api, "tell of a layer that was made again", &err);
        }
        api->layer_made = NULL;
}

/* The layer has the same name when it is made again: functions need no other revision. */
static void images_of_layer(struct api *api, enum model_kind kind, const char *layer)
{
        struct store_key key = {kind, STR(""), STR(""), STR("")};
        struct err err;

        if (api_rows_each(api, &key, row_names, str_of(layer), images_layer_gone, &err) != ERR_OK)
                api_stumble(api, "make the missing layer of an image again", &err);
}

static void repair_built(void *arg, const struct builder_result *result)
{
        struct layer_repair *repair = arg;
        struct api *api = repair->api;
        struct err err;

        if (result->code == ERR_OK) {
                layer_made(api, repair->layer, result->layer);
        } else {
                err_set(&err, result->code, "%s: %s", repair->layer, result->text);
                api_problem(api, "make the missing layer of an image again", &err);
                if (api_is_passing(result->code))
                        layers_missing(api);
        }
        repair_pop(api);
        repair_next(api);
}

static void repair_checked(void *arg, const struct builder_result *result)
{
        struct layer_repair *repair = arg;
        struct api *api = repair->api;

        if (result->code == ERR_NOT_FOUND && !is_builtin(repair->layer)) {
                images_of_layer(api, is_added(repair->layer) ? MODEL_IMAGE : MODEL_BASE_IMAGE, repair->layer);
                repair_pop(api);
                repair_next(api);
                return;
        }
        if (result->code == ERR_NOT_FOUND) {
                builder_builtin(api->config.builder, repair->language, repair_built, repair);
                return;
        }
        if (result->code != ERR_OK)
                layers_missing(api);
        repair_pop(api);
        repair_next(api);
}

static void repair_next(struct api *api)
{
        if (api->repairs != NULL)
                builder_check(api->config.builder, api->repairs->layer, repair_checked, api->repairs);
}

void layers_check(struct api *api)
{
        static const enum model_kind kinds[] = {MODEL_BASE_IMAGE, MODEL_IMAGE, MODEL_FUNCTION};
        struct err err;

        if (api->repairs != NULL)
                return; /* one is under way */
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                struct store_key key = {kinds[i], STR(""), STR(""), STR("")};
                struct collection collection = {api, kinds[i]};
                if (store_list(api->config.store, &key, layers_collect, &collection, &err) != ERR_OK)
                        api_stumble(api, "check the layers of images", &err);
        }
        repair_next(api);
}

void layers_missing(void *arg)
{
        struct api *api = arg;

        api->layers_stale = true;
        api_reconcile_later(api);
}
