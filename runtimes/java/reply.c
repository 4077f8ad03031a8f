/* runtimes/java/reply.c: what the handler gave, or threw, as the agent's reply. */
#include "runtimes/java/java.h"

#include "base/own.h"

/* Texts of one reply: the fields' names and values, or a trace's lines, each NUL-terminated. */
struct problem {
        struct buf type, message, text;
        struct str lines[TRACE_LINES_MAX];
        size_t count;
};

static void problem_finish(struct problem *problem)
{
        buf_finish(&problem->type);
        buf_finish(&problem->message);
        buf_finish(&problem->text);
}

#define own_problem __attribute__((cleanup(problem_finish)))

static void problem_read(JNIEnv *env, struct problem *problem, jbyteArray type, jbyteArray message,
                         jobjectArray lines)
{
        const char *at;

        buf_init(&problem->type, 64);
        buf_init(&problem->message, TEXTS_MAX);
        buf_init(&problem->text, 4 * TEXTS_MAX);
        (void)bytes_append_text(env, type, &problem->type);
        (void)bytes_append(env, message, TEXTS_MAX - 1, &problem->message);
        problem->count = bytes_append_list(env, lines, TRACE_LINES_MAX, &problem->text);
        at = problem->text.data;
        for (size_t i = 0; i < problem->count; i++)
                problem->lines[i] = text_next(&at);
}

static const char *problem_type(const struct problem *problem)
{
        static const char *const types[] = {AGENT_INPUT_ERROR, AGENT_SYSTEM_ERROR};

        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                if (problem->type.len > 0 && strcmp(problem->type.data, types[i]) == 0)
                        return types[i];
        }
        return AGENT_FUNCTION_ERROR;
}

void give_error(JNIEnv *env, jclass class, jbyteArray type, jbyteArray message, jobjectArray lines)
{
        own_problem struct problem problem = {0};

        (void)class;
        problem_read(env, &problem, type, message, lines);
        atomic_store(&java.running, false);
        agent_reply_error(java.agent, problem_type(&problem),
                          (struct str){problem.message.data, problem.message.len}, problem.lines,
                          problem.count);
}

void give_failure(JNIEnv *env, jclass class, jbyteArray type, jbyteArray message, jobjectArray lines)
{
        own_problem struct problem problem = {0};
        own_buf struct buf json;
        struct err err;

        (void)class;
        problem_read(env, &problem, type, message, lines);
        buf_init(&json, AGENT_ERROR_MAX);
        if (agent_error_put(&json, problem_type(&problem),
                            (struct str){problem.message.data, problem.message.len}, problem.lines,
                            problem.count) != ERR_OK)
                buf_append_text(&json,
                                "{\"type\":\"SystemError\",\"message\":\"out of memory\",\"stacktrace\":[]}");
        if (agent_loaded(java.agent, &json, &err) != ERR_OK)
                agent_complain(&err);
}

static void refuse(const char *why)
{
        char text[320];

        snprintf(text, sizeof(text), "the response cannot be sent: %s", why);
        agent_reply_error(java.agent, AGENT_FUNCTION_ERROR, str_of(text), NULL, 0);
}

/* False: it was refused. */
static bool read_fields(JNIEnv *env, jobjectArray list, struct buf *text,
                        struct frame_field fields[FIELDS_MAX], size_t *ret_count)
{
        size_t size = list != NULL ? (size_t)(*env)->GetArrayLength(env, list) : 0;
        char why[280];

        if (size > (size_t)2 * FIELDS_MAX) {
                refuse("more than 100 header fields");
                return false;
        }
        if (bytes_append_list(env, list, size, text) != size) {
                refuse("its header fields are too large");
                return false;
        }
        const char *at = text->data;
        for (size_t i = 0; i < size / 2; i++) {
                fields[i].name = text_next(&at);
                fields[i].value = text_next(&at);
                if (!agent_field_valid(fields[i].name, fields[i].value)) {
                        snprintf(why, sizeof(why), "header field '%.200s' is not allowed", fields[i].name.p);
                        refuse(why);
                        return false;
                }
        }
        *ret_count = size / 2;
        return true;
}

static bool type_valid(struct str type)
{
        for (size_t i = 0; i < type.len; i++) {
                unsigned char c = (unsigned char)type.p[i];
                if (c < 0x20 || c == 0x7f)
                        return false;
        }
        return true;
}

void give_reply(JNIEnv *env, jclass class, jint status, jbyteArray type, jobjectArray fields, jbyteArray body,
                jint body_len)
{
        struct frame_field read[FIELDS_MAX];
        struct agent_reply reply = {.status = status, .fields = read};
        own_buf struct buf texts, type_text, bytes;

        (void)class;
        buf_init(&texts, TEXTS_MAX);
        buf_init(&type_text, TEXTS_MAX);
        /* a little more, so that it is the agent that refuses with the limit's name */
        buf_init(&bytes, (size_t)java.function->reply_bytes_max + 65536);
        atomic_store(&java.running, false);
        if (!read_fields(env, fields, &texts, read, &reply.field_count))
                return;
        if (type != NULL && bytes_append_text(env, type, &type_text))
                reply.content_type = str_of(type_text.data);
        if (!type_valid(reply.content_type)) {
                refuse("its content type has control characters");
        } else if (!bytes_append(env, body, body_len, &bytes)) {
                agent_reply_error(java.agent, AGENT_SYSTEM_ERROR, STR("no memory for the reply"), NULL, 0);
        } else {
                reply.body = (struct str){bytes.data, bytes.len};
                agent_reply(java.agent, &reply);
        }
}
