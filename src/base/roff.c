/* base/roff.c: escaping, filling, and the few macros that a manual page takes. */
#include "base/roff.h"

#include "base/clock.h"
#include "base/str.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { FILL_COLUMNS = 72 };

static void put(struct roff *roff, const char *bytes, size_t len)
{
        if (roff->code == ERR_OK)
                roff->code = buf_append(roff->out, bytes, len);
}

static void put_char(struct roff *roff, char c)
{
        if (roff->column == 0 && (c == '.' || c == '\''))
                put(roff, "\\&", 2);
        if (c == '\\')
                put(roff, "\\e", 2);
        else if (c == '-')
                put(roff, "\\-", 2);
        else
                put(roff, &c, 1);
        roff->column = c == '\n' ? 0 : roff->column + 1;
}

static void put_text(struct roff *roff, const char *text)
{
        for (; *text != '\0'; text++)
                put_char(roff, *text);
}

static void end_line(struct roff *roff)
{
        if (roff->column > 0)
                put_char(roff, '\n');
}

/* A request on a line of its own. */
static void request(struct roff *roff, const char *line)
{
        end_line(roff);
        put(roff, line, strlen(line));
        put(roff, "\n", 1);
}

/* Blanks and single line breaks are where a line may end. */
static void fill(struct roff *roff, struct str text)
{
        end_line(roff);
        while (text.len > 0) {
                struct str line = str_cut(&text, '\n');
                while (line.len > 0) {
                        struct str word = str_cut(&line, ' ');
                        if (word.len == 0)
                                continue;
                        if (roff->column > 0)
                                put_char(roff, roff->column + word.len > FILL_COLUMNS ? '\n' : ' ');
                        for (size_t i = 0; i < word.len; i++)
                                put_char(roff, word.p[i]);
                }
        }
        end_line(roff);
}

void roff_title(struct roff *roff, const char *name, int section, const char *date, const char *manual)
{
        char number[16];

        end_line(roff);
        put(roff, ".TH ", 4);
        roff->column = 4;
        for (; *name != '\0'; name++)
                put_char(roff, (char)toupper((unsigned char)*name));
        snprintf(number, sizeof(number), " %d \"", section);
        put_text(roff, number);
        put(roff, date, strlen(date));
        put_text(roff, "\" \"dispatch " DISPATCH_VERSION "\" \"");
        put_text(roff, manual);
        put_text(roff, "\"\n");
}

void roff_heading(struct roff *roff, const char *text)
{
        end_line(roff);
        put(roff, ".SH ", 4);
        roff->column = 4;
        put_text(roff, text);
        end_line(roff);
}

void roff_text(struct roff *roff, const char *text)
{
        const char *gap;

        while ((gap = strstr(text, "\n\n")) != NULL) {
                fill(roff, (struct str){text, (size_t)(gap - text)});
                request(roff, ".PP");
                text = gap + 2;
        }
        fill(roff, str_of(text));
}

void roff_example(struct roff *roff, const char *text)
{
        request(roff, ".nf");
        request(roff, ".RS 4");
        put_text(roff, text);
        request(roff, ".RE");
        request(roff, ".fi");
}

void roff_item(struct roff *roff, const char *term, const char *text)
{
        request(roff, ".TP");
        put(roff, ".B ", 3);
        roff->column = 3;
        put_text(roff, term);
        fill(roff, str_of(text));
}

void roff_date(char out[ROFF_DATE_LEN])
{
        const char *epoch = getenv("SOURCE_DATE_EPOCH");
        uint64_t given;
        time_t when = (time_t)clock_wall_s();
        struct tm tm = {0};

        if (epoch != NULL && str_to_u64(str_of(epoch), &given) && given < UINT64_C(1) << 37)
                when = (time_t)given;
        gmtime_r(&when, &tm);
        snprintf(out, ROFF_DATE_LEN, "%04u-%02u-%02u", ((unsigned)tm.tm_year + 1900) % 10000,
                 ((unsigned)tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100);
}
