/* api/run_request.c: from the body of POST /v1/runs to an invocation. */
#include "api/resource.h"
#include "api/run.h"

#include "base/own.h"
#include "model/yaml.h"

#include <stdlib.h>
#include <string.h>

static void run_release(struct run_call **run)
{
        run_call_destroy(*run);
}

void run_call_destroy(struct run_call *run)
{
        if (run == NULL)
                return;
        if (run->secrets.data != NULL)
                explicit_bzero(run->secrets.data, run->secrets.capacity);
        buf_finish(&run->secrets);
        loop_timer_destroy(run->timer);
        run_record_destroy(run->record);
        json_decref(run->request);
        free(run->accept);
        free(run);
}

void run_fail(struct run_record *record, enum err_code code, const char *type, const char *text)
{
        struct invocation *inv = &record->inv;

        inv->code = err_set(&inv->err, code, "%s", text);
        inv->error_type = type;
        buf_clear(&inv->body);
        buf_clear(&inv->error);
        if (buf_printf(&inv->error, "{\"type\":\"%s\",\"message\":", type) != ERR_OK ||
            json_quote(str_of(text), &inv->error) != ERR_OK ||
            buf_append_text(&inv->error, ",\"stacktrace\":null}") != ERR_OK)
                buf_clear(&inv->error);
}

/* What this version cannot honour is refused, not ignored. */
static enum err_code unsupported_check(const json_t *request, struct err *err)
{
        if (json_array_size(json_object_get(request, "services")) > 0)
                return err_set(err, ERR_UNPROCESSABLE,
                               "services are not available in this version of Dispatch");
        if (json_object_size(json_object_get(request, "event")) > 0)
                return err_set(err, ERR_UNPROCESSABLE,
                               "runs with an event are not available in this version of Dispatch");
        return ERR_OK;
}

/* A member of httpContext whatever the case of its name, as header fields are. */
static struct str context_get(const json_t *context, struct str name)
{
        const char *key;
        json_t *value;

        json_object_foreach((json_t *)context, key, value)
        {
                if (str_eq_nocase(str_of(key), name) && json_is_string(value))
                        return (struct str){json_string_value(value), json_string_length(value)};
        }
        return (struct str){NULL, 0};
}

static struct str media_type(struct str content_type)
{
        return str_trim(str_cut(&content_type, ';'), " \t");
}

static bool is_yaml(struct str content_type)
{
        struct str type = media_type(content_type);

        return str_eq_nocase(type, STR("application/yaml")) ||
               str_eq_nocase(type, STR("application/x-yaml")) || str_eq_nocase(type, STR("text/yaml"));
}

/* Runtimes take JSON: YAML is turned into it here. */
static enum err_code yaml_convert(struct run_record *record, struct err *err)
{
        own_json json_t *value = NULL;
        own_buf struct buf text = {0};
        enum err_code code = yaml_parse((struct str){record->input.data, record->input.len}, &value, err);

        if (code != ERR_OK)
                return code;
        buf_init(&text, record->input.max);
        if ((code = json_print(value, &text, err)) != ERR_OK)
                return code;
        buf_finish(&record->input);
        record->input = (struct buf){.max = text.max};
        buf_move(&record->input, &text);
        return ERR_OK;
}

static enum err_code bytes_read(struct run_record *record, struct str base64, struct err *err)
{
        size_t len, bad;

        if (buf_reserve(&record->input, base64.len / 4 * 3 + 3) != ERR_OK)
                return err_nomem(err);
        if (!base64_decode(base64, record->input.data, &len, &bad))
                return err_set(
                        err, ERR_INVALID,
                        "parsing body body from \"\" failed, because illegal base64 data at input byte %zu",
                        bad);
        record->input.len = len;
        return ERR_OK;
}

struct texts {
        struct str type, context;
};

/* Views move with the buffer that they point into, so they are set once all is in it. */
static enum err_code texts_keep(struct run_record *record, const struct texts *texts, struct err *err)
{
        struct buf *to = &record->request;

        if (buf_append(to, texts->type.p, texts->type.len) != ERR_OK ||
            buf_append(to, texts->context.p, texts->context.len) != ERR_OK)
                return err_set(err, ERR_TOO_LARGE, "httpContext is larger than the limit of %zu bytes",
                               to->max);
        if (texts->type.len > 0)
                record->inv.content_type = (struct str){to->data, texts->type.len};
        if (texts->context.len > 0)
                record->inv.http_context = (struct str){to->data + texts->type.len, texts->context.len};
        return ERR_OK;
}

static enum err_code request_keep(struct run_call *run, struct str type, const json_t *context,
                                  struct err *err)
{
        own_buf struct buf text = {0};
        enum err_code code = ERR_OK;

        buf_init(&text, run->record->request.max);
        if (context != NULL)
                code = json_print(context, &text, err);
        if (code != ERR_OK)
                return code;

        struct texts texts = {type, {text.data, text.len}};
        return texts_keep(run->record, &texts, err);
}

