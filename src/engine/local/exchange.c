/*
 * engine/local/exchange.c: one run on the invocation channel: the request as frames, and the reply, of which
 * nothing is believed.
 *
 * A length, a stream or a field that does not fit ends the instance (the caller does that on any error from
 * here). Sizes are bounded by the limits of the engine; what a reply may put into the head that the client
 * sees is checked field by field.
 */
#include "engine/local/home.h"

#include "base/clock.h"
#include "http/message.h"
#include "model/json.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
        FIXED_FIELDS = 10,
        OUT_BYTES_FULL = 1 << 20 /* queued: payloads wait until it was sent */
};

/* Fields of the original request that are about its connection or that only we may set. */
static bool field_is_ours(struct str name)
{
        static const struct str dropped[] = {
                STR_INIT("connection"),        STR_INIT("keep-alive"),
                STR_INIT("proxy-connection"),  STR_INIT("te"),
                STR_INIT("trailer"),           STR_INIT("upgrade"),
                STR_INIT("transfer-encoding"), STR_INIT("expect"),
                STR_INIT("content-type"),      STR_INIT("content-length"),
        };

        for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++) {
                if (str_eq_nocase(name, dropped[i]))
                        return true;
        }
        return name.len >= 9 && str_eq_nocase(str_slice(name, 0, 9), STR("dispatch-"));
}

/* A lower-case copy in the home's scratch buffer, which must have room. */
static struct str lower(struct buf *scratch, struct str name)
{
        char *to = scratch->data + scratch->len;

        for (size_t i = 0; i < name.len; i++) {
                char c = name.p[i];
                to[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
        }
        scratch->len += name.len;
        return (struct str){to, name.len};
}

enum err_code exchange_specialise(struct instance *instance, struct buf *out)
{
        const struct revision *revision = instance->pool->revision;
        struct buf *scratch = &instance->home->scratch;
        struct frame_field fields[FRAME_FIELDS_MAX];
        const struct local_limits *limits = &instance->home->engine->config.limits;
        char timeout[24], log_max[24], reply_max[24], start_timeout[24], concurrency[24], threads[24];
        size_t count = 0, names = 0;

        snprintf(timeout, sizeof(timeout), "%u", revision->timeout_ms);
        snprintf(log_max, sizeof(log_max), "%llu", (unsigned long long)limits->log_bytes_max);
        snprintf(reply_max, sizeof(reply_max), "%llu", (unsigned long long)limits->reply_bytes_max);
        snprintf(start_timeout, sizeof(start_timeout), "%u", limits->start_timeout_ms);
        snprintf(concurrency, sizeof(concurrency), "%u", revision->concurrency);
        snprintf(threads, sizeof(threads), "%u", (revision->cpu_millicores + 999) / 1000);
        fields[count++] = (struct frame_field){STR("function"), str_of(revision->name)};
        fields[count++] = (struct frame_field){STR("threads"), str_of(threads)};
        fields[count++] = (struct frame_field){STR("concurrency"), str_of(concurrency)};
        fields[count++] = (struct frame_field){STR("handler"), str_of(revision->handler)};
        fields[count++] = (struct frame_field){STR("timeout-ms"), str_of(timeout)};
        fields[count++] = (struct frame_field){STR("log-bytes-max"), str_of(log_max)};
        fields[count++] = (struct frame_field){STR("reply-bytes-max"), str_of(reply_max)};
        fields[count++] = (struct frame_field){STR("start-timeout-ms"), str_of(start_timeout)};

