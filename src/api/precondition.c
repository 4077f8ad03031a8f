/* api/precondition.c: entity tags, If-Match and If-None-Match. */
#include "api/precondition.h"
#include "api/status.h"

#include <inttypes.h>
#include <stdio.h>

enum { ID_LEN = 8 };

void api_etag(const struct store_row *row, char out[ETAG_LEN_MAX])
{
        json_int_t moved = json_integer_value(json_object_get(row->internal, "movedUs"));
        enum status status = status_of(row->document);

        if (status != STATUS_NONE && status_is_pending(status))
                snprintf(out, ETAG_LEN_MAX, "\"%" PRId64 "\"", row->revision);
        else
                snprintf(out, ETAG_LEN_MAX, "\"%" PRId64 ".%.*s.%llx\"", row->revision, ID_LEN, row->id,
                         (unsigned long long)moved);
}

/* The next entity-tag of a list, without its quotes; false at the end. What is quoted badly is a tag that no
 * resource has. */
static bool tag_next(struct str *list, struct str *ret, bool *ret_weak)
{
        while (list->len > 0 && (list->p[0] == ',' || list->p[0] == ' ' || list->p[0] == '\t'))
                *list = str_slice(*list, 1, list->len);
        if (list->len == 0)
                return false;
        *ret_weak = str_starts(*list, STR("W/"));
        if (*ret_weak)
                *list = str_slice(*list, 2, list->len);
        if (list->len == 0 || list->p[0] != '"') {
                *ret = str_trim(str_cut(list, ','), " \t");
                return true;
        }
        *list = str_slice(*list, 1, list->len);
        if (str_find(*list, '"') == list->len)
                *list = STR("\"");
        *ret = str_cut(list, '"');
        return true;
}

static struct str revision_text(const struct store_row *row, char space[32])
{
        snprintf(space, 32, "%" PRId64, row->revision);
        return str_of(space);
}

/* True if the tag names what callers made of the row, whatever its status is by now. */
static bool tag_names(struct str tag, const struct store_row *row)
{
        char space[32];
        struct str rest = tag, revision = str_cut(&rest, '.');

        if (!str_eq(revision, revision_text(row, space)))
                return false;
        return revision.len == tag.len || str_eq(str_cut(&rest, '.'), (struct str){row->id, ID_LEN});
}

/* RFC 9110, 13.1.1: strong comparison. */
static bool match_holds(struct str list, const struct store_row *row)
{
        struct str tag;
        bool weak;

        if (str_eq(str_trim(list, " \t"), STR("*")))
                return true;
        while (tag_next(&list, &tag, &weak)) {
                if (!weak && tag_names(tag, row))
                        return true;
        }
        return false;
}

/* RFC 9110, 13.1.2: weak comparison. */
static bool none_match_names(struct str list, const struct store_row *row, bool exactly)
{
        char etag[ETAG_LEN_MAX];
        struct str tag, whole;
        bool weak;

        if (str_eq(str_trim(list, " \t"), STR("*")))
                return true;
        api_etag(row, etag);
        whole = str_trim(str_of(etag), "\"");
        while (tag_next(&list, &tag, &weak)) {
                if (exactly ? str_eq(tag, whole) : tag_names(tag, row))
                        return true;
        }
        return false;
}

static int shown_len(struct str text)
{
        return (int)(text.len < 64 ? text.len : 64);
}

enum err_code precondition_check(const struct api_call *call, enum model_kind kind,
                                 const struct store_row *row, struct err *err)
{
        const char *label = model_resource(kind)->label;
        struct str match = call->if_match, none = call->if_none_match;

        if (match.len > 0 && !match_holds(match, row))
                return err_set(err, ERR_PRECONDITION, "%s %s is at revision %" PRId64 ", If-Match names %.*s",
                               label, row->name, row->revision, shown_len(match), match.p);
        if (none.len > 0 && none_match_names(none, row, false))
                return err_set(err, ERR_PRECONDITION,
                               "%s %s is there, at revision %" PRId64 ", and If-None-Match is %.*s", label,
                               row->name, row->revision, shown_len(none), none.p);
        return ERR_OK;
}

bool precondition_has(const struct api_call *call, const struct store_row *row)
{
        enum status status = status_of(row->document);

        if (call->if_none_match.len == 0)
                return false;
        /* On its way it is not what it will be, and its tag does not tell. */
        if (status != STATUS_NONE && status_is_pending(status))
                return false;
        return none_match_names(call->if_none_match, row, true);
}
