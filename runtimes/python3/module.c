/*
 * runtimes/python3/module.c: the extension _dispatch: the agent library, driven by and driving Python.
 *
 * _dispatch.serve(load, explain, response) runs the agent until it ends. The interpreter's lock is released
 * while the agent waits or sends, and taken to load the handler and for each run. The handler is called from
 * here, so that no frame of the agent's stands in its stack traces.
 */
#include "runtimes/python3/pyjson.h"

#include "base/own.h"
#include "runtimes/agent/agent.h"

#include <errno.h>

extern char **environ;

enum { PAYLOAD_MAX = AGENT_BODY_MAX, TRACE_LINES_MAX = 512, FIELDS_MAX = 100, FIELD_BYTES_MAX = 65536 };

struct python {
        PyObject *load;    /* load(handler, folder, environment): the handler, or (type, message, trace) */
        PyObject *explain; /* explain(exception): (type, message, trace) */
        PyObject *unpack;  /* unpack(result): None, or a response object's (status, headers, content type,
                              body) */
        PyObject *handler;
        PyObject *streams[2]; /* sys.stdout and sys.stderr as we set them */
        PyThreadState *released;
        uint64_t reply_bytes_max;
};

/* The agent that serves, for what is printed; NULL before and after. */
static struct agent *serving;

/* Turns a str or bytes object into a new bytes object. */
static PyObject *to_bytes(PyObject *object)
{
        if (PyUnicode_Check(object))
                return pyjson_utf8(object);
        return PyBytes_FromObject(object);
}

static struct str view(PyObject *bytes)
{
        return (struct str){PyBytes_AsString(bytes), (size_t)PyBytes_Size(bytes)};
}

/* An error as Python's side describes it: (type, message, [line, ...]). */
struct problem {
        PyObject *type, *message; /* bytes */
        PyObject *lines[TRACE_LINES_MAX];
        struct str views[TRACE_LINES_MAX];
        size_t count;
};

static void problem_finish(struct problem *problem)
{
        Py_XDECREF(problem->type);
        Py_XDECREF(problem->message);
        for (size_t i = 0; i < problem->count; i++)
                Py_XDECREF(problem->lines[i]);
}

static bool problem_read_lines(struct problem *problem, PyObject *list)
{
        Py_ssize_t size = PyList_Check(list) ? PyList_Size(list) : 0;

        for (Py_ssize_t i = 0; i < size && problem->count < TRACE_LINES_MAX; i++) {
                /* a long trace keeps its end, which names the error */
                Py_ssize_t from = problem->count == TRACE_LINES_MAX - 1 ? size - 1 : i;
                PyObject *line = to_bytes(PyList_GetItem(list, from));
                if (line == NULL)
                        return false;
                problem->views[problem->count] = view(line);
                problem->lines[problem->count++] = line;
        }
        return true;
}

static bool problem_read(struct problem *problem, PyObject *tuple)
{
        if (tuple == NULL || !PyTuple_Check(tuple) || PyTuple_Size(tuple) != 3)
                return false;
        problem->type = to_bytes(PyTuple_GetItem(tuple, 0));
        problem->message = to_bytes(PyTuple_GetItem(tuple, 1));
        return problem->type != NULL && problem->message != NULL &&
               problem_read_lines(problem, PyTuple_GetItem(tuple, 2));
}

/* The exception that is set, as an object; it is set no more. */
static PyObject *take_exception(void)
{
        PyObject *type, *value, *trace;

        PyErr_Fetch(&type, &value, &trace);
        PyErr_NormalizeException(&type, &value, &trace);
        if (trace != NULL && value != NULL)
                PyException_SetTraceback(value, trace);
        Py_XDECREF(type);
        Py_XDECREF(trace);
        return value;
}

/* Describes the exception that is set. Even a str() of it that fails must not stop us. */
static bool explain(struct python *python, struct problem *ret)
{
        own_py PyObject *exception = take_exception();
        own_py PyObject *told =
                exception != NULL ? PyObject_CallFunctionObjArgs(python->explain, exception, NULL) : NULL;

        if (told != NULL && problem_read(ret, told))
                return true;
        PyErr_Clear();
        return false;
}

