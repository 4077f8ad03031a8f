/*
 * runtimes/nodejs/addon.c: the addon dispatch.node: the agent library for the driver in JavaScript.
 *
 *      open(handler, prepare)  waits for what the process becomes: {handler, folder}, {problem} when that
 *                              cannot be, null when it is not wanted any more; calls prepare() where nobody
 *                              has said it yet
 *      loaded(onRun, onCancel, onEnd)   the handler is loaded; serves from now on: onRun(run, kind, payload,
 *                              context, timeout), onCancel(run), onEnd(status)
 *      failed(type, message, lines)   it is not
 *      reply(run, ...), error(run, ...)  what a run gave; true: call flush() once nothing else is due
 *      flush(run, atOnce)      sends it; otherwise the addon does when it is not called any more
 *      inHand(run)             has it not been replied to?
 *      last(status)            the process ends after the replies in hand
 *      log(stream, text, run)  undefined: whichever is in hand, if that is one; 0: none
 */
#include "runtimes/nodejs/node.h"

#include "base/own.h"

#include <stdlib.h>
#include <unistd.h>

static napi_value fail(napi_env env, const struct err *err)
{
        agent_complain(err);
        napi_throw_error(env, "DISPATCH_AGENT", err->text);
        return NULL;
}

struct prepare {
        napi_env env;
        napi_value function;
};

static void prepare_call(void *ctx)
{
        const struct prepare *prepare = ctx;
        napi_value global = NULL, result = NULL, error = NULL;

        napi_get_global(prepare->env, &global);
        if (napi_call_function(prepare->env, global, prepare->function, 0, NULL, &result) != napi_ok)
                napi_get_and_clear_last_exception(prepare->env, &error);
}

static napi_value open_agent(napi_env env, napi_callback_info info)
{
        napi_value arguments[2] = {NULL}, result = NULL;
        size_t count = 2;
        struct node *node = NULL;
        own_buf struct buf handler;
        const struct agent_function *function = NULL;
        struct err err;

        buf_init(&handler, 4096);
        napi_get_cb_info(env, info, &count, arguments, NULL, (void **)&node);
        bool given = !value_is_null(env, arguments[0]) && value_append_text(env, arguments[0], &handler);
        struct prepare prepare = {env, arguments[1]};
        agent_while_waiting(prepare_call, &prepare);
        enum err_code code = agent_open(&node->agent, &err);
        if (code == ERR_CANCELLED)
                return value_null(env);
        if (code != ERR_OK)
                return fail(env, &err);
        fatal_watch();
        napi_create_object(env, &result);
        code = agent_prepare(node->agent, given ? handler.data : NULL, &function, &err);
        if (code != ERR_OK) {
                value_set(env, result, "problem", value_of_text(env, str_of(err.text)));
                return result;
        }
        node->reply_bytes_max = function->reply_bytes_max;
        agent_several(node->agent);
        value_set(env, result, "handler", value_of_text(env, str_of(function->handler)));
        value_set(env, result, "folder", value_of_text(env, str_of(function->folder)));
        return result;
}

static bool keep_callbacks(struct node *node, const napi_value *functions)
{
        napi_value name = NULL, resource = NULL;

        return napi_create_object(node->env, &resource) == napi_ok &&
               napi_create_string_utf8(node->env, "DISPATCH", NAPI_AUTO_LENGTH, &name) == napi_ok &&
               napi_create_reference(node->env, resource, 1, &node->resource) == napi_ok &&
               napi_create_reference(node->env, functions[0], 1, &node->on_run) == napi_ok &&
               napi_create_reference(node->env, functions[1], 1, &node->on_cancel) == napi_ok &&
               napi_create_reference(node->env, functions[2], 1, &node->on_end) == napi_ok &&
               napi_async_init(node->env, resource, name, &node->async) == napi_ok;
}

static napi_value loaded(napi_env env, napi_callback_info info)
{
        napi_value functions[3] = {NULL};
        size_t count = 3;
        struct node *node = NULL;
        struct err err;

        napi_get_cb_info(env, info, &count, functions, NULL, (void **)&node);
        if (!keep_callbacks(node, functions)) {
                err_set(&err, ERR_SYSTEM, "node refuses a callback");
                return fail(env, &err);
        }
        if (agent_loaded(node->agent, NULL, &err) != ERR_OK || !loop_start(node, &err))
                return fail(env, &err);
        node->serving = true;
        return NULL;
}

