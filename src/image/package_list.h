/*
 * image/package_list.h: an administrator's list of packages that may be installed into images.
 *
 * Text, one TYPE:NAME[=VERSION] a line; `#` begins a comment; `*` in NAME and VERSION stands for any text,
 * and without VERSION any will do. TYPE is deb, pypi, npm, maven or apk. Names are compared as the registries
 * do: of pypi without regard to case and with - _ . alike (PEP 503); of maven GROUP:ARTIFACT.
 *
 *      pypi:requests
 *      npm:@scope/...      (with * for the dots)
 *      deb:curl=7.*
 *      maven:org.apache.commons:commons-lang3=3.14.0
 */
#ifndef DISPATCH_IMAGE_PACKAGE_LIST_H
#define DISPATCH_IMAGE_PACKAGE_LIST_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>

enum { PACKAGE_LIST_MAX = 4 << 20, PACKAGE_NAME_MAX = 512 };

/* ERR_INVALID names the line. */
enum err_code package_list_check(struct str list, struct err *err);

/* Is a package on a list that package_list_check found right? A maven's name is GROUP/ARTIFACT. */
bool package_list_has(struct str list, struct str type, struct str name, struct str version);

#endif
