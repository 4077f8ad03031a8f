/* api/params.c: the table of list parameters, and the link to the next page. */
#include "api/params.h"

#include "http/url.h"

#include <stdio.h>

enum { QUERY_PAIRS_MAX = 100, LINK_BYTES_MAX = 192 * 1024 };

#define BIT(kind) (1U << MODEL_##kind)
#define ALL       ((1U << MODEL_KIND_COUNT) - 1)

static const char *const statuses[] = {"INITIALIZED", "CREATING", "READY",   "UPDATING",
                                       "ERROR",       "DELETING", "DELETED", NULL};

const struct param_info param_table[PARAM_COUNT] = {
        [PARAM_TAGS] = {"tags", ALL, false, 0, NULL,
                        "`key=value`, or `key` with any value. Repeatable: all of them must hold."},
        [PARAM_LIMIT] = {"limit", ALL, true, 1, NULL,
                         "Entries of a page, at most 1000. When there are more, `Link` names the next page."},
        [PARAM_CURSOR] = {"cursor", ALL, false, 0, NULL,
                          "Where a page begins: opaque, from the `Link` of the page before."},
        [PARAM_LANGUAGE] = {"language", BIT(IMAGE), false, 0, NULL, "Images of this language."},
        [PARAM_STATE] = {"state", BIT(FUNCTION), false, 0, statuses, "Functions with this status."},
        [PARAM_FUNCTION] = {"function", BIT(ENDPOINT) | BIT(API), false, 0, NULL,
                            "Those that call the function of this name."},
        [PARAM_FUNCTION_NAME] = {"functionName", BIT(RUN), false, 0, NULL,
                                 "Runs of the function of this name."},
        [PARAM_SINCE] = {"since", BIT(RUN), true, INT64_MIN, NULL,
                         "Runs that changed at or after this time, in seconds since 1970."},
        [PARAM_STATUS] = {"status", BIT(RUN), false, 0, statuses, "Runs with this status."},
};

static enum err_code refuse(struct err *err, int detail)
{
        err->detail = detail;
        return ERR_UNPROCESSABLE;
}

static enum err_code integer_read(const struct param_info *info, struct str text, int64_t *ret,
                                  struct err *err)
{
        if (!str_to_i64(text, ret)) {
                err_set(err, ERR_UNPROCESSABLE, "%s in query must be of type int64: \"%.*s\"", info->name,
                        (int)(text.len < 128 ? text.len : 128), text.p);
                return refuse(err, 601);
        }
        if (*ret >= info->min)
                return ERR_OK;
        err_set(err, ERR_UNPROCESSABLE, "%s in query should be greater than or equal to %lld", info->name,
                (long long)info->min);
        return refuse(err, 606);
}

static enum err_code values_check(const struct param_info *info, struct str text, struct err *err)
{
        char list[160] = "";
        size_t len = 0;

        for (const char *const *value = info->values; *value != NULL; value++) {
                if (str_eq(str_of(*value), text))
                        return ERR_OK;
                len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", len > 0 ? " " : "", *value);
        }
        err_set(err, ERR_UNPROCESSABLE, "%s in query should be one of [%s]", info->name, list);
        return refuse(err, 606);
}

static enum err_code tag_add(struct params *params, struct str text, struct err *err)
{
        if (params->tag_count == PARAM_TAGS_MAX) {
                err_set(err, ERR_UNPROCESSABLE, "tags in query should have at most %d items", PARAM_TAGS_MAX);
                return refuse(err, 603);
        }
        params->tags[params->tag_count++] = text;
        return ERR_OK;
}

static enum err_code param_take(struct params *params, enum param which, struct str text, struct err *err)
{
        const struct param_info *info = &param_table[which];

        if (text.len == 0)
                return ERR_OK;
        if (which == PARAM_TAGS)
                return tag_add(params, text, err);
        if (params->text[which].len > 0)
                return ERR_OK;
        params->text[which] = text;
        if (info->is_integer)
                return integer_read(info, text, &params->number[which], err);
        return info->values != NULL ? values_check(info, text, err) : ERR_OK;
}

static enum param param_find(struct str name, enum model_kind kind)
{
        int which = 0;

        while (which < PARAM_COUNT && !((param_table[which].kinds & 1U << kind) != 0 &&
                                        str_eq(str_of(param_table[which].name), name)))
                which++;
        return (enum param)which;
}

enum err_code params_read(struct api_call *call, enum model_kind kind, struct params *ret, struct err *err)
{
        struct url_pairs pairs = url_pairs_begin(call->query, QUERY_PAIRS_MAX);
        struct params params = {0};
        struct str name, value;
        enum err_code code;

        while ((code = url_pairs_next(&pairs, &call->arena, &name, &value)) == ERR_OK) {
                enum param which = param_find(name, kind);

                if (which != PARAM_COUNT && (code = param_take(&params, which, value, err)) != ERR_OK)
                        return code;
        }
        if (code != ERR_NOT_FOUND)
                return err_set(err, code, "malformed query");
        if (params.number[PARAM_LIMIT] > PARAM_LIMIT_MAX)
                params.number[PARAM_LIMIT] = PARAM_LIMIT_MAX;
        *ret = params;
        return ERR_OK;
}

static struct str member(const json_t *object, const char *key)
{
        const json_t *value = json_object_get(object, key);

        return (struct str){json_is_string(value) ? json_string_value(value) : "", json_string_length(value)};
}

static bool tag_holds(struct str asked, const json_t *tags)
{
        struct str value = asked, key = str_cut(&value, '=');
        const json_t *tag;
        size_t i;

        json_array_foreach(tags, i, tag)
        {
                if (str_eq(member(tag, "key"), key) &&
                    (key.len == asked.len || str_eq(member(tag, "value"), value)))
                        return true;
        }
        return false;
}

bool params_tags_hold(const struct params *params, const json_t *tags)
{
        for (size_t i = 0; i < params->tag_count; i++) {
                if (!tag_holds(params->tags[i], tags))
                        return false;
        }
        return true;
}

/* As it came, but for what would end the link or its header field. */
static enum err_code pair_append(struct buf *out, struct str pair)
{
        enum err_code code = ERR_OK;

        for (size_t i = 0; code == ERR_OK && i < pair.len; i++) {
                unsigned char c = (unsigned char)pair.p[i];

                if (c <= ' ' || c >= 0x7f || c == '<' || c == '>' || c == '"')
                        code = buf_printf(out, "%%%02X", c);
                else
                        code = buf_append(out, pair.p + i, 1);
        }
        return code == ERR_OK ? buf_append_text(out, "&") : code;
}

static bool is_cursor(struct api_call *call, struct str pair)
{
        struct str name;

        return url_decode(str_cut(&pair, '='), true, &call->arena, &name) == ERR_OK &&
               str_eq(name, STR("cursor"));
}

enum err_code params_link_next(struct api_call *call, const char *cursor, struct err *err)
{
        own_buf struct buf link = {0};
        struct str rest = call->query;
        enum err_code code;

        buf_init(&link, LINK_BYTES_MAX);
        code = buf_printf(&link, "</v1/%s?", model_resource(call->route.kind)->collection);
        while (code == ERR_OK && rest.len > 0) {
                struct str pair = str_cut(&rest, '&');

                if (pair.len > 0 && !is_cursor(call, pair))
                        code = pair_append(&link, pair);
        }
        if (code == ERR_OK)
                code = buf_printf(&link, "cursor=%s>; rel=\"next\"", cursor);
        if (code != ERR_OK || buf_text(&link) == NULL)
                return err_nomem(err);
        api_call_field(call, "Link", buf_text(&link));
        return ERR_OK;
}
