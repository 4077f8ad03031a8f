/*
 * image/reference.c: parses image references (the grammar of the OCI distribution specification and the rules
 * by which Docker's tools shorten names) and maps them to built-in base images by the table of rules.
 */
#include "image/reference.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
        LIST_MAX = 160, /* of languages in a text */
        SHOWN_MAX = 128 /* of what is not a reference, in a text */
};

/* A reference taken apart; views into the text. */
struct parts {
        struct str name; /* host and path, docker.io's names left out */
        struct str tag;
        struct str digest;
};

struct rule {
        struct parts pattern; /* views into the table's text */
        struct str language;  /* behind "builtin:"; "*" for what the pattern's stood for */
};

struct reference_table {
        const struct runtime_table *runtimes;
        char *text;
        size_t count;
        struct rule rules[REFERENCE_RULES_MAX];
};

static bool lower_or_digit(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool tag_valid(struct str tag, bool pattern)
{
        if (tag.len == 0 || tag.len > 128 || tag.p[0] == '.' || tag.p[0] == '-')
                return false;
        for (size_t i = 0; i < tag.len; i++) {
                char c = tag.p[i];

                if (!lower_or_digit(c) && !(c >= 'A' && c <= 'Z') && c != '_' && c != '.' && c != '-' &&
                    !(pattern && c == '*'))
                        return false;
        }
        return true;
}

static bool digest_valid(struct str digest)
{
        struct str hex = digest;
        struct str algorithm = str_cut(&hex, ':');

        if (algorithm.len == 0 || hex.len < 32 || hex.len > 128)
                return false;
        for (size_t i = 0; i < algorithm.len; i++)
                if (!lower_or_digit(algorithm.p[i]))
                        return false;
        for (size_t i = 0; i < hex.len; i++)
                if (!(hex.p[i] >= '0' && hex.p[i] <= '9') && !(hex.p[i] >= 'a' && hex.p[i] <= 'f'))
                        return false;
        return true;
}

/* Is the first component a host? By Docker's rule: only when it has a dot or a port, or is localhost. */
static bool is_host(struct str first, bool whole)
{
        if (whole)
                return false;
        return str_find(first, '.') < first.len || str_find(first, ':') < first.len ||
               str_eq(first, STR("localhost"));
}

static bool host_valid(struct str host)
{
        for (size_t i = 0; i < host.len; i++) {
                char c = host.p[i];

                if (!lower_or_digit(c) && !(c >= 'A' && c <= 'Z') && c != '.' && c != '-' && c != ':')
                        return false;
        }
        return lower_or_digit(host.p[host.len - 1]) && host.p[0] != '.' && host.p[0] != ':' &&
               host.p[0] != '-';
}

/* One component between slashes: lower case, digits, and separators inside. */
static bool component_valid(struct str part, bool pattern)
{
        if (part.len == 0)
                return false;
        for (size_t i = 0; i < part.len; i++) {
                char c = part.p[i];
                bool inside = i > 0 && i + 1 < part.len;

                if (!lower_or_digit(c) && !(pattern && c == '*') &&
                    !(inside && (c == '.' || c == '_' || c == '-')))
                        return false;
        }
        return true;
}

static bool name_valid(struct str name, bool pattern)
{
        struct str rest = name;
        struct str first = str_cut(&rest, '/');

        if (first.len == 0)
                return false;
        if (is_host(first, first.len == name.len)) {
                if (!host_valid(first))
                        return false;
        } else if (!component_valid(first, pattern)) {
                return false;
        }
        if (first.len == name.len)
                return true;
        do {
                if (!component_valid(str_cut(&rest, '/'), pattern))
                        return false;
        } while (rest.len > 0);
        return name.p[name.len - 1] != '/';
}

/* What Docker's tools take for one registry. */
static struct str name_shortened(struct str name)
{
        static const struct str hosts[] = {STR_INIT("docker.io/"), STR_INIT("index.docker.io/"),
                                           STR_INIT("registry-1.docker.io/")};

        for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
                if (!str_starts(name, hosts[i]))
                        continue;
                name = str_slice(name, hosts[i].len, name.len);
                break;
        }
        if (str_starts(name, STR("library/")))
                name = str_slice(name, strlen("library/"), name.len);
        return name;
}

