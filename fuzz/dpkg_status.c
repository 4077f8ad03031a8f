/*
 * fuzz/dpkg_status.c: dpkg's database. Input: the status file, a NUL, the list of diversions.
 *
 * Every package can be found again by its name, and the closure of any package is closed: adding it, or what
 * is in it, once more changes nothing.
 */
#include "build/closure.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PACKAGES_MAX = 64 };

static void check_package(const struct dpkg *dpkg, size_t index)
{
        const struct dpkg_package *package = &dpkg->packages[index];
        ptrdiff_t found = dpkg_find(dpkg, package->name);
        struct closure closure;
        size_t count;

        if (str_find(package->name, ':') < package->name.len)
                return; /* dpkg knows no such name */
        assert(found >= 0 && str_eq(dpkg->packages[found].name, package->name));
        assert(closure_init(&closure, dpkg, NULL) == ERR_OK);
        if (closure_add(&closure, package->depends, true, NULL) == ERR_OK) {
                count = closure.count;
                assert(closure.waiting_count == 0 && count <= dpkg->package_count);
                for (size_t i = 0; i < dpkg->package_count; i++)
                        if (closure.chosen[i])
                                assert(closure_add(&closure, dpkg->packages[i].pre_depends, false, NULL) ==
                                       ERR_OK);
                assert(closure.count == count);
        }
        closure_finish(&closure);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str rest = {(const char *)data, size};
        struct str text = str_cut(&rest, '\0');
        own_buf struct buf status, diversions;
        struct dpkg dpkg;

        buf_init(&status, DPKG_STATUS_MAX);
        buf_init(&diversions, DPKG_LIST_MAX);
        if (buf_append(&status, text.p, text.len) != ERR_OK ||
            buf_append(&diversions, rest.p, rest.len) != ERR_OK)
                return 0;
        if (dpkg_parse(&status, &diversions, &dpkg, NULL) != ERR_OK)
                return 0;
        for (size_t i = 0; i < dpkg.package_count && i < PACKAGES_MAX; i++) {
                assert(dpkg.packages[i].name.len > 0);
                check_package(&dpkg, i);
        }
        dpkg_finish(&dpkg);
        return 0;
}
