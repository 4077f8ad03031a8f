/* tests/unit/build/test_oci_read.c: the documents of an image, as registries send them and as an attacker
 * would. */
#include "build/oci_read.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define D1            "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2            "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define D3            "sha256:3333333333333333333333333333333333333333333333333333333333333333"
#define LAYER(digest) "{\"mediaType\":\"" OCI_TYPE_LAYER_GZIP "\",\"digest\":\"" digest "\",\"size\":9}"
#define CONFIG        "{\"digest\":\"" D1 "\",\"size\":7}"
#define MANIFEST      "{\"config\":" CONFIG ",\"layers\":[" LAYER(D2) "," LAYER(D3) "]}"
#define NAMED(digest, name)                                                                                  \
        "{\"digest\":\"" digest "\",\"size\":5,"                                                             \
        "\"annotations\":{\"org.opencontainers.image.ref.name\":\"" name "\"}}"
#define FOR(digest, os, machine)                                                                             \
        "{\"digest\":\"" digest "\",\"size\":5,"                                                             \
        "\"platform\":{\"os\":\"" os "\",\"architecture\":\"" machine "\"}}"

static struct oci_image image; /* large */
static struct err err;

static void assert_manifest(struct str text, enum err_code code, const char *reason)
{
        memset(&image, 0, sizeof(image));
        err.text[0] = '\0';
        assert_int_equal(oci_manifest_parse(text, &image, &err), code);
        if (reason != NULL && strstr(err.text, reason) == NULL)
                fail_msg("'%s' does not say '%s'", err.text, reason);
}

static void a_manifest_is_read(void **state)
{
        (void)state;
        assert_manifest(str_of(MANIFEST), ERR_OK, NULL);
        assert_string_equal(image.config.digest, D1);
        assert_int_equal(image.config.size, 7);
        assert_int_equal(image.layer_count, 2);
        assert_string_equal(image.layers[0].blob.digest, D2);
        assert_string_equal(image.layers[1].blob.digest, D3);
        assert_string_equal(image.layers[1].media_type, OCI_TYPE_LAYER_GZIP);
        assert_int_equal(image.layers[1].blob.size, 9);
}

static void what_descriptors_tell_besides_is_passed_over(void **state)
{
        (void)state;
        assert_manifest(str_of("{\"config\":{\"digest\":\"" D1 "\",\"size\":7,\"data\":\"e30=\"},"
                               "\"annotations\":{\"a\":\"b\"},\"subject\":null,\"layers\":["
                               "{\"mediaType\":\"" OCI_TYPE_LAYER_GZIP "\",\"digest\":\"" D2 "\",\"size\":9,"
                               "\"urls\":[\"http://127.0.0.1/\"],\"annotations\":{\"digest\":\"" D3 "\"}}]}"),
                        ERR_OK, NULL);
        assert_string_equal(image.layers[0].blob.digest, D2);
}

static void manifests_of_wrong_types_are_refused(void **state)
{
        static const char *const texts[] = {
                "{}",
                "[]",
                "{\"config\":[],\"layers\":[]}",
                "{\"config\":" CONFIG ",\"layers\":{}}",
                "{\"config\":" CONFIG ",\"layers\":[]}",
                "{\"config\":" CONFIG ",\"layers\":[1]}",
                "{\"config\":" CONFIG ",\"layers\":[[]]}",
                "{\"config\":" CONFIG ",\"layers\":[null]}",
                "{\"config\":{},\"layers\":[" LAYER(D2) "]}",
                "{\"config\":{\"digest\":7,\"size\":7},\"layers\":[" LAYER(D2) "]}",
                "{\"config\":{\"digest\":\"" D1 "\",\"size\":-1},\"layers\":[" LAYER(D2) "]}",
                "{\"config\":" CONFIG ",\"layers\":[" LAYER("sha256:22") "]}",
                "{\"config\":" CONFIG ",\"layers\":[" LAYER(D2 "2") "]}",
                "{\"config\":" CONFIG ",\"layers\":[" LAYER("../../../../etc/passwd") "]}",
                "{\"config\":" CONFIG ",\"layers\":[{\"mediaType\":\"text/plain\",\"digest\":\"" D2
                "\",\"size\":9}]}",
        };

        (void)state;
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                assert_manifest(str_of(texts[i]), ERR_UNPROCESSABLE, "");
        assert_manifest(str_of("{\"schemaVersion\":1,\"fsLayers\":[]}"), ERR_UNPROCESSABLE,
                        "not one of an image");
}

