/*
 * cli/stream.c: create, update and delete -f FILE: the documents of a YAML stream, one request each. The
 * whole file is read and checked before the first request, so that a slip in the last document does not leave
 * half of the file done.
 */
#include "cli/commands.h"

#include "base/own.h"
#include "cli/file.h"
#include "cli/resource.h"
#include "cli/show.h"
#include "model/yaml.h"

#include <string.h>

enum { DOCUMENTS_MAX = 1000, MANIFEST_MAX = 16 << 20 };

struct document {
        const struct model_resource *resource;
        json_t *body;
        const char *name;
        size_t number, line; /* both from 1 */
};

struct stream {
        struct cli *cli;
        const char *file, *work_dir;
        struct document documents[DOCUMENTS_MAX];
        size_t count;
};

struct verb {
        const char *method, *done, *doing;
};

static const struct verb verb_create = {"POST", "Created", "creating"};
static const struct verb verb_update = {"PUT", "Updated", "updating"};
static const struct verb verb_delete = {"DELETE", "Deleted", "deleting"};

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

/* The kinds that this client knows, runs apart: nobody creates one from a file. */
static enum err_code find_kind(const json_t *body, const struct model_resource **ret, struct err *err)
{
        struct str kind = json_str(body, "kind");
        const struct model_resource *resource = kind.p != NULL ? model_resource_named(kind) : NULL;

        if (kind.p == NULL)
                return err_set(err, ERR_INVALID, "kind is missing");
        if (resource == NULL || resource->kind == MODEL_RUN)
                return err_set(
                        err, ERR_INVALID,
                        "unknown kind \"%.*s\": must be BaseImage, Image, Function, Secret or Endpoint",
                        STR_ARG(kind));
        *ret = resource;
        return ERR_OK;
}

static enum err_code check_document(struct stream *stream, struct document *document, const json_t *sent,
                                    struct err *err)
{
        enum err_code code = json_is_object(sent) ? find_kind(sent, &document->resource, err)
                                                  : err_set(err, ERR_INVALID, "not a mapping");

        if (code == ERR_OK)
                code = model_coerce(document->resource, sent, NULL, &document->body, err);
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

static enum err_code read_stream(struct stream *stream, struct err *err)
{
        own_buf struct buf text = {.max = YAML_TEXT_MAX};
        enum err_code code = strcmp(stream->file, "-") == 0
                                     ? file_read_fd(stream->cli->in_fd, "standard input", &text, err)
                                     : file_read(stream->file, &text, err);

        if (code != ERR_OK)
                return err_wrap(err, code, "Error reading file");
        code = yaml_parse_stream((struct str){text.data != NULL ? text.data : "", text.len}, keep_document,
                                 stream, err);
        return code == ERR_OK ? ERR_OK : err_wrap(err, code, "%s", stream->file);
}

/* `path` below the directory of -w, unless it is absolute. */
static const char *work_path(const struct stream *stream, const char *path)
{
        if (path[0] == '/' || strcmp(stream->work_dir, ".") == 0)
                return path;
        return arena_printf(&stream->cli->arena, "%s/%s", stream->work_dir, path);
}

/* A manifest "@FILE" is the text of that file. */
static enum err_code fill_manifest(const struct stream *stream, json_t *body, struct err *err)
{
        json_t *dependencies = json_object_get(body, "runtimeDependencies");
        const char *manifest = json_string_value(json_object_get(dependencies, "manifest")), *path;
        own_buf struct buf text = {.max = MANIFEST_MAX};

        if (manifest == NULL || manifest[0] != '@')
                return ERR_OK;
        path = work_path(stream, manifest + 1);
        if (path == NULL)
                return err_nomem(err);

        enum err_code code = file_read(path, &text, err);
        if (code != ERR_OK)
                return err_wrap(err, code, "failed to read runtime dependencies file");
        if (!str_is_utf8((struct str){text.data, text.len}))
                return err_set(err, ERR_INVALID, "runtime dependencies file %s is not UTF-8", path);
        return body_set(dependencies, "manifest", json_of((struct str){text.data, text.len}), err);
}

static enum err_code fill_source(const struct stream *stream, const struct verb *verb,
                                 const struct document *document, struct err *err)
{
        const char *path = json_string_value(json_object_get(document->body, "sourcePath"));
        bool has_handler = json_str(document->body, "handler").len > 0;

        if (path == NULL || path[0] == '\0')
                return ERR_OK;
        path = work_path(stream, path);
        if (path == NULL)
                return err_nomem(err);
        return body_source(document->body, verb->doing, document->name, path, has_handler, err);
}

static enum err_code fill(const struct stream *stream, const struct verb *verb,
                          const struct document *document, struct err *err)
{
        if (verb == &verb_delete)
                return ERR_OK;
        if (document->resource->kind == MODEL_FUNCTION)
                return fill_source(stream, verb, document, err);
        return document->resource->kind == MODEL_IMAGE ? fill_manifest(stream, document->body, err) : ERR_OK;
}

static enum err_code apply(const struct stream *stream, const struct verb *verb,
                           const struct document *document, struct err *err)
{
        struct cli *cli = stream->cli;
        own_json json_t *reply = NULL;
        struct call call = {.method = verb->method, .no_cookie = document->resource->kind != MODEL_ENDPOINT};
        const char *shown;
        enum err_code code = fill(stream, verb, document, err);

        if (code != ERR_OK) {
                at(document, code, err);
                return err_wrap(err, code, "%s", stream->file);
        }
        code = client_path(&cli->arena, document->resource->collection,
                           verb == &verb_create ? NULL : document->name, &call.path, err);
        call.body = verb == &verb_delete ? NULL : document->body;
        if (code == ERR_OK)
                code = cli_call(cli, &call, &reply, err);
        if (code == ERR_OK && verb != &verb_delete && args_bool(&cli->args, "wait"))
                code = resource_wait(cli, document->resource->kind, document->name, &reply, err);
        if (code != ERR_OK)
                return code;
        shown = show_name(cli, NULL, document->name);
        if (shown == NULL)
                return err_nomem(err);
        cli_say(cli, "%s %s: %s\n", verb->done, document->resource->kind_name, shown);
        return ERR_OK;
}

static enum err_code run(struct cli *cli, const struct verb *verb, struct err *err)
{
        const char *file = args_text(&cli->args, "file");
        const char *work_dir = args_text(&cli->args, "work-dir");
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
        stream->work_dir = work_dir != NULL && work_dir[0] != '\0' ? work_dir : ".";

        enum err_code code = read_stream(stream, err);
        for (size_t i = 0; i < stream->count && code == ERR_OK; i++)
                code = apply(stream, verb, &stream->documents[i], err);
        return code;
}

enum err_code stream_create(struct cli *cli, struct err *err)
{
        return run(cli, &verb_create, err);
}

enum err_code stream_update(struct cli *cli, struct err *err)
{
        return run(cli, &verb_update, err);
}

enum err_code stream_delete(struct cli *cli, struct err *err)
{
        return run(cli, &verb_delete, err);
}
