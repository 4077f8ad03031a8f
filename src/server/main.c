/* server/main.c: dispatch-server. Options first; then one of the two faces of server.h. */
#include "server/server.h"

#include "api/api.h"
#include "base/buf.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_OPTIONS = 2, HELP_BYTES_MAX = 1 << 20 };

static int print(enum err_code (*make)(struct buf *out))
{
        own_buf struct buf text = {.max = HELP_BYTES_MAX};

        if (make(&text) != ERR_OK || fwrite(text.data, 1, text.len, stdout) != text.len ||
            fflush(stdout) != 0)
                return EXIT_FAILURE;
        return EXIT_SUCCESS;
}

static enum err_code openapi(struct buf *out)
{
        return api_openapi(out, NULL);
}

int main(int argc, char **argv)
{
        own_options struct server_options options = {0};
        struct err err;

        if (argc == 2 && strcmp(argv[1], "--options-markdown") == 0)
                return print(options_markdown);
        if (argc == 2 && strcmp(argv[1], "--options-man") == 0)
                return print(options_man);
        if (argc == 2 && strcmp(argv[1], "--openapi") == 0)
                return print(openapi);
        if (argc > 1 && strcmp(argv[1], "base-image") == 0) {
                (void)server_base_image(argc, argv, &err);
                fprintf(stderr, "dispatch-server: %s\n", err.text);
                return EXIT_FAILURE;
        }
        if (argc >= 2 && strcmp(argv[1], "gc") == 0)
                return server_gc(argc - 1, argv + 1);
        if (options_read(&options, argc, argv, environ, &err) != ERR_OK) {
                fprintf(stderr, "dispatch-server: %s\n", err.text);
                return EXIT_OPTIONS;
        }
        if (options.help)
                return print(options_help);
        if (options.version) {
                printf("dispatch-server %s\n", DISPATCH_VERSION);
                return EXIT_SUCCESS;
        }
        if (options.debug)
                log_level_set(LOG_DEBUG);

        if (getenv(SERVER_ENV_LINKS) == NULL) {
                server_front(&options, argc, argv, &err);
                fprintf(stderr, "dispatch-server: %s\n", err.text);
                return EXIT_FAILURE;
        }
        if (server_serve(&options, &err) != ERR_OK) {
                log_error("%s", err.text);
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
