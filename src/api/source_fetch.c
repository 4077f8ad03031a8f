/*
 * api/source_fetch.c: brings a source back from the object store. What comes is written beside the others and
 * takes its name only when it is what the name says.
 */
#include "api/object_store.h"
#include "api/sources.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct source_fetch {
        struct source_fetch *next;
        struct api *api;
        source_fetched done;
        void *arg;
        char *organization, *project;
        char key[SOURCE_HEX_LEN + 1];
        char file[32];
};

static void fetch_free(struct source_fetch *fetch)
{
        free(fetch->organization);
        free(fetch->project);
        free(fetch);
}

static void fetch_remove(struct source_fetch *fetch)
{
        for (struct source_fetch **at = &fetch->api->fetches; *at != NULL; at = &(*at)->next) {
                if (*at == fetch) {
                        *at = fetch->next;
                        break;
                }
        }
        unlinkat(fetch->api->sources_fd, fetch->file, 0); /* it has its own name by now, if all went well */
        fetch_free(fetch);
}

void source_fetches_finish(struct api *api)
{
        while (api->fetches != NULL)
                fetch_remove(api->fetches);
}

bool source_is_fetching(const struct api *api, const char *file)
{
        const struct source_fetch *fetch = api->fetches;

        while (fetch != NULL && strcmp(fetch->file, file) != 0)
                fetch = fetch->next;
        return fetch != NULL;
}

/* The key is made of the digest: another content has another. */
static enum err_code content_check(const struct source_fetch *fetch, const json_t *info, struct err *err)
{
        const char *digest = json_string_value(json_object_get(info, "sha256"));
        char key[SOURCE_HEX_LEN + 1];

        if (digest != NULL && strlen(digest) == SOURCE_HEX_LEN) {
                source_key(str_of(fetch->organization), str_of(fetch->project), digest, key);
                if (strcmp(key, fetch->key) == 0)
                        return ERR_OK;
        }
        return err_set(err, ERR_BAD_REPLY,
                       "what the object store has is not the function's source: update it with its source");
}

static enum err_code file_place(const struct source_fetch *fetch, struct err *err)
{
        int dir = fetch->api->sources_fd;

        if (renameat(dir, fetch->file, dir, fetch->key) < 0 || fsync(dir) < 0)
                return err_disk(err, "put a function's source in its place");
        return ERR_OK;
}

static void fetched(void *arg, const struct object_result *result)
{
        struct source_fetch *fetch = arg;
        struct err err = {0};
        enum err_code code = result->code;

        if (code == ERR_NOT_FOUND)
                err_set(&err, code, "function store: %s: update the function with its source", result->text);
        else if (code != ERR_OK)
                err_set(&err, code, "function store: %s", result->text);
        else if ((code = content_check(fetch, result->info, &err)) == ERR_OK)
                code = file_place(fetch, &err);
        fetch->done(fetch->arg, code, &err);
        fetch_remove(fetch);
}

static enum err_code fetch_create(struct api *api, const struct source_place *place,
                                  struct source_fetch **ret, int *ret_fd, struct err *err)
{
        struct source_fetch *fetch = calloc(1, sizeof(*fetch));

        if (fetch == NULL)
                return err_nomem(err);
        fetch->api = api;
        fetch->organization = strdup(place->organization);
        fetch->project = strdup(place->project);
        snprintf(fetch->key, sizeof(fetch->key), "%s", place->key);
        snprintf(fetch->file, sizeof(fetch->file), ".fetch-%llu", (unsigned long long)api->sources_fetched++);
        *ret_fd = openat(api->sources_fd, fetch->file, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                         0600);
        if (fetch->organization == NULL || fetch->project == NULL || *ret_fd < 0) {
                enum err_code code =
                        *ret_fd < 0 ? err_disk(err, "make the file of a source") : err_nomem(err);
                own_fd_release(ret_fd);
                fetch_free(fetch);
                return code;
        }
        fetch->next = api->fetches;
        api->fetches = fetch;
        *ret = fetch;
        return ERR_OK;
}

void source_fetch(struct api *api, const struct source_place *place, source_fetched done, void *arg)
{
        uint64_t max = api->config.source_bytes_max;
        struct source_fetch *fetch = NULL;
        struct err err;
        int fd = -1;

        if (place->url == NULL || place->url[0] == '\0') {
                err_set(&err, ERR_NOT_FOUND, "the function's source is missing: update it with its source");
                done(arg, err.code, &err);
                return;
        }
        if (fetch_create(api, place, &fetch, &fd, &err) != ERR_OK) {
                done(arg, err.code, &err);
                return;
        }
        fetch->done = done;
        fetch->arg = arg;
        object_get(api, place->url, fd, max, fetched, fetch);
}
