/*
 * cli/stream.c: create, update, apply and delete -f FILE: the documents of a YAML stream, one request each,
 * in their order. The whole file is read and checked before the first request, so that a slip in the last
 * document does not leave half of the file done; after that it stops at the first refusal, below the lines
 * that say what was done.
 */
#include "cli/stream.h"

#include "base/own.h"
#include "cli/commands.h"
#include "cli/dry.h"
#include "cli/fetch.h"
#include "cli/file.h"
#include "cli/resource.h"
#include "cli/show.h"
#include "cli/text.h"
#include "model/yaml.h"

#include <string.h>

enum {
        DOCUMENTS_MAX = 1000,
        MANIFEST_MAX = 16 << 20,
        KIND_SHOWN_MAX = 256,
        NOT_FOUND = 404 /* the code in the body of an error */
};

struct document {
        const struct resource *resource;
        json_t *body;
        const char *name;
        size_t number, line; /* both from 1 */
};

struct stream {
        struct cli *cli;
        const char *file, *work_dir;
        bool from_url, may_replace; /* files in the work directory: only in one that was named */
        struct document documents[DOCUMENTS_MAX];
        size_t count;
};

struct stream_verb {
        const char *method, *done, *doing;
};

const struct stream_verb stream_verb_create = {"POST", "Created", "creating"};
const struct stream_verb stream_verb_update = {"PUT", "Updated", "updating"};
const struct stream_verb stream_verb_apply = {"PUT", "Applied", "applying"};
const struct stream_verb stream_verb_delete = {"DELETE", "Deleted", "deleting"};

static void stream_finish(struct stream **stream)
{
        if (*stream == NULL)
                return;
        for (size_t i = 0; i < (*stream)->count; i++)
                json_decref((*stream)->documents[i].body);
        free(*stream);
}
#define own_stream __attribute__((cleanup(stream_finish)))

static enum err_code at(const struct document *document, enum err_code code, struct err *err)
{
        return err_wrap(err, code, "document %zu (line %zu)", document->number, document->line);
}

/* Of the original, in a version of ours that is to come. */
static bool is_later_kind(struct str kind)
{
        static const char *const later[] = {"Driver",         "DriverType",   "Subscription",   "Policy",
                                            "ServiceAccount", "Organization", "ServiceInstance"};

        for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
                if (str_eq(kind, str_of(later[i])))
                        return true;
        }
        return false;
}

static enum err_code find_kind(const json_t *body, const struct resource **ret, struct err *err)
{
        struct str kind = json_str(body, "kind");
        const struct resource *resource = kind.p != NULL ? resource_named(kind) : NULL;
        own_buf struct buf shown = {.max = KIND_SHOWN_MAX};

        if (kind.p == NULL)
                return err_set(err, ERR_INVALID, "kind is missing");
        if (resource == NULL && is_later_kind(kind))
                return err_set(err, ERR_NOT_IMPLEMENTED, "kind %.*s is not in this version of Dispatch",
                               STR_ARG(kind));
        if (resource == NULL && (text_append_safe(&shown, kind) != ERR_OK || buf_text(&shown) == NULL))
                return err_set(err, ERR_INVALID, "unknown kind");
        if (resource == NULL)
                return err_set(err, ERR_INVALID,
                               "unknown kind \"%s\": must be BaseImage, Image, Function, Secret, Endpoint "
                               "or API",
                               buf_text(&shown));
        *ret = resource;
        return ERR_OK;
}

static enum err_code check_document(struct stream *stream, struct document *document, const json_t *sent,
                                    struct err *err)
{
        enum err_code code = json_is_object(sent) ? find_kind(sent, &document->resource, err)
                                                  : err_set(err, ERR_INVALID, "not a mapping");

        if (code == ERR_OK)
                code = model_coerce(resource_model(document->resource), sent, NULL, &document->body, err);
        if (code != ERR_OK)
                return code;

        struct str name = json_str(document->body, "name");
        if (name.len == 0)
                name = json_str(json_object_get(document->body, "meta"), "name");
        if (name.len == 0)
                return err_set(err, ERR_INVALID, "name is missing");
        document->name = arena_strdup(&stream->cli->arena, name);
        return document->name != NULL ? ERR_OK : err_nomem(err);
}

static enum err_code keep_document(void *arg, size_t index, size_t line, json_t *sent, struct err *err)
{
        struct stream *stream = arg;
        struct document *document = &stream->documents[stream->count];

        if (stream->count == DOCUMENTS_MAX)
                return err_set(err, ERR_TOO_LARGE, "more than %d documents", DOCUMENTS_MAX);
        *document = (struct document){.number = index + 1, .line = line};

