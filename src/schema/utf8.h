/* schema/utf8.h: characters of UTF-8 text. */
#ifndef DISPATCH_SCHEMA_UTF8_H
#define DISPATCH_SCHEMA_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The first character of text that is UTF-8 and its length in bytes; 0: it ends within a character. */
static inline size_t utf8_decode(const char *text, size_t len, uint32_t *ret)
{
        const unsigned char *p = (const unsigned char *)text;
        size_t want = len == 0 ? 0 : p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

        if (want == 0 || want > len)
                return 0;
        uint32_t value = want == 1 ? p[0] : p[0] & (0xffU >> (want + 1));
        for (size_t i = 1; i < want; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                value = value << 6 | (p[i] & 0x3fU);
        }
        *ret = value;
        return want;
}

/* How many characters (code points) there are in UTF-8 text. */
static inline size_t utf8_count(const char *text, size_t len)
{
        size_t count = 0;

        for (size_t i = 0; i < len; i++)
                count += ((unsigned char)text[i] & 0xc0) != 0x80;
        return count;
}

#endif
