/* runtimes/agent/agent.c: the life of an agent: load the handler, then one invocation after the other. */
#include "runtimes/agent/agent_impl.h"

#include "base/own.h"
#include "wire/ring.h"

#include <assert.h>
#include <poll.h>

enum { CHANNEL_FD = 3, EXIT_AGENT = 70 };

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

static struct {
        void (*prepare)(void *ctx);
        void *ctx;
} waiting;

void agent_while_waiting(void (*prepare)(void *ctx), void *ctx)
{
        waiting.prepare = prepare;
        waiting.ctx = ctx;
}

/* Only if there is time for it: what waits already is not to wait longer. */
static void prepare_if_early(const struct agent *agent)
{
        const struct transport_ops *ops = agent->transport->ops;
        struct pollfd coming = {.fd = agent_poll_fd(agent), .events = POLLIN};

        if (waiting.prepare != NULL && (ops->nothing_yet == NULL || ops->nothing_yet(agent->transport)) &&
            poll(&coming, 1, 0) == 0)
                waiting.prepare(waiting.ctx);
}

static enum err_code open_transport(struct agent *agent, struct err *err)
{
        static const int channel_fds[CHANNEL_FDS] = {CHANNEL_FD, CHANNEL_FD + 1, CHANNEL_FD + 2};

        if (!ring_file_is(CHANNEL_FD))
                return port_create(agent->wake[0], &agent->lock, agent->capture, &agent->transport, err);
        capture_init(&agent->capture[0], 1);
        capture_init(&agent->capture[1], 2);
        park_find(&agent->park);
        return channel_create(channel_fds, agent->wake[0], &agent->lock, &agent->transport, err);
}

void agent_fork_keeps(struct agent *agent, int fd)
{
        struct park *park = &agent->park;

        assert(park->kept_count < PARK_KEPT_MAX);
        park->kept[park->kept_count++] = fd;
}

/* A fresh process with its own channel, in which nothing is the fork server's any more. */
static enum err_code forked_begin(struct agent *agent, struct err *err)
{
        enum err_code code = process_renew(agent, err);

        agent->parked = false;
        agent->transport->wake_fd = agent->wake[0];
        capture_init(&agent->capture[0], 1);
        capture_init(&agent->capture[1], 2);
        agent->meter = (struct usage_meter){0};
        return code == ERR_OK ? agent->transport->ops->renew(agent->transport, err) : code;
}

/* What is loaded stays, and others are forked from here. ERR_OK in each of them. */
static enum err_code agent_park(struct agent *agent, const struct agent_runtime *runtime, struct err *err)
{
        agent->parked = true;
        enum err_code code = park_serve(&agent->park, runtime, agent->wake[0], err);
        return code == ERR_OK ? forked_begin(agent, err) : code;
}

/* It is to be a fork server: whether it can, and then spawn is told. */
static enum err_code park_try(struct agent *agent, const struct agent_runtime *runtime, struct err *err)
{
        struct park *park = &agent->park;

        if (runtime == NULL || runtime->forking == NULL || agent->transport->ops->renew == NULL)
                snprintf(park->why, sizeof(park->why), "processes of this language cannot be forked");
        else if (park_possible(park)) {
                runtime->forking(runtime->ctx, AGENT_FORK_PARK);
                return park_tell(park, err);
        }
        agent->transport->note = park->why;
        park_close(park);
        return ERR_OK;
}

static enum err_code zygote_park(struct agent *agent, const struct agent_runtime *runtime, struct err *err)
{
        enum err_code code = park_try(agent, runtime, err);

        if (code == ERR_OK)
                code = agent->transport->ops->ready(agent->transport, NULL, err);
        return code == ERR_OK && agent->park.fd >= 0 ? agent_park(agent, runtime, err) : code;
}

static enum err_code open_all(struct agent *agent, const struct agent_runtime *runtime, struct err *err)
{
        enum err_code code = process_watch(agent, err);

        if (code == ERR_OK)
                code = open_transport(agent, err);
        if (code == ERR_OK && agent->park.fd >= 0)
                park_before(&agent->park);
        if (code == ERR_OK && agent->park.fd >= 0 && agent->park.zygote)
                code = zygote_park(agent, runtime, err);
        if (code == ERR_OK)
                prepare_if_early(agent);
        if (code == ERR_OK)
                code = agent->transport->ops->specialise(agent->transport, &agent->special, err);
        if (code != ERR_OK)
                return code;
        agent->outside.agent = agent;
        lines_init(&agent->outside.lines, agent->special.log_bytes_max, output_sink, &agent->outside);
        return process_watch_forks(err);
}

static enum err_code open_agent(const struct agent_runtime *runtime, struct agent **ret, struct err *err)
{
        struct agent *agent = calloc(1, sizeof(*agent));

