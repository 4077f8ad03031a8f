/* tests/unit/build/test_ldcache.c: the dynamic linker's cache, cut down to an image. */
#include "build/ldcache.h"

#include "base/own.h"
#include "support.h"

#include <string.h>

enum { HEADER = 48, ENTRY = 24, CACHE_MAX = 1 << 16 };

static void put_u32(struct buf *cache, uint32_t value)
{
        assert_int_equal(buf_append(cache, &value, sizeof(value)), ERR_OK);
}

struct line {
        const char *name;
        const char *path;
        uint64_t hwcap;
};

static void make(struct buf *cache, const struct line *lines, uint32_t count)
{
        static const uint32_t unused[4];
        uint32_t at = HEADER + count * ENTRY;

        buf_append(cache, "glibc-ld.so.cache1.1", 20);
        put_u32(cache, count);
        put_u32(cache, 0); /* nobody looks at the length of the strings */
        put_u32(cache, 2);
        buf_append(cache, unused, sizeof(unused));
        for (uint32_t i = 0; i < count; i++) {
                put_u32(cache, 0x0303);
                put_u32(cache, at);
                at += (uint32_t)strlen(lines[i].name) + 1;
                put_u32(cache, at);
                at += (uint32_t)strlen(lines[i].path) + 1;
                put_u32(cache, 0);
                buf_append(cache, &lines[i].hwcap, 8);
        }
        for (uint32_t i = 0; i < count; i++) {
                buf_append(cache, lines[i].name, strlen(lines[i].name) + 1);
                buf_append(cache, lines[i].path, strlen(lines[i].path) + 1);
        }
}

static bool below_lib(void *arg, const char *path)
{
        (void)arg;
        return strncmp(path, "/lib/", 5) == 0;
}

static bool everything(void *arg, const char *path)
{
        (void)arg;
        (void)path;
        return true;
}

static struct str view(const struct buf *buf)
{
        return (struct str){buf->data, buf->len};
}

static const struct line host[] = {
        {"libz.so.1", "/usr/local/lib/libz.so.1", 0},
        {"libz.so.1", "/lib/libz.so.1", 0},
        {"libm.so.6", "/lib/v3/libm.so.6", 2},
        {"libm.so.6", "/lib/libm.so.6", 0},
        {"liba.so", "lib/relative", 0},
};

static void keeps_the_wanted_libraries_in_their_order(void **state)
{
        static const struct line expected[] = {{"libz.so.1", "/lib/libz.so.1", 0},
                                               {"libm.so.6", "/lib/libm.so.6", 0}};
        own_buf struct buf in, out, wanted;

        (void)state;
        buf_init(&in, CACHE_MAX);
        buf_init(&out, CACHE_MAX);
        buf_init(&wanted, CACHE_MAX);
        make(&in, host, 5);
        make(&wanted, expected, 2);
        assert_int_equal(ldcache_filter(view(&in), below_lib, NULL, &out, NULL), ERR_OK);
        assert_int_equal(out.len, wanted.len);
        /* All but the length of the strings, which make() leaves out. */
        assert_memory_equal(out.data, wanted.data, 24);
        assert_memory_equal(out.data + 28, wanted.data + 28, wanted.len - 28);
}

static void changes_nothing_the_second_time(void **state)
{
        own_buf struct buf in, first, second;

        (void)state;
        buf_init(&in, CACHE_MAX);
        buf_init(&first, CACHE_MAX);
        buf_init(&second, CACHE_MAX);
        make(&in, host, 5);
        assert_int_equal(ldcache_filter(view(&in), below_lib, NULL, &first, NULL), ERR_OK);
        assert_int_equal(ldcache_filter(view(&first), everything, NULL, &second, NULL), ERR_OK);
        assert_int_equal(second.len, first.len);
        assert_memory_equal(second.data, first.data, first.len);
}

static void refuses_other_formats_and_what_is_cut_off(void **state)
{
        own_buf struct buf in, out;
        size_t whole;

        (void)state;
        buf_init(&in, CACHE_MAX);
        buf_init(&out, CACHE_MAX);
        make(&in, host, 5);
        whole = in.len;
        for (in.len = 0; in.len < HEADER + 5 * ENTRY; in.len++)
                assert_int_equal(ldcache_filter(view(&in), everything, NULL, &out, NULL), ERR_INVALID);
        in.len = whole;
        in.data[0] = 'l';
        assert_int_equal(ldcache_filter(view(&in), everything, NULL, &out, NULL), ERR_INVALID);
        assert_int_equal(out.len, 0);
}

static void leaves_out_entries_whose_texts_are_not_inside(void **state)
{
        own_buf struct buf in, out;

        (void)state;
        buf_init(&in, CACHE_MAX);
        buf_init(&out, CACHE_MAX);
        make(&in, host, 2);
        in.len--; /* the last text has no end */
        assert_int_equal(ldcache_filter(view(&in), everything, NULL, &out, NULL), ERR_OK);
        assert_int_equal(out.data[20], 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(keeps_the_wanted_libraries_in_their_order),
                cmocka_unit_test(changes_nothing_the_second_time),
                cmocka_unit_test(refuses_other_formats_and_what_is_cut_off),
                cmocka_unit_test(leaves_out_entries_whose_texts_are_not_inside),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
