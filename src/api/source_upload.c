/*
 * api/source_upload.c: a function's change waits here until its source is in the object store, so that no row
 * names an object that is not whole. The source is held meanwhile: a function of the same source that is
 * deleted just now must not take it along.
 */
#include "api/object_store.h"
#include "api/resource.h"
#include "api/sources.h"

#include "base/own.h"

#include <stdlib.h>
#include <string.h>

struct source_upload {
        struct source_upload *next;
        struct api *api;
        struct change *change; /* NULL once it went on */
        uint64_t size;
        char key[SOURCE_HEX_LEN + 1], digest[SOURCE_HEX_LEN + 1];
        char url[OBJECT_URL_MAX];
};

void source_uploads_finish(struct api *api)
{
        while (api->uploads != NULL) {
                struct source_upload *upload = api->uploads;

                api->uploads = upload->next;
                if (upload->change != NULL)
                        api_change_drop(upload->change);
                free(upload);
        }
}

bool source_is_uploading(const struct api *api, struct str key)
{
        const struct source_upload *upload = api->uploads;

        while (upload != NULL && !str_eq(str_of(upload->key), key))
                upload = upload->next;
        return upload != NULL;
}

static void upload_end(struct source_upload *upload, enum err_code code, const struct err *err)
{
        struct api *api = upload->api;

        for (struct source_upload **at = &api->uploads; *at != NULL; at = &(*at)->next) {
                if (*at == upload) {
                        *at = upload->next;
                        break;
                }
        }
        api_change_go_on(upload->change, code, err);
        source_release(api, upload->key);
        free(upload);
}

static void upload_fail(struct source_upload *upload, const struct object_result *result)
{
        struct err err;

        err_set(&err, result->code, "function store: %s", result->text);
        upload_end(upload, err.code, &err);
}

static void uploaded(void *arg, const struct object_result *result)
{
        struct source_upload *upload = arg;

        if (result->code != ERR_OK) {
                upload_fail(upload, result);
                return;
        }
        upload->api->objects_needed = true;
        upload_end(upload, ERR_OK, NULL);
}

static void upload_send(struct source_upload *upload)
{
        struct api *api = upload->api;
        struct err err;
        int fd;

        if (source_open(api, upload->key, &fd, &err) != ERR_OK) {
                upload_end(upload, err.code, &err);
                return;
        }
        object_put(api, upload->url, fd, upload->size, upload->digest, uploaded, upload);
}

/* A store that did not work at the start may do so now. */
static void checked(void *arg, const struct object_result *result)
{
        struct source_upload *upload = arg;

        if (result->code != ERR_OK) {
                upload_fail(upload, result);
                return;
        }
        upload->api->objects_checked = true;
        upload_send(upload);
}

static void text_keep(char *out, size_t size, struct str text)
{
        size_t len = text.len < size ? text.len : size - 1;

        memcpy(out, text.p, len);
        out[len] = '\0';
}

void source_upload(struct change *change)
{
        struct api *api = change->api;
        const json_t *source = json_object_get(change->internal, "source");
        struct source_upload *upload = calloc(1, sizeof(*upload));
        struct err err;

        if (upload == NULL) {
                api_change_go_on(change, err_nomem(&err), &err);
                return;
        }
        upload->api = api;
        upload->change = change;
        upload->size = change->source.len;
        text_keep(upload->key, sizeof(upload->key), json_str(source, "key"));
        text_keep(upload->digest, sizeof(upload->digest), json_str(source, "digest"));
        text_keep(upload->url, sizeof(upload->url), json_str(source, "url"));
        upload->next = api->uploads;
        api->uploads = upload;
        source_hold(api, upload->key, upload->url);
        if (source_save(api, upload->key, (struct str){change->source.data, change->source.len}, &err) !=
            ERR_OK)
                upload_end(upload, err.code, &err);
        else if (api->objects_checked)
                upload_send(upload);
        else
                object_check(api, sources_may_create(api), checked, upload);
}
