/*
 * runtimes/agent/agent.c: one agent process: load the handler, then one invocation after the other.
 *
 * What a handler prints reaches `lines` from two sides: agent_log (the language's own streams) and `capture`
 * (descriptors 1 and 2). The lock covers both and the sending side of the transport, since a handler's
 * threads may print at any time.
 */
#include "runtimes/agent/agent.h"

#include "base/own.h"
#include "runtimes/agent/capture.h"
#include "runtimes/agent/lines.h"
#include "runtimes/agent/transport.h"
#include "runtimes/agent/usage.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/socket.h>

enum { CHANNEL_FD = 3, REPLY_FIELDS_MAX = 100, REPLY_FIELD_BYTES_MAX = 65536, EXIT_AGENT = 70 };

struct agent {
        const struct agent_runtime *runtime;
        struct transport *transport;
        pthread_mutex_t lock;
        struct lines lines;
        struct capture capture[2];
        struct specialisation special;
        struct agent_function function;
        struct buf own_secrets; /* where no engine hands them over */
        struct buf context;     /* of the invocation at hand; kept for its memory */
        struct usage_start usage;
        enum err_code reply_code; /* how sending the last reply went */
        struct err reply_err;
        bool replied, child, exiting;
        int exit_status;
        int wake[2];
        pid_t pid;
};

/* The agent of this process: the signal and fork handlers have no argument. */
static struct agent *the_agent;

static void on_sigterm(int signum)
{
        int saved = errno;

        if (getpid() != the_agent->pid) { /* a child of the handler's, so early that nobody reset it */
                signal(signum, SIG_DFL);
                raise(signum);
                return;
        }
        if (write(the_agent->wake[1], "", 1) < 0)
                errno = 0; /* full: it was told before */
        errno = saved;
}

/* A child that the handler forked is ended by SIGTERM like any other, and must not wake its parent. */
static void forget_sigterm(void)
{
        struct sigaction now;

        if (sigaction(SIGTERM, NULL, &now) == 0 && now.sa_handler == on_sigterm)
                signal(SIGTERM, SIG_DFL);
        close(the_agent->wake[0]);
        close(the_agent->wake[1]);
}

static void before_fork(void)
{
        if (the_agent != NULL)
                pthread_mutex_lock(&the_agent->lock);
}

static void after_fork_parent(void)
{
        if (the_agent != NULL)
                pthread_mutex_unlock(&the_agent->lock);
}

static void after_fork_child(void)
{
        if (the_agent == NULL)
                return;
        the_agent->child = true;
        the_agent->transport->ops->abandon(the_agent->transport);
        forget_sigterm();
        pthread_mutex_unlock(&the_agent->lock);
}

bool agent_is_child(const struct agent *agent)
{
        return agent->child;
}

static void sink(void *arg, int stream, struct str text)
{
        struct agent *agent = arg;

        agent->transport->ops->log(agent->transport, stream, text);
}

static void put_stdout(void *arg, struct str text)
{
        lines_put(arg, 1, text);
}

static void put_stderr(void *arg, struct str text)
{
        lines_put(arg, 2, text);
}

/* What was written to the descriptor of `stream` since last time. */
static void take_captured(struct agent *agent, int stream)
{
        if (capture_take(&agent->capture[stream - 1], stream == 1 ? put_stdout : put_stderr, &agent->lines))
                lines_truncate(&agent->lines, stream);
}

