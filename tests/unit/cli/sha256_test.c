/* tests/unit/base/sha256_test.c: the examples of FIPS 180-4 and NIST's long ones, in pieces of any length. */
#include "base/sha256.h"

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *digest_of(const void *bytes, size_t len, size_t piece)
{
        static char hex[2 * SHA256_LEN + 1];
        unsigned char digest[SHA256_LEN];
        struct sha256 sha;

        sha256_begin(&sha);
        for (size_t at = 0; at < len; at += piece)
                sha256_add(&sha, (const char *)bytes + at, len - at < piece ? len - at : piece);
        sha256_end(&sha, digest);
        hex_encode(digest, sizeof(digest), hex);
        return hex;
}

static void test_the_examples_of_the_standard(void **state)
{
        static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";

        (void)state;
        assert_string_equal(digest_of("", 0, 1),
                            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_string_equal(digest_of("abc", 3, 1),
                            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_string_equal(digest_of(two_blocks, sizeof(two_blocks) - 1, 7),
                            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void test_a_million_bytes_in_pieces_of_any_length(void **state)
{
        static char bytes[1000000];

        (void)state;
        memset(bytes, 'a', sizeof(bytes));
        for (size_t piece = 1; piece < 200; piece = piece * 3 + 1)
                assert_string_equal(digest_of(bytes, sizeof(bytes), piece),
                                    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
        assert_string_equal(digest_of(bytes, sizeof(bytes), sizeof(bytes)),
                            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_examples_of_the_standard),
                cmocka_unit_test(test_a_million_bytes_in_pieces_of_any_length),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
