/* api/gc.c: a pass: list what is there, find out what is wanted, let the rest go, tell. */
#include "api/gc.h"
#include "api/object_store.h"
#include "api/rows.h"
#include "api/sources.h"

#include "base/own.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LIST_BYTES_MAX = 64 << 20, LIST_CHUNK = 65536, GC_DEPTH_MAX = 16 };

/* Of one kind: what was found, and what goes of it. */
enum gc_kind { GC_LAYER, GC_BLOB, GC_SOURCE, GC_OBJECT, GC_UPLOAD, GC_LOG, GC_KINDS };
_Static_assert((int)GC_KINDS == (int)API_GC_KINDS, "api.h has a place for each");
static const char *const kind_names[GC_KINDS] = {"layer", "blob", "source", "object", "upload", "log"};

struct gc_pass {
        struct api *api;
        struct api_call *call; /* NULL: nobody asked */
        bool dry;
        struct buf list;
        struct hamt wanted;         /* names */
        json_t *removed;            /* [{kind, name, bytes, age}] */
        json_t *objects;            /* of the object store, or NULL */
        char problem[ERR_TEXT_MAX]; /* of the object store; "" */
        int64_t grace_s;
        struct api_gc_counts counts;
        bool failed; /* for want of memory */
};

static void mark_ref(void *value)
{
        (void)value;
}

static const struct hamt_ops mark_ops = {mark_ref, mark_ref};
static char mark;

static void pass_free(struct gc_pass *pass)
{
        pass->api->gc = NULL;
        hamt_finish(&pass->wanted);
        buf_finish(&pass->list);
        json_decref(pass->removed);
        json_decref(pass->objects);
        free(pass);
}

static void want(struct gc_pass *pass, struct str name)
{
        if (name.len > 0 && hamt_set(&pass->wanted, name, &mark) != ERR_OK)
                pass->failed = true;
}

/* Every text is a name that is wanted; of "sha256:HEX" the digest too. */
static void want_texts(struct gc_pass *pass, json_t *value, unsigned depth)
{
        json_t *member;
        const char *key;
        size_t i;

        if (depth > GC_DEPTH_MAX)
                return;
        if (json_is_string(value)) {
                struct str text = {json_string_value(value), json_string_length(value)};
                want(pass, text);
                if (str_starts(text, STR("sha256:")))
                        want(pass, str_slice(text, 7, text.len));
        }
        json_array_foreach(value, i, member)
        {
                want_texts(pass, member, depth + 1);
        }
        json_object_foreach(value, key, member)
        {
                want_texts(pass, member, depth + 1);
        }
}

static bool row_wants(void *arg, struct store_row *row)
{
        struct gc_pass *pass = arg;

        want(pass, str_of(row->id)); /* its build's log */
        want_texts(pass, row->internal, 0);
        if (api_row_pending(row, STR("")) && pass->grace_s < GC_BUILD_S)
                pass->grace_s = GC_BUILD_S;
        return true;
}

static enum err_code rows_read(struct gc_pass *pass, struct err *err)
{
        static const enum model_kind kinds[] = {MODEL_BASE_IMAGE, MODEL_IMAGE, MODEL_FUNCTION};

        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                struct store_key key = {kinds[i], STR(""), STR(""), STR("")};
                enum err_code code = store_list(pass->api->config.store, &key, row_wants, pass, err);
                if (code != ERR_OK)
                        return code;
        }
        int64_t oldest = (int64_t)(builder_oldest_ms(pass->api->config.builder) / 1000) + 1;
        if (oldest > 1 && pass->grace_s < oldest)
                pass->grace_s = oldest;
        return ERR_OK;
}

/* What is there counts as kept, unless it goes. */
static bool judge(struct gc_pass *pass, enum gc_kind kind, struct str name, uint64_t bytes, int64_t age,
                  bool wanted)
{
        struct api_gc_count *kept = &pass->counts.kept[kind];

        if (wanted || age < pass->grace_s || pass->failed) {
                kept->count++;
                kept->bytes += bytes;
                return false;
        }
        json_t *entry = json_pack("{ss ss% sI sI}", "kind", kind_names[kind], "name", name.p, name.len,
                                  "bytes", (json_int_t)bytes, "age", (json_int_t)age);
        if (json_array_append_new(pass->removed, entry) < 0)
                return false;
        pass->counts.removed++;
        pass->counts.removed_bytes += bytes;
        return !pass->dry;
}

static void line_layer(struct gc_pass *pass, struct str rest)
{
        struct str name = str_cut(&rest, ' '), bytes_text = str_cut(&rest, ' ');
        char layer[SPAWN_NAME_MAX];
        uint64_t bytes, age;

        if (name.len >= sizeof(layer) || !str_to_u64(bytes_text, &bytes) || !str_to_u64(rest, &age))
                return;
        snprintf(layer, sizeof(layer), "%.*s", STR_ARG(name));
        if (spawn_name_valid(layer, sizeof(layer)) &&
            judge(pass, GC_LAYER, name, bytes, (int64_t)age,
                  hamt_get(&pass->wanted, name) != NULL || hamt_get(&pass->api->sources, name) != NULL))
                builder_drop(pass->api->config.builder, layer);
}