/* In a forked child there is no agent to log to; the descriptor is what the parent captures. */
static void write_plain(int fd, struct str text)
{
        while (text.len > 0) {
                ssize_t n = write(fd, text.p, text.len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return;
                text = str_slice(text, (size_t)n, text.len);
        }
}

void agent_log(struct agent *agent, int stream, struct str text)
{
        assert(stream == 1 || stream == 2);
        if (agent->child) {
                write_plain(stream, text);
                return;
        }
        pthread_mutex_lock(&agent->lock);
        take_captured(agent, stream);
        lines_put(&agent->lines, stream, text);
        pthread_mutex_unlock(&agent->lock);
}

/* The end of a run's or of the load's output. With the lock held. */
static void finish_logs(struct agent *agent)
{
        for (int stream = 1; stream <= 2; stream++) {
                take_captured(agent, stream);
                capture_rewind(&agent->capture[stream - 1]);
        }
        lines_flush(&agent->lines);
}

static int status_of(const struct agent_reply *reply)
{
        if (reply->status != 0)
                return reply->status;
        if (reply->error == NULL)
                return 200;
        return strcmp(reply->error, AGENT_INPUT_ERROR) == 0 ? 400 : 500;
}

/* Why a reply cannot be sent as it is, or an empty text. */
static void check_reply(const struct agent *agent, const struct agent_reply *reply, char why[160])
{
        size_t bytes = 0;

        why[0] = '\0';
        for (size_t i = 0; i < reply->field_count; i++) {
                assert(agent_field_valid(reply->fields[i].name, reply->fields[i].value));
                bytes += reply->fields[i].name.len + reply->fields[i].value.len;
        }
        if (reply->field_count > REPLY_FIELDS_MAX || bytes > REPLY_FIELD_BYTES_MAX)
                snprintf(why, 160, "the response has more than %d header fields or %d bytes of them",
                         REPLY_FIELDS_MAX, REPLY_FIELD_BYTES_MAX);
        else if (reply->error == NULL && reply->body.len > agent->function.reply_bytes_max)
                snprintf(why, 160, "the reply has %zu bytes, more than reply-bytes-max, %" PRIu64,
                         reply->body.len, agent->function.reply_bytes_max);
}

static void send_reply(struct agent *agent, const struct agent_reply *reply)
{
        struct agent_reply copy = *reply;
        struct frame_usage usage;

        copy.status = status_of(reply);
        if (reply->error != NULL && copy.content_type.p == NULL)
                copy.content_type = STR("application/json");
        usage_end(&agent->usage, &usage);
        pthread_mutex_lock(&agent->lock);
        finish_logs(agent);
        agent->reply_code = agent->transport->ops->reply(agent->transport, &copy, &usage, &agent->reply_err);
        pthread_mutex_unlock(&agent->lock);
}

void agent_reply(struct agent *agent, const struct agent_reply *reply)
{
        char why[160];

        if (agent->child)
                _exit(0);
        assert(!agent->replied);
        check_reply(agent, reply, why);
        if (why[0] != '\0') {
                agent_reply_error(agent, AGENT_FUNCTION_ERROR, str_of(why), NULL, 0);
                return;
        }
        agent->replied = true;
        send_reply(agent, reply);
}

void agent_reply_error(struct agent *agent, const char *type, struct str message, const struct str *trace,
                       size_t count)
{
        own_buf struct buf json;
        struct agent_reply reply = {.error = type, .content_type = STR("application/json")};

        buf_init(&json, AGENT_ERROR_MAX);
        if (agent_error_put(&json, type, message, trace, count) == ERR_OK)
                reply.body = (struct str){json.data, json.len};
        else
                reply.body =
                        STR("{\"type\":\"SystemError\",\"message\":\"out of memory\",\"stacktrace\":[]}");
        agent_reply(agent, &reply);
}

int agent_poll_fd(const struct agent *agent)
{
        return agent->transport->ops->poll_fd(agent->transport);
}

bool agent_poll(struct agent *agent)
{
        return agent->transport->ops->poll(agent->transport);
}

void agent_exit(struct agent *agent, int status)
{
        agent->exiting = true;
        agent->exit_status = status;
}

static bool is_channel(int fd)
{
        int domain = 0, type = 0;
        socklen_t len = sizeof(int);

        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 || domain != AF_UNIX)
                return false;
        len = sizeof(int);
        return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

static enum err_code open_transport(struct agent *agent, struct err *err)
{
        if (!is_channel(CHANNEL_FD))
                return port_create(agent->wake[0], &agent->lock, agent->capture, &agent->transport, err);
        capture_init(&agent->capture[0], 1);
        capture_init(&agent->capture[1], 2);
        return channel_create(CHANNEL_FD, agent->wake[0], &agent->lock, &agent->transport, err);
}

static enum err_code watch_signals(struct agent *agent, struct err *err)
{
        struct sigaction term = {.sa_handler = on_sigterm, .sa_flags = SA_RESTART},
                         ignore = {.sa_handler = SIG_IGN};

        if (pipe2(agent->wake, O_CLOEXEC | O_NONBLOCK) < 0)
                return err_sys(err, "pipe");
        agent->pid = getpid();
        the_agent = agent;
        sigaction(SIGPIPE, &ignore, NULL);
        if (sigaction(SIGTERM, &term, NULL) < 0)
                return err_sys(err, "sigaction");
        return ERR_OK;
}

static enum err_code agent_open(struct agent *agent, struct err *err)
{
        pthread_mutex_init(&agent->lock, NULL);
        buf_init(&agent->own_secrets, AGENT_CONTEXT_MAX);
        buf_init(&agent->context, AGENT_CONTEXT_MAX);
        agent->capture[0].fd = agent->capture[1].fd = -1;
        enum err_code code = watch_signals(agent, err);
        if (code == ERR_OK)
                code = open_transport(agent, err);
        if (code == ERR_OK)
                code = agent->transport->ops->specialise(agent->transport, &agent->special, err);
        if (code != ERR_OK)
                return code;
        if (pthread_atfork(before_fork, after_fork_parent, after_fork_child) != 0)
                return err_nomem(err);
        lines_init(&agent->lines, agent->special.log_bytes_max, sink, agent);
        return ERR_OK;
}

static void agent_close(struct agent *agent)
{
        the_agent = NULL;
        if (agent->transport != NULL)
                agent->transport->ops->destroy(agent->transport);
        lines_finish(&agent->lines);
        if (agent->own_secrets.data != NULL)
                explicit_bzero(agent->own_secrets.data, agent->own_secrets.len);
        buf_finish(&agent->own_secrets);
        buf_finish(&agent->context);
        own_fd_release(&agent->wake[0]);
        own_fd_release(&agent->wake[1]);
        pthread_mutex_destroy(&agent->lock);
}

/* What every program expects to find in its environment. */
static void complete_environment(void)
{
        setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 0);
        setenv("HOME", "/tmp", 0);
        setenv("LANG", "C.UTF-8", 0);
}

