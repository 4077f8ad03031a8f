/* engine/check.c: see check.h. */
#include "engine/check.h"

#include "engine/payload.h"
#include "schema/schema.h"

#include <stdio.h>
#include <string.h>

enum { MESSAGE_MAX = 1024 };

/* {"type","message","stacktrace"} as the run's error; the handler, if it ran, is not heard. */
static void fail(struct invocation *inv, const char *type, const char *message)
{
        inv->code = ERR_OK; /* a run that ended in an error of its own, as if the handler had raised it */
        inv->error_type = type;
        err_set(&inv->err, ERR_INVALID, "%s", message);
        buf_clear(&inv->body);
        buf_clear(&inv->head);
        buf_clear(&inv->content);
        buf_clear(&inv->error);
        if (buf_printf(&inv->error, "{\"type\":\"%s\",\"message\":", type) != ERR_OK ||
            json_quote(str_of(message), &inv->error) != ERR_OK ||
            buf_append_text(&inv->error, ",\"stacktrace\":null}") != ERR_OK)
                buf_clear(&inv->error);
}

/* One side of a run: what is checked, and what it is called. */
struct side {
        const struct schema *schema;
        enum err_code (*read)(const struct invocation *inv, json_t **ret, struct err *err);
        size_t bytes;
        const char *what, *field, *type;
};

static struct side input_of(const struct invocation *inv)
{
        return (struct side){inv->revision->schema_in,
                             payload_input,
                             inv->payload.len,
                             "input",
                             "schema.in",
                             "InputError"};
}

static struct side output_of(const struct invocation *inv)
{
        return (struct side){inv->revision->schema_out,
                             payload_output,
                             inv->body.len,
                             "output",
                             "schema.out",
                             "FunctionError"};
}

/* Writes why the payload may not pass. */
static enum err_code examine(const struct invocation *inv, const struct side *side, uint64_t steps,
                             char message[MESSAGE_MAX])
{
        struct schema_violation violation;
        own_json json_t *value = NULL;
        struct err err;
        enum err_code code = side->read(inv, &value, &err);

        if (code != ERR_OK) {
                snprintf(message, MESSAGE_MAX, "%s", err.text);
                return code;
        }
        code = schema_validate(side->schema, value, steps, &violation, &err);
        if (code == ERR_INVALID)
                snprintf(message, MESSAGE_MAX, "the %s violates %s at \"%s\": %s (%s)", side->what,
                         side->field, violation.instance, violation.reason, violation.keyword);
        else if (code != ERR_OK)
                snprintf(message, MESSAGE_MAX, "the %s cannot be checked against %s: %s", side->what,
                         side->field, err.text);
        return code;
}

static enum check check_on_loop(struct invocation *inv, const struct side *side)
{
        char message[MESSAGE_MAX];

        if (side->schema == NULL)
                return CHECK_PASSED;
        if (side->bytes > CHECK_LOOP_BYTES)
                return CHECK_LATER;
        enum err_code code = examine(inv, side, CHECK_LOOP_STEPS, message);
        if (code == ERR_OK)
                return CHECK_PASSED;
        if (code == ERR_LIMIT)
                return CHECK_LATER;
        fail(inv, code == ERR_NO_MEMORY ? "SystemError" : side->type, message);
        return CHECK_FAILED;
}

static void check_fully(struct invocation *inv, const struct side *side)
{
        uint64_t steps = CHECK_STEPS + (uint64_t)side->bytes * CHECK_STEPS_A_BYTE;
        char message[MESSAGE_MAX];
        enum err_code code = examine(inv, side, steps < CHECK_STEPS_MAX ? steps : CHECK_STEPS_MAX, message);

        if (code != ERR_OK)
                fail(inv, code == ERR_NO_MEMORY ? "SystemError" : side->type, message);
}

enum check check_input(struct invocation *inv)
{
        const struct side side = input_of(inv);

        return check_on_loop(inv, &side);
}

enum check check_output(struct invocation *inv)
{
        const struct side side = output_of(inv);

        return check_on_loop(inv, &side);
}

void check_input_fully(struct invocation *inv)
{
        const struct side side = input_of(inv);

        check_fully(inv, &side);
}

void check_output_fully(struct invocation *inv)
{
        const struct side side = output_of(inv);

        check_fully(inv, &side);
}
