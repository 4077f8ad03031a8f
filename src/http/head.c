/*
 * http/head.c: the head of a message, once all of it is there, into first line, fields and what they say
 * about the body. Every byte is looked at once; as no set of characters has CR or LF in it and the head ends
 * with both, no loop over a set can leave the head.
 */
#include "http/head.h"

#include "http/chars.h"

#include <string.h>

/* What the fields that matter to the connection said, while they are collected. */
struct head_fields {
        struct str host;
        int host_count;
        int length_count;
        int encoding_count;
        bool close;
        bool keep_alive;
        bool expect;
};

bool http_parser_fail(struct http_parser *parser, int status, const char *reason)
{
        parser->status = status;
        parser->reason = reason;
        return false;
}

static struct str take_set(const char **at, int set)
{
        const char *from = *at, *to = from;

        while (http_char_is(*to, set))
                to++;
        *at = to;
        return (struct str){from, (size_t)(to - from)};
}

static bool take_char(const char **at, char c)
{
        if (**at != c)
                return false;
        (*at)++;
        return true;
}

/* In a complete head a CR always has a byte behind it. */
static bool take_line_end(struct http_parser *parser, const char **at)
{
        if (**at != '\r')
                return http_parser_fail(parser, 400, "there is a control character in the head");
        if ((*at)[1] != '\n')
                return http_parser_fail(parser, 400, "there is a CR without LF in the head");
        *at += 2;
        return true;
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

/* "HTTP/" DIGIT "." DIGIT; a minor above 1 is spoken to as 1 (RFC 9110 section 2.5). */
static bool take_version(struct http_parser *parser, const char **at, int *minor)
{
        const char *p = *at;

        if (strncmp(p, "HTTP/", 5) != 0 || !is_digit(p[5]) || p[6] != '.' || !is_digit(p[7]))
                return http_parser_fail(parser, 400, "the version is not HTTP/1.1 or HTTP/1.0");
        if (p[5] != '1')
                return http_parser_fail(parser, 505, "this server speaks HTTP/1.1 and HTTP/1.0");
        *minor = p[7] == '0' ? 0 : 1;
        *at += 8;
        return true;
}

static bool list_add(struct http_parser *parser, struct head_fields *seen, struct str list)
{
        seen->close = seen->close || http_list_has(list, STR("close"));
        seen->keep_alive = seen->keep_alive || http_list_has(list, STR("keep-alive"));
        parser->upgrade = parser->upgrade || http_list_has(list, STR("upgrade"));
        return true;
}

/* Tabs around a value are allowed, but not every server skips them: where they would change the framing,
 * they are refused. Inside a head, so that there is a colon before the value and a CR behind it. */
static bool tab_around(struct str value)
{
        if (value.len == 0)
                return false;
        for (const char *p = value.p; p[-1] != ':'; p--) {
                if (p[-1] == '\t')
                        return true;
        }
        for (const char *p = value.p + value.len; *p != '\r'; p++) {
                if (*p == '\t')
                        return true;
        }
        return false;
}

static bool length_add(struct http_parser *parser, struct head_fields *seen, struct str value,
                       struct http_framing *framing)
{
        uint64_t length;

        if (++seen->length_count > 1)
                return http_parser_fail(parser, 400, "there is more than one Content-Length");
        if (tab_around(value) || !str_to_u64(value, &length) || length > INT64_MAX)
                return http_parser_fail(parser, 400, "Content-Length is not a number of bytes");
        framing->content_length = (int64_t)length;
        return true;
}

static bool encoding_add(struct http_parser *parser, struct head_fields *seen, struct str value,
                         struct http_framing *framing)
{
        if (++seen->encoding_count > 1 || tab_around(value) || !str_eq_nocase(value, STR("chunked")))
                return http_parser_fail(parser, 400, "Transfer-Encoding is not exactly chunked");
        framing->chunked = true;
        return true;
}

static bool field_note(struct http_parser *parser, struct head_fields *seen, const struct http_field *field,
                       struct http_framing *framing)
{
        /* The length sorts out almost every field without looking at its name. */
        switch (field->name.len) {
        case 4:
                if (str_eq_nocase(field->name, STR("Host"))) {
                        seen->host = field->value;
                        seen->host_count++;
                }
                return true;
        case 6:
                if (str_eq_nocase(field->name, STR("Expect"))) {
                        if (parser->kind == HTTP_PARSE_REQUEST &&
                            !str_eq_nocase(field->value, STR("100-continue")))
                                return http_parser_fail(parser, 417, "the expectation is not 100-continue");
                        seen->expect = true;
                }
                return true;
        case 10:
                if (str_eq_nocase(field->name, STR("Connection")))
                        return list_add(parser, seen, field->value);
                return true;
        case 14:
                if (str_eq_nocase(field->name, STR("Content-Length")))
                        return length_add(parser, seen, field->value, framing);
                return true;
        case 17:
                if (str_eq_nocase(field->name, STR("Transfer-Encoding")))
                        return encoding_add(parser, seen, field->value, framing);
                return true;
        default:
                return true;
        }
}

static bool take_field(struct http_parser *parser, const char **at, struct http_field *field)
{
        if (**at == ' ' || **at == '\t')
                return http_parser_fail(parser, 400, "a field is folded over two lines");
        field->name = take_set(at, HTTP_CHAR_TOKEN);
        if (field->name.len > 0 && (**at == ' ' || **at == '\t'))
                return http_parser_fail(parser, 400, "there is a blank before the colon of a field");
        if (field->name.len == 0 || !take_char(at, ':'))
                return http_parser_fail(parser, 400, "a field has no valid name");
        field->value = str_trim(take_set(at, HTTP_CHAR_VALUE), " \t");
        return take_line_end(parser, at);
}

static bool take_fields(struct http_parser *parser, const char *at, struct head_fields *seen,
                        struct http_framing *framing, struct http_fields *fields)
{
        *framing = (struct http_framing){.content_length = -1};
        fields->items = parser->fields;
        fields->count = 0;
        while (*at != '\r') {
                if (fields->count == parser->field_count_max)
                        return http_parser_fail(parser, 431, "the request has too many fields");
                struct http_field *field = &parser->fields[fields->count];
                if (!take_field(parser, &at, field) || !field_note(parser, seen, field, framing))
                        return false;
                fields->count++;
        }
        if (!take_line_end(parser, &at))
                return false;
        if (seen->length_count > 0 && seen->encoding_count > 0)
                return http_parser_fail(parser, 400, "there are both Content-Length and Transfer-Encoding");
        return true;
}

static bool is_hex(char c)
{
        return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* 1*( HEXDIG / ":" / "." ) with a colon in it: an IPv6 address, without the zone that means nothing here. */
static bool address_valid(struct str address)
{
        for (size_t i = 0; i < address.len; i++) {
                char c = address.p[i];
                if (!is_hex(c) && c != ':' && c != '.')
                        return false;
        }
        return str_find(address, ':') < address.len;
}

static bool name_valid(struct str name)
{
        for (size_t i = 0; i < name.len; i++) {
                char c = name.p[i];
                if (!http_char_is(c, HTTP_CHAR_HOST) || c == '[' || c == ']')
                        return false;
                if (c == '%' && (name.len - i < 3 || !is_hex(name.p[i + 1]) || !is_hex(name.p[i + 2])))
                        return false;
        }
        return true;
}

/* uri-host [ ":" port ] (RFC 9110 section 7.2, RFC 3986 sections 3.2.2 and 3.2.3); may be empty. */
static bool host_valid(struct str host)
{
        size_t end = str_find(host, host.len > 0 && host.p[0] == '[' ? ']' : ':');
        struct str port = str_slice(host, end, host.len);
        uint64_t number;

        if (host.len > 0 && host.p[0] == '[') {
                if (port.len == 0 || !address_valid(str_slice(host, 1, end)))
                        return false;
                port = str_slice(port, 1, port.len);
        } else if (!name_valid(str_slice(host, 0, end))) {
                return false;
        }
        if (port.len <= 1)
                return port.len == 0 || port.p[0] == ':';
        return port.p[0] == ':' && str_to_u64(str_slice(port, 1, port.len), &number) && number <= UINT16_MAX;
}

/* http://authority[/path][?query]: the authority wins over Host (RFC 9112 section 3.2.2). */
static bool target_absolute(struct http_parser *parser, struct str rest)
{
        struct http_request *request = &parser->request;
        size_t end = 0;

        while (end < rest.len && rest.p[end] != '/' && rest.p[end] != '?')
                end++;
        request->host = str_slice(rest, 0, end);
        if (end == 0 || !host_valid(request->host))
                return http_parser_fail(parser, 400, "the authority of the target is not a host");
        request->target = str_slice(rest, end, rest.len);
        return true;
}

static bool target_split(struct http_parser *parser)
{
        struct http_request *request = &parser->request;

        if (str_eq(request->method, STR("CONNECT")))
                return http_parser_fail(parser, 501, "this server is no proxy");
        if (str_eq(request->target, STR("*"))) {
                if (!str_eq(request->method, STR("OPTIONS")))
                        return http_parser_fail(parser, 400, "only OPTIONS may have the target *");
        } else if (request->target.p[0] != '/') {
                struct str scheme = request->target;
                size_t len = scheme.len >= 7 && str_eq_nocase(str_slice(scheme, 0, 7), STR("http://"))    ? 7
                             : scheme.len >= 8 && str_eq_nocase(str_slice(scheme, 0, 8), STR("https://")) ? 8
                                                                                                          : 0;
                if (len == 0)
                        return http_parser_fail(parser, 400, "the target is not a path");
                if (!target_absolute(parser, str_slice(scheme, len, scheme.len)))
                        return false;
        }
        request->query = request->target;
        request->path = str_cut(&request->query, '?');
        if (request->path.len == 0)
                request->path = STR("/");
        return true;
}

static bool take_request_line(struct http_parser *parser, const char **at)
{
        struct http_request *request = &parser->request;

        request->method = take_set(at, HTTP_CHAR_TOKEN);
        if (request->method.len == 0 || !take_char(at, ' '))
                return http_parser_fail(parser, 400, "the request line has no method");
        request->target = take_set(at, HTTP_CHAR_TARGET);
        if (request->target.len == 0 || !take_char(at, ' '))
                return http_parser_fail(parser, 400, "the request line has no valid target");
        return take_version(parser, at, &request->minor) && take_line_end(parser, at) && target_split(parser);
}

static bool request_host(struct http_parser *parser, const struct head_fields *seen)
{
        struct http_request *request = &parser->request;

        if (seen->host_count > 1)
                return http_parser_fail(parser, 400, "there is more than one Host");
        if (seen->host_count == 0 && request->minor > 0)
                return http_parser_fail(parser, 400, "there is no Host");
        if (!host_valid(seen->host))
                return http_parser_fail(parser, 400, "Host is not a host");
        if (request->host.p == NULL)
                request->host = seen->host;
        return true;
}

static void connection_decide(struct http_parser *parser, const struct head_fields *seen, int minor)
{
        parser->keep_alive = !seen->close && (minor > 0 || seen->keep_alive);
}

bool http_head_parse_request(struct http_parser *parser, struct str head, struct http_framing *framing)
{
        struct http_request *request = &parser->request;
        struct head_fields seen = {0};
        const char *at = head.p;

        *request = (struct http_request){0};
        if (!take_request_line(parser, &at) || !take_fields(parser, at, &seen, framing, &request->fields) ||
            !request_host(parser, &seen))
                return false;
        if (framing->chunked && request->minor == 0)
                return http_parser_fail(parser, 400, "HTTP/1.0 has no Transfer-Encoding");
        request->has_body = framing->chunked || framing->content_length >= 0;
        request->content_length = framing->chunked               ? -1
                                  : framing->content_length >= 0 ? framing->content_length
                                                                 : 0;
        parser->expect_continue = seen.expect && request->minor > 0;
        connection_decide(parser, &seen, request->minor);
        return true;
}

/* Many servers leave out the blank before an empty reason; the status itself must be three digits. */
static bool take_status_line(struct http_parser *parser, const char **at)
{
        struct http_response *response = &parser->response;

        if (!take_version(parser, at, &response->minor))
                return false;
        const char *p = *at;
        if (p[0] != ' ' || !is_digit(p[1]) || !is_digit(p[2]) || !is_digit(p[3]) || p[1] == '0')
                return http_parser_fail(parser, 400, "the status line has no status");
        response->status = (p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0');
        *at += 4;
        if (**at != '\r' && !take_char(at, ' '))
                return http_parser_fail(parser, 400, "the status line has no status");
        response->reason = take_set(at, HTTP_CHAR_VALUE);
        return take_line_end(parser, at);
}

bool http_head_parse_response(struct http_parser *parser, struct str head, struct http_framing *framing)
{
        struct http_response *response = &parser->response;
        struct head_fields seen = {0};
        const char *at = head.p;

        *response = (struct http_response){0};
        if (!take_status_line(parser, &at) || !take_fields(parser, at, &seen, framing, &response->fields))
                return false;
        if (framing->chunked && response->minor == 0)
                return http_parser_fail(parser, 400, "HTTP/1.0 has no Transfer-Encoding");
        response->content_length = framing->content_length;
        connection_decide(parser, &seen, response->minor);
        return true;
}
