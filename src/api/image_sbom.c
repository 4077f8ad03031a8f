/* api/image_sbom.c: a CycloneDX 1.5 bill of materials (ECMA-424), its packages named by package URLs (purl).
 */
#include "api/image_catalogue.h"

#include "base/own.h"
#include "http/url.h"

#include <ctype.h>
#include <stdio.h>

/* What a purl has unescaped in a part. */
static bool is_plain(char c)
{
        return isalnum((unsigned char)c) || c == '.' || c == '-' || c == '_' || c == '~' || c == ':';
}

static enum err_code escape(struct buf *out, struct str text, bool slashes)
{
        enum err_code code = ERR_OK;

        for (size_t i = 0; code == ERR_OK && i < text.len; i++) {
                char c = text.p[i];
                code = is_plain(c) || (slashes && c == '/') ? buf_append(out, &c, 1)
                                                            : buf_printf(out, "%%%02X", (unsigned char)c);
        }
        return code;
}

/* pypi's names have one form (PEP 503). */
static void normal_name(struct buf *out, struct str type, struct str name)
{
        bool pypi = str_eq(type, STR("pypi"));

        for (size_t i = 0; i < name.len; i++) {
                char c = pypi ? (char)tolower((unsigned char)name.p[i]) : name.p[i];
                if (pypi && c == '_')
                        c = '-';
                (void)buf_append(out, &c, 1);
        }
}

static enum err_code purl(struct buf *out, const json_t *package, struct str distribution)
{
        struct str type = json_str(package, "type"), architecture = json_str(package, "architecture");
        bool system = str_eq(type, STR("deb")) || str_eq(type, STR("apk"));
        own_buf struct buf name = {.max = 1024};
        enum err_code code = buf_printf(out, "pkg:%.*s/", STR_ARG(type));

        normal_name(&name, type, json_str(package, "name"));
        if (code == ERR_OK && system && distribution.len > 0) {
                code = escape(out, distribution, false);
                if (code == ERR_OK)
                        code = buf_append(out, "/", 1);
        }
        if (code == ERR_OK)
                code = escape(out, (struct str){name.data, name.len}, true);
        if (code == ERR_OK)
                code = buf_append(out, "@", 1);
        if (code == ERR_OK)
                code = escape(out, json_str(package, "version"), false);
        if (code == ERR_OK && architecture.len > 0) {
                code = buf_append_text(out, "?arch=");
                if (code == ERR_OK)
                        code = escape(out, architecture, false);
        }
        return code;
}

static json_t *component(const json_t *package, struct str distribution)
{
        own_buf struct buf url = {.max = 8192};

        if (purl(&url, package, distribution) != ERR_OK || buf_text(&url) == NULL)
                return NULL;
        json_t *item = json_pack("{s:s, s:s, s:o, s:o, s:s, s:[{s:s, s:O}]}", "type", "library", "bom-ref",
                                 buf_text(&url), "name", json_of(json_str(package, "name")), "version",
                                 json_of(json_str(package, "version")), "purl", buf_text(&url), "properties",
                                 "name", "dispatch:from", "value", json_object_get(package, "from"));
        json_t *origin = json_object_get(package, "origin");
        if (origin != NULL)
                (void)json_object_set_new(item, "externalReferences",
                                          json_pack("[{s:s, s:O}]", "type", "distribution", "url", origin));
        return item;
}

json_t *image_sbom(const char *name, const json_t *packages)
{
        struct str distribution = json_str(packages, "distribution"), release = json_str(packages, "release");
        json_t *components = json_array(),
               *main = json_pack("{s:s, s:s, s:s}", "type", "container", "bom-ref", "image", "name", name);
        const json_t *package;
        size_t i;

        if (distribution.len > 0) {
                json_t *system = json_pack("{s:s, s:s, s:o}", "type", "operating-system", "bom-ref", "system",
                                           "name", json_of(distribution));
                if (release.len > 0)
                        (void)json_object_set_new(system, "version", json_of(release));
                (void)json_array_append_new(components, system);
        }
        json_array_foreach(json_object_get(packages, "packages"), i, package)
        {
                json_t *item = component(package, distribution);
                if (item != NULL)
                        (void)json_array_append_new(components, item);
        }
        return json_pack("{s:s, s:s, s:i, s:{s:o, s:{s:[{s:s, s:s, s:s}]}}, s:o}", "bomFormat", "CycloneDX",
                         "specVersion", "1.5", "version", 1, "metadata", "component", main, "tools",
                         "components", "type", "application", "name", "dispatch", "version", DISPATCH_VERSION,
                         "components", components);
}
