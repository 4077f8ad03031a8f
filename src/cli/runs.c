/* cli/runs.c: get run, with --last, --by and --follow. */
#include "cli/runs.h"

#include "base/clock.h"
#include "base/own.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/list.h"
#include "cli/show.h"

#include <inttypes.h>
#include <string.h>

enum { FOLLOW_PERIOD_MS = 2000 };

const int64_t runs_since_ever_s = INT64_C(-62135596800);

enum err_code runs_path(struct cli *cli, const char *function, const char *run, int64_t since_s,
                        const char **ret, struct err *err)
{
        char since[32];
        enum err_code code = client_path(&cli->arena, "runs", run, ret, err);

        if (code == ERR_OK && function != NULL)
                code = client_query(&cli->arena, *ret, "functionName", function, ret, err);
        snprintf(since, sizeof(since), "%" PRId64, since_s);
        return code == ERR_OK ? client_query(&cli->arena, *ret, "since", since, ret, err) : code;
}

/* Later by the second that every server tells, then by the finer time of ours. */
bool runs_is_later(const json_t *a, const json_t *b)
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
                if (runs_is_later(json_array_get(*list, i), last))
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

static int newest_start_first(const json_t *a, const json_t *b, const void *arg)
{
        (void)arg;
        return runs_is_later(b, a) - runs_is_later(a, b);
}

/* Backwards by a member. */
static int last_first(const json_t *a, const json_t *b, const void *member)
{
        return -list_compare_member(a, b, member);
}

static const struct {
        const char *name;
        list_compare *compare;
        const char *member;
} orders[] = {{"function", list_compare_member, "functionName"},
              {"status", list_compare_member, "status"},
              {"started", newest_start_first, NULL},
              {"finished", last_first, "finishedTime"}};

enum { ORDER_COUNT = sizeof(orders) / sizeof(orders[0]) };

static enum err_code find_order(const char *name, size_t *ret, struct err *err)
{
        for (size_t i = 0; i < ORDER_COUNT; i++) {
                if (strcmp(name, orders[i].name) == 0) {
                        *ret = i;
                        return ERR_OK;
                }
        }
        return err_set(err, ERR_INVALID,
                       "invalid argument \"%s\" for \"--by\" flag: must be function, status, started or "
                       "finished",
                       name);
}

/* Without --by in the server's order. */
static enum err_code sort_by(struct cli *cli, json_t **list, struct err *err)
{
        const char *name = args_text(&cli->args, "by");
        enum err_code code;
        size_t order = 0;

        if (name == NULL || !json_is_array(*list))
                return ERR_OK;
        code = find_order(name, &order, err);
        return code == ERR_OK ? list_sort(list, orders[order].compare, orders[order].member, err) : code;
}

static enum err_code fetch(struct cli *cli, int64_t since_s, json_t **ret, struct err *err)
{
        const char *function = cli->args.count > 0 ? cli->args.values[0] : NULL;
        const char *run = cli->args.count > 1 ? cli->args.values[1] : NULL, *path;
        enum err_code code = runs_path(cli, function, run, since_s, &path, err);

        if (code == ERR_OK)
                code = list_query(cli, &resource_run, &path, err);
        if (code == ERR_OK)
                code = run != NULL ? cli_get(cli, path, ret, err) : list_get(cli, path, ret, err);
        if (code == ERR_OK && run == NULL)
                code = list_shape(cli, &resource_run, ret, err);
        if (code == ERR_OK && args_bool(&cli->args, "last"))
                code = keep_last(ret, err);
        return code == ERR_OK ? sort_by(cli, ret, err) : code;
}

/* Ends with the first failure, or when nobody reads any more. */
static enum err_code follow(struct cli *cli, int64_t polled_at_s, struct err *err)
{
        enum err_code code = ERR_OK;

        while (code == ERR_OK && fflush(cli->out) == 0 && !interrupt_came()) {
                own_json json_t *list = NULL;
                int64_t since_s = polled_at_s;

                interrupt_pause_ms(FOLLOW_PERIOD_MS); /* the API cannot say when there is something new */
                polled_at_s = clock_wall_s();
                code = fetch(cli, since_s, &list, err);
                if (code == ERR_OK)
                        code = wrap_single(&list, err);
                if (code == ERR_OK)
                        code = show_rows(cli, &resource_run, list, err);
        }
        return interrupt_came() ? ERR_OK : code;
}

enum err_code runs_get(struct cli *cli, struct err *err)
{
        own_json json_t *reply = NULL;
        bool single = cli->args.count > 1;
        int64_t now_s = clock_wall_s();
        const char *by = args_text(&cli->args, "by");
        enum err_code code = ERR_OK;
        size_t order = 0;

        if (by != NULL)
                code = find_order(by, &order, err);
        if (args_bool(&cli->args, "follow"))
                interrupt_catch();
        if (code == ERR_OK)
                code = fetch(cli, runs_since_ever_s, &reply, err);

        if (code == ERR_OK)
                code = single ? show_one(cli, &resource_run, reply, err)
                              : show_list(cli, &resource_run, reply, err);
        if (code == ERR_OK && args_bool(&cli->args, "follow"))
                code = follow(cli, now_s, err);
        return code;
}
