/*
 * api/function_push.c: the images of READY functions, and READY images themselves, on their way to
 * --image-registry: one after the other, functions first, behind everything else, the same again after a
 * restart. What a row says of it is only what happened.
 */
#include "api/foreign_image.h"
#include "api/function_image.h"
#include "api/functions.h"
#include "api/resource.h"
#include "api/rows.h"

#include "base/clock.h"
#include "base/own.h"
#include "base/sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PUSHES_MAX = 10000, PUSH_DELAYS_MAX = 6 /* doublings */, REFERENCE_MAX = 512 };

struct push {
        struct push *next;
        enum model_kind kind; /* a function or an image */
        char *organization, *project, *name;
        char id[UUID_LEN + 1];
};

struct push_queue {
        struct api *api;
        char registry[REGISTRY_MAX];
        struct push *first; /* the first is at work when `busy` */
        size_t count;
        bool busy;
        bool missed;     /* some did not fit, or wait for the registry: all are looked at again */
        unsigned delays; /* in a row */
        int64_t number;  /* revision that is being pushed */
        uint64_t job;
        char name[REFERENCE_MAX];
        struct loop_timer *again;
};

static void push_free(struct push *push)
{
        free(push->organization);
        free(push->project);
        free(push->name);
        free(push);
}

static void pop(struct push_queue *queue)
{
        struct push *push = queue->first;

        queue->first = push->next;
        queue->count--;
        push_free(push);
}

/* A number for all that an image is made of. */
static int64_t number_of_image(const json_t *internal)
{
        static const char *const keys[] = {"language", "layers", "config", "digest"};
        own_json json_t *parts = json_object();
        unsigned char hash[SHA256_LEN];
        struct sha256 sha;
        int64_t number = 0;
        char *text;

        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
                json_t *part = json_object_get(internal, keys[i]);

                if (part != NULL && json_object_set(parts, keys[i], part) < 0)
                        return 0;
        }
        text = json_dumps(parts, JSON_COMPACT | JSON_SORT_KEYS);
        if (text == NULL)
                return 0;
        sha256_begin(&sha);
        sha256_add(&sha, text, strlen(text));
        sha256_end(&sha, hash);
        free(text);
        for (size_t i = 0; i < 7; i++)
                number = number << 8 | hash[i];
        return number + 1;
}

/* 0: there is nothing to push. */
static int64_t number_of(const json_t *internal)
{
        const json_t *active = json_object_get(internal, "active");

        if (active != NULL)
                return json_integer_value(json_object_get(active, "number"));
        return json_object_get(internal, "layers") != NULL ? number_of_image(internal) : 0;
}

static bool pushed_already(const struct push_queue *queue, const struct store_row *row)
{
        const json_t *pushed = json_object_get(row->internal, "pushed");
        int64_t number = number_of(row->internal);

        return number == 0 || (json_integer_value(json_object_get(pushed, "number")) == number &&
                               json_str(pushed, "image").len > 0 &&
                               str_eq(json_str(pushed, "registry"),
                                      str_of(registries_prefix(queue->api->config.registries))));
}

static void advance(struct push_queue *queue);

/* Does the row still stand for what was pushed? */
static bool row_of(struct push_queue *queue, struct store_row *row)
{
        const struct push *push = queue->first;
        struct store_key key =
                api_key(push->kind, str_of(push->organization), str_of(push->project), str_of(push->name));
        struct err err;
        enum err_code code = store_get(queue->api->config.store, &key, row, &err);

        if (code != ERR_OK && code != ERR_NOT_FOUND)
                api_problem(queue->api, "read what is pushed", &err);
        return code == ERR_OK && strcmp(row->id, push->id) == 0;
}

static const char *push_what(const struct push *push)
{
        return push->kind == MODEL_FUNCTION ? "push a function's image" : "push an image";
}

static void push_later(struct api *api, enum model_kind kind, const struct store_row *row);

static void save(struct push_queue *queue, struct store_row *row, const char *image, const char *why)
{
        bool function = queue->first->kind == MODEL_FUNCTION;
        struct err err;
        json_t *pushed = json_pack("{s:I, s:s, s:s*, s:s*, s:I}", "number", (json_int_t)queue->number,
                                   "registry", registries_prefix(queue->api->config.registries), "image",
                                   image, "error", why, "movedUs", (json_int_t)clock_wall_us());
        int failed = json_object_set_new(row->internal, "pushed", pushed);

        if (image != NULL)
                failed |=
                        json_object_set_new(row->document, function ? "functionImageURL" : "imageDestination",
                                            json_string(image));
        if (failed != 0)
                err_nomem(&err);
        else if (store_set_state(queue->api->config.store, queue->first->kind, str_of(row->id), row->document,
                                 row->internal, &err) == ERR_OK)
                return;
        api_problem(queue->api, "save where an image was pushed", &err);
        queue->missed = true;
}