static void what_is_not_json_is_refused(void **state)
{
        static const char *const texts[] = {"",
                                            "null",
                                            "<html>",
                                            "{\"layers\":",
                                            MANIFEST "x",
                                            "{\"config\":\"\xff\"}",
                                            "{\"config\":{\"digest\":\"a\\u0000b\"}}",
                                            "{\"size\":99999999999999999999}"};

        (void)state;
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                assert_manifest(str_of(texts[i]), ERR_UNPROCESSABLE, "not JSON");
        assert_manifest((struct str){"{}\0", 3}, ERR_UNPROCESSABLE, "not JSON");
}

/* Two readers may take different ones. */
static void a_key_that_is_there_twice_is_refused(void **state)
{
        (void)state;
        assert_manifest(
                str_of("{\"config\":" CONFIG ",\"layers\":[" LAYER(D2) "],\"layers\":[" LAYER(D3) "]}"),
                ERR_UNPROCESSABLE, "not JSON");
        assert_manifest(str_of("{\"config\":{\"digest\":\"" D1 "\",\"digest\":\"" D2
                               "\",\"size\":7},\"layers\":[" LAYER(D2) "]}"),
                        ERR_UNPROCESSABLE, "not JSON");
}

static void documents_are_bounded(void **state)
{
        const size_t size = (size_t)10 << 20;
        char *text = malloc(size);

        (void)state;
        assert_non_null(text);
        memset(text, ' ', size);
        memcpy(text, MANIFEST, sizeof(MANIFEST) - 1);
        assert_manifest((struct str){text, size}, ERR_TOO_LARGE, "larger than 4194304 bytes");
        assert_manifest((struct str){text, OCI_DOCUMENT_MAX + 1}, ERR_TOO_LARGE, NULL);
        assert_manifest((struct str){text, OCI_DOCUMENT_MAX}, ERR_OK, NULL);
        memset(text, '[', size);
        assert_manifest((struct str){text, OCI_DOCUMENT_MAX}, ERR_UNPROCESSABLE, "not JSON");
        for (size_t i = 0; i < OCI_DOCUMENT_MAX - 5; i += 5)
                memcpy(text + i, "{\"a\":", 5);
        assert_manifest((struct str){text, OCI_DOCUMENT_MAX}, ERR_UNPROCESSABLE, "not JSON");
        free(text);
}

static void layers_make(struct buf *out, size_t count)
{
        out->len = 0;
        assert_int_equal(buf_append_text(out, "{\"config\":" CONFIG ",\"layers\":["), ERR_OK);
        for (size_t i = 0; i < count; i++)
                assert_int_equal(buf_append_text(out, i == 0 ? LAYER(D2) : "," LAYER(D3)), ERR_OK);
        assert_int_equal(buf_append_text(out, "]}"), ERR_OK);
}

static void the_number_of_layers_is_bounded(void **state)
{
        own_buf struct buf text = {.max = OCI_DOCUMENT_MAX};

        (void)state;
        layers_make(&text, OCI_IMAGE_LAYERS_MAX);
        assert_manifest((struct str){text.data, text.len}, ERR_OK, NULL);
        assert_int_equal(image.layer_count, OCI_IMAGE_LAYERS_MAX);
        layers_make(&text, OCI_IMAGE_LAYERS_MAX + 1);
        assert_manifest((struct str){text.data, text.len}, ERR_UNPROCESSABLE,
                        "the image has 129 layers; 1 to 128 are possible");
        layers_make(&text, 20000);
        assert_manifest((struct str){text.data, text.len}, ERR_UNPROCESSABLE, "20000 layers");
}

