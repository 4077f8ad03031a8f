/* server/gc.c: the command `gc`: asks the server on its Unix socket, and prints what it says. */
#include "server/server.h"

#include "base/buf.h"
#include "base/own.h"
#include "model/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_OPTIONS = 2, EXIT_PARTLY = 3, REPLY_BYTES_MAX = 64 << 20, STEP_MS = 20, START_STEPS = 3000 };

static const char usage[] =
        "Removes layers, sources and objects that nothing refers to any more.\n\nUsage:\n"
        "  dispatch-server gc [--dry-run] [--json] [--state-dir DIR] [--OPTION VALUE]...\n\n"
        "Asks the server that runs on the state directory, or starts one for this alone; then --gc-grace "
        "and\n"
        "the options of the function store are those given here. A running server has its own.\n\n"
        "  --dry-run   only tell what would be removed\n"
        "  --json      print the server's answer as it is\n\n"
        "Exit status: 0 done, 1 it did not work, 2 wrong options, 3 the object store could not be looked "
        "through.\n";

struct command {
        bool dry, json, help;
        int argc; /* what is left for the table of options */
        char **argv;
};

static bool command_parse(int argc, char **argv, struct command *command)
{
        command->argv = calloc((size_t)argc + 2, sizeof(*command->argv));
        if (command->argv == NULL)
                return false;
        for (int i = 0; i < argc; i++) {
                if (strcmp(argv[i], "--dry-run") == 0)
                        command->dry = true;
                else if (strcmp(argv[i], "--json") == 0)
                        command->json = true;
                else if (strcmp(argv[i], "--help") == 0)
                        command->help = true;
                else
                        command->argv[command->argc++] = argv[i];
        }
        return true;
}

static int dial(const char *path, struct err *err)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        own_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (strlen(path) >= sizeof(address.sun_path)) {
                err_set(err, ERR_INVALID, "the path of the socket is too long: '%s'", path);
                return -1;
        }
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
                err_sys(err, "connect to the server at '%s'", path);
                return -1;
        }
        return take_fd(&fd);
}

static enum err_code exchange(int fd, bool dry, struct buf *reply, struct err *err)
{
        char request[160];
        int len = snprintf(
                request, sizeof(request),
                "%s /v1/gc HTTP/1.1\r\nHost: dispatch\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                dry ? "GET" : "POST");

        if (send(fd, request, (size_t)len, MSG_NOSIGNAL) != len)
                return err_sys(err, "ask the server");
        for (;;) {
                if (buf_reserve(reply, 65536) != ERR_OK)
                        return err_set(err, ERR_TOO_LARGE, "the server's answer is too long");
                ssize_t got = read(fd, reply->data + reply->len, 65536);
                if (got < 0)
                        return err_sys(err, "read the server's answer");
                if (got == 0)
                        return ERR_OK;
                reply->len += (size_t)got;
        }
}

/* The body of a 200; anything else is an error in the server's words. */
static enum err_code body_of(struct str reply, struct str *ret, struct err *err)
{
        const char *end = memmem(reply.p, reply.len, "\r\n\r\n", 4);
        own_json json_t *said = NULL;

