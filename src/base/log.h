/*
 * base/log.h: structured log lines on standard error, in logfmt:
 *
 *      time="2018-10-04T21:43:32Z" level=info msg="function ready" function=hello org=dispatch-server
 *
 * Only mains and the server's own wiring log; libraries return errors. Each line is one write(2), so lines of
 * several threads and processes do not mix. Values are quoted where they need it; control characters are
 * escaped, so nothing a tenant sends can forge a line.
 */
#ifndef DISPATCH_BASE_LOG_H
#define DISPATCH_BASE_LOG_H

#include <stddef.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

struct log_field {
        const char *key;
        const char *value; /* NULL leaves the field out */
};

/* Lines below this level are dropped. Process wide; call before threads start. Default LOG_INFO. */
void log_level_set(enum log_level level);

void log_fields(enum log_level level, const struct log_field *fields, size_t count, const char *fmt, ...)
        __attribute__((format(printf, 4, 5)));

#define log_debug(...)   log_fields(LOG_DEBUG, NULL, 0, __VA_ARGS__)
#define log_info(...)    log_fields(LOG_INFO, NULL, 0, __VA_ARGS__)
#define log_warning(...) log_fields(LOG_WARNING, NULL, 0, __VA_ARGS__)
#define log_error(...)   log_fields(LOG_ERROR, NULL, 0, __VA_ARGS__)

#endif
