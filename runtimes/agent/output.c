/*
 * runtimes/agent/output.c: what leaves the agent: the handler's prints and its reply.
 *
 * Prints reach `lines` from two sides: agent_log (the language's own streams) and `capture` (descriptors 1
 * and 2). The lock covers both and the sending side of the transport, since a handler's threads may print at
 * any time.
 */
#include "runtimes/agent/agent_impl.h"

#include "base/own.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

enum { REPLY_FIELDS_MAX = 100, REPLY_FIELD_BYTES_MAX = 65536 };

bool agent_is_child(const struct agent *agent)
{
        return agent->child;
}

void output_sink(void *arg, int stream, struct str text)
{
        const struct agent_run *run = arg;
        struct transport *transport = run->agent->transport;

        transport->ops->log(transport, run->number, stream, text);
}

static void put_stdout(void *arg, struct str text)
{
        lines_put(arg, 1, text);
}

static void put_stderr(void *arg, struct str text)
{
        lines_put(arg, 2, text);
}

/* The run that printed what nobody put a name to: the one in hand; of several, none. */
static struct agent_run *run_alone(struct agent *agent)
{
        return agent->run_count == 1 ? agent->runs : &agent->outside;
}

/* What was written to the descriptor of `stream` since last time. */
static void take_captured(struct agent *agent, int stream)
{
        struct lines *lines = &run_alone(agent)->lines;

        if (capture_take(&agent->capture[stream - 1], stream == 1 ? put_stdout : put_stderr, lines))
                lines_truncate(lines, stream);
}

/* Also starts the descriptors' files over. */
static void take_all_captured(struct agent *agent)
{
        for (int stream = 1; stream <= 2; stream++) {
                take_captured(agent, stream);
                capture_rewind(&agent->capture[stream - 1]);
        }
}

/* In a forked child there is no agent to log to; the descriptor is what the parent captures. */
void output_plain(int fd, struct str text)
{
        while (text.len > 0) {
                ssize_t n = write(fd, text.p, text.len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return;
                text = str_slice(text, (size_t)n, text.len);
        }
}

static void put_log(struct agent *agent, bool named, uint32_t number, int stream, struct str text)
{
        assert(stream == 1 || stream == 2);
        if (agent->child) {
                output_plain(stream, text);
                return;
        }
        pthread_mutex_lock(&agent->lock);
        take_captured(agent, stream);
        struct agent_run *run = named ? run_find(agent, number) : run_alone(agent);
        if (run != NULL)
                lines_put(&run->lines, stream, text);
        else
                output_sink(&agent->outside, stream, text);
        pthread_mutex_unlock(&agent->lock);
}

void agent_log(struct agent *agent, int stream, struct str text)
{
        put_log(agent, false, 0, stream, text);
}

void agent_log_run(struct agent *agent, uint32_t run, int stream, struct str text)
{
        put_log(agent, true, run, stream, text);
}

void agent_log_outside(struct agent *agent, int stream, struct str text)
{
        assert(stream == 1 || stream == 2);
        if (agent->child) {
                output_plain(stream, text);
                return;
        }
        pthread_mutex_lock(&agent->lock);
        output_sink(&agent->outside, stream, text);
        pthread_mutex_unlock(&agent->lock);
}

void output_begin(struct agent *agent, struct agent_run *run)
{
        pthread_mutex_lock(&agent->lock);
        output_finish(agent, &agent->outside);
        run->next = agent->runs;
        agent->runs = run;
        agent->run_count++;
        pthread_mutex_unlock(&agent->lock);
}

void output_finish(struct agent *agent, struct agent_run *run)
{
        take_all_captured(agent);
        lines_flush(&run->lines);
}

static int status_of(const struct agent_reply *reply)
{
        if (reply->status != 0)
                return reply->status;
        if (reply->error == NULL)
                return 200;
        return strcmp(reply->error, AGENT_INPUT_ERROR) == 0 ? 400 : 500;
}

/* Why a reply cannot be sent as it is, or an empty text. */
static void check_reply(const struct agent *agent, const struct agent_reply *reply, char why[160])
{
        size_t bytes = 0;

        why[0] = '\0';
        for (size_t i = 0; i < reply->field_count; i++) {
                assert(agent_field_valid(reply->fields[i].name, reply->fields[i].value));
                bytes += reply->fields[i].name.len + reply->fields[i].value.len;
        }
        if (reply->field_count > REPLY_FIELDS_MAX || bytes > REPLY_FIELD_BYTES_MAX)
                snprintf(why, 160, "the response has more than %d header fields or %d bytes of them",
                         REPLY_FIELDS_MAX, REPLY_FIELD_BYTES_MAX);
        else if (reply->error == NULL && reply->body.len > agent->function.reply_bytes_max)
                snprintf(why, 160, "the reply has %zu bytes, more than reply-bytes-max, %" PRIu64,
                         reply->body.len, agent->function.reply_bytes_max);
}

static void send_reply(struct agent *agent, const struct agent_reply *reply)
{
        struct agent_reply copy = *reply;
        struct agent_run *run = agent->selected;
        struct frame_usage usage;

        copy.status = status_of(reply);
        if (reply->error != NULL && copy.content_type.p == NULL)
                copy.content_type = STR("application/json");
        usage_end(&agent->meter, &run->usage, &usage);
        pthread_mutex_lock(&agent->lock);
        output_finish(agent, run);
        agent->transport->last = agent->exiting;
        agent->reply_code =
                agent->transport->ops->reply(agent->transport, run->number, &copy, &usage, &agent->reply_err);
        run_end(agent);
        pthread_mutex_unlock(&agent->lock);
}

void agent_reply(struct agent *agent, const struct agent_reply *reply)
{
        char why[160];

        if (agent->child)
                _exit(0);
        assert(agent->selected != NULL);
        check_reply(agent, reply, why);
        if (why[0] != '\0') {
                agent_reply_error(agent, AGENT_FUNCTION_ERROR, str_of(why), NULL, 0);
                return;
        }
        send_reply(agent, reply);
}

void agent_reply_refused(struct agent *agent, const char *why)
{
        own_buf struct buf json;
        struct agent_reply reply = {.error = AGENT_FUNCTION_ERROR, .status = 502};

        buf_init(&json, AGENT_ERROR_MAX);
        if (agent_error_put(&json, AGENT_FUNCTION_ERROR, str_of(why), NULL, 0) == ERR_OK)
                reply.body = (struct str){json.data, json.len};
        agent->transport->refused = why;
        agent_reply(agent, &reply);
        if (!agent->child)
                agent->transport->refused = NULL;
}

void agent_reply_error(struct agent *agent, const char *type, struct str message, const struct str *trace,
                       size_t count)
{
        own_buf struct buf json;
        struct agent_reply reply = {.error = type, .content_type = STR("application/json")};

        buf_init(&json, AGENT_ERROR_MAX);
        if (agent_error_put(&json, type, message, trace, count) == ERR_OK)
                reply.body = (struct str){json.data, json.len};
        else
                reply.body =
                        STR("{\"type\":\"SystemError\",\"message\":\"out of memory\",\"stacktrace\":[]}");
        agent_reply(agent, &reply);
}