        if (end == NULL || !str_starts(reply, STR("HTTP/1.1 ")))
                return err_set(err, ERR_BAD_REPLY, "the server ended before it had answered");
        *ret = str_slice(reply, (size_t)(end - reply.p) + 4, reply.len);
        if (str_starts(reply, STR("HTTP/1.1 200")))
                return ERR_OK;
        if (json_parse(*ret, &said, NULL) != ERR_OK)
                return err_set(err, ERR_BAD_REPLY, "the server answers '%.*s'", (int)str_find(reply, '\r'),
                               reply.p);
        return err_set(err, ERR_BAD_REPLY, "%s", json_str(said, "message").p);
}

static void size_print(json_int_t bytes, char out[32])
{
        static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
        double size = (double)bytes;
        size_t unit = 0;

        for (; size >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
                size /= 1024;
        snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.1f %s", size, units[unit]);
}

static void things_print(const json_t *removed)
{
        const json_t *thing;
        char size[32];
        size_t i;

        json_array_foreach(removed, i, thing)
        {
                size_print(json_integer_value(json_object_get(thing, "bytes")), size);
                printf("%-7s %10s  %s\n", json_string_value(json_object_get(thing, "kind")), size,
                       json_string_value(json_object_get(thing, "name")));
        }
}

static int report_print(const json_t *report)
{
        const json_t *removed = json_object_get(report, "removed"), *kept;
        struct str problem = json_str(report, "problem");
        const char *kind, *between = "kept: ";
        char size[32];

        things_print(removed);
        size_print(json_integer_value(json_object_get(report, "bytes")), size);
        printf("%zu %s, %s\n", json_array_size(removed),
               json_is_true(json_object_get(report, "dryRun")) ? "would be removed" : "removed", size);
        json_object_foreach(json_object_get(report, "kept"), kind, kept)
        {
                size_print(json_integer_value(json_object_get(kept, "bytes")), size);
                printf("%s%s %" JSON_INTEGER_FORMAT " (%s)", between, kind,
                       json_integer_value(json_object_get(kept, "count")), size);
                between = ", ";
        }
        printf("\n");
        if (problem.len == 0)
                return EXIT_SUCCESS;
        fprintf(stderr, "dispatch-server: %s\n", problem.p);
        return EXIT_PARTLY;
}

static int print(const struct command *command, struct str body)
{
        own_json json_t *report = NULL;
        struct err err;

        if (json_parse(body, &report, &err) != ERR_OK) {
                fprintf(stderr, "dispatch-server: the server's answer: %s\n", err.text);
                return EXIT_FAILURE;
        }
        if (!command->json)
                return report_print(report);
        printf("%.*s", STR_ARG(body));
        return json_object_get(report, "problem") != NULL ? EXIT_PARTLY : EXIT_SUCCESS;
}

static int ask(const struct command *command, int fd)
{
        own_buf struct buf reply = {.max = REPLY_BYTES_MAX};
        struct str body;
        struct err err;

        if (exchange(fd, command->dry, &reply, &err) != ERR_OK ||
            body_of((struct str){reply.data, reply.len}, &body, &err) != ERR_OK) {
                fprintf(stderr, "dispatch-server: %s\n", err.text);
                return EXIT_FAILURE;
        }
        return print(command, body);
}

/* In the child: a server with no port, whose log is kept for the case that it ends. */
_Noreturn static void server_become(const struct command *command, const char *socket_path, int log_fd)
{
        char *option = NULL;

        if (asprintf(&option, "--socket=%s", socket_path) < 0)
                _exit(EXIT_FAILURE);
        command->argv[command->argc] = option;
        command->argv[command->argc + 1] = NULL;
        if (setenv(SERVER_ENV_MAINTENANCE, "1", 1) == 0 && dup2(log_fd, STDOUT_FILENO) >= 0 &&
            dup2(log_fd, STDERR_FILENO) >= 0)
                execv("/proc/self/exe", command->argv);
        _exit(EXIT_FAILURE);
}

static void log_show(int log_fd)
{
        char text[4096];
        ssize_t len = pread(log_fd, text, sizeof(text), 0);

        fprintf(stderr, "%.*s", len > 0 ? (int)len : 0, text);
}

/* Until it listens: callers wait at its socket for the rest. -1: it has ended. */
static int server_wait(pid_t pid, const char *socket_path)
{
        for (unsigned step = 0; step < START_STEPS; step++) {
                int fd = dial(socket_path, NULL);
                if (fd >= 0)
                        return fd;
                if (waitpid(pid, NULL, WNOHANG) != 0)
                        return -1;
                (void)poll(NULL, 0, STEP_MS);
        }
        return -1;
}

static int ask_stopped(const struct command *command, const struct server_options *options)
{
        own_fd int log_fd = memfd_create("dispatch-gc-log", MFD_CLOEXEC);
        char path[PATH_MAX];
        int status = EXIT_FAILURE;

        snprintf(path, sizeof(path), "%s/gc.sock", options->state_dir);
        pid_t pid = log_fd >= 0 ? fork() : -1;
        if (pid < 0) {
                fprintf(stderr, "dispatch-server: start a server: %s\n", strerror(errno));
                return status;
        }
        if (pid == 0)
                server_become(command, path, log_fd);
        own_fd int fd = server_wait(pid, path);
        if (fd >= 0)
                status = ask(command, fd);
        else
                log_show(log_fd);
        (void)kill(pid, SIGTERM);
        (void)waitpid(pid, NULL, 0);
        (void)unlink(path);
        return status;
}

static int run(const struct command *command, const struct server_options *options)
{
        char path[PATH_MAX];
        struct err err = {0};

        if (access(options->state_dir, F_OK) < 0) {
                fprintf(stderr, "dispatch-server: there is no state directory '%s'; --state-dir names it\n",
                        options->state_dir);
                return EXIT_OPTIONS;
        }
        if (options->socket[0] != '\0')
                snprintf(path, sizeof(path), "%s", options->socket);
        else
                snprintf(path, sizeof(path), "%s/dispatch.sock", options->state_dir);
        own_fd int fd = dial(path, &err);
        if (fd >= 0)
                return ask(command, fd);
        if (err.sys_errno == ENOENT || err.sys_errno == ECONNREFUSED)
                return ask_stopped(command, options);
        fprintf(stderr, "dispatch-server: %s\n", err.text);
        return EXIT_FAILURE;
}

int server_gc(int argc, char **argv)
{
        own_options struct server_options options = {0};
        struct command command = {0};
        static char name[] = "dispatch-server";
        struct err err;
        int status = EXIT_OPTIONS;

        if (!command_parse(argc, argv, &command))
                return EXIT_FAILURE;
        command.argv[0] = name;
        if (command.help)
                status = fputs(usage, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        else if (options_read(&options, command.argc, command.argv, environ, &err) != ERR_OK)
                fprintf(stderr, "dispatch-server: %s\n", err.text);
        else
                status = run(&command, &options);
        free(command.argv);
        return status;
}
