/*
 * cli/list.h: which of a list's objects are shown, and in what order: -l and --sort-by.
 */
#ifndef DISPATCH_CLI_LIST_H
#define DISPATCH_CLI_LIST_H

#include "cli/resource.h"

enum {
        LIST_SELECTORS_MAX = 32,
        LIST_ENTRIES_MAX = 1000000,
        LIST_PAGES_MAX = 100000 /* of one list, empty ones included */
};

/* GET of a list, page after page, as one. ERR_LIMIT past what is above. */
enum err_code list_get(struct cli *cli, const char *path, json_t **ret, struct err *err);

/* Appends "tags=KEY=VALUE" to the path for each -l. ERR_INVALID for one that is no KEY=VALUE, and for a
 * --sort-by that is no field. Does nothing for a command without these flags. */
enum err_code list_query(struct cli *cli, const struct resource *resource, const char **path,
                         struct err *err);

/* Replaces *list by what -l lets pass, in the order of --sort-by. Anything but a list stays as it is, for
 * whoever shows it. */
enum err_code list_shape(struct cli *cli, const struct resource *resource, json_t **list, struct err *err);

typedef int list_compare(const json_t *a, const json_t *b, const void *arg);
/* Sorts by any order: negative when a comes first. Stable. */
enum err_code list_sort(json_t **list, list_compare *compare, const void *arg, struct err *err);
/* By a member, numbers before texts. Objects without it come first. */
int list_compare_member(const json_t *a, const json_t *b, const void *member);

#endif
