/*
 * The query and the conditions of a call as they may come: the first line is If-Match, the second
 * If-None-Match, the rest the query. What is read is within its limits; the link to the next page is a field
 * value, and its query says the same as the one that it came from; a condition never depends on anything but
 * the entity tags.
 */
#include "api/params.h"
#include "api/precondition.h"
#include "http/message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char cursor[] = "00ff";

static bool params_same(const struct params *a, const struct params *b)
{
        for (int i = 0; i < PARAM_COUNT; i++) {
                if (i != PARAM_CURSOR && (!str_eq(a->text[i], b->text[i]) || a->number[i] != b->number[i]))
                        return false;
        }
        for (size_t i = 0; i < a->tag_count && i < b->tag_count; i++) {
                if (!str_eq(a->tags[i], b->tags[i]))
                        return false;
        }
        return a->tag_count == b->tag_count;
}

static void check_link(struct api_call *call, enum model_kind kind, const struct params *params)
{
        struct params again;
        struct err err;

        if (params_link_next(call, cursor, &err) != ERR_OK || call->field_count == 0)
                return; /* no memory for so much */

        struct str link = call->fields[call->field_count - 1].value;
        assert(http_value_valid(link) && str_starts(link, STR("</v1/")));
        assert(str_find(link, '>') + sizeof("; rel=\"next\"") == link.len);
        str_cut(&link, '?');
        call->query = str_cut(&link, '>');
        enum err_code code = params_read(call, kind, &again, &err);
        if (code == ERR_TOO_LARGE || code == ERR_NO_MEMORY)
                return; /* one pair more than it had */
        assert(code == ERR_OK);
        assert(str_eq(again.text[PARAM_CURSOR], str_of(cursor)) && params_same(params, &again));
}

static void check_query(struct api_call *call, enum model_kind kind)
{
        struct params params;
        struct err err;
        enum err_code code = params_read(call, kind, &params, &err);

        if (code != ERR_OK) {
                assert(code == ERR_INVALID || code == ERR_TOO_LARGE || code == ERR_NO_MEMORY ||
                       (code == ERR_UNPROCESSABLE && err.detail >= 601 && err.detail <= 606));
                return;
        }
        assert(params.tag_count <= PARAM_TAGS_MAX && params.number[PARAM_LIMIT] <= PARAM_LIMIT_MAX);
        assert(params.tag_count == 0 || !params_tags_hold(&params, NULL));
        check_link(call, kind, &params);
}

static bool has(struct str text, const char *part)
{
        return text.len > 0 && memmem(text.p, text.len, part, strlen(part)) != NULL;
}

static void check_conditions(const struct api_call *call)
{
        json_t *document = json_object(), *internal = json_object();
        char name[] = "n", id[] = "0123abcd-0000-4000-8000-000000000000";
        const struct store_row row = {
                .name = name, .id = id, .revision = 7, .document = document, .internal = internal};
        char etag[ETAG_LEN_MAX];
        struct err err;

        api_etag(&row, etag);
        enum err_code code = precondition_check(call, MODEL_SECRET, &row, &err);
        assert(code == ERR_OK || code == ERR_PRECONDITION);
        /* What is neither the revision nor "*" names nothing. */
        if (call->if_match.len > 0 && !has(call->if_match, "7") && !has(call->if_match, "*"))
                assert(code == ERR_PRECONDITION);
        etag[strlen(etag) - 1] = '\0';
        if (precondition_has(call, &row))
                assert(has(call->if_none_match, etag + 1) || has(call->if_none_match, "*"));
        json_decref(document);
        json_decref(internal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str rest = {(const char *)data, size};
        struct str match = str_cut(&rest, '\n'), none = str_cut(&rest, '\n');

        for (int kind = 0; kind < MODEL_KIND_COUNT; kind++) {
                struct api_call call = {.query = rest, .if_match = match, .if_none_match = none};

                call.route.kind = (enum model_kind)kind;
                arena_init(&call.arena, CALL_TEXT_BYTES_MAX);
                check_query(&call, (enum model_kind)kind);
                check_conditions(&call);
                arena_finish(&call.arena);
        }
        return 0;
}
