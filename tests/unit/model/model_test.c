/* tests/unit/model/model_test.c: the tables at work: what is accepted, refused in which words, and printed
 * how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/own.h"
#include "model/model.h"

static json_t *json(const char *text)
{
        json_t *value = NULL;
        struct err err;

        if (json_parse(str_of(text), &value, &err) != ERR_OK)
                fail_msg("%s in %s", err.text, text);
        return value;
}

static void prints_as(const json_t *value, const char *text)
{
        own_buf struct buf out;

        buf_init(&out, 16384);
        assert_int_equal(json_print(value, &out, NULL), ERR_OK);
        assert_string_equal(buf_text(&out), text);
}

static json_t *parsed_over(enum model_kind kind, const char *text, const char *stored_text)
{
        own_json json_t *stored = stored_text != NULL ? json(stored_text) : NULL;
        json_t *document = NULL;
        struct err err;

        if (model_parse_text(model_resource(kind), str_of(text), stored, &document, NULL, &err) != ERR_OK)
                fail_msg("%s in %s", err.text, text);
        return document;
}

static json_t *parsed(enum model_kind kind, const char *text)
{
        return parsed_over(kind, text, NULL);
}

static void refused(enum model_kind kind, const char *text, enum err_code code, int detail,
                    const char *message)
{
        json_t *document = NULL;
        struct err err = {0};

        assert_int_equal(model_parse_text(model_resource(kind), str_of(text), NULL, &document, NULL, &err),
                         code);
        assert_null(document);
        assert_string_equal(err.text, message);
        assert_int_equal(err.detail, detail);
}

#define FRIENDLY                                                                                             \
        "name should start with letter or number and may only contain letters, numbers, underscores and "    \
        "dashes"

static void test_a_function_gets_its_defaults_and_loses_what_is_unknown_or_empty(void **state)
{
        own_json json_t *document =
                parsed(MODEL_FUNCTION, "{\"name\":\"hello\",\"image\":\"python3\",\"x\":1,\"secrets\":[],"
                                       "\"handler\":\"\",\"status\":\"READY\",\"tags\":null,\"timeout\":0,"
                                       "\"schema\":{\"in\":null,\"out\":null},\"env\":{}}");

        (void)state;
        prints_as(document,
                  "{\"name\":\"hello\",\"image\":\"python3\",\"schema\":{},\"memory\":256,\"cpu\":1000,"
                  "\"network\":{\"mode\":\"none\"},\"isolation\":\"instance\",\"concurrency\":1,"
                  "\"minInstances\":0,\"idleTimeout\":600000}");
}

static void test_missing_fields_are_602_and_present_empty_ones_meet_their_pattern(void **state)
{
        (void)state;
        refused(MODEL_FUNCTION, "{}", ERR_UNPROCESSABLE, 602, "name in body is required");
        refused(MODEL_FUNCTION, "null", ERR_UNPROCESSABLE, 602, "name in body is required");
        refused(MODEL_FUNCTION, "{\"name\":null}", ERR_UNPROCESSABLE, 602, "name in body is required");
        refused(MODEL_FUNCTION, " \n", ERR_UNPROCESSABLE, 602, "body in body is required");
        refused(MODEL_SECRET, "", ERR_UNPROCESSABLE, 602, "secret in body is required");
        refused(MODEL_FUNCTION, "{\"name\":\"\"}", ERR_UNPROCESSABLE, 605, FRIENDLY);
        refused(MODEL_FUNCTION, "{\"name\":\"a b\"}", ERR_UNPROCESSABLE, 605, FRIENDLY);
        refused(MODEL_FUNCTION, "{\"name\":\"-a\"}", ERR_UNPROCESSABLE, 605, FRIENDLY);
        refused(MODEL_BASE_IMAGE, "{\"name\":\"a\",\"dockerUrl\":\"u\"}", ERR_UNPROCESSABLE, 602,
                "language in body is required");
        refused(MODEL_IMAGE, "{\"name\":\"a\"}", ERR_UNPROCESSABLE, 602, "baseImageName in body is required");
        refused(MODEL_IMAGE,
                "{\"name\":\"a\",\"baseImageName\":\"b\",\"systemDependencies\":{\"packages\":[{\"name\":"
                "\"x\"},{}]}}",
                ERR_UNPROCESSABLE, 602, "systemDependencies.packages.1.name in body is required");
}

static void test_a_key_cannot_break_a_messages_line(void **state)
{
        (void)state;
        refused(MODEL_FUNCTION, "{\"name\":\"a\",\"env\":{\"a\\nb\\u001b\":\"x\"}}", ERR_UNPROCESSABLE, 605,
                "env.a?b? in body should match '^[A-Za-z_][A-Za-z0-9_]*$'");
}

static void test_an_empty_language_counts_as_present(void **state)
{
        own_json json_t *document = parsed(
                MODEL_BASE_IMAGE, "{\"name\":\"a\",\"dockerUrl\":\"u\",\"groups\":null,\"language\":\"\"}");

        (void)state;
        prints_as(document, "{\"name\":\"a\",\"dockerUrl\":\"u\",\"language\":\"\"}");
}

static void test_wrong_json_types_are_400_in_the_words_of_gos_decoder(void **state)
{
        (void)state;
        refused(MODEL_FUNCTION, "{\"name\":1}", ERR_INVALID, 0,
                "parsing body body from \"\" failed, because json: cannot unmarshal number into Go struct "
                "field "
                "Function.name of type string");
        refused(MODEL_FUNCTION, "{\"name\":\"a\",\"secrets\":\"x\"}", ERR_INVALID, 0,
                "parsing body body from \"\" failed, because json: cannot unmarshal string into Go struct "
                "field "
                "Function.secrets of type []string");
        refused(MODEL_FUNCTION, "{\"name\":\"a\",\"secrets\":[{}]}", ERR_INVALID, 0,
                "parsing body body from \"\" failed, because json: cannot unmarshal object into Go struct "
                "field "
                "Function.secrets of type string");
        refused(MODEL_FUNCTION, "{\"timeout\":1.5}", ERR_INVALID, 0,
                "parsing body body from \"\" failed, because json: cannot unmarshal number 1.5 into Go "
                "struct field "
                "Function.timeout of type int64");
        refused(MODEL_FUNCTION, "[]", ERR_INVALID, 0,
                "parsing body body from \"\" failed, because json: cannot unmarshal array into Go value of "
                "type "
                "v1.Function");
        refused(MODEL_FUNCTION, "{\"name\":\"a\",\"revision\":3}", ERR_INVALID, 0,
                "parsing body body from \"\" failed, because json: cannot unmarshal number into Go struct "
                "field "
                "Function.revision of type string");
        refused(MODEL_SECRET, "{\"name\":\"a\",\"secrets\":{\"k\":2}}", ERR_INVALID, 0,
                "parsing secret body from \"\" failed, because json: cannot unmarshal number into Go struct "
                "field "
                "Secret.secrets of type string");
        refused(MODEL_FUNCTION, "{bad", ERR_INVALID, 0,
                "parsing body body from \"\" failed, because invalid character 'b' looking for beginning of "
                "object "
                "key string");
        refused(MODEL_FUNCTION, "{\"name\":\"a\",\"source\":\"@\"}", ERR_INVALID, 0,
                "parsing body body from \"\" failed, because illegal base64 data at input byte 0");
}

static void test_our_fields_have_ranges_and_values(void **state)
{
        (void)state;
        refused(MODEL_FUNCTION, "{\"name\":\"a\",\"memory\":8}", ERR_UNPROCESSABLE, 606,
                "memory in body should be greater than or equal to 16");
        refused(MODEL_FUNCTION, "{\"name\":\"a\",\"timeout\":-1}", ERR_UNPROCESSABLE, 606,
                "timeout in body should be greater than or equal to 0");
        refused(MODEL_FUNCTION, "{\"name\":\"a\",\"isolation\":\"none\"}", ERR_UNPROCESSABLE, 606,
                "isolation in body should be one of [instance run]");
        refused(MODEL_FUNCTION, "{\"name\":\"a\",\"network\":{\"mode\":\"all\"}}", ERR_UNPROCESSABLE, 606,
                "network.mode in body should be one of [none egress]");
        refused(MODEL_FUNCTION, "{\"name\":\"a\",\"network\":{\"allow\":[\"x\"]}}", ERR_UNPROCESSABLE, 606,
                "network.allow in body needs network.mode to be egress");
        refused(MODEL_FUNCTION, "{\"name\":\"a\",\"functionImage\":\"r\",\"image\":\"i\"}", ERR_UNPROCESSABLE,
                606, "image in body does not go with functionImage, which is the whole function");
        refused(MODEL_FUNCTION, "{\"name\":\"a\",\"functionImage\":\"r\",\"source\":\"eA==\"}",
                ERR_UNPROCESSABLE, 606,
                "source in body does not go with functionImage, which is the whole function");
        refused(MODEL_FUNCTION, "{\"name\":\"a\",\"image\":\"i\",\"registrySecret\":\"s\"}",
                ERR_UNPROCESSABLE, 606, "registrySecret in body needs functionImage");
        refused(MODEL_FUNCTION, "{\"name\":\"a\",\"minInstances\":3,\"maxInstances\":2}", ERR_UNPROCESSABLE,
                606, "minInstances in body should be less than or equal to maxInstances");
        refused(MODEL_FUNCTION, "{\"name\":\"a\",\"env\":{\"A=B\":\"x\"}}", ERR_UNPROCESSABLE, 605,
                "env.A=B in body should match '^[A-Za-z_][A-Za-z0-9_]*$'");
        refused(MODEL_FUNCTION,
                "{\"name\":\"a2345678901234567890123456789012345678901234567890123456789012345\"}",
                ERR_UNPROCESSABLE, 603, "name in body should be at most 64 chars long");
}

static void test_a_field_is_read_under_any_of_its_names(void **state)
{
        own_json json_t *base =
                parsed(MODEL_BASE_IMAGE, "{\"name\":\"a\",\"imageURL\":\"u\",\"language\":\"l\"}");
        own_json json_t *image =
                parsed(MODEL_IMAGE, "{\"name\":\"a\",\"baseImage\":\"b\",\"dockerUrl\":\"d\"}");
        own_json json_t *secret =
                parsed(MODEL_SECRET, "{\"meta\":{\"name\":\"s\"},\"secrets\":{\"k\":\"v\"}}");
        own_json json_t *both =
                parsed(MODEL_SECRET, "{\"meta\":{\"name\":\"\"},\"kind\":\"Secret\",\"name\":\"s\"}");

        (void)state;
        prints_as(base, "{\"name\":\"a\",\"dockerUrl\":\"u\",\"language\":\"l\"}");
        prints_as(image, "{\"name\":\"a\",\"baseImageName\":\"b\",\"imageDestination\":\"d\"}");
        prints_as(secret, "{\"name\":\"s\",\"secrets\":{\"k\":\"v\"}}");
        prints_as(both, "{\"name\":\"s\"}");
        refused(MODEL_BASE_IMAGE,
                "{\"name\":\"a\",\"dockerUrl\":\"u\",\"imageURL\":\"v\",\"language\":\"l\"}",
                ERR_UNPROCESSABLE, 0, "dockerUrl in body is given under two names with two values");
}

static void test_in_an_update_the_name_that_differs_from_what_is_stored_is_meant(void **state)
{
        static const char stored[] = "{\"name\":\"a\",\"dockerUrl\":\"old\",\"language\":\"l\"}";
        own_json json_t *first = parsed_over(
                MODEL_BASE_IMAGE,
                "{\"name\":\"a\",\"dockerUrl\":\"new\",\"imageURL\":\"old\",\"language\":\"l\"}", stored);
        own_json json_t *second = parsed_over(
                MODEL_BASE_IMAGE,
                "{\"name\":\"a\",\"dockerUrl\":\"old\",\"imageURL\":\"new\",\"language\":\"l\"}", stored);
        own_json json_t *same = parsed_over(
                MODEL_BASE_IMAGE,
                "{\"name\":\"a\",\"dockerUrl\":\"old\",\"imageURL\":\"old\",\"language\":\"l\"}", stored);
        own_json json_t *document = json(stored), *sent = NULL;
        struct err err;

        (void)state;
        assert_string_equal(json_str(first, "dockerUrl").p, "new");
        assert_string_equal(json_str(second, "dockerUrl").p, "new");
        assert_string_equal(json_str(same, "dockerUrl").p, "old");

        own_json json_t *two =
                json("{\"name\":\"a\",\"dockerUrl\":\"x\",\"imageURL\":\"y\",\"language\":\"l\"}");
        assert_int_equal(model_parse(model_resource(MODEL_BASE_IMAGE), two, document, &sent, &err),
                         ERR_UNPROCESSABLE);
}

static void test_a_reply_has_every_name_in_the_originals_order(void **state)
{
        own_json json_t *document = json("{\"baseImageName\":\"b\",\"name\":\"py\",\"imageDestination\":"
                                         "\"u\",\"id\":\"i\",\"project\":\"default\","
                                         "\"org\":\"o\",\"createdTime\":5,\"modifiedTime\":6,\"revision\":"
                                         "\"1\",\"status\":\"READY\",\"internal\":1}");
        own_json json_t *all = model_print(model_resource(MODEL_IMAGE), document, MODEL_PRINT_ALL);
        own_json json_t *seed = model_print(model_resource(MODEL_IMAGE), all, MODEL_PRINT_SEED);

        (void)state;
        prints_as(all,
                  "{\"kind\":\"Image\",\"name\":\"py\",\"id\":\"i\",\"project\":\"default\",\"org\":\"o\","
                  "\"createdTime\":5,\"modifiedTime\":6,\"revision\":\"1\",\"baseImageName\":\"b\","
                  "\"baseImage\":\"b\","
                  "\"dockerUrl\":\"u\",\"imageURL\":\"u\",\"imageDestination\":\"u\",\"groups\":null,"
                  "\"reason\":null,"
                  "\"status\":\"READY\"}");
        prints_as(seed,
                  "{\"kind\":\"Image\",\"name\":\"py\",\"id\":\"i\",\"project\":\"default\",\"org\":\"o\","
                  "\"createdTime\":5,\"modifiedTime\":6,\"baseImageName\":\"b\",\"dockerUrl\":\"u\","
                  "\"imageDestination\":\"u\",\"groups\":null,\"reason\":null,\"status\":\"READY\"}");
}

static void test_a_stub_prints_null_for_what_is_required(void **state)
{
        own_json json_t *stub = json("{\"name\":\"py\"}");
        own_json json_t *seed = model_print(model_resource(MODEL_IMAGE), stub, MODEL_PRINT_SEED);

        (void)state;
        prints_as(seed, "{\"name\":\"py\",\"baseImageName\":null,\"groups\":null,\"reason\":null}");
}

static void test_a_secret_has_its_name_twice_and_its_metadata_under_meta(void **state)
{
        own_json json_t *document = json("{\"name\":\"s\",\"secrets\":{\"k\":\"v\"},\"id\":\"i\",\"org\":"
                                         "\"o\",\"project\":\"p\",\"createdTime\":1}");
        own_json json_t *all = model_print(model_resource(MODEL_SECRET), document, MODEL_PRINT_ALL);
        own_json json_t *seed = model_print(model_resource(MODEL_SECRET), all, MODEL_PRINT_SEED);
        static const char text[] =
                "{\"meta\":{\"kind\":\"Secret\",\"name\":\"s\",\"id\":\"i\",\"project\":\"p\",\"org\":\"o\","
                "\"createdTime\":1},"
                "\"id\":\"i\",\"kind\":\"Secret\",\"name\":\"s\",\"secrets\":{\"k\":\"v\"}}";

        (void)state;
        prints_as(all, text);
        prints_as(seed, text);
}

static void test_our_fields_are_in_a_reply_but_shown_only_where_they_are_set(void **state)
{
        own_json json_t *document =
                parsed(MODEL_FUNCTION, "{\"name\":\"f\",\"image\":\"i\",\"memory\":512,\"source\":\"aGk=\"}");
        own_json json_t *all = model_print(model_resource(MODEL_FUNCTION), document, MODEL_PRINT_ALL);
        own_json json_t *seed = model_print(model_resource(MODEL_FUNCTION), all, MODEL_PRINT_SEED);

        (void)state;
        prints_as(all, "{\"kind\":\"Function\",\"name\":\"f\",\"image\":\"i\",\"memory\":512,\"cpu\":1000,"
                       "\"network\":{\"mode\":\"none\"},\"isolation\":\"instance\",\"concurrency\":1,"
                       "\"minInstances\":0,\"idleTimeout\":600000}");
        prints_as(seed, "{\"kind\":\"Function\",\"name\":\"f\",\"image\":\"i\",\"memory\":512}");
}

static void test_falsy_payloads_of_runs_are_kept(void **state)
{
        own_json json_t *document =
                parsed(MODEL_RUN, "{\"blocking\":true,\"input\":false,\"httpContext\":{\"Accept\":\"a\"}}");
        own_json json_t *with_output =
                json("{\"output\":0,\"logs\":{\"stdout\":[\"x\"]},\"executedTime\":3}");
        own_json json_t *printed = model_print(model_resource(MODEL_RUN), with_output, MODEL_PRINT_ALL);

        (void)state;
        prints_as(document, "{\"blocking\":true,\"httpContext\":{\"Accept\":\"a\"},\"input\":false}");
        prints_as(printed, "{\"executedTime\":3,\"logs\":{\"stderr\":null,\"stdout\":[\"x\"]},\"output\":0}");
}

static void test_names_in_paths_and_headers(void **state)
{
        struct err err;

        (void)state;
        assert_int_equal(model_check_path_name(model_resource(MODEL_FUNCTION), STR("hello"), &err), ERR_OK);
        assert_int_equal(model_check_path_name(model_resource(MODEL_FUNCTION), STR("!!"), &err),
                         ERR_UNPROCESSABLE);
        assert_string_equal(err.text,
                            "functionName in path should match '^[\\w\\d][\\w\\d\\-]*[\\w\\d]|[\\w\\d]+$'");
        assert_int_equal(err.detail, 605);
        assert_int_equal(model_check_path_name(model_resource(MODEL_IMAGE), STR("a.b"), &err),
                         ERR_UNPROCESSABLE);
        assert_string_equal(err.text, "imageName in path should match '^[\\w\\d\\-]+$'");
        assert_int_equal(model_check_path_name(model_resource(MODEL_RUN), STR("notuuid"), &err),
                         ERR_UNPROCESSABLE);
        assert_string_equal(err.text, "runName in path must be of type uuid: \"notuuid\"");
        assert_int_equal(err.detail, 601);
        assert_int_equal(model_check_header_name("X-Dispatch-Org", STR("bad org!"), &err), ERR_OK);
        assert_int_equal(model_check_header_name("X-Dispatch-Org", STR(""), &err), ERR_OK);
        assert_int_equal(model_check_header_name("X-Dispatch-Org", STR("!!"), &err), ERR_UNPROCESSABLE);
        assert_string_equal(
                err.text, "X-Dispatch-Org in header should match '^[\\w\\d][\\w\\d\\-]*[\\w\\d]|[\\w\\d]+$'");
}

static void test_names_that_no_message_could_show_are_refused(void **state)
{
        char long_name[MODEL_NAME_MAX + 2];
        struct err err;

        (void)state;
        memset(long_name, 'a', sizeof(long_name));
        long_name[MODEL_NAME_MAX + 1] = '\0';
        assert_int_equal(model_check_path_name(model_resource(MODEL_FUNCTION), STR("ab\xff"), &err),
                         ERR_UNPROCESSABLE);
        assert_int_equal(model_check_path_name(model_resource(MODEL_FUNCTION), STR("ab\n"), &err),
                         ERR_UNPROCESSABLE);
        assert_int_equal(model_check_path_name(model_resource(MODEL_RUN), STR("\xff"), &err),
                         ERR_UNPROCESSABLE);
        assert_string_equal(err.text, "runName in path must be of type uuid: \"?\"");
        assert_int_equal(model_check_header_name("X-Dispatch-Org", str_of(long_name), &err),
                         ERR_UNPROCESSABLE);
        assert_int_equal(err.detail, 603);
}

static void test_the_patterns_match_what_their_expressions_do(void **state)
{
        static const struct {
                enum model_pattern pattern;
                const char *text;
                bool matches;
        } cases[] = {
                {MODEL_PATTERN_P1, "a", true},         {MODEL_PATTERN_P1, "ab!", true},
                {MODEL_PATTERN_P1, "a!", false},       {MODEL_PATTERN_P1, "!a", true},
                {MODEL_PATTERN_P1, "a--b!", true},     {MODEL_PATTERN_P1, "-", false},
                {MODEL_PATTERN_P1, "", false},         {MODEL_PATTERN_P2, "a_-9", true},
                {MODEL_PATTERN_P2, "-a", false},       {MODEL_PATTERN_P2, "\xc3\xa9", false},
                {MODEL_PATTERN_P3, "-a", true},        {MODEL_PATTERN_P3, "", false},
                {MODEL_PATTERN_P3, "a\n", false},      {MODEL_PATTERN_P4, "a.b-c", true},
                {MODEL_PATTERN_P4, "a b", false},      {MODEL_PATTERN_P5, "a-1", true},
                {MODEL_PATTERN_P5, "A", false},        {MODEL_PATTERN_P5, "-a", false},
                {MODEL_PATTERN_VARIABLE, "_A1", true}, {MODEL_PATTERN_VARIABLE, "1A", false},
        };

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                if (model_pattern_match(cases[i].pattern, str_of(cases[i].text)) != cases[i].matches)
                        fail_msg("%s: %s", model_pattern_text(cases[i].pattern), cases[i].text);
}

static void test_files_are_coerced_and_their_unknown_keys_named(void **state)
{
        static const char *const also[] = {"x", NULL};
        own_json json_t *file =
                json("{\"name\":7,\"timeout\":\"30\",\"env\":{\"A\":true},\"secrets\":[1,\"b\"],\"x\":1,"
                     "\"tags\":[{\"key\":\"k\",\"value\":2}],\"schema\":{\"in\":{\"type\":\"object\"}}}");
        own_json json_t *unknown = json("{\"name\":\"a\",\"tags\":[{\"kee\":\"k\"}]}");
        own_json json_t *endpoint = json("{\"cors\":\"yes\",\"enabled\":\"off\"}");
        own_json json_t *coerced = NULL, *coerced_endpoint = NULL, *none = NULL;
        struct err err;

        (void)state;
        assert_int_equal(model_coerce(model_resource(MODEL_FUNCTION), file, also, &coerced, &err), ERR_OK);
        prints_as(coerced,
                  "{\"name\":\"7\",\"timeout\":30,\"env\":{\"A\":\"true\"},\"secrets\":[\"1\",\"b\"],\"x\":1,"
                  "\"tags\":[{\"key\":\"k\",\"value\":\"2\"}],\"schema\":{\"in\":{\"type\":\"object\"}}}");
        assert_int_equal(model_coerce(model_resource(MODEL_FUNCTION), unknown, NULL, &none, &err),
                         ERR_INVALID);
        assert_string_equal(err.text, "unknown key \"tags.0.kee\"");
        assert_int_equal(
                model_coerce(model_resource(MODEL_ENDPOINT), endpoint, NULL, &coerced_endpoint, &err),
                ERR_OK);
        prints_as(coerced_endpoint, "{\"cors\":true,\"enabled\":false}");
}

static void test_kinds_are_found_by_name(void **state)
{
        (void)state;
        assert_ptr_equal(model_resource_named(STR("BaseImage")), model_resource(MODEL_BASE_IMAGE));
        assert_null(model_resource_named(STR("Nothing")));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_function_gets_its_defaults_and_loses_what_is_unknown_or_empty),
                cmocka_unit_test(test_missing_fields_are_602_and_present_empty_ones_meet_their_pattern),
                cmocka_unit_test(test_a_key_cannot_break_a_messages_line),
                cmocka_unit_test(test_an_empty_language_counts_as_present),
                cmocka_unit_test(test_wrong_json_types_are_400_in_the_words_of_gos_decoder),
                cmocka_unit_test(test_our_fields_have_ranges_and_values),
                cmocka_unit_test(test_a_field_is_read_under_any_of_its_names),
                cmocka_unit_test(test_in_an_update_the_name_that_differs_from_what_is_stored_is_meant),
                cmocka_unit_test(test_a_reply_has_every_name_in_the_originals_order),
                cmocka_unit_test(test_a_stub_prints_null_for_what_is_required),
                cmocka_unit_test(test_a_secret_has_its_name_twice_and_its_metadata_under_meta),
                cmocka_unit_test(test_our_fields_are_in_a_reply_but_shown_only_where_they_are_set),
                cmocka_unit_test(test_falsy_payloads_of_runs_are_kept),
                cmocka_unit_test(test_names_in_paths_and_headers),
                cmocka_unit_test(test_names_that_no_message_could_show_are_refused),
                cmocka_unit_test(test_the_patterns_match_what_their_expressions_do),
                cmocka_unit_test(test_files_are_coerced_and_their_unknown_keys_named),
                cmocka_unit_test(test_kinds_are_found_by_name),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
