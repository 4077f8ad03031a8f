/* Against the examples of the signature's documentation (of S3) and of AWS's own suite of tests. */
#include "build/sigv4.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { FIELDS = 4, QUERY = 3 };

static const char empty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct vector {
        const char *name, *method, *path;
        struct sigv4_field query[QUERY], headers[FIELDS];
        const char *payload, *signature;
};

#define FIELD(name, value)                                                                                   \
        {                                                                                                    \
                name, STR_INIT(value)                                                                        \
        }

/* "Examples: Signature Calculations", of the S3 documentation. */
static const struct sigv4_keys s3_keys = {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                          "us-east-1", "s3"};
static const char s3_date[] = "20130524T000000Z";
#define S3_HOST       FIELD("host", "examplebucket.s3.amazonaws.com")
#define S3_DATE       FIELD("x-amz-date", "20130524T000000Z")
#define S3_HASH(hash) FIELD("x-amz-content-sha256", hash)
#define EMPTY         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define WELCOME       "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"

static const struct vector s3_vectors[] = {
        {"GET object",
         "GET",
         "/test.txt",
         {{0}},
         {S3_HOST, FIELD("range", "bytes=0-9"), S3_HASH(EMPTY), S3_DATE},
         empty,
         "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
        {"GET bucket lifecycle",
         "GET",
         "/",
         {FIELD("lifecycle", "")},
         {S3_HOST, S3_HASH(EMPTY), S3_DATE},
         empty,
         "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
        {"GET bucket, list objects",
         "GET",
         "/",
         {FIELD("prefix", "J"), FIELD("max-keys", "2")},
         {S3_DATE, S3_HASH(EMPTY), S3_HOST},
         empty,
         "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
};

/* Of the "AWS Signature Version 4 Test Suite". */
static const struct sigv4_keys suite_keys = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                                             "us-east-1", "service"};
static const char suite_date[] = "20150830T123600Z";
#define SUITE_HOST FIELD("host", "example.amazonaws.com")
#define SUITE_DATE FIELD("x-amz-date", "20150830T123600Z")

static const struct vector suite_vectors[] = {
        {"get-vanilla",
         "GET",
         "/",
         {{0}},
         {SUITE_HOST, SUITE_DATE},
         empty,
         "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
        {"get-vanilla-query-order-key-case",
         "GET",
         "/",
         {FIELD("Param2", "value2"), FIELD("Param1", "value1")},
         {SUITE_HOST, SUITE_DATE},
         empty,
         "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
        {"get-header-value-trim",
         "GET",
         "/",
         {{0}},
         {SUITE_HOST, FIELD("my-header1", " value1"), FIELD("my-header2", " \"a   b   c\""), SUITE_DATE},
         empty,
         "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
        {"get-unreserved",
         "GET",
         "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
         {{0}},
         {SUITE_HOST, SUITE_DATE},
         empty,
         "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
        {"get-utf8",
         "GET",
         "/\xe1\x88\xb4",
         {{0}},
         {SUITE_HOST, SUITE_DATE},
         empty,
         "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
        {"post-vanilla",
         "POST",
         "/",
         {{0}},
         {SUITE_HOST, SUITE_DATE},
         empty,
         "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
};

static void check(const struct vector *vector, const struct sigv4_keys *keys, const char *date)
{
        struct sigv4_request request = {.method = vector->method,
                                        .path = str_of(vector->path),
                                        .query = vector->query,
                                        .headers = vector->headers,
                                        .payload = vector->payload};
        own_buf struct buf out = {.max = SIGV4_TEXT_MAX};
        struct err err = {0};

        while (request.query_count < QUERY && vector->query[request.query_count].name != NULL)
                request.query_count++;
        while (request.header_count < FIELDS && vector->headers[request.header_count].name != NULL)
                request.header_count++;
        if (sigv4_authorize(keys, &request, date, &out, &err) != ERR_OK)
                fail_msg("%s: %s", vector->name, err.text);
        if (!str_ends((struct str){out.data, out.len}, str_of(vector->signature)))
                fail_msg("%s: %s", vector->name, buf_text(&out));
}

static void signs_like_the_examples_of_s3(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(s3_vectors) / sizeof(s3_vectors[0]); i++)
                check(&s3_vectors[i], &s3_keys, s3_date);
}

static void signs_like_the_suite(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(suite_vectors) / sizeof(suite_vectors[0]); i++)
                check(&suite_vectors[i], &suite_keys, suite_date);
}

/* The example "PUT object": a path that has to be encoded, five headers, a body. */
static void signs_an_upload_and_says_what_it_signed(void **state)
{
        static const struct sigv4_field headers[] = {
                S3_HOST, S3_DATE, FIELD("date", "Fri, 24 May 2013 00:00:00 GMT"),
                FIELD("x-amz-storage-class", "REDUCED_REDUNDANCY"), S3_HASH(WELCOME)};
        static const struct sigv4_request request = {.method = "PUT",
                                                     .path = STR_INIT("/test$file.text"),
                                                     .headers = headers,
                                                     .header_count = 5,
                                                     .payload = WELCOME};
        own_buf struct buf out = {.max = SIGV4_TEXT_MAX};
        char hash[SIGV4_HEX_LEN + 1];
        struct err err;

        (void)state;
        sigv4_sha256("Welcome to Amazon S3.", 21, hash);
        assert_string_equal(hash, WELCOME);
        assert_int_equal(sigv4_authorize(&s3_keys, &request, s3_date, &out, &err), ERR_OK);
        assert_string_equal(buf_text(&out),
                            "AWS4-HMAC-SHA256 "
                            "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                            "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,"
                            "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void canonical_request_is_the_documented_one(void **state)
{
        static const struct sigv4_field headers[] = {S3_HOST, S3_HASH(EMPTY), S3_DATE};
        static const struct sigv4_field query[] = {FIELD("prefix", "somePrefix"),
                                                   FIELD("marker", "someMarker"), FIELD("max-keys", "20")};
        static const struct sigv4_request request = {.method = "GET",
                                                     .path = STR_INIT("/"),
                                                     .query = query,
                                                     .query_count = 3,
                                                     .headers = headers,
                                                     .header_count = 3,
                                                     .payload = EMPTY};
        own_buf struct buf out = {.max = SIGV4_TEXT_MAX};

        (void)state;
        assert_int_equal(sigv4_canonical(&request, &out, NULL), ERR_OK);
        assert_string_equal(buf_text(&out), "GET\n/\nmarker=someMarker&max-keys=20&prefix=somePrefix\n"
                                            "host:examplebucket.s3.amazonaws.com\n"
                                            "x-amz-content-sha256:" EMPTY "\n"
                                            "x-amz-date:20130524T000000Z\n\n"
                                            "host;x-amz-content-sha256;x-amz-date\n" EMPTY);
}

static void encodes_all_but_the_unreserved(void **state)
{
        own_buf struct buf out = {.max = SIGV4_TEXT_MAX};

        (void)state;
        assert_int_equal(sigv4_encode(&out, STR("a/b c~*'()=&+\xc3\xa9"), false), ERR_OK);
        assert_string_equal(buf_text(&out), "a%2Fb%20c~%2A%27%28%29%3D%26%2B%C3%A9");
        buf_clear(&out);
        assert_int_equal(sigv4_encode(&out, STR("/a/b c"), true), ERR_OK);
        assert_string_equal(buf_text(&out), "/a/b%20c");
}

static void writes_the_date_in_utc(void **state)
{
        char date[SIGV4_DATE_LEN + 1];

        (void)state;
        sigv4_date(1369353600, date);
        assert_string_equal(date, s3_date);
}

static void refuses_more_fields_than_it_sorts(void **state)
{
        struct sigv4_field headers[SIGV4_FIELDS_MAX + 1] = {S3_HOST};
        struct sigv4_request request = {.method = "GET",
                                        .path = STR("/"),
                                        .headers = headers,
                                        .header_count = SIGV4_FIELDS_MAX + 1,
                                        .payload = empty};
        own_buf struct buf out = {.max = SIGV4_TEXT_MAX};
        struct err err;

        (void)state;
        assert_int_equal(sigv4_authorize(&s3_keys, &request, s3_date, &out, &err), ERR_LIMIT);
        assert_int_equal(out.len, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(signs_like_the_examples_of_s3),
                cmocka_unit_test(signs_like_the_suite),
                cmocka_unit_test(signs_an_upload_and_says_what_it_signed),
                cmocka_unit_test(canonical_request_is_the_documented_one),
                cmocka_unit_test(encodes_all_but_the_unreserved),
                cmocka_unit_test(writes_the_date_in_utc),
                cmocka_unit_test(refuses_more_fields_than_it_sorts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
