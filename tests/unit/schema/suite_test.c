/*
 * The official JSON-Schema-Test-Suite, both drafts: the required part without a failure, the optional part
 * with exactly those failures that the list beside this file names. Debian has it in two packages (of two
 * ages): libtest-json-schema-acceptance-perl with both drafts, json-schema-test-suite with draft-07 alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/own.h"
#include "schema/schema.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DOCUMENTS_MAX = 200, KNOWN_MAX = 200, FILES_MAX = 200 };

#define SUITE_2020 "/usr/share/perl5/auto/share/dist/Test-JSON-Schema-Acceptance"
#define SUITE_07   "/usr/share/json-schema-test-suite"

struct known {
        char *file, *group, *test;
        bool seen; /* versions of the suite differ in what they have */
        bool used;
};

struct suite {
        const char *root;
        struct schema_document documents[DOCUMENTS_MAX];
        size_t document_count;
        struct known known[KNOWN_MAX];
        size_t known_count;
        size_t passed, known_failures, wrong;
};

/* Numbers beyond 64 bits, which our own reader refuses, come as reals. */
static json_t *load(const char *path)
{
        json_error_t error;
        json_t *json = json_load_file(path, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

        if (json == NULL)
                json = json_load_file(path, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL,
                                      &error);
        if (json == NULL)
                fail_msg("%s: %s", path, error.text);
        return json;
}

/* "a/b/c" on the heap. */
static char *join(const char *a, const char *b, const char *c)
{
        char *path = NULL;

        assert_true(asprintf(&path, "%s/%s/%s", a, b, c) > 0);
        return path;
}

static void load_remotes(struct suite *suite, const char *below)
{
        own_mem char *folder = join(suite->root, "remotes", below);
        char *uri = NULL;
        struct dirent *entry;

        DIR *dir = opendir(folder);
        assert_non_null(dir);
        while ((entry = readdir(dir)) != NULL) {
                struct stat st;
                if (entry->d_name[0] == '.')
                        continue;
                own_mem char *path = join(folder, ".", entry->d_name);
                own_mem char *name = NULL;
                assert_true(asprintf(&name, "%s%s%s", below, below[0] != '\0' ? "/" : "", entry->d_name) > 0);
                assert_int_equal(stat(path, &st), 0);
                if (S_ISDIR(st.st_mode)) {
                        load_remotes(suite, name);
                        continue;
                }
                assert_true(suite->document_count < DOCUMENTS_MAX);
                assert_true(asprintf(&uri, "http://localhost:1234/%s", name) > 0);
                suite->documents[suite->document_count++] = (struct schema_document){uri, load(path)};
        }
        closedir(dir);
}

static char *next_field(char **rest)
{
        char *field = strsep(rest, "\t");

        assert_non_null(field);
        return field;
}

/* Lines of FILE, GROUP, TEST and why, separated by tabs; * stands for all of a file's groups or tests. */
static void load_known(struct suite *suite)
{
        own_file FILE *file = fopen(SUITE_KNOWN, "re");
        char line[1024];

        assert_non_null(file);
        while (fgets(line, sizeof(line), file) != NULL) {
                char *rest = line;
                line[strcspn(line, "\n")] = '\0';
                if (line[0] == '#' || line[0] == '\0')
                        continue;
                assert_true(suite->known_count < KNOWN_MAX);
                struct known *known = &suite->known[suite->known_count++];
                known->file = strdup(next_field(&rest));
                known->group = strdup(next_field(&rest));
                known->test = strdup(next_field(&rest));
                assert_true(rest != NULL && rest[0] != '\0');
        }
}

static void suite_finish(struct suite *suite)
{
        for (size_t i = 0; i < suite->document_count; i++) {
                free((char *)suite->documents[i].uri);
                json_decref((json_t *)suite->documents[i].json);
        }
        for (size_t i = 0; i < suite->known_count; i++) {
                free(suite->known[i].file);
                free(suite->known[i].group);
                free(suite->known[i].test);
        }
}

static bool matches(const char *pattern, const char *text)
{
        return strcmp(pattern, "*") == 0 || strcmp(pattern, text) == 0;
}

static struct known *find_known(struct suite *suite, const char *file, const char *group, const char *test)
{
        for (size_t i = 0; i < suite->known_count; i++) {
                struct known *known = &suite->known[i];
                if (strcmp(known->file, file) == 0 && matches(known->group, group) &&
                    matches(known->test, test)) {
                        known->seen = true;
                        return known;
                }
        }
        return NULL;
}

static const char *text_of(const json_t *object, const char *key)
{
        return json_string_value(json_object_get(object, key));
}

static void run_group(struct suite *suite, const char *file, const json_t *group, bool draft7, bool formats)
{
        struct schema_options options = {suite->documents, suite->document_count, draft7, formats};
        struct schema *schema = NULL;
        struct err err = {.code = ERR_OK};
        enum err_code compiled = schema_compile(json_object_get(group, "schema"), &options, &schema, &err);
        size_t i;
        json_t *test;

        json_array_foreach(json_object_get(group, "tests"), i, test)
        {
                bool valid = json_is_true(json_object_get(test, "valid"));
                struct known *known =
                        find_known(suite, file, text_of(group, "description"), text_of(test, "description"));
                enum err_code code = compiled;
                if (code == ERR_OK)
                        code = schema_validate(schema, json_object_get(test, "data"), 0, NULL, &err);
                if (code == (valid ? ERR_OK : ERR_INVALID)) {
                        suite->passed++;
                } else if (known != NULL) {
                        known->used = true;
                        suite->known_failures++;
                } else {
                        suite->wrong++;
                        print_error("%s\t%s\t%s\t%s\n", file, text_of(group, "description"),
                                    text_of(test, "description"), code == ERR_OK ? "valid" : err.text);
                }
        }
        schema_unref(schema);
}

static void run_file(struct suite *suite, const char *name, bool draft7, bool formats)
{
        own_mem char *path = join(suite->root, "tests", name);
        json_t *group;
        size_t i;

        json_t *groups = load(path);
        json_array_foreach(groups, i, group)
        {
                run_group(suite, name, group, draft7, formats);
        }
        json_decref(groups);
}

/* A file about patterns that has them as formats, too. */
static bool needs_formats(const char *file)
{
        return strstr(file, "/ecmascript-regex.json") != NULL;
}

/* Every file of a folder, by name relative to tests/. */
static void run_folder(struct suite *suite, const char *name, bool draft7, bool formats)
{
        own_mem char *folder = join(suite->root, "tests", name);
        struct dirent **entries = NULL;

        int count = scandir(folder, &entries, NULL, alphasort);
        assert_true(count >= 0);
        for (int i = 0; i < count; i++) {
                size_t len = strlen(entries[i]->d_name);
                own_mem char *file = NULL;
                assert_true(asprintf(&file, "%s/%s", name, entries[i]->d_name) > 0);
                if (len > 5 && strcmp(entries[i]->d_name + len - 5, ".json") == 0)
                        run_file(suite, file, draft7, formats || needs_formats(file));
                free(entries[i]);
        }
        free(entries);
}

/* SCHEMA_SUITE names another checkout of the suite. */
static void begin(struct suite *suite, const char *root)
{
        const char *other = getenv("SCHEMA_SUITE");

        root = other != NULL ? other : root;
        *suite = (struct suite){.root = root};
        if (access(root, R_OK) < 0) {
                print_message("%s is not there: tools/install-deps test\n", root);
                skip();
        }
        load_remotes(suite, "");
}

static void end(struct suite *suite, const char *what)
{
        print_message("%s: %zu passed, %zu known failures, %zu wrong\n", what, suite->passed,
                      suite->known_failures, suite->wrong);
        suite_finish(suite);
        assert_int_equal(suite->wrong, 0);
        assert_true(suite->passed > 0);
}

static void the_required_part_of_2020_12_passes_in_full(void **state)
{
        struct suite suite;

        (void)state;
        begin(&suite, SUITE_2020);
        run_folder(&suite, "draft2020-12", false, false);
        end(&suite, "draft2020-12");
}

static void the_required_part_of_draft_07_passes_in_full(void **state)
{
        struct suite suite;

        (void)state;
        begin(&suite, SUITE_2020);
        run_folder(&suite, "draft7", true, false);
        end(&suite, "draft7");
}

static void the_required_part_of_the_older_suite_passes_in_full(void **state)
{
        struct suite suite;

        (void)state;
        begin(&suite, SUITE_07);
        run_folder(&suite, "draft7", true, false);
        end(&suite, "draft7 of json-schema-test-suite");
}

static void the_optional_parts_fail_where_the_list_says_and_nowhere_else(void **state)
{
        struct suite suite;
        size_t unused = 0;

        (void)state;
        begin(&suite, SUITE_2020);
        load_known(&suite);
        run_folder(&suite, "draft2020-12/optional", false, false);
        run_folder(&suite, "draft2020-12/optional/format", false, true);
        run_folder(&suite, "draft7/optional", true, false);
        run_folder(&suite, "draft7/optional/format", true, true);
        for (size_t i = 0; i < suite.known_count; i++) {
                if (suite.known[i].used || !suite.known[i].seen)
                        continue;
                print_error("the list is wrong, this passes: %s: %s: %s\n", suite.known[i].file,
                            suite.known[i].group, suite.known[i].test);
                unused++;
        }
        end(&suite, "optional");
        assert_int_equal(unused, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_required_part_of_2020_12_passes_in_full),
                cmocka_unit_test(the_required_part_of_draft_07_passes_in_full),
                cmocka_unit_test(the_required_part_of_the_older_suite_passes_in_full),
                cmocka_unit_test(the_optional_parts_fail_where_the_list_says_and_nowhere_else),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