        enum err_code code = check_document(stream, document, sent, err);
        if (document->body != NULL)
                stream->count++;
        return code == ERR_OK ? ERR_OK : at(document, code, err);
}

static enum err_code parse(struct stream *stream, struct str text, struct err *err)
{
        enum err_code code = yaml_parse_stream(text, keep_document, stream, err);

        return code == ERR_OK ? ERR_OK : err_wrap(err, code, "%s", stream->file);
}

static enum err_code read_stream(struct stream *stream, struct err *err)
{
        own_buf struct buf text = {.max = YAML_TEXT_MAX};
        enum err_code code;

        if (stream->from_url)
                code = fetch_url(stream->file, &text, err);
        else if (strcmp(stream->file, "-") == 0)
                code = file_read_fd(stream->cli->in_fd, "standard input", &text, err);
        else
                code = file_read(stream->file, &text, err);
        if (code != ERR_OK)
                return stream->from_url ? code : err_wrap(err, code, "Error reading file");
        return parse(stream, (struct str){text.data != NULL ? text.data : "", text.len}, err);
}

/* `path` below the directory of -w, unless it is absolute; of a file by URL it is downloaded to there. */
static enum err_code work_path(const struct stream *stream, const char *path, const char **ret,
                               struct err *err)
{
        bool as_is = path[0] == '/' || strcmp(stream->work_dir, ".") == 0;
        enum err_code code = ERR_OK;

        if (stream->from_url)
                code = fetch_below(stream->file, path, stream->work_dir, stream->may_replace, err);
        if (code != ERR_OK)
                return code;
        *ret = as_is ? path : arena_printf(&stream->cli->arena, "%s/%s", stream->work_dir, path);
        return *ret != NULL ? ERR_OK : err_nomem(err);
}

/* A manifest or lock "@FILE" is the text of that file. */
static enum err_code fill_manifest(const struct stream *stream, json_t *body, const char *key,
                                   struct err *err)
{
        json_t *dependencies = json_object_get(body, "runtimeDependencies");
        const char *manifest = json_string_value(json_object_get(dependencies, key)), *path;
        own_buf struct buf text = {.max = MANIFEST_MAX};

        if (manifest == NULL || manifest[0] != '@')
                return ERR_OK;

        enum err_code code = work_path(stream, manifest + 1, &path, err);
        if (code == ERR_OK)
                code = file_read(path, &text, err);
        if (code != ERR_OK)
                return err_wrap(err, code, "failed to read runtime dependencies file");
        if (!str_is_utf8((struct str){text.data, text.len}))
                return err_set(err, ERR_INVALID, "runtime dependencies file %s is not UTF-8", path);
        return body_set(dependencies, key, json_of((struct str){text.data, text.len}), err);
}

static enum err_code fill_source(const struct stream *stream, const struct stream_verb *verb,
                                 const struct document *document, struct err *err)
{
        const char *path = json_string_value(json_object_get(document->body, "sourcePath"));
        bool has_handler = json_str(document->body, "handler").len > 0;
        enum err_code code;

        if (path == NULL || path[0] == '\0')
                return ERR_OK;
        code = work_path(stream, path, &path, err);
        if (code != ERR_OK)
                return code;
        return body_source(document->body, verb->doing, document->name, path, has_handler, err);
}

/* What the file leaves to the command line and to other files. */
static enum err_code fill(const struct stream *stream, const struct stream_verb *verb,
                          const struct document *document, struct err *err)
{
        enum err_code code = ERR_OK;

        if (verb == &stream_verb_delete)
                return ERR_OK;
        if (document->resource == &resource_function)
                code = fill_source(stream, verb, document, err);
        else if (document->resource == &resource_image)
                code = fill_manifest(stream, document->body, "manifest", err);
        if (code == ERR_OK && document->resource == &resource_image)
                code = fill_manifest(stream, document->body, "lock", err);
        if (code == ERR_OK)
                code = body_application(stream->cli, document->body, err);
        if (code == ERR_OK)
                return ERR_OK;
        at(document, code, err);
        return err_wrap(err, code, "%s", stream->file);
}

static enum err_code copy_text(json_t *to, const json_t *from, const char *member, struct err *err)
{
        struct str text = json_str(from, member);

        return text.len > 0 ? body_set(to, member, json_of(text), err) : ERR_OK;
}

/* As MASTER's client: a file without a revision means the one that is there now. */
static enum err_code take_revision(struct cli *cli, const struct document *document, const char *path,
                                   struct err *err)
{
        own_json json_t *there = NULL;
        enum err_code code = ERR_OK;

