/* runtimes/http/forward.c: see forward.h; docs/function-images.md says what is handed on. */
#include "runtimes/http/forward.h"

#include "base/own.h"
#include "runtimes/agent/json_scan.h"
#include "runtimes/agent/request.h"
#include "runtimes/http/message.h"
#include "runtimes/http/secrets.h"

#include <stdio.h>

enum { TARGET_MAX = 65536, EXCERPT_MAX = 200, MESSAGE_MAX = AGENT_CONTEXT_MAX + 6 * AGENT_BODY_MAX };

/* Fields that say something about another connection, or that the exchange sets itself. */
static bool is_left_out(struct str name)
{
        static const struct str names[] = {STR_INIT("host"), STR_INIT("content-length"),
                                           STR_INIT("dispatch-http-context")};

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                if (str_eq(name, names[i]))
                        return true;
        }
        return name.len == 0 || name.p[0] == ':';
}

/* "content-type" to "Content-Type", in place of its copy. */
static struct str canonical(struct buf *names, struct str name)
{
        char *to = names->data + names->len;
        bool start = true;

        for (size_t i = 0; i < name.len; i++) {
                char c = name.p[i];
                to[i] = start && c >= 'a' && c <= 'z' ? (char)(c - 0x20) : c;
                start = c == '-';
        }
        names->len += name.len;
        return (struct str){to, name.len};
}

/* The request's fields as they go out; `names` keeps their names. */
static enum err_code collect_fields(const struct agent_request *request, struct buf *names,
                                    struct http_field fields[FRAME_FIELDS_MAX], size_t *ret_count)
{
        size_t bytes = 0, count = 0;

        for (size_t i = 0; i < request->field_count; i++)
                bytes += request->fields[i].name.len;
        buf_init(names, bytes + 1);
        if (buf_reserve(names, bytes) != ERR_OK)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < request->field_count; i++) {
                const struct frame_field *field = &request->fields[i];
                if (is_left_out(field->name) || !http_token_valid(field->name) ||
                    !http_value_valid(field->value))
                        continue;
                fields[count++] = (struct http_field){canonical(names, field->name), field->value};
        }
        *ret_count = count;
        return ERR_OK;
}

/* Fields of the answer that a reply may set; the others are the connection's or the gateway's. */
static size_t answer_fields(const struct answer *answer, struct frame_field fields[ANSWER_FIELDS_MAX],
                            struct str *ret_type)
{
        size_t count = 0;

        for (size_t i = 0; i < answer->field_count; i++) {
                const struct http_field *field = &answer->fields[i];
                if (str_eq_nocase(field->name, STR("content-type")))
                        *ret_type = field->value;
                else if (agent_field_valid(field->name, field->value))
                        fields[count++] = (struct frame_field){field->name, field->value};
        }
        return count;
}

/* Whoever asked for a run sees no status: what HTTP calls an error is one. */
static void reply_status_error(struct agent *agent, const struct answer *answer)
{
        struct str body = {answer->body.data, answer->body.len};
        const char *type = answer->status < 500 ? AGENT_INPUT_ERROR : AGENT_FUNCTION_ERROR;
        char text[EXCERPT_MAX + 80];
        bool told = body.len > 0 && str_is_utf8(body);
        int len = (int)(told && body.len > EXCERPT_MAX ? EXCERPT_MAX : body.len);

        if (json_check(body, NULL) == ERR_OK && json_is_object(body) && message_reply_error(agent, body))
                return;
        snprintf(text, sizeof(text), "the function answered with status %d%s%s%s%.*s", answer->status,
                 http_reason(answer->status)[0] != '\0' ? " " : "", http_reason(answer->status),
                 told ? ": " : "", told ? len : 0, told ? body.p : "");
        agent_reply_error(agent, type, str_of(text), NULL, 0);
}

static void reply_answer(struct agent *agent, const struct agent_request *request,
                         const struct answer *answer)
{
        struct frame_field fields[ANSWER_FIELDS_MAX];
        struct agent_reply reply = {
                .status = answer->status, .body = {answer->body.data, answer->body.len}, .fields = fields};

        if (answer->status >= 400 && str_eq(request_field(request, STR(":source")), STR("run"))) {
                reply_status_error(agent, answer);
                return;
        }
        reply.field_count = answer_fields(answer, fields, &reply.content_type);
        agent_reply(agent, &reply);
}

/* What became of the exchange, where it brought no answer. ERR_OK: the run is answered all the same. */
static enum err_code reply_failure(struct service *service, enum err_code code, struct err *err)
{
        struct agent *agent = service->agent;

