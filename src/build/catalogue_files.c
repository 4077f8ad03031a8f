/* build/catalogue_files.c: the files in which package managers note what they have installed. */
#include "build/catalogue.h"

#include <stdio.h>
#include <string.h>

enum { KEY_MAX = 3 * (CATALOGUE_TEXT_MAX + 1) };

static bool is_printable_of(struct str text, size_t max)
{
        if (text.len == 0 || text.len > max || !str_is_utf8(text))
                return false;
        for (size_t i = 0; i < text.len; i++) {
                if ((unsigned char)text.p[i] <= ' ' || text.p[i] == 0x7f)
                        return false;
        }
        return true;
}

static bool is_printable(struct str text)
{
        return is_printable_of(text, CATALOGUE_TEXT_MAX);
}

static json_t *text_of(struct str text)
{
        return json_stringn(text.p, text.len);
}

/* What is no name or version is passed over. */
static enum err_code package_add(json_t *packages, const char *type, struct str name, struct str version,
                                 struct str architecture, struct err *err)
{
        if (!is_printable(name) || !is_printable(version))
                return ERR_OK;
        if (json_array_size(packages) >= CATALOGUE_PACKAGES_MAX)
                return err_set(err, ERR_TOO_LARGE, "the image has more than %d packages",
                               CATALOGUE_PACKAGES_MAX);
        json_t *package = json_pack("{s:s, s:o, s:o}", "type", type, "name", text_of(name), "version",
                                    text_of(version));
        if (is_printable(architecture))
                (void)json_object_set_new(package, "architecture", text_of(architecture));
        return json_array_append_new(packages, package) < 0 ? err_nomem(err) : ERR_OK;
}

/* The value of "KEY: value" when the line has that key. */
static bool field_is(struct str line, struct str key, struct str *ret)
{
        if (line.len <= key.len || line.p[key.len] != ':' || !str_eq_nocase(str_slice(line, 0, key.len), key))
                return false;
        *ret = str_trim(str_slice(line, key.len + 1, line.len), " \t\r");
        return true;
}

struct paragraph {
        struct str name, version, architecture, status;
};

static enum err_code deb_end(struct paragraph *paragraph, json_t *packages, struct err *err)
{
        struct paragraph found = *paragraph;
        struct str word = str_trim(found.status, " \t");

        *paragraph = (struct paragraph){0};
        while (str_find(word, ' ') < word.len)
                (void)str_cut(&word, ' ');
        if (found.status.len > 0 && !str_eq(word, STR("installed")))
                return ERR_OK;
        return package_add(packages, "deb", found.name, found.version, found.architecture, err);
}

enum err_code catalogue_deb(struct str text, json_t *packages, struct err *err)
{
        struct paragraph paragraph = {0};
        enum err_code code = ERR_OK;

        while (code == ERR_OK && text.len > 0) {
                struct str line = str_cut(&text, '\n');

                if (line.len == 0)
                        code = deb_end(&paragraph, packages, err);
                else if (!field_is(line, STR("Package"), &paragraph.name) &&
                         !field_is(line, STR("Version"), &paragraph.version) &&
                         !field_is(line, STR("Architecture"), &paragraph.architecture))
                        (void)field_is(line, STR("Status"), &paragraph.status);
        }
        return code == ERR_OK ? deb_end(&paragraph, packages, err) : code;
}

enum err_code catalogue_apk(struct str text, json_t *packages, struct err *err)
{
        struct paragraph paragraph = {0};
        enum err_code code = ERR_OK;

        while (code == ERR_OK && text.len > 0) {
                struct str line = str_cut(&text, '\n');

                if (line.len > 0 && str_starts(line, STR("P:")))
                        paragraph.name = str_slice(line, 2, line.len);
                else if (line.len > 0 && str_starts(line, STR("V:")))
                        paragraph.version = str_slice(line, 2, line.len);
                else if (line.len > 0 && str_starts(line, STR("A:")))
                        paragraph.architecture = str_slice(line, 2, line.len);
                if (line.len > 0 && text.len > 0)
                        continue;
                code = package_add(packages, "apk", paragraph.name, paragraph.version, paragraph.architecture,
                                   err);
                paragraph = (struct paragraph){0};
        }
        return code;
}