        for (size_t i = 0; i < revision->env_count; i++)
                names += 4 + str_find(revision->env[i], '=');
        buf_clear(scratch);
        if (revision->env_count > FRAME_FIELDS_MAX - count || buf_reserve(scratch, names) != ERR_OK)
                return ERR_TOO_LARGE;
        for (size_t i = 0; i < revision->env_count; i++) {
                struct str value = revision->env[i], name = str_cut(&value, '=');
                size_t at = scratch->len;
                buf_append(scratch, "env-", 4);
                buf_append(scratch, name.p, name.len);
                fields[count++] = (struct frame_field){{scratch->data + at, name.len + 4}, value};
        }
        return frame_put_fields(out, FRAME_SPECIALISE, 0, fields, count);
}

/* The original request's own fields, behind `count` of ours. ERR_TOO_LARGE: more than a head may have. */
static enum err_code copy_fields(struct buf *scratch, const struct invocation *inv,
                                 struct frame_field *fields, size_t *count)
{
        size_t names = 0;

        for (size_t i = 0; i < inv->fields.count; i++)
                names += inv->fields.items[i].name.len;
        buf_clear(scratch);
        if (inv->fields.count > FRAME_FIELDS_MAX - *count || buf_reserve(scratch, names) != ERR_OK)
                return ERR_TOO_LARGE;
        for (size_t i = 0; i < inv->fields.count; i++) {
                const struct http_field *field = &inv->fields.items[i];
                if (!field_is_ours(field->name))
                        fields[(*count)++] = (struct frame_field){lower(scratch, field->name), field->value};
        }
        return ERR_OK;
}

/* Queues what the agent's window allows of the payload, as long as the channel's buffer is not full of
 * others'. */
static enum err_code pump(struct run *run)
{
        struct instance *instance = run->instance;
        const struct invocation *inv = run->inv;
        enum err_code code = ERR_OK;

        if (run->sent_all || instance->channel.out.len > OUT_BYTES_FULL)
                return ERR_OK;
        uint64_t left = inv->payload.len - run->sent, now = left < run->window ? left : run->window;
        if (now > 0)
                code = frame_put_data(&instance->channel.out, run->stream,
                                      str_slice(inv->payload, run->sent, run->sent + now));
        run->sent += now;
        run->window -= now;
        if (code == ERR_OK && run->sent == inv->payload.len) {
                run->sent_all = true;
                code = frame_put(&instance->channel.out, FRAME_END, run->stream, (struct str){NULL, 0});
        }
        return code;
}

enum err_code exchange_begin(struct run *run)
{
        struct instance *instance = run->instance;
        struct invocation *inv = run->inv;
        const struct revision *revision = instance->pool->revision;
        struct frame_field fields[FRAME_FIELDS_MAX];
        char deadline[CLOCK_RFC3339_LEN], timeout[24];
        size_t count = 0;
        int64_t left_us = (int64_t)(inv->deadline_ms * 1000) - (int64_t)clock_mono_us();

        clock_rfc3339(clock_wall_us() + left_us, deadline);
        snprintf(timeout, sizeof(timeout), "%u", revision->timeout_ms);
        fields[count++] = (struct frame_field){STR(":method"), inv->method};
        fields[count++] = (struct frame_field){STR(":path"), inv->target};
        fields[count++] = (struct frame_field){STR(":scheme"), inv->scheme};
        fields[count++] = (struct frame_field){STR(":source"),
                                               inv->source == SOURCE_RUN ? STR("run") : STR("endpoint")};
        if (inv->content_type.p != NULL)
                fields[count++] = (struct frame_field){STR("content-type"), inv->content_type};
        fields[count++] = (struct frame_field){STR("dispatch-run-id"), str_of(inv->run_id)};
        fields[count++] = (struct frame_field){STR("dispatch-function"), str_of(revision->name)};
        fields[count++] = (struct frame_field){STR("dispatch-deadline"), str_of(deadline)};
        fields[count++] = (struct frame_field){STR("dispatch-timeout-ms"), str_of(timeout)};
        if (inv->http_context.len > 0)
                fields[count++] = (struct frame_field){STR("dispatch-http-context"), inv->http_context};
        assert(count <= FIXED_FIELDS);

