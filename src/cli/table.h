/*
 * cli/table.h: tables to the letter of the original's (CONTRACT.md 1.5).
 *
 * Cells are copied and made safe for a terminal when they are added. A cell may have several lines, one for
 * each element of a list; other text is wrapped at its blanks where it is wider than 30 columns.
 */
#ifndef DISPATCH_CLI_TABLE_H
#define DISPATCH_CLI_TABLE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

enum { TABLE_COLUMNS_MAX = 12, TABLE_WRAP = 30, TABLE_ROWS_MAX = 1000000, TABLE_CELL_MAX = 4096 };

struct table_cell {
        struct str *lines;
        size_t line_count;
};

struct table {
        struct arena *arena; /* holds every cell; the caller's */
        const char *const *titles;
        size_t column_count;
        size_t width[TABLE_COLUMNS_MAX];
        struct table_cell *cells; /* row after row; on the heap */
        size_t cell_count, cell_capacity;
        bool dash_rows; /* a line of dashes under every row */
        bool no_wrap;   /* text with blanks stays as it is */
        bool rows_only; /* no header */
};

/* `titles` has column_count upper-case texts and is kept. */
void table_init(struct table *table, struct arena *arena, const char *const *titles, size_t column_count);
void table_finish(struct table *table);

/* Adds the next cell of the current row, from left to right. ERR_NO_MEMORY, ERR_LIMIT. */
enum err_code table_add(struct table *table, struct str text);
/* The same with one line a text. */
enum err_code table_add_lines(struct table *table, const struct str *lines, size_t line_count);

/* The rows must be complete. */
enum err_code table_print(const struct table *table, struct buf *out);

#define own_table __attribute__((cleanup(table_finish)))

#endif
