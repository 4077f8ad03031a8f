/* schema/uri.c: see uri.h. */
#include "schema/uri.h"

#include <string.h>

static bool scheme_valid(struct str text)
{
        for (size_t i = 0; i < text.len; i++) {
                char c = text.p[i];
                bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
                bool other = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
                if (!letter && (i == 0 || !other))
                        return false;
        }
        return text.len > 0;
}

/* Cuts off what stands behind `mark`; p == NULL when it is not there. */
static struct str cut_tail(struct str *text, char mark)
{
        size_t at = str_find(*text, mark);

        if (at == text->len)
                return (struct str){NULL, 0};
        struct str tail = str_slice(*text, at + 1, text->len);
        text->len = at;
        return tail;
}

struct uri uri_split(struct str text)
{
        struct uri uri = {{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}};

        uri.fragment = cut_tail(&text, '#');
        uri.query = cut_tail(&text, '?');
        size_t colon = str_find(text, ':');
        if (colon < text.len && scheme_valid(str_slice(text, 0, colon))) {
                uri.scheme = str_slice(text, 0, colon);
                text = str_slice(text, colon + 1, text.len);
        }
        if (str_starts(text, STR("//"))) {
                text = str_slice(text, 2, text.len);
                size_t end = str_find(text, '/');
                uri.authority = str_slice(text, 0, end);
                text = str_slice(text, end, text.len);
        }
        uri.path = text;
        return uri;
}

/* A path under construction; it never grows beyond the room it was given. */
struct path {
        char *text;
        size_t len;
};

static void path_add(struct path *path, struct str text)
{
        if (text.len > 0)
                memcpy(path->text + path->len, text.p, text.len);
        path->len += text.len;
}

/* Takes the last segment back with the slash before it. */
static void path_up(struct path *path)
{
        while (path->len > 0 && path->text[path->len - 1] != '/')
                path->len--;
        if (path->len > 0)
                path->len--;
}

/* Section 5.2.4. */
static void remove_dots(struct str in, struct path *out)
{
        while (in.len > 0) {
                if (str_starts(in, STR("../"))) {
                        in = str_slice(in, 3, in.len);
                } else if (str_starts(in, STR("./")) || str_starts(in, STR("/./"))) {
                        in = str_slice(in, 2, in.len);
                } else if (str_eq(in, STR("/."))) {
                        path_add(out, STR("/"));
                        return;
                } else if (str_starts(in, STR("/../"))) {
                        in = str_slice(in, 3, in.len);
                        path_up(out);
                } else if (str_eq(in, STR("/.."))) {
                        path_up(out);
                        path_add(out, STR("/"));
                        return;
                } else if (str_eq(in, STR(".")) || str_eq(in, STR(".."))) {
                        return;
                } else {
                        size_t end = 1;
                        while (end < in.len && in.p[end] != '/')
                                end++;
                        path_add(out, str_slice(in, 0, end));
                        in = str_slice(in, end, in.len);
                }
        }
}

/* Section 5.2.3: the base's path up to its last slash, then the reference's. */
static void merge(const struct uri *base, struct str path, struct path *out)
{
        size_t end = base->path.len;

        while (end > 0 && base->path.p[end - 1] != '/')
                end--;
        if (end == 0 && base->authority.p != NULL)
                path_add(out, STR("/"));
        path_add(out, str_slice(base->path, 0, end));
        path_add(out, path);
}

/* Section 5.3, without the fragment. */
static void compose(const struct uri *uri, struct path *out)
{
        if (uri->scheme.p != NULL) {
                path_add(out, uri->scheme);
                path_add(out, STR(":"));
        }
        if (uri->authority.p != NULL) {
                path_add(out, STR("//"));
                path_add(out, uri->authority);
        }
        path_add(out, uri->path);
        if (uri->query.p != NULL) {
                path_add(out, STR("?"));
                path_add(out, uri->query);
        }
}

/* Section 5.2.2; `merged` and `clean` are rooms for paths. */
static struct uri transform(const struct uri *base, const struct uri *ref, struct path *merged,
                            struct path *clean)
{
        struct uri target = *ref;

        if (ref->scheme.p == NULL) {
                target.scheme = base->scheme;
                if (ref->authority.p == NULL) {
                        target.authority = base->authority;
                        if (ref->path.len == 0) {
                                target.path = base->path;
                                target.query = ref->query.p != NULL ? ref->query : base->query;
                                return target;
                        }
                        if (ref->path.p[0] != '/') {
                                merge(base, ref->path, merged);
                                target.path = (struct str){merged->text, merged->len};
                        }
                }
        }
        if (target.scheme.p != NULL && (target.authority.p != NULL || str_starts(target.path, STR("/")))) {
                remove_dots(target.path, clean);
                target.path = (struct str){clean->text, clean->len};
        }
        return target;
}

enum err_code uri_resolve(struct str base, struct str reference, struct arena *arena, struct str *ret,
                          struct err *err)
{
        size_t room = base.len + reference.len + 8;
        char *space = arena_alloc(arena, 3 * room);
        struct uri from = uri_split(base), ref = uri_split(reference);

        if (space == NULL)
                return err_set(err, ERR_LIMIT, "the schema is larger than the limit of its program");
        struct path merged = {space, 0}, clean = {space + room, 0}, out = {space + 2 * room, 0};
        struct uri target = transform(&from, &ref, &merged, &clean);
        compose(&target, &out);
        *ret = (struct str){out.text, out.len};
        return ERR_OK;
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum err_code uri_decode(struct str text, struct arena *arena, struct str *ret, struct err *err)
{
        char *out = arena_alloc(arena, text.len + 1);
        size_t len = 0;

        if (out == NULL)
                return err_set(err, ERR_LIMIT, "the schema is larger than the limit of its program");
        for (size_t i = 0; i < text.len; i++) {
                int high = 0, low = 0;
                if (text.p[i] != '%') {
                        out[len++] = text.p[i];
                        continue;
                }
                if (i + 2 < text.len) {
                        high = hex_digit(text.p[i + 1]);
                        low = hex_digit(text.p[i + 2]);
                }
                if (i + 2 >= text.len || high < 0 || low < 0)
                        return err_set(err, ERR_UNPROCESSABLE, "it has a malformed %%-escape");
                out[len++] = (char)(high << 4 | low);
                i += 2;
        }
        *ret = (struct str){out, len};
        return ERR_OK;
}
