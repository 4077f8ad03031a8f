/*
 * fuzz/catalogue.c: what package managers have written down in an image. Input: one byte that chooses the
 * form, then the file.
 *
 * Whatever it is, what is found has a name and a version of one line without blanks, within bounds. The same
 * bytes as an installer's output make a line without control characters that is UTF-8.
 */
#include "build/catalogue.h"
#include "build/inside_deps.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const json_t *package, const char *key)
{
        const char *text = json_string_value(json_object_get(package, key));

        assert(text != NULL && text[0] != '\0' && strlen(text) <= CATALOGUE_TEXT_MAX);
        for (; *text != '\0'; text++)
                assert((unsigned char)*text > ' ' && *text != 0x7f);
}

static void check_reason(struct str text)
{
        char words[200];

        inside_deps_reason(text, words, sizeof(words));
        assert(memchr(words, '\0', sizeof(words)) != NULL && str_is_utf8(str_of(words)));
        for (const char *c = words; *c != '\0'; c++)
                assert((unsigned char)*c >= ' ' && *c != 0x7f);
}

/* Of what the text lists, and of packages that the seeds name. */
static void check_origins(struct str text, json_t *packages)
{
        const json_t *package;
        size_t i;

        (void)json_array_append_new(packages, json_pack("{s:s, s:s, s:s, s:s}", "type", "deb", "name", "jq",
                                                        "version", "1", "architecture", "amd64"));
        (void)json_array_append_new(
                packages, json_pack("{s:s, s:s, s:s}", "type", "deb", "name", "jq", "version", "2"));
        if (catalogue_origins(text, packages, NULL) != ERR_OK)
                return;
        json_array_foreach(packages, i, package)
        {
                const char *origin = json_string_value(json_object_get(package, "origin"));

                assert(origin == NULL || (origin[0] != '\0' && strlen(origin) <= CATALOGUE_ORIGIN_MAX));
                for (; origin != NULL && *origin != '\0'; origin++)
                        assert((unsigned char)*origin > ' ' && *origin != 0x7f);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static enum err_code (*const parsers[])(struct str text, json_t * packages, struct err * err) = {
                catalogue_deb, catalogue_apk, catalogue_pypi, catalogue_npm, catalogue_maven};
        json_t *packages, *package;
        size_t i;

        if (size == 0 || (packages = json_array()) == NULL)
                return 0;
        struct str text = {(const char *)data + 1, size - 1};
        if (parsers[data[0] % 5](text, packages, NULL) == ERR_OK) {
                json_array_foreach(packages, i, package)
                {
                        check_text(package, "name");
                        check_text(package, "version");
                }
        }
        check_origins(text, packages);
        json_decref(packages);
        assert(catalogue_os(text, STR("ID")).len <= text.len);
        check_reason(text);
        return 0;
}
