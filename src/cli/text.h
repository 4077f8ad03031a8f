/*
 * cli/text.h: texts as the terminal may see them, times and system errors as the original prints them.
 */
#ifndef DISPATCH_CLI_TEXT_H
#define DISPATCH_CLI_TEXT_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Appends `text` so that it cannot steer a terminal: control characters (C0, DEL, C1), bidirectional
 * overrides and bytes that are not UTF-8 become \n, \t, \xNN or \uNNNN. */
enum err_code text_append_safe(struct buf *out, struct str text);

/* The same on one line: runs of blanks and line breaks become " / " where a line ended, one blank elsewhere.
 */
enum err_code text_append_line(struct buf *out, struct str text);

/* True for UTF-8 without blanks and control characters. */
bool text_is_plain(const char *text);

/* How many columns well-formed UTF-8 takes on a terminal; a line feed takes none. */
size_t text_width(struct str text);

enum { TEXT_TIME_MAX = 64 };
/* "Thu Oct  4 21:43:32 UTC 2018", local zone, English whatever the locale. */
void text_time(int64_t seconds, char out[TEXT_TIME_MAX]);

/* strerror with a small first letter ("no such file or directory"), as Go's runtime words it. */
enum { TEXT_ERRNO_MAX = 96 };
const char *text_errno(int error, char out[TEXT_ERRNO_MAX]);

#endif
