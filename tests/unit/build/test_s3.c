/* What a store answers, as far as no store is needed: documents, lists, and the words for what went wrong. */
#include "build/s3.h"
#include "build/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct seen {
        size_t count;
        char text[2048];
};

static void note(void *arg, size_t depth, struct str name, struct str text)
{
        struct seen *seen = arg;
        size_t used = strlen(seen->text);

        seen->count++;
        snprintf(seen->text + used, sizeof(seen->text) - used, "%zu %.*s=%.*s;", depth, STR_ARG(name),
                 STR_ARG(text));
}

static void reads_elements_entities_and_empty_tags(void **state)
{
        struct seen seen = {0};

        (void)state;
        assert_int_equal(xml_read(STR("\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- a > b -->\n"
                                      "<s3:Error xmlns:s3='x>y'><Code> A&amp;B </Code><Hint a=\"/>\"/>"
                                      "<Text>&lt;&#x41;&#66;&quot;&#8364;</Text></s3:Error>\n"),
                                  note, &seen, NULL),
                         ERR_OK);
        assert_string_equal(seen.text, "2 Code=A&B;2 Hint=;2 Text=<AB\"\xe2\x82\xac;1 Error=;");
}

static void refuses_what_is_no_document(void **state)
{
        static const char *const documents[] = {"",
                                                "text",
                                                "<a>",
                                                "<a></b>",
                                                "</a>",
                                                "<a></a><b></b>",
                                                "<a",
                                                "<a>&x;</a>",
                                                "<a>&#0;</a>",
                                                "<a>&#xd800;</a>",
                                                "<!DOCTYPE a><a/>",
                                                "<a><![CDATA[x]]></a>",
                                                "<a>&lt",
                                                "< a/>",
                                                "<a b='>",
                                                "<?xml"};
        struct seen seen = {0};

        (void)state;
        for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
                if (xml_read(str_of(documents[i]), note, &seen, NULL) != ERR_BAD_REPLY)
                        fail_msg("%s was taken", documents[i]);
        }
}

static void bounds_depth_names_and_text(void **state)
{
        struct seen seen = {0};
        own_buf struct buf deep = {.max = 1 << 20}, text = {.max = 1 << 20};

        (void)state;
        for (int i = 0; i <= XML_DEPTH_MAX; i++)
                assert_int_equal(buf_append_text(&deep, "<a>"), ERR_OK);
        assert_int_equal(xml_read((struct str){deep.data, deep.len}, note, &seen, NULL), ERR_BAD_REPLY);
        assert_int_equal(buf_append_text(&text, "<a>"), ERR_OK);
        for (int i = 0; i < XML_TEXT_MAX; i++)
                assert_int_equal(buf_append_text(&text, "xx"), ERR_OK);
        assert_int_equal(buf_append_text(&text, "</a>"), ERR_OK);
        assert_int_equal(xml_read((struct str){text.data, text.len}, note, &seen, NULL), ERR_OK);
}

static bool note_found(void *arg, const struct s3_found *found)
{
        struct seen *seen = arg;
        size_t used = strlen(seen->text);

        snprintf(seen->text + used, sizeof(seen->text) - used, "%.*s %.*s %llu %lld;", STR_ARG(found->key),
                 STR_ARG(found->upload), (unsigned long long)found->size, (long long)found->when);
        return ++seen->count < 3;
}

static void reads_lists_page_by_page(void **state)
{
        struct seen seen = {0};
        own_buf struct buf next = {.max = 100};
        bool more = false;

        (void)state;
        assert_int_equal(
                s3_list_read(
                        STR("<ListBucketResult><Name>b</Name><Contents><Key>p/a</Key><LastModified>"
                            "2013-05-24T00:00:01.000Z</LastModified><Size>7</Size><Owner><ID>1</ID></Owner>"
                            "</Contents><IsTruncated>true</IsTruncated>"
                            "<NextContinuationToken>t1</NextContinuationToken></ListBucketResult>"),
                        note_found, &seen, &next, &more, NULL),
                ERR_OK);
        assert_true(more);
        assert_string_equal(buf_text(&next), "t1");
        buf_clear(&next);
        assert_int_equal(
                s3_list_read(STR("<ListMultipartUploadsResult><NextKeyMarker>k</NextKeyMarker><Upload>"
                                 "<Key>p/b</Key><UploadId>u</UploadId></Upload><Upload><UploadId>none"
                                 "</UploadId></Upload><IsTruncated>false</IsTruncated>"
                                 "</ListMultipartUploadsResult>"),
                             note_found, &seen, &next, &more, NULL),
                ERR_OK);
        assert_int_equal(next.len, 0);
        assert_string_equal(seen.text, "p/a  7 1369353601;p/b u 0 0;");
}

