/*
 * runtimes/agent/agent.h: what every language runtime is made of.
 *
 * agent_main takes invocations from the server, decodes payload and context, calls the language's runtime and
 * carries logs and the reply back. Which transport it is, the language does not see: the invocation channel
 * (wire/frame.h) where descriptor 3 is the file of a pair of rings (wire/ring.h), else the Function Runtime
 * API over TCP $PORT.
 *
 * One process has one agent. One invocation is in hand at a time, or several where the language calls
 * agent_take. The agent_log family may be called on any thread, everything else on the thread of agent_main
 * or agent_open. docs/runtime-api.md is the contract with handlers.
 */
#ifndef DISPATCH_AGENT_AGENT_H
#define DISPATCH_AGENT_AGENT_H

#include "base/buf.h"
#include "base/str.h"
#include "wire/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agent;

#define AGENT_INPUT_ERROR    "InputError"
#define AGENT_FUNCTION_ERROR "FunctionError"
#define AGENT_SYSTEM_ERROR   "SystemError"

enum {
        AGENT_BODY_MAX = 64 << 20,   /* a request's body; the server's own limit is lower by default */
        AGENT_REPLY_MAX = 10 << 20,  /* default of reply-bytes-max */
        AGENT_LOG_MAX = 1 << 20,     /* default of log-bytes-max */
        AGENT_ERROR_MAX = 256 << 10, /* an error's JSON */
        AGENT_CONTEXT_MAX = 16 << 20
};

/* What the instance is specialised with; strings live as long as the agent. */
struct agent_function {
        const char *name;    /* "" when unknown */
        const char *handler; /* "" for the language's default */
        const char *folder;  /* of the code, "/function" unless DISPATCH_FUNCTION_DIR says otherwise */
        uint64_t timeout_ms; /* 0: none known */
        uint64_t reply_bytes_max;
        uint64_t start_timeout_ms; /* after which the server gives the start up; 0: none known */
        uint64_t concurrency;      /* runs that the instance should take at once */
};

enum agent_payload_kind {
        AGENT_PAYLOAD_JSON, /* one JSON value, checked */
        AGENT_PAYLOAD_TEXT, /* a string; may hold bytes that are not UTF-8 */
        AGENT_PAYLOAD_BYTES,
        AGENT_PAYLOAD_NONE /* null; text is empty */
};

/* Views are valid until the invocation was replied to. */
struct agent_invocation {
        uint32_t run; /* its number among those in hand, for agent_select and agent_log_run */
        enum agent_payload_kind kind;
        struct str payload;
        struct str context;  /* a JSON object */
        uint64_t timeout_ms; /* 0: none, or the server sees to it */
};

struct agent_reply {
        const char *error;                /* NULL: success; else the type: body is then the error's JSON */
        int status;                       /* of a response object; 0: 200, or what the error's type says */
        struct str content_type;          /* p == NULL: none */
        const struct frame_field *fields; /* of a response object, checked with agent_field_valid */
        size_t field_count;
        struct str body;
};

/* Where a process is that others are forked from; see agent_runtime.forking. */
enum agent_fork {
        AGENT_FORK_PARK,   /* once, when all is loaded */
        AGENT_FORK_BEFORE, /* each time; then one of: */
        AGENT_FORK_PARENT,
        AGENT_FORK_CHILD /* in the new process, whose output and channel are its own already */
};

struct agent_runtime {
        void *ctx;
        /* Loads the handler. False: *error holds the error's JSON (agent_error_put). What it prints is
         * logged. */
        bool (*load)(void *ctx, struct agent *agent, const struct agent_function *function,
                     struct buf *error);
        /* Calls the handler; must call agent_reply exactly once before it returns. */
        void (*run)(void *ctx, struct agent *agent, const struct agent_invocation *invocation);
        /* NULL, or takes what comes by itself (agent_take) once the handler is loaded. ERR_UNPROCESSABLE: it
         * would rather have one after the other, with `run`. Else as agent_next ends: ERR_CANCELLED. */
        enum err_code (*serve)(void *ctx, struct agent *agent, struct err *err);
        /* NULL: a process of this language cannot be forked from. Else what the language has to do about it.
         */
        void (*forking)(void *ctx, enum agent_fork when);
};

/*
 * Serves until the channel closes or SIGTERM came; the invocation at hand is finished first. `handler` is
 * that of the command line or NULL. Returns the exit status: 0, 1 when the handler could not be loaded, 70
 * when the agent itself failed (one line on standard error says how).
 */
int agent_main(const struct agent_runtime *runtime, const char *handler);

/*
 * The same life in steps, for a language with an event loop of its own, whose handler may be at work when its
 * function has returned: agent_open, agent_prepare, agent_loaded, then agent_next and agent_reply in turn,
 * agent_close. The loop watches agent_poll_fd and agent_wake_fd for reading and looks again after
 * agent_wait_ms: then it calls agent_next, or agent_poll while an invocation is in hand.
 */