static bool parts_parse(struct str text, bool pattern, struct parts *ret)
{
        struct parts parts = {.name = {"", 0}, .tag = {"", 0}, .digest = {"", 0}};

        if (text.len == 0 || text.len > REFERENCE_LEN_MAX)
                return false;
        if (str_find(text, '@') < text.len) {
                parts.digest = text;
                text = str_cut(&parts.digest, '@');
                if (pattern || !digest_valid(parts.digest))
                        return false;
        }

        /* The tag's colon is the last one, and only behind the last slash: a host may have a port. */
        size_t colon = text.len;

        while (colon > 0 && text.p[colon - 1] != ':' && text.p[colon - 1] != '/')
                colon--;
        if (colon > 0 && text.p[colon - 1] == ':') {
                parts.tag = str_slice(text, colon, text.len);
                text = str_slice(text, 0, colon - 1);
                if (!tag_valid(parts.tag, pattern))
                        return false;
        }
        parts.name = text;
        if (!name_valid(parts.name, pattern))
                return false;
        parts.name = name_shortened(parts.name);
        if (parts.name.len == 0)
                return false;
        *ret = parts;
        return true;
}

/* True if `text` fits a pattern with at most one `*`; *star is what it stood for. */
static bool pattern_fits(struct str pattern, struct str text, struct str *star)
{
        struct str tail = pattern;
        struct str head = str_cut(&tail, '*');

        if (head.len == pattern.len)
                return str_eq(pattern, text);
        if (text.len <= head.len + tail.len || !str_starts(text, head) || !str_ends(text, tail))
                return false;

        struct str middle = str_slice(text, head.len, text.len - tail.len);

        if (memchr(middle.p, '/', middle.len) != NULL)
                return false;
        *star = middle;
        return true;
}

static bool rule_fits(const struct rule *rule, const struct parts *parts, struct str *language)
{
        struct str star = {"", 0};

        if (!pattern_fits(rule->pattern.name, parts->name, &star))
                return false;
        if (rule->pattern.tag.len > 0 &&
            !pattern_fits(rule->pattern.tag, parts->tag.len > 0 ? parts->tag : STR("latest"), &star))
                return false;
        *language = str_eq(rule->language, STR("*")) ? star : rule->language;
        return true;
}

static size_t stars(struct str text)
{
        size_t count = 0;

        for (size_t i = 0; i < text.len; i++)
                count += text.p[i] == '*';
        return count;
}

static bool language_valid(struct str language)
{
        char name[SPAWN_NAME_MAX];

        if (language.len == 0 || language.len >= sizeof(name))
                return false;
        memcpy(name, language.p, language.len);
        name[language.len] = '\0';
        return spawn_name_valid(name, sizeof(name));
}

static enum err_code rule_parse(struct str text, struct rule *ret, struct err *err)
{
        struct str target = text;
        struct str pattern = str_trim(str_cut(&target, '='), " \t");
        struct rule rule;

        target = str_trim(target, " \t");
        if (!str_starts(target, STR("builtin:")))
                return err_set(err, ERR_INVALID, "image rule '%.*s': the target must be builtin:LANGUAGE",
                               STR_ARG(text));
        rule.language = str_slice(target, strlen("builtin:"), target.len);
        if (!parts_parse(pattern, true, &rule.pattern))
                return err_set(err, ERR_INVALID, "image rule '%.*s': '%.*s' is not an image reference",
                               STR_ARG(text), STR_ARG(pattern));

        size_t count = stars(pattern);

        if (count > 1)
                return err_set(err, ERR_INVALID, "image rule '%.*s': more than one '*'", STR_ARG(text));
        if (str_eq(rule.language, STR("*")) ? count == 0 : !language_valid(rule.language))
                return err_set(err, ERR_INVALID, "image rule '%.*s': '%.*s' is not a language", STR_ARG(text),
                               STR_ARG(rule.language));
        *ret = rule;
        return ERR_OK;
}

static enum err_code rules_parse(struct reference_table *table, struct str text, struct err *err)
{
        while (text.len > 0) {
                struct str line = str_cut(&text, '\n');

                if (str_starts(str_trim(line, " \t\r"), STR("#")))
                        continue;
                while (line.len > 0) {
                        struct str rule = str_trim(str_cut(&line, ','), " \t\r");

                        if (rule.len == 0)
                                continue;
                        if (table->count == REFERENCE_RULES_MAX)
                                return err_set(err, ERR_INVALID, "more than %d image rules",
                                               REFERENCE_RULES_MAX);
                        if (rule_parse(rule, &table->rules[table->count], err) != ERR_OK)
                                return ERR_INVALID;
                        table->count++;
                }
        }
        return ERR_OK;
}

enum err_code reference_table_create(struct str rules, const struct runtime_table *runtimes,
                                     struct reference_table **ret, struct err *err)
{
        assert(runtimes != NULL);

        struct reference_table *table = calloc(1, sizeof(*table));

