/*
 * cli/table.c: column widths, wrapping and alignment as the original's table writer has them, oddities
 * included: a cell of several lines counts with all of them together, up to the wrapping width.
 */
#include "cli/table.h"

#include "cli/text.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

enum { WORDS_MAX = 512 };

void table_init(struct table *table, struct arena *arena, const char *const *titles, size_t column_count)
{
        assert(column_count > 0 && column_count <= TABLE_COLUMNS_MAX);
        *table = (struct table){.arena = arena, .titles = titles, .column_count = column_count};
        for (size_t i = 0; i < column_count; i++)
                table->width[i] = text_width(str_of(titles[i]));
}

void table_finish(struct table *table)
{
        free(table->cells);
        table->cells = NULL;
        table->cell_count = table->cell_capacity = 0;
}

static enum err_code grow(struct table *table)
{
        if (table->cell_count < table->cell_capacity)
                return ERR_OK;
        if (table->cell_count >= (size_t)TABLE_ROWS_MAX * table->column_count)
                return ERR_LIMIT;

        size_t capacity = table->cell_capacity > 0 ? table->cell_capacity * 2 : 64;
        struct table_cell *cells = realloc(table->cells, capacity * sizeof(*cells));
        if (cells == NULL)
                return ERR_NO_MEMORY;
        table->cells = cells;
        table->cell_capacity = capacity;
        return ERR_OK;
}

static void widen(struct table *table, const struct table_cell *cell, size_t total)
{
        size_t *width = &table->width[table->cell_count % table->column_count];
        size_t widest = total < TABLE_WRAP ? total : TABLE_WRAP;

        for (size_t i = 0; i < cell->line_count; i++) {
                size_t line = text_width(cell->lines[i]);
                widest = line > widest ? line : widest;
        }
        *width = widest > *width ? widest : *width;
}

/* A copy in the arena that no terminal obeys; what is too long is cut, and says so. */
static enum err_code copy_safe(struct table *table, struct str text, struct str *ret)
{
        own_buf struct buf safe = {.max = TABLE_CELL_MAX * 6 + 16};
        bool cut = text.len > TABLE_CELL_MAX;
        enum err_code code = text_append_safe(&safe, cut ? str_slice(text, 0, TABLE_CELL_MAX) : text);
        if (code == ERR_OK && cut)
                code = buf_append_text(&safe, "...(cut)");
        if (code != ERR_OK)
                return code;

        const char *copy = arena_strdup(table->arena, (struct str){safe.data, safe.len});
        if (copy == NULL)
                return ERR_NO_MEMORY;
        *ret = (struct str){copy, safe.len};
        return ERR_OK;
}

/* Splits at every single blank, so that two blanks in a row come back when the words are joined. */
static size_t split_words(struct str text, struct str words[WORDS_MAX])
{
        size_t count = 0;

        while (count < WORDS_MAX - 1 && str_find(text, ' ') < text.len)
                words[count++] = str_cut(&text, ' ');
        words[count++] = text;
        return count;
}

/* Where each line ends so that the lines but the last are as even as can be: next[i] is the word that begins
 * the line behind the one that begins with word i. Dynamic programming from the end; O(words^2). */
static void break_lines(const struct str *words, size_t count, size_t limit, size_t next[WORDS_MAX])
{
        uint64_t cost[WORDS_MAX + 1];

        cost[count] = 0;
        for (size_t i = count; i-- > 0;) {
                size_t width = 0;
                cost[i] = UINT64_MAX;
                for (size_t j = i; j < count; j++) {
                        width += text_width(words[j]) + (j > i ? 1 : 0);
                        if (width > limit && j > i)
                                break;
                        uint64_t slack = width < limit ? limit - width : 0;
                        uint64_t line = j + 1 == count ? 0 : slack * slack + cost[j + 1];
                        if (line < cost[i] || j + 1 == count) {
                                cost[i] = line;
                                next[i] = j + 1;
                        }
                }
        }
}

/* The lines of wrapped text are views into it, since words keep their single blanks between them. */
static enum err_code wrap(struct table *table, struct str text, struct table_cell *ret)
{
        struct str words[WORDS_MAX];
        size_t next[WORDS_MAX] = {0};
        size_t count = split_words(text, words), lines = 0;

        break_lines(words, count, TABLE_WRAP, next);
        for (size_t i = 0; i < count; i = next[i])
                lines++;
        ret->lines = arena_alloc(table->arena, lines * sizeof(*ret->lines));
        if (ret->lines == NULL)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < count; i = next[i]) {
                struct str last = words[next[i] - 1];
                ret->lines[ret->line_count++] =
                        (struct str){words[i].p, (size_t)(last.p + last.len - words[i].p)};
        }
        return ERR_OK;
}

static enum err_code keep_cell(struct table *table, const struct table_cell *cell, size_t total)
{
        enum err_code code = grow(table);

