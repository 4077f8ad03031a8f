/* build/apt_sources.c: see apt_sources.h. */
#include "build/apt_sources.h"

#include "base/own.h"
#include "build/dpkg.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { FILES_MAX = 256, STANZA_WORDS = 512 };

static const char blanks[] = " \t\r";

static struct str word_next(struct str *rest)
{
        size_t len = 0;

        *rest = str_trim(*rest, " \t\r\n");
        while (len < rest->len && strchr(" \t\r\n", rest->p[len]) == NULL)
                len++;
        struct str word = str_slice(*rest, 0, len);
        *rest = str_slice(*rest, len, rest->len);
        return word;
}

/* The release itself, or what is published for it alone. */
static bool suite_wanted(struct str suite, struct str codename)
{
        if (!str_starts(suite, codename))
                return false;
        struct str more = str_slice(suite, codename.len, suite.len);
        return more.len == 0 || str_eq(more, STR("-updates")) || str_eq(more, STR("-security")) ||
               str_eq(more, STR("/updates"));
}

/* A URL or a name that can stand in a line without being anything else. */
static bool plain(struct str word)
{
        for (size_t i = 0; i < word.len; i++) {
                if (word.p[i] <= ' ' || word.p[i] >= 0x7f || strchr("[]'\"\\", word.p[i]) != NULL)
                        return false;
        }
        return word.len > 0;
}

static enum err_code line_put(struct buf *out, struct str signed_by, struct str uri, struct str suite,
                              struct str components, struct err *err)
{
        enum err_code code = buf_append_text(out, "deb ");

        if (!plain(uri))
                return err_set(err, ERR_INVALID, "a source of apt with a URI that is none");
        if (code == ERR_OK && signed_by.len > 0 && signed_by.p[0] == '/' && plain(signed_by))
                code = buf_printf(out, "[signed-by=%.*s] ", STR_ARG(signed_by));
        if (code == ERR_OK)
                code = buf_printf(out, "%.*s %.*s", STR_ARG(uri), STR_ARG(suite));
        for (struct str word; code == ERR_OK && (word = word_next(&components)).len > 0;)
                code = plain(word) ? buf_printf(out, " %.*s", STR_ARG(word)) : ERR_OK;
        if (code == ERR_OK)
                code = buf_append_text(out, "\n");
        return code == ERR_OK ? ERR_OK : err_set(err, ERR_TOO_LARGE, "too many sources of apt");
}

/* "signed-by=FILE" among the options between brackets. */
static struct str signed_by(struct str options)
{
        for (struct str word; (word = word_next(&options)).len > 0;) {
                if (str_starts(word, STR("signed-by=")))
                        return str_slice(word, 10, word.len);
        }
        return STR("");
}

enum err_code apt_sources_list(struct str text, struct str codename, struct buf *out, struct err *err)
{
        enum err_code code = ERR_OK;

        while (code == ERR_OK && text.len > 0) {
                struct str line = str_cut(&text, '\n'), options = STR("");
                line = str_trim(str_cut(&line, '#'), blanks);
                if (!str_eq(word_next(&line), STR("deb")))
                        continue;
                line = str_trim(line, blanks);
                if (line.len > 0 && line.p[0] == '[') {
                        line = str_slice(line, 1, line.len);
                        options = str_cut(&line, ']');
                }
                struct str uri = word_next(&line), suite = word_next(&line);
                if (suite_wanted(suite, codename))
                        code = line_put(out, signed_by(options), uri, suite, line, err);
        }
        return code;
}

/* The fields of one stanza that matter. */
struct stanza {
        struct str types, uris, suites, components, signed_by, enabled;
};

static struct str *field_of(struct stanza *stanza, struct str name)
{
        const struct {
                const char *name;
                struct str *value;
        } fields[] = {{"Types", &stanza->types},         {"URIs", &stanza->uris},
                      {"Suites", &stanza->suites},       {"Components", &stanza->components},
                      {"Signed-By", &stanza->signed_by}, {"Enabled", &stanza->enabled}};

        for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
                if (str_eq_nocase(name, str_of(fields[i].name)))
                        return fields[i].value;
        }
        return NULL;
}

