/* api/page.c: pages of lists. */
#include "api/page.h"
#include "api/internal.h"

#include <assert.h>
#include <stdio.h>

static bool is_filtered(const struct params *params)
{
        for (int i = 0; i < PARAM_COUNT; i++) {
                if (i != PARAM_LIMIT && i != PARAM_CURSOR && params->text[i].len > 0)
                        return true;
        }
        return params->tag_count > 0;
}

enum err_code page_begin(struct page *page, struct api_call *call, enum model_kind kind,
                         uint64_t limit_initial, struct err *err)
{
        *page = (struct page){.call = call, .limit = limit_initial};
        enum err_code code = params_read(call, kind, &page->params, err);

        if (code == ERR_OK && page->params.text[PARAM_CURSOR].len > 0)
                code = cursor_read(call, page->params.text[PARAM_CURSOR], &page->after, err);
        if (code != ERR_OK)
                return code;
        if (page->params.number[PARAM_LIMIT] > 0)
                page->limit = (uint64_t)page->params.number[PARAM_LIMIT];
        if (is_filtered(&page->params))
                page->scan_max = PAGE_SCAN_MAX;
        return buf_append_text(&call->reply, "[") == ERR_OK ? ERR_OK : err_nomem(err);
}

bool page_look(struct page *page)
{
        if (page->scan_max != 0 && page->scanned == page->scan_max) {
                page->more = true;
                return false;
        }
        page->scanned++;
        return true;
}

void page_pass(struct page *page, struct str place)
{
        assert(place.len <= CURSOR_PLACE_MAX);
        snprintf(page->place, sizeof(page->place), "%.*s", STR_ARG(place));
}

bool page_has_room(struct page *page)
{
        if (page->limit != 0 && page->count == page->limit)
                page->more = true;
        return !page->more;
}

bool page_add(struct page *page, const json_t *shown, struct str place)
{
        struct buf *out = &page->call->reply;
        size_t before = out->len;
        enum err_code code = ERR_OK;

        if (shown == NULL) {
                page->code = err_nomem(&page->err);
                return false;
        }
        if (page->count > 0)
                code = buf_append_text(out, ",");
        if (code == ERR_OK)
                code = json_print(shown, out, &page->err);
        if (code == ERR_OK && out->len + 2 <= CALL_REPLY_BYTES_MAX) {
                page->count++;
                page_pass(page, place);
                return true;
        }
        /* What does not fit in the reply begins the next page. */
        out->len = before;
        page->more = page->count > 0 && code != ERR_NO_MEMORY;
        if (!page->more)
                page->code = err_set(&page->err, code != ERR_OK ? code : ERR_TOO_LARGE,
                                     "an entry does not fit in a reply of %d bytes", CALL_REPLY_BYTES_MAX);
        return false;
}

static enum err_code link_add(struct page *page, struct err *err)
{
        char cursor[CURSOR_TEXT_MAX];

        if (!page->more)
                return ERR_OK;
        cursor_print(page->call, str_of(page->place), cursor);
        api_call_field(page->call, "Dispatch-Truncated", "true");
        return params_link_next(page->call, cursor, err);
}

void page_finish(struct page *page, enum err_code code, const struct err *why)
{
        struct api_call *call = page->call;
        struct err err;

        if (code != ERR_OK || page->code != ERR_OK)
                err = code != ERR_OK ? *why : page->err;
        else if (buf_append_text(&call->reply, "]\n") != ERR_OK)
                code = err_nomem(&err);
        else
                code = link_add(page, &err);
        if (code != ERR_OK || page->code != ERR_OK) {
                if (err_http_status(err.code) == 500)
                        api_problem(call->api, "list", &err);
                api_call_fail(call, &err);
                return;
        }
        api_call_field(call, "Content-Type", "application/json");
        call->status = 200;
        api_call_finish(call);
}