        if (agent == NULL)
                return err_nomem(err);
        pthread_mutex_init(&agent->lock, NULL);
        buf_init(&agent->own_secrets, AGENT_CONTEXT_MAX);
        agent->wake[0] = agent->wake[1] = -1;
        agent->capture[0].fd = agent->capture[1].fd = -1;
        agent->park.fd = -1;
        enum err_code code = open_all(agent, runtime, err);
        if (code != ERR_OK) {
                agent_close(agent);
                return code;
        }
        *ret = agent;
        return ERR_OK;
}

enum err_code agent_open(struct agent **ret, struct err *err)
{
        return open_agent(NULL, ret, err);
}

void agent_close(struct agent *agent)
{
        park_close(&agent->park);
        process_forget(agent);
        if (agent->transport != NULL)
                agent->transport->ops->destroy(agent->transport);
        runs_finish(agent);
        if (agent->own_secrets.data != NULL)
                explicit_bzero(agent->own_secrets.data, agent->own_secrets.len);
        buf_finish(&agent->own_secrets);
        pthread_mutex_destroy(&agent->lock);
        free(agent);
}

/* What every program expects to find in its environment. */
static void complete_environment(void)
{
        setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 0);
        setenv("HOME", "/tmp", 0);
        setenv("LANG", "C.UTF-8", 0);
}

enum err_code agent_prepare(struct agent *agent, const char *handler, const struct agent_function **ret,
                            struct err *err)
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
                .start_timeout_ms = special->start_timeout_ms,
                .reply_bytes_max = special->reply_bytes_max,
                .concurrency = special->concurrency,
        };
        complete_environment();
        if (chdir(agent->function.folder) < 0)
                return err_sys(err, "the function's folder '%s'", agent->function.folder);
        if (special->secrets.len == 0) {
                enum err_code code = secrets_from_environment(&agent->own_secrets, err);
                if (code != ERR_OK)
                        return code;
        }
        *ret = &agent->function;
        return ERR_OK;
}

/* What the function asks for is more than this handler can. */
static enum err_code one_at_a_time(struct agent *agent, struct buf *out)
{
        char text[240];

        snprintf(text, sizeof(text),
                 "cannot load the handler: it takes one run at a time, and the function asks for %llu "
                 "(concurrency): that is for handlers that are async (python3: async def; nodejs)",
                 (unsigned long long)agent->special.concurrency);
        agent_exit(agent, 1);
        return agent_error_put(out, AGENT_FUNCTION_ERROR, str_of(text), NULL, 0);
}

enum err_code agent_loaded(struct agent *agent, const struct buf *error, struct err *err)
{
        own_buf struct buf refusal;

        buf_init(&refusal, AGENT_ERROR_MAX);
        if (agent->child)
                _exit(0);
        if (error == NULL && agent->special.concurrency > 1 && !agent->several) {
                if (one_at_a_time(agent, &refusal) != ERR_OK)
                        return err_nomem(err);
                error = &refusal;
        }
        pthread_mutex_lock(&agent->lock);
        output_finish(agent, &agent->outside);
        enum err_code code = agent->transport->ops->ready(agent->transport, error, err);
        pthread_mutex_unlock(&agent->lock);
        return code;
}

/* Loads the handler and says how it went. */
static enum err_code load(struct agent *agent, const struct agent_runtime *runtime, const char *handler,
                          bool *ret_loaded, struct err *err)
{
        own_buf struct buf error;
        const struct agent_function *function = NULL;
        enum err_code code = ERR_OK;
        struct err why;

        buf_init(&error, AGENT_ERROR_MAX);
        if (agent_prepare(agent, handler, &function, &why) == ERR_OK)
                *ret_loaded = runtime->load(runtime->ctx, agent, function, &error);
        else if (agent_error_put(&error, AGENT_SYSTEM_ERROR, str_of(why.text), NULL, 0) != ERR_OK)
                return err_nomem(err);
        if (*ret_loaded && agent->park.fd >= 0)
                code = park_try(agent, runtime, err);
        if (code == ERR_OK)
                code = agent_loaded(agent, *ret_loaded ? NULL : &error, err);
        if (code != ERR_OK || !*ret_loaded || agent->exiting || agent->park.fd < 0)
                return code;
        code = agent_park(agent, runtime, err);
        return code == ERR_OK ? agent_loaded(agent, NULL, err) : code;
}

struct str agent_secrets(const struct agent *agent)
{
        return agent->special.secrets.len > 0 ? agent->special.secrets
                                              : (struct str){agent->own_secrets.data, agent->own_secrets.len};
}

/* What the language gets of a request. False: it was answered here, because it cannot have it. */
static bool decode(struct agent *agent, const struct agent_request *request, struct agent_invocation *ret)
{
        struct str secrets = agent_secrets(agent);
        struct agent_run *run = agent->selected;
        uint64_t timeout_ms = agent->function.timeout_ms;
        struct err err;

        enum err_code code = request_decode(request, &run->decoded, &err);
        if (code != ERR_OK) {
                agent_reply_error(agent, code == ERR_INVALID ? AGENT_INPUT_ERROR : AGENT_SYSTEM_ERROR,
                                  str_of(err.text), NULL, 0);
                return false;
        }
        if (request_context(request, secrets, &run->context) != ERR_OK) {
                agent_reply_error(agent, AGENT_SYSTEM_ERROR, STR("the context does not fit into memory"),
                                  NULL, 0);
                return false;
        }
        str_to_u64(request_field(request, STR("dispatch-timeout-ms")), &timeout_ms);
        *ret = (struct agent_invocation){
                .run = run->number,
                .kind = run->decoded.kind,
                .payload = run->decoded.payload,
                .context = {run->context.data, run->context.len},
                .timeout_ms = agent->transport->ops->enforces_timeout ? timeout_ms : 0,
        };
        return true;
}

