/* runtimes/python3/reply.c: what a handler returned, or raised, as the agent's reply. */
#include "runtimes/python3/agent.h"

#include "base/own.h"

enum { FIELDS_MAX = 100, FIELD_BYTES_MAX = 65536 };

/* Sends without the interpreter's lock: the other side may be slow, and other threads can go on. */
static void reply_unlocked(struct agent *agent, const struct agent_reply *reply)
{
        PyThreadState *state = PyEval_SaveThread();
        agent_reply(agent, reply);
        PyEval_RestoreThread(state);
}

void reply_problem(struct agent *agent, const char *type, struct str message, const struct str *trace,
                   size_t count)
{
        PyThreadState *state = PyEval_SaveThread();
        agent_reply_error(agent, type, message, trace, count);
        PyEval_RestoreThread(state);
}

/* The handler raised, or what it returned cannot be sent. */
void reply_exception(struct python *python, struct agent *agent)
{
        own_problem struct problem problem = {0};

        if (problem_explain(python, &problem))
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

void reply_result(struct python *python, struct agent *agent, PyObject *result)
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
