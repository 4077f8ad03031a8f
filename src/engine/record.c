/*
 * engine/record.c: one run as the world sees it: the document of the API and the message of the original's
 * function runtime.
 */
#include "engine/recorder.h"

#include "base/clock.h"
#include "base/own.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_BYTES_MAX = 64 << 20, REQUEST_BYTES_MAX = 1 << 20 };

struct run_record *run_record_create(void)
{
        struct run_record *record = calloc(1, sizeof(*record));

        if (record == NULL)
                return NULL;
        invocation_init(&record->inv);
        buf_init(&record->input, INPUT_BYTES_MAX);
        buf_init(&record->request, REQUEST_BYTES_MAX);
        uuid_generate_ordered(record->inv.run_id);
        record->executed_us = clock_wall_us();
        record->begun_us = clock_mono_us();
        record->blocking = true;
        return record;
}

void run_record_finished(struct run_record *record)
{
        int64_t now_us = clock_wall_us();

        if (record->begun_us != 0)
                record->finished_us = record->executed_us + (int64_t)(clock_mono_us() - record->begun_us);
        else
                record->finished_us = now_us > record->executed_us ? now_us : record->executed_us;
}

void run_record_destroy(struct run_record *record)
{
        if (record == NULL)
                return;
        struct revision *revision = record->inv.revision; /* its names may be the record's: it goes last */
        invocation_finish(&record->inv);
        json_decref(record->secret_names);
        json_decref(record->tags);
        buf_finish(&record->input);
        buf_finish(&record->request);
        if (!record->names_borrowed) {
                free(record->function);
                free(record->organization);
                free(record->project);
        }
        revision_unref(revision);
        free(record);
}

static struct str view(const struct buf *buf)
{
        return (struct str){buf->data, buf->len};
}

/* A string that is UTF-8 whatever came: each byte that is not becomes U+FFFD. NULL: no memory. */
static json_t *text_json(struct str text)
{
        if (str_is_utf8(text) && memchr(text.p != NULL ? text.p : "", '\0', text.len) == NULL)
                return json_stringn(text.p != NULL ? text.p : "", text.len);
        assert(text.p != NULL);

        own_buf struct buf clean = {.max = text.len * 3 + 1};
        for (size_t i = 0; i < text.len; i++) {
                size_t len = 1;
                while (len < 5 && i + len <= text.len && !str_is_utf8(str_slice(text, i, i + len)))
                        len++;
                bool sound = len < 5 && i + len <= text.len && text.p[i] != '\0';
                enum err_code code =
                        sound ? buf_append(&clean, text.p + i, len) : buf_append_text(&clean, "\xef\xbf\xbd");
                if (code != ERR_OK)
                        return NULL;
                i += sound ? len - 1 : 0;
        }
        return json_stringn(clean.data, clean.len);
}

/* The lines of a log, null when there is none. */
static json_t *lines_json(struct str log)
{
        if (log.len == 0)
                return json_null();

        json_t *lines = json_array();
        while (log.len > 0) {
                struct str line = str_cut(&log, '\n');
                if (json_array_append_new(lines, text_json(line)) < 0) {
                        json_decref(lines);
                        return NULL;
                }
        }
        return lines;
}

static bool is_json_type(struct str type)
{
        type = str_trim(str_cut(&type, ';'), " \t");
        return str_eq_nocase(type, STR("application/json")) ||
               (type.len > 5 && str_eq_nocase(str_slice(type, type.len - 5, type.len), STR("+json")));
}

static json_t *base64_json(struct str bytes)
{
        size_t len = base64_encoded_len(bytes.len);
        own_mem char *text = malloc(len + 1);

        if (text == NULL)
                return NULL;
        base64_encode(bytes.p, bytes.len, text);
        return json_stringn(text, len);
}

/*
 * Bytes with a content type as a JSON value: JSON as it is, UTF-8 as a string, anything else base64 with
 * *ret_encoded set (CONTRACT 0.8). NULL: no memory.
 */
static json_t *payload_json(struct str type, struct str bytes, bool *ret_encoded)
{
        json_t *value = NULL;

        *ret_encoded = false;
        if (bytes.len == 0 && type.len == 0)
                return json_null();
        if (is_json_type(type) && json_parse(bytes, &value, NULL) == ERR_OK)
                return value;
        if (str_is_utf8(bytes))
                return json_stringn(bytes.p != NULL ? bytes.p : "", bytes.len);
        *ret_encoded = true;
        return base64_json(bytes);
}

static json_t *error_json(const struct invocation *inv)
{
        json_t *error = NULL;

        if (inv->error_type == NULL)
                return NULL;
        if (json_parse(view(&inv->error), &error, NULL) == ERR_OK && json_is_object(error))
                return error;
        json_decref(error);
        return json_pack("{s:s, s:s, s:n}", "type", inv->error_type, "message", inv->err.text, "stacktrace");
}

static json_t *logs_json(const struct invocation *inv)
{
        json_t *logs = json_object();

        json_object_set_new(logs, "stdout", lines_json(view(&inv->log_stdout)));
        json_object_set_new(logs, "stderr", lines_json(view(&inv->log_stderr)));
        return logs;
}

enum err_code run_record_message(const struct run_record *record, struct buf *out, struct err *err)
{
        const struct invocation *inv = &record->inv;
        own_json json_t *context = json_object();
        own_json json_t *payload = NULL;
        json_t *error = error_json(inv);
        struct str bytes = view(&inv->body);
        bool encoded = false;