static void line_blob(struct gc_pass *pass, struct str rest)
{
        struct str folder = str_cut(&rest, ' '), name = str_cut(&rest, ' '), bytes_text = str_cut(&rest, ' ');
        char where[SPAWN_NAME_MAX], blob[SPAWN_NAME_MAX];
        uint64_t bytes, age;

        if (name.len >= sizeof(blob) || folder.len >= sizeof(where) || !str_to_u64(bytes_text, &bytes) ||
            !str_to_u64(rest, &age))
                return;
        snprintf(where, sizeof(where), "%.*s", STR_ARG(folder));
        snprintf(blob, sizeof(blob), "%.*s", STR_ARG(name));
        if (judge(pass, GC_BLOB, name, bytes, (int64_t)age, hamt_get(&pass->wanted, name) != NULL))
                builder_blob_drop(pass->api->config.builder, where, blob);
}

/* Twice over the lines: a stack's layers are wanted as long as it is there. */
static void list_judge(struct gc_pass *pass)
{
        struct str rest = {pass->list.data, pass->list.len};

        while (rest.len > 0) {
                struct str line = str_cut(&rest, '\n');
                if (str_eq(str_cut(&line, ' '), STR("below")))
                        want(pass, line);
        }
        rest = (struct str){pass->list.data, pass->list.len};
        while (rest.len > 0) {
                struct str line = str_cut(&rest, '\n'), kind = str_cut(&line, ' ');
                if (str_eq(kind, STR("layer")))
                        line_layer(pass, line);
                else if (str_eq(kind, STR("blob")))
                        line_blob(pass, line);
        }
}

static void on_source(void *arg, const char *name, uint64_t bytes, int64_t age, bool held)
{
        struct gc_pass *pass = arg;

        if (judge(pass, GC_SOURCE, str_of(name), bytes, age, held))
                source_remove(pass->api, name);
}

