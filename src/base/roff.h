/*
 * base/roff.h: manual pages in the macros of man(7), which groff and mandoc both know. Text is escaped and
 * lines are broken; nothing in it is taken for a request.
 */
#ifndef DISPATCH_BASE_ROFF_H
#define DISPATCH_BASE_ROFF_H

#include "base/buf.h"
#include "base/err.h"

struct roff {
        struct buf *out;
        enum err_code code; /* the first failure; nothing is written after it */
        size_t column;
};

/* The page's title line; `date` is YYYY-MM-DD. */
void roff_title(struct roff *roff, const char *name, int section, const char *date, const char *manual);
void roff_heading(struct roff *roff, const char *text);
/* One paragraph, or several where an empty line stands between. Its lines are filled anew. */
void roff_text(struct roff *roff, const char *text);
/* Lines as they are, moved to the right. */
void roff_example(struct roff *roff, const char *text);
/* An entry of a list: a term in bold, and what it means. */
void roff_item(struct roff *roff, const char *term, const char *text);

/* Today, or the day of SOURCE_DATE_EPOCH, so that a build can be repeated. */
enum { ROFF_DATE_LEN = 16 };
void roff_date(char out[ROFF_DATE_LEN]);

#endif
