/*
 * api/page.h: one page of a list on its way into a reply, whatever it lists: how many entries it may have,
 * where it ends, and what says that there are more.
 */
#ifndef DISPATCH_API_PAGE_H
#define DISPATCH_API_PAGE_H

#include "api/cursor.h"
#include "api/params.h"

enum {
        PAGE_SCAN_MAX = 5000 /* entries that a page of a filtered list looks at: the store has one thread */
};

struct page {
        struct api_call *call;
        struct params params;
        struct str after;  /* the place before it; "": the list's beginning */
        uint64_t limit;    /* 0: as many as fit */
        uint64_t scan_max; /* 0: no bound */
        uint64_t count, scanned;
        bool more;
        char place[CURSOR_PLACE_MAX + 1]; /* of the last entry that was looked at */
        enum err_code code;
        struct err err;
};

/* Reads the query. limit_initial: of a list that names none; 0: all. */
enum err_code page_begin(struct page *page, struct api_call *call, enum model_kind kind,
                         uint64_t limit_initial, struct err *err);

/* Asked for each entry: false ends the page before it. */
bool page_look(struct page *page);
/* The entry is not wanted. */
void page_pass(struct page *page, struct str place);
/* Is there room for one more that is wanted? false ends the page before it. */
bool page_has_room(struct page *page);
/* Adds it; false ends the page: it is full, or page->code says what went wrong. NULL: no memory. */
bool page_add(struct page *page, const json_t *shown, struct str place);

/* Finishes the call: the page with its link, or the error of `code` or page->code. */
void page_finish(struct page *page, enum err_code code, const struct err *err);

#endif
