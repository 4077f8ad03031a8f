/* tests/unit/image/test_registries.c: what is said about registries, and whose credentials go where. */
#include "image/registries.h"

#include "base/own.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct registries *make(const struct registries_config *given, enum err_code wanted)
{
        struct registries_config config = *given;
        struct registries *registries = NULL;
        struct err err = {0};
        const char **texts[] = {&config.insecure, &config.local,     &config.auth_file,
                                &config.auth,     &config.authority, &config.prefix};

        for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
                if (*texts[i] == NULL)
                        *texts[i] = "";
        if (registries_create(&config, &registries, &err) != wanted)
                fail_msg("%s", err.text);
        return registries;
}

static void test_a_list_names_hosts_with_or_without_a_port(void **state)
{
        struct registries *registries =
                make(&(struct registries_config){.insecure = "one.example:5000, Two.example",
                                                 .local = "127.0.0.1"},
                     ERR_OK);

        (void)state;
        assert_true(registries_insecure(registries, "one.example:5000"));
        assert_false(registries_insecure(registries, "one.example"));
        assert_false(registries_insecure(registries, "one.example:5001"));
        assert_true(registries_insecure(registries, "two.example:9"));
        assert_false(registries_insecure(registries, "example"));
        assert_true(registries_local(registries, "127.0.0.1:5000"));
        assert_false(registries_local(registries, "127.0.0.2"));
        registries_destroy(registries);
}

static void test_credentials_go_to_their_registry_alone(void **state)
{
        char path[] = "/tmp/registries-XXXXXX";
        static const char text[] =
                "{\"auths\":{\"a.example\":{\"auth\":\"QQ==\"},\"https://index.docker.io/v1/\":{\"auth\":"
                "\"Qg==\"},\"a.example.evil\":{\"auth\":\"Qw==\"},\"a.example/team\":{\"auth\":\"RA==\"}}}";
        own_fd int fd = mkostemp(path, O_CLOEXEC);

        (void)state;
        assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);

        struct registries *registries = make(&(struct registries_config){.auth_file = path}, ERR_OK);
        json_t *found = registries_auth(registries, "a.example");
        json_t *docker = registries_auth(registries, "docker.io");

        unlink(path);
        assert_int_equal(json_object_size(json_object_get(found, "auths")), 2);
        assert_null(json_object_get(json_object_get(found, "auths"), "a.example.evil"));
        assert_int_equal(json_object_size(json_object_get(docker, "auths")), 1);
        assert_null(registries_auth(registries, "b.example"));
        json_decref(found);
        json_decref(docker);
        registries_destroy(registries);
}

static void test_a_secret_gives_credentials_or_says_what_it_lacks(void **state)
{
        json_t *plain = json_pack("{s:s, s:s}", "username", "ann", "password", "p");
        json_t *other = json_pack("{s:s}", "token", "x");
        json_t *auth = NULL;
        struct err err = {0};

        (void)state;
        assert_int_equal(registries_secret_auth(plain, "a.example:5000", &auth, &err), ERR_OK);
        assert_string_equal(
                json_string_value(json_object_get(
                        json_object_get(json_object_get(auth, "auths"), "a.example:5000"), "auth")),
                "YW5uOnA=");
        assert_int_equal(registries_secret_auth(other, "a.example", &auth, &err), ERR_UNPROCESSABLE);
        assert_non_null(strstr(err.text, "username and password"));
        json_decref(plain);
        json_decref(other);
        json_decref(auth);
}

static void test_a_reference_names_its_registry(void **state)
{
        static const struct {
                const char *reference, *registry;
        } cases[] = {{"a.example/b:1", "a.example"},
                     {"a.example:5000/b/c", "a.example:5000"},
                     {"localhost/b", "localhost"},
                     {"ann/b", "docker.io"},
                     {"b", "docker.io"},
                     {"a.example/b@sha256:00", NULL},
                     {"a.example/b c", NULL},
                     {"--all", NULL},
                     {"", NULL}};
        char registry[REGISTRY_MAX];

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                assert_int_equal(registry_of(str_of(cases[i].reference), registry),
                                 cases[i].registry != NULL);
                if (cases[i].registry != NULL)
                        assert_string_equal(registry, cases[i].registry);
        }
}

static void test_what_is_wrong_names_its_option(void **state)
{
        struct registries_config none = {
                .insecure = "", .local = "", .auth_file = "", .auth = "", .authority = "", .prefix = ""};
        struct registries_config config = none;
        struct registries *registries = NULL;
        struct err err = {0};

        (void)state;
        config.auth = "{\"username\":\"a\"}";
        assert_int_equal(registries_create(&config, &registries, &err), ERR_INVALID);
        assert_non_null(strstr(err.text, "--registry-auth"));
        config = none;
        config.auth_file = "/nowhere/at/all";
        assert_int_not_equal(registries_create(&config, &registries, &err), ERR_OK);
        assert_non_null(strstr(err.text, "--registry-auth-file"));
        config = none;
        config.authority = "/dev/null";
        assert_int_not_equal(registries_create(&config, &registries, &err), ERR_OK);
        assert_non_null(strstr(err.text, "--registry-ca"));
        config = none;
        config.prefix = "a b";
        assert_int_equal(registries_create(&config, &registries, &err), ERR_INVALID);
        assert_non_null(strstr(err.text, "--image-registry"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_list_names_hosts_with_or_without_a_port),
                cmocka_unit_test(test_credentials_go_to_their_registry_alone),
                cmocka_unit_test(test_a_secret_gives_credentials_or_says_what_it_lacks),
                cmocka_unit_test(test_a_reference_names_its_registry),
                cmocka_unit_test(test_what_is_wrong_names_its_option),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
