/*
 * fuzz/server_options.c: any configuration file, environment and command line of the server, zero bytes
 * between their words: the file first, then variables up to an empty word, then arguments.
 *
 * Either one clear line says what is wrong, or every value is within its bounds and, given back as arguments,
 * gives the same again.
 */
#include "server/options.h"

#include "base/own.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS_MAX = 128, INPUT_MAX = 8192 };

struct given {
        char *words[WORDS_MAX + 2];
        int count;
};

static void give(void *arg, const char *name, const char *value)
{
        struct given *given = arg;

        if (strcmp(name, "config") == 0)
                return;
        assert(given->count < WORDS_MAX);
        assert(asprintf(&given->words[given->count++], "--%s=%s", name, value) >= 0);
}

static void check_again(const struct server_options *options)
{
        own_options struct server_options again = {0};
        struct given given = {.words = {strdup("dispatch-server")}, .count = 1};
        char *none[] = {NULL};
        struct err err = {0};

        options_each(options, give, &given);
        assert(options_read(&again, given.count, given.words, none, &err) == ERR_OK);
        assert(again.port == options->port && again.run_timeout_ms == options->run_timeout_ms &&
               again.source_bytes_max == options->source_bytes_max && again.skip_auth == options->skip_auth &&
               strcmp(again.state_dir, options->state_dir) == 0 && strcmp(again.host, options->host) == 0);
        for (int i = 0; i < given.count; i++)
                free(given.words[i]);
}

static void check(const struct server_options *options)
{
        assert(options->port <= 65535 && options->gateway_port <= 65535 && options->loops <= 1024);
        assert(options->run_timeout_ms <= INT64_MAX / 1000 && options->header_bytes_max > 0);
        check_again(options);
}

/* Words up to an empty one, or the end. */
static char *take_words(char *at, char *end, char **words, int *count)
{
        while (at < end && *at != '\0' && *count < WORDS_MAX) {
                words[(*count)++] = at;
                at += strlen(at) + 1;
        }
        words[*count] = NULL;
        return at < end ? at + 1 : end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        own_options struct server_options options = {0};
        char *environment[WORDS_MAX + 1], *arguments[WORDS_MAX + 1], config[64];
        int environment_count = 0, argument_count = 2;
        struct err err = {0};

        if (size == 0 || size > INPUT_MAX)
                return 0;
        own_mem char *text = malloc(size + 1);
        assert(text != NULL);
        memcpy(text, data, size);
        text[size] = '\0';
        size_t file_len = strlen(text);
        own_fd int fd = memfd_create("config", MFD_CLOEXEC);
        assert(fd >= 0 && write(fd, text, file_len) == (ssize_t)file_len);
        snprintf(config, sizeof(config), "--config=/proc/self/fd/%d", fd);
        arguments[0] = (char *)"dispatch-server";
        arguments[1] = config;
        char *at = text + file_len < text + size ? text + file_len + 1 : text + size;
        at = take_words(at, text + size, environment, &environment_count);
        take_words(at, text + size, arguments, &argument_count);

        if (options_read(&options, argument_count, arguments, environment, &err) == ERR_OK)
                check(&options);
        else
                assert(err.text[0] != '\0' && strlen(err.text) < sizeof(err.text));
        return 0;
}