enum err_code catalogue_pypi(struct str text, json_t *packages, struct err *err)
{
        struct paragraph paragraph = {0};

        /* The description follows the fields behind a blank line. */
        while (text.len > 0) {
                struct str line = str_trim(str_cut(&text, '\n'), "\r");

                if (line.len == 0)
                        break;
                if (paragraph.name.len == 0 && field_is(line, STR("Name"), &paragraph.name))
                        continue;
                if (paragraph.version.len == 0)
                        (void)field_is(line, STR("Version"), &paragraph.version);
        }
        return package_add(packages, "pypi", paragraph.name, paragraph.version, STR(""), err);
}

enum err_code catalogue_npm(struct str text, json_t *packages, struct err *err)
{
        json_t *root = json_loadb(text.p, text.len, JSON_REJECT_DUPLICATES, NULL);
        const char *name = json_string_value(json_object_get(root, "name"));
        const char *version = json_string_value(json_object_get(root, "version"));
        enum err_code code = ERR_OK;

        if (name != NULL && version != NULL)
                code = package_add(packages, "npm", str_of(name), str_of(version), STR(""), err);
        json_decref(root);
        return code;
}

enum err_code catalogue_maven(struct str text, json_t *packages, struct err *err)
{
        enum err_code code = ERR_OK;

        while (code == ERR_OK && text.len > 0) {
                struct str line = str_trim(str_cut(&text, '\n'), " \t\r");
                struct str group = str_cut(&line, ':'), artifact = str_cut(&line, ':');
                char name[CATALOGUE_TEXT_MAX];

                if (group.len == 0 || artifact.len == 0 || group.len + artifact.len + 1 >= sizeof(name))
                        continue;
                memcpy(name, group.p, group.len);
                name[group.len] = '/';
                memcpy(name + group.len + 1, artifact.p, artifact.len);
                code = package_add(packages, "maven", (struct str){name, group.len + 1 + artifact.len}, line,
                                   STR(""), err);
        }
        return code;
}

struct str catalogue_os(struct str text, struct str key)
{
        while (text.len > 0) {
                struct str line = str_trim(str_cut(&text, '\n'), " \t\r");

                if (str_starts(line, key) && line.len > key.len && line.p[key.len] == '=')
                        return str_trim(str_slice(line, key.len + 1, line.len), "\"' ");
        }
        return STR("");
}

/* URIs by "NAME TAB VERSION TAB ARCHITECTURE"; NULL: out of memory. */
static json_t *origins_read(struct str text)
{
        json_t *origins = json_object();

        while (origins != NULL && text.len > 0) {
                struct str line = str_cut(&text, '\n'), uri = line;
                for (int i = 0; i < 3; i++)
                        (void)str_cut(&uri, '\t');
                if (!is_printable_of(uri, CATALOGUE_ORIGIN_MAX))
                        continue;
                struct str package = str_slice(line, 0, line.len - uri.len - 1);
                char key[KEY_MAX];
                if (package.len >= sizeof(key) || !str_is_utf8(package))
                        continue;
                snprintf(key, sizeof(key), "%.*s", STR_ARG(package));
                if (json_object_set_new(origins, key, text_of(uri)) < 0) {
                        json_decref(origins);
                        return NULL;
                }
        }
        return origins;
}

enum err_code catalogue_origins(struct str text, json_t *packages, struct err *err)
{
        json_t *origins = origins_read(text), *package;
        enum err_code code = origins != NULL ? ERR_OK : err_nomem(err);
        size_t i;

        json_array_foreach(packages, i, package)
        {
                const char *type = json_string_value(json_object_get(package, "type"));
                const char *name = json_string_value(json_object_get(package, "name"));
                const char *version = json_string_value(json_object_get(package, "version"));
                const char *architecture = json_string_value(json_object_get(package, "architecture"));
                char key[KEY_MAX];

                if (type == NULL || strcmp(type, "deb") != 0 || name == NULL || version == NULL)
                        continue;
                snprintf(key, sizeof(key), "%s\t%s\t%s", name, version,
                         architecture != NULL ? architecture : "");
                json_t *uri = json_object_get(origins, key);
                if (uri != NULL && json_object_set(package, "origin", uri) < 0)
                        code = err_nomem(err);
        }
        json_decref(origins);
        return code;
}
