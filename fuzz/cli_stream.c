/*
 * fuzz/cli_stream.c: a file of resources is refused with one line, or each of its documents becomes one
 * request for a name of its own. Deleting is what is tried, dry: it reads no other file.
 */
#include "base/own.h"
#include "cli/stream.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_lines(const char *text, size_t len)
{
        struct str rest = {text, len};

        while (rest.len > 0) {
                struct str line = str_cut(&rest, '\n');
                assert(str_starts(line, STR("DELETE /v1/")));
                for (size_t i = 0; i < line.len; i++)
                        assert(line.p[i] >= 0x20 && line.p[i] < 0x7f);
                assert(line.p[line.len - 1] != '/');
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char program[] = "dispatch", verb[] = "delete", dry[] = "--dry-run";
        char *const words[] = {program, verb, dry, NULL};
        struct cli cli = {.in_fd = -1};
        char *text = NULL;
        size_t len = 0;
        struct err err = {.code = ERR_OK};

        cli.out = open_memstream(&text, &len);
        assert(cli.out != NULL && args_parse(&cli_commands, 3, words, &cli.args, &err) == ERR_OK);
        arena_init(&cli.arena, CLI_MEMORY_MAX);

        enum err_code code = stream_run_text(&cli, &stream_verb_delete, "file",
                                             (struct str){(const char *)data, size}, &err);
        fclose(cli.out);
        assert(code == ERR_OK || (err.text[0] != '\0' && strchr(err.text, '\n') == NULL));
        check_lines(text, len);
        arena_finish(&cli.arena);
        free(text);
        return 0;
}
