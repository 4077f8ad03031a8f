/* api/sources.c: the function store: files, and the counts of who needs them and their layers. */
#include "api/sources.h"
#include "api/object_store.h"

#include "base/own.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A file or layer that rows hold. */
struct source_use {
        unsigned map_refs; /* the map's */
        unsigned rows;
        char *url;     /* of a file: its object, or NULL */
        char *handler; /* of a layer */
        bool remade;   /* a layer of unknown origin: somebody has had it made once more */
};

static void use_ref(void *value)
{
        struct source_use *use = value;

        use->map_refs++;
}

static void use_unref(void *value)
{
        struct source_use *use = value;

        if (--use->map_refs > 0)
                return;
        free(use->handler);
        free(use->url);
        free(use);
}

static const struct hamt_ops use_ops = {use_ref, use_unref};

enum err_code sources_init(struct api *api, struct err *err)
{
        const char *dir = api->config.sources_dir;

        hamt_init(&api->sources, &use_ops);
        if (mkdir(dir, 0700) < 0 && errno != EEXIST)
                return err_disk(err, "make the folder of sources '%s'", dir);
        api->sources_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (api->sources_fd < 0)
                return err_sys(err, "open the folder of sources '%s'", dir);
        return object_store_init(api, err);
}

void sources_finish(struct api *api)
{
        source_uploads_finish(api);
        source_fetches_finish(api);
        object_store_finish(api);
        hamt_finish(&api->sources);
        if (api->sources_fd >= 0)
                close(api->sources_fd);
}

static void hash_hex(const crypto_hash_sha256_state *state, char hex[SOURCE_HEX_LEN + 1])
{
        unsigned char hash[crypto_hash_sha256_BYTES];
        crypto_hash_sha256_state final = *state;

        crypto_hash_sha256_final(&final, hash);
        hex_encode(hash, sizeof(hash), hex);
        hex[SOURCE_HEX_LEN] = '\0';
}

/* The NUL behind each part keeps "a","bc" and "ab","c" apart; no part contains one. */
static void hash_part(crypto_hash_sha256_state *state, struct str part)
{
        crypto_hash_sha256_update(state, (const unsigned char *)part.p, part.len);
        crypto_hash_sha256_update(state, (const unsigned char *)"", 1);
}

void source_digest(struct str archive, char digest[SOURCE_HEX_LEN + 1])
{
        crypto_hash_sha256_state state;

        crypto_hash_sha256_init(&state);
        crypto_hash_sha256_update(&state, (const unsigned char *)archive.p, archive.len);
        hash_hex(&state, digest);
}

void source_key(struct str organization, struct str project, const char *digest, char key[SOURCE_HEX_LEN + 1])
{
        crypto_hash_sha256_state state;

        crypto_hash_sha256_init(&state);
        hash_part(&state, organization);
        hash_part(&state, project);
        hash_part(&state, str_of(digest));
        hash_hex(&state, key);
}

static bool is_compiled(const struct api *api, const char *language)
{
        const struct runtime *runtime =
                runtime_find(reference_runtimes(api->config.references), str_of(language));

        return runtime != NULL && runtime->compile_argc > 0;
}

void source_layer(const struct api *api, const char *key, const char *language, const json_t *image,
                  const char *interpreter, char layer[SPAWN_NAME_MAX])
{
        crypto_hash_sha256_state state;
        char hex[SOURCE_HEX_LEN + 1];
        const json_t *each;
        size_t i;

        crypto_hash_sha256_init(&state);
        hash_part(&state, str_of(key));
        hash_part(&state, str_of(language));
        if (is_compiled(api, language))
                json_array_foreach(image, i, each) hash_part(&state, str_of(json_string_value(each)));
        if (is_compiled(api, language) && interpreter != NULL)
                hash_part(&state, str_of(interpreter));
        hash_hex(&state, hex);
        snprintf(layer, SPAWN_NAME_MAX, "fn-%s", hex);
}

