/*
 * runtimes/http/message.h: the messages of CONTRACT 8.2, between this agent and a complete function image of
 * the original.
 */
#ifndef DISPATCH_RUNTIME_HTTP_MESSAGE_H
#define DISPATCH_RUNTIME_HTTP_MESSAGE_H

#include "runtimes/agent/agent.h"

/* {"context": ..., "payload": ...}: text is a string, bytes one where they are UTF-8, else base64 with
 * "payloadEncoding": "base64". */
enum err_code message_ask(const struct agent_invocation *invocation, struct buf *out);

/* Views into the text of an answer. */
struct message {
        struct str error;   /* a JSON object, or p == NULL: none */
        struct str logs[2]; /* a JSON list of strings each, or p == NULL */
        struct str payload; /* a JSON value */
};

/* ERR_INVALID: not such a message; the text says what is wrong. */
enum err_code message_answer(struct str text, struct message *ret, struct err *err);

/* The logs' lines into the run's log. */
void message_log(struct agent *agent, const struct message *message);

/* An error {"type","message","stacktrace"} (of 8.2, or of a language server's own answer) as the run's reply.
 * False: it is none, and nothing was replied. */
bool message_reply_error(struct agent *agent, struct str error);

#endif
