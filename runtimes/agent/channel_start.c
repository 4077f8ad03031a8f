/* runtimes/agent/channel_start.c: SPECIALISE: what the instance becomes, its environment and its secrets. */
#include "runtimes/agent/channel_impl.h"

#include "base/own.h"

static enum err_code set_variable(struct str name, struct str value, struct err *err)
{
        own_mem char *key = strndup(name.p, name.len), *text = strndup(value.p, value.len);

        if (key == NULL || text == NULL)
                return err_nomem(err);
        return setenv(key, text, 1) < 0 ? err_sys(err, "setenv '%s'", key) : ERR_OK;
}

/* A field as a string that lives as long as the channel: the copy follows the payload in `start`. */
static const char *field_text(struct channel *ch, struct str value)
{
        const char *text = ch->start.data + ch->start.len;

        if (value.p == NULL)
                return "";
        if (buf_append(&ch->start, value.p, value.len) != ERR_OK || buf_append(&ch->start, "", 1) != ERR_OK)
                return NULL;
        return text;
}

static uint64_t field_number(const struct frame_field *fields, size_t count, struct str name,
                             uint64_t otherwise)
{
        uint64_t value;

        return str_to_u64(frame_field_get(fields, count, name), &value) ? value : otherwise;
}

/* How many threads libraries for numbers may have, which would go by the host's processors and not by the
 * function's share of them; what its own environment says comes first. One thread can be forked from. */
static enum err_code set_threads(struct str number, struct err *err)
{
        static const char *const names[] = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"};
        char text[24];

        if (number.p == NULL)
                return ERR_OK;
        snprintf(text, sizeof(text), "%.*s", STR_ARG(number));
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                if (setenv(names[i], text, 0) < 0)
                        return err_sys(err, "setenv '%s'", names[i]);
        }
        return ERR_OK;
}

static enum err_code read_specialisation(struct channel *ch, struct specialisation *ret, struct err *err)
{
        struct frame_field fields[FRAME_FIELDS_MAX];
        size_t count = 0;

        /* No text moves any more once twice the payload is reserved. */
        if (buf_reserve(&ch->start, ch->start.len + 2) != ERR_OK)
                return err_nomem(err);
        enum err_code code =
                frame_parse_fields((struct str){ch->start.data, ch->start.len}, fields, &count, err);
        for (size_t i = 0; i < count && code == ERR_OK; i++) {
                if (str_starts(fields[i].name, STR("env-")))
                        code = set_variable(str_slice(fields[i].name, 4, fields[i].name.len), fields[i].value,
                                            err);
        }
        if (code == ERR_OK)
                code = set_threads(frame_field_get(fields, count, STR("threads")), err);
        if (code != ERR_OK)
                return code;
        *ret = (struct specialisation){
                .function = field_text(ch, frame_field_get(fields, count, STR("function"))),
                .handler = field_text(ch, frame_field_get(fields, count, STR("handler"))),
                .timeout_ms = field_number(fields, count, STR("timeout-ms"), 0),
                .log_bytes_max = field_number(fields, count, STR("log-bytes-max"), AGENT_LOG_MAX),
                .reply_bytes_max = field_number(fields, count, STR("reply-bytes-max"), AGENT_REPLY_MAX),
                .concurrency = field_number(fields, count, STR("concurrency"), 1),
                .start_timeout_ms = field_number(fields, count, STR("start-timeout-ms"), 0),
                .secrets = {ch->secrets.data, ch->secrets.len},
        };
        if (ret->concurrency > STREAMS_MAX)
                ch->streams_max =
                        ret->concurrency < CONCURRENCY_MAX ? (size_t)ret->concurrency : CONCURRENCY_MAX;
        return ret->function != NULL && ret->handler != NULL ? ERR_OK : err_nomem(err);
}

enum err_code channel_specialise(struct transport *t, struct specialisation *ret, struct err *err)
{
        struct channel *ch = channel_of(t);

        while (!ch->specialised) {
                enum err_code code = channel_wait(ch, true, err);
                if (code != ERR_OK)
                        return code;
        }
        return read_specialisation(ch, ret, err);
}
