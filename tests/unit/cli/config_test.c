/* tests/unit/cli/config_test.c: where settings come from, and the configuration file's way there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/own.h"
#include "cli/config.h"
#include "cli/file.h"

#include <sys/stat.h>

static struct arena arena;
static struct settings settings;
static struct err err;
static char directory[] = "/tmp/cli_config_XXXXXX";
static const char *variables[8][2];

static const char *lookup(const char *name)
{
        for (int i = 0; i < 8; i++) {
                if (variables[i][0] != NULL && strcmp(variables[i][0], name) == 0)
                        return variables[i][1];
        }
        return NULL;
}

static int set_up(void **state)
{
        (void)state;
        arena_init(&arena, 1 << 20);
        memset(variables, 0, sizeof(variables));
        memset(&settings, 0, sizeof(settings));
        return 0;
}

static int tear_down(void **state)
{
        (void)state;
        arena_finish(&arena);
        return 0;
}

static const struct command root = {.name = "tool", .brief = "A tool"};

#define RESOLVE(context, ...)                                                                                \
        resolve(context, (char *[]){"tool", __VA_ARGS__},                                                    \
                (int)(sizeof((char *[]){"tool", __VA_ARGS__}) / sizeof(char *)))

static enum err_code resolve(const char *context_text, char *argv[], int argc)
{
        static json_t *context;
        struct args args;

        json_decref(context);
        context = context_text != NULL ? json_loads(context_text, 0, NULL) : NULL;
        assert_int_equal(args_parse(&root, argc, argv, &args, &err), ERR_OK);
        return settings_resolve(&settings, &arena, &args, lookup, context, &err);
}

static void address_is(const char *scheme, const char *host, int port)
{
        assert_string_equal(settings.scheme, scheme);
        assert_string_equal(settings.host, host);
        assert_int_equal(settings.port, port);
}

static void nothing_set_is_this_machine(void **state)
{
        (void)state;
        assert_int_equal(RESOLVE(NULL, "--json"), ERR_OK);
        address_is("http", "127.0.0.1", 8080);
        assert_string_equal(settings.organization, "");
        assert_string_equal(settings.token, "");
        assert_false(settings.insecure);
}

static void a_named_host_has_the_originals_defaults(void **state)
{
        (void)state;
        assert_int_equal(RESOLVE(NULL, "--host", "h"), ERR_OK);
        address_is("https", "h", 443);
        assert_int_equal(RESOLVE("{\"host\": \"c\"}", "--json"), ERR_OK);
        address_is("https", "c", 443);
        assert_int_equal(RESOLVE(NULL, "--port", "9"), ERR_OK);
        address_is("http", "127.0.0.1", 9);
}

static void flag_then_environment_then_context(void **state)
{
        static const char context[] =
                "{\"host\": \"context\", \"port\": 1, \"scheme\": \"http\", \"insecure\": true}";

        (void)state;
        assert_int_equal(RESOLVE(context, "--json"), ERR_OK);
        address_is("http", "context", 1);
        assert_true(settings.insecure);
        variables[0][0] = "DISPATCH_HOST";
        variables[0][1] = "environment";
        variables[1][0] = "DISPATCH_PORT";
        variables[1][1] = "2";
        assert_int_equal(RESOLVE(context, "--insecure=false"), ERR_OK);
        address_is("http", "environment", 2);
        assert_false(settings.insecure);
        assert_int_equal(RESOLVE(context, "--port=3"), ERR_OK);
        address_is("http", "environment", 3);
        assert_int_equal(RESOLVE(context, "--host="), ERR_OK); /* empty counts as not set */
        address_is("http", "environment", 2);
}

static void a_socket_is_a_host(void **state)
{
        (void)state;
        assert_int_equal(RESOLVE(NULL, "--host", "unix:/run/d.sock"), ERR_OK);
        address_is("http", "localhost", 8080);
        assert_string_equal(settings.socket_path, "/run/d.sock");
        assert_int_equal(RESOLVE(NULL, "--host", "unix:"), ERR_INVALID);
}

static void url_is(const char *context, const char *host, const char *protocol, const char *expected)
{
        assert_int_equal(RESOLVE(context, "--host", (char *)host), ERR_OK);
        assert_string_equal(settings_gateway_url(&settings, &arena, str_of(protocol), STR("/a")), expected);
}

static void the_gateways_urls_leave_out_usual_ports(void **state)
{
        static const char usual[] = "{\"api-http-port\": 80, \"api-https-port\": 443}";

        (void)state;
        url_is(NULL, "h", "http", "http://h:8081/a");
        url_is(NULL, "::1", "https", "https://[::1]:8444/a");
        url_is(usual, "[::1]", "http", "http://[::1]/a");
        url_is(usual, "h", "https", "https://h/a");
        url_is("{\"api-http-port\": 0, \"api-https-port\": 65536}", "h", "https", "https://h:8444/a");
}

