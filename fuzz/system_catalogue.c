/*
 * fuzz/system_catalogue.c: what dpkg-query and apt-get of a hostile image print, and lists of sources: the
 * catalogue is JSON of the promised form, and the lines of sources hold nothing that was not asked for.
 */
#include "base/own.h"
#include "build/apt_sources.h"
#include "build/debroot.h"
#include "build/system.h"
#include "image/deb_name.h"

#include <assert.h>
#include <jansson.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void catalogue_check(const struct buf *out)
{
        json_t *json = json_loadb(out->data, out->len, JSON_REJECT_DUPLICATES, NULL);
        const json_t *package;
        size_t i;

        assert(json != NULL);
        json_array_foreach(json_object_get(json, "packages"), i, package)
        {
                assert(json_object_size(package) == 5);
                assert(deb_text_plain(str_of(json_string_value(json_object_get(package, "name"))), "+.-"));
                assert(deb_text_plain(str_of(json_string_value(json_object_get(package, "version"))),
                                      "+.:~-"));
        }
        json_decref(json);
}

static void sources_check(struct str text)
{
        own_buf struct buf out = {.max = APT_SOURCES_MAX};

        (void)apt_sources_list(text, STR("bookworm"), &out, NULL);
        (void)apt_sources_deb822(text, STR("bookworm"), &out, NULL);
        struct str rest = {out.data, out.len};
        while (rest.len > 0) {
                struct str line = str_cut(&rest, '\n');
                if (rest.len > 0 || (out.len > 0 && out.data[out.len - 1] == '\n'))
                        assert(str_starts(line, STR("deb ")));
        }
}

/* Three texts with a NUL between. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str rest = {(const char *)data, size}, before = str_cut(&rest, '\0'),
                   after = str_cut(&rest, '\0');
        own_buf struct buf out = {.max = SYSTEM_CATALOGUE_MAX}, origins = {.max = SYSTEM_CATALOGUE_MAX};
        struct debroot_why why = {.text = ""};
        uint64_t date;

        if (size == 0)
                return 0;
        if (system_catalogue(before, after, rest, &out, &origins, NULL) == ERR_OK)
                catalogue_check(&out);
        sources_check((struct str){(const char *)data, size});
        (void)deb_name_valid(before);
        (void)debroot_date(before, &date);
        debroot_why_line(&why, before);
        assert(memchr(why.text, '\0', sizeof(why.text)) != NULL);
        return 0;
}
