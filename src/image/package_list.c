/* image/package_list.c: the lines of a list of allowed packages, and what matches them. */
#include "image/package_list.h"

#include <string.h>

static const struct str types[] = {STR_INIT("deb"), STR_INIT("pypi"), STR_INIT("npm"), STR_INIT("maven"),
                                   STR_INIT("apk")};

struct rule {
        struct str type, name, version; /* version "": any */
};

/* False at the end; blank lines and comments are none. */
static bool line_next(struct str *list, struct str *ret, int *number)
{
        while (list->len > 0) {
                struct str line = str_cut(list, '\n');

                (*number)++;
                *ret = str_trim(str_cut(&line, '#'), " \t\r");
                if (ret->len > 0)
                        return true;
        }
        return false;
}

static struct rule rule_of(struct str line)
{
        struct rule rule;

        rule.type = str_trim(str_cut(&line, ':'), " \t");
        rule.name = str_trim(str_cut(&line, '='), " \t");
        /* "==", as pip writes it, is fine too. */
        rule.version = str_trim(line, "= \t");
        return rule;
}

static bool type_known(struct str type)
{
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                if (str_eq(types[i], type))
                        return true;
        }
        return false;
}

enum err_code package_list_check(struct str list, struct err *err)
{
        struct str line;
        int number = 0;

        if (list.len > PACKAGE_LIST_MAX)
                return err_set(err, ERR_TOO_LARGE, "more than %d bytes", PACKAGE_LIST_MAX);
        while (line_next(&list, &line, &number)) {
                struct rule rule = rule_of(line);

                if (!type_known(rule.type) || rule.name.len == 0 || rule.name.len >= PACKAGE_NAME_MAX ||
                    str_find(rule.name, ' ') < rule.name.len)
                        return err_set(
                                err, ERR_INVALID,
                                "line %d: '%.*s' is not TYPE:NAME[=VERSION] with a type of deb, pypi, npm, "
                                "maven, apk",
                                number, (int)(line.len < 100 ? line.len : 100), line.p);
        }
        return ERR_OK;
}

/* A name as its registry compares it. */
static struct str name_plain(struct str type, struct str name, char out[PACKAGE_NAME_MAX])
{
        bool pypi = str_eq(type, STR("pypi")), maven = str_eq(type, STR("maven"));
        size_t len = 0;

        for (size_t i = 0; i < name.len && len < PACKAGE_NAME_MAX; i++) {
                char c = name.p[i];

                if (pypi && (c == '_' || c == '.' || c == '-')) {
                        if (len > 0 && out[len - 1] == '-')
                                continue;
                        c = '-';
                } else if (pypi && c >= 'A' && c <= 'Z') {
                        c = (char)(c - 'A' + 'a');
                } else if (maven && c == ':') {
                        c = '/';
                }
                out[len++] = c;
        }
        return (struct str){out, len};
}

/* `*` is any text; goes back to the last one only, so it takes at most length times length steps. */
static bool fits(struct str pattern, struct str text)
{
        size_t p = 0, t = 0, star = pattern.len, from = 0;

        while (t < text.len) {
                if (p < pattern.len && pattern.p[p] == '*') {
                        star = p++;
                        from = t;
                } else if (p < pattern.len && pattern.p[p] == text.p[t]) {
                        p++;
                        t++;
                } else if (star < pattern.len) {
                        p = star + 1;
                        t = ++from;
                } else {
                        return false;
                }
        }
        while (p < pattern.len && pattern.p[p] == '*')
                p++;
        return p == pattern.len;
}

bool package_list_has(struct str list, struct str type, struct str name, struct str version)
{
        char plain[PACKAGE_NAME_MAX], wanted[PACKAGE_NAME_MAX];
        struct str line, text = name_plain(type, name, plain);
        int number = 0;

        if (name.len >= PACKAGE_NAME_MAX || version.len >= PACKAGE_NAME_MAX)
                return false;
        while (line_next(&list, &line, &number)) {
                struct rule rule = rule_of(line);

                if (str_eq(rule.type, type) && fits(name_plain(type, rule.name, wanted), text) &&
                    (rule.version.len == 0 || fits(rule.version, version)))
                        return true;
        }
        return false;
}
