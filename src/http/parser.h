/*
 * http/parser.h: an incremental HTTP/1.1 parser for requests and responses (RFC 9112), without I/O.
 *
 * The caller owns the bytes; the parser points into them and allocates nothing. Ask it again and again with
 * all bytes that were not used yet:
 *
 *      for (;;) {
 *              enum http_event event = http_parser_next(&parser, in, &used, &piece);
 *              in = str_slice(in, used, in.len);
 *              if (event == HTTP_MORE)
 *                      ... read more behind `in`, or http_parser_eof at the end of the connection
 *      }
 *
 * It is strict where leniency lets requests be smuggled (RFC 9112 section 11): repeated or malformed
 * Content-Length, Content-Length beside Transfer-Encoding, any Transfer-Encoding but `chunked`, one at all in
 * HTTP/1.0, bare CR or LF, folded fields, blanks before a colon, control characters, and everything but hex
 * digits in a chunk's size are errors, after which the connection must be closed. Any split of the same bytes
 * gives the same events. Trailers are checked and dropped.
 */
#ifndef DISPATCH_HTTP_PARSER_H
#define DISPATCH_HTTP_PARSER_H

#include "http/message.h"

enum http_event {
        HTTP_MORE,  /* nothing more can be said without more bytes */
        HTTP_HEAD,  /* the head is complete: request or response is filled */
        HTTP_DATA,  /* *piece is part of the body, in place */
        HTTP_END,   /* the message is complete; the bytes that follow belong to the next */
        HTTP_ERROR, /* status and reason say why; close the connection */
};

enum http_parser_kind { HTTP_PARSE_REQUEST, HTTP_PARSE_RESPONSE };

enum {
        HTTP_EMPTY_LINES_MAX = 2,          /* before a request line (RFC 9112 section 2.2) */
        HTTP_CHUNK_EXTENSION_MAX = 256,    /* bytes behind one chunk's size */
        HTTP_CHUNK_EXTENSIONS_MAX = 16384, /* bytes of them in one message */
        HTTP_TRAILER_BYTES_MAX = 8192,
};

struct http_chunked {
        int state;
        int digits;
        uint64_t left; /* of this chunk */
        uint32_t extension_bytes;
        uint32_t extensions_bytes;
        uint32_t trailer_bytes;
};

struct http_parser {
        /* From HTTP_HEAD on, as long as the bytes of the head stay where they were. */
        struct http_request request;   /* of a HTTP_PARSE_REQUEST */
        struct http_response response; /* of a HTTP_PARSE_RESPONSE */
        bool keep_alive;               /* the connection may be used again after this message */
        bool expect_continue;          /* HTTP/1.1 and `Expect: 100-continue` */
        bool upgrade;                  /* `Connection: upgrade` */

        /* From HTTP_ERROR on. */
        int status;         /* 400, 414, 417, 431, 501, 505; meaningless for a response */
        const char *reason; /* static text */

        /* The parser's own. */
        enum http_parser_kind kind;
        struct http_field *fields;
        uint32_t field_count_max;
        uint32_t head_bytes_max;
        int state;
        bool to_head_request;
        uint32_t empty_lines;
        uint32_t lines;
        size_t scanned;
        size_t line_start;
        size_t head_start;
        uint64_t left;
        struct http_chunked chunked;
};

/* `fields` (field_count_max of them) is the caller's, kept, and where request.fields and response.fields
 * point. */
void http_parser_init(struct http_parser *parser, enum http_parser_kind kind, struct http_field *fields,
                      uint32_t field_count_max, uint32_t head_bytes_max);

/* For the next message of the connection. A response to HEAD has no body, whatever it says. */
void http_parser_reset(struct http_parser *parser, bool to_head_request);

/*
 * The next event in `in`, which must begin where the bytes used so far ended. *used of its bytes belong to
 * the event (or to framing) and must not be given again; while the head is incomplete none are used. After
 * HTTP_END and HTTP_ERROR only http_parser_reset is allowed. 1xx responses come as HTTP_HEAD and HTTP_END of
 * their own.
 */
enum http_event http_parser_next(struct http_parser *parser, struct str in, size_t *used, struct str *piece);

/* The connection ended. True if the message may end so: a body until close, whose HTTP_END this is. */
bool http_parser_eof(struct http_parser *parser);

/* True if the body of the message that was begun is delimited, so that the connection can be used again. */
bool http_parser_delimited(const struct http_parser *parser);

#endif
