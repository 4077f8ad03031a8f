/* http/message.c: fields by name, reason phrases, and which bytes a message may be made of. */
#include "http/message.h"

#include "http/chars.h"

#define T        (HTTP_CHAR_TOKEN | HTTP_CHAR_VALUE | HTTP_CHAR_TARGET)
#define H        (T | HTTP_CHAR_HOST)
#define V        (HTTP_CHAR_VALUE | HTTP_CHAR_TARGET)
#define A        (V | HTTP_CHAR_HOST)
#define S        HTTP_CHAR_VALUE
#define ROW16(x) x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x

/* clang-format off */
const unsigned char http_chars[256] = {
        /* HTAB is the only control allowed anywhere */
        0, 0, 0, 0, 0, 0, 0, 0, 0, S, 0, 0, 0, 0, 0, 0,
        ROW16(0),
        /* SP !  "  #  $  %  &  '  (  )  *  +  ,  -  .  / */
        S, H, V, HTTP_CHAR_TOKEN | S, H, H, H, H, A, A, H, H, A, H, H, V,
        /* 0-9 : ; < = > ? */
        H, H, H, H, H, H, H, H, H, H, A, A, V, A, V, V,
        /* @ A-O */
        V, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
        /* P-Z [ \ ] ^ _ */
        H, H, H, H, H, H, H, H, H, H, H, A, V, A, T, H,
        /* ` a-o */
        T, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H,
        /* p-z { | } ~ DEL */
        H, H, H, H, H, H, H, H, H, H, H, V, T, V, H, 0,
        ROW16(V), ROW16(V), ROW16(V), ROW16(V), ROW16(V), ROW16(V), ROW16(V), ROW16(V),
};
/* clang-format on */

struct str http_field_get(struct http_fields fields, struct str name)
{
        for (size_t i = 0; i < fields.count; i++) {
                if (str_eq_nocase(fields.items[i].name, name))
                        return fields.items[i].value;
        }
        return (struct str){0};
}

static bool chars_all(struct str text, int set)
{
        for (size_t i = 0; i < text.len; i++) {
                if (!http_char_is(text.p[i], set))
                        return false;
        }
        return true;
}

bool http_token_valid(struct str name)
{
        return name.len > 0 && chars_all(name, HTTP_CHAR_TOKEN);
}

bool http_value_valid(struct str value)
{
        return chars_all(value, HTTP_CHAR_VALUE);
}

bool http_list_has(struct str list, struct str token)
{
        while (list.len > 0) {
                if (str_eq_nocase(str_trim(str_cut(&list, ','), " \t"), token))
                        return true;
        }
        return false;
}

static const struct {
        int status;
        const char *reason;
} reasons[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {103, "Early Hints"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {203, "Non-Authoritative Information"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
        {300, "Multiple Choices"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {418, "I'm a teapot"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {424, "Failed Dependency"},
        {425, "Too Early"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {511, "Network Authentication Required"},
};

const char *http_reason(int status)
{
        for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
                if (reasons[i].status == status)
                        return reasons[i].reason;
        }
        return "";
}