static PyObject *log_bytes(int stream, PyObject *object)
{
        own_py PyObject *bytes = PyBytes_Check(object) ? NULL : PyBytes_FromObject(object);

        if (bytes == NULL && !PyBytes_Check(object))
                return NULL;
        struct str text = view(bytes != NULL ? bytes : object);
        PyThreadState *state = PyEval_SaveThread();
        if (serving != NULL) {
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
        return log_bytes(1, bytes);
}

static PyObject *write_stderr(PyObject *self, PyObject *bytes)
{
        (void)self;
        return log_bytes(2, bytes);
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
        __attribute__((cleanup(problem_finish))) struct problem problem = {0};
        enum err_code code;

        if (told != NULL ? problem_read(&problem, told) : explain(python, &problem))
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
        return loaded;
}

static PyObject *payload_object(const struct agent_invocation *invocation)
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

/* Sends without the interpreter's lock: the other side may be slow, and other threads can go on. */
static void reply_unlocked(struct agent *agent, const struct agent_reply *reply)
{
        PyThreadState *state = PyEval_SaveThread();
        agent_reply(agent, reply);
        PyEval_RestoreThread(state);
}

static void reply_problem(struct agent *agent, const char *type, struct str message, const struct str *trace,
                          size_t count)
{
        PyThreadState *state = PyEval_SaveThread();
        agent_reply_error(agent, type, message, trace, count);
        PyEval_RestoreThread(state);
}

/* The handler raised, or what it returned cannot be sent. */
static void reply_exception(struct python *python, struct agent *agent)
{
        __attribute__((cleanup(problem_finish))) struct problem problem = {0};

        if (explain(python, &problem))
                reply_problem(agent,
                              strcmp(PyBytes_AsString(problem.type), AGENT_INPUT_ERROR) == 0
                                      ? AGENT_INPUT_ERROR
                                      : AGENT_FUNCTION_ERROR,
                              view(problem.message), problem.views, problem.count);
        else
                reply_problem(agent, AGENT_FUNCTION_ERROR, STR("an exception that cannot be described"), NULL,
                              0);
}

/* A result that is the function's mistake, not its caller's: its exception's text in one message. */
static void reply_unusable(struct agent *agent, const char *what)
{
        own_py PyObject *exception = take_exception();
        own_py PyObject *text = exception != NULL ? PyObject_Str(exception) : NULL;
        own_py PyObject *bytes = text != NULL ? pyjson_utf8(text) : NULL;
        own_buf struct buf message;

        PyErr_Clear();
        buf_init(&message, AGENT_ERROR_MAX);
        buf_append_text(&message, what);
        if (bytes != NULL) {
                struct str why = view(bytes);
                buf_append(&message, why.p, why.len);
        }
        reply_problem(agent, AGENT_FUNCTION_ERROR, (struct str){message.data, message.len}, NULL, 0);
}

static bool is_bytes(PyObject *object)
{
        if (PyBytes_Check(object) || PyByteArray_Check(object))
                return true;
        return PyObject_TypeCheck(object, &PyMemoryView_Type);
}

static void reply_json(struct python *python, struct agent *agent, struct agent_reply *reply, PyObject *value)
{
        own_buf struct buf body;

        /* a little more, so that it is the agent that refuses with the limit's name */
        buf_init(&body, (size_t)python->reply_bytes_max + FIELD_BYTES_MAX);
        if (!pyjson_dump(value, &body)) {
                if (PyErr_ExceptionMatches(PyExc_OverflowError))
                        PyErr_Format(PyExc_ValueError, "it is larger than reply-bytes-max, %zu bytes",
                                     (size_t)python->reply_bytes_max);
                reply_unusable(agent, "the result cannot be sent as JSON: ");
                return;
        }
        reply->body = (struct str){body.data, body.len};
        if (reply->content_type.p == NULL)
                reply->content_type = STR("application/json");
        reply_unlocked(agent, reply);
}

static void reply_bytes(struct agent *agent, struct agent_reply *reply, PyObject *value)
{
        own_py PyObject *bytes = to_bytes(value);

        if (bytes == NULL) {
                reply_unusable(agent, "the result cannot be sent: ");
                return;
        }
        reply->body = view(bytes);
        if (reply->content_type.p == NULL)
                reply->content_type = PyUnicode_Check(value) ? STR("text/plain; charset=utf-8")
                                                             : STR("application/octet-stream");
        reply_unlocked(agent, reply);
}

/* The header fields of a response object, [(name, value), ...]: bytes objects that unpack() made. */
static bool read_fields(PyObject *list, struct frame_field *fields, size_t *ret_count)
{
        Py_ssize_t size = PyList_Size(list);

        if (size > FIELDS_MAX) {
                PyErr_Format(PyExc_ValueError, "more than %d header fields", FIELDS_MAX);
                return false;
        }
        for (Py_ssize_t i = 0; i < size; i++) {
                PyObject *pair = PyList_GetItem(list, i);
                struct str name = view(PyTuple_GetItem(pair, 0)), value = view(PyTuple_GetItem(pair, 1));
                if (!agent_field_valid(name, value)) {
                        PyErr_Format(PyExc_ValueError, "header field %R is not allowed",
                                     PyTuple_GetItem(pair, 0));
                        return false;
                }
                fields[i] = (struct frame_field){name, value};
        }
        *ret_count = (size_t)size;
        return true;
}

/* (status, headers, content type or None, body) */
static void reply_response(struct python *python, struct agent *agent, PyObject *parts)
{
        struct frame_field fields[FIELDS_MAX];
        struct agent_reply reply = {.fields = fields};
        PyObject *type = PyTuple_GetItem(parts, 2), *body = PyTuple_GetItem(parts, 3);

        if (!read_fields(PyTuple_GetItem(parts, 1), fields, &reply.field_count)) {
                reply_unusable(agent, "the response cannot be sent: ");
                return;
        }
        reply.status = (int)PyLong_AsLong(PyTuple_GetItem(parts, 0));
        if (type != Py_None)
                reply.content_type = view(type);
        if (body == Py_None)
                reply_unlocked(agent, &reply);
        else if (is_bytes(body) || PyUnicode_Check(body))
                reply_bytes(agent, &reply, body);
        else
                reply_json(python, agent, &reply, body);
}

/* True for what JSON has, so that the common results need no look at their attributes. */
static bool is_plain(PyObject *object)
{
        return object == Py_None || PyDict_Check(object) || PyList_Check(object) || PyTuple_Check(object) ||
               PyUnicode_Check(object) || PyLong_Check(object) || PyFloat_Check(object);
}

static void reply_result(struct python *python, struct agent *agent, PyObject *result)
{
        struct agent_reply reply = {.status = 0};

        if (is_bytes(result)) {
                reply_bytes(agent, &reply, result);
                return;
        }
        if (is_plain(result)) {
                reply_json(python, agent, &reply, result);
                return;
        }
        own_py PyObject *parts = PyObject_CallFunctionObjArgs(python->unpack, result, NULL);
        if (parts == NULL)
                reply_unusable(agent, "the response cannot be sent: ");
        else if (parts == Py_None)
                reply_json(python, agent, &reply, result);
        else
                reply_response(python, agent, parts);
}

static void run_locked(struct python *python, struct agent *agent, const struct agent_invocation *invocation)
{
        own_py PyObject *payload = payload_object(invocation);

        if (payload == NULL) {
                PyErr_Clear();
                reply_problem(agent, AGENT_INPUT_ERROR,
                              STR("Invalid Input: the payload cannot be held in memory"), NULL, 0);
                return;
        }
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

static PyObject *serve(PyObject *self, PyObject *args)
{
        struct python python = {0};
        const char *handler = NULL;
        struct agent_runtime runtime = {.ctx = &python, .load = on_load, .run = on_run};

        (void)self;
        if (!PyArg_ParseTuple(args, "OOOz", &python.load, &python.explain, &python.unpack, &handler))
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
         "serve(load, explain, unpack, handler): run the agent; returns the exit status"},
        {"write_stdout", write_stdout, METH_O, "write bytes to the log of standard output"},
        {"write_stderr", write_stderr, METH_O, "write bytes to the log of standard error"},
        {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_dispatch",
                                        .m_doc = "The agent library.", .m_size = -1, .m_methods = methods};

PyMODINIT_FUNC PyInit__dispatch(void);

PyMODINIT_FUNC PyInit__dispatch(void)
{
        return PyModule_Create(&definition);
}
