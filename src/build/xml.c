/* build/xml.c: one pass over the text with a stack of the open elements' names. */
#include "build/xml.h"

#include <stdint.h>
#include <string.h>

struct reader {
        struct str rest;
        xml_element element;
        void *arg;
        struct str open[XML_DEPTH_MAX];
        size_t depth;
        bool seen; /* the document's element has begun */
        size_t text_len;
        char text[XML_TEXT_MAX];
};

static enum err_code bad(struct err *err)
{
        return err_set(err, ERR_BAD_REPLY, "the answer is not the XML of an object store");
}

static void text_add(struct reader *reader, const char *bytes, size_t len)
{
        size_t room = sizeof(reader->text) - reader->text_len;

        if (len > room)
                len = room;
        memcpy(reader->text + reader->text_len, bytes, len);
        reader->text_len += len;
}

static size_t utf8_put(uint32_t c, char out[4])
{
        if (c < 0x80) {
                out[0] = (char)c;
                return 1;
        }
        if (c < 0x800) {
                out[0] = (char)(0xc0 | c >> 6);
                out[1] = (char)(0x80 | (c & 0x3f));
                return 2;
        }
        if (c < 0x10000) {
                out[0] = (char)(0xe0 | c >> 12);
                out[1] = (char)(0x80 | (c >> 6 & 0x3f));
                out[2] = (char)(0x80 | (c & 0x3f));
                return 3;
        }
        out[0] = (char)(0xf0 | c >> 18);
        out[1] = (char)(0x80 | (c >> 12 & 0x3f));
        out[2] = (char)(0x80 | (c >> 6 & 0x3f));
        out[3] = (char)(0x80 | (c & 0x3f));
        return 4;
}

/* 0: it stands for no character. */
static uint32_t reference_value(struct str digits, unsigned base)
{
        uint32_t value = 0;

        for (size_t i = 0; i < digits.len; i++) {
                char c = digits.p[i];
                unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                                 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                 : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                        : 16;
                if (digit >= base)
                        return 0;
                value = value * base + digit;
                if (value > 0x10ffff)
                        return 0;
        }
        return value >= 0xd800 && value <= 0xdfff ? 0 : value;
}

static bool entity_add(struct reader *reader, struct str name)
{
        static const struct {
                struct str name;
                char c;
        } known[] = {{STR_INIT("lt"), '<'},
                     {STR_INIT("gt"), '>'},
                     {STR_INIT("amp"), '&'},
                     {STR_INIT("apos"), '\''},
                     {STR_INIT("quot"), '"'}};
        char bytes[4];

        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
                if (str_eq(name, known[i].name)) {
                        text_add(reader, &known[i].c, 1);
                        return true;
                }
        }
        if (!str_starts(name, STR("#")))
                return false;
        bool hex = str_starts(name, STR("#x"));
        uint32_t value = reference_value(str_slice(name, hex ? 2 : 1, name.len), hex ? 16 : 10);
        if (value == 0)
                return false;
        text_add(reader, bytes, utf8_put(value, bytes));
        return true;
}

/* Up to the next '<'. */
static bool text_read(struct reader *reader)
{
        while (reader->rest.len > 0 && reader->rest.p[0] != '<') {
                if (reader->rest.p[0] != '&') {
                        text_add(reader, reader->rest.p, 1);
                        reader->rest = str_slice(reader->rest, 1, reader->rest.len);
                        continue;
                }
                size_t end = str_find(reader->rest, ';');
                if (end == reader->rest.len || !entity_add(reader, str_slice(reader->rest, 1, end)))
                        return false;
                reader->rest = str_slice(reader->rest, end + 1, reader->rest.len);
        }
        return true;
}

/* Moves behind `mark`; false: it does not come. */
static bool skip_past(struct reader *reader, struct str mark)
{
        const char *at = memmem(reader->rest.p, reader->rest.len, mark.p, mark.len);

        if (at == NULL)
                return false;
        reader->rest = str_slice(reader->rest, (size_t)(at - reader->rest.p) + mark.len, reader->rest.len);
        return true;
}

static bool is_name_end(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '/' || c == '>';
}

static struct str name_take(struct reader *reader)
{
        size_t len = 0;

        while (len < reader->rest.len && !is_name_end(reader->rest.p[len]))
                len++;
        struct str name = str_slice(reader->rest, 0, len), local = name;
        reader->rest = str_slice(reader->rest, len, reader->rest.len);
        (void)str_cut(&local, ':');
        return local.len > 0 ? local : name;
}

/* Attributes, their values with whatever is in them; *ret_empty: it ended with "/>". */
static bool tag_end(struct reader *reader, bool *ret_empty)
{
        char quote = '\0', last = '\0';

        for (size_t i = 0; i < reader->rest.len; i++) {
                char c = reader->rest.p[i];

                if (quote == '\0' && c == '>') {
                        *ret_empty = last == '/';
                        reader->rest = str_slice(reader->rest, i + 1, reader->rest.len);
                        return true;
                }
                if (quote == '\0' && (c == '"' || c == '\''))
                        quote = c;
                else if (c == quote)
                        quote = '\0';
                last = c;
        }
        return false;
}

static void element_end(struct reader *reader)
{
        struct str text = str_trim((struct str){reader->text, reader->text_len}, " \t\r\n");

        reader->element(reader->arg, reader->depth, reader->open[reader->depth - 1], text);
        reader->depth--;
        reader->text_len = 0;
}

static bool open_read(struct reader *reader)
{
        struct str name = name_take(reader);
        bool empty;

        if (name.len == 0 || name.len > XML_NAME_MAX || reader->depth == XML_DEPTH_MAX ||
            (reader->depth == 0 && reader->seen) || !tag_end(reader, &empty))
                return false;
        reader->seen = true;
        reader->open[reader->depth++] = name;
        reader->text_len = 0;
        if (empty)
                element_end(reader);
        return true;
}

static bool close_read(struct reader *reader)
{
        struct str name = name_take(reader);
        bool empty;

        if (reader->depth == 0 || !str_eq(name, reader->open[reader->depth - 1]) || !tag_end(reader, &empty))
                return false;
        element_end(reader);
        return true;
}

/* What begins with '<'. */
static bool markup_read(struct reader *reader)
{
        if (str_starts(reader->rest, STR("<?")))
                return skip_past(reader, STR("?>"));
        if (str_starts(reader->rest, STR("<!--")))
                return skip_past(reader, STR("-->"));
        if (str_starts(reader->rest, STR("<!")))
                return false;
        bool closing = str_starts(reader->rest, STR("</"));
        reader->rest = str_slice(reader->rest, closing ? 2 : 1, reader->rest.len);
        return closing ? close_read(reader) : open_read(reader);
}

enum err_code xml_read(struct str document, xml_element element, void *arg, struct err *err)
{
        struct reader reader = {.rest = document, .element = element, .arg = arg};

        if (str_starts(reader.rest, STR("\xef\xbb\xbf")))
                reader.rest = str_slice(reader.rest, 3, reader.rest.len);
        while (reader.rest.len > 0) {
                if (!text_read(&reader) || (reader.rest.len > 0 && !markup_read(&reader)))
                        return bad(err);
        }
        return reader.seen && reader.depth == 0 ? ERR_OK : bad(err);
}