static enum err_code pick(const char *text, const char *name, const char **ret_digest, bool *ret_index)
{
        static struct oci_blob blob;

        memset(&blob, 0, sizeof(blob));
        *ret_digest = blob.digest;
        return oci_index_pick(str_of(text), name, "amd64", &blob, ret_index, &err);
}

static void an_index_is_asked_by_name_and_architecture(void **state)
{
        static const char names[] = "{\"manifests\":[" NAMED(D1, "v1") "," NAMED(D2, "v2") "]}";
        static const char machines[] = "{\"manifests\":[" FOR(D1, "linux", "arm64") "," FOR(
                D2, "windows", "amd64") "," FOR(D3, "linux", "amd64") "]}";
        const char *digest;
        bool index;

        (void)state;
        assert_int_equal(pick(names, "v2", &digest, &index), ERR_OK);
        assert_string_equal(digest, D2);
        assert_false(index);
        assert_int_equal(pick(names, "", &digest, &index), ERR_OK);
        assert_string_equal(digest, D1);
        assert_int_equal(pick(names, "v3", &digest, &index), ERR_NOT_FOUND);
        assert_non_null(strstr(err.text, "'v3'"));
        assert_int_equal(pick(machines, "", &digest, &index), ERR_OK);
        assert_string_equal(digest, D3);
        assert_int_equal(pick("{\"manifests\":[" FOR(D1, "linux", "s390x") "]}", "", &digest, &index),
                         ERR_UNPROCESSABLE);
        assert_non_null(strstr(err.text, "wrong architecture"));
        assert_int_equal(pick("{\"manifests\":[{\"mediaType\":"
                              "\"application/vnd.docker.distribution.manifest.list.v2+json\","
                              "\"digest\":\"" D1 "\",\"size\":5}]}",
                              "", &digest, &index),
                         ERR_OK);
        assert_true(index);
}

static void indexes_of_wrong_types_are_refused(void **state)
{
        static const char *const texts[] = {"{}", "[]", "{\"manifests\":{}}", "{\"manifests\":7}",
                                            "{\"manifests\":[]}"};
        const char *digest;
        bool index;

        (void)state;
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                assert_int_equal(pick(texts[i], "", &digest, &index), ERR_NOT_FOUND);
        assert_int_equal(pick("{\"manifests\":[7]}", "", &digest, &index), ERR_UNPROCESSABLE);
        assert_int_equal(
                pick("{\"manifests\":[{\"platform\":[],\"annotations\":\"\"}]}", "", &digest, &index),
                ERR_UNPROCESSABLE);
        assert_int_equal(pick("{\"manifests\":[],\"manifests\":[]}", "", &digest, &index), ERR_UNPROCESSABLE);
}

static enum err_code config(const char *text, size_t layer_count, json_t **ret)
{
        memset(&image, 0, sizeof(image));
        image.layer_count = layer_count;
        *ret = NULL;
        return oci_config_parse(str_of(text), "amd64", &image, ret, &err);
}

#define ROOT(ids) "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"diff_ids\":[" ids "]}"

static void a_configuration_is_read(void **state)
{
        json_t *json;

        (void)state;
        assert_int_equal(config(ROOT("\"" D2 "\",\"" D3 "\"") ",\"config\":{\"Env\":[\"A=1\"]}}", 2, &json),
                         ERR_OK);
        assert_string_equal(image.layers[0].diff_id, D2);
        assert_string_equal(image.layers[1].diff_id, D3);
        assert_int_equal(json_array_size(json_object_get(json, "Env")), 1);
        json_decref(json);
        assert_int_equal(config(ROOT("\"" D2 "\"") ",\"config\":null}", 1, &json), ERR_OK);
        assert_int_equal(json_object_size(json), 0);
        json_decref(json);
}

