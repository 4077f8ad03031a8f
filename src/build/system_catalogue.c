/* build/system_catalogue.c: what apt-get has installed, and where from, out of what it and dpkg-query print.
 */
#include "build/system.h"

#include "base/own.h"
#include "build/catalogue.h"
#include "image/deb_name.h"

/* "ii TAB name TAB version TAB architecture" of an installed package; the rest of the line in *ret. */
static bool row_next(struct str *rest, struct str *ret)
{
        while (rest->len > 0) {
                struct str line = str_cut(rest, '\n');
                if (!str_starts(line, STR("ii")))
                        continue;
                (void)str_cut(&line, '\t');
                *ret = line;
                return true;
        }
        return false;
}

static bool has_row(struct str rows, struct str wanted)
{
        struct str row;

        while (row_next(&rows, &row)) {
                if (str_eq(row, wanted))
                        return true;
        }
        return false;
}

/* 'URI' name_version_architecture.deb SIZE HASH */
static struct str origin_find(struct str uris, struct str name)
{
        while (uris.len > 0) {
                struct str line = str_cut(&uris, '\n'), uri;
                if (line.len == 0 || line.p[0] != '\'')
                        continue;
                line = str_slice(line, 1, line.len);
                uri = str_cut(&line, '\'');
                struct str file = str_trim(line, " ");
                if (str_eq(str_cut(&file, '_'), name) && uri.len <= CATALOGUE_ORIGIN_MAX &&
                    deb_text_plain(uri, "+.:~-_/%=?&@,"))
                        return uri;
        }
        return (struct str){"", 0};
}

/* A user and password in front of a host's name are nobody's who looks at the image. */
static enum err_code origin_append(struct buf *out, struct str origin)
{
        size_t colon = str_find(origin, ':');
        struct str rest = str_slice(origin, colon < origin.len ? colon + 1 : origin.len, origin.len);

        if (!str_starts(rest, STR("//")))
                return buf_append(out, origin.p, origin.len);
        struct str path = str_slice(rest, 2, rest.len), host = str_cut(&path, '/');
        while (str_find(host, '@') < host.len)
                (void)str_cut(&host, '@');
        return buf_printf(out, "%.*s://%.*s/%.*s", (int)colon, origin.p, STR_ARG(host), STR_ARG(path));
}

struct row {
        struct str name, version, architecture, origin;
};

static enum err_code row_write(const struct row *row, bool first, struct buf *out, struct buf *origins)
{
        own_buf struct buf origin = {.max = CATALOGUE_ORIGIN_MAX + 1};
        enum err_code code = row->origin.len > 0 ? origin_append(&origin, row->origin) : ERR_OK;
        struct str text = {origin.len > 0 ? origin.data : "", origin.len};

        if (code == ERR_OK)
                code = buf_printf(out,
                                  "%s{\"type\":\"deb\",\"name\":\"%.*s\",\"version\":\"%.*s\","
                                  "\"architecture\":\"%.*s\",\"origin\":\"%.*s\"}",
                                  first ? "" : ",", STR_ARG(row->name), STR_ARG(row->version),
                                  STR_ARG(row->architecture), STR_ARG(text));
        if (code == ERR_OK && text.len > 0)
                code = buf_printf(origins, "%.*s\t%.*s\t%.*s\t%.*s\n", STR_ARG(row->name),
                                  STR_ARG(row->version), STR_ARG(row->architecture), STR_ARG(text));
        return code;
}

enum err_code system_catalogue(struct str before, struct str after, struct str uris, struct buf *out,
                               struct buf *origins, struct err *err)
{
        struct str rest;
        bool first = true;
        enum err_code code = buf_append_text(out, "{\"packages\":[");

        while (code == ERR_OK && row_next(&after, &rest)) {
                struct row row = {.architecture = rest};
                row.name = str_cut(&row.architecture, '\t');
                row.version = str_cut(&row.architecture, '\t');
                if (has_row(before, rest) || !deb_text_plain(row.name, "+.-") ||
                    !deb_text_plain(row.version, "+.:~-") || !deb_text_plain(row.architecture, "-"))
                        continue;
                row.origin = origin_find(uris, row.name);
                code = row_write(&row, first, out, origins);
                first = false;
        }
        if (code == ERR_OK)
                code = buf_append_text(out, "]}");
        return code == ERR_OK ? ERR_OK : err_set(err, ERR_TOO_LARGE, "the list of packages is too long");
}
