/*
 * fuzz/http_url.c: percent-decoding, queries and paths. Properties: what is encoded decodes to itself; the
 * pairs of a query, put together again, give the same pairs; a normalised path has nothing in it that could
 * be read two ways.
 */
#include "base/buf.h"
#include "http/url.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 4096, ARENA_MAX = 1 << 22, PAIRS_MAX = 100 };

static void encode(struct buf *out, struct str text)
{
        for (size_t i = 0; i < text.len; i++)
                assert(buf_printf(out, "%%%02x", (unsigned char)text.p[i]) == ERR_OK);
}

static void check_decode(struct arena *arena, struct str in)
{
        struct buf coded;
        struct str out;

        buf_init(&coded, ARENA_MAX);
        encode(&coded, in);
        assert(url_decode((struct str){coded.data, coded.len}, true, arena, &out) == ERR_OK);
        assert(str_eq(out, in));
        buf_finish(&coded);

        enum err_code code = url_decode(in, false, arena, &out);
        assert(code == ERR_OK || code == ERR_INVALID);
        assert(code != ERR_OK || out.len <= in.len);
}

static void check_pairs(struct arena *arena, struct str in)
{
        struct url_pairs pairs = url_pairs_begin(in, PAIRS_MAX), again;
        struct str names[PAIRS_MAX], values[PAIRS_MAX], name, value;
        struct buf query;
        size_t count = 0;
        enum err_code code;

        buf_init(&query, ARENA_MAX);
        while ((code = url_pairs_next(&pairs, arena, &name, &value)) == ERR_OK) {
                assert(count < PAIRS_MAX);
                names[count] = name;
                values[count++] = value;
                encode(&query, name);
                buf_append_text(&query, "=");
                encode(&query, value);
                buf_append_text(&query, "&");
        }
        assert(code == ERR_NOT_FOUND || code == ERR_INVALID || code == ERR_TOO_LARGE);
        again = url_pairs_begin((struct str){query.data, query.len}, PAIRS_MAX);
        for (size_t i = 0; i < count; i++) {
                assert(url_pairs_next(&again, arena, &name, &value) == ERR_OK);
                assert(str_eq(name, names[i]) && str_eq(value, values[i]));
        }
        assert(url_pairs_next(&again, arena, &name, &value) == ERR_NOT_FOUND);
        buf_finish(&query);
}

static void check_path(struct arena *arena, struct str in)
{
        struct str path, rest;

        if (url_path_normalise(in, arena, &path) != ERR_OK)
                return;
        assert(path.len > 0 && path.p[0] == '/');
        assert(memchr(path.p, '\0', path.len) == NULL && memchr(path.p, '\\', path.len) == NULL);
        size_t slashes = 0, raw_slashes = 0;
        for (size_t i = 0; i < path.len; i++)
                slashes += path.p[i] == '/';
        for (size_t i = 0; i < in.len; i++)
                raw_slashes += in.p[i] == '/';
        assert(slashes == raw_slashes);
        for (rest = path; rest.len > 0;) {
                struct str segment = str_cut(&rest, '/');
                assert(!str_eq(segment, STR(".")) && !str_eq(segment, STR("..")));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = {(const char *)data, size};
        struct arena arena;

        if (size > INPUT_MAX)
                return 0;
        arena_init(&arena, ARENA_MAX);
        check_decode(&arena, in);
        check_pairs(&arena, in);
        check_path(&arena, in);
        arena_finish(&arena);
        return 0;
}
