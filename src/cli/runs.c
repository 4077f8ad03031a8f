/* cli/runs.c: get run, with --last and --follow. */
#include "cli/commands.h"

#include "base/clock.h"
#include "base/own.h"
#include "cli/show.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

enum { FOLLOW_PERIOD_S = 2 };

/* 0001-01-01, the zero time of the original, in seconds since 1970. */
static const int64_t since_ever_s = INT64_C(-62135596800);

static enum err_code runs_path(struct cli *cli, int64_t since_s, const char **ret, struct err *err)
{
        const char *function = cli->args.count > 0 ? cli->args.values[0] : NULL;
        const char *run = cli->args.count > 1 ? cli->args.values[1] : NULL;
        char since[32];
        enum err_code code = client_path(&cli->arena, "runs", run, ret, err);

        if (code == ERR_OK && function != NULL)
                code = client_query(&cli->arena, *ret, "functionName", function, ret, err);
        snprintf(since, sizeof(since), "%" PRId64, since_s);
        return code == ERR_OK ? client_query(&cli->arena, *ret, "since", since, ret, err) : code;
}

/* Later by the second that every server tells, then by the finer time of ours. */
static bool is_later(const json_t *a, const json_t *b)
{
        json_int_t a_s = json_integer_value(json_object_get(a, "executedTime"));
        json_int_t b_s = json_integer_value(json_object_get(b, "executedTime"));
        const char *a_at = json_string_value(json_object_get(a, "executedAt"));
        const char *b_at = json_string_value(json_object_get(b, "executedAt"));

        if (a_s != b_s)
                return a_s > b_s;
        return a_at != NULL && b_at != NULL && strcmp(a_at, b_at) > 0;
}

static enum err_code keep_last(json_t **list, struct err *err)
{
        json_t *last = json_array_get(*list, 0);
        own_json json_t *kept = json_array();

        for (size_t i = 1; i < json_array_size(*list); i++) {
                if (is_later(json_array_get(*list, i), last))
                        last = json_array_get(*list, i);
        }
        if (last == NULL)
                return ERR_OK;
        if (json_array_append(kept, last) < 0)
                return err_nomem(err);
        json_decref(*list);
        *list = take_ptr(&kept);
        return ERR_OK;
}

/* One run becomes a list of it, so that its row can be printed. */
static enum err_code wrap_single(json_t **reply, struct err *err)
{
        if (!json_is_object(*reply))
                return ERR_OK;
        json_t *list = json_pack("[o]", *reply);
        *reply = list;
        return list != NULL ? ERR_OK : err_nomem(err);
}

static enum err_code fetch(struct cli *cli, int64_t since_s, json_t **ret, struct err *err)
{
        const char *path;
        enum err_code code = runs_path(cli, since_s, &path, err);

        if (code == ERR_OK)
                code = cli_get(cli, path, ret, err);
        if (code == ERR_OK && args_bool(&cli->args, "last"))
                code = keep_last(ret, err);
        return code;
}

/* Ends with the first failure, or when nobody reads any more. */
static enum err_code follow(struct cli *cli, int64_t polled_at_s, struct err *err)
{
        const struct timespec period = {.tv_sec = FOLLOW_PERIOD_S};
        enum err_code code = ERR_OK;

        while (code == ERR_OK && fflush(cli->out) == 0) {
                own_json json_t *list = NULL;
                int64_t since_s = polled_at_s;

                nanosleep(&period, NULL); /* the API cannot say when there is something new */
                polled_at_s = clock_wall_s();
                code = fetch(cli, since_s, &list, err);
                if (code == ERR_OK)
                        code = wrap_single(&list, err);
                if (code == ERR_OK)
                        code = show_rows(cli, MODEL_RUN, list, err);
        }
        return code;
}

enum err_code runs_get(struct cli *cli, struct err *err)
{
        own_json json_t *reply = NULL;
        bool single = cli->args.count > 1;
        int64_t now_s = clock_wall_s();
        enum err_code code = fetch(cli, since_ever_s, &reply, err);

        if (code == ERR_OK)
                code = single ? show_one(cli, MODEL_RUN, reply, err) : show_list(cli, MODEL_RUN, reply, err);
        if (code == ERR_OK && args_bool(&cli->args, "follow"))
                code = follow(cli, now_s, err);
        return code;
}