        enum err_code code = copy_fields(&instance->home->scratch, inv, fields, &count);
        run->window = FRAME_WINDOW;
        if (code == ERR_OK)
                code = frame_put_fields(&instance->channel.out, FRAME_HEAD, run->stream, fields, count);
        if (code == ERR_OK && inv->secrets.len > 0)
                code = frame_put(&instance->channel.out, FRAME_SECRETS, run->stream, inv->secrets);
        return code == ERR_OK ? pump(run) : code;
}

/* Whoever is cut off by a full buffer is first next time. */
static void rotate(struct instance *instance, struct run *first)
{
        struct run *last = first;

        while (last->next != NULL)
                last = last->next;
        last->next = instance->runs;
        for (last = instance->runs; last->next != first;)
                last = last->next;
        last->next = NULL;
        instance->runs = first;
}

enum err_code exchange_pump(struct instance *instance)
{
        struct run *run = instance->runs;

        while (run != NULL && instance->channel.out.len <= OUT_BYTES_FULL) {
                enum err_code code = pump(run);
                if (code != ERR_OK)
                        return code;
                run = run->next;
        }
        if (run != NULL && run != instance->runs)
                rotate(instance, run);
        return ERR_OK;
}

static enum err_code take_log(struct run *run, struct str payload, struct err *err)
{
        struct invocation *inv = run->inv;
        uint64_t max = run->instance->home->engine->config.limits.log_bytes_max;

        if (payload.len == 0 || (payload.p[0] != 1 && payload.p[0] != 2))
                return err_set(err, ERR_INVALID, "a log frame without a stream");
        struct buf *log = payload.p[0] == 1 ? &inv->log_stdout : &inv->log_stderr;
        struct str text = str_slice(payload, 1, payload.len);
        if (run->log_cut)
                return ERR_OK;
        if (text.len > max - run->logged) {
                text.len = max - run->logged;
                run->log_cut = true;
        }
        run->logged += text.len;
        /* Without memory for more log, the run is worth more than its log. */
        if (buf_append(log, text.p, text.len) != ERR_OK)
                run->log_cut = true;
        if (run->log_cut)
                buf_printf(log,
                           "\n[dispatch: the log was truncated at its limit of %llu bytes, see "
                           "--log-bytes-max]\n",
                           (unsigned long long)max);
        return ERR_OK;
}

static const char *error_type_of(struct str name)
{
        static const char *const types[] = {"InputError", "FunctionError", "SystemError"};

        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                if (str_eq(name, str_of(types[i])))
                        return types[i];
        }
        return NULL;
}

/* Fields of a reply that we set ourselves, or that belong to a connection. */
static bool reply_field_is_ours(struct str name)
{
        return field_is_ours(name) || str_eq_nocase(name, STR("date")) || str_eq_nocase(name, STR("server"));
}

/* The agent itself says that what its function sent is no reply. Its words go into messages and logs: plain
 * characters only. */
static enum err_code refused(struct str why, struct err *err)
{
        char text[ERR_TEXT_MAX];
        size_t len = why.len < sizeof(text) ? why.len : sizeof(text);

        for (size_t i = 0; i < len; i++)
                text[i] = (char)(why.p[i] >= 0x20 && why.p[i] < 0x7f ? why.p[i] : '?');
        return err_set(err, ERR_BAD_REPLY, "%.*s", (int)len, text);
}

static enum err_code take_head(struct run *run, struct str payload, struct err *err)
{
        struct invocation *inv = run->inv;
        struct frame_field fields[FRAME_FIELDS_MAX];
        size_t count = 0;
        uint64_t status = 200;
        enum err_code code = frame_parse_fields(payload, fields, &count, err);