/* ID.log (image_log.c) */
static void log_judge(struct gc_pass *pass, const char *name)
{
        int dir_fd = pass->api->logs_fd;
        struct str id = str_of(name);
        time_t now = time(NULL);
        struct stat status;

        if (!str_ends(id, STR(".log")) || fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
                return;
        id.len -= 4;
        if (uuid_valid(id) &&
            judge(pass, GC_LOG, str_of(name), (uint64_t)status.st_blocks * 512,
                  now > status.st_mtime ? now - status.st_mtime : 0, hamt_get(&pass->wanted, id) != NULL))
                unlinkat(dir_fd, name, 0);
}

static void logs_judge(struct gc_pass *pass)
{
        own_fd int fd = pass->api->logs_fd >= 0
                                ? openat(pass->api->logs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                                : -1;
        own_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

        if (dir == NULL)
                return;
        take_fd(&fd);
        for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
                log_judge(pass, entry->d_name);
}

/* An object's name ends with its source's key. */
static void object_judge(struct gc_pass *pass, const json_t *entry, enum gc_kind kind)
{
        const struct api_storage *storage = pass->api->config.storage;
        struct str key = {json_string_value(json_array_get(entry, 0)),
                          json_string_length(json_array_get(entry, 0))},
                   name = key;
        int64_t age = json_integer_value(json_array_get(entry, json_array_size(entry) - 1));
        uint64_t bytes = kind == GC_OBJECT ? (uint64_t)json_integer_value(json_array_get(entry, 1)) : 0;
        char url[OBJECT_URL_MAX];

        while (str_find(name, '/') < name.len)
                (void)str_cut(&name, '/');
        bool wanted = kind == GC_OBJECT ? hamt_get(&pass->api->sources, name) != NULL
                                        : source_is_uploading(pass->api, name);
        int len = snprintf(url, sizeof(url), "%s://%s/%.*s", storage->scheme, storage->bucket, STR_ARG(key));
        if (key.len == 0 || len >= (int)sizeof(url) || !judge(pass, kind, key, bytes, age, wanted))
                return;
        if (kind == GC_OBJECT)
                object_delete(pass->api, url, NULL, NULL);
        else
                object_abort(pass->api, url);
}

static void objects_judge(struct gc_pass *pass)
{
        const json_t *entry;
        size_t i;

        json_array_foreach(json_object_get(pass->objects, "objects"), i, entry)
        {
                object_judge(pass, entry, GC_OBJECT);
        }
        /* Whoever began it is gone, unless it is us. */
        if (pass->api->config.draining_generation == 0)
                pass->grace_s = 0;
        json_array_foreach(json_object_get(pass->objects, "uploads"), i, entry)
        {
                object_judge(pass, entry, GC_UPLOAD);
        }
}

static json_t *pass_report(const struct gc_pass *pass)
{
        json_t *kept = json_object();

        for (size_t i = 0; i < GC_KINDS; i++)
                json_object_set_new(kept, kind_names[i],
                                    json_pack("{sI sI}", "count", (json_int_t)pass->counts.kept[i].count,
                                              "bytes", (json_int_t)pass->counts.kept[i].bytes));
        return json_pack("{sb sI sO so ss*}", "dryRun", pass->dry, "bytes",
                         (json_int_t)pass->counts.removed_bytes, "removed", pass->removed, "kept", kept,
                         "problem", pass->problem[0] != '\0' ? pass->problem : NULL);
}

static void pass_fail(struct gc_pass *pass, const struct err *err)
{
        if (pass->call != NULL)
                api_call_fail(pass->call, err);
        else
                api_problem(pass->api, "collect garbage", err);
        pass_free(pass);
}

static void totals_add(struct api_gc_counts *totals, const struct gc_pass *pass)
{
        uint64_t removed = totals->removed, bytes = totals->removed_bytes;

        *totals = pass->counts;
        totals->removed = removed + (pass->dry ? 0 : pass->counts.removed);
        totals->removed_bytes = bytes + (pass->dry ? 0 : pass->counts.removed_bytes);
}

/* All is listed: rows are read last, so that what was made since is in them. */
static void pass_judge(struct gc_pass *pass)
{
        struct api *api = pass->api;
        struct err err;

        if (rows_read(pass, &err) != ERR_OK) {
                pass_fail(pass, &err);
                return;
        }
        list_judge(pass);
        if (sources_each(api, on_source, pass, &err) != ERR_OK)
                api_problem(api, "collect garbage among the sources", &err);
        logs_judge(pass);
        objects_judge(pass);
        totals_add(&api->gc_counts, pass);
        if (pass->call != NULL) {
                own_json json_t *report = pass_report(pass);
                api_call_json(pass->call, 200, report);
        }
        pass_free(pass);
}

static void objects_listed(void *arg, const struct object_result *result)
{
        struct gc_pass *pass = arg;

        if (result->code != ERR_OK)
                snprintf(pass->problem, sizeof(pass->problem), "function store: %s", result->text);
        else if (result->listing != NULL)
                pass->objects = json_incref(result->listing);
        pass_judge(pass);
}

static enum err_code list_read(struct gc_pass *pass, int fd, struct err *err)
{
        off_t at = 0;

        for (;;) {
                if (buf_reserve(&pass->list, LIST_CHUNK) != ERR_OK)
                        return err_set(err, ERR_TOO_LARGE, "the list of what is kept is longer than %d MiB",
                                       LIST_BYTES_MAX >> 20);
                ssize_t got = pread(fd, pass->list.data + pass->list.len, LIST_CHUNK, at);
                if (got < 0)
                        return err_sys(err, "read the list of what is kept");
                if (got == 0)
                        return ERR_OK;
                pass->list.len += (size_t)got;
                at += got;
        }
}

static void stored(void *arg, enum err_code code, int fd)
{
        struct gc_pass *pass = arg;
        own_fd int list_fd = fd;
        struct err err;

        if (code != ERR_OK)
                err_set(&err, code, "what is kept could not be listed; see the server's log");
        else
                code = list_read(pass, list_fd, &err);
        if (code != ERR_OK)
                pass_fail(pass, &err);
        else if (object_store_on(pass->api))
                object_list(pass->api, objects_listed, pass);
        else
                pass_judge(pass);
}

static void pass_start(struct api *api, struct api_call *call, bool dry)
{
        struct gc_pass *pass = api->gc == NULL ? calloc(1, sizeof(*pass)) : NULL;
        struct err err;

        if (pass == NULL) {
                err_set(&err, ERR_UNAVAILABLE,
                        "garbage is being collected already: try again when that is over");
                if (call != NULL)
                        api_call_fail(call, &err);
                return;
        }
        *pass = (struct gc_pass){.api = api,
                                 .call = call,
                                 .dry = dry,
                                 .list = {.max = LIST_BYTES_MAX},
                                 .removed = json_array(),
                                 .grace_s = (int64_t)api->config.gc_grace_s};
        hamt_init(&pass->wanted, &mark_ops);
        api->gc = pass;
        if (pass->removed == NULL)
                pass_fail(pass, (err_nomem(&err), &err));
        else if (builder_store_list(api->config.builder, stored, pass, &err) != ERR_OK)
                pass_fail(pass, &err);
}

void gc_call(struct api_call *call)
{
        pass_start(call->api, call, call->route.verb == VERB_GET);
}

static void timer_fire(void *arg)
{
        struct api *api = arg;
        uint64_t every = api->config.gc_grace_s * 500;

        if (every < GC_EVERY_MS_MIN)
                every = GC_EVERY_MS_MIN;
        loop_timer_start(api->gc_timer, every < GC_EVERY_MS_MAX ? every : GC_EVERY_MS_MAX);
        pass_start(api, NULL, false);
}

void gc_begin(struct api *api)
{
        if (api->gc_timer == NULL)
                api->gc_timer = loop_timer_create(api->config.control, timer_fire, api);
        if (api->gc_timer != NULL)
                timer_fire(api);
}

void gc_finish(struct api *api)
{
        loop_timer_destroy(api->gc_timer);
        if (api->gc != NULL)
                pass_free(api->gc);
}

void api_gc_counts(const struct api *api, struct api_gc_counts *ret)
{
        *ret = api->gc_counts;
}