static void bad_values_are_named(void **state)
{
        (void)state;
        assert_int_equal(RESOLVE(NULL, "--port", "65536"), ERR_INVALID);
        assert_string_equal(err.text, "invalid port \"65536\": must be 1 to 65535");
        assert_int_equal(RESOLVE(NULL, "--scheme", "gopher"), ERR_INVALID);
        assert_string_equal(err.text, "invalid scheme \"gopher\": must be http or https");
        variables[0][0] = "DISPATCH_INSECURE";
        variables[0][1] = "maybe";
        assert_int_equal(RESOLVE(NULL, "--json"), ERR_INVALID);
}

static const char *path_of(const char *name)
{
        return arena_printf(&arena, "%s/%s", directory, name);
}

static void write_file(const char *path, const char *text)
{
        own_file FILE *file = fopen(path, "we");

        assert_non_null(file);
        fputs(text, file);
}

static void a_file_comes_back_as_it_was(void **state)
{
        static const char text[] = "{\n"
                                   "    \"current\": \"a\",\n"
                                   "    \"contexts\": {\n"
                                   "        \"a\": {\n"
                                   "            \"host\": \"h\",\n"
                                   "            \"port\": 8080,\n"
                                   "            \"scheme\": \"http\",\n"
                                   "            \"organization\": \"\",\n"
                                   "            \"project\": \"\",\n"
                                   "            \"cookie\": \"c\",\n"
                                   "            \"insecure\": false,\n"
                                   "            \"api-https-port\": 8444\n"
                                   "        }\n"
                                   "    }\n"
                                   "}\n";
        own_config struct config config = {.root = NULL};
        own_buf struct buf back = {.max = 65536};
        const char *path = path_of("round.json");
        struct stat st;

        (void)state;
        write_file(path, text);
        assert_int_equal(config_load(&config, &arena, path, &err), ERR_OK);
        assert_string_equal(config_current_name(&config), "a");
        assert_int_equal(config_save(&config, &err), ERR_OK);
        assert_int_equal(file_read(path, &back, &err), ERR_OK);
        assert_string_equal(buf_text(&back), text);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_missing_default_file_is_empty(void **state)
{
        own_config struct config config = {.root = NULL};
        const json_t *context = NULL;

        (void)state;
        setenv("HOME", path_of("nobody"), 1);
        assert_int_equal(config_load(&config, &arena, NULL, &err), ERR_OK);
        assert_int_equal(config_current(&config, &context, &err), ERR_OK);
        assert_null(context);
}

static void a_current_context_must_exist(void **state)
{
        own_config struct config config = {.root = NULL};
        const json_t *context = NULL;
        const char *path = path_of("gone.json");

        (void)state;
        write_file(path, "{\"current\": \"gone\", \"contexts\": {}}");
        assert_int_equal(config_load(&config, &arena, path, &err), ERR_OK);
        assert_int_equal(config_current(&config, &context, &err), ERR_NOT_FOUND);
}

static void a_file_past_the_limit_is_refused(void **state)
{
        own_buf struct buf text = {.max = 100};
        const char *path = path_of("large");

        (void)state;
        write_file(path, "0123456789");
        assert_int_equal(file_read(path, &text, &err), ERR_OK);
        buf_finish(&text);
        text.max = 9;
        assert_int_equal(file_read(path, &text, &err), ERR_TOO_LARGE);
}

static int make_directory(void **state)
{
        (void)state;
        return mkdtemp(directory) != NULL ? 0 : -1;
}

static int remove_directory(void **state)
{
        static const char *const names[] = {"round.json", "gone.json", "large"};

        (void)state;
        arena_init(&arena, 1 << 20);
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                unlink(path_of(names[i]));
        arena_finish(&arena);
        return rmdir(directory);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(nothing_set_is_this_machine),
                TEST(a_named_host_has_the_originals_defaults),
                TEST(flag_then_environment_then_context),
                TEST(a_socket_is_a_host),
                TEST(the_gateways_urls_leave_out_usual_ports),
                TEST(bad_values_are_named),
                TEST(a_file_comes_back_as_it_was),
                TEST(a_missing_default_file_is_empty),
                TEST(a_current_context_must_exist),
                TEST(a_file_past_the_limit_is_refused),
        };

        return cmocka_run_group_tests_name("cli config", tests, make_directory, remove_directory);
}
