/*
 * cli/exec.c: runs a function. SEED's form sends standard input and prints the reply's bytes as they are;
 * SOLO's, with --input, --wait or --all, sends JSON and prints the whole run.
 */
#include "cli/commands.h"

#include "base/own.h"
#include "cli/file.h"
#include "cli/resource.h"
#include "cli/show.h"

#include <unistd.h>

enum { INPUT_MAX = 64 << 20 };

static enum err_code post(struct cli *cli, const json_t *body, const char *prefix, json_t **ret,
                          struct err *err)
{
        struct call call = {
                .method = "POST",
                .path = "/v1/runs",
                .body = body,
                .error_prefix = prefix,
                .may_take_long = true,
        };
        enum err_code code =
                client_query(&cli->arena, call.path, "functionName", cli->args.values[0], &call.path, err);

        return code == ERR_OK ? cli_call(cli, &call, ret, err) : code;
}

static enum err_code read_input(struct cli *cli, struct buf *input, struct err *err)
{
        if (isatty(cli->in_fd) == 1 && isatty(fileno(cli->err)) == 1)
                fprintf(cli->err, "reading the function's input from the terminal; Ctrl-D ends it\n");
        return file_read_fd(cli->in_fd, "standard input", input, err);
}

static enum err_code set_input(json_t *body, const struct buf *input, struct err *err)
{
        size_t len = base64_encoded_len(input->len);
        own_mem char *text = NULL;

        if (input->len == 0)
                return ERR_OK;
        text = malloc(len);
        if (text == NULL)
                return err_nomem(err);
        base64_encode(input->data, input->len, text);
        return body_set(body, "inputBytes", json_stringn_nocheck(text, len), err);
}

static enum err_code print_output(struct cli *cli, const json_t *reply, struct err *err)
{
        struct str text = json_str(reply, "outputBytes");
        own_mem char *bytes = NULL;
        size_t len = 0, bad;

        if (text.len == 0)
                return ERR_OK;
        bytes = malloc((text.len / 4 + 1) * 3);
        if (bytes == NULL)
                return err_nomem(err);
        if (!base64_decode(text, bytes, &len, &bad))
                return err_set(err, ERR_BAD_REPLY,
                               "unexpected error received from server: outputBytes is not base64 at byte %zu",
                               bad);
        fwrite(bytes, 1, len, cli->out);
        return ERR_OK;
}

static const char *text_or(const struct cli *cli, const char *flag, const char *otherwise)
{
        const char *text = args_text(&cli->args, flag);

        return text != NULL ? text : otherwise;
}

static enum err_code exec_bytes(struct cli *cli, struct err *err)
{
        own_buf struct buf input = {.max = INPUT_MAX};
        own_json json_t *body = NULL, *reply = NULL;
        enum err_code code = read_input(cli, &input, err);

        if (code != ERR_OK)
                return code;
        body = json_pack("{s:b, s:{s:s, s:s}}", "blocking", 1, "httpContext", "Accept",
                         text_or(cli, "accept", "application/json"), "Content-Type",
                         text_or(cli, "content-type", "application/json"));
        if (body == NULL)
                return err_set(err, ERR_INVALID, "--accept and --content-type must be UTF-8");
        code = set_input(body, &input, err);
        if (code == ERR_OK)
                code = body_list(cli, body, "secrets", "secret", err);
        if (code == ERR_OK)
                code = post(cli, body, "api client error: ", &reply, err);
        return code == ERR_OK ? print_output(cli, reply, err) : code;
}

static enum err_code exec_json(struct cli *cli, struct err *err)
{
        const char *text = text_or(cli, "input", "{}");
        own_json json_t *body = json_object(), *reply = NULL;
        json_t *input = NULL;
        enum err_code code = json_parse(str_of(text), &input, err);

        if (code != ERR_OK)
                return err_wrap(err, code, "Error when parsing function parameters %s", text);
        if (args_bool(&cli->args, "wait"))
                code = body_set(body, "blocking", json_true(), err);
        if (code == ERR_OK)
                code = body_set(body, "input", input, err);
        if (code == ERR_OK)
                code = body_set(body, "reason", json_null(), err);
        if (code == ERR_OK)
                code = body_set(body, "secrets", json_array(), err);
        if (code == ERR_OK && args_text(&cli->args, "secret") != NULL)
                code = body_list(cli, body, "secrets", "secret", err);
        if (code == ERR_OK)
                code = body_set(body, "services", json_null(), err);
        if (code == ERR_OK)
                code = body_set(body, "tags", json_null(), err);
        if (code == ERR_OK)
                code = post(cli, body, NULL, &reply, err);
        return code == ERR_OK ? show_json(cli, &resource_run, reply, err) : code;
}

enum err_code exec_run(struct cli *cli, struct err *err)
{
        bool json = args_text(&cli->args, "input") != NULL || args_bool(&cli->args, "wait") ||
                    args_bool(&cli->args, "all");

        if (cli->args.values[0][0] == '\0')
                return err_set(err, ERR_INVALID, "the function's name must not be empty");
        return json ? exec_json(cli, err) : exec_bytes(cli, err);
}
