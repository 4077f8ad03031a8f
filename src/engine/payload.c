/* engine/payload.c: see payload.h. */
#include "engine/payload.h"

#include "base/own.h"
#include "http/url.h"

#include <stdlib.h>
#include <string.h>

enum media { MEDIA_NONE, MEDIA_JSON, MEDIA_FORM, MEDIA_TEXT, MEDIA_OTHER };

static enum media media_of(struct str content_type)
{
        struct str type = str_trim(str_cut(&content_type, ';'), " \t");

        if (type.len == 0)
                return MEDIA_NONE;
        if (str_eq_nocase(type, STR("application/json")) || str_eq_nocase(type, STR("application/x+json")) ||
            (type.len > 5 && str_eq_nocase(str_slice(type, type.len - 5, type.len), STR("+json"))))
                return MEDIA_JSON;
        if (str_eq_nocase(type, STR("application/x-www-form-urlencoded")))
                return MEDIA_FORM;
        return str_eq_nocase(type, STR("text/plain")) ? MEDIA_TEXT : MEDIA_OTHER;
}

/* How many bytes at the front are one character of UTF-8; 0: none are. */
static size_t character(struct str text)
{
        for (size_t len = 1; len <= 4 && len <= text.len; len++) {
                if (str_is_utf8(str_slice(text, 0, len)))
                        return len;
        }
        return 0;
}

/* Bytes that are not UTF-8 become U+FFFD. NULL: no memory. */
static json_t *clean_string(struct str text)
{
        if (str_is_utf8(text))
                return json_of(text);

        own_buf struct buf clean = {.max = 3 * text.len};
        while (text.len > 0) {
                size_t len = character(text);
                enum err_code code =
                        len > 0 ? buf_append(&clean, text.p, len) : buf_append_text(&clean, "\xef\xbf\xbd");
                if (code != ERR_OK)
                        return NULL;
                text = str_slice(text, len > 0 ? len : 1, text.len);
        }
        return json_stringn(clean.data, clean.len);
}

/* A repeated name makes an array. */
static bool form_add(json_t *object, const char *name, json_t *value)
{
        json_t *known = json_object_get(object, name);

        if (value == NULL)
                return false;
        if (known == NULL)
                return json_object_set_new(object, name, value) == 0;
        if (json_is_array(known))
                return json_array_append_new(known, value) == 0;
        json_t *list = json_array();
        if (list == NULL || json_array_append(list, known) < 0 || json_array_append_new(list, value) < 0) {
                json_decref(list);
                return false;
        }
        return json_object_set_new(object, name, list) == 0;
}

static enum err_code form_read(struct str form, json_t **ret, struct err *err)
{
        own_json json_t *object = json_object();
        own_mem char *space = malloc(form.len + 1);
        size_t count = 0;

        if (object == NULL || space == NULL)
                return err_nomem(err);
        while (form.len > 0) {
                struct str value = str_cut(&form, '&'), name;
                if (value.len == 0)
                        continue;
                if (++count > PAYLOAD_FIELDS_MAX)
                        return err_set(err, ERR_INVALID, "Invalid Input: more than %d fields",
                                       PAYLOAD_FIELDS_MAX);
                name = str_cut(&value, '=');
                own_json json_t *key = clean_string(url_form_text(name, space));
                if (key == NULL)
                        return err_nomem(err);
                if (strlen(json_string_value(key)) != json_string_length(key))
                        return err_set(err, ERR_INVALID, "Invalid Input: a field's name contains NUL");
                if (!form_add(object, json_string_value(key), clean_string(url_form_text(value, space))))
                        return err_nomem(err);
        }
        *ret = take_ptr(&object);
        return ERR_OK;
}

static enum err_code query_read(const struct invocation *inv, json_t **ret, struct err *err)
{
        struct str query = inv->target;

        str_cut(&query, '?');
        return form_read(query, ret, err);
}

static enum err_code json_read(const struct invocation *inv, json_t **ret, struct err *err)
{
        struct err why;
        enum err_code code = json_parse(inv->payload, ret, &why);

        if (code == ERR_OK)
                return ERR_OK;
        if (code == ERR_NO_MEMORY)
                return err_nomem(err);
        if (inv->source == SOURCE_ENDPOINT && json_valid(inv->payload) != ERR_OK)
                return err_set(err, ERR_INVALID, "request body is not json");
        return err_set(err, ERR_INVALID, "Invalid Input: %s", why.text);
}

static enum err_code literal(json_t *value, json_t **ret, struct err *err)
{
        if (value == NULL)
                return err_nomem(err);
        *ret = value;
        return ERR_OK;
}

static enum err_code not_json(struct err *err)
{
        return err_set(err, ERR_INVALID,
                       "the input is not JSON, which the function's schema.in demands: send it as "
                       "application/json or as a form");
}

static bool takes_query(const struct invocation *inv)
{
        return str_eq(inv->method, STR("GET")) || str_eq(inv->method, STR("HEAD")) ||
               (inv->source == SOURCE_ENDPOINT && inv->payload.len == 0 &&
                str_eq(inv->method, STR("OPTIONS")));
}

enum err_code payload_input(const struct invocation *inv, json_t **ret, struct err *err)
{
        enum media media = media_of(inv->content_type);
        bool run = inv->source == SOURCE_RUN;

        if (takes_query(inv))
                return query_read(inv, ret, err);
        if (inv->payload.len == 0 && run)
                return literal(json_null(), ret, err);
        if (inv->payload.len == 0 && media == MEDIA_NONE)
                return literal(json_object(), ret, err);
        if (media == MEDIA_JSON)
                return json_read(inv, ret, err);
        if (media == MEDIA_FORM)
                return form_read(inv->payload, ret, err);
        if (media == MEDIA_TEXT && run && str_is_utf8(inv->payload))
                return literal(json_of(inv->payload), ret, err);
        return not_json(err);
}

enum err_code payload_output(const struct invocation *inv, json_t **ret, struct err *err)
{
        struct str type = {inv->content.data, inv->content.len}, body = {inv->body.data, inv->body.len};
        enum media media = media_of(type);
        struct err why;

        if (body.len == 0 && media == MEDIA_NONE)
                return literal(json_null(), ret, err);
        if (media == MEDIA_TEXT && str_is_utf8(body))
                return literal(json_of(body), ret, err);
        if (media != MEDIA_JSON)
                return err_set(err, ERR_INVALID,
                               "the output is not JSON, which the function's schema.out demands");
        enum err_code code = json_parse(body, ret, &why);
        if (code == ERR_INVALID || code == ERR_TOO_LARGE)
                return err_set(err, ERR_INVALID,
                               "the output is not JSON, which the function's schema.out demands: %s",
                               why.text);
        return code == ERR_OK ? ERR_OK : err_nomem(err);
}
