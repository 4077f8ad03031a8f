/* The document of a run and the message of the original's function runtime. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/own.h"
#include "engine/recorder.h"

static struct run_record *record_of(const char *type, struct str body)
{
        struct run_record *record = run_record_create();

        assert_non_null(record);
        record->function = strdup("hello");
        record->organization = strdup("org");
        record->project = strdup("default");
        record->finished_us = record->executed_us + 1500000;
        record->inv.body.max = record->inv.log_stdout.max = record->inv.log_stderr.max = 1 << 20;
        buf_append_text(&record->inv.content, type);
        buf_append(&record->inv.body, body.p, body.len);
        return record;
}

static void message_is(const struct run_record *record, const char *expected)
{
        own_buf struct buf out = {.max = 1 << 20};

        assert_int_equal(run_record_message(record, &out, NULL), ERR_OK);
        assert_string_equal(buf_text(&out), expected);
}

static void a_message_has_logs_and_the_payload_as_it_is(void **state)
{
        struct run_record *record = record_of("application/json", STR("{\"b\":1,\"a\":[2]}"));

        (void)state;
        buf_append_text(&record->inv.log_stdout, "one\ntwo\n");
        message_is(record, "{\"context\":{\"logs\":{\"stdout\":[\"one\",\"two\"],\"stderr\":null}},"
                           "\"payload\":{\"b\":1,\"a\":[2]}}");
        run_record_destroy(record);
}

static void an_error_stands_before_the_logs_and_leaves_no_payload(void **state)
{
        struct run_record *record = record_of("application/json", STR("{}"));

        (void)state;
        record->inv.error_type = "FunctionError";
        buf_append_text(&record->inv.error,
                        "{\"type\":\"FunctionError\",\"message\":\"boom\",\"stacktrace\":[\"x\"]}");
        message_is(record, "{\"context\":{\"error\":{\"type\":\"FunctionError\",\"message\":\"boom\","
                           "\"stacktrace\":[\"x\"]},"
                           "\"logs\":{\"stdout\":null,\"stderr\":null}},\"payload\":null}");
        run_record_destroy(record);
}

static void bytes_that_are_no_text_become_base64(void **state)
{
        struct run_record *record = record_of("application/octet-stream", (struct str){"\xff\x00\x01", 3});

        (void)state;
        message_is(record, "{\"context\":{\"logs\":{\"stdout\":null,\"stderr\":null}},\"payload\":\"/"
                           "wAB\",\"payloadEncoding\":\"base64\"}");
        run_record_destroy(record);
}

static void a_json_reply_that_is_none_is_told_as_text(void **state)
{
        struct run_record *record = record_of("application/json", STR("{\"a\":"));

        (void)state;
        message_is(record,
                   "{\"context\":{\"logs\":{\"stdout\":null,\"stderr\":null}},\"payload\":\"{\\\"a\\\":\"}");
        run_record_destroy(record);
}

static void a_log_with_bytes_that_are_no_utf8_is_mended(void **state)
{
        struct run_record *record = record_of("application/json", STR("1"));

        (void)state;
        buf_append(&record->inv.log_stderr,
                   "a\xff"
                   "b\xc3\xa4\n",
                   6);
        message_is(record, "{\"context\":{\"logs\":{\"stdout\":null,\"stderr\":[\"a\xef\xbf\xbd"
                           "b\xc3\xa4\"]}},\"payload\":1}");
        run_record_destroy(record);
}

static void a_document_tells_times_status_and_reason(void **state)
{
        struct run_record *record = record_of("application/json", STR("1"));
        json_t *document = NULL;

        (void)state;
        record->executed_us = 1538689412000000;
        record->finished_us = record->executed_us + 2000000;
        assert_int_equal(run_record_document(record, NULL, &document, NULL), ERR_OK);
        assert_string_equal(json_string_value(json_object_get(document, "status")), "READY");
        assert_int_equal(json_integer_value(json_object_get(document, "executedTime")), 1538689412);
        assert_int_equal(json_integer_value(json_object_get(document, "finishedTime")), 1538689414);
        assert_string_equal(json_string_value(json_object_get(document, "executedAt")),
                            "2018-10-04T21:43:32.000000Z");
        json_decref(document);

        record->inv.error_type = "FunctionError";
        buf_append_text(&record->inv.error, "{\"type\":\"FunctionError\",\"message\":\"boom\"}");
        assert_int_equal(run_record_document(record, NULL, &document, NULL), ERR_OK);
        assert_string_equal(json_string_value(json_object_get(document, "status")), "ERROR");
        assert_string_equal(json_string_value(json_array_get(json_object_get(document, "reason"), 0)),
                            "error running function: hello: boom");
        json_decref(document);
        run_record_destroy(record);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_message_has_logs_and_the_payload_as_it_is),
                cmocka_unit_test(an_error_stands_before_the_logs_and_leaves_no_payload),
                cmocka_unit_test(bytes_that_are_no_text_become_base64),
                cmocka_unit_test(a_json_reply_that_is_none_is_told_as_text),
                cmocka_unit_test(a_log_with_bytes_that_are_no_utf8_is_mended),
                cmocka_unit_test(a_document_tells_times_status_and_reason),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
