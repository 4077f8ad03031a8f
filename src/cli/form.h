/*
 * cli/form.h: the columns of each kind's table (CONTRACT.md 1.5).
 */
#ifndef DISPATCH_CLI_FORM_H
#define DISPATCH_CLI_FORM_H

#include "cli/table.h"

#include <stdbool.h>
#include <stddef.h>

enum column_type {
        COLUMN_TEXT,
        COLUMN_LINES,  /* a list, one element a line */
        COLUMN_JOINED, /* a list, joined with ", " */
        COLUMN_NUMBER,
        COLUMN_TIME, /* seconds since 1970 */
        COLUMN_BOOL,
        COLUMN_HIDDEN, /* a value that is never shown */
        COLUMN_URLS    /* uris and protocols as URLs on this server's gateway */
};

struct column {
        const char *title;
        enum column_type type;
        const char *field; /* in SEED's form; "meta.createdTime" is one level down */
};

struct form {
        struct column columns[TABLE_COLUMNS_MAX];
        size_t narrow, wide; /* how many of them a table and -o wide have */
        bool dash_rows;
        const char *note;
};

extern const struct form form_base_image, form_image, form_function, form_run, form_secret, form_endpoint,
        form_api;

#endif
