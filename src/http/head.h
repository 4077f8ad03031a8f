/* http/head.h: a complete head into its parts. Inside http/ only. */
#ifndef DISPATCH_HTTP_HEAD_H
#define DISPATCH_HTTP_HEAD_H

#include "http/parser.h"

/* What the fields say about the body; the parser decides. */
struct http_framing {
        int64_t content_length; /* -1: none was given */
        bool chunked;
};

/* `head` begins with the first line, has CRLF before each LF and ends with an empty line. On failure status
 * and reason are set. */
bool http_head_parse_request(struct http_parser *parser, struct str head, struct http_framing *framing);
bool http_head_parse_response(struct http_parser *parser, struct str head, struct http_framing *framing);

/* Sets status and reason, returns false. */
bool http_parser_fail(struct http_parser *parser, int status, const char *reason);

#endif
