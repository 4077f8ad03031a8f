/*
 * runtimes/native/main.c: the agent for executables: each run is a process of its own (CONTRACT 0.8).
 *
 * Standard output is the payload: JSON where it is one JSON value, else text where it is UTF-8, else bytes.
 */
#include "runtimes/native/run.h"

#include "base/own.h"
#include "runtimes/agent/json_scan.h"

#include <signal.h>
#include <string.h>

enum { TAIL_LINES_MAX = 20, EXIT_KILLED = 137 };

struct native {
        struct program program;
        uint64_t reply_bytes_max;
};

static bool load_failed(struct buf *error, const char *type, const struct err *why)
{
        char text[ERR_TEXT_MAX + 40];

        snprintf(text, sizeof(text), "cannot load the handler: %s", why->text);
        if (agent_error_put(error, type, str_of(text), NULL, 0) != ERR_OK)
                buf_append_text(error,
                                "{\"type\":\"SystemError\",\"message\":\"out of memory\",\"stacktrace\":[]}");
        return false;
}

static bool on_load(void *ctx, struct agent *agent, const struct agent_function *function, struct buf *error)
{
        struct native *native = ctx;
        char number[16];
        struct err err;

        native->reply_bytes_max = function->reply_bytes_max;
        snprintf(number, sizeof(number), "%d", RUN_CONTEXT_FD);
        if (setenv("DISPATCH_CONTEXT_FD", number, 1) < 0 || run_setup(agent, &err) != ERR_OK)
                return load_failed(error, AGENT_SYSTEM_ERROR, &err);
        if (program_find(function->handler, &native->program, &err) != ERR_OK)
                return load_failed(error, AGENT_FUNCTION_ERROR, &err);
        return true;
}

/* The last lines it printed on standard error, as views. */
static size_t last_lines(const struct buf *tail, struct str lines[TAIL_LINES_MAX])
{
        struct str rest = str_trim((struct str){tail->data, tail->len}, "\r\n");
        size_t count = 0;

        while (rest.len > 0 && count < TAIL_LINES_MAX) {
                const char *found = memrchr(rest.p, '\n', rest.len);
                size_t from = found != NULL ? (size_t)(found - rest.p) + 1 : 0;
                lines[count++] = str_trim(str_slice(rest, from, rest.len), "\r");
                rest = str_slice(rest, 0, from > 0 ? from - 1 : 0);
        }
        for (size_t i = 0; i < count / 2; i++) {
                struct str swap = lines[i];
                lines[i] = lines[count - 1 - i];
                lines[count - 1 - i] = swap;
        }
        return count;
}

/* An error whose message ends with the program's last words. */
static void reply_failure(struct agent *agent, const struct run_result *result, const char *type,
                          const char *text)
{
        struct str lines[TAIL_LINES_MAX];
        size_t count = last_lines(&result->tail, lines);
        own_buf struct buf message;

        buf_init(&message, AGENT_ERROR_MAX);
        if (buf_append_text(&message, text) == ERR_OK && count > 0 &&
            buf_append_text(&message, ": ") == ERR_OK)
                buf_append(&message, lines[count - 1].p, lines[count - 1].len);
        agent_reply_error(agent, type, (struct str){message.data, message.len}, lines, count);
}

static void reply_output(struct agent *agent, struct str output)
{
        struct agent_reply reply = {.body = output, .content_type = STR("application/json")};
        struct str trimmed = str_trim(output, " \t\r\n");

        if (trimmed.len == 0)
                reply.body = STR("null");
        else if (json_check(output, NULL) == ERR_OK)
                reply.body = trimmed;
        else
                reply.content_type = str_is_utf8(output) ? STR("text/plain; charset=utf-8")
                                                         : STR("application/octet-stream");
        agent_reply(agent, &reply);
}

static void reply_signal(struct agent *agent, const struct native *native, const struct run_result *result)
{
        const char *name = sigabbrev_np(result->status);
        char text[PATH_MAX + 120];

        if (result->status != SIGKILL) {
                snprintf(text, sizeof(text), "%s was killed by signal SIG%s (%s)", native->program.path,
                         name != NULL ? name : "?", strsignal(result->status));
                reply_failure(agent, result, AGENT_FUNCTION_ERROR, text);
                return;
        }
        /* Nobody in here sends SIGKILL to a program in time; the kernel does when the memory limit is
         * reached. The engine finds out and clears the sandbox. */
        agent_exit(agent, EXIT_KILLED);
        snprintf(text, sizeof(text),
                 "%s was killed by signal SIGKILL, most likely because the memory limit was reached",
                 native->program.path);
        reply_failure(agent, result, AGENT_SYSTEM_ERROR, text);
}

static void reply_to(struct agent *agent, const struct native *native, const struct run_result *result)
{
        char text[PATH_MAX + 120];

        switch (result->end) {
        case RUN_EXITED:
                if (result->status == 0) {
                        reply_output(agent, (struct str){result->output.data, result->output.len});
                        return;
                }
                snprintf(text, sizeof(text), "%s ended with exit status %d", native->program.path,
                         result->status);
                reply_failure(agent, result, AGENT_FUNCTION_ERROR, text);
                return;
        case RUN_KILLED:
                reply_signal(agent, native, result);
                return;
        case RUN_TOO_LARGE:
                snprintf(text, sizeof(text), "the reply is larger than reply-bytes-max, %llu bytes",
                         (unsigned long long)native->reply_bytes_max);
                reply_failure(agent, result, AGENT_FUNCTION_ERROR, text);
                return;
        case RUN_TIMED_OUT:
                reply_failure(agent, result, AGENT_FUNCTION_ERROR, "Function execution exceeded the timeout");
                return;
        case RUN_GONE:
                reply_failure(agent, result, AGENT_SYSTEM_ERROR, "the caller is gone");
                return;
        }
}

static void on_run(void *ctx, struct agent *agent, const struct agent_invocation *invocation)
{
        struct native *native = ctx;
        __attribute__((cleanup(run_result_finish))) struct run_result result;
        struct err err;

        enum err_code code = run_program(agent, &native->program, invocation->payload, invocation->context,
                                         native->reply_bytes_max, invocation->timeout_ms, &result, &err);
        if (code != ERR_OK) {
                agent_reply_error(agent, AGENT_SYSTEM_ERROR, str_of(err.text), NULL, 0);
                return;
        }
        if (!result.leftovers_gone)
                agent_exit(agent, EXIT_KILLED);
        reply_to(agent, native, &result);
}

/* A program is started anew for each run: what is parked is the agent that has found it. */
static void on_forking(void *ctx, enum agent_fork when)
{
        (void)ctx;
        if (when == AGENT_FORK_CHILD)
                run_renew();
}

int main(int argc, char **argv)
{
        struct native native = {0};
        struct agent_runtime runtime = {
                .ctx = &native, .load = on_load, .run = on_run, .forking = on_forking};

        return agent_main(&runtime, argc > 1 ? argv[1] : NULL);
}
