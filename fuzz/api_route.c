/*
 * A method, a path and a query as they may come: the first line is the method, the second the path, the rest
 * the query. Whatever is found lies within what was given, decoding never grows, and the answer does not
 * depend on slashes that mean nothing.
 */
#include "api/route.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_slashes(struct str method, struct str path, enum err_code code,
                          const struct api_route *route)
{
        own_buf struct buf slashed = {0};
        struct api_route again;

        buf_init(&slashed, path.len + 2);
        if (buf_append_text(&slashed, "/") != ERR_OK || buf_append(&slashed, path.p, path.len) != ERR_OK ||
            buf_append_text(&slashed, "/") != ERR_OK)
                return;
        assert(api_route_find(method, (struct str){slashed.data, slashed.len}, &again, NULL) == code);
        if (code == ERR_OK)
                assert(again.target == route->target && again.kind == route->kind &&
                       again.verb == route->verb && str_eq(again.name, route->name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str rest = {(const char *)data, size};
        struct str method = str_cut(&rest, '\n'), path = str_cut(&rest, '\n');
        own_arena struct arena arena;
        struct str value;
        struct api_route route;
        struct err err;

        enum err_code code = api_route_find(method, path, &route, &err);
        if (code == ERR_OK && route.name.len > 0)
                assert(route.name.p >= path.p && route.name.p + route.name.len <= path.p + path.len);
        check_slashes(method, path, code, &route);

        arena_init(&arena, 1 << 20);
        if (api_query_get(rest, STR("functionName"), &arena, &value) == ERR_OK)
                assert(value.len <= rest.len);
        api_content_type_check(rest, &err);
        return 0;
}
