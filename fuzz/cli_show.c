/*
 * fuzz/cli_show.c: whatever a server replies, what the client prints as a table or by name holds no character
 * that steers a terminal. The first byte chooses the kind and the output, the rest is the reply.
 */
#include "base/own.h"
#include "cli/resource.h"
#include "cli/show.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_harmless(const char *text, size_t len)
{
        assert(str_is_utf8((struct str){text, len}));
        for (size_t i = 0; i < len; i++) {
                unsigned char c = (unsigned char)text[i];
                assert(c == '\n' || (c >= 0x20 && c != 0x7f));
                assert(c != 0xc2 || (unsigned char)text[i + 1] >= 0xa0);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const enum output outputs[] = {OUTPUT_TABLE, OUTPUT_WIDE, OUTPUT_NAME};
        own_json json_t *reply = NULL;
        struct cli cli = {.in_fd = -1};
        char *text = NULL;
        size_t len = 0;
        struct err err;

        if (size < 1 || json_parse((struct str){(const char *)data + 1, size - 1}, &reply, &err) != ERR_OK)
                return 0;

        size_t count = 0;
        while (resource_kinds[count] != NULL)
                count++;
        const struct resource *kind = resource_kinds[data[0] % count];
        cli.settings.host = "localhost";
        cli.output = outputs[data[0] / count % 3];
        cli.out = open_memstream(&text, &len);
        assert(cli.out != NULL);
        arena_init(&cli.arena, CLI_MEMORY_MAX);
        if (json_is_array(reply))
                show_list(&cli, kind, reply, &err);
        else
                show_one(&cli, kind, reply, &err);
        fclose(cli.out);
        check_harmless(text, len);
        arena_finish(&cli.arena);
        free(text);
        return 0;
}