static napi_value in_hand(napi_env env, napi_callback_info info)
{
        napi_value argument = NULL, value = NULL;
        size_t count = 1;
        struct node *node = NULL;

        napi_get_cb_info(env, info, &count, &argument, NULL, (void **)&node);
        napi_get_boolean(env, pending_find(node, (uint32_t)value_number(env, argument)) != NULL, &value);
        return value;
}

static size_t read_lines(const struct buf *text, size_t count, struct str *lines)
{
        const char *at = text->data;

        for (size_t i = 0; i < count; i++) {
                lines[i] = str_of(at);
                at += lines[i].len + 1;
        }
        return count;
}

static napi_value failed(napi_env env, napi_callback_info info)
{
        napi_value arguments[3] = {NULL};
        size_t count = 3;
        struct node *node = NULL;
        own_buf struct buf type, message, text, json;
        struct str lines[TRACE_LINES_MAX];
        struct err err;

        buf_init(&type, 64);
        buf_init(&message, AGENT_ERROR_MAX);
        buf_init(&text, AGENT_ERROR_MAX);
        buf_init(&json, AGENT_ERROR_MAX);
        napi_get_cb_info(env, info, &count, arguments, NULL, (void **)&node);
        bool fits = value_append_text(env, arguments[0], &type) && value_append(env, arguments[1], &message);
        size_t line_count =
                read_lines(&text, value_append_list(env, arguments[2], TRACE_LINES_MAX, &text), lines);
        if (agent_error_put(&json, fits ? type.data : AGENT_FUNCTION_ERROR,
                            fits ? (struct str){message.data, message.len}
                                 : STR("the handler cannot be loaded"),
                            lines, line_count) != ERR_OK)
                return NULL;
        if (agent_loaded(node->agent, &json, &err) != ERR_OK)
                return fail(env, &err);
        return NULL;
}

static napi_value last(napi_env env, napi_callback_info info)
{
        napi_value argument = NULL;
        size_t count = 1;
        struct node *node = NULL;

        napi_get_cb_info(env, info, &count, &argument, NULL, (void **)&node);
        if (node->agent != NULL)
                agent_exit(node->agent, value_number(env, argument));
        return NULL;
}

static napi_value flush(napi_env env, napi_callback_info info)
{
        napi_value arguments[2] = {NULL};
        size_t count = 2;
        struct node *node = NULL;
        bool at_once = false;

        napi_get_cb_info(env, info, &count, arguments, NULL, (void **)&node);
        napi_get_value_bool(env, arguments[1], &at_once);
        if (node->agent != NULL)
                loop_flush(node, (uint32_t)value_number(env, arguments[0]), at_once);
        return NULL;
}

static void log_bytes(struct node *node, int stream, struct str text, bool named, uint32_t run)
{
        if (node->agent == NULL)
                (void)!write(stream, text.p, text.len);
        else if ((named && run == 0) || (node->serving && node->pending == NULL))
                agent_log_outside(node->agent, stream, text);
        else if (named)
                agent_log_run(node->agent, run, stream, text);
        else
                agent_log(node->agent, stream, text);
}

static napi_value log_text(napi_env env, napi_callback_info info)
{
        napi_value arguments[3] = {NULL};
        size_t count = 3, len = 0;
        struct node *node = NULL;
        void *data = NULL;

        napi_get_cb_info(env, info, &count, arguments, NULL, (void **)&node);
        bool named = !value_is_null(env, arguments[2]);
        uint32_t run = named ? (uint32_t)value_number(env, arguments[2]) : 0;
        if (napi_get_buffer_info(env, arguments[1], &data, &len) == napi_ok && len > 0)
                log_bytes(node, value_number(env, arguments[0]) == 2 ? 2 : 1, (struct str){data, len}, named,
                          run);
        return NULL;
}

#ifdef NODE_API_MODULE_GET_API_VERSION
/* The macro below defines it without having declared it, which clang minds. */
NAPI_MODULE_EXPORT int32_t NODE_API_MODULE_GET_API_VERSION(void);
#endif

NAPI_MODULE_INIT()
{
        static struct node node;
        static const struct {
                const char *name;
                napi_callback call;
        } functions[] = {
                {"open", open_agent},  {"loaded", loaded},    {"failed", failed},
                {"reply", give_reply}, {"error", give_error}, {"flush", flush},
                {"last", last},        {"log", log_text},     {"inHand", in_hand},
        };

        node.env = env;
        for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
                napi_value function = NULL;
                napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, &node,
                                     &function);
                value_set(env, exports, functions[i].name, function);
        }
        return exports;
}