static bool has_word(struct str words, struct str wanted)
{
        for (struct str word; (word = word_next(&words)).len > 0;) {
                if (str_eq(word, wanted))
                        return true;
        }
        return false;
}

static enum err_code stanza_put(const struct stanza *stanza, struct str codename, struct buf *out,
                                struct err *err)
{
        struct str uris = stanza->uris;
        enum err_code code = ERR_OK;

        if (!has_word(stanza->types, STR("deb")) ||
            str_eq_nocase(str_trim(stanza->enabled, blanks), STR("no")))
                return ERR_OK;
        for (struct str uri; code == ERR_OK && (uri = word_next(&uris)).len > 0;) {
                struct str suites = stanza->suites;
                for (struct str suite; code == ERR_OK && (suite = word_next(&suites)).len > 0;) {
                        struct str keys = stanza->signed_by;
                        if (suite_wanted(suite, codename))
                                code = line_put(out, word_next(&keys), uri, suite, stanza->components, err);
                }
        }
        return code;
}

/* A field's value with the lines that go on with it; *text is behind them. */
static struct str value_take(struct str line, struct str *text)
{
        struct str value = line;

        while (text->len > 0 && (text->p[0] == ' ' || text->p[0] == '\t')) {
                struct str more = str_cut(text, '\n');
                value.len = (size_t)(more.p + more.len - value.p);
        }
        return value;
}

enum err_code apt_sources_deb822(struct str text, struct str codename, struct buf *out, struct err *err)
{
        struct stanza stanza = {.types = {"", 0}};
        enum err_code code = ERR_OK;

        while (code == ERR_OK && text.len > 0) {
                struct str line = str_cut(&text, '\n');
                if (str_trim(line, blanks).len == 0) {
                        code = stanza_put(&stanza, codename, out, err);
                        stanza = (struct stanza){.types = {"", 0}};
                        continue;
                }
                if (line.p[0] == '#')
                        continue;
                struct str name = str_cut(&line, ':');
                struct str *field = field_of(&stanza, str_trim(name, blanks));
                struct str value = value_take(line, &text);
                if (field != NULL)
                        *field = value;
        }
        return code == ERR_OK ? stanza_put(&stanza, codename, out, err) : code;
}

static enum err_code file_read(int dir_fd, const char *name, struct str codename, struct buf *out,
                               struct err *err)
{
        own_buf struct buf text = {.max = APT_SOURCES_FILE_MAX};
        enum err_code code = dpkg_read_file(dir_fd, name, &text, err);

        if (code == ERR_NOT_FOUND || (code == ERR_SYSTEM && errno == EACCES))
                return ERR_OK;
        if (code != ERR_OK)
                return code;
        struct str all = {text.data, text.len};
        return str_ends(str_of(name), STR(".sources")) ? apt_sources_deb822(all, codename, out, err)
                                                       : apt_sources_list(all, codename, out, err);
}

static int is_source(const struct dirent *entry)
{
        struct str name = str_of(entry->d_name);

        return name.p[0] != '.' && (str_ends(name, STR(".list")) || str_ends(name, STR(".sources")));
}

enum err_code apt_sources_read(int host_fd, struct str codename, struct buf *out, struct err *err)
{
        struct dirent **entries = NULL;
        enum err_code code = file_read(host_fd, "etc/apt/sources.list", codename, out, err);
        own_fd int dir_fd = openat(host_fd, "etc/apt/sources.list.d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (code != ERR_OK || dir_fd < 0)
                return code;
        int count = scandirat(dir_fd, ".", &entries, is_source, alphasort);
        for (int i = 0; i < count; i++) {
                if (code == ERR_OK && i < FILES_MAX)
                        code = file_read(dir_fd, entries[i]->d_name, codename, out, err);
                free(entries[i]);
        }
        free(entries);
        return code;
}

void apt_sources_release(struct str text, struct str *ret_id, struct str *ret_codename)
{
        *ret_id = *ret_codename = STR("");
        while (text.len > 0) {
                struct str value = str_trim(str_cut(&text, '\n'), blanks), key = str_cut(&value, '=');
                value = str_trim(value, "\"'");
                if (str_eq(key, STR("ID")))
                        *ret_id = value;
                else if (str_eq(key, STR("VERSION_CODENAME")))
                        *ret_codename = value;
        }
}
