/* api/endpoint_fields.c: the lists of an endpoint's definition, brought into the form that the gateway
 * compares. */
#include "api/endpoints.h"

#include "base/own.h"

#include <ctype.h>
#include <stdlib.h>

enum { PATH_BYTES_MAX = 1024, HOST_BYTES_MAX = 253 };

static enum err_code invalid(struct err *err, int detail, const char *what, struct str value,
                             const char *should)
{
        err_set(err, ERR_UNPROCESSABLE, "%s in body %s: \"%.*s\"", what, should,
                (int)(value.len < 128 ? value.len : 128), value.p);
        err->detail = detail;
        return ERR_UNPROCESSABLE;
}

static json_t *upper(struct str text)
{
        own_mem char *copy = strndup(text.p, text.len);

        if (copy == NULL)
                return NULL;
        for (char *p = copy; *p != '\0'; p++)
                *p = (char)toupper((unsigned char)*p);
        return json_string(copy);
}

static enum err_code method_normal(struct str sent, json_t **ret, struct err *err)
{
        *ret = upper(sent);
        if (*ret == NULL)
                return err_nomem(err);
        if (route_method_bit(str_of(json_string_value(*ret))) != ROUTE_OTHER)
                return ERR_OK;
        json_decref(*ret);
        return invalid(err, 606, "methods", sent,
                       "should be one of [GET HEAD POST PUT PATCH DELETE OPTIONS]");
}

/* A path as the gateway compares it: with its slash, without query; '*' only as the last segment. */
static enum err_code path_normal(struct str sent, json_t **ret, struct err *err)
{
        if (sent.len > PATH_BYTES_MAX)
                return invalid(err, 603, "uris", sent, "should be at most 1024 bytes long");
        for (size_t i = 0; i < sent.len; i++) {
                unsigned char c = (unsigned char)sent.p[i];
                bool last = i + 1 == sent.len && (i == 0 || sent.p[i - 1] == '/');

                if (c <= ' ' || c == 0x7f || c == '?' || c == '#' || (c == '*' && !last))
                        return invalid(err, 605, "uris", sent,
                                       "should be a path, with '*' only as its last segment");
        }
        *ret = json_sprintf("%s%.*s", sent.len > 0 && sent.p[0] == '/' ? "" : "/", STR_ARG(sent));
        return *ret != NULL ? ERR_OK : err_nomem(err);
}

/* Lower case and without port: the gateway compares it with Host in that form. */
static enum err_code host_normal(struct str sent, json_t **ret, struct err *err)
{
        char host[HOST_BYTES_MAX + 1];
        struct str rest = sent, name = str_cut(&rest, ':');

        if (str_eq(sent, STR(ENDPOINT_ANY_HOST))) {
                *ret = json_of(sent);
                return *ret != NULL ? ERR_OK : err_nomem(err);
        }
        if (name.len == 0 || name.len > HOST_BYTES_MAX)
                return invalid(err, 605, "hosts", sent, "should be a host name");
        for (size_t i = 0; i < name.len; i++) {
                unsigned char c = (unsigned char)name.p[i];

                if (!isascii(c) || (!isalnum(c) && c != '.' && c != '-' && c != '_'))
                        return invalid(err, 605, "hosts", sent, "should be a host name");
                host[i] = (char)tolower(c);
        }
        *ret = json_stringn(host, name.len);
        return *ret != NULL ? ERR_OK : err_nomem(err);
}

static enum err_code protocol_normal(struct str sent, json_t **ret, struct err *err)
{
        if (!str_eq(sent, STR("http")) && !str_eq(sent, STR("https")))
                return invalid(err, 606, "protocols", sent, "should be one of [http https]");
        *ret = json_of(sent);
        return *ret != NULL ? ERR_OK : err_nomem(err);
}

static const struct list {
        const char *key;
        const char *initial; /* what an empty list means; NULL: it stays empty */
        enum err_code (*normal)(struct str sent, json_t **ret, struct err *err);
} lists[] = {
        {"methods", "GET", method_normal},
        {"uris", "/", path_normal},
        {"hosts", NULL, host_normal},
        {"protocols", "http", protocol_normal},
};

static enum err_code list_normal(json_t *document, const struct list *list, struct err *err)
{
        own_json json_t *normal = json_array();
        const json_t *value;
        size_t i;

        if (normal == NULL)
                return err_nomem(err);
        json_array_foreach(json_object_get(document, list->key), i, value)
        {
                json_t *item;
                enum err_code code = list->normal(
                        (struct str){json_string_value(value), json_string_length(value)}, &item, err);
                if (code != ERR_OK)
                        return code;
                if (json_array_append_new(normal, item) < 0)
                        return err_nomem(err);
        }
        if (json_array_size(normal) == 0 && list->initial != NULL &&
            json_array_append_new(normal, json_string(list->initial)) < 0)
                return err_nomem(err);
        if (json_object_set(document, list->key, normal) < 0)
                return err_nomem(err);
        return ERR_OK;
}

enum err_code endpoint_normalize(json_t *document, struct err *err)
{
        enum err_code code = ERR_OK;

        for (size_t i = 0; code == ERR_OK && i < sizeof(lists) / sizeof(lists[0]); i++)
                code = list_normal(document, &lists[i], err);
        return code;
}