        if (code != ERR_OK)
                return code;
        if (run->replied)
                return err_set(err, ERR_INVALID, "a second head");
        struct str text = frame_field_get(fields, count, STR("dispatch-bad-reply"));
        if (text.p != NULL)
                return refused(text, err);
        text = frame_field_get(fields, count, STR(":status"));
        if (text.p != NULL && (!str_to_u64(text, &status) || status < 200 || status > 599))
                return err_set(err, ERR_INVALID, "a status that is none");
        text = frame_field_get(fields, count, STR("dispatch-error"));
        if (text.p != NULL && (inv->error_type = error_type_of(text)) == NULL)
                return err_set(err, ERR_INVALID, "an error of an unknown type");
        if (frame_field_get(fields, count, STR("dispatch-last")).p != NULL)
                instance_spend(run->instance);
        text = frame_field_get(fields, count, STR("content-type"));
        if (text.p != NULL &&
            (!http_value_valid(text) || buf_append(&inv->content, text.p, text.len) != ERR_OK))
                return err_set(err, ERR_INVALID, "a content type that is none");

        for (size_t i = 0; i < count; i++) {
                const struct frame_field *field = &fields[i];
                if ((field->name.len > 0 && field->name.p[0] == ':') || reply_field_is_ours(field->name))
                        continue;
                if (!http_token_valid(field->name) || !http_value_valid(field->value))
                        return err_set(err, ERR_INVALID, "a field with bytes that no header may have");
                if (buf_append(&inv->head, field->name.p, field->name.len) != ERR_OK ||
                    buf_append(&inv->head, "", 1) != ERR_OK ||
                    buf_append(&inv->head, field->value.p, field->value.len) != ERR_OK ||
                    buf_append(&inv->head, "", 1) != ERR_OK)
                        return err_set(err, ERR_INVALID, "a head that is too large");
        }
        inv->status = (int)status;
        run->replied = true;
        return ERR_OK;
}

static enum err_code take_data(struct run *run, struct str payload, struct err *err)
{
        struct invocation *inv = run->inv;
        uint32_t credit;

        if (!run->replied)
                return err_set(err, ERR_INVALID, "a body before its head");
        enum err_code code = buf_append(&inv->body, payload.p, payload.len);
        if (code == ERR_TOO_LARGE)
                return err_set(err, ERR_BAD_REPLY, "it is larger than %zu bytes, see --reply-bytes-max",
                               inv->body.max);
        if (code != ERR_OK)
                return err_nomem(err);
        run->consumed += payload.len;
        if (run->consumed < FRAME_WINDOW / 2)
                return ERR_OK;
        credit = (uint32_t)run->consumed;
        run->consumed = 0;
        unsigned char bytes[4] = {credit & 0xff, credit >> 8 & 0xff, credit >> 16 & 0xff,
                                  credit >> 24 & 0xff};
        code = frame_put(&run->instance->channel.out, FRAME_CREDIT, run->stream,
                         (struct str){(char *)bytes, sizeof(bytes)});
        instance_flush(run->instance);
        return code == ERR_OK ? ERR_OK : err_nomem(err);
}

static enum err_code take_credit(struct run *run, struct str payload, struct err *err)
{
        const unsigned char *bytes = (const unsigned char *)payload.p;

        if (payload.len != 4)
                return err_set(err, ERR_INVALID, "a credit that is none");
        uint64_t credit =
                bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
        if (run->window + credit > FRAME_WINDOW)
                return err_set(err, ERR_INVALID, "credit for more than was sent");
        run->window += credit;
        if (pump(run) != ERR_OK)
                return err_nomem(err);
        instance_flush(run->instance);
        return ERR_OK;
}

/* The body of an error reply is the error. What is no JSON is replaced: it goes into messages as it is. */
static void take_error(struct invocation *inv)
{
        json_t *error = NULL;

        if (json_parse((struct str){inv->body.data, inv->body.len}, &error, NULL) == ERR_OK &&
            json_is_object(error) && buf_append(&inv->error, inv->body.data, inv->body.len) == ERR_OK) {
                json_decref(error);
        } else {
                json_decref(error);
                buf_clear(&inv->error);
                buf_printf(
                        &inv->error,
                        "{\"type\":\"%s\",\"message\":\"the runtime sent an error that is no JSON object\","
                        "\"stacktrace\":null}",
                        inv->error_type);
        }
        buf_clear(&inv->body);
}