static void wait_then_again(struct push_queue *queue)
{
        queue->missed = true;
        loop_timer_start(queue->again, (uint64_t)IMAGE_PUSH_AGAIN_MS << queue->delays);
        if (queue->delays < PUSH_DELAYS_MAX)
                queue->delays++;
}

static void ended(struct push_queue *queue, struct store_row *row, const struct builder_result *result)
{
        own_json json_t *info = NULL;
        own_json json_t *image = NULL;
        char text[ERR_TEXT_MAX];
        struct err err;

        if (result->code != ERR_OK) {
                snprintf(text, sizeof(text), "%s", result->text);
                err_set(&err, result->code, "%s", text);
                api_problem(queue->api, push_what(queue->first), &err);
                save(queue, row, NULL, str_is_utf8(str_of(text)) ? text : err_name(result->code));
                if (api_is_passing(result->code))
                        wait_then_again(queue);
                return;
        }
        queue->delays = 0;
        if (json_parse(str_of(result->info), &info, &err) == ERR_OK)
                image = json_sprintf("%s@%s", queue->name,
                                     json_string_value(json_object_get(info, "digest")));
        if (image != NULL)
                save(queue, row, json_string_value(image), NULL);
}

static void push_done(void *arg, const struct builder_result *result)
{
        struct push_queue *queue = arg;
        own_row struct store_row row = {0};

        queue->job = 0;
        if (row_of(queue, &row)) {
                ended(queue, &row, result);
                if (number_of(row.internal) != queue->number)
                        push_later(queue->api, queue->first->kind, &row); /* changed meanwhile */
        }
        pop(queue);
        queue->busy = false;
        advance(queue);
}

static bool is_there(struct api *api, enum model_kind kind, const struct store_row *row)
{
        if (kind == MODEL_FUNCTION)
                return function_serving(api, row) != NULL;
        return status_of(row->document) == STATUS_READY;
}

static enum err_code compose(struct push_queue *queue, const struct store_row *row, struct image_input *ret,
                             struct err *err)
{
        return queue->first->kind == MODEL_FUNCTION ? image_compose(queue->api, row, "latest", ret, err)
                                                    : image_compose_base(row, "latest", ret, err);
}

/* REGISTRY/func-FAASID:latest, as the original names it; of an image REGISTRY/image-ID:latest. False: there
 * is nothing to do, or no way. */
static bool begin(struct push_queue *queue, const struct store_row *row)
{
        struct api *api = queue->api;
        __attribute__((cleanup(image_input_finish))) struct image_input input = {0};
        own_json json_t *auth = registries_auth(api->config.registries, queue->registry);
        char reference[REFERENCE_MAX + 8];
        struct err err;

        if (pushed_already(queue, row) || !is_there(api, queue->first->kind, row))
                return false;
        queue->number = number_of(row->internal);
        snprintf(queue->name, sizeof(queue->name), "%.400s/%s-%s", registries_prefix(api->config.registries),
                 queue->first->kind == MODEL_FUNCTION ? "func" : "image", row->id);
        snprintf(reference, sizeof(reference), "%s:latest", queue->name);

        enum err_code code = compose(queue, row, &input, &err);

        if (code == ERR_OK)
                code = image_compose_push(api, &input, reference, queue->registry, auth, &err);
        if (code != ERR_OK) {
                /* Of a function it means that there is no image to make. */
                if (code != ERR_UNPROCESSABLE || queue->first->kind == MODEL_IMAGE)
                        api_problem(api, push_what(queue->first), &err);
                return false;
        }
        queue->busy = true;
        uint64_t id = image_job_run(api, row, &input, -1, queue->registry, NULL, push_done, queue);
        if (id != 0)
                queue->job = id; /* else it has ended, and another may be at work */
        return true;
}

static void advance(struct push_queue *queue)
{
        while (!queue->busy && queue->first != NULL) {
                own_row struct store_row row = {0};

                if (row_of(queue, &row) && begin(queue, &row))
                        return; /* push_done goes on; perhaps it has already */
                pop(queue);
        }
        if (!queue->busy && queue->missed && queue->delays == 0)
                loop_timer_start(queue->again, 1);
}

static bool waits(const struct push_queue *queue, const struct store_row *row)
{
        const struct push *push = queue->first;

        if (push != NULL && queue->busy)
                push = push->next;
        for (; push != NULL; push = push->next)
                if (strcmp(push->id, row->id) == 0)
                        return true;
        return false;
}

/* Functions go before images, which nobody waits for. */
static void enqueue(struct push_queue *queue, struct push *push)
{
        struct push **at = &queue->first;

        if (*at != NULL && queue->busy)
                at = &(*at)->next;
        while (*at != NULL && (push->kind != MODEL_FUNCTION || (*at)->kind == MODEL_FUNCTION))
                at = &(*at)->next;
        push->next = *at;
        *at = push;
        queue->count++;
}

