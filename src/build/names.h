/* build/names.h: the names in a folder, sorted by their bytes, so that what is made of them is the same on
 * each machine. */
#ifndef DISPATCH_BUILD_NAMES_H
#define DISPATCH_BUILD_NAMES_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { NAMES_MAX = 1 << 20 /* in one folder */ };

struct names {
        char **list;
        size_t count;
};

/* ERR_TOO_LARGE: more than NAMES_MAX. */
enum err_code names_read(int folder_fd, struct names *ret, struct err *err);
void names_finish(struct names *names);
bool names_have(const struct names *names, const char *name);

#define own_names __attribute__((cleanup(names_finish)))

#endif
