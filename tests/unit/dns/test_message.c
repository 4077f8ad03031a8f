/* tests/unit/dns/test_message.c: questions and answers, good ones and others. */
#include "dns/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) (const unsigned char *)(text), sizeof(text) - 1

#define HEAD_QUERY "\0\7\1\0\0\1\0\0\0\0\0\0"
#define NAME       "\1A\7example\0"
#define TYPE_A     "\0\1\0\1"
#define QUESTION   NAME TYPE_A
#define RECORD_A   "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4"

enum { ID = 0x1234, TTL_MAX = 3600 };

/* Bytes, not text. */
static void put(void *at, const char *bytes, size_t len)
{
        memcpy(at, bytes, len);
}

static struct dns_query query;
static struct dns_answer answer;

static void ask(void)
{
        assert_true(dns_query_read(BYTES(HEAD_QUERY QUESTION), &query));
}

static bool read_answer(const char *bytes, size_t len)
{
        static unsigned char copy[4096];

        memcpy(copy, bytes, len);
        return dns_answer_read(copy, len, &query, ID, TTL_MAX, &answer);
}

#define READ(text) read_answer(text, sizeof(text) - 1)

static void a_question_is_read_in_lower_case_and_sent_on_as_it_was(void **state)
{
        unsigned char out[DNS_QUERY_MAX];

        (void)state;
        ask();
        assert_string_equal(query.name, "a.example");
        assert_int_equal(query.id, 7);
        assert_int_equal(query.type, DNS_TYPE_A);
        assert_false(query.extended);
        assert_int_equal(query.udp_max, 512);
        size_t len = dns_query_write(&query, ID, out);
        assert_int_equal(len, sizeof(HEAD_QUERY QUESTION) - 1);
        assert_memory_equal(out, "\x12\x34\1\0\0\1\0\0\0\0\0\0" QUESTION, len);
}

static void what_is_no_question_is_refused(void **state)
{
        static const struct {
                const char *bytes;
                size_t len;
        } bad[] = {
#define BAD(text) {text, sizeof(text) - 1}
                BAD(""),
                BAD("\0\7\1\0\0\1\0\0\0\0\0"),
                BAD("\0\7\x81\0\0\1\0\0\0\0\0\0" QUESTION), /* a response */
                BAD("\0\7\x29\0\0\1\0\0\0\0\0\0" QUESTION), /* another operation */
                BAD("\0\7\1\0\0\2\0\0\0\0\0\0" QUESTION QUESTION),
                BAD("\0\7\1\0\0\0\0\0\0\0\0\0"),
                BAD("\0\7\1\0\0\1\0\1\0\0\0\0" QUESTION RECORD_A "\1\2\3\4"),
                BAD(HEAD_QUERY "\xc0\x0c" TYPE_A), /* a pointer in the question */
                BAD(HEAD_QUERY "\1a\1b" TYPE_A),   /* a name without an end */
                BAD(HEAD_QUERY "\1a\0\0\1\0"),     /* cut */
                BAD(HEAD_QUERY "\3a.b\0" TYPE_A),  /* a dot in a label */
                BAD(HEAD_QUERY "\3a b\0" TYPE_A),
                BAD(HEAD_QUERY "\3a\0b\0" TYPE_A),
                BAD("\0\7\1\0\0\1\0\0\0\0\0\1" QUESTION), /* a record that is not there */
                BAD("\0\7\1\0\0\1\0\0\0\0\0\1" QUESTION "\0\0\x29\x10\0\0\1\0\0\0\0"), /* EDNS version 1 */
#undef BAD
        };

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_false(dns_query_read((const unsigned char *)bad[i].bytes, bad[i].len, &query));
}

static void names_of_255_bytes_are_read_and_longer_ones_not(void **state)
{
        unsigned char bytes[512] = HEAD_QUERY;
        size_t at = DNS_HEAD_BYTES;

        (void)state;
        for (int i = 0; i < 3; i++, at += 64) {
                bytes[at] = 63;
                memset(bytes + at + 1, 'x', 63);
        }
        bytes[at] = 61;
        memset(bytes + at + 1, 'x', 61);
        put(bytes + at + 62, "\0\0\1\0\1", 5);
        assert_true(dns_query_read(bytes, at + 67, &query));
        assert_int_equal(strlen(query.name), 253);
        bytes[at] = 62;
        memset(bytes + at + 1, 'x', 62);
        put(bytes + at + 63, "\0\0\1\0\1", 5);
        assert_false(dns_query_read(bytes, at + 68, &query));
}

static void an_extended_question_is_answered_extended(void **state)
{
        unsigned char out[DNS_QUERY_MAX];

        (void)state;
        assert_true(dns_query_read(BYTES("\0\7\1\0\0\1\0\0\0\0\0\1" QUESTION "\0\0\x29\x10\0\0\0\0\0\0\0"),
                                   &query));
        assert_true(query.extended);
        assert_int_equal(query.udp_max, DNS_UDP_MAX);
        size_t len = dns_query_write(&query, ID, out);
        assert_memory_equal(out + len - 11, "\0\0\x29\4\xd0\0\0\0\0\0\0", 11);
        len = dns_refuse(&query, DNS_NXDOMAIN, out);
        assert_memory_equal(out, "\0\7\x81\x83\0\1\0\0\0\0\0\1", DNS_HEAD_BYTES);
        assert_int_equal(len, sizeof(HEAD_QUERY QUESTION) - 1 + 11);
}