        if (code != ERR_OK)
                return code;
        widen(table, cell, total);
        table->cells[table->cell_count++] = *cell;
        return ERR_OK;
}

enum err_code table_add(struct table *table, struct str text)
{
        struct table_cell cell = {.line_count = 0};
        struct str safe;
        enum err_code code = copy_safe(table, text, &safe);

        if (code != ERR_OK)
                return code;
        if (table->no_wrap || text_width(safe) <= TABLE_WRAP || str_find(safe, ' ') == safe.len)
                return table_add_lines(table, &text, 1);
        code = wrap(table, safe, &cell);
        return code == ERR_OK ? keep_cell(table, &cell, text_width(safe)) : code;
}

enum err_code table_add_lines(struct table *table, const struct str *lines, size_t line_count)
{
        struct table_cell cell = {.line_count = line_count};
        size_t total = 0;

        cell.lines = arena_alloc(table->arena, (line_count + 1) * sizeof(*cell.lines));
        if (cell.lines == NULL)
                return ERR_NO_MEMORY;
        for (size_t i = 0; i < line_count; i++) {
                enum err_code code = copy_safe(table, lines[i], &cell.lines[i]);
                if (code != ERR_OK)
                        return code;
                total += text_width(cell.lines[i]);
        }
        return keep_cell(table, &cell, total);
}

/* Digits with at most one point among them. */
static bool is_number(struct str text)
{
        size_t points = 0;

        for (size_t i = 0; i < text.len; i++) {
                if (text.p[i] == '.')
                        points++;
                else if (text.p[i] < '0' || text.p[i] > '9')
                        return false;
        }
        return points <= 1;
}

static enum err_code print_blanks(struct buf *out, size_t count)
{
        return buf_printf(out, "%*s", (int)count, "");
}

static enum err_code print_cell(struct buf *out, struct str text, size_t before, size_t after)
{
        enum err_code code = print_blanks(out, before + 1);

        if (code == ERR_OK)
                code = buf_append(out, text.p, text.len);
        return code == ERR_OK ? print_blanks(out, after + 1) : code;
}

/* Where a line follows every row it is as long as the rows are; elsewhere it leaves out the separators. */
static enum err_code print_dashes(const struct table *table, struct buf *out)
{
        size_t count = table->dash_rows ? table->column_count + 1 : 0;
        enum err_code code = ERR_OK;

        for (size_t i = 0; i < table->column_count; i++)
                count += table->width[i] + 2;
        while (count-- > 0 && code == ERR_OK)
                code = buf_append_text(out, "-");
        return code == ERR_OK ? buf_append_text(out, "\n") : code;
}

static enum err_code print_separator(const struct table *table, size_t column, struct buf *out)
{
        return buf_append_text(out, column + 1 < table->column_count ? "|" : " \n");
}

static enum err_code print_header(const struct table *table, struct buf *out)
{
        enum err_code code = buf_append_text(out, " ");

        for (size_t i = 0; i < table->column_count && code == ERR_OK; i++) {
                struct str title = str_of(table->titles[i]);
                size_t gap = table->width[i] - text_width(title);

                code = print_cell(out, title, gap / 2, gap - gap / 2);
                if (code == ERR_OK)
                        code = print_separator(table, i, out);
        }
        return code == ERR_OK ? print_dashes(table, out) : code;
}

static enum err_code print_line(const struct table *table, const struct table_cell *row, size_t line,
                                struct buf *out)
{
        enum err_code code = buf_append_text(out, " ");

        for (size_t i = 0; i < table->column_count && code == ERR_OK; i++) {
                struct str text = line < row[i].line_count ? row[i].lines[line] : STR("");
                size_t gap = table->width[i] - text_width(text);

                code = is_number(text) ? print_cell(out, text, gap, 0) : print_cell(out, text, 0, gap);
                if (code == ERR_OK)
                        code = print_separator(table, i, out);
        }
        return code;
}

static enum err_code print_row(const struct table *table, const struct table_cell *row, struct buf *out)
{
        size_t lines = 1;
        enum err_code code = ERR_OK;

        for (size_t i = 0; i < table->column_count; i++)
                lines = row[i].line_count > lines ? row[i].line_count : lines;
        for (size_t line = 0; line < lines && code == ERR_OK; line++)
                code = print_line(table, row, line, out);
        return code == ERR_OK && table->dash_rows ? print_dashes(table, out) : code;
}

enum err_code table_print(const struct table *table, struct buf *out)
{
        enum err_code code = table->rows_only ? ERR_OK : print_header(table, out);

        assert(table->cell_count % table->column_count == 0);
        for (size_t at = 0; at < table->cell_count && code == ERR_OK; at += table->column_count)
                code = print_row(table, table->cells + at, out);
        return code;
}
