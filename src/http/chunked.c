/*
 * http/chunked.c: the chunked transfer coding as a state machine, a byte at a time through sizes, extensions
 * and trailers and a piece at a time through data. Extensions and trailers are checked, bounded and dropped.
 */
#include "http/chunked.h"

#include "http/chars.h"

enum { CHUNK_DIGITS_MAX = 16 };

enum chunked_state {
        CHUNK_SIZE,
        CHUNK_EXTENSION,
        CHUNK_SIZE_LF,
        CHUNK_DATA,
        CHUNK_DATA_CR,
        CHUNK_DATA_LF,
        CHUNK_TRAILER_START,
        CHUNK_TRAILER_NAME,
        CHUNK_TRAILER_VALUE,
        CHUNK_TRAILER_LF,
        CHUNK_END_LF,
        CHUNK_END,
};

void http_chunked_init(struct http_chunked *chunked)
{
        *chunked = (struct http_chunked){.state = CHUNK_SIZE};
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c = (char)(c | 0x20);
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Each step takes one byte and returns NULL, or what is wrong with it. */
static const char *size_step(struct http_chunked *chunked, char c)
{
        int digit = hex_digit(c);

        if (digit >= 0) {
                if (++chunked->digits > CHUNK_DIGITS_MAX)
                        return "the size of a chunk has more than 16 digits";
                chunked->left = chunked->left << 4 | (uint64_t)digit;
                return NULL;
        }
        if (chunked->digits == 0 || (c != ';' && c != '\r'))
                return "the size of a chunk is not a hexadecimal number";
        if (chunked->left > INT64_MAX)
                return "the size of a chunk is too large";
        chunked->state = c == ';' ? CHUNK_EXTENSION : CHUNK_SIZE_LF;
        return NULL;
}

static const char *extension_step(struct http_chunked *chunked, char c)
{
        if (c == '\r') {
                chunked->state = CHUNK_SIZE_LF;
                return NULL;
        }
        if (!http_char_is(c, HTTP_CHAR_VALUE))
                return "a chunk extension has a control character in it";
        if (++chunked->extension_bytes > HTTP_CHUNK_EXTENSION_MAX ||
            ++chunked->extensions_bytes > HTTP_CHUNK_EXTENSIONS_MAX)
                return "the chunk extensions are too long";
        return NULL;
}

static const char *lf_step(struct http_chunked *chunked, char c, enum chunked_state next)
{
        if (c != '\n')
                return "a CR in the chunked framing has no LF";
        chunked->state = next;
        return NULL;
}

static const char *trailer_step(struct http_chunked *chunked, char c)
{
        if (++chunked->trailer_bytes > HTTP_TRAILER_BYTES_MAX)
                return "the trailers are too long";
        if (chunked->state == CHUNK_TRAILER_START && c == '\r') {
                chunked->state = CHUNK_END_LF;
        } else if (chunked->state == CHUNK_TRAILER_VALUE) {
                if (c == '\r')
                        chunked->state = CHUNK_TRAILER_LF;
                else if (!http_char_is(c, HTTP_CHAR_VALUE))
                        return "a trailer has a control character in it";
        } else if (chunked->state == CHUNK_TRAILER_NAME && c == ':') {
                chunked->state = CHUNK_TRAILER_VALUE;
        } else if (http_char_is(c, HTTP_CHAR_TOKEN)) {
                chunked->state = CHUNK_TRAILER_NAME;
        } else {
                return "a trailer is not a field";
        }
        return NULL;
}

static const char *framing_step(struct http_chunked *chunked, char c)
{
        switch ((enum chunked_state)chunked->state) {
        case CHUNK_SIZE:
                return size_step(chunked, c);
        case CHUNK_EXTENSION:
                return extension_step(chunked, c);
        case CHUNK_SIZE_LF:
                return lf_step(chunked, c, chunked->left > 0 ? CHUNK_DATA : CHUNK_TRAILER_START);
        case CHUNK_DATA_CR:
                chunked->state = CHUNK_DATA_LF;
                return c == '\r' ? NULL : "a chunk is longer than its size";
        case CHUNK_DATA_LF:
                chunked->digits = 0;
                chunked->extension_bytes = 0;
                return lf_step(chunked, c, CHUNK_SIZE);
        case CHUNK_TRAILER_START:
        case CHUNK_TRAILER_NAME:
        case CHUNK_TRAILER_VALUE:
                return trailer_step(chunked, c);
        case CHUNK_TRAILER_LF:
                return lf_step(chunked, c, CHUNK_TRAILER_START);
        case CHUNK_END_LF:
                return lf_step(chunked, c, CHUNK_END);
        case CHUNK_DATA:
        case CHUNK_END:
                break;
        }
        return "the chunked framing is broken";
}

static struct str take_data(struct http_chunked *chunked, struct str in)
{
        size_t len = chunked->left < in.len ? (size_t)chunked->left : in.len;

        chunked->left -= len;
        if (chunked->left == 0)
                chunked->state = CHUNK_DATA_CR;
        return str_slice(in, 0, len);
}

enum http_event http_chunked_next(struct http_chunked *chunked, struct str in, size_t *used,
                                  struct str *piece, const char **reason)
{
        size_t at = 0;

        while (at < in.len && chunked->state != CHUNK_END) {
                if (chunked->state == CHUNK_DATA) {
                        *piece = take_data(chunked, str_slice(in, at, in.len));
                        *used = at + piece->len;
                        return HTTP_DATA;
                }
                const char *wrong = framing_step(chunked, in.p[at]);
                if (wrong != NULL) {
                        *used = at;
                        *reason = wrong;
                        return HTTP_ERROR;
                }
                at++;
        }
        *used = at;
        return chunked->state == CHUNK_END ? HTTP_END : HTTP_MORE;
}
