/* sandbox/filters.c: finds a seccomp program by its name. */
#include "sandbox/filters.h"

#include "filters_made.h"

#include <string.h>

static const struct filter filters[] = {
        {"default", filter_default, sizeof(filter_default) / sizeof(filter_default[0])},
        {"fork", filter_fork, sizeof(filter_fork) / sizeof(filter_fork[0])},
        {"build", filter_build, sizeof(filter_build) / sizeof(filter_build[0])},
        {"fetch", filter_fetch, sizeof(filter_fetch) / sizeof(filter_fetch[0])},
        {"root", filter_root, sizeof(filter_root) / sizeof(filter_root[0])},
        {"debroot", filter_debroot, sizeof(filter_debroot) / sizeof(filter_debroot[0])},
};

const struct filter *filter_find(const char *name)
{
        for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
                if (strcmp(filters[i].name, name) == 0)
                        return &filters[i];
        }
        return NULL;
}
