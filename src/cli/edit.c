/*
 * cli/edit.c: edit TYPE NAME: the object as YAML in the user's editor, sent back with the revision that it
 * had, so that a change which crossed another one is refused. What cannot be sent stays in its file.
 */
#include "cli/commands.h"

#include "base/own.h"
#include "cli/file.h"
#include "cli/resource.h"
#include "cli/show.h"
#include "model/tables.h"
#include "model/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

static const char banner[] =
        "# Change what you want, save and leave the editor. To cancel, leave it without a\n"
        "# change. Lines that begin with # are ignored.\n";

/* What a user may change of the object as it came, and its kind and name. */
static json_t *editable(const struct resource *resource, const json_t *there)
{
        const struct model_resource *model = resource_model(resource);
        own_json json_t *printed = model_print(model, there, MODEL_PRINT_SEED);
        own_json json_t *kept = json_pack("{s:s}", "kind", model->kind_name);

        for (const struct model_field *field = model->fields; field->name != NULL; field++) {
                json_t *value = json_object_get(printed, field->name);
                bool fixed = (field->flags & (MODEL_READONLY | MODEL_ALIAS | MODEL_NESTED)) != 0;

                if (fixed || value == NULL || json_is_null(value))
                        continue;
                if (kept == NULL || json_object_set(kept, field->name, value) < 0)
                        return NULL;
        }
        return printed != NULL ? take_ptr(&kept) : NULL;
}

static enum err_code write_draft(const struct resource *resource, const json_t *there, struct buf *text,
                                 struct err *err)
{
        own_json json_t *shown = editable(resource, there);

        if (shown == NULL || buf_append_text(text, banner) != ERR_OK)
                return err_nomem(err);
        return yaml_print(shown, text, err);
}

static enum err_code make_file(const char *name, const struct buf *text, char path[PATH_MAX], struct err *err)
{
        const char *directory = getenv("TMPDIR");
        ssize_t put;

        if (directory == NULL || directory[0] != '/')
                directory = "/tmp";
        /* The suffix is for editors, which choose their mode by it. */
        if (snprintf(path, PATH_MAX, "%s/dispatch-%.64s-XXXXXX.yaml", directory, name) >= PATH_MAX)
                return err_set(err, ERR_INVALID, "the path of TMPDIR is too long");
        for (char *at = path + strlen(directory) + 1; *at != '\0'; at++)
                *at = *at == '/' ? '-' : *at;

        own_fd int fd = mkostemps(path, 5, O_CLOEXEC); /* 0600 */
        if (fd < 0)
                return file_error(err, "open", path);
        put = write(fd, text->data, text->len);
        if (put == (ssize_t)text->len)
                return ERR_OK;
        file_error(err, "write", path);
        unlink(path);
        return ERR_SYSTEM;
}

static const char *editor_of_user(void)
{
        const char *editor = getenv("VISUAL");

        if (editor == NULL || editor[0] == '\0')
                editor = getenv("EDITOR");
        return editor != NULL && editor[0] != '\0' ? editor : "vi";
}

/* By the shell, since $EDITOR may have arguments; the file is one of its own, whatever is in its name. */
static enum err_code run_editor(const char *editor, const char *path, struct err *err)
{
        char command[PATH_MAX];
        char *const argv[] = {"sh", "-c", command, "sh", (char *)path, NULL};
        int status = 0, failed;
        pid_t child;

        if (snprintf(command, sizeof(command), "%s \"$1\"", editor) >= (int)sizeof(command))
                return err_set(err, ERR_INVALID, "$EDITOR is too long");
        failed = posix_spawn(&child, "/bin/sh", NULL, NULL, argv, environ);
        if (failed != 0)
                return err_set(err, ERR_SYSTEM, "the editor %s does not start: %s", editor, strerror(failed));
        while (waitpid(child, &status, 0) < 0) {
                if (errno != EINTR)
                        return file_error(err, "wait for", editor);
        }
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return ERR_OK;
        return err_set(err, ERR_SYSTEM, "the editor %s failed", editor);
}

/* Ctrl-C in the editor is the editor's. */
static enum err_code edit_file(const char *path, struct err *err)
{
        struct sigaction ignored = {.sa_handler = SIG_IGN}, before;
        enum err_code code;