/* The names of an image's layers; 0 when there are too many. */
static uint32_t image_names(const json_t *image, char names[SPAWN_LAYERS_MAX][SPAWN_NAME_MAX])
{
        const json_t *each;
        size_t i;

        if (json_array_size(image) > SPAWN_LAYERS_MAX)
                return 0;
        json_array_foreach(image, i, each) snprintf(names[i], SPAWN_NAME_MAX, "%s", json_string_value(each));
        return (uint32_t)json_array_size(image);
}

void source_build(struct api *api, const char *layer, const char *language, const json_t *image,
                  const char *interpreter, int archive_fd, builder_done done, void *arg)
{
        char names[SPAWN_LAYERS_MAX][SPAWN_NAME_MAX];
        struct builder *builder = api->config.builder;

        if (is_compiled(api, language))
                builder_compile(builder, layer, language, (const char(*)[SPAWN_NAME_MAX])names,
                                image_names(image, names), interpreter, archive_fd, done, arg);
        else
                builder_source(builder, layer, language, archive_fd, done, arg);
}

static enum err_code write_all(int fd, struct str bytes, struct err *err)
{
        while (bytes.len > 0) {
                ssize_t written = write(fd, bytes.p, bytes.len);

                if (written < 0 && errno == EINTR)
                        continue;
                if (written < 0)
                        return err_disk(err, "write a function's source");
                bytes = str_slice(bytes, (size_t)written, bytes.len);
        }
        return ERR_OK;
}

enum err_code source_save(struct api *api, const char *key, struct str archive, struct err *err)
{
        char temporary[SOURCE_HEX_LEN + 8];