static void stops_a_list_when_enough_was_found(void **state)
{
        struct seen seen = {.count = 2};
        own_buf struct buf next = {.max = 100};
        bool more = true;

        (void)state;
        assert_int_equal(
                s3_list_read(STR("<L><Contents><Key>a</Key></Contents><Contents><Key>b</Key></Contents></L>"),
                             note_found, &seen, &next, &more, NULL),
                ERR_OK);
        assert_false(more);
        assert_string_equal(seen.text, "a  0 0;");
}

static void tells_reasons_apart(void **state)
{
        static const struct {
                CURLcode result;
                long status;
                const char *code;
                enum err_code want;
                const char *text;
                bool may_pass;
        } cases[] = {
                {CURLE_COULDNT_CONNECT, 0, "", ERR_UNAVAILABLE, "unreachable: Connection refused", true},
                {CURLE_COULDNT_RESOLVE_HOST, 0, "", ERR_UNAVAILABLE, "no host of that name", false},
                {CURLE_OPERATION_TIMEDOUT, 0, "", ERR_UNAVAILABLE, "no answer", false},
                {CURLE_PEER_FAILED_VERIFICATION, 0, "", ERR_BAD_REPLY, "--s3-ca", true},
                {CURLE_OK, 403, "InvalidAccessKeyId", ERR_BAD_REPLY, "wrong credentials", true},
                {CURLE_OK, 403, "SignatureDoesNotMatch", ERR_BAD_REPLY, "wrong credentials", true},
                {CURLE_OK, 403, "AccessDenied", ERR_BAD_REPLY, "no permission", true},
                {CURLE_OK, 404, "NoSuchBucket", ERR_BAD_REPLY, "the bucket is not there", true},
                {CURLE_OK, 404, "NoSuchKey", ERR_NOT_FOUND, "the object is not there", true},
                {CURLE_OK, 503, "SlowDown", ERR_UNAVAILABLE, "left in peace", true},
                {CURLE_OK, 507, "XMinioStorageFull", ERR_UNAVAILABLE, "no space", false},
                {CURLE_OK, 500, "InternalError", ERR_UNAVAILABLE, "status 500, InternalError", true},
                {CURLE_OK, 400, "Odd\x1b", ERR_BAD_REPLY, "status 400, Odd?", true},
                {CURLE_OK, 502, "", ERR_UNAVAILABLE, "status 502", true},
                {CURLE_OK, 401, "", ERR_BAD_REPLY, "wrong credentials", true},
        };
        static const struct s3 s3 = {
                .config = {.scheme = "http", .host = "h:9", .bucket = "b", .stall_ms = 5}};
        struct err err;

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct s3_call call = S3_CALL("GET", "k");
                call.status = cases[i].status;
                snprintf(call.code, sizeof(call.code), "%s", cases[i].code);
                assert_int_equal(s3_reason(&s3, &call, cases[i].result, 111, &err), cases[i].want);
                if (strstr(err.text, cases[i].text) == NULL ||
                    strstr(err.text, "object store http://h:9, bucket b: ") != err.text)
                        fail_msg("%s: %s", cases[i].text, err.text);
                if (cases[i].want == ERR_UNAVAILABLE)
                        assert_int_equal(s3_may_pass(&call, cases[i].result), cases[i].may_pass);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_elements_entities_and_empty_tags),
                cmocka_unit_test(refuses_what_is_no_document),
                cmocka_unit_test(bounds_depth_names_and_text),
                cmocka_unit_test(reads_lists_page_by_page),
                cmocka_unit_test(stops_a_list_when_enough_was_found),
                cmocka_unit_test(tells_reasons_apart),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
