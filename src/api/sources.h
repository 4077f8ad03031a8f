/*
 * api/sources.h: the function store: source archives as files, and the layers that are made of them. With an
 * object store (object_store.h) each source is an object too, and durable there before a row names it; then
 * the files are copies, which may go and are fetched again.
 *
 * A source's key is the SHA-256 of organization, project and the archive's own SHA-256: functions of one
 * project share a source, those of two never do. Its file is DIR/KEY; its layer is named by key and language,
 * since what a build finds (the default handler) depends on both, and where the language is compiled by the
 * layers of its image, whose compiler and libraries made it. A file is durable before a row names it.
 * Rows hold what they name, in their internal part; what no row holds any more is removed, layers before
 * files, so that all a crash can leave is a file without a row, which sources_sweep finds.
 *
 * Control loop only; blocks on the disk.
 */
#ifndef DISPATCH_API_SOURCES_H
#define DISPATCH_API_SOURCES_H

#include "api/internal.h"
#include "model/json.h"

enum { SOURCE_HEX_LEN = 64 };

enum err_code sources_init(struct api *api, struct err *err);
void sources_finish(struct api *api);

void source_digest(struct str archive, char digest[SOURCE_HEX_LEN + 1]);
void source_key(struct str organization, struct str project, const char *digest,
                char key[SOURCE_HEX_LEN + 1]);
/* `image`: names of layers, an array; `interpreter`: the image's own, or NULL. */
void source_layer(const struct api *api, const char *key, const char *language, const json_t *image,
                  const char *interpreter, char layer[SPAWN_NAME_MAX]);
/* Makes the layer of an archive, which is taken over; ends before it returns where `image` cannot be. */
void source_build(struct api *api, const char *layer, const char *language, const json_t *image,
                  const char *interpreter, int archive_fd, builder_done done, void *arg);

/* Held by something that is no row: until the release it is not removed, nor is its object (url; "": none).
 */
void source_hold(struct api *api, const char *key, const char *url);
void source_release(struct api *api, const char *key);

/* No function has its source in the object store yet: its bucket may be made. */
bool sources_may_create(const struct api *api);

/* Durable when it returns; an archive that is there already is left alone. */
enum err_code source_save(struct api *api, const char *key, struct str archive, struct err *err);
/* Open for reading; ERR_NOT_FOUND. The descriptor is the caller's. */
enum err_code source_open(struct api *api, const char *key, int *ret_fd, struct err *err);

/* Where a source comes from when its file is missing. url: "" or NULL: nowhere. */
struct source_place {
        const char *organization, *project, *key, *url;
};
/* Brings the file back. `done` is called exactly once, now or later; the place need not outlive the call.
 * ERR_NOT_FOUND: update the function; else as build/s3.h says. */
typedef void (*source_fetched)(void *arg, enum err_code code, const struct err *err);
void source_fetch(struct api *api, const struct source_place *place, source_fetched done, void *arg);
/* The file of one under way? */
bool source_is_fetching(const struct api *api, const char *file);
/* Those under way are forgotten. */
void source_fetches_finish(struct api *api);

/* resource.h's `prepare` of functions: their source into the object store. */
struct change;
void source_upload(struct change *change);
void source_uploads_finish(struct api *api);

/* A row's internal part goes from `before` to `after` (either may be NULL): what `after` names is held, what
 * only `before` named is let go. The caller has committed the change. */
void sources_swap(struct api *api, const json_t *before, const json_t *after);

/* A layer was made after its rows were gone: removed unless one names it again. */
void source_layer_abandoned(struct api *api, const char *layer);

/* The default handler that the build of a layer found; "" when it is not known. */
const char *source_handler(struct api *api, const char *layer);
void source_handler_set(struct api *api, const char *layer, struct str handler);
/* True for the first who asks: only that one may drop the layer to have it made once more, since another
 * function may run from what was made meanwhile. */
bool source_remake_claim(struct api *api, const char *layer);

/* An upload of this key is under way. */
bool source_is_uploading(const struct api *api, struct str key);

/* Every file; held: somebody needs it. */
typedef void (*source_each)(void *arg, const char *name, uint64_t bytes, int64_t age_s, bool held);
enum err_code sources_each(struct api *api, source_each each, void *arg, struct err *err);
/* One that nobody holds, with its layers. */
void source_remove(struct api *api, const char *name);

/* Removes files that no row holds, with their layers. After every function was loaded. */
enum err_code sources_sweep(struct api *api, struct err *err);

#endif
