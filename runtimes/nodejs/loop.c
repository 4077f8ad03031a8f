/*
 * runtimes/nodejs/loop.c: the agent in node's event loop.
 *
 * The loop watches the agent's descriptors; nothing waits anywhere else, so a handler that waits costs
 * nothing and its timers and sockets run beside the channel. An invocation is called from a callback of the
 * loop at its lowest level: when that returns node has run all promises and ticks that were due.
 */
#include "runtimes/nodejs/node.h"

#include <unistd.h>

static struct node *node_of(const uv_handle_t *handle)
{
        return handle->data;
}

static void stop(struct node *node)
{
        uv_close((uv_handle_t *)&node->channel, NULL);
        uv_close((uv_handle_t *)&node->wake, NULL);
        uv_close((uv_handle_t *)&node->tick, NULL);
        uv_close((uv_handle_t *)&node->again, NULL);
}

static void call(struct node *node, napi_ref function, size_t argc, const napi_value *argv)
{
        napi_value target, receiver, result, error;

        napi_get_reference_value(node->env, function, &target);
        napi_get_reference_value(node->env, node->resource, &receiver);
        if (napi_make_callback(node->env, node->async, receiver, target, argc, argv, &result) == napi_ok)
                return;
        if (napi_get_and_clear_last_exception(node->env, &error) == napi_ok)
                napi_fatal_exception(node->env, error);
}

/* The agent is over: closes it, says why if it failed, and tells JavaScript the exit status. */
static void end(struct node *node, enum err_code code, const struct err *err)
{
        napi_value status;
        int value = code == ERR_CANCELLED ? agent_exit_status(node->agent) : EXIT_AGENT;

        node->ended = true;
        stop(node);
        agent_close(node->agent);
        node->agent = NULL;
        if (value == EXIT_AGENT)
                agent_complain(err);
        napi_create_int32(node->env, value, &status);
        call(node, node->on_end, 1, &status);
}

static bool run(struct node *node, const struct agent_invocation *invocation)
{
        napi_value arguments[5];

        if (!pending_begin(node, invocation->run))
                return false;
        napi_create_uint32(node->env, invocation->run, &arguments[0]);
        napi_create_int32(node->env, (int32_t)invocation->kind, &arguments[1]);
        arguments[2] = value_payload(node->env, invocation);
        arguments[3] = value_of_text(node->env, invocation->context);
        napi_create_int64(node->env, (int64_t)invocation->timeout_ms, &arguments[4]);
        node->calling = invocation->run;
        call(node, node->on_run, 5, arguments);
        node->calling = 0;
        return true;
}

static void take_one(struct node *node, const struct agent_invocation *invocation)
{
        struct err err;

        if (!run(node, invocation)) {
                err_nomem(&err);
                end(node, ERR_NO_MEMORY, &err);
                return;
        }
        struct pending *pending = node->ended ? NULL : pending_find(node, invocation->run);
        if (pending != NULL && pending->given)
                pending_send(node, pending);
}

/* Begins what invocations there are. */
static void take(struct node *node)
{
        napi_handle_scope scope;

        while (!node->ended) {
                struct agent_invocation invocation;
                struct err err;
                enum err_code code = agent_take(node->agent, &invocation, &err);
                if (code == ERR_LIMIT)
                        return;
                napi_open_handle_scope(node->env, &scope);
                if (code == ERR_OK)
                        take_one(node, &invocation);
                else
                        end(node, code, &err);
                napi_close_handle_scope(node->env, scope);
        }
}

/* Tells JavaScript of the runs that nobody waits for any more. */
static void cancel(struct node *node)
{
        napi_handle_scope scope;
        napi_value argument;
        uint32_t cancelled;

        while (!node->ended && (cancelled = agent_cancelled(node->agent)) != 0) {
                napi_open_handle_scope(node->env, &scope);
                napi_create_uint32(node->env, cancelled, &argument);
                call(node, node->on_cancel, 1, &argument);
                napi_close_handle_scope(node->env, scope);
        }
}

static void on_tick(uv_timer_t *timer);
static void on_channel(uv_poll_t *poll, int status, int events);

/* A transport that has deadlines of its own wants to be asked again. */
static void arm_tick(struct node *node)
{
        int wait_ms = node->ended ? -1 : agent_wait_ms(node->agent);

        if (wait_ms >= 0 && !uv_is_active((uv_handle_t *)&node->tick))
                uv_timer_start(&node->tick, on_tick, (uint64_t)wait_ms, 0);
}

static void look(struct node *node)
{
        if (node->ended)
                return;
        take(node);
        cancel(node);
        arm_tick(node);
}

static void on_tick(uv_timer_t *timer)
{
        look(node_of((uv_handle_t *)timer));
}

static void on_channel(uv_poll_t *poll, int status, int events)
{
        (void)status;
        (void)events;
        look(node_of((uv_handle_t *)poll));
}

/* SIGTERM: it stays readable, so once is enough. */
static void on_wake(uv_poll_t *poll, int status, int events)
{
        (void)status;
        (void)events;
        uv_poll_stop(poll);
        look(node_of((uv_handle_t *)poll));
}

static void on_again(uv_idle_t *idle)
{
        struct node *node = node_of((uv_handle_t *)idle);

        uv_idle_stop(idle);
        look(node);
}

void loop_flush(struct node *node, uint32_t run, bool at_once)
{
        struct pending *pending = pending_find(node, run);

        if (pending == NULL || !pending->given || (node->calling == run && !at_once))
                return;
        pending_send(node, pending);
        /* Not here: JavaScript is on the stack. */
        uv_idle_start(&node->again, on_again);
}

bool loop_start(struct node *node, struct err *err)
{
        uv_loop_t *loop = NULL;

        if (napi_get_uv_event_loop(node->env, &loop) != napi_ok) {
                err_set(err, ERR_SYSTEM, "node has no event loop");
                return false;
        }
        int failed = uv_poll_init(loop, &node->channel, agent_poll_fd(node->agent));
        if (failed == 0)
                failed = uv_poll_init(loop, &node->wake, agent_wake_fd(node->agent));
        if (failed == 0)
                failed = uv_timer_init(loop, &node->tick);
        if (failed == 0)
                failed = uv_idle_init(loop, &node->again);
        if (failed != 0) {
                err_set(err, ERR_SYSTEM, "watch the channel: %s", uv_strerror(failed));
                return false;
        }
        node->channel.data = node->wake.data = node->tick.data = node->again.data = node;
        uv_poll_start(&node->channel, UV_READABLE, on_channel);
        uv_poll_start(&node->wake, UV_READABLE, on_wake);
        return true;
}