static void push_later(struct api *api, enum model_kind kind, const struct store_row *row)
{
        struct push_queue *queue = api->pushes;
        struct push *push;

        if (queue == NULL || pushed_already(queue, row) || waits(queue, row))
                return;
        if (kind == MODEL_FUNCTION ? foreign_image_of(row->document).len > 0
                                   : status_of(row->document) != STATUS_READY)
                return; /* it is an image of its own; or not made yet */
        push = queue->count < PUSHES_MAX ? calloc(1, sizeof(*push)) : NULL;
        if (push == NULL) {
                queue->missed = true;
                return;
        }
        push->kind = kind;
        push->organization = strdup(row->organization);
        push->project = strdup(row->project);
        push->name = strdup(row->name);
        snprintf(push->id, sizeof(push->id), "%s", row->id);
        if (push->organization == NULL || push->project == NULL || push->name == NULL) {
                push_free(push);
                queue->missed = true;
                return;
        }
        enqueue(queue, push);
        if (!queue->busy)
                loop_timer_start(queue->again, 1); /* not before the reply that made it READY */
}

void function_push_later(struct api *api, const struct store_row *row)
{
        push_later(api, MODEL_FUNCTION, row);
}

void image_push_later(struct api *api, const struct store_row *row)
{
        push_later(api, MODEL_IMAGE, row);
}

void image_push_stop(struct api *api, const char *id)
{
        const struct push_queue *queue = api->pushes;

        if (queue != NULL && queue->busy && queue->job != 0 && strcmp(queue->first->id, id) == 0)
                builder_cancel(api->config.builder, queue->job);
}

static void look(struct api *api, enum model_kind kind, struct store_row *row)
{
        push_later(api, kind, row);
}

static bool row_serves(const struct store_row *row, struct str value)
{
        (void)value;
        return json_object_get(row->internal, "active") != NULL ||
               json_object_get(row->internal, "layers") != NULL;
}

static enum err_code look_at_all(struct api *api, struct err *err)
{
        static const enum model_kind kinds[] = {MODEL_FUNCTION, MODEL_IMAGE};
        enum err_code code = ERR_OK;

        for (size_t i = 0; code == ERR_OK && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                struct store_key key = {kinds[i], STR(""), STR(""), STR("")};

                code = api_rows_each(api, &key, row_serves, STR(""), look, err);
        }
        return code;
}

static void look_again(void *arg)
{
        struct push_queue *queue = arg;
        struct err err;

        if (queue->missed) {
                queue->missed = false;
                if (look_at_all(queue->api, &err) != ERR_OK) {
                        api_problem(queue->api, "find what is not pushed", &err);
                        wait_then_again(queue);
                }
        }
        advance(queue);
}

void function_pushes_resume(struct api *api)
{
        const struct registries *registries = api->config.registries;
        struct push_queue *queue;

        if (registries == NULL || registries_prefix(registries)[0] == '\0' || api->pushes != NULL)
                return;
        queue = calloc(1, sizeof(*queue));
        if (queue != NULL)
                queue->again = loop_timer_create(api->config.control, look_again, queue);
        if (queue == NULL || queue->again == NULL) {
                struct err err;

                free(queue);
                err_nomem(&err);
                api_problem(api, "push images", &err);
                return;
        }
        queue->api = api;
        queue->missed = true;
        registry_of(str_of(registries_prefix(registries)), queue->registry);
        api->pushes = queue;
        loop_timer_start(queue->again, 1);
}

void function_pushes_finish(struct api *api)
{
        struct push_queue *queue = api->pushes;

        if (queue == NULL)
                return;
        while (queue->first != NULL)
                pop(queue);
        loop_timer_destroy(queue->again);
        free(queue);
        api->pushes = NULL;
}

json_t *function_push_condition(const json_t *internal)
{
        const json_t *pushed = json_object_get(internal, "pushed");
        bool done = json_str(pushed, "image").len > 0;
        char moved[CLOCK_RFC3339_LEN];

        if (pushed == NULL)
                return NULL;

        bool current = json_integer_value(json_object_get(pushed, "number")) == number_of(internal);

        clock_rfc3339((int64_t)json_integer_value(json_object_get(pushed, "movedUs")), moved);
        return json_pack("{s:s, s:s, s:s, s:s, s:s}", "type", "ImagePushed", "status",
                         !current ? "Unknown"
                         : done   ? "True"
                                  : "False",
                         "reason",
                         !current ? "PUSHING"
                         : done   ? "PUSHED"
                                  : "FAILED",
                         "message",
                         done                                ? json_str(pushed, "image").p
                         : json_str(pushed, "error").len > 0 ? json_str(pushed, "error").p
                                                             : "",
                         "lastTransitionTime", moved);
}
