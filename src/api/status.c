/* api/status.c: the table of a resource's life and its form in a row. */
#include "api/status.h"
#include "api/function_image.h"

#include "base/clock.h"
#include "base/own.h"

#include <assert.h>
#include <stdio.h>

#define TO(name) (1u << STATUS_##name)

static const struct {
        const char *name;
        uint32_t next; /* bit set of the statuses reachable in one move */
        bool pending;
        const char *ready; /* the condition Ready */
} statuses[] = {
        [STATUS_NONE] = {"", TO(INITIALIZED) | TO(READY) | TO(ERROR), true, "Unknown"},
        /* An update of what never was READY begins anew. */
        [STATUS_INITIALIZED] = {"INITIALIZED",
                                TO(INITIALIZED) | TO(CREATING) | TO(READY) | TO(ERROR) | TO(DELETING), true,
                                "Unknown"},
        [STATUS_CREATING] = {"CREATING", TO(INITIALIZED) | TO(READY) | TO(ERROR) | TO(DELETING), true,
                             "Unknown"},
        [STATUS_READY] = {"READY", TO(READY) | TO(UPDATING) | TO(INITIALIZED) | TO(ERROR) | TO(DELETING),
                          false, "True"},
        [STATUS_UPDATING] = {"UPDATING", TO(UPDATING) | TO(READY) | TO(ERROR) | TO(DELETING), true,
                             "Unknown"},
        /* A failure is tried again when what it wanted appears: a secret, an image. */
        [STATUS_ERROR] = {"ERROR", TO(ERROR) | TO(INITIALIZED) | TO(UPDATING) | TO(READY) | TO(DELETING),
                          false, "False"},
        [STATUS_DELETING] = {"DELETING", 0, true, "Unknown"},
};

const char *status_name(enum status status)
{
        assert(status < STATUS_COUNT);
        return statuses[status].name;
}

enum status status_of(const json_t *document)
{
        struct str name = json_str(document, "status");

        for (unsigned i = STATUS_INITIALIZED; i < STATUS_COUNT; i++) {
                if (str_eq(name, str_of(statuses[i].name)))
                        return (enum status)i;
        }
        return STATUS_NONE;
}

bool status_is_pending(enum status status)
{
        assert(status < STATUS_COUNT);
        return statuses[status].pending;
}

enum err_code status_move(json_t *document, json_t *internal, enum status to, const json_t *reasons,
                          struct err *err)
{
        enum status from = status_of(document);

        assert(to > STATUS_NONE && to < STATUS_COUNT);
        assert(statuses[from].next & (1u << to));

        json_t *reason = reasons != NULL ? json_deep_copy(reasons) : json_null();
        if (json_object_set_new(document, "status", json_string(statuses[to].name)) < 0 ||
            json_object_set_new(document, "reason", reason) < 0 ||
            json_object_set_new(internal, "movedUs", json_integer(clock_wall_us())) < 0)
                return err_nomem(err);
        return ERR_OK;
}

enum err_code status_save(struct store *store, enum model_kind kind, struct store_row *row, enum status to,
                          const json_t *reasons, struct err *err)
{
        enum err_code code = status_move(row->document, row->internal, to, reasons, err);

        if (code != ERR_OK)
                return code;
        return store_set_state(store, kind, str_of(row->id), row->document, row->internal, err);
}

enum err_code status_explain(struct store *store, enum model_kind kind, struct store_row *row,
                             const char *text)
{
        own_json json_t *clean = json_of(str_of(text != NULL ? text : ""));
        own_json json_t *reasons = json_pack("[O]", clean != NULL ? clean : json_null());

        if (reasons == NULL)
                return ERR_NO_MEMORY;
        if (json_equal(reasons, json_object_get(row->document, "reason")))
                return ERR_OK;
        if (json_object_set(row->document, "reason", reasons) < 0)
                return ERR_NO_MEMORY;
        return store_set_state(store, kind, str_of(row->id), row->document, row->internal, NULL);
}

void status_reason_text(const json_t *document, char *out, size_t size)
{
        const json_t *reasons = json_object_get(document, "reason"), *reason;
        size_t i, used = 0;

        assert(size > 0);
        out[0] = '\0';
        json_array_foreach(reasons, i, reason)
        {
                const char *text = json_string_value(reason);

                if (text == NULL || used + 1 >= size)
                        continue;
                used += (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? "; " : "", text);
        }
}

json_t *status_conditions(const json_t *document, const json_t *internal)
{
        enum status status = status_of(document);
        char moved[CLOCK_RFC3339_LEN], text[1024];

        clock_rfc3339((int64_t)json_integer_value(json_object_get(internal, "movedUs")), moved);
        status_reason_text(document, text, sizeof(text));
        if (status == STATUS_NONE)
                return json_array();

        own_json json_t *message = json_of(str_of(text));
        if (message == NULL)
                message = json_string("");
        json_t *conditions =
                json_pack("[{s:s, s:s, s:s, s:O, s:s}]", "type", "Ready", "status", statuses[status].ready,
                          "reason", statuses[status].name, "message", message, "lastTransitionTime", moved);
        json_t *pushed = function_push_condition(internal);

        if (pushed != NULL)
                json_array_append_new(conditions, pushed);
        return conditions;
}