static enum err_code take_end(struct run *run, struct str payload, struct err *err)
{
        struct invocation *inv = run->inv;
        struct frame_usage usage;
        enum err_code code = frame_parse_usage(payload, &usage, err);

        if (code != ERR_OK)
                return code;
        if (!run->replied)
                return err_set(err, ERR_INVALID, "an end before its head");
        /* It answered without reading all of the request: what is left in the channel would confuse the next
         * run. */
        if (!run->sent_all)
                instance_spend(run->instance);
        uint64_t since_us = clock_mono_us() - run->run_us;
        inv->timing.handler_us = usage.handler_us < since_us ? usage.handler_us : since_us;
        inv->cpu_us = usage.cpu_us;
        inv->memory_peak_bytes = usage.memory_peak_bytes;
        inv->read_bytes = usage.read_bytes;
        inv->written_bytes = usage.written_bytes;
        inv->code = ERR_OK;
        if (inv->error_type != NULL)
                take_error(inv);
        run_finish(run);
        return ERR_OK;
}

/* READY, FAILED, and what was printed while the handler was loaded (which belongs to no run). */
static enum err_code channel_frame(struct instance *instance, const struct frame *frame, struct err *err)
{
        if (frame->type == FRAME_LOG)
                return ERR_OK;
        if (instance->state != INSTANCE_LOADING || instance->loading_us == 0)
                return err_set(err, ERR_INVALID, "a frame that nobody waits for");
        if (frame->type == FRAME_READY) {
                instance_loaded(instance, frame->payload);
                return ERR_OK;
        }
        if (frame->type == FRAME_FAILED) {
                json_t *error = NULL;
                bool sound = json_parse(frame->payload, &error, NULL) == ERR_OK && json_is_object(error);
                json_decref(error);
                instance_failed(instance,
                                sound ? frame->payload
                                      : STR("{\"type\":\"FunctionError\",\"message\":\"the runtime sent an "
                                            "error that is no JSON object\",\"stacktrace\":null}"));
                return ERR_OK;
        }
        return err_set(err, ERR_INVALID, "a frame that nobody waits for");
}

/* The run's caller was told already: what still comes of it is for nobody, until it is over. */
static void drain(struct run *run, const struct frame *frame)
{
        if (frame->type == FRAME_END || frame->type == FRAME_RESET)
                run_finish(run);
        else if (frame->type == FRAME_CREDIT)
                run->heard = true;
}

enum err_code exchange_frame(struct instance *instance, const struct frame *frame, struct err *err)
{
        if (frame->stream == 0)
                return channel_frame(instance, frame, err);
        struct run *run = instance->state == INSTANCE_BUSY ? run_find(instance, frame->stream) : NULL;
        if (run == NULL)
                return err_set(err, ERR_INVALID, "a frame of a run that is not under way");
        if (run->inv == NULL) {
                drain(run, frame);
                return ERR_OK;
        }
        switch (frame->type) {
        case FRAME_LOG:
                return take_log(run, frame->payload, err);
        case FRAME_HEAD:
                return take_head(run, frame->payload, err);
        case FRAME_DATA:
                return take_data(run, frame->payload, err);
        case FRAME_CREDIT:
                return take_credit(run, frame->payload, err);
        case FRAME_END:
                return take_end(run, frame->payload, err);
        case FRAME_RESET:
                return err_set(err, ERR_BAD_REPLY, "the runtime gave it up");
        case FRAME_UPGRADE:
        case FRAME_SPECIALISE:
        case FRAME_READY:
        case FRAME_FAILED:
        case FRAME_SECRETS:
                break;
        }
        return err_set(err, ERR_INVALID, "a frame that only the server sends");
}
