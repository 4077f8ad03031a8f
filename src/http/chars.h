/* http/chars.h: which bytes may stand where in a message (RFC 9110 section 5, RFC 9112 section 3). Inside
 * http/ only. */
#ifndef DISPATCH_HTTP_CHARS_H
#define DISPATCH_HTTP_CHARS_H

#include <stdbool.h>

enum {
        HTTP_CHAR_TOKEN = 1,  /* tchar: method, field name */
        HTTP_CHAR_VALUE = 2,  /* field-vchar, obs-text, SP, HTAB */
        HTTP_CHAR_TARGET = 4, /* visible ASCII but '#', and bytes from 0x80 up, which clients do send */
        HTTP_CHAR_HOST = 8,   /* uri-host and port, brackets and percent included */
};

extern const unsigned char http_chars[256];

static inline bool http_char_is(char c, int set)
{
        return (http_chars[(unsigned char)c] & set) != 0;
}

#endif
