/* tests/unit/base/test_buf.c: the bounded buffer and the arena. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

static void a_buffer_grows_to_exactly_its_maximum(void **state)
{
        own_buf struct buf buf;

        (void)state;
        buf_init(&buf, 1000);
        for (int i = 0; i < 1000; i++)
                assert_int_equal(buf_append(&buf, "x", 1), ERR_OK);
        assert_int_equal(buf_append(&buf, "x", 1), ERR_TOO_LARGE);
        assert_int_equal(buf.len, 1000);
        assert_int_equal(buf_append(&buf, "", 0), ERR_OK);
        assert_int_equal(strlen(buf_text(&buf)), 1000);
}

static void a_failed_append_changes_nothing(void **state)
{
        own_buf struct buf buf;

        (void)state;
        buf_init(&buf, 5);
        assert_int_equal(buf_append_text(&buf, "abc"), ERR_OK);
        assert_int_equal(buf_append_text(&buf, "def"), ERR_TOO_LARGE);
        assert_int_equal(buf_printf(&buf, "%d", 123), ERR_TOO_LARGE);
        assert_string_equal(buf_text(&buf), "abc");
        assert_int_equal(buf_printf(&buf, "%d", 12), ERR_OK);
        assert_string_equal(buf_text(&buf), "abc12");
        assert_int_equal(buf_reserve(&buf, SIZE_MAX), ERR_TOO_LARGE);
}

static void an_empty_buffer_is_an_empty_text(void **state)
{
        own_buf struct buf buf;

        (void)state;
        buf_init(&buf, 0);
        assert_string_equal(buf_text(&buf), "");
        assert_int_equal(buf.len, 0);
        assert_int_equal(buf_append(&buf, "x", 1), ERR_TOO_LARGE);
}

static void consuming_drops_the_front(void **state)
{
        own_buf struct buf buf;

        (void)state;
        buf_init(&buf, 100);
        buf_append_text(&buf, "hello world");
        buf_consume(&buf, 6);
        assert_string_equal(buf_text(&buf), "world");
        buf_consume(&buf, 5);
        assert_int_equal(buf.len, 0);
}

static void moving_leaves_the_source_empty_with_its_maximum(void **state)
{
        own_buf struct buf from, to;

        (void)state;
        buf_init(&from, 100);
        buf_init(&to, 3);
        buf_append_text(&from, "hello");
        buf_move(&to, &from);
        assert_string_equal(buf_text(&to), "hello");
        assert_int_equal(from.len, 0);
        assert_int_equal(from.max, 100);
        assert_int_equal(buf_append_text(&from, "again"), ERR_OK);
}

static void finishing_takes_a_zeroed_buffer(void **state)
{
        struct buf buf = {0};

        (void)state;
        buf_finish(&buf);
        buf_finish(&buf);
}

static void an_arena_gives_aligned_memory_up_to_its_maximum(void **state)
{
        own_arena struct arena arena;

        (void)state;
        arena_init(&arena, 10000);
        for (size_t size = 1; size < 40; size++) {
                void *piece = arena_alloc(&arena, size);
                assert_non_null(piece);
                assert_int_equal((uintptr_t)piece % alignof(max_align_t), 0);
                memset(piece, 0xff, size);
        }
        assert_null(arena_alloc(&arena, 10000));
        assert_null(arena_alloc(&arena, SIZE_MAX));
        while (arena_alloc(&arena, 100) != NULL)
                ;
        assert_true(arena.used_bytes <= 10000 && arena.used_bytes > 9800);
}

static void pieces_of_an_arena_do_not_overlap(void **state)
{
        own_arena struct arena arena;
        unsigned char *pieces[300];

        (void)state;
        arena_init(&arena, 1 << 20);
        for (size_t i = 0; i < 300; i++) {
                pieces[i] = arena_alloc(&arena, i * 7 % 2000 + 1);
                assert_non_null(pieces[i]);
                memset(pieces[i], (int)(i % 256), i * 7 % 2000 + 1);
        }
        for (size_t i = 0; i < 300; i++) {
                for (size_t j = 0; j < i * 7 % 2000 + 1; j++)
                        assert_int_equal(pieces[i][j], i % 256);
        }
}

static void a_reset_arena_can_be_filled_again(void **state)
{
        own_arena struct arena arena;

        (void)state;
        arena_init(&arena, 8192);
        for (int round = 0; round < 3; round++) {
                assert_non_null(arena_alloc(&arena, 5000));
                assert_non_null(arena_alloc(&arena, 3000));
                assert_null(arena_alloc(&arena, 500));
                arena_reset(&arena);
                assert_int_equal(arena.used_bytes, 0);
        }
}

static void texts_in_an_arena_are_terminated(void **state)
{
        own_arena struct arena arena;

        (void)state;
        arena_init(&arena, 4096);
        assert_string_equal(arena_strdup(&arena, str_slice(STR("hello"), 1, 3)), "el");
        assert_string_equal(arena_strdup(&arena, (struct str){0}), "");
        assert_string_equal(arena_printf(&arena, "%s-%d", "a", 7), "a-7");
        assert_null(arena_printf(&arena, "%05000d", 0));
        const char *zeroed = arena_zalloc(&arena, 64);
        for (int i = 0; i < 64; i++)
                assert_int_equal(zeroed[i], 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_buffer_grows_to_exactly_its_maximum),
                cmocka_unit_test(a_failed_append_changes_nothing),
                cmocka_unit_test(an_empty_buffer_is_an_empty_text),
                cmocka_unit_test(consuming_drops_the_front),
                cmocka_unit_test(moving_leaves_the_source_empty_with_its_maximum),
                cmocka_unit_test(finishing_takes_a_zeroed_buffer),
                cmocka_unit_test(an_arena_gives_aligned_memory_up_to_its_maximum),
                cmocka_unit_test(pieces_of_an_arena_do_not_overlap),
                cmocka_unit_test(a_reset_arena_can_be_filled_again),
                cmocka_unit_test(texts_in_an_arena_are_terminated),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
