/*
 * runtimes/http/main.c: the agent for images that know nothing of this project: it starts the image's own
 * command and hands each run on to the port that this listens on, as a plain HTTP request or as a message of
 * CONTRACT 8.2 (docs/function-images.md).
 *
 * The server sees the invocation channel alone: what a tenant's server sends is parsed here, on the tenant's
 * side of the sandbox's wall.
 */
#include "runtimes/http/forward.h"
#include "runtimes/http/ready.h"
#include "runtimes/http/secrets.h"

#include "base/own.h"
#include "runtimes/agent/request.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>

enum {
        EXIT_AGENT = 70,
        START_SHARE = 90 /* per cent of the server's patience, so that the reason is ours */
};

static enum err_code set_up(struct service *service, const struct agent_function *function, struct err *err)
{
        enum err_code code = command_read(str_of(function->handler), &service->command, err);

        service->reply_bytes_max = function->reply_bytes_max;
        if (code == ERR_OK)
                code = secrets_write(service->secrets_folder, agent_secrets(service->agent), err);
        if (code == ERR_OK && setenv("DISPATCH_SECRETS_DIR", service->secrets_folder, 1) < 0)
                code = err_nomem(err);
        if (code == ERR_OK)
                code = process_start(&service->command, &service->process, err);
        return code == ERR_OK ? ready_wait(service, function->start_timeout_ms * START_SHARE / 100, err)
                              : code;
}

/* How its process ended, with its last words. */
static void say_end(const struct service *service, struct err *why)
{
        const struct process *process = &service->process;

        if (process->by_signal)
                err_set(why, ERR_UNAVAILABLE,
                        "the image's process was killed by signal %d before it listened on port %u",
                        process->status, service->command.port);
        else
                err_set(why, ERR_UNAVAILABLE,
                        "the image's process ended with exit status %d before it listened on port %u%s",
                        process->status, service->command.port,
                        process->status == 0 ? " (it must stay in the foreground)" : "");
}

/* The error's JSON: what went wrong, and what the process printed. */
static bool say_failure(const struct service *service, const struct err *why, struct buf *out)
{
        struct str lines[PROCESS_LINES_MAX];
        size_t count = process_lines(&service->process, lines);
        own_buf struct buf message;

        buf_init(&message, AGENT_ERROR_MAX);
        if (buf_append_text(&message, why->text) != ERR_OK ||
            (count > 0 && (buf_append_text(&message, ": ") != ERR_OK ||
                           buf_append(&message, lines[count - 1].p, lines[count - 1].len) != ERR_OK)))
                return false;
        return agent_error_put(out, AGENT_FUNCTION_ERROR, (struct str){message.data, message.len}, lines,
                               count) == ERR_OK;
}

/* Starts the image's process and tells the server how it went. */
static enum err_code load(struct service *service, bool *ret_loaded, struct err *err)
{
        const struct agent_function *function = NULL;
        own_buf struct buf error;
        struct err why;

        buf_init(&error, AGENT_ERROR_MAX);
        enum err_code code = agent_prepare(service->agent, NULL, &function, &why);
        if (code == ERR_OK)
                code = set_up(service, function, &why);
        *ret_loaded = code == ERR_OK;
        if (*ret_loaded)
                return agent_loaded(service->agent, NULL, err);
        if (code == ERR_UNAVAILABLE) {
                process_tend(&service->process, service->agent);
                /* Most likely the kernel's, for memory: the server knows. */
                if (service->process.by_signal && service->process.status == SIGKILL)
                        process_follow(&service->process);
                say_end(service, &why);
        }
        if (!say_failure(service, &why, &error))
                return err_nomem(err);
        return agent_loaded(service->agent, &error, err);
}

/* Waits for a request, and looks after the process meanwhile. */
static enum err_code wait_for_request(struct service *service, struct err *err)
{
        struct pollfd wake = {.fd = agent_wake_fd(service->agent), .events = POLLIN};
        short events = 0;
        enum err_code code = service_wait(service, agent_poll_fd(service->agent), POLLIN,
                                          agent_wait_ms(service->agent), &events, err);

        if (code == ERR_OK && events == 0 && poll(&wake, 1, 0) == 1)
                return err_set(err, ERR_CANCELLED, "told to end");
        return code;
}

static enum err_code serve(struct service *service, struct err *err)
{
        for (;;) {
                enum err_code code = forward_next(service, err);
                if (code == ERR_LIMIT)
                        code = wait_for_request(service, err);
                if (code != ERR_OK)
                        return code;
        }
}

static void finish(struct service *service)
{
        service_disconnect(service);
        process_finish(&service->process);
        command_finish(&service->command);
        agent_close(service->agent);
}

int main(int argc, char **argv)
{
        struct service service = {.fd = -1,
                                  .process = {.output = {-1, -1}},
                                  .secrets_folder = argc > 1 ? argv[1] : "/tmp/.run/secrets"};
        bool loaded = false;
        struct err err;
        enum err_code code = agent_open(&service.agent, &err);

        if (code != ERR_OK) {
                if (code == ERR_CANCELLED)
                        return 0;
                agent_complain(&err);
                return EXIT_AGENT;
        }
        code = load(&service, &loaded, &err);
        if (code == ERR_OK && loaded)
                code = serve(&service, &err);
        if (code == ERR_UNAVAILABLE && service.process.ended)
                process_follow(&service.process);
        int status = code == ERR_CANCELLED ? agent_exit_status(service.agent)
                     : code == ERR_OK      ? 1
                                           : EXIT_AGENT;
        finish(&service);
        if (status == EXIT_AGENT)
                agent_complain(&err);
        return status;
}
