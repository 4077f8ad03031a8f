/* tests/unit/build/test_push.c: skopeo's last words, as it says them of real registries, and what they mean.
 */
#include "build/push.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define FATAL(text) "time=\"2026-01-02T03:04:05Z\" level=fatal msg=\"" text "\""

static const struct {
        const char *said;
        enum err_code code;
        const char *means;
} cases[] = {
        {FATAL("trying to reuse blob sha256:00 at destination: pinging container registry r.example:5000: "
               "Get "
               "\\\"http://r.example:5000/v2/\\\": dial tcp 192.0.2.1:5000: connect: connection refused"),
         ERR_UNAVAILABLE, "registry r.example:5000: unreachable ("},
        {FATAL("pinging container registry r.example:5000: Get \\\"https://r.example/v2/\\\": dial tcp: "
               "lookup r.example: no "
               "such host"),
         ERR_UNAVAILABLE, "unreachable"},
        {FATAL("pinging container registry r.example:5000: Get \\\"https://r.example:5000/v2/\\\": http: "
               "server gave HTTP "
               "response to HTTPS client"),
         ERR_UNAVAILABLE, "--registry-insecure"},
        {FATAL("pinging container registry r.example:5000: Get \\\"https://r.example:5000/v2/\\\": x509: "
               "certificate signed "
               "by unknown authority"),
         ERR_UNAVAILABLE, "--registry-ca"},
        {FATAL("trying to reuse blob sha256:00 at destination: checking whether a blob sha256:00 exists in "
               "r.example:5000/a: authentication required"),
         ERR_FORBIDDEN, "not authorised; set --registry-secret"},
        {FATAL("trying to reuse blob sha256:00 at destination: Requesting bearer token: invalid status code "
               "from registry "
               "403 (Forbidden): denied"),
         ERR_FORBIDDEN, "not authorised"},
        {FATAL("Invalid destination name docker://r.example:5000/A: invalid reference format: repository "
               "name must be "
               "lowercase"),
         ERR_UNPROCESSABLE, "no such repository"},
        {FATAL("writing blob: initiating layer upload: name unknown: repository not known to registry"),
         ERR_UNPROCESSABLE, "no such repository"},
        {FATAL("something else altogether"), ERR_BAD_REPLY, "something else altogether"},
        {"", ERR_BAD_REPLY, "registry r.example:5000"},
};

static void test_words_of_skopeo_tell_what_to_do(void **state)
{
        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct err err = {0};

                assert_int_equal(push_explain(STR("r.example:5000"), str_of(cases[i].said), &err),
                                 cases[i].code);
                if (strstr(err.text, cases[i].means) == NULL)
                        fail_msg("%s", err.text);
                assert_null(strchr(err.text, '\n'));
        }
}

static void test_a_long_story_is_told_from_its_end(void **state)
{
        char said[4096];
        struct err err = {0};

        (void)state;
        memset(said, 'x', sizeof(said));
        memcpy(said + sizeof(said) - 20, ": connection refused", 20);
        assert_int_equal(push_explain(STR("r.example"), (struct str){said, sizeof(said)}, &err),
                         ERR_UNAVAILABLE);
        assert_non_null(strstr(err.text, "connection refused"));
        assert_true(strlen(err.text) < 400);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words_of_skopeo_tell_what_to_do),
                cmocka_unit_test(test_a_long_story_is_told_from_its_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
