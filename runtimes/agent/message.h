/*
 * runtimes/agent/message.h: the whole message of a run (CONTRACT 8.2, 8.3):
 * {"context":{"error"?,"logs":{"stdout":[...] or null,"stderr":...}},"payload":...}. A payload that is not
 * JSON is a string, or base64 with "payloadEncoding":"base64" where it is not UTF-8.
 */
#ifndef DISPATCH_AGENT_MESSAGE_H
#define DISPATCH_AGENT_MESSAGE_H

#include "runtimes/agent/agent.h"

#define MESSAGE_CONTENT_TYPE "application/vnd.dispatch.message+json"

enum err_code message_put(struct buf *out, const struct agent_reply *reply, struct str log_stdout,
                          struct str log_stderr);

#endif
