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
        COLUMN_COMMA,  /* a list, joined with "," */
        COLUMN_PAIRS,  /* a list of {key, value}, key=value a line */
        COLUMN_NAMES,  /* the names of a list of objects, with blanks between */
        COLUMN_JSON,   /* as it is, indented by two blanks */
        COLUMN_READY,  /* true if a status is READY */
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
        bool dash_rows, no_wrap;
        const char *note; /* above the table */
        bool note_narrow; /* not above the wide one */
};

extern const struct form form_base_image, form_image, form_function, form_run, form_secret, form_endpoint,
        form_api;

#endif
