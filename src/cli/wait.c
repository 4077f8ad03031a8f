/*
 * cli/wait.c: --wait, and the command wait. The API reports no progress, so this asks again: soon at first,
 * since most changes are quick, and once a second in the end.
 */
#include "base/clock.h"
#include "base/own.h"
#include "cli/commands.h"
#include "cli/image.h"
#include "cli/interrupt.h"
#include "cli/resource.h"
#include "cli/show.h"
#include "cli/text.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { POLL_FIRST_MS = 10, POLL_LAST_MS = 1000, WAIT_DEFAULT_MS = 10 * 60 * 1000 };

struct waiting {
        struct cli *cli;
        const char *label, *name;
        const char *limit; /* the flag that says how long */
        bool on_terminal;
        bool for_deleted;      /* until it is gone, not until it is READY */
        struct image_log *log; /* of an image: what its build prints meanwhile; or NULL */
};

static void show_line(FILE *out, const char *text)
{
        own_buf struct buf line = {.max = 4096};

        if (text_append_line(&line, str_of(text)) == ERR_OK && line.len > 0)
                fprintf(out, " (%.*s)", (int)line.len, line.data);
}

static void show_progress(const struct waiting *waiting, struct str status)
{
        if (!waiting->on_terminal)
                return;
        fprintf(waiting->cli->err, "\r\033[Kwaiting for %s %s: %.*s", waiting->label, waiting->name,
                STR_ARG(status));
        if (waiting->log != NULL && waiting->log->progress[0] != '\0')
                show_line(waiting->cli->err, waiting->log->progress);
        fflush(waiting->cli->err);
}

static void end_progress(struct waiting *waiting)
{
        if (waiting->on_terminal)
                fprintf(waiting->cli->err, "\r\033[K");
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
        if (waiting->for_deleted)
                return object == NULL;
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

        if (code == ERR_NOT_FOUND && waiting->for_deleted)
                code = ERR_OK;
        if (code != ERR_OK)
                return code;
        json_decref(*object);
        *object = take_ptr(&newer);
        return ERR_OK;
}

static void clear_line(void *arg)
{
        end_progress(arg);
}

/* Until something may have changed: a while, or what the build of an image prints. A server that has no log
 * of it is asked again after a while. */
static void pause_for(struct waiting *waiting, int64_t ms)
{
        unsigned wait_s = ms > 1000 ? (unsigned)(ms / 1000) : 1;
        struct err err;

        if (waiting->log != NULL && image_log_next(waiting->cli, waiting->log, wait_s, waiting->cli->err,
                                                   clear_line, waiting, &err) == ERR_OK)
                return;
        waiting->log = NULL;
        interrupt_pause_ms(ms);
}

/* What was printed since it was last asked for. */
static void log_rest(struct waiting *waiting)
{
        uint64_t before;
        struct err err;

        do {
                if (waiting->log == NULL)
                        return;
                before = waiting->log->offset;
                if (image_log_next(waiting->cli, waiting->log, 0, waiting->cli->err, clear_line, waiting,
                                   &err) != ERR_OK)
                        return;
        } while (waiting->log->offset > before);
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
                                       "%s %s is still %.*s after %lld s (--%s): the server goes "
                                       "on with it",
                                       waiting->label, waiting->name, STR_ARG(status),
                                       (long long)(wait_ms / 1000), waiting->limit);
                pause_for(waiting,
                          (uint64_t)pause < deadline_ms - now_ms ? pause : (int64_t)(deadline_ms - now_ms));
                pause = pause * 3 / 2 < POLL_LAST_MS ? pause * 3 / 2 : POLL_LAST_MS;
                code = ask_again(waiting, path, object, err);
        }
        return code;
}

/* Steering characters are for terminals that obey them. */
static bool is_steerable(FILE *file)
{
        const char *terminal = getenv("TERM"), *no_color = getenv("NO_COLOR");

        return isatty(fileno(file)) == 1 && (terminal == NULL || strcmp(terminal, "dumb") != 0) &&
               (no_color == NULL || no_color[0] == '\0');
}

static enum err_code poll(struct waiting *waiting, const char *path, int64_t wait_ms, json_t **object,
                          struct err *err)
{
        enum err_code code;

        waiting->on_terminal = is_steerable(waiting->cli->err);
        code = poll_until(waiting, path, wait_ms, object, err);
        log_rest(waiting);
        end_progress(waiting);
        return code;
}

enum err_code resource_wait(struct cli *cli, const struct resource *resource, const char *name,
                            json_t **object, struct err *err)
{
        struct image_log log = {.resource = resource, .name = name};
        struct waiting waiting = {.cli = cli,
                                  .label = resource_model(resource)->label,
                                  .name = name,
                                  .limit = "wait-timeout",
                                  .log = image_has_log(resource) ? &log : NULL};
        int64_t wait_ms = WAIT_DEFAULT_MS;
        const char *path;
        enum err_code code = client_path(&cli->arena, resource_model(resource)->collection, name, &path, err);

        args_duration_ms(&cli->args, "wait-timeout", &wait_ms);
        return code == ERR_OK ? poll(&waiting, path, wait_ms, object, err) : code;
}

static enum err_code read_goal(const struct cli *cli, bool *for_deleted, struct err *err)
{
        const char *goal = args_text(&cli->args, "for");

        *for_deleted = goal != NULL && strcasecmp(goal, "deleted") == 0;
        if (goal == NULL || *for_deleted || strcasecmp(goal, "READY") == 0)
                return ERR_OK;
        return err_set(err, ERR_INVALID,
                       "invalid argument \"%s\" for \"--for\" flag: must be READY or deleted", goal);
}

enum err_code resource_wait_for(struct cli *cli, struct err *err)
{
        const struct model_resource *model = resource_model(resource_of(cli));
        const char *name = cli->args.values[0], *path, *shown;
        struct waiting waiting = {.cli = cli, .label = model->label, .name = name, .limit = "timeout"};
        int64_t wait_ms = WAIT_DEFAULT_MS;
        own_json json_t *object = NULL;
        enum err_code code = read_goal(cli, &waiting.for_deleted, err);

        args_duration_ms(&cli->args, "timeout", &wait_ms);
        if (code == ERR_OK)
                code = client_path(&cli->arena, model->collection, name, &path, err);
        if (code == ERR_OK)
                code = ask_again(&waiting, path, &object, err);
        if (code == ERR_OK)
                code = poll(&waiting, path, wait_ms, &object, err);
        if (code != ERR_OK)
                return code;
        shown = show_name(cli, NULL, name);
        if (shown == NULL)
                return err_nomem(err);
        cli_say(cli, "%s %s is %s\n", model->label, shown, waiting.for_deleted ? "deleted" : "READY");
        return ERR_OK;
}