/* The original sent httpContext as header fields; what cannot be one is only in context.httpContext. */
static void fields_fill(struct run_call *run, const json_t *context)
{
        struct invocation *inv = &run->record->inv;
        const char *key;
        json_t *value;
        size_t count = 0;

        json_object_foreach((json_t *)context, key, value)
        {
                struct str text = {json_string_value(value), json_string_length(value)};

                if (count == RUN_FIELDS_MAX || text.p == NULL || !http_token_valid(str_of(key)) ||
                    !http_value_valid(text))
                        continue;
                run->fields[count++] = (struct http_field){str_of(key), text};
        }
        inv->fields = (struct http_fields){run->fields, count};
}

/* `inputBytes` are bytes of the type that httpContext names. */
static enum err_code message_read(struct run_call *run, const json_t *context, bool *ret_over,
                                  struct err *err)
{
        struct run_record *record = run->record;
        struct str type = context_get(context, STR("Content-Type"));
        struct str accept = context_get(context, STR("Accept"));
        enum err_code code = bytes_read(record, json_str(run->request, "inputBytes"), err);

        run->message_form = true;
        if (code != ERR_OK)
                return code;
        run->accept = strndup(accept.p != NULL ? accept.p : "", accept.len);
        if (run->accept == NULL)
                return err_nomem(err);
        if (record->input.len == 0) {
                type = (struct str){NULL, 0}; /* no input is null, not an empty document */
        } else if (is_yaml(type)) {
                struct err inner;

                if (yaml_convert(record, &inner) != ERR_OK) {
                        err_wrap(&inner, ERR_INVALID, "Invalid Input");
                        run_fail(record, ERR_INVALID, "InputError", inner.text);
                        *ret_over = true;
                }
                type = STR("application/json");
        } else if (str_eq_nocase(media_type(type), STR("application/x+json"))) {
                type = STR("application/json");
        }
        return request_keep(run, type, context, err);
}

/* `input` is a value. */
static enum err_code value_read(struct run_call *run, const json_t *value, const json_t *context,
                                struct err *err)
{
        enum err_code code = ERR_OK;

        if (value != NULL)
                code = json_print(value, &run->record->input, err);
        if (code != ERR_OK)
                return code;
        return request_keep(run, value != NULL ? STR("application/json") : (struct str){NULL, 0}, context,
                            err);
}

static bool caller_keep(struct run_record *record, const struct caller *caller, struct str function)
{
        record->function = strndup(function.p, function.len);
        record->organization = strndup(caller->organization.p, caller->organization.len);
        record->project = strndup(caller->project.p, caller->project.len);
        return record->function != NULL && record->organization != NULL && record->project != NULL;
}

static enum err_code input_read(struct run_call *run, const json_t *sent, bool *ret_over, struct err *err)
{
        struct run_record *record = run->record;
        const json_t *context = json_object_get(run->request, "httpContext");
        const json_t *value = json_object_get(sent, "input");
        const json_t *secrets = json_object_get(run->request, "secrets");
        enum err_code code;

        /* SEED's client leaves out inputBytes that are empty, but always sends httpContext. */
        if (value == NULL && (json_object_get(sent, "inputBytes") != NULL || context != NULL))
                code = message_read(run, context, ret_over, err);
        else
                code = value_read(run, value, context, err);
        if (code != ERR_OK)
                return code;
        fields_fill(run, context);
        record->secret_names = json_incref((json_t *)secrets);
        record->tags = json_incref(json_object_get(run->request, "tags"));
        record->blocking = json_is_true(json_object_get(run->request, "blocking"));
        record->keep_payload = true;
        record->inv.payload = (struct str){record->input.data, record->input.len};
        record->inv.source = SOURCE_RUN;
        record->inv.method = STR("POST");
        record->inv.target = STR("/");
        record->inv.scheme = STR("http");
        return ERR_OK;
}

enum err_code run_request_read(struct api_call *call, struct str function, struct run_call **ret,
                               bool *ret_over, struct err *err)
{
        own_json json_t *sent = NULL;
        enum err_code code = api_body_parse(call, MODEL_RUN, &sent, err);

        if (code != ERR_OK)
                return code;
        __attribute__((cleanup(run_release))) struct run_call *run = calloc(1, sizeof(*run));
        if (run == NULL)
                return err_nomem(err);
        run->api = call->api;
        buf_init(&run->secrets, 4 * 1024 * 1024);
        if ((code = model_parse(model_resource(MODEL_RUN), sent, NULL, &run->request, err)) != ERR_OK ||
            (code = unsupported_check(run->request, err)) != ERR_OK)
                return code;
        if ((run->record = run_record_create()) == NULL || !caller_keep(run->record, &call->caller, function))
                return err_nomem(err);
        if ((code = input_read(run, sent, ret_over, err)) != ERR_OK)
                return code;
        *ret = take_ptr(&run);
        return ERR_OK;
}
