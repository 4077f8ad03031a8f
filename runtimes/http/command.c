/* runtimes/http/command.c: see command.h. */
#include "runtimes/http/command.h"

#include "base/own.h"
#include "runtimes/agent/json_scan.h"

#include <errno.h>
#include <sys/stat.h>

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void command_finish(struct command *command)
{
        buf_finish(&command->text);
}

/* One string of the document, NUL-terminated behind what is there. The buffer has room for all, so that
 * nothing moves. NULL: not a string, or with a NUL in it. */
static char *take_string(struct command *command, struct str escaped)
{
        size_t at = command->text.len;

        if (json_unescape(escaped, &command->text) != ERR_OK)
                return NULL;
        if (memchr(command->text.data + at, '\0', command->text.len - at) != NULL ||
            buf_append(&command->text, "", 1) != ERR_OK)
                return NULL;
        return command->text.data + at;
}

static struct str string_of(struct str value)
{
        bool quoted = value.len >= 2 && value.p[0] == '"';

        return quoted ? str_slice(value, 1, value.len - 1) : (struct str){NULL, 0};
}

static enum err_code take_argv(struct command *command, struct str list, struct err *err)
{
        struct json_scan scan;
        struct json_token token;
        size_t count = 0;

        json_scan_init(&scan, list);
        if (list.len == 0 || json_scan_next(&scan, &token, NULL) != ERR_OK || token.type != JSON_TOKEN_ARRAY)
                return err_set(err, ERR_INVALID, "the image's command is no list");
        for (;;) {
                enum err_code code = json_scan_next(&scan, &token, err);
                if (code != ERR_OK)
                        return code;
                if (token.type == JSON_TOKEN_ARRAY_END)
                        break;
                if (count == COMMAND_ARGS_MAX)
                        return err_set(err, ERR_INVALID, "the image's command has more than %d words",
                                       COMMAND_ARGS_MAX);
                if (token.type != JSON_TOKEN_STRING ||
                    (command->argv[count++] = take_string(command, token.text)) == NULL)
                        return err_set(err, ERR_INVALID, "word %zu of the image's command is no text", count);
        }
        if (count == 0 || command->argv[0][0] == '\0')
                return err_set(err, ERR_INVALID,
                               "the image has neither an Entrypoint nor a Cmd: there is nothing to start");
        command->argv[count] = NULL;
        return ERR_OK;
}

static bool is_program(const char *path)
{
        struct stat st;

        return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* As a shell does it, with the image's PATH. */
static enum err_code find_program(struct command *command, struct err *err)
{
        const char *variable = getenv("PATH"), *name = command->argv[0];
        struct str folders = str_of(variable != NULL ? variable : PATH_DEFAULT);
        const char *slash = name[0] == '/' ? "" : "/";
        int len;

        if (strchr(name, '/') != NULL) {
                len = snprintf(command->program, PATH_MAX, "%s%s%s", *slash != '\0' ? command->cwd : "",
                               slash, name);
                if (len >= PATH_MAX || !is_program(command->program))
                        return err_set(err, ERR_NOT_FOUND, "the image has no program '%.300s'", name);
                return ERR_OK;
        }
        while (folders.len > 0) {
                struct str folder = str_cut(&folders, ':');
                len = snprintf(command->program, PATH_MAX, "%.*s/%s", STR_ARG(folder), name);
                if (folder.len > 0 && len < PATH_MAX && is_program(command->program))
                        return ERR_OK;
        }
        return err_set(err, ERR_NOT_FOUND, "the image has no program '%.200s' in its PATH", name);
}

static enum err_code take_port(struct command *command, struct err *err)
{
        const char *variable = getenv("PORT");
        char text[8];
        uint64_t port = COMMAND_PORT;

        if (variable != NULL && variable[0] != '\0' &&
            (!str_to_u64(str_of(variable), &port) || port == 0 || port > UINT16_MAX))
                return err_set(err, ERR_INVALID, "PORT is '%.40s': it takes a port from 1 to 65535",
                               variable);
        command->port = (uint16_t)port;
        snprintf(text, sizeof(text), "%u", command->port);
        return setenv("PORT", text, 1) == 0 ? ERR_OK : err_nomem(err);
}

static enum err_code check_folder(const struct command *command, struct err *err)
{
        struct stat st;

        if (command->cwd[0] != '/')
                return err_set(err, ERR_INVALID, "the image's WorkingDir '%.200s' is no absolute path",
                               command->cwd);
        if (stat(command->cwd, &st) < 0 || !S_ISDIR(st.st_mode))
                return err_set(err, ERR_NOT_FOUND, "the image has no folder '%.200s', its WorkingDir",
                               command->cwd);
        return ERR_OK;
}

enum err_code command_read(struct str handler, struct command *ret, struct err *err)
{
        struct err why;

        *ret = (struct command){.port = COMMAND_PORT};
        buf_init(&ret->text, 2 * (size_t)COMMAND_BYTES_MAX);
        if (handler.len > COMMAND_BYTES_MAX)
                return err_set(err, ERR_INVALID, "the image's command is larger than %d bytes",
                               COMMAND_BYTES_MAX);
        if (json_check(handler, &why) != ERR_OK || !json_is_object(handler))
                return err_set(err, ERR_INVALID, "what is to be started of the image is no JSON object");
        if (buf_reserve(&ret->text, ret->text.max) != ERR_OK)
                return err_nomem(err);
        enum err_code code = take_argv(ret, json_member(handler, STR("argv")), err);
        if (code != ERR_OK)
                return code;
        struct str cwd = string_of(json_member(handler, STR("cwd")));
        ret->cwd = take_string(ret, cwd.len > 0 ? cwd : STR("/"));
        ret->messages = str_eq(string_of(json_member(handler, STR("protocol"))), STR("dispatch"));
        if (ret->cwd == NULL)
                return err_set(err, ERR_INVALID, "the image's WorkingDir is no text");
        code = check_folder(ret, err);
        if (code == ERR_OK)
                code = take_port(ret, err);
        return code == ERR_OK ? find_program(ret, err) : code;
}
