/*
 * runtimes/python3/module.c: the extension _dispatch: the agent library, driven by and driving Python.
 *
 * _dispatch.serve(load, explain, unpack, is_async, loop, handler) runs the agent until it ends. The
 * interpreter's lock is released while the agent waits or sends, and taken to load the handler and for each
 * run. The handler is called from here, so that no frame of the agent's stands in its stack traces.
 */
#include "runtimes/python3/agent.h"

#include "base/own.h"

#include <errno.h>

extern char **environ;

/* The agent that serves, for what is printed; NULL before and after. */
static struct agent *serving;

PyObject *log_bytes(uint32_t run, int stream, PyObject *object)
{
        own_py PyObject *bytes = PyBytes_Check(object) ? NULL : PyBytes_FromObject(object);

        if (bytes == NULL && !PyBytes_Check(object))
                return NULL;
        struct str text = view(bytes != NULL ? bytes : object);
        PyThreadState *state = PyEval_SaveThread();
        if (serving != NULL && run != LOG_UNNAMED) {
                agent_log_run(serving, run, stream, text);
        } else if (serving != NULL) {
                agent_log(serving, stream, text);
        } else {
                for (size_t at = 0; at < text.len;) {
                        ssize_t n = write(stream, text.p + at, text.len - at);
                        if (n < 0 && errno != EINTR)
                                break;
                        at += n > 0 ? (size_t)n : 0;
                }
        }
        PyEval_RestoreThread(state);
        return PyLong_FromSize_t(text.len);
}

static PyObject *write_stdout(PyObject *self, PyObject *bytes)
{
        (void)self;
        return log_bytes(LOG_UNNAMED, 1, bytes);
}

static PyObject *write_stderr(PyObject *self, PyObject *bytes)
{
        (void)self;
        return log_bytes(LOG_UNNAMED, 2, bytes);
}

static void flush_stream(PyObject *stream)
{
        own_py PyObject *done =
                stream != NULL && stream != Py_None ? PyObject_CallMethod(stream, "flush", NULL) : NULL;

        if (done == NULL)
                PyErr_Clear();
}

/* An unfinished line is in our streams; a handler that put others in their place has text in those. */
static void flush_streams(struct python *python)
{
        static const char *const names[] = {"stdout", "stderr"};
        PyObject *type, *value, *trace; /* what the handler raised stays raised */

        PyErr_Fetch(&type, &value, &trace);
        for (size_t i = 0; i < 2; i++) {
                PyObject *stream = PySys_GetObject(names[i]);
                if (stream != python->streams[i])
                        flush_stream(stream);
                flush_stream(python->streams[i]);
        }
        PyErr_Restore(type, value, trace);
}

static void keep_streams(struct python *python)
{
        python->streams[0] = PySys_GetObject("stdout");
        python->streams[1] = PySys_GetObject("stderr");
        Py_XINCREF(python->streams[0]);
        Py_XINCREF(python->streams[1]);
}

/* The environment as a dict of bytes: SPECIALISE changed it behind the interpreter's back. */
static PyObject *environment(void)
{
        own_py PyObject *dict = PyDict_New();

        if (dict == NULL)
                return NULL;
        for (char **entry = environ; *entry != NULL; entry++) {
                struct str value = str_of(*entry), name = str_cut(&value, '=');
                own_py PyObject *k = PyBytes_FromStringAndSize(name.p, (Py_ssize_t)name.len);
                own_py PyObject *v = PyBytes_FromStringAndSize(value.p, (Py_ssize_t)value.len);
                if (k == NULL || v == NULL || PyDict_SetItem(dict, k, v) < 0)
                        return NULL;
        }
        return take_ptr(&dict);
}