        if (error != NULL)
                json_object_set_new(context, "error", error);
        json_object_set_new(context, "logs", logs_json(inv));
        payload = inv->error_type != NULL ? json_null() : payload_json(view(&inv->content), bytes, &encoded);
        if (context == NULL || payload == NULL)
                return err_nomem(err);
        own_json json_t *message = json_object();
        if (json_object_set(message, "context", context) < 0 ||
            json_object_set(message, "payload", payload) < 0)
                return err_nomem(err);
        if (encoded)
                json_object_set_new(message, "payloadEncoding", json_string("base64"));
        return json_print(message, out, err);
}

static void set_new(json_t *document, const char *key, json_t *value)
{
        json_object_set_new(document, key, value);
}

static void set_time(json_t *document, const char *seconds_key, const char *text_key, int64_t us)
{
        char text[CLOCK_RFC3339_LEN];

        clock_rfc3339(us, text);
        set_new(document, seconds_key, json_integer(us / 1000000));
        set_new(document, text_key, json_string(text));
}

/* Input and output stand in the record while they are small, or always for runs of the API. */
static bool keeps(const struct run_record *record, size_t len)
{
        return record->keep_payload || len <= RECORDER_PAYLOAD_BYTES_MAX;
}

static void set_payloads(const struct run_record *record, json_t *document, bool over)
{
        const struct invocation *inv = &record->inv;
        json_t *reason = json_object_get(document, "reason");
        bool encoded = false;

        if (!keeps(record, inv->payload.len))
                json_array_append_new(
                        reason, json_string("the input is larger than the record keeps and was left out"));
        else
                set_new(document, "input", payload_json(inv->content_type, inv->payload, &encoded));
        if (!over || inv->error_type != NULL)
                return;
        if (record->output_left_out || !keeps(record, inv->body.len))
                json_array_append_new(
                        reason, json_string("the output is larger than the record keeps and was left out"));
        else
                set_new(document, "output", payload_json(view(&inv->content), view(&inv->body), &encoded));
        if (encoded)
                set_new(document, "payloadEncoding", json_string("base64"));
}

static void set_result(const struct run_record *record, json_t *document)
{
        const struct invocation *inv = &record->inv;
        const struct invocation_timing *t = &inv->timing;
        json_t *error = error_json(inv);

        set_time(document, "finishedTime", "finishedAt", record->finished_us);
        set_new(document, "logs", logs_json(inv));
        if (error != NULL) {
                const json_t *message = json_object_get(error, "message");
                json_t *line = json_sprintf("error running function: %s: %s", record->function,
                                            json_is_string(message) ? json_string_value(message) : "");
                json_array_append_new(json_object_get(document, "reason"), line);
                set_new(document, "error", error);
        }
        if (inv->start != START_NONE)
                set_new(document, "start", json_string(start_kind_name(inv->start)));
        set_new(document, "timing",
                json_pack("{s:I, s:I, s:I, s:I, s:I}", "queue", (json_int_t)t->queue_us, "sandbox",
                          (json_int_t)t->sandbox_us, "start", (json_int_t)t->start_us, "import",
                          (json_int_t)t->import_us, "handler", (json_int_t)t->handler_us));
        set_new(document, "usage",
                json_pack("{s:I, s:I, s:I, s:I}", "cpuMicros", (json_int_t)inv->cpu_us, "memoryPeakBytes",
                          (json_int_t)inv->memory_peak_bytes, "ioReadBytes", (json_int_t)inv->read_bytes,
                          "ioWriteBytes", (json_int_t)inv->written_bytes));
}

/* The function's, once it is known which revision runs, then those that the run adds. */
static void set_secrets(const struct run_record *record, json_t *document)
{
        const struct revision *revision = record->inv.revision;
        json_t *names = json_array(), *name;
        size_t i;

        for (size_t at = 0; revision != NULL && at < revision->secret_count; at++)
                json_array_append_new(names, text_json(revision->secrets[at]));
        json_array_foreach(record->secret_names, i, name) json_array_append(names, name);
        if (json_array_size(names) > 0)
                json_object_set(document, "secrets", names);
        json_decref(names);
}

enum err_code run_record_document(const struct run_record *record, const char *status, json_t **ret,
                                  struct err *err)
{
        const struct invocation *inv = &record->inv;
        own_json json_t *document = json_object();
        bool over = record->finished_us != 0;

        set_new(document, "name", json_string(inv->run_id));
        set_new(document, "id", json_string(inv->run_id));
        set_new(document, "blocking", json_boolean(record->blocking));
        set_new(document, "functionName", json_string(record->function));
        set_new(document, "functionId", json_string(record->function_id));
        set_new(document, "faasId", json_string(record->function_id));
        set_new(document, "reason", json_array());
        set_time(document, "executedTime", "executedAt", record->executed_us);
        set_payloads(record, document, over);
        if (inv->http_context.len > 0) {
                json_t *context = NULL;
                if (json_parse(inv->http_context, &context, NULL) == ERR_OK)
                        set_new(document, "httpContext", context);
        }
        set_secrets(record, document);
        if (record->tags != NULL)
                json_object_set(document, "tags", record->tags);
        if (over)
                set_result(record, document);
        set_new(document, "status",
                json_string(!over                     ? status
                            : inv->error_type != NULL ? "ERROR"
                                                      : "READY"));
        if (json_array_size(json_object_get(document, "reason")) == 0)
                json_object_del(document, "reason");
        if (json_object_get(document, "status") == NULL)
                return err_nomem(err);
        *ret = json_incref(document);
        return ERR_OK;
}
