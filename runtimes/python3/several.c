/*
 * runtimes/python3/several.c: async handlers: the agent as _dispatch_async.py drives it from an event loop.
 *
 *      take()              (run, context, payload), None: nothing now, False: the agent is over
 *      cancelled()         a run that nobody waits for any more, each once; 0: none
 *      reply(run, result), fail(run, exception)
 *      in_hand()           how many runs are
 *      descriptors()       what to watch: the channel, and what tells of SIGTERM
 *      wait_ms()           after how long to call take() even so; -1: never
 *      log(run, stream, bytes)
 *
 * All but log are called on the thread of the event loop.
 */
#include "runtimes/python3/agent.h"

/* Those of the one loop there is; NULL unless it runs. */
static struct python *looping;
static struct agent *looping_agent;

static bool is_looping(void)
{
        if (looping_agent == NULL)
                PyErr_SetString(PyExc_RuntimeError, "the agent does not run an event loop");
        return looping_agent != NULL;
}

static PyObject *take_one(bool *ret_again)
{
        struct agent_invocation invocation;
        PyThreadState *state = PyEval_SaveThread();
        enum err_code code = agent_take(looping_agent, &invocation, &looping->serve_err);

        PyEval_RestoreThread(state);
        *ret_again = false;
        if (code == ERR_LIMIT)
                Py_RETURN_NONE;
        if (code != ERR_OK) {
                looping->serve_code = code;
                Py_RETURN_FALSE;
        }
        own_py PyObject *payload = invocation_payload(looping_agent, &invocation);
        *ret_again = payload == NULL; /* it was answered */
        if (payload == NULL)
                return NULL;
        own_py PyObject *context = pyjson_load(invocation.context);
        if (context != NULL)
                return Py_BuildValue("kOO", (unsigned long)invocation.run, context, payload);
        reply_exception(looping, looping_agent);
        *ret_again = true;
        return NULL;
}

PyObject *several_take(PyObject *self, PyObject *none)
{
        PyObject *taken = NULL;
        bool again = true;

        (void)self;
        (void)none;
        if (!is_looping())
                return NULL;
        while (again)
                taken = take_one(&again);
        return taken;
}

PyObject *several_cancelled(PyObject *self, PyObject *none)
{
        (void)self;
        (void)none;
        return is_looping() ? PyLong_FromUnsignedLong(agent_cancelled(looping_agent)) : NULL;
}

PyObject *several_in_hand(PyObject *self, PyObject *none)
{
        (void)self;
        (void)none;
        return is_looping() ? PyLong_FromSize_t(agent_in_hand(looping_agent)) : NULL;
}

PyObject *several_descriptors(PyObject *self, PyObject *none)
{
        (void)self;
        (void)none;
        return is_looping() ? Py_BuildValue("ii", agent_poll_fd(looping_agent), agent_wake_fd(looping_agent))
                            : NULL;
}

PyObject *several_wait_ms(PyObject *self, PyObject *none)
{
        (void)self;
        (void)none;
        return is_looping() ? PyLong_FromLong(agent_wait_ms(looping_agent)) : NULL;
}

/* The run that an answer is for. False, with an exception or without: there is none. */
static bool select_run(PyObject *args, PyObject **ret_value)
{
        unsigned long run = 0;

        if (!is_looping() || !PyArg_ParseTuple(args, "kO", &run, ret_value))
                return false;
        return agent_select(looping_agent, (uint32_t)run);
}

PyObject *several_reply(PyObject *self, PyObject *args)
{
        PyObject *result = NULL;

        (void)self;
        if (select_run(args, &result))
                reply_result(looping, looping_agent, result);
        if (PyErr_Occurred() != NULL)
                return NULL;
        Py_RETURN_NONE;
}

PyObject *several_fail(PyObject *self, PyObject *args)
{
        PyObject *exception = NULL;

        (void)self;
        if (select_run(args, &exception)) {
                PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
                reply_exception(looping, looping_agent);
        }
        if (PyErr_Occurred() != NULL)
                return NULL;
        Py_RETURN_NONE;
}

PyObject *several_log(PyObject *self, PyObject *args)
{
        unsigned long run = 0;
        int stream = 1;
        PyObject *object = NULL;

        (void)self;
        if (!PyArg_ParseTuple(args, "kiO", &run, &stream, &object))
                return NULL;
        return log_bytes(run != 0 ? (uint32_t)run : LOG_UNNAMED, stream == 2 ? 2 : 1, object);
}

enum err_code several_serve(struct python *python, struct agent *agent, struct err *err)
{
        looping = python;
        looping_agent = agent;
        python->serve_code = ERR_OK;
        PyEval_RestoreThread(python->released);
        PyObject *done = PyObject_CallFunctionObjArgs(python->loop, python->handler, NULL);
        if (done == NULL) {
                PyErr_Print();
                python->serve_code = err_set(&python->serve_err, ERR_SYSTEM, "the event loop has failed");
        }
        Py_XDECREF(done);
        python->released = PyEval_SaveThread();
        looping_agent = NULL;
        *err = python->serve_err;
        return python->serve_code;
}