static enum err_code prepare(struct agent *agent, const char *handler, struct err *err)
{
        const struct specialisation *special = &agent->special;
        const char *folder = getenv("DISPATCH_FUNCTION_DIR"), *variable = getenv("DISPATCH_HANDLER");
        bool given = special->handler[0] != '\0';

        if (!given && handler == NULL)
                handler = variable != NULL ? variable : "";
        agent->function = (struct agent_function){
                .name = special->function,
                .handler = given ? special->handler : handler,
                .folder = folder != NULL && *folder != '\0' ? folder : "/function",
                .timeout_ms = special->timeout_ms,
                .reply_bytes_max = special->reply_bytes_max,
        };
        complete_environment();
        if (chdir(agent->function.folder) < 0)
                return err_sys(err, "the function's folder '%s'", agent->function.folder);
        if (special->secrets.len > 0)
                return ERR_OK;
        return secrets_from_environment(&agent->own_secrets, err);
}

/* Loads the handler and says how it went. */
static enum err_code load(struct agent *agent, const char *handler, bool *ret_loaded, struct err *err)
{
        own_buf struct buf error;
        struct err why;

        buf_init(&error, AGENT_ERROR_MAX);
        if (prepare(agent, handler, &why) == ERR_OK)
                *ret_loaded = agent->runtime->load(agent->runtime->ctx, agent, &agent->function, &error);
        else if (agent_error_put(&error, AGENT_SYSTEM_ERROR, str_of(why.text), NULL, 0) != ERR_OK)
                return err_nomem(err);
        if (agent->child)
                _exit(0);
        pthread_mutex_lock(&agent->lock);
        finish_logs(agent);
        enum err_code code = agent->transport->ops->ready(agent->transport, *ret_loaded ? NULL : &error, err);
        pthread_mutex_unlock(&agent->lock);
        return code;
}

static void run(struct agent *agent, const struct agent_request *request)
{
        struct str secrets = agent->special.secrets.len > 0
                                     ? agent->special.secrets
                                     : (struct str){agent->own_secrets.data, agent->own_secrets.len};
        __attribute__((cleanup(decoded_finish))) struct decoded decoded;
        struct err err;
        uint64_t timeout_ms = agent->function.timeout_ms;

        agent->replied = false;
        agent->reply_code = ERR_OK;
        usage_begin(&agent->usage);
        decoded_init(&decoded);
        buf_clear(&agent->context);
        enum err_code code = request_decode(request, &decoded, &err);
        if (code != ERR_OK) {
                agent_reply_error(agent, code == ERR_INVALID ? AGENT_INPUT_ERROR : AGENT_SYSTEM_ERROR,
                                  str_of(err.text), NULL, 0);
                return;
        }
        if (request_context(request, secrets, &agent->context) != ERR_OK) {
                agent_reply_error(agent, AGENT_SYSTEM_ERROR, STR("the context does not fit into memory"),
                                  NULL, 0);
                return;
        }
        str_to_u64(request_field(request, STR("dispatch-timeout-ms")), &timeout_ms);
        struct agent_invocation invocation = {
                .kind = decoded.kind,
                .payload = decoded.payload,
                .context = {agent->context.data, agent->context.len},
                .timeout_ms = agent->transport->ops->enforces_timeout ? timeout_ms : 0,
        };
        agent->runtime->run(agent->runtime->ctx, agent, &invocation);
        assert(agent->replied || agent->child);
        if (agent->child)
                _exit(0);
}

static enum err_code serve(struct agent *agent, struct err *err)
{
        while (!agent->exiting) {
                struct agent_request request;
                enum err_code code = agent->transport->ops->next(agent->transport, &request, err);
                if (code != ERR_OK)
                        return code;
                run(agent, &request);
                if (agent->reply_code != ERR_OK) {
                        *err = agent->reply_err;
                        return agent->reply_code;
                }
        }
        return ERR_OK;
}

static int agent_serve(struct agent *agent, const char *handler, struct err *err)
{
        bool loaded = false;
        enum err_code code = agent_open(agent, err);

        if (code == ERR_OK)
                code = load(agent, handler, &loaded, err);
        if (code == ERR_OK && !loaded)
                return 1;
        if (code == ERR_OK)
                code = serve(agent, err);
        return code == ERR_OK ? agent->exit_status : code == ERR_CANCELLED ? 0 : EXIT_AGENT;
}

int agent_main(const struct agent_runtime *runtime, const char *handler)
{
        struct agent agent = {.runtime = runtime, .wake = {-1, -1}};
        struct err err;

        int status = agent_serve(&agent, handler, &err);
        agent_close(&agent); /* gives back descriptor 2 where it was captured */
        if (status == EXIT_AGENT) {
                char line[ERR_TEXT_MAX + 32];
                int len = snprintf(line, sizeof(line), "dispatch agent: %s\n", err.text);
                write_plain(2, (struct str){line, (size_t)len});
        }
        return status;
}
