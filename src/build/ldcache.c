/*
 * build/ldcache.c: the format is glibc's "1.1" (sysdeps/generic/dl-cache.h), in the machine's own byte order:
 * a header, entries in the order that the dynamic linker's binary search wants, and strings that they point
 * to by their offset from the header. Leaving entries out keeps the order. Entries for special processors
 * (hwcap) are left out: each has a plain one beside it.
 */
#include "build/ldcache.h"

#include "base/own.h"
#include "build/dpkg.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { CACHE_MAX = 16 << 20 };

struct header {
        char magic[20];
        uint32_t count;
        uint32_t strings_len;
        uint8_t flags;
        uint8_t padding[3];
        uint32_t extensions; /* offset; 0: none */
        uint32_t unused[3];
};

struct entry {
        int32_t flags;
        uint32_t key;   /* offset of the library's name */
        uint32_t value; /* offset of its path */
        uint32_t unused;
        uint64_t hwcap;
};

_Static_assert(sizeof(struct header) == 48 && sizeof(struct entry) == 24, "the layout of the file");

static const char magic[] = "glibc-ld.so.cache1.1";

/* The NUL-terminated text at an offset; NULL when it is not inside. */
static const char *text_at(struct str in, uint32_t offset)
{
        if (offset >= in.len || memchr(in.p + offset, '\0', in.len - offset) == NULL)
                return NULL;
        return in.p + offset;
}

static bool keep(struct str in, const struct entry *entry, bool (*wanted)(void *arg, const char *path),
                 void *arg)
{
        const char *path = text_at(in, entry->value);

        return entry->hwcap == 0 && path != NULL && path[0] == '/' && text_at(in, entry->key) != NULL &&
               wanted(arg, path);
}

/* Appends a text to the strings; its offset in the file, of which `before` bytes come first. */
static enum err_code put_text(struct buf *strings, const char *text, size_t before, uint32_t *ret)
{
        *ret = (uint32_t)(before + strings->len);
        return buf_append(strings, text, strlen(text) + 1);
}

static enum err_code put_file(struct buf *out, const struct header *from, const struct buf *entries,
                              const struct buf *strings)
{
        struct header header = {.count = (uint32_t)(entries->len / sizeof(struct entry)),
                                .strings_len = (uint32_t)strings->len,
                                .flags = from->flags};
        enum err_code code;

        memcpy(header.magic, magic, sizeof(header.magic));
        code = buf_append(out, &header, sizeof(header));
        if (code == ERR_OK)
                code = buf_append(out, entries->data, entries->len);
        if (code == ERR_OK)
                code = buf_append(out, strings->data, strings->len);
        return code;
}

/* How many entries stay: their strings come behind all of them. */
static size_t count_kept(struct str in, uint32_t count, bool (*wanted)(void *arg, const char *path),
                         void *arg)
{
        size_t kept = 0;

        for (uint32_t i = 0; i < count; i++) {
                struct entry entry;

                memcpy(&entry, in.p + sizeof(struct header) + i * sizeof(entry), sizeof(entry));
                kept += keep(in, &entry, wanted, arg);
        }
        return kept;
}

enum err_code ldcache_filter(struct str in, bool (*wanted)(void *arg, const char *path), void *arg,
                             struct buf *out, struct err *err)
{
        struct header header;
        own_buf struct buf entries, strings;
        enum err_code code = ERR_OK;

        buf_init(&entries, CACHE_MAX);
        buf_init(&strings, CACHE_MAX);
        if (in.len < sizeof(header) || memcmp(in.p, magic, sizeof(header.magic)) != 0)
                return err_set(err, ERR_INVALID, "not a cache of the dynamic linker");
        memcpy(&header, in.p, sizeof(header));
        if (header.count > (in.len - sizeof(header)) / sizeof(struct entry))
                return err_set(err, ERR_INVALID, "a cache of the dynamic linker that is cut off");

        size_t before = sizeof(header) + count_kept(in, header.count, wanted, arg) * sizeof(struct entry);

        for (uint32_t i = 0; code == ERR_OK && i < header.count; i++) {
                struct entry entry;
                const char *name, *path;

                memcpy(&entry, in.p + sizeof(header) + i * sizeof(entry), sizeof(entry));
                if (!keep(in, &entry, wanted, arg))
                        continue;
                name = text_at(in, entry.key);
                path = text_at(in, entry.value);
                code = put_text(&strings, name, before, &entry.key);
                if (code == ERR_OK)
                        code = put_text(&strings, path, before, &entry.value);
                if (code == ERR_OK)
                        code = buf_append(&entries, &entry, sizeof(entry));
        }
        if (code == ERR_OK)
                code = put_file(out, &header, &entries, &strings);
        return code == ERR_OK ? code : err_nomem(err);
}

static bool in_image(void *arg, const char *path)
{
        return image_has(arg, path);
}

enum err_code ldcache_write(struct image *image, struct err *err)
{
        own_buf struct buf in, out;
        enum err_code code;

        buf_init(&in, CACHE_MAX);
        buf_init(&out, CACHE_MAX);
        code = dpkg_read_file(image->host_fd, "etc/ld.so.cache", &in, err);
        if (code == ERR_OK)
                code = ldcache_filter((struct str){in.data, in.len}, in_image, image, &out, err);
        if (code == ERR_NO_MEMORY)
                return code;
        if (code != ERR_OK) /* none, unreadable or another format */
                return ERR_OK;
        return image_write(image, "/etc/ld.so.cache", (struct str){out.data, out.len}, err);
}