        if (table == NULL)
                return err_nomem(err);
        table->runtimes = runtimes;
        table->text = rules.len > 0 ? strndup(rules.p, rules.len) : strdup("");
        if (table->text == NULL) {
                reference_table_destroy(table);
                return err_nomem(err);
        }

        enum err_code code = rules_parse(table, str_of(table->text), err);

        if (code != ERR_OK) {
                reference_table_destroy(table);
                return code;
        }
        *ret = table;
        return ERR_OK;
}

void reference_table_destroy(struct reference_table *table)
{
        if (table == NULL)
                return;
        free(table->text);
        free(table);
}

const struct runtime_table *reference_runtimes(const struct reference_table *table)
{
        return table->runtimes;
}

/* What a user sent, for a text: it may be anything. */
static const char *shown(struct str text, char out[SHOWN_MAX])
{
        size_t len = text.len < SHOWN_MAX - 1 ? text.len : SHOWN_MAX - 1;

        for (size_t i = 0; i < len; i++)
                out[i] = text.p[i] >= ' ' && text.p[i] <= '~' ? text.p[i] : '?';
        out[len] = '\0';
        if (len < text.len)
                memcpy(out + len - 3, "...", 3);
        return out;
}

static enum err_code resolve_language(const struct reference_table *table, struct str reference,
                                      struct str language, struct reference_base *ret, struct err *err)
{
        const struct runtime *runtime = runtime_find(table->runtimes, language);
        char list[LIST_MAX];

        if (runtime == NULL || !runtime_is_language(runtime)) {
                runtime_table_list(table->runtimes, list, sizeof(list));
                return err_set(err, ERR_UNPROCESSABLE,
                               "image '%.*s': no runtime for %.*s in this version (languages: %s)",
                               STR_ARG(reference), STR_ARG(language), list);
        }
        memcpy(ret->language, runtime->language, sizeof(ret->language));
        return ERR_OK;
}

enum err_code reference_check(struct str reference, struct err *err)
{
        char text[SHOWN_MAX];
        struct parts parts;

        if (parts_parse(reference, false, &parts))
                return ERR_OK;
        return err_set(
                err, ERR_UNPROCESSABLE,
                "'%s' is not an image reference: it takes [HOST[:PORT]/]PATH[:TAG][@sha256:HEX], the path in "
                "lower case",
                shown(reference, text));
}

bool reference_is_foreign(const struct reference_table *table, struct str reference)
{
        static const struct str disk[] = {STR_INIT("oci:"), STR_INIT("oci-archive:"),
                                          STR_INIT("docker-archive:")};
        struct parts parts;
        struct str language;

        for (size_t i = 0; i < sizeof(disk) / sizeof(disk[0]); i++) {
                if (str_starts(reference, disk[i]) && str_find(reference, '/') == disk[i].len)
                        return true;
        }
        if (str_starts(reference, STR("builtin:")) || !parts_parse(reference, false, &parts))
                return false;
        for (size_t i = 0; parts.digest.len == 0 && i < table->count; i++) {
                if (rule_fits(&table->rules[i], &parts, &language))
                        return false;
        }
        return true;
}

enum err_code reference_resolve(const struct reference_table *table, struct str reference,
                                struct reference_base *ret, struct err *err)
{
        static const struct str scheme = STR_INIT("builtin:");
        struct parts parts;
        struct str language;
        char list[LIST_MAX], text[SHOWN_MAX];

        if (str_starts(reference, scheme)) {
                language = str_slice(reference, scheme.len, reference.len);
                if (!language_valid(language))
                        return err_set(err, ERR_INVALID, "'%s' is not builtin:LANGUAGE",
                                       shown(reference, text));
                return resolve_language(table, reference, language, ret, err);
        }
        if (!parts_parse(reference, false, &parts))
                return err_set(err, ERR_INVALID, "'%s' is not an image reference", shown(reference, text));
        for (size_t i = 0; parts.digest.len == 0 && i < table->count; i++)
                if (rule_fits(&table->rules[i], &parts, &language))
                        return resolve_language(table, reference, language, ret, err);
        runtime_table_list(table->runtimes, list, sizeof(list));
        if (parts.digest.len > 0)
                return err_set(
                        err, ERR_UNPROCESSABLE,
                        "image '%.*s': a digest names one exact image of a registry, and this version runs "
                        "built-in base images only: use builtin:LANGUAGE (languages: %s)",
                        STR_ARG(parts.name), list);
        return err_set(
                err, ERR_UNPROCESSABLE,
                "image '%.*s': this version runs built-in base images only: use builtin:LANGUAGE (languages: "
                "%s), or start the server with --image-references '%.*s=builtin:LANGUAGE'",
                STR_ARG(parts.name), list, STR_ARG(parts.name));
}
