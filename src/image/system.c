/* image/system.c: see system.h. */
#include "image/system.h"

#include "base/own.h"
#include "image/deb_name.h"

#include <stdio.h>
#include <string.h>

enum { LINE_MAX_LEN = 300 };

static int by_text(const void *a, const void *b)
{
        return strcmp(a, b);
}

static enum err_code line_make(const json_t *package, char out[LINE_MAX_LEN], struct err *err)
{
        const char *name = json_string_value(json_object_get(package, "name")),
                   *version = json_string_value(json_object_get(package, "version"));
        bool fixed = version != NULL && version[0] != '\0';

        if (name == NULL || snprintf(out, LINE_MAX_LEN, "%s%s%s", name, fixed ? "=" : "",
                                     fixed ? version : "") >= LINE_MAX_LEN)
                return err_set(err, ERR_INVALID,
                               "a system dependency without a name, or with one that is too long");
        if (strchr(name, '=') != NULL || !deb_name_valid(str_of(out)))
                return err_set(err, ERR_INVALID, "'%.80s' is no name and version of a Debian package", out);
        return ERR_OK;
}

static bool same_name(const char *a, const char *b)
{
        size_t len = strcspn(a, "=");

        return len == strcspn(b, "=") && strncmp(a, b, len) == 0;
}

static enum err_code lines_put(char (*lines)[LINE_MAX_LEN], size_t count, struct buf *out, struct err *err)
{
        for (size_t i = 0; i < count; i++) {
                if (i > 0 && strcmp(lines[i], lines[i - 1]) == 0)
                        continue;
                if (i > 0 && same_name(lines[i], lines[i - 1]))
                        return err_set(err, ERR_INVALID, "system dependencies name '%.*s' with two versions",
                                       (int)strcspn(lines[i], "="), lines[i]);
                if (buf_printf(out, "%s\n", lines[i]) != ERR_OK)
                        return err_set(err, ERR_TOO_LARGE, "the list of system dependencies is too long");
        }
        return ERR_OK;
}

enum err_code image_system_input(const json_t *packages, struct buf *out, struct err *err)
{
        size_t count = json_array_size(packages), i;
        const json_t *package;

        if (count > IMAGE_SYSTEM_PACKAGES_MAX)
                return err_set(err, ERR_INVALID, "more than %d system dependencies",
                               IMAGE_SYSTEM_PACKAGES_MAX);
        own_mem char(*lines)[LINE_MAX_LEN] = calloc(count + 1, sizeof(*lines));
        if (lines == NULL)
                return err_nomem(err);
        json_array_foreach(packages, i, package)
        {
                enum err_code code = line_make(package, lines[i], err);
                if (code != ERR_OK)
                        return code;
        }
        qsort(lines, count, sizeof(*lines), by_text);
        return lines_put(lines, count, out, err);
}

bool image_system_root(const json_t *layers, char out[SPAWN_NAME_MAX])
{
        const char *lowest = json_string_value(json_array_get(layers, 0));

        if (lowest == NULL || strncmp(lowest, "builtin-", 8) != 0)
                return false;
        return snprintf(out, SPAWN_NAME_MAX, "debroot-%s", lowest + 8) < SPAWN_NAME_MAX;
}
