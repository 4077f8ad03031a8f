/*
 * fuzz/function_message.c: what a function image of the original answers (CONTRACT 8.2), and the table of
 * ports that the agent reads of the sandbox.
 *
 * Properties: what was accepted is made of JSON values of the right kinds, within the text; a list of ports
 * is numbers and commas, within its space.
 */
#include "runtimes/agent/json_scan.h"
#include "runtimes/http/message.h"
#include "runtimes/http/ready.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(struct str text, struct str part)
{
        if (part.p == NULL)
                return;
        assert(json_check(part, NULL) == ERR_OK);
        /* "null" of a payload that is not there is ours. */
        assert(str_eq(part, STR("null")) || (part.p >= text.p && part.p + part.len <= text.p + text.len));
}

static void check_ports(struct str text)
{
        char ports[64] = "";

        ready_ports(text, ports, sizeof(ports));
        assert(strlen(ports) < sizeof(ports));
        assert(strspn(ports, "0123456789, ") == strlen(ports));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str text = {(const char *)data, size};
        struct message message;

        check_ports(text);
        if (message_answer(text, &message, NULL) != ERR_OK)
                return 0;
        assert(message.error.p == NULL || json_is_object(message.error));
        check_within(text, message.error);
        check_within(text, message.logs[0]);
        check_within(text, message.logs[1]);
        check_within(text, message.payload);
        return 0;
}
