/*
 * api/function_reconcile.c: what a function needs next: its image, its build, or nothing; and how a move
 * shows, in the store, in the snapshot and to runs that wait.
 */
#include "api/foreign_image.h"
#include "api/function_build.h"
#include "api/functions.h"
#include "api/resource.h"
#include "api/rows.h"
#include "api/runs.h"

#include <assert.h>
#include <stdio.h>

/* After a move: the snapshot says so too, and runs that wait go on. */
void function_moved(struct api *api, const struct store_row *row, struct revision *serving)
{
        struct revision *old = function_serving(api, row);
        struct err err;

        if (old != NULL)
                revision_ref(old);
        if (function_entry_put(api, row, serving, &err) != ERR_OK)
                api_stumble_snapshot(api, "publish a function", &err);
        function_publish_retire(api, old != serving ? old : NULL);
        revision_unref(old);
        runs_function_changed(api, row->id);
}

/* Of a function that serves and was not changed itself: what failed is another image, or the like. */
static json_t *reasons_told(const struct store_row *row, const json_t *reasons)
{
        const json_t *active = json_object_get(row->internal, "active");
        json_t *told = json_array();

        if (active != NULL && json_integer_value(json_object_get(active, "number")) == row->revision)
                (void)json_array_append_new(
                        told,
                        json_sprintf("image %.*s is another now, and the function does not work on it; it "
                                     "goes on with the image as it was",
                                     STR_ARG(json_str(row->document, "image"))));
        (void)json_array_extend(told, (json_t *)reasons);
        return told;
}

void function_fail_reasons(struct api *api, struct store_row *row, const json_t *reasons)
{
        own_json json_t *told = reasons_told(row, reasons);
        struct err err;

        if (status_save(api->config.store, MODEL_FUNCTION, row, STATUS_ERROR, told, &err) != ERR_OK) {
                api_stumble(api, "save a function's status", &err);
                return;
        }
        function_moved(api, row, function_serving(api, row));
}

void function_fail(struct api *api, struct store_row *row, const char *text)
{
        own_json json_t *clean = json_of(str_of(text));
        own_json json_t *reasons =
                json_pack("[O]", clean != NULL ? clean : json_string("the reason is not text"));

        function_fail_reasons(api, row, reasons);
}

/* The handler's own failure: its message, then its trace line by line. */
json_t *function_trace_reasons(const struct err *err, struct str trace)
{
        own_json json_t *error = NULL;
        json_t *reasons = json_array(), *lines, *line;
        size_t i;

        if (trace.len == 0 || json_parse(trace, &error, NULL) != ERR_OK ||
            json_str(error, "message").p == NULL) {
                json_array_append_new(reasons, json_of(str_of(err->text)));
                return reasons;
        }
        struct str type = json_str(error, "type"), message = json_str(error, "message");
        json_array_append_new(reasons, json_sprintf("%.*s: %.*s", STR_ARG(type), STR_ARG(message)));
        lines = json_object_get(error, "stacktrace");
        json_array_foreach(lines, i, line)
        {
                json_array_append(reasons, line);
        }
        return reasons;
}

void function_fail_or_wait(struct api *api, struct store_row *row, const struct err *err)
{
        if (api_is_passing(err->code) || err->code == ERR_NO_MEMORY || err->code == ERR_CORRUPT)
                api_stumble(api, "work on a function", err);
        else
                function_fail(api, row, err->text);
}

static void image_failed(struct api *api, struct store_row *row, const struct store_row *image)
{
        char why[1024];
        struct err err;

        status_reason_text(image->document, why, sizeof(why));
        err_set(&err, ERR_UNPROCESSABLE, "image %s is in ERROR: %s", image->name, why);
        function_fail(api, row, err.text);
}