/*
 * What agent_open calls, once, where nobody has said yet what the process becomes: it was booted ahead of
 * need, and may load and warm what each function would pay for. Before agent_open.
 */
void agent_while_waiting(void (*prepare)(void *ctx), void *ctx);
/* Waits until it is known what the process becomes. ERR_CANCELLED: it is not wanted any more. */
enum err_code agent_open(struct agent **ret, struct err *err);
void agent_close(struct agent *agent);
/* What to load; goes to its folder and completes the environment. An error is agent_loaded's to tell. */
enum err_code agent_prepare(struct agent *agent, const char *handler, const struct agent_function **ret,
                            struct err *err);
/* The handler is loaded (NULL), or it is not, and this is the error's JSON. */
enum err_code agent_loaded(struct agent *agent, const struct buf *error, struct err *err);
/* The next invocation; none may be in hand. ERR_LIMIT: none is whole yet (never when it waits).
 * ERR_CANCELLED: none will come, the process should end. */
enum err_code agent_next(struct agent *agent, bool wait, struct agent_invocation *ret, struct err *err);
/*
 * The same without waiting and while others are in hand: for a language whose handlers wait without keeping
 * the thread. Call it until ERR_LIMIT, after each readiness of the two descriptors and each reply, since no
 * more are given than the function's concurrency. agent_reply and its kin answer the run that agent_take gave
 * last, or that agent_select names; a reply that the server does not let go at once is kept and sent behind
 * the scenes. ERR_CANCELLED: the caller of all of them is gone; the process should end. SIGTERM lets those in
 * hand finish first.
 */
enum err_code agent_take(struct agent *agent, struct agent_invocation *ret, struct err *err);
/* False: no run of that number is in hand (any more). */
bool agent_select(struct agent *agent, uint32_t run);
size_t agent_in_hand(const struct agent *agent);
/* The number of a run in hand that nobody waits for any more, each once; 0: none. It has to be ended (and
 * replied to all the same), or the server ends the process after a while. */
uint32_t agent_cancelled(struct agent *agent);
/* Before agent_loaded: this handler takes several at a time. Without it a function that asks for more than
 * one fails to load. */
void agent_several(struct agent *agent);
/* A descriptor of the language's that it opens anew when AGENT_FORK_CHILD is told: no reason against forking.
 */
void agent_fork_keeps(struct agent *agent, int fd);
int agent_wake_fd(const struct agent *agent);
int agent_exit_status(const struct agent *agent); /* 0 unless agent_exit said otherwise */
/* -1: as long as nothing comes. */
int agent_wait_ms(const struct agent *agent);
/* One line on standard error, for an agent that ends with status 70. */
void agent_complain(const struct err *err);

/* What the handler printed: stream 1 or 2. Sent by line as it comes, bounded, truncation marked. It belongs
 * to the run in hand; to none where several are. Any thread. */
void agent_log(struct agent *agent, int stream, struct str text);
/* The same of the run of that number; of none once it is over. */
void agent_log_run(struct agent *agent, uint32_t run, int stream, struct str text);
/* The same of something that an earlier run left behind: it is in no run's log. */
void agent_log_outside(struct agent *agent, int stream, struct str text);

void agent_reply(struct agent *agent, const struct agent_reply *reply);
/* The usual errors: message and trace as given; trace may be NULL when count is 0. */
void agent_reply_error(struct agent *agent, const char *type, struct str message, const struct str *trace,
                       size_t count);
/* What the handler's side sent is no reply, `why` in plain text: the caller gets a 502, and the server ends
 * the instance. */
void agent_reply_refused(struct agent *agent, const char *why);
/* Appends {"type","message","stacktrace"}; cut to AGENT_ERROR_MAX. */
enum err_code agent_error_put(struct buf *out, const char *type, struct str message, const struct str *trace,
                              size_t count);

/* For runtimes that wait while a handler runs: the descriptor to poll(2) for reading, and what to call when
 * it is readable. False: the caller is gone or the agent has to end; the handler should be stopped (reply all
 * the same). */
int agent_poll_fd(const struct agent *agent);
bool agent_poll(struct agent *agent);
/* Before a reply: it is the last, of which the server is told; then agent_main returns `status`. */
void agent_exit(struct agent *agent, int status);

/* True in a process that a handler forked: it has no agent; the handler's return must end it (agent_reply
 * does). */
bool agent_is_child(const struct agent *agent);

/* A field a response object may set: a token, a value without control characters, and none that HTTP or the
 * channel keeps for itself (Content-Length, Connection, dispatch-*, ...). */
bool agent_field_valid(struct str name, struct str value);

#endif
