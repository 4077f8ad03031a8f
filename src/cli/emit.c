/* cli/emit.c: emit: one CloudEvent 0.1 (CONTRACT.md 2.10). */
#include "cli/commands.h"

#include "base/clock.h"
#include "base/own.h"
#include "cli/file.h"
#include "cli/resource.h"

#include <time.h>

enum { DATA_MAX = 16 << 20 };

/* RFC 3339 in UTC, to the millisecond. */
static json_t *now(void)
{
        int64_t wall_us = clock_wall_us();
        time_t seconds = (time_t)(wall_us / 1000000);
        char text[48];
        struct tm tm;

        if (gmtime_r(&seconds, &tm) == NULL)
                return NULL;
        snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
                 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(wall_us / 1000 % 1000));
        return json_string(text);
}

/* Bytes that are no JSON travel as base64 text. */
static enum err_code set_data(struct cli *cli, json_t *event, const struct buf *data, struct err *err)
{
        json_t *value = NULL;
        enum err_code code;

        if (args_bool(&cli->args, "binary"))
                return body_base64(event, "data", data, err);
        code = json_parse((struct str){data->data != NULL ? data->data : "", data->len}, &value, err);
        if (code != ERR_OK)
                return err_wrap(
                        err, code,
                        "unexpected error received from server: json: error calling MarshalJSON for type "
                        "json.RawMessage");
        return body_set(event, "data", value, err);
}

/* The data of --data is always called JSON; of a file without --content-type what a look at it tells, which
 * for JSON is text. */
static enum err_code set_content_type(struct cli *cli, json_t *event, bool from_file, bool from_flag,
                                      struct err *err)
{
        const char *given = args_text(&cli->args, "content-type");

        if (from_flag)
                given = "application/json";
        else if (from_file && given == NULL)
                given = args_bool(&cli->args, "binary") ? "application/octet-stream"
                                                        : "text/plain; charset=utf-8";
        return given != NULL ? body_set(event, "contentType", json_string(given), err) : ERR_OK;
}

static enum err_code add_content(struct cli *cli, json_t *event, struct err *err)
{
        const char *text = args_text(&cli->args, "data"), *path = args_text(&cli->args, "data-from-file");
        own_buf struct buf data = {.max = DATA_MAX};
        enum err_code code = ERR_OK;

        if (text != NULL && path != NULL)
                return err_set(
                        err, ERR_INVALID,
                        "Error reading event data: --data and --data-from-file are mutually exclusive");
        if (path != NULL && (code = file_read(path, &data, err)) != ERR_OK)
                return err_wrap(err, code, "Error reading event data");
        if (text != NULL && buf_append_text(&data, text) != ERR_OK)
                return err_nomem(err);
        code = set_content_type(cli, event, path != NULL, text != NULL, err);
        return code == ERR_OK && (text != NULL || path != NULL) ? set_data(cli, event, &data, err) : code;
}

static enum err_code fill_event(struct cli *cli, json_t *event, struct err *err)
{
        const char *source = args_text(&cli->args, "source-id"), *id = args_text(&cli->args, "event-id");
        char random_id[UUID_LEN + 1];
        enum err_code code = body_argument(cli, event, "eventType", 0, err);

        uuid_generate(random_id);
        if (code == ERR_OK)
                code = body_text(cli, event, "eventTypeVersion", "event-type-version", err);
        if (code == ERR_OK)
                code = body_set(event, "cloudEventsVersion", json_string("0.1"), err);
        if (code == ERR_OK)
                code = body_set(event, "source", json_string(source != NULL ? source : "dispatch"), err);
        if (code == ERR_OK)
                code = body_set(event, "eventID", json_string(id != NULL ? id : random_id), err);
        if (code == ERR_OK)
                code = body_set(event, "eventTime", now(), err);
        if (code == ERR_OK)
                code = body_text(cli, event, "schemaURL", "event-schema-url", err);
        return code == ERR_OK ? add_content(cli, event, err) : code;
}

enum err_code emit_run(struct cli *cli, struct err *err)
{
        own_json json_t *event = json_object(), *reply = NULL;
        const struct call call = {.method = "POST", .path = "/v1/event", .body = event};
        enum err_code code = event != NULL ? fill_event(cli, event, err) : err_nomem(err);

        if (code == ERR_OK)
                code = cli_call(cli, &call, &reply, err);
        if (code == ERR_OK)
                cli_say(cli, "event emitted\n");
        return code;
}
