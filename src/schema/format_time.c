/* schema/format_time.c: dates and times of RFC 3339, durations of its appendix A. */
#include "schema/format.h"

/* Digits at the front, exactly `count`; moves on. */
static bool number(struct str *text, size_t count, unsigned *ret)
{
        unsigned value = 0;

        if (text->len < count)
                return false;
        for (size_t i = 0; i < count; i++) {
                if (text->p[i] < '0' || text->p[i] > '9')
                        return false;
                value = value * 10 + (unsigned)(text->p[i] - '0');
        }
        *text = str_slice(*text, count, text->len);
        *ret = value;
        return true;
}

static bool eat(struct str *text, char c)
{
        if (text->len == 0 || text->p[0] != c)
                return false;
        *text = str_slice(*text, 1, text->len);
        return true;
}

static bool take_date(struct str *text)
{
        static const unsigned char days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        unsigned year, month, day;

        if (!number(text, 4, &year) || !eat(text, '-') || !number(text, 2, &month) || !eat(text, '-') ||
            !number(text, 2, &day))
                return false;
        if (month < 1 || month > 12 || day < 1 || day > days[month - 1])
                return false;
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        return month != 2 || day < 29 || leap;
}

/* Z, or +hh:mm and -hh:mm in minutes. */
static bool take_offset(struct str *text, int *ret)
{
        unsigned hours, minutes;

        *ret = 0;
        if (eat(text, 'Z') || eat(text, 'z'))
                return true;
        bool west = eat(text, '-');
        if (!west && !eat(text, '+'))
                return false;
        if (!number(text, 2, &hours) || !eat(text, ':') || !number(text, 2, &minutes) || hours > 23 ||
            minutes > 59)
                return false;
        *ret = (int)(hours * 60 + minutes) * (west ? -1 : 1);
        return true;
}

static bool take_time(struct str *text)
{
        unsigned hour, minute, second, digit;
        int offset;

        if (!number(text, 2, &hour) || !eat(text, ':') || !number(text, 2, &minute) || !eat(text, ':') ||
            !number(text, 2, &second))
                return false;
        if (eat(text, '.')) {
                if (!number(text, 1, &digit))
                        return false;
                while (number(text, 1, &digit))
                        ;
        }
        if (!take_offset(text, &offset) || hour > 23 || minute > 59 || second > 60)
                return false;
        /* A leap second is the last one of a day in UTC. */
        int utc = ((int)(hour * 60 + minute) - offset + 2 * 1440) % 1440;
        return second < 60 || utc == 1439;
}

bool format_date(struct str text)
{
        return take_date(&text) && text.len == 0;
}

bool format_time(struct str text)
{
        return take_time(&text) && text.len == 0;
}

bool format_date_time(struct str text)
{
        return take_date(&text) && (eat(&text, 'T') || eat(&text, 't')) && take_time(&text) && text.len == 0;
}

/* Numbers each with one of the units, in their order, none left out between two; false: none, or wrong. */
static bool take_units(struct str *text, const char *units)
{
        bool any = false, gap = false;

        for (; *units != '\0'; units++) {
                size_t digits = 0;
                while (digits < text->len && text->p[digits] >= '0' && text->p[digits] <= '9')
                        digits++;
                if (digits == 0 || digits == text->len || text->p[digits] != *units) {
                        gap = any;
                        continue;
                }
                if (gap)
                        return false;
                *text = str_slice(*text, digits + 1, text->len);
                any = true;
        }
        return any;
}

bool format_duration(struct str text)
{
        struct str weeks;

        if (!eat(&text, 'P'))
                return false;
        weeks = text;
        if (take_units(&weeks, "W") && weeks.len == 0)
                return true;
        bool date = take_units(&text, "YMD");
        if (text.len == 0)
                return date;
        return eat(&text, 'T') && take_units(&text, "HMS") && text.len == 0;
}