/* The next request, which is in hand then. */
static enum err_code take_request(struct agent *agent, bool wait, struct agent_request *ret, struct err *err)
{
        const struct transport_ops *ops = agent->transport->ops;

        if (agent->reply_code != ERR_OK) {
                *err = agent->reply_err;
                return agent->reply_code;
        }
        if (agent->exiting && agent->run_count == 0)
                return err_set(err, ERR_CANCELLED, "it was to end");
        enum err_code code =
                wait ? ops->next(agent->transport, ret, err) : ops->try_next(agent->transport, ret, err);
        if (code != ERR_OK)
                return code;
        return run_begin(agent, ret->stream) != NULL ? ERR_OK : err_nomem(err);
}

enum err_code agent_next_request(struct agent *agent, bool wait, struct agent_request *ret, struct err *err)
{
        assert(agent->run_count == 0);
        return take_request(agent, wait, ret, err);
}

enum err_code agent_next(struct agent *agent, bool wait, struct agent_invocation *ret, struct err *err)
{
        struct agent_request request;

        for (;;) {
                enum err_code code = agent_next_request(agent, wait, &request, err);
                if (code != ERR_OK)
                        return code;
                if (decode(agent, &request, ret))
                        return ERR_OK;
        }
}

/* As many as may be are in hand. */
static enum err_code watch_only(struct agent *agent, struct err *err)
{
        const struct transport_ops *ops = agent->transport->ops;

        ops->poll(agent->transport);
        return ops->closed != NULL && ops->closed(agent->transport)
                       ? err_set(err, ERR_CANCELLED, "the channel is closed")
                       : err_set(err, ERR_LIMIT, "as many as may be are in hand");
}

enum err_code agent_take(struct agent *agent, struct agent_invocation *ret, struct err *err)
{
        const struct transport_ops *ops = agent->transport->ops;
        uint64_t most = ops->several && agent->special.concurrency > 1 ? agent->special.concurrency : 1;
        struct agent_request request;

        agent->transport->queues = ops->several;
        for (;;) {
                if (agent->run_count >= most)
                        return watch_only(agent, err);
                enum err_code code = take_request(agent, false, &request, err);
                /* SIGTERM: those in hand are finished. */
                if (code == ERR_CANCELLED && agent->run_count > 0 && !ops->closed(agent->transport))
                        return err_set(err, ERR_LIMIT, "no more will come");
                if (code != ERR_OK)
                        return code;
                if (decode(agent, &request, ret))
                        return ERR_OK;
        }
}

int agent_wait_ms(const struct agent *agent)
{
        return agent->transport->ops->wait_ms(agent->transport);
}

int agent_wake_fd(const struct agent *agent)
{
        return agent->wake[0];
}

static enum err_code serve(struct agent *agent, const struct agent_runtime *runtime, struct err *err)
{
        for (;;) {
                struct agent_invocation invocation;
                enum err_code code = agent_next(agent, true, &invocation, err);
                if (code != ERR_OK)
                        return code;
                runtime->run(runtime->ctx, agent, &invocation);
                assert(agent->selected == NULL || agent->child);
                if (agent->child)
                        _exit(0);
        }
}

int agent_exit_status(const struct agent *agent)
{
        return agent->exit_status;
}

void agent_complain(const struct err *err)
{
        char line[ERR_TEXT_MAX + 32];
        int len = snprintf(line, sizeof(line), "dispatch agent: %s\n", err->text);

        output_plain(2, (struct str){line, (size_t)len});
}

int agent_main(const struct agent_runtime *runtime, const char *handler)
{
        struct agent *agent = NULL;
        struct err err;
        bool loaded = false;
        enum err_code code = open_agent(runtime, &agent, &err);

        if (code != ERR_OK) {
                if (code == ERR_CANCELLED)
                        return 0;
                agent_complain(&err);
                return EXIT_AGENT;
        }
        code = load(agent, runtime, handler, &loaded, &err);
        if (code == ERR_OK && loaded)
                code = runtime->serve != NULL ? runtime->serve(runtime->ctx, agent, &err) : ERR_UNPROCESSABLE;
        if (code == ERR_UNPROCESSABLE)
                code = serve(agent, runtime, &err);
        int status = code == ERR_CANCELLED ? agent->exit_status : code == ERR_OK ? 1 : EXIT_AGENT;
        agent_close(agent); /* gives back descriptor 2 where it was captured */
        if (status == EXIT_AGENT)
                agent_complain(&err);
        return status;
}