        if (!document->resource->keeps_revision || json_str(document->body, "revision").len > 0)
                return ERR_OK;
        code = cli_get(cli, path, &there, err);
        if (code != ERR_OK && err->detail == NOT_FOUND)
                return ERR_OK; /* for the PUT to say */
        if (code == ERR_OK)
                code = copy_text(document->body, there, "revision", err);
        if (code == ERR_OK && json_str(document->body, "id").len == 0)
                code = copy_text(document->body, there, "id", err);
        return code;
}

/* An apply of what is not there yet, by the body's code, is a create. */
static enum err_code send(struct cli *cli, const struct stream_verb *verb, const struct document *document,
                          struct call *call, json_t **ret, struct err *err)
{
        const char *collection = resource_model(document->resource)->collection;
        enum err_code code = ERR_OK;

        if (cli_is_dry(cli))
                return dry_run(cli, document->resource, call, err);
        if (verb == &stream_verb_update)
                code = take_revision(cli, document, call->path, err);
        if (code == ERR_OK)
                code = cli_call(cli, call, ret, err);
        if (code == ERR_OK || verb != &stream_verb_apply || err->detail != NOT_FOUND)
                return code;
        call->method = "POST";
        code = client_path(&cli->arena, collection, NULL, &call->path, err);
        return code == ERR_OK ? cli_call(cli, call, ret, err) : code;
}

static enum err_code say_done(struct cli *cli, const struct stream_verb *verb,
                              const struct document *document, struct err *err)
{
        const char *shown = show_name(cli, NULL, document->name);

        if (shown == NULL)
                return err_nomem(err);
        cli_say(cli, "%s %s: %s\n", verb->done, resource_model(document->resource)->kind_name, shown);
        fflush(cli->out); /* before whatever stops the next one */
        return ERR_OK;
}

static enum err_code carry_out(const struct stream *stream, const struct stream_verb *verb,
                               const struct document *document, struct err *err)
{
        struct cli *cli = stream->cli;
        own_json json_t *reply = NULL;
        struct call call = {.method = verb->method};
        enum err_code code = fill(stream, verb, document, err);

        if (code != ERR_OK)
                return code;
        code = client_path(&cli->arena, resource_model(document->resource)->collection,
                           verb == &stream_verb_create ? NULL : document->name, &call.path, err);
        call.body = verb == &stream_verb_delete ? NULL : document->body;
        if (code == ERR_OK)
                code = send(cli, verb, document, &call, &reply, err);
        if (code != ERR_OK || cli_is_dry(cli))
                return code;
        if (verb != &stream_verb_delete && args_bool(&cli->args, "wait"))
                code = resource_wait(cli, document->resource, document->name, &reply, err);
        return code == ERR_OK ? say_done(cli, verb, document, err) : code;
}

static enum err_code carry_out_all(const struct stream *stream, const struct stream_verb *verb,
                                   enum err_code code, struct err *err)
{
        for (size_t i = 0; i < stream->count && code == ERR_OK; i++)
                code = carry_out(stream, verb, &stream->documents[i], err);
        return code;
}

enum err_code stream_run_text(struct cli *cli, const struct stream_verb *verb, const char *name,
                              struct str text, struct err *err)
{
        own_stream struct stream *stream = calloc(1, sizeof(*stream));

        if (stream == NULL)
                return err_nomem(err);
        stream->cli = cli;
        stream->file = name;
        stream->work_dir = ".";
        return carry_out_all(stream, verb, parse(stream, text, err), err);
}

static enum err_code run(struct cli *cli, const struct stream_verb *verb, struct err *err)
{
        const char *file = args_text(&cli->args, "file");
        const char *work_dir = args_text(&cli->args, "work-dir");
        bool has_dir = work_dir != NULL && work_dir[0] != '\0';
        own_stream struct stream *stream = NULL;

        if (file == NULL || file[0] == '\0') {
                help_print(cli->out, &cli->args);
                return ERR_OK;
        }
        if (cli->args.count > 0)
                return err_set(err, ERR_INVALID, "unknown type \"%s\": with -f the file says what it holds",
                               cli->args.values[0]);
        stream = calloc(1, sizeof(*stream));
        if (stream == NULL)
                return err_nomem(err);
        stream->cli = cli;
        stream->file = file;
        stream->work_dir = has_dir ? work_dir : ".";
        stream->from_url = fetch_is_url(file);
        stream->may_replace = has_dir;
        return carry_out_all(stream, verb, read_stream(stream, err), err);
}

enum err_code stream_create(struct cli *cli, struct err *err)
{
        return run(cli, &stream_verb_create, err);
}

enum err_code stream_update(struct cli *cli, struct err *err)
{
        return run(cli, &stream_verb_update, err);
}

enum err_code stream_apply(struct cli *cli, struct err *err)
{
        return run(cli, &stream_verb_apply, err);
}

enum err_code stream_delete(struct cli *cli, struct err *err)
{
        return run(cli, &stream_verb_delete, err);
}
