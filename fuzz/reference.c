/*
 * fuzz/reference.c: image references and the rules that map them, as a user may write them.
 *
 * Input: rules, a NUL, a reference. What resolves is a language of the table, the same under each of
 * docker.io's names; what does not has a text that can be shown.
 */
#include "image/reference.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct runtime languages[] = {{.language = "native"}, {.language = "python3"}};
static const struct runtime_table runtimes = {.count = 2, .runtimes = languages};

static void check_text(const struct err *err)
{
        assert(err->text[0] != '\0');
        for (const char *p = err->text; *p != '\0'; p++)
                assert(*p >= ' ' && *p <= '~');
}

/* A reference without a host means docker.io. */
static void check_host(const struct reference_table *table, struct str reference,
                       const struct reference_base *base)
{
        char longer[REFERENCE_LEN_MAX + 32];
        struct reference_base again = {0};
        size_t slash = str_find(reference, '/');
        struct str first = str_slice(reference, 0, slash);
        bool host = slash < reference.len &&
                    (str_find(first, '.') < first.len || str_find(first, ':') < first.len ||
                     str_eq(first, STR("localhost")));

        if (host || reference.len > REFERENCE_LEN_MAX - 16 || str_starts(reference, STR("builtin:")))
                return;
        int len = snprintf(longer, sizeof(longer), "docker.io/%.*s", STR_ARG(reference));

        assert(reference_resolve(table, (struct str){longer, (size_t)len}, &again, NULL) == ERR_OK);
        assert(strcmp(again.language, base->language) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str rest = {(const char *)data, size};
        struct str rules = str_cut(&rest, '\0');
        struct reference_table *table;
        struct reference_base base = {0};
        struct err err = {0};

        if (reference_table_create(rules, &runtimes, &table, &err) != ERR_OK)
                return 0;
        if (reference_resolve(table, rest, &base, &err) == ERR_OK) {
                assert(runtime_find(&runtimes, str_of(base.language)) != NULL);
                check_host(table, rest, &base);
        } else {
                assert(base.language[0] == '\0');
                check_text(&err);
        }
        reference_table_destroy(table);
        return 0;
}
