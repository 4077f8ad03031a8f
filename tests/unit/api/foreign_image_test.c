/* tests/unit/api/foreign_image_test.c: what of an image's configuration becomes of a function. */
#include "api/foreign_image.h"

#include "base/own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void commands(const char *document, const char *config, const char *want)
{
        own_json json_t *d = json_loads(document, 0, NULL), *c = json_loads(config, 0, NULL);
        own_mem char *text = NULL;
        struct err err = {0};

        assert_non_null(d);
        assert_non_null(c);
        if (foreign_image_command(d, c, &text, &err) != ERR_OK)
                fail_msg("%s", err.text);
        assert_string_equal(text, want);
}

static void refuses(const char *config, const char *why)
{
        own_json json_t *document = json_object(), *c = json_loads(config, 0, NULL);
        own_mem char *text = NULL;
        struct err err = {0};

        assert_non_null(c);
        assert_int_equal(foreign_image_command(document, c, &text, &err), ERR_UNPROCESSABLE);
        assert_string_equal(err.text, why);
        assert_null(text);
}

static void the_command_is_entrypoint_and_cmd(void **state)
{
        (void)state;
        commands("{}", "{\"Entrypoint\":[\"/e\",\"a b\"],\"Cmd\":[\"\\u00fc\"],\"WorkingDir\":\"/w\"}",
                 "{\"argv\":[\"/e\",\"a b\",\"\\u00FC\"],\"cwd\":\"/w\",\"protocol\":\"http\"}");
        commands("{}", "{\"Entrypoint\":null,\"Cmd\":[\"c\"],\"WorkingDir\":\"\"}",
                 "{\"argv\":[\"c\"],\"cwd\":\"/\",\"protocol\":\"http\"}");
}

static void what_cannot_be_started_is_refused(void **state)
{
        (void)state;
        refuses("{}", "the image has neither an Entrypoint nor a Cmd: there is nothing to start");
        refuses("{\"Cmd\":\"ls\"}", "the image's Cmd is no list");
        refuses("{\"Entrypoint\":[\"a\",1]}", "the image's Entrypoint is no list of texts");
}

static void a_command_of_any_size_is_not_taken(void **state)
{
        own_json json_t *document = json_object(), *config = json_pack("{s:[]}", "Cmd");
        own_mem char *text = NULL;
        struct err err = {0};

        (void)state;
        for (int i = 0; i < 257; i++)
                json_array_append_new(json_object_get(config, "Cmd"), json_string("x"));
        assert_int_equal(foreign_image_command(document, config, &text, &err), ERR_UNPROCESSABLE);
        assert_non_null(strstr(err.text, "larger than 256 words"));
}

static void protocol(const char *document, const char *config, const char *want)
{
        own_json json_t *d = json_loads(document, 0, NULL), *c = json_loads(config, 0, NULL);

        assert_string_equal(foreign_image_protocol(d, c), want);
}

static void the_protocol_is_chosen_or_what_the_labels_say(void **state)
{
        const char *original = "{\"Labels\":{\"io.dispatchframework.functionTemplate\":\"/f\"}}";
        const char *ours = "{\"Labels\":{\"io.dispatchframework.functionTemplate\":\"/f\","
                           "\"io.dispatchframework.protocol\":\"http\"}}";

        (void)state;
        protocol("{}", "{}", "http");
        protocol("{}", "{\"Labels\":null}", "http");
        protocol("{}", original, "dispatch");
        protocol("{}", "{\"Labels\":{\"io.dispatchframework.imageTemplate\":\"/i\"}}", "dispatch");
        protocol("{}", ours, "http");
        protocol("{\"protocol\":\"http\"}", original, "http");
        protocol("{\"protocol\":\"dispatch\"}", ours, "dispatch");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_command_is_entrypoint_and_cmd),
                cmocka_unit_test(what_cannot_be_started_is_refused),
                cmocka_unit_test(a_command_of_any_size_is_not_taken),
                cmocka_unit_test(the_protocol_is_chosen_or_what_the_labels_say),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
