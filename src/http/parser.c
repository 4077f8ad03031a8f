/*
 * http/parser.c: the parser's states. A head is first only looked through for its end, line by line and each
 * byte once however it arrives; head.c takes it apart when it is complete. Bodies are counted through in
 * place.
 */
#include "http/parser.h"

#include "http/chars.h"
#include "http/chunked.h"
#include "http/head.h"

#include <assert.h>

enum parser_state {
        PARSER_HEAD,
        PARSER_LENGTH,
        PARSER_CHUNKED,
        PARSER_UNTIL_CLOSE,
        PARSER_DONE,
        PARSER_FAILED,
};

void http_parser_init(struct http_parser *parser, enum http_parser_kind kind, struct http_field *fields,
                      uint32_t field_count_max, uint32_t head_bytes_max)
{
        *parser = (struct http_parser){
                .kind = kind,
                .fields = fields,
                .field_count_max = field_count_max,
                .head_bytes_max = head_bytes_max,
                .state = PARSER_HEAD,
        };
}

void http_parser_reset(struct http_parser *parser, bool to_head_request)
{
        http_parser_init(parser, parser->kind, parser->fields, parser->field_count_max,
                         parser->head_bytes_max);
        parser->to_head_request = to_head_request;
}

/* Refuses at its first byte what cannot be HTTP, such as a TLS greeting, instead of waiting for a line of it.
 */
static bool head_begins_well(struct http_parser *parser, struct str in)
{
        if (parser->head_start >= in.len)
                return true;
        char c = in.p[parser->head_start];
        if (parser->kind == HTTP_PARSE_RESPONSE)
                return c == 'H' || http_parser_fail(parser, 400, "the reply is not HTTP");
        return http_char_is(c, HTTP_CHAR_TOKEN) || c == '\r' ||
               http_parser_fail(parser, 400,
                                c == '\n' ? "there is an LF without CR in the head"
                                          : "the request is not HTTP");
}

/* One line of the head ends with the LF at `lf`. */
static bool head_line(struct http_parser *parser, struct str in, size_t lf, bool *complete)
{
        if (lf == parser->line_start || in.p[lf - 1] != '\r')
                return http_parser_fail(parser, 400, "there is an LF without CR in the head");
        bool empty = lf - 1 == parser->line_start;
        parser->line_start = parser->scanned = lf + 1;
        if (!empty) {
                parser->lines++;
                return parser->lines <= parser->field_count_max + 1 ||
                       http_parser_fail(parser, 431, "there are too many fields");
        }
        if (parser->lines > 0) {
                *complete = true;
                return true;
        }
        parser->head_start = lf + 1;
        if (++parser->empty_lines > HTTP_EMPTY_LINES_MAX)
                return http_parser_fail(parser, 400, "there are empty lines before the request");
        return head_begins_well(parser, in);
}

/* Looks for the end of the head; true with *complete unset means that there is none yet. */
static bool head_find(struct http_parser *parser, struct str in, bool *complete)
{
        size_t bound = in.len < parser->head_bytes_max ? in.len : parser->head_bytes_max;

        if (!head_begins_well(parser, in))
                return false;
        while (parser->scanned < bound) {
                struct str rest = str_slice(in, parser->scanned, bound);
                size_t lf = str_find(rest, '\n');
                if (lf == rest.len)
                        break;
                if (!head_line(parser, in, parser->scanned + lf, complete))
                        return false;
                if (*complete)
                        return true;
        }
        parser->scanned = bound;
        if (bound < parser->head_bytes_max)
                return true;
        return parser->lines == 0 ? http_parser_fail(parser, 414, "the request line is too long")
                                  : http_parser_fail(parser, 431, "the fields are too long");
}

static bool response_has_no_body(const struct http_parser *parser)
{
        int status = parser->response.status;

        return parser->to_head_request || status < 200 || status == 204 || status == 304;
}

/* RFC 9112 section 6.3. */
static void body_begin(struct http_parser *parser, const struct http_framing *framing)
{
        if (parser->kind == HTTP_PARSE_RESPONSE && response_has_no_body(parser)) {
                parser->state = PARSER_LENGTH;
        } else if (framing->chunked) {
                parser->state = PARSER_CHUNKED;
                http_chunked_init(&parser->chunked);
        } else if (framing->content_length >= 0 || parser->kind == HTTP_PARSE_REQUEST) {
                parser->state = PARSER_LENGTH;
                parser->left = framing->content_length > 0 ? (uint64_t)framing->content_length : 0;
        } else {
                parser->state = PARSER_UNTIL_CLOSE;
                parser->keep_alive = false;
        }
}

static enum http_event head_next(struct http_parser *parser, struct str in, size_t *used)
{
        struct http_framing framing;
        bool complete = false;

        if (!head_find(parser, in, &complete))
                return HTTP_ERROR;
        if (!complete)
                return HTTP_MORE;
        struct str head = str_slice(in, parser->head_start, parser->scanned);
        bool parsed = parser->kind == HTTP_PARSE_REQUEST ? http_head_parse_request(parser, head, &framing)
                                                         : http_head_parse_response(parser, head, &framing);
        if (!parsed)
                return HTTP_ERROR;
        body_begin(parser, &framing);
        *used = parser->scanned;
        return HTTP_HEAD;
}

static enum http_event length_next(struct http_parser *parser, struct str in, size_t *used, struct str *piece)
{
        if (parser->left == 0)
                return HTTP_END;
        if (in.len == 0)
                return HTTP_MORE;
        *used = parser->left < in.len ? (size_t)parser->left : in.len;
        *piece = str_slice(in, 0, *used);
        parser->left -= *used;
        return HTTP_DATA;
}

static enum http_event chunked_next(struct http_parser *parser, struct str in, size_t *used,
                                    struct str *piece)
{
        enum http_event event = http_chunked_next(&parser->chunked, in, used, piece, &parser->reason);

        if (event == HTTP_ERROR)
                parser->status = 400;
        return event;
}

static enum http_event until_close_next(struct str in, size_t *used, struct str *piece)
{
        *piece = in;
        *used = in.len;
        return in.len > 0 ? HTTP_DATA : HTTP_MORE;
}

enum http_event http_parser_next(struct http_parser *parser, struct str in, size_t *used, struct str *piece)
{
        enum http_event event = HTTP_ERROR;

        *used = 0;
        switch ((enum parser_state)parser->state) {
        case PARSER_HEAD:
                event = head_next(parser, in, used);
                break;
        case PARSER_LENGTH:
                event = length_next(parser, in, used, piece);
                break;
        case PARSER_CHUNKED:
                event = chunked_next(parser, in, used, piece);
                break;
        case PARSER_UNTIL_CLOSE:
                event = until_close_next(in, used, piece);
                break;
        case PARSER_DONE:
        case PARSER_FAILED:
                assert(!"the message is over: http_parser_reset is due");
        }
        if (event == HTTP_END)
                parser->state = PARSER_DONE;
        else if (event == HTTP_ERROR)
                parser->state = PARSER_FAILED;
        return event;
}

bool http_parser_eof(struct http_parser *parser)
{
        bool complete = parser->state == PARSER_UNTIL_CLOSE;

        parser->state = complete ? PARSER_DONE : PARSER_FAILED;
        return complete;
}

bool http_parser_delimited(const struct http_parser *parser)
{
        return parser->state != PARSER_UNTIL_CLOSE;
}
