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

/* Why the value may not pass; false: it may. *type is what to call it. */
static bool violates(const struct schema *schema, const json_t *value, const char *what, const char *field,
                     char message[MESSAGE_MAX], const char **type)
{
        struct schema_violation violation;
        struct err err;
        enum err_code code = schema_validate(schema, value, 0, &violation, &err);

        if (code == ERR_OK)
                return false;
        if (code == ERR_INVALID)
                snprintf(message, MESSAGE_MAX, "the %s violates %s at \"%s\": %s (%s)", what, field,
                         violation.instance, violation.reason, violation.keyword);
        else
                snprintf(message, MESSAGE_MAX, "the %s cannot be checked against %s: %s", what, field,
                         err.text);
        if (code == ERR_NO_MEMORY)
                *type = "SystemError";
        return true;
}

bool check_input(struct invocation *inv)
{
        const struct schema *schema = inv->revision->schema_in;
        own_json json_t *value = NULL;
        char message[MESSAGE_MAX];
        const char *type = "InputError";
        struct err err;

        if (schema == NULL)
                return true;
        enum err_code code = payload_input(inv, &value, &err);
        if (code != ERR_OK)
                snprintf(message, sizeof(message), "%s", err.text);
        if (code == ERR_NO_MEMORY)
                type = "SystemError";
        if (code == ERR_OK && !violates(schema, value, "input", "schema.in", message, &type))
                return true;
        fail(inv, type, message);
        return false;
}

void check_output(struct invocation *inv)
{
        const struct schema *schema = inv->revision->schema_out;
        own_json json_t *value = NULL;
        char message[MESSAGE_MAX];
        const char *type = "FunctionError";
        struct err err;

        if (schema == NULL || inv->error_type != NULL)
                return;
        enum err_code code = payload_output(inv, &value, &err);
        if (code != ERR_OK)
                snprintf(message, sizeof(message), "%s", err.text);
        if (code == ERR_NO_MEMORY)
                type = "SystemError";
        if (code == ERR_OK && !violates(schema, value, "output", "schema.out", message, &type))
                return;
        fail(inv, type, message);
}
