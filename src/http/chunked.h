/* http/chunked.h: the chunked transfer coding (RFC 9112 section 7.1). Inside http/ only. */
#ifndef DISPATCH_HTTP_CHUNKED_H
#define DISPATCH_HTTP_CHUNKED_H

#include "http/parser.h"

void http_chunked_init(struct http_chunked *chunked);
/* As http_parser_next, without HTTP_HEAD; *reason is set for HTTP_ERROR. */
enum http_event http_chunked_next(struct http_chunked *chunked, struct str in, size_t *used,
                                  struct str *piece, const char **reason);

#endif
