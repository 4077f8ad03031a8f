/*
 * cli/wait.c: --wait. The API reports no progress, so this asks again: soon at first, since most changes are
 * quick, and once a second in the end.
 */
#include "base/clock.h"
#include "base/own.h"
#include "cli/resource.h"
#include "cli/text.h"

#include <time.h>
#include <unistd.h>

enum { POLL_FIRST_MS = 50, POLL_LAST_MS = 1000, WAIT_DEFAULT_MS = 10 * 60 * 1000 };

struct waiting {
        struct cli *cli;
        const char *label, *name;
        bool on_terminal;
};

static void show_progress(const struct waiting *waiting, struct str status)
{
        if (!waiting->on_terminal)
                return;
        fprintf(waiting->cli->err, "\r\033[Kwaiting for %s %s: %.*s", waiting->label, waiting->name,
                STR_ARG(status));
        fflush(waiting->cli->err);
}

static void end_progress(struct waiting *waiting)
{
        if (waiting->on_terminal)
                fprintf(waiting->cli->err, "\r\033[K");
}

static void pause_ms(int64_t ms)
{
        struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

        nanosleep(&left, NULL);
}

/* All reasons on one line. */
static enum err_code report_error(const struct waiting *waiting, const json_t *object, struct err *err)
{
        const json_t *reasons = json_object_get(object, "reason");
        own_buf struct buf line = {.max = ERR_TEXT_MAX * 8};
        enum err_code code = ERR_OK;

        for (size_t i = 0; i < json_array_size(reasons) && code == ERR_OK; i++) {
                struct str reason = {json_string_value(json_array_get(reasons, i)),
                                     json_string_length(json_array_get(reasons, i))};
                if (line.len > 0)
                        code = buf_append_text(&line, ", ");
                if (code == ERR_OK && reason.p != NULL)
                        code = text_append_line(&line, reason);
        }
        if (line.len == 0)
                buf_append_text(&line, "the server gives no reason");
        return err_set(err, ERR_CONFLICT, "%s %s is in ERROR: %.*s", waiting->label, waiting->name,
                       (int)line.len, line.data);
}

/* True when nothing more is to come: *code says how it ended. */
static bool is_over(const struct waiting *waiting, const json_t *object, enum err_code *code, struct err *err)
{
        struct str status = json_str(object, "status");

        *code = ERR_OK;
        if (str_eq(status, STR("ERROR"))) {
                *code = report_error(waiting, object, err);
                return true;
        }
        return status.len == 0 || str_eq(status, STR("READY"));
}

static enum err_code ask_again(struct waiting *waiting, const char *path, json_t **object, struct err *err)
{
        own_json json_t *newer = NULL;
        enum err_code code = cli_get(waiting->cli, path, &newer, err);

        if (code != ERR_OK)
                return code;
        json_decref(*object);
        *object = take_ptr(&newer);
        return ERR_OK;
}

static enum err_code poll_until(struct waiting *waiting, const char *path, int64_t wait_ms, json_t **object,
                                struct err *err)
{
        uint64_t deadline_ms = clock_mono_ms() + (uint64_t)wait_ms;
        int64_t pause = POLL_FIRST_MS;
        enum err_code code = ERR_OK;

        while (code == ERR_OK && !is_over(waiting, *object, &code, err)) {
                struct str status = json_str(*object, "status");
                uint64_t now_ms = clock_mono_ms();

                show_progress(waiting, status);
                if (now_ms >= deadline_ms)
                        return err_set(err, ERR_TIMEOUT,
                                       "%s %s is still %.*s after %lld s (--wait-timeout): the server goes "
                                       "on with it",
                                       waiting->label, waiting->name, STR_ARG(status),
                                       (long long)(wait_ms / 1000));
                pause_ms((uint64_t)pause < deadline_ms - now_ms ? pause : (int64_t)(deadline_ms - now_ms));
                pause = pause * 3 / 2 < POLL_LAST_MS ? pause * 3 / 2 : POLL_LAST_MS;
                code = ask_again(waiting, path, object, err);
        }
        return code;
}

enum err_code resource_wait(struct cli *cli, enum model_kind kind, const char *name, json_t **object,
                            struct err *err)
{
        const struct model_resource *resource = model_resource(kind);
        struct waiting waiting = {cli, resource->label, name, isatty(fileno(cli->err)) == 1};
        int64_t wait_ms = WAIT_DEFAULT_MS;
        const char *path;
        enum err_code code = client_path(&cli->arena, resource->collection, name, &path, err);

        args_duration_ms(&cli->args, "wait-timeout", &wait_ms);
        if (code == ERR_OK)
                code = poll_until(&waiting, path, wait_ms, object, err);
        end_progress(&waiting);
        return code;
}