        if (faccessat(api->sources_fd, key, F_OK, 0) == 0)
                return ERR_OK;
        snprintf(temporary, sizeof(temporary), ".%s", key);
        own_fd int fd = openat(api->sources_fd, temporary,
                               O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return err_disk(err, "create a function's source");

        enum err_code code = write_all(fd, archive, err);
        if (code == ERR_OK && fsync(fd) < 0)
                code = err_disk(err, "sync a function's source");
        if (code == ERR_OK && renameat(api->sources_fd, temporary, api->sources_fd, key) < 0)
                code = err_disk(err, "rename a function's source");
        if (code != ERR_OK) {
                unlinkat(api->sources_fd, temporary, 0);
                return code;
        }
        if (fsync(api->sources_fd) < 0)
                return err_disk(err, "sync the folder of sources");
        return ERR_OK;
}

enum err_code source_open(struct api *api, const char *key, int *ret_fd, struct err *err)
{
        int fd = openat(api->sources_fd, key, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT)
                return err_set(err, ERR_NOT_FOUND,
                               "the function's source is missing: update it with its source");
        if (fd < 0)
                return err_sys(err, "open a function's source");
        *ret_fd = fd;
        return ERR_OK;
}

static bool is_layer(struct str name)
{
        return str_starts(name, STR("fn-"));
}

static void use_url_set(struct api *api, struct source_use *use, struct str url)
{
        if (use->url != NULL || url.len == 0)
                return;
        use->url = strndup(url.p, url.len);
        if (use->url != NULL)
                api->objects_held++;
}

/* Without memory for its count a name is simply never removed before the next start. */
static void use_hold(struct api *api, struct str name, struct str url)
{
        struct source_use *use = hamt_get(&api->sources, name);

        if (use == NULL) {
                if ((use = calloc(1, sizeof(*use))) == NULL)
                        return;
                use->map_refs = 1;
                if (hamt_set(&api->sources, name, use) == ERR_OK) {
                        use->rows = 1;
                        use_url_set(api, use, url);
                }
                use_unref(use);
                return;
        }
        use->rows++;
        use_url_set(api, use, url);
}

/* The copy goes first: what is left after a crash is an object without a row, which the collector finds. */
static void source_drop(struct api *api, struct str key, const struct source_use *use)
{
        unlinkat(api->sources_fd, key.p, 0);
        if (use->url == NULL)
                return;
        api->objects_held--;
        object_delete(api, use->url, NULL, NULL);
}

static void use_release(struct api *api, struct str name)
{
        struct source_use *use = hamt_get(&api->sources, name);

        if (use == NULL || --use->rows > 0)
                return;
        if (is_layer(name))
                builder_drop(api->config.builder, name.p);
        else
                source_drop(api, name, use);
        hamt_remove(&api->sources, name);
}

void source_hold(struct api *api, const char *key, const char *url)
{
        use_hold(api, str_of(key), str_of(url));
}

void source_release(struct api *api, const char *key)
{
        use_release(api, str_of(key));
}

bool sources_may_create(const struct api *api)
{
        return api->config.storage->create_bucket && !api->objects_needed;
}

/* Where a row's internal part names what it needs; layers first, as they go first. */
static const char *const held[][2] = {
        {"active", "layer"}, {"source", "layer"}, {"active", "key"}, {"source", "key"}};
enum { HELD_COUNT = sizeof(held) / sizeof(held[0]) };

static struct str held_name(const json_t *internal, size_t i)
{
        return json_str(json_object_get(internal, held[i][0]), held[i][1]);
}

static struct str held_url(const json_t *internal, size_t i)
{
        return json_str(json_object_get(internal, held[i][0]), "url");
}

void sources_swap(struct api *api, const json_t *before, const json_t *after)
{
        for (size_t i = 0; i < HELD_COUNT; i++) {
                struct str name = held_name(after, i);

                if (name.len > 0)
                        use_hold(api, name, is_layer(name) ? STR("") : held_url(after, i));
        }
        for (size_t i = 0; i < HELD_COUNT; i++) {
                struct str name = held_name(before, i);

                if (name.len > 0)
                        use_release(api, name);
        }
}

void source_layer_abandoned(struct api *api, const char *layer)
{
        if (hamt_get(&api->sources, str_of(layer)) == NULL)
                builder_drop(api->config.builder, layer);
}

const char *source_handler(struct api *api, const char *layer)
{
        const struct source_use *use = hamt_get(&api->sources, str_of(layer));

        return use != NULL && use->handler != NULL ? use->handler : "";
}

void source_handler_set(struct api *api, const char *layer, struct str handler)
{
        struct source_use *use = hamt_get(&api->sources, str_of(layer));

        if (use == NULL || handler.len == 0)
                return;
        free(use->handler);
        use->handler = strndup(handler.p, handler.len);
}

bool source_remake_claim(struct api *api, const char *layer)
{
        struct source_use *use = hamt_get(&api->sources, str_of(layer));

        if (use == NULL)
                return true;
        bool first = !use->remade;
        use->remade = true;
        return first;
}

/* A name that a source's file has. */
static bool is_key(const char *name)
{
        char hash[SOURCE_HEX_LEN / 2];

        return strlen(name) == SOURCE_HEX_LEN && hex_decode(str_of(name), hash);
}

void source_remove(struct api *api, const char *name)
{
        const struct runtime_table *runtimes = reference_runtimes(api->config.references);
        char layer[SPAWN_NAME_MAX];

        for (size_t i = 0; is_key(name) && i < runtimes->count; i++) {
                source_layer(api, name, runtimes->runtimes[i].language, NULL, NULL, layer);
                builder_drop(api->config.builder, layer);
        }
        unlinkat(api->sources_fd, name, 0);
}

/* Files of other names than ours are somebody else's. */
static bool is_held(struct api *api, const char *name)
{
        if (name[0] == '.')
                return source_is_fetching(api, name);
        return !is_key(name) || hamt_get(&api->sources, str_of(name)) != NULL;
}

enum err_code sources_each(struct api *api, source_each each, void *arg, struct err *err)
{
        own_fd int fd = openat(api->sources_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
        time_t now = time(NULL);
        struct stat status;

        if (dir == NULL)
                return err_sys(err, "list the folder of sources");
        take_fd(&fd);
        for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
                if (fstatat(api->sources_fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
                    !S_ISREG(status.st_mode))
                        continue;
                each(arg, entry->d_name, (uint64_t)status.st_blocks * 512,
                     now > status.st_mtime ? now - status.st_mtime : 0, is_held(api, entry->d_name));
        }
        return ERR_OK;
}

static void sweep_file(void *arg, const char *name, uint64_t bytes, int64_t age_s, bool needed)
{
        (void)bytes;
        (void)age_s;
        if (!needed)
                source_remove(arg, name);
}

enum err_code sources_sweep(struct api *api, struct err *err)
{
        return sources_each(api, sweep_file, api, err);
}
