/* tests/unit/model/yaml_test.c: what YAML means here, what is refused, and how resources look in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/own.h"
#include "model/model.h"
#include "model/yaml.h"

static void reads_as(const char *text, const char *expected)
{
        own_json json_t *value = NULL;
        own_buf struct buf out;
        struct err err;

        buf_init(&out, 65536);
        if (yaml_parse(str_of(text), &value, &err) != ERR_OK)
                fail_msg("%s in %s", err.text, text);
        assert_int_equal(json_print(value, &out, &err), ERR_OK);
        assert_string_equal(buf_text(&out), expected);
}

static const char *refusal(const char *text)
{
        static struct err err;
        json_t *value = NULL;

        if (yaml_parse(str_of(text), &value, &err) != ERR_INVALID)
                fail_msg("accepted: %s", text);
        assert_null(value);
        return err.text;
}

static void prints_as(const json_t *value, const char *expected)
{
        own_buf struct buf out;
        struct err err;

        buf_init(&out, 65536);
        assert_int_equal(yaml_print(value, &out, &err), ERR_OK);
        assert_string_equal(buf_text(&out), expected);
}

static void test_scalars_follow_the_core_schema(void **state)
{
        (void)state;
        reads_as("[null, ~, Null, true, False, yes, no, on, NO]",
                 "[null,null,null,true,false,\"yes\",\"no\",\"on\",\"NO\"]");
        reads_as("[1, -2, +3, 0x1F, 0o17, 0, -0]", "[1,-2,3,31,15,0,0]");
        reads_as("[1.5, .5, 1., 1e3, -1.5E-2]", "[1.5,0.5,1.0,1000.0,-0.015]");
        reads_as("[0123, 1_000, 2018-10-04, 1:30, .inf, 0x, 1e, 0.0.13, '1', \"true\"]",
                 "[\"0123\",\"1_000\",\"2018-10-04\",\"1:30\",\".inf\",\"0x\",\"1e\",\"0.0.13\",\"1\","
                 "\"true\"]");
        reads_as("[!!str 1, !!int '1', !!float 1, !!bool 'true', !!null '', ! 1]",
                 "[\"1\",1,1.0,true,null,\"1\"]");
        reads_as("", "null");
        reads_as("# nothing\n---\n", "null");
}

static void test_a_document_as_people_write_it(void **state)
{
        (void)state;
        reads_as("kind: Function\nname: hello # comment\nschema:\n  in: {type: object}\ntags:\n- key: a\n  "
                 "value: 2\n"
                 "text: |\n  one\n  two\n",
                 "{\"kind\":\"Function\",\"name\":\"hello\",\"schema\":{\"in\":{\"type\":\"object\"}},"
                 "\"tags\":[{\"key\":\"a\",\"value\":2}],\"text\":\"one\\ntwo\\n\"}");
        reads_as("base: &b {x: [1, 2]}\none: *b\n", "{\"base\":{\"x\":[1,2]},\"one\":{\"x\":[1,2]}}");
        reads_as("1: a\ntrue: b\n", "{\"1\":\"a\",\"true\":\"b\"}");
}

static void test_what_is_refused_names_its_line(void **state)
{
        (void)state;
        assert_string_equal(
                refusal("a: 1\nb: !ruby/object x\n"),
                "yaml: line 2: a tag that is not one of !!str, !!int, !!float, !!bool, !!null, !!map, !!seq");
        assert_string_equal(refusal("a: &a {x: 1}\nb:\n  <<: *a\n"),
                            "yaml: line 3: merge keys (<<) are not supported");
        assert_string_equal(refusal("a: 1\na: 2\n"), "yaml: line 2: a key that is there already");
        assert_string_equal(refusal("? [1]\n: 2\n"), "yaml: line 1: a key that is not a scalar");
        assert_string_equal(refusal("a: *b\n"),
                            "yaml: line 1: an alias of an anchor that is not complete before it");
        assert_string_equal(refusal("a: &b [*b]\n"),
                            "yaml: line 1: an alias of an anchor that is not complete before it");
        assert_string_equal(refusal("a: 99999999999999999999\n"),
                            "yaml: line 1: number out of range: 99999999999999999999");
        assert_string_equal(refusal("a: !!int x\n"), "yaml: line 1: a value that is not what its tag says");
        assert_string_equal(refusal("a: \"\\0\"\n"), "yaml: line 1: NUL in a string");
        assert_string_equal(refusal("a: 1\n---\nb: 2\n"), "yaml: line 3: a second document");
        assert_non_null(strstr(refusal("a: 1\n\tb: 2\n"), "yaml: line 2: "));
        assert_non_null(strstr(refusal("a: [1\n"), "yaml: line "));
}

static void test_aliases_cannot_blow_a_document_up(void **state)
{
        own_buf struct buf text;

        (void)state;
        buf_init(&text, 65536);
        assert_int_equal(buf_append_text(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"), ERR_OK);
        for (int i = 1; i < 12; i++)
                assert_int_equal(buf_printf(&text,
                                            "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i,
                                            i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1),
                                 ERR_OK);
        assert_non_null(strstr(refusal(buf_text(&text)), "more than 100000 values"));

        buf_clear(&text);
        assert_int_equal(buf_append_text(&text, "a: &a "), ERR_OK);
        for (int i = 0; i < 50000; i++)
                assert_int_equal(buf_append(&text, "x", 1), ERR_OK);
        assert_int_equal(buf_append_text(&text, "\nb: ["), ERR_OK);
        for (int i = 0; i < 200; i++)
                assert_int_equal(buf_append_text(&text, "*a, "), ERR_OK);
        assert_int_equal(buf_append_text(&text, "]\n"), ERR_OK);
        assert_non_null(strstr(refusal(buf_text(&text)), "more than 8 MiB"));
}

static void test_nesting_and_size_are_bounded(void **state)
{
        char text[400];
        json_t *value = NULL;
        struct err err;

        (void)state;
        memset(text, '[', 129);
        memset(text + 129, ']', 129);
        text[258] = '\0';
        assert_non_null(strstr(refusal(text), "nested deeper than 128 levels"));
        assert_int_equal(yaml_parse((struct str){text, YAML_TEXT_MAX + 1}, &value, &err), ERR_TOO_LARGE);
}

struct seen {
        char text[256];
};

static enum err_code note(void *arg, size_t index, size_t line, json_t *document, struct err *err)
{
        struct seen *seen = arg;
        size_t len = strlen(seen->text);

        (void)err;
        snprintf(seen->text + len, sizeof(seen->text) - len, "%zu:%zu:%s ", index, line,
                 json_str(document, "kind").p);
        return ERR_OK;
}

static enum err_code stop(void *arg, size_t index, size_t line, json_t *document, struct err *err)
{
        (void)arg, (void)document, (void)line;
        return index == 1 ? err_set(err, ERR_CONFLICT, "enough") : ERR_OK;
}

static void test_a_stream_gives_each_document_with_its_line(void **state)
{
        struct seen seen = {""};
        struct err err;

        (void)state;
        assert_int_equal(yaml_parse_stream(STR("---\n---\nkind: A\nx: a---b\n---\n# none\n---\n\nkind: B\n"),
                                           note, &seen, &err),
                         ERR_OK);
        assert_string_equal(seen.text, "0:3:A 1:9:B ");
        assert_int_equal(yaml_parse_stream(STR("a: 1\n---\nb: 1\n---\n["), stop, NULL, &err), ERR_CONFLICT);
        assert_string_equal(err.text, "enough");
        seen.text[0] = '\0';
        assert_int_equal(yaml_parse_stream(STR("kind: A\n---\n["), note, &seen, &err), ERR_INVALID);
        assert_string_equal(seen.text, "0:1:A ");
}

static void test_strings_that_a_reader_could_mistake_are_quoted(void **state)
{
        own_json json_t *value = json_pack("[s,s,s,s,s,s,s,s,s,s,s,s]", "", "true", "yes", "12", "2018-10-04",
                                           "0123", "127.0.0.1", "reg/fn:1", "a: b", "x", "y", "~");

        (void)state;
        prints_as(value, "- \"\"\n- \"true\"\n- \"yes\"\n- \"12\"\n- \"2018-10-04\"\n- \"0123\"\n- "
                         "127.0.0.1\n- reg/fn:1\n"
                         "- 'a: b'\n- x\n- \"y\"\n- \"~\"\n");
}

static void test_lists_lines_and_empties_print_as_the_original_does(void **state)
{
        own_json json_t *value = json_pack("{s:[s],s:{},s:[],s:n,s:s,s:f}", "a", "b", "c", "d", "e", "f",
                                           "l1\nl2\n", "g", 1.5);

        (void)state;
        prints_as(value, "a:\n- b\nc: {}\nd: []\ne: null\nf: |\n  l1\n  l2\ng: 1.5\n");
}

static void form_is(enum model_kind kind, const char *document, const char *expected)
{
        own_json json_t *value = NULL;
        own_buf struct buf out;
        struct err err;

        buf_init(&out, 65536);
        assert_int_equal(json_parse(str_of(document), &value, &err), ERR_OK);
        assert_int_equal(model_print_yaml(model_resource(kind), value, &out, &err), ERR_OK);
        assert_string_equal(buf_text(&out), expected);
}

#define META                                                                                                 \
        "meta:\n  kind: BaseImage\n  name: py\n  id: \"\"\n  project: default\n  org: o\n  createdtime: 5\n" \
        "  modifiedtime: 0\n  tags: []\n  backingobject: null\n"

static void test_a_base_image_is_the_contracts_example(void **state)
{
        (void)state;
        form_is(MODEL_BASE_IMAGE,
                "{\"kind\":\"BaseImage\",\"name\":\"py\",\"org\":\"o\",\"project\":\"default\","
                "\"createdTime\":5,"
                "\"imageURL\":\"u\",\"language\":\"python3\",\"revision\":\"3\",\"status\":\"READY\"}",
                META "dockerurl: u\ngroups: []\nlanguage: python3\nreason: []\nspec: \"\"\nstatus: READY\n");
        form_is(MODEL_BASE_IMAGE, "[]", "[]\n");
}

static void test_a_function_shows_all_fields_and_ours_where_they_are_set(void **state)
{
        (void)state;
        form_is(MODEL_FUNCTION,
                "{\"name\":\"f\",\"image\":\"i\",\"schema\":{\"in\":null},\"memory\":512,\"cpu\":1000,"
                "\"isolation\":\"instance\","
                "\"network\":{\"mode\":\"none\"},\"idleTimeout\":1}",
                "meta:\n  kind: \"\"\n  name: f\n  id: \"\"\n  project: \"\"\n  org: \"\"\n  createdtime: "
                "0\n  modifiedtime: 0\n"
                "  tags: []\n  backingobject: null\nsource: \"\"\nsourceurl: \"\"\nsourcepath: \"\"\nimage: "
                "i\nimageurl: \"\"\n"
                "functionimageurl: \"\"\nbuildtemplate: \"\"\nserviceaccount: \"\"\nhandler: \"\"\nreason: "
                "[]\nschema:\n"
                "  in: null\n  out: null\nsecrets: []\nservices: []\nstatus: \"\"\ntimeout: 0\nmemory: "
                "512\nidletimeout: 1\n");
}

static void test_a_secret_and_a_run_have_no_group_of_their_own(void **state)
{
        (void)state;
        form_is(MODEL_SECRET, "{\"name\":\"s\",\"secrets\":{\"k\":\"v\"}}",
                "meta:\n  kind: \"\"\n  name: s\n  id: \"\"\n  project: \"\"\n  org: \"\"\n  createdtime: "
                "0\n  modifiedtime: 0\n"
                "  tags: []\n  backingobject: null\nid: \"\"\nkind: \"\"\nname: s\nsecrets:\n  k: v\ntags: "
                "[]\n");
        form_is(MODEL_RUN, "{\"output\":[1],\"logs\":{\"stdout\":[\"x\"]}}",
                "blocking: false\nerror: null\nevent: {}\nexecutedtime: 0\nfaasid: \"\"\nfinishedtime: "
                "0\nfunctionid: \"\"\n"
                "functionname: \"\"\nhttpcontext: {}\ninput: null\ninputbytes: \"\"\nlogs:\n  stderr: []\n  "
                "stdout:\n  - x\n"
                "name: \"\"\noutput:\n- 1\noutputbytes: \"\"\nreason: []\nsecrets: []\nservices: []\nstatus: "
                "\"\"\ntags: []\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_scalars_follow_the_core_schema),
                cmocka_unit_test(test_a_document_as_people_write_it),
                cmocka_unit_test(test_what_is_refused_names_its_line),
                cmocka_unit_test(test_aliases_cannot_blow_a_document_up),
                cmocka_unit_test(test_nesting_and_size_are_bounded),
                cmocka_unit_test(test_a_stream_gives_each_document_with_its_line),
                cmocka_unit_test(test_strings_that_a_reader_could_mistake_are_quoted),
                cmocka_unit_test(test_lists_lines_and_empties_print_as_the_original_does),
                cmocka_unit_test(test_a_base_image_is_the_contracts_example),
                cmocka_unit_test(test_a_function_shows_all_fields_and_ours_where_they_are_set),
                cmocka_unit_test(test_a_secret_and_a_run_have_no_group_of_their_own),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