static bool load_failed(struct python *python, PyObject *told, struct buf *error)
{
        own_problem struct problem problem = {0};
        enum err_code code;

        if (told != NULL ? problem_read(&problem, told) : problem_explain(python, &problem))
                code = agent_error_put(error, PyBytes_AsString(problem.type), view(problem.message),
                                       problem.views, problem.count);
        else
                code = agent_error_put(error, AGENT_SYSTEM_ERROR, STR("the handler cannot be loaded"), NULL,
                                       0);
        if (code != ERR_OK)
                buf_append_text(error,
                                "{\"type\":\"SystemError\",\"message\":\"out of memory\",\"stacktrace\":[]}");
        PyErr_Clear();
        return false;
}

static bool load_locked(struct python *python, const struct agent_function *function, struct buf *error)
{
        own_py PyObject *env = environment();
        own_py PyObject *found = env != NULL ? PyObject_CallFunction(python->load, "ssO", function->handler,
                                                                     function->folder, env)
                                             : NULL;

        flush_streams(python);
        if (found == NULL || PyTuple_Check(found))
                return load_failed(python, found, error);
        own_py PyObject *async = PyObject_CallFunctionObjArgs(python->is_async, found, NULL);
        python->async = async != NULL && PyObject_IsTrue(async) == 1;
        PyErr_Clear();
        python->handler = take_ptr(&found);
        return true;
}

static bool on_load(void *ctx, struct agent *agent, const struct agent_function *function, struct buf *error)
{
        struct python *python = ctx;

        serving = agent;
        python->reply_bytes_max = function->reply_bytes_max;
        PyEval_RestoreThread(python->released);
        bool loaded = load_locked(python, function, error);
        python->released = PyEval_SaveThread();
        if (python->async)
                agent_several(agent);
        return loaded;
}

static PyObject *make_payload(const struct agent_invocation *invocation)
{
        struct str payload = invocation->payload;

        switch (invocation->kind) {
        case AGENT_PAYLOAD_JSON:
                return pyjson_load(payload);
        case AGENT_PAYLOAD_TEXT:
                return PyUnicode_DecodeUTF8(payload.p, (Py_ssize_t)payload.len, "replace");
        case AGENT_PAYLOAD_BYTES:
                return PyBytes_FromStringAndSize(payload.p, (Py_ssize_t)payload.len);
        case AGENT_PAYLOAD_NONE:
                break;
        }
        Py_INCREF(Py_None);
        return Py_None;
}

PyObject *invocation_payload(struct agent *agent, const struct agent_invocation *invocation)
{
        PyObject *payload = make_payload(invocation);

        if (payload == NULL) {
                bool memory = PyErr_ExceptionMatches(PyExc_MemoryError) != 0;

                PyErr_Clear();
                reply_problem(agent, AGENT_INPUT_ERROR,
                              memory ? STR("Invalid Input: the payload cannot be held in memory")
                                     : STR("Invalid Input: a number of the payload has too many digits"),
                              NULL, 0);
        }
        return payload;
}

static void run_locked(struct python *python, struct agent *agent, const struct agent_invocation *invocation)
{
        own_py PyObject *payload = invocation_payload(agent, invocation);

        if (payload == NULL)
                return;
        own_py PyObject *context = pyjson_load(invocation->context);
        own_py PyObject *result =
                context != NULL ? PyObject_CallFunctionObjArgs(python->handler, context, payload, NULL)
                                : NULL;

        flush_streams(python);
        if (result == NULL)
                reply_exception(python, agent);
        else
                reply_result(python, agent, result);
}

static void on_run(void *ctx, struct agent *agent, const struct agent_invocation *invocation)
{
        struct python *python = ctx;

        PyEval_RestoreThread(python->released);
        run_locked(python, agent, invocation);
        python->released = PyEval_SaveThread();
}

static enum err_code on_serve(void *ctx, struct agent *agent, struct err *err)
{
        struct python *python = ctx;

        return python->async ? several_serve(python, agent, err) : ERR_UNPROCESSABLE;
}

