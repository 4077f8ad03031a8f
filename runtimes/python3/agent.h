/*
 * runtimes/python3/agent.h: what the files of the extension share: module.c is the extension, reply.c turns
 * what the handler gave into a reply, problem.c what went wrong into an error, several.c drives async
 * handlers.
 */
#ifndef DISPATCH_PYTHON3_AGENT_H
#define DISPATCH_PYTHON3_AGENT_H

#include "runtimes/agent/agent.h"
#include "runtimes/python3/pyjson.h"

struct python {
        PyObject *load;     /* load(handler, folder, environment): the handler, or (type, message, trace) */
        PyObject *explain;  /* explain(exception): (type, message, trace) */
        PyObject *unpack;   /* unpack(result): None, or a response object's (status, headers, content type,
                               body) */
        PyObject *is_async; /* is_async(handler) */
        PyObject *loop;     /* loop(handler): serves an async handler */
        PyObject *forking;  /* forking(child): before it is parked (False), and in what is forked (True) */
        PyObject *handler;
        bool async;               /* it is one */
        enum err_code serve_code; /* how loop() ended */
        struct err serve_err;
        PyObject *streams[2]; /* sys.stdout and sys.stderr as we set them */
        PyThreadState *released;
        uint64_t reply_bytes_max;
};

/* A bytes object as a view. */
static inline struct str view(PyObject *bytes)
{
        return (struct str){PyBytes_AsString(bytes), (size_t)PyBytes_Size(bytes)};
}

/* module.c */
enum { LOG_UNNAMED = 0 }; /* of the run in hand, as far as that can be told */
/* Logs what is printed on a stream: (bytes) -> how many. */
PyObject *log_bytes(uint32_t run, int stream, PyObject *object);
/* The payload as a handler gets it. NULL, without an exception: it cannot have it, and that was replied. */
PyObject *invocation_payload(struct agent *agent, const struct agent_invocation *invocation);

/* several.c */
enum err_code several_serve(struct python *python, struct agent *agent, struct err *err);
PyObject *several_take(PyObject *self, PyObject *none);
PyObject *several_cancelled(PyObject *self, PyObject *none);
PyObject *several_in_hand(PyObject *self, PyObject *none);
PyObject *several_descriptors(PyObject *self, PyObject *none);
PyObject *several_wait_ms(PyObject *self, PyObject *none);
PyObject *several_reply(PyObject *self, PyObject *args);
PyObject *several_fail(PyObject *self, PyObject *args);
PyObject *several_log(PyObject *self, PyObject *args);

/* problem.c */
enum { TRACE_LINES_MAX = 512 };

/* An error as Python's side describes it: (type, message, [line, ...]). */
struct problem {
        PyObject *type, *message; /* bytes */
        PyObject *lines[TRACE_LINES_MAX];
        struct str views[TRACE_LINES_MAX];
        size_t count;
};
#define own_problem __attribute__((cleanup(problem_finish)))
void problem_finish(struct problem *problem);
/* False (with or without an exception set): it is no such tuple. */
bool problem_read(struct problem *problem, PyObject *tuple);
/* Describes the exception that is set, which is set no more. Even a str() of it that fails must not stop us.
 */
bool problem_explain(struct python *python, struct problem *ret);
/* The exception that is set, as an object; it is set no more. */
PyObject *take_exception(void);
/* A new bytes object of a str or of what has a buffer. */
PyObject *to_bytes(PyObject *object);

/* reply.c */
void reply_result(struct python *python, struct agent *agent, PyObject *result);
/* The handler raised. */
void reply_exception(struct python *python, struct agent *agent);
void reply_problem(struct agent *agent, const char *type, struct str message, const struct str *trace,
                   size_t count);

#endif