        sigaction(SIGINT, &ignored, &before);
        code = run_editor(editor_of_user(), path, err);
        sigaction(SIGINT, &before, NULL);
        return code;
}

/* The document as a PUT takes it; its name and kind cannot be changed. */
static enum err_code read_edited(const struct resource *resource, const char *name, const struct buf *text,
                                 json_t **ret, struct err *err)
{
        const struct model_resource *model = resource_model(resource);
        own_json json_t *edited = NULL, *body = NULL;
        enum err_code code = yaml_parse((struct str){text->data, text->len}, &edited, err);

        if (code == ERR_OK)
                code = model_coerce(model, edited, NULL, &body, err);
        if (code != ERR_OK)
                return code;
        if (!str_eq(json_str(body, "name"), str_of(name)) ||
            !str_eq(json_str(body, "kind"), str_of(model->kind_name)))
                return err_set(err, ERR_INVALID, "kind and name cannot be changed");
        *ret = take_ptr(&body);
        return ERR_OK;
}

static enum err_code put(struct cli *cli, const char *path, const json_t *there, json_t *body, json_t **ret,
                         struct err *err)
{
        struct str revision = json_str(there, "revision");
        const struct call call = {.method = "PUT", .path = path, .body = body};
        enum err_code code = ERR_OK;

        if (revision.len == 0)
                revision = json_str(json_object_get(there, "meta"), "revision");
        if (revision.len > 0)
                code = body_set(body, "revision", json_of(revision), err);
        return code == ERR_OK ? cli_call(cli, &call, ret, err) : code;
}

/* Sends what the file holds now; *unchanged when that is what it held before. */
static enum err_code send_file(struct cli *cli, const char *file, const char *path, const json_t *there,
                               const struct buf *draft, json_t **ret, bool *unchanged, struct err *err)
{
        const struct resource *resource = resource_of(cli);
        own_buf struct buf text = {.max = YAML_TEXT_MAX};
        own_json json_t *body = NULL;
        enum err_code code = file_read(file, &text, err);

        *unchanged =
                code == ERR_OK && text.len == draft->len && memcmp(text.data, draft->data, text.len) == 0;
        if (code != ERR_OK || *unchanged)
                return code;
        code = read_edited(resource, cli->args.values[0], &text, &body, err);
        return code == ERR_OK ? put(cli, path, there, body, ret, err) : code;
}

static enum err_code edit_object(struct cli *cli, const char *path, const json_t *there, struct err *err)
{
        const struct resource *resource = resource_of(cli);
        own_buf struct buf draft = {.max = YAML_TEXT_MAX};
        own_json json_t *reply = NULL;
        char file[PATH_MAX];
        bool unchanged = false;
        enum err_code code = write_draft(resource, there, &draft, err);

        if (code == ERR_OK)
                code = make_file(cli->args.values[0], &draft, file, err);
        if (code != ERR_OK)
                return code;
        code = edit_file(file, err);
        if (code == ERR_OK)
                code = send_file(cli, file, path, there, &draft, &reply, &unchanged, err);
        if (code != ERR_OK) {
                fprintf(cli->err, "%s\n", client_failure(cli->client, err));
                return err_set(err, code, "Your changes are in %s", file);
        }
        unlink(file);
        if (unchanged) {
                cli_say(cli, "Edit cancelled, no changes made.\n");
                return ERR_OK;
        }
        return show_done(cli, resource, resource->updated, show_name(cli, reply, cli->args.values[0]), reply,
                         err);
}

enum err_code resource_edit(struct cli *cli, struct err *err)
{
        own_json json_t *there = NULL;
        const char *path;
        enum err_code code = client_path(&cli->arena, resource_model(resource_of(cli))->collection,
                                         cli->args.values[0], &path, err);

        if (code == ERR_OK)
                code = cli_get(cli, path, &there, err);
        if (code == ERR_OK && !json_is_object(there))
                code = err_set(err, ERR_BAD_REPLY,
                               "unexpected error received from server: the reply is not an object");
        return code == ERR_OK ? edit_object(cli, path, there, err) : code;
}
