/* base/log.c: one logfmt line, built in a fixed buffer, written at once. */
#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LOG_LINE_MAX = 4096, LOG_MESSAGE_MAX = 2048 };

struct line {
        char text[LOG_LINE_MAX];
        size_t len;
};

static enum log_level level_min = LOG_INFO;

void log_level_set(enum log_level level)
{
        level_min = level;
}

static void line_put(struct line *line, const char *text, size_t len)
{
        size_t room = sizeof(line->text) - 1 - line->len; /* one byte is kept for the newline */

        if (len > room)
                len = room;
        memcpy(line->text + line->len, text, len);
        line->len += len;
}

static bool value_is_plain(const char *value)
{
        if (*value == '\0')
                return false;
        for (; *value != '\0'; value++) {
                unsigned char c = (unsigned char)*value;
                if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f)
                        return false;
        }
        return true;
}

static void line_put_quoted(struct line *line, const char *value)
{
        line_put(line, "\"", 1);
        for (; *value != '\0'; value++) {
                unsigned char c = (unsigned char)*value;
                char escaped[8];
                if (c == '"' || c == '\\')
                        snprintf(escaped, sizeof(escaped), "\\%c", c);
                else if (c == '\n')
                        snprintf(escaped, sizeof(escaped), "\\n");
                else if (c < ' ' || c == 0x7f)
                        snprintf(escaped, sizeof(escaped), "\\x%02x", c);
                else
                        snprintf(escaped, sizeof(escaped), "%c", c);
                line_put(line, escaped, strlen(escaped));
        }
        line_put(line, "\"", 1);
}

void log_fields(enum log_level level, const struct log_field *fields, size_t count, const char *fmt, ...)
{
        static const char *const names[] = {
                [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARNING] = "warning", [LOG_ERROR] = "error"};
        char message[LOG_MESSAGE_MAX], when[CLOCK_RFC3339_LEN], head[80];
        struct line line = {.len = 0};
        va_list args;

        if (level < level_min)
                return;
        va_start(args, fmt);
        vsnprintf(message, sizeof(message), fmt, args);
        va_end(args);

        clock_rfc3339(clock_wall_us(), when);
        snprintf(head, sizeof(head), "time=\"%s\" level=%s msg=", when, names[level]);
        line_put(&line, head, strlen(head));
        line_put_quoted(&line, message);
        for (size_t i = 0; i < count; i++) {
                if (fields[i].value == NULL)
                        continue;
                line_put(&line, " ", 1);
                line_put(&line, fields[i].key, strlen(fields[i].key));
                line_put(&line, "=", 1);
                if (value_is_plain(fields[i].value))
                        line_put(&line, fields[i].value, strlen(fields[i].value));
                else
                        line_put_quoted(&line, fields[i].value);
        }
        line.text[line.len++] = '\n';
        /* A log that cannot be written has nobody to be reported to. */
        ssize_t ignored = write(STDERR_FILENO, line.text, line.len);
        (void)ignored;
}
