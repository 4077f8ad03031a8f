/*
 * fuzz/cli_flags.c: any command line, its words separated by zero bytes, is parsed or refused; what comes out
 * points into it, and each value is one that its flag takes. Durations never wrap around.
 */
#include "cli/cli.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS_MAX = 700 };

static void check_durations(const char *text)
{
        char again[32];
        int64_t ms, same;
        bool boolean;

        flag_parse_bool(text, &boolean);
        if (!flag_parse_duration_ms(text, &ms))
                return;
        assert(ms >= 0);
        snprintf(again, sizeof(again), "%lldms", (long long)ms);
        assert(flag_parse_duration_ms(again, &same) && same == ms);
}

static void check_args(const struct args *args, const char *text, size_t size)
{
        int64_t number;

        assert(args->depth >= 1 && args->depth <= ARGS_COMMAND_DEPTH_MAX);
        for (int i = 0; i < args->count; i++)
                assert(args->values[i] >= text && args->values[i] <= text + size);
        for (int i = 0; i < args->given_count; i++) {
                const struct flag *flag = args->given[i].flag;
                assert(args_knows(args, flag->name) && args_text(args, flag->name) != NULL);
                if (flag->type == FLAG_NUMBER)
                        assert(args_number(args, flag->name, &number) && number >= 0);
                if (flag->type == FLAG_DURATION)
                        assert(args_duration_ms(args, flag->name, &number) && number >= 0);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = malloc(size + 1), *words[WORDS_MAX + 1], program[] = "dispatch";
        struct args args;
        struct err err;
        int count = 0;

        assert(text != NULL);
        memcpy(text, data, size);
        text[size] = '\0';
        words[count++] = program;
        for (char *at = text; at <= text + size && count < WORDS_MAX; at += strlen(at) + 1) {
                check_durations(at);
                words[count++] = at;
        }
        words[count] = NULL;
        if (args_parse(&cli_commands, count, words, &args, &err) == ERR_OK)
                check_args(&args, text, size);
        else
                assert(err.text[0] != '\0');
        free(text);
        return 0;
}