static void addresses_are_read_and_the_least_time_counts(void **state)
{
        (void)state;
        ask();
        assert_true(READ("\x12\x34\x81\x80\0\1\0\2\0\0\0\0" QUESTION RECORD_A "\xc6\x12\0\x0a"
                         "\xc0\x0c\0\1\0\1\0\0\0\5\0\4\xc6\x12\0\x0b"));
        assert_int_equal(answer.count, 2);
        assert_int_equal(answer.addresses[0], 0xc612000a);
        assert_int_equal(answer.addresses[1], 0xc612000b);
        assert_int_equal(answer.ttl_s, 5);
}

static void long_times_are_cut_in_place_and_the_id_is_the_askers(void **state)
{
        unsigned char bytes[] =
                "\x12\x34\x81\x80\0\1\0\1\0\0\0\0" QUESTION "\xc0\x0c\0\1\0\1\0\1\x51\x80\0\4\1\2\3\4";

        (void)state;
        ask();
        assert_true(dns_answer_read(bytes, sizeof(bytes) - 1, &query, ID, TTL_MAX, &answer));
        assert_int_equal(answer.ttl_s, TTL_MAX);
        assert_memory_equal(bytes, "\0\7", 2);
        assert_memory_equal(bytes + sizeof(bytes) - 1 - 10, "\0\0\x0e\x10", 4);
}

static void answers_to_something_else_do_not_count(void **state)
{
        (void)state;
        ask();
        assert_false(READ("\x12\x35\x81\x80\0\1\0\0\0\0\0\0" QUESTION));             /* id */
        assert_false(READ("\x12\x34\1\x80\0\1\0\0\0\0\0\0" QUESTION));               /* no response */
        assert_false(READ("\x12\x34\x81\x80\0\1\0\0\0\0\0\0\1b\7example\0" TYPE_A)); /* name */
        assert_false(READ("\x12\x34\x81\x80\0\1\0\0\0\0\0\0" NAME "\0\x1c\0\1"));    /* type */
        assert_false(READ("\x12\x34\x81\x80\0\0\0\0\0\0\0\0"));
        assert_true(READ("\x12\x34\x81\x80\0\1\0\0\0\0\0\0\1a\7EXAMPLE\0" TYPE_A)); /* case is the same */
}

static void answers_that_are_broken_do_not_count(void **state)
{
        (void)state;
        ask();
        assert_false(READ("\x12\x34\x81\x80\0\1\0\1\0\0\0\0" QUESTION));     /* a record short */
        assert_false(READ("\x12\x34\x81\x80\0\1\0\0\0\0\0\0" QUESTION "x")); /* a byte too many */
        assert_false(READ("\x12\x34\x81\x80\0\1\0\1\0\0\0\0" QUESTION "\xc0\x0c\0\1\0\1\0\0\0\5\0\3\1\2\3"));
        assert_false(
                READ("\x12\x34\x81\x80\0\1\0\1\0\0\0\0" QUESTION "\xc0\x0c\0\1\0\1\0\0\0\5\0\5\1\2\3\4"));
        /* A pointer to itself, forwards, and into the head. */
        assert_false(
                READ("\x12\x34\x81\x80\0\1\0\1\0\0\0\0" QUESTION "\xc0\x1b\0\1\0\1\0\0\0\5\0\4\1\2\3\4"));
        assert_false(
                READ("\x12\x34\x81\x80\0\1\0\1\0\0\0\0" QUESTION "\xc0\x1d\0\1\0\1\0\0\0\5\0\4\1\2\3\4"));
        assert_false(
                READ("\x12\x34\x81\x80\0\1\0\1\0\0\0\0" QUESTION "\xc0\x02\0\1\0\1\0\0\0\5\0\4\1\2\3\4"));
        assert_false(READ("\x12\x34\x81\x80\0\1\xff\xff\xff\xff\xff\xff" QUESTION));
}

static void a_truncated_answer_is_known_by_its_head(void **state)
{
        (void)state;
        ask();
        assert_true(READ("\x12\x34\x83\x80\0\1\0\5\0\0\0\0" QUESTION RECORD_A));
        assert_true(answer.truncated);
        assert_int_equal(answer.count, 0);
}

static void more_addresses_than_there_is_room_for_are_told(void **state)
{
        char bytes[4096] = "\x12\x34\x81\x80\0\1\0\x21\0\0\0\0" QUESTION;
        size_t at = sizeof(HEAD_QUERY QUESTION) - 1;

        (void)state;
        ask();
        for (int i = 0; i <= EGRESS_ADDRESSES_MAX; i++, at += 16)
                put(bytes + at, RECORD_A "\1\2\3\4", 16);
        assert_true(read_answer(bytes, at));
        assert_int_equal(answer.count, EGRESS_ADDRESSES_MAX);
        assert_true(answer.overfull);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_question_is_read_in_lower_case_and_sent_on_as_it_was),
                cmocka_unit_test(what_is_no_question_is_refused),
                cmocka_unit_test(names_of_255_bytes_are_read_and_longer_ones_not),
                cmocka_unit_test(an_extended_question_is_answered_extended),
                cmocka_unit_test(addresses_are_read_and_the_least_time_counts),
                cmocka_unit_test(long_times_are_cut_in_place_and_the_id_is_the_askers),
                cmocka_unit_test(answers_to_something_else_do_not_count),
                cmocka_unit_test(answers_that_are_broken_do_not_count),
                cmocka_unit_test(a_truncated_answer_is_known_by_its_head),
                cmocka_unit_test(more_addresses_than_there_is_room_for_are_told),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