static void tell_forking(struct python *python, bool child)
{
        own_py PyObject *done =
                PyObject_CallFunctionObjArgs(python->forking, child ? Py_True : Py_False, NULL);

        if (done == NULL)
                PyErr_Clear(); /* it goes on as it is */
}

/* What each run does, for nobody: the pages that it writes to become this process's own now, and not while a
 * caller waits. */
static void rehearse(struct python *python)
{
        own_buf struct buf text;
        own_py PyObject *payload = pyjson_load(STR("{\"a\":[1,-2,3.5,null,true,\"text\"],\"b\":{\"c\":"
                                                   "\"\\u00e4\"},\"d\":12345678901234567890}"));
        own_py PyObject *nothing =
                payload != NULL ? PyObject_CallFunctionObjArgs(python->unpack, payload, NULL) : NULL;

        buf_init(&text, AGENT_ERROR_MAX);
        if (nothing == NULL || !pyjson_dump(payload, &text))
                PyErr_Clear();
}

/* The interpreter's lock is held from BEFORE on until it is over, so that a fork finds it with its only
 * thread. */
static void on_forking(void *ctx, enum agent_fork when)
{
        struct python *python = ctx;

        if (when == AGENT_FORK_PARK || when == AGENT_FORK_BEFORE)
                PyEval_RestoreThread(python->released);
        switch (when) {
        case AGENT_FORK_PARK:
                tell_forking(python, false);
                break;
        case AGENT_FORK_BEFORE:
                PyOS_BeforeFork();
                return;
        case AGENT_FORK_PARENT:
                PyOS_AfterFork_Parent();
                break;
        case AGENT_FORK_CHILD:
                PyOS_AfterFork_Child();
                tell_forking(python, true);
                if (python->handler != NULL)
                        rehearse(python);
                break;
        }
        python->released = PyEval_SaveThread();
}

static PyObject *serve(PyObject *self, PyObject *args)
{
        struct python python = {0};
        const char *handler = NULL;
        struct agent_runtime runtime = {
                .ctx = &python, .load = on_load, .run = on_run, .serve = on_serve, .forking = on_forking};

        (void)self;
        if (!PyArg_ParseTuple(args, "OOOOOOz", &python.load, &python.explain, &python.unpack,
                              &python.is_async, &python.loop, &python.forking, &handler))
                return NULL;
        keep_streams(&python);
        python.released = PyEval_SaveThread();
        int status = agent_main(&runtime, handler);
        serving = NULL;
        PyEval_RestoreThread(python.released);
        Py_XDECREF(python.handler);
        Py_XDECREF(python.streams[0]);
        Py_XDECREF(python.streams[1]);
        return PyLong_FromLong(status);
}

static PyMethodDef methods[] = {
        {"serve", serve, METH_VARARGS,
         "serve(load, explain, unpack, is_async, loop, forking, handler): run the agent; returns the exit "
         "status"},
        {"write_stdout", write_stdout, METH_O, "write bytes to the log of standard output"},
        {"write_stderr", write_stderr, METH_O, "write bytes to the log of standard error"},
        {"take", several_take, METH_NOARGS, "for an event loop: see several.c, as for those below"},
        {"cancelled", several_cancelled, METH_NOARGS, NULL},
        {"in_hand", several_in_hand, METH_NOARGS, NULL},
        {"descriptors", several_descriptors, METH_NOARGS, NULL},
        {"wait_ms", several_wait_ms, METH_NOARGS, NULL},
        {"reply", several_reply, METH_VARARGS, NULL},
        {"fail", several_fail, METH_VARARGS, NULL},
        {"log", several_log, METH_VARARGS, NULL},
        {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_dispatch",
                                        .m_doc = "The agent library.", .m_size = -1, .m_methods = methods};

PyMODINIT_FUNC PyInit__dispatch(void);

PyMODINIT_FUNC PyInit__dispatch(void)
{
        return PyModule_Create(&definition);
}