        if (code == ERR_UNAVAILABLE)
                return code;
        if (code == ERR_BAD_REPLY) {
                agent_exit(agent, 1);
                agent_reply_refused(agent, err->text);
        } else if (code == ERR_CANCELLED) {
                agent_exit(agent, 1);
                agent_reply_error(agent, AGENT_SYSTEM_ERROR, STR("the caller is gone"), NULL, 0);
        } else {
                agent_reply_error(agent, code == ERR_TOO_LARGE ? AGENT_FUNCTION_ERROR : AGENT_SYSTEM_ERROR,
                                  str_of(err->text), NULL, 0);
        }
        return ERR_OK;
}

static void begin(struct service *service)
{
        service->in_run = service->process.running = true;
}

/* What it printed before it answered is in the pipes by now. */
static void end(struct service *service)
{
        process_tend(&service->process, service->agent);
        service->in_run = service->process.running = false;
}

static enum err_code forward_request(struct service *service, const struct agent_request *request,
                                     struct err *err)
{
        struct http_field fields[FRAME_FIELDS_MAX];
        own_buf struct buf names = {0};
        struct str host = request_field(request, STR("host"));
        struct ask ask = {.method = request_field(request, STR(":method")),
                          .target = request_field(request, STR(":path")),
                          .host = host.len > 0 ? host : STR("localhost"),
                          .fields = fields,
                          .body = request->body};
        struct answer answer;

        if (request->body_too_large) {
                agent_reply_error(service->agent, AGENT_INPUT_ERROR, STR("the payload is too large"), NULL,
                                  0);
                return ERR_OK;
        }
        answer_init(&answer);
        begin(service);
        enum err_code code = secrets_write(service->secrets_folder, request->secrets, err);
        if (code == ERR_OK && collect_fields(request, &names, fields, &ask.field_count) != ERR_OK)
                code = err_nomem(err);
        if (code == ERR_OK)
                code = service_exchange(service, &ask, &answer, err);
        end(service);
        if (code == ERR_OK)
                reply_answer(service->agent, request, &answer);
        else
                code = reply_failure(service, code, err);
        answer_finish(&answer);
        return code;
}

/* The answer's message as the run's reply. */
static enum err_code reply_message(struct service *service, const struct answer *answer, struct err *err)
{
        struct str text = {answer->body.data, answer->body.len};
        struct agent_reply reply = {.content_type = STR("application/json")};
        struct message message = {0};

        if (answer->status != 200)
                return err_set(err, ERR_BAD_REPLY, "it has status %d instead of 200", answer->status);
        if (message_answer(text, &message, err) != ERR_OK)
                return err_wrap(err, ERR_BAD_REPLY, "the message");
        message_log(service->agent, &message);
        if (message.error.p != NULL) {
                if (message_reply_error(service->agent, message.error))
                        return ERR_OK;
                return err_set(err, ERR_BAD_REPLY, "context.error has no message");
        }
        reply.body = message.payload;
        agent_reply(service->agent, &reply);
        return ERR_OK;
}

static enum err_code forward_message(struct service *service, const struct agent_invocation *invocation,
                                     struct err *err)
{
        static const struct http_field fields[] = {{STR_INIT("Content-Type"), STR_INIT("application/json")},
                                                   {STR_INIT("Accept"), STR_INIT("application/json")}};
        own_buf struct buf text;
        struct answer answer;

        buf_init(&text, (size_t)MESSAGE_MAX);
        answer_init(&answer);
        begin(service);
        enum err_code code = message_ask(invocation, &text) == ERR_OK ? ERR_OK : err_nomem(err);
        struct ask ask = {.method = STR("POST"),
                          .target = STR("/"),
                          .host = STR("localhost"),
                          .fields = fields,
                          .field_count = 2,
                          .body = {text.data, text.len}};
        if (code == ERR_OK)
                code = service_exchange(service, &ask, &answer, err);
        end(service);
        if (code == ERR_OK)
                code = reply_message(service, &answer, err);
        if (code != ERR_OK)
                code = reply_failure(service, code, err);
        if (text.data != NULL)
                explicit_bzero(text.data, text.len); /* secrets were in it */
        answer_finish(&answer);
        return code;
}

enum err_code forward_next(struct service *service, struct err *err)
{
        struct agent_invocation invocation;
        struct agent_request request;
        enum err_code code;

        if (service->command.messages) {
                code = agent_next(service->agent, false, &invocation, err);
                return code == ERR_OK ? forward_message(service, &invocation, err) : code;
        }
        code = agent_next_request(service->agent, false, &request, err);
        return code == ERR_OK ? forward_request(service, &request, err) : code;
}