static void configurations_that_do_not_fit_are_refused(void **state)
{
        static const struct {
                const char *text, *reason;
        } cases[] = {
                {"{}", "wrong architecture"},
                {"[]", "wrong architecture"},
                {"{\"architecture\":[],\"os\":{}}", "wrong architecture"},
                {"{\"architecture\":\"arm64\",\"os\":\"linux\"}", "wrong architecture"},
                {"{\"architecture\":\"amd64\",\"os\":\"windows\"}", "wrong architecture"},
                {"{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":[]}", "damaged"},
                {ROOT("") "}", "damaged"},
                {ROOT("\"" D1 "\",\"" D2 "\"") "}", "damaged"},
                {ROOT("7") "}", "without a SHA-256 digest"},
                {ROOT("\"sha512:00\"") "}", "without a SHA-256 digest"},
                {ROOT("\"" D1 "\"") ",\"os\":\"linux\"}", "not JSON"},
        };
        json_t *json;

        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                assert_int_equal(config(cases[i].text, 1, &json), ERR_UNPROCESSABLE);
                if (strstr(err.text, cases[i].reason) == NULL)
                        fail_msg("'%s' does not say '%s'", err.text, cases[i].reason);
                assert_null(json);
        }
}

static enum err_code docker(const char *text, const char *tag, const char **ret_config)
{
        static json_t *document;
        const json_t *layers;

        json_decref(document);
        document = NULL;
        enum err_code code = docker_manifest_parse(str_of(text), tag, &document, ret_config, &layers, &err);
        if (code != ERR_OK)
                assert_null(document);
        return code;
}

static void an_archive_of_docker_is_asked_by_tag(void **state)
{
        static const char text[] =
                "[{\"Config\":\"a.json\",\"RepoTags\":[\"x/one:1\"],\"Layers\":[\"a/layer.tar\"]},"
                "{\"Config\":\"b.json\",\"RepoTags\":null,\"Layers\":[\"b/layer.tar\"]},"
                "{\"Config\":\"c.json\",\"RepoTags\":[7,\"x/one:11\",\"x/one:2\"],\"Layers\":[\"c\"]}]";
        const char *path;

        (void)state;
        assert_int_equal(docker(text, "2", &path), ERR_OK);
        assert_string_equal(path, "c.json");
        assert_int_equal(docker(text, "x/one:1", &path), ERR_OK);
        assert_string_equal(path, "a.json");
        assert_int_equal(docker(text, "", &path), ERR_OK);
        assert_string_equal(path, "a.json");
        assert_int_equal(docker(text, "ne:1", &path), ERR_NOT_FOUND);
        assert_int_equal(docker("{}", "", &path), ERR_NOT_FOUND);
        assert_int_equal(docker("[7]", "", &path), ERR_UNPROCESSABLE);
        assert_int_equal(docker("[{\"Config\":\"a\",\"Layers\":{\"a\":1}}]", "", &path), ERR_UNPROCESSABLE);
        assert_int_equal(docker("[{\"Config\":[],\"Layers\":[\"a\"]}]", "", &path), ERR_UNPROCESSABLE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_manifest_is_read),
                cmocka_unit_test(what_descriptors_tell_besides_is_passed_over),
                cmocka_unit_test(manifests_of_wrong_types_are_refused),
                cmocka_unit_test(what_is_not_json_is_refused),
                cmocka_unit_test(a_key_that_is_there_twice_is_refused),
                cmocka_unit_test(documents_are_bounded),
                cmocka_unit_test(the_number_of_layers_is_bounded),
                cmocka_unit_test(an_index_is_asked_by_name_and_architecture),
                cmocka_unit_test(indexes_of_wrong_types_are_refused),
                cmocka_unit_test(a_configuration_is_read),
                cmocka_unit_test(configurations_that_do_not_fit_are_refused),
                cmocka_unit_test(an_archive_of_docker_is_asked_by_tag),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