void functions_reconcile(struct api *api, enum model_kind kind, struct store_row *row)
{
        struct store_key key = api_key(MODEL_IMAGE, str_of(row->organization), str_of(row->project),
                                       json_str(row->document, "image"));
        own_row struct store_row image = {0};
        struct err err;

        assert(kind == MODEL_FUNCTION);
        if (!status_is_pending(status_of(row->document)) || function_job_running(api, row))
                return;
        if (foreign_image_of(row->document).len > 0) {
                function_foreign_start(api, row);
                return;
        }
        enum err_code code = store_get(api->config.store, &key, &image, &err);
        if (code != ERR_OK) {
                function_fail_or_wait(api, row, &err);
                return;
        }
        /* While an image is updated, what it was before goes on serving. */
        if (status_of(image.document) == STATUS_ERROR)
                image_failed(api, row, &image);
        else if (!status_is_pending(status_of(image.document)))
                function_build_start(api, row, &image);
}

/* Does what serves of a function run on what its image is now? */
static bool is_on_image(struct api *api, const struct store_row *row)
{
        struct store_key key = api_key(MODEL_IMAGE, str_of(row->organization), str_of(row->project),
                                       json_str(row->document, "image"));
        own_row struct store_row image = {0};
        const json_t *layers = json_object_get(json_object_get(row->internal, "active"), "layers");

        return store_get(api->config.store, &key, &image, NULL) != ERR_OK ||
               json_equal(layers, json_object_get(image.internal, "layers"));
}

/* One that serves is built anew on another image; what served goes on until that works. */
static void image_moved(struct api *api, enum model_kind kind, struct store_row *row)
{
        bool serving = json_object_get(row->internal, "active") != NULL;
        enum status status = status_of(row->document);
        struct err err;

        if (status == STATUS_READY && is_on_image(api, row))
                return;
        if ((status == STATUS_ERROR || status == STATUS_READY) &&
            status_save(api->config.store, kind, row, serving ? STATUS_UPDATING : STATUS_INITIALIZED, NULL,
                        &err) != ERR_OK) {
                api_stumble(api, "try a function again", &err);
                return;
        }
        functions_reconcile(api, kind, row);
}

void functions_layer_made(struct api *api, enum model_kind kind, struct store_row *row)
{
        struct err err;

        if (status_of(row->document) != STATUS_READY && status_of(row->document) != STATUS_ERROR)
                return;
        if (status_save(api->config.store, kind, row, STATUS_UPDATING, NULL, &err) != ERR_OK)
                api_stumble(api, "build a function again on the new layer", &err);
        else
                functions_reconcile(api, kind, row);
}

void functions_image_changed(struct api *api, const struct store_row *image)
{
        struct store_key key = {MODEL_FUNCTION, str_of(image->organization), str_of(image->project), STR("")};
        /* A failed image only matters to those that wait; a working one also to those that failed. */
        bool works = status_of(image->document) == STATUS_READY;
        struct err err;

        if (api_rows_each(api, &key, api_row_of_image, str_of(image->name),
                          works ? image_moved : functions_reconcile, &err) != ERR_OK)
                api_stumble(api, "find the functions of an image", &err);
}

static bool row_any(const struct store_row *row, struct str value)
{
        (void)row;
        (void)value;
        return true;
}

static void row_sync(struct api *api, enum model_kind kind, struct store_row *row)
{
        const json_t *active = json_object_get(row->internal, "active");
        struct revision *serving = function_serving(api, row);

        assert(kind == MODEL_FUNCTION);
        if (serving != NULL && serving->number != json_integer_value(json_object_get(active, "number")))
                serving = NULL; /* it is made from the row */
        function_moved(api, row, serving);
}

void functions_sync(struct api *api)
{
        struct store_key key = {MODEL_FUNCTION, STR(""), STR(""), STR("")};
        struct err err;

        if (api_rows_each(api, &key, row_any, STR(""), row_sync, &err) != ERR_OK)
                api_stumble_snapshot(api, "compare the snapshot with the store", &err);
}
