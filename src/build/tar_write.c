/* build/tar_write.c: headers of tar members. */
#include "build/tar_write.h"

#include "base/str.h"

#include <assert.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { SIZE_OCTAL_MAX_BITS = 33 };

struct header {
        char name[100];
        char mode[8];
        char uid[8];
        char gid[8];
        char size[12];
        char mtime[12];
        char checksum[8];
        char typeflag;
        char linkname[100];
        char magic[6];
        char version[2];
        char uname[32];
        char gname[32];
        char devmajor[8];
        char devminor[8];
        char prefix[155];
        char pad[12];
};
_Static_assert(sizeof(struct header) == TAR_BLOCK, "a header is one block");

static const char zeros[2 * TAR_BLOCK];

static void put_octal(char *field, size_t size, uint64_t value)
{
        for (size_t i = size - 1; i-- > 0; value >>= 3)
                field[i] = (char)('0' + (value & 7));
}

static bool is_ascii(const char *text)
{
        while (*text > 0)
                text++;
        return *text == '\0';
}

/* Where the path can be cut into ustar's prefix and name; 0: it fits as it is; -1: it cannot. */
static ptrdiff_t path_split(const char *path, size_t len)
{
        struct header *header = NULL;

        if (len <= sizeof(header->name))
                return 0;
        for (size_t i = len - 1; i > 0; i--)
                if (path[i] == '/' && i <= sizeof(header->prefix) && len - i - 1 <= sizeof(header->name) &&
                    i + 1 < len)
                        return (ptrdiff_t)i;
        return -1;
}

static void header_fill(struct header *header, const struct tar_member *member, char type, const char *path,
                        size_t len, ptrdiff_t cut, uint64_t size)
{
        unsigned sum = 0;
        size_t link_len = member->link != NULL ? strlen(member->link) : 0;

        memset(header, 0, sizeof(*header));
        if (cut > 0)
                memcpy(header->prefix, path, (size_t)cut);
        path += cut > 0 ? cut + 1 : 0;
        len -= cut > 0 ? (size_t)cut + 1 : 0;
        memcpy(header->name, path, len < sizeof(header->name) ? len : sizeof(header->name));
        if (link_len > 0)
                memcpy(header->linkname, member->link,
                       link_len < sizeof(header->linkname) ? link_len : sizeof(header->linkname));
        put_octal(header->mode, sizeof(header->mode), member->mode & 07777);
        put_octal(header->uid, sizeof(header->uid), member->uid);
        put_octal(header->gid, sizeof(header->gid), member->gid);
        put_octal(header->size, sizeof(header->size), size >> SIZE_OCTAL_MAX_BITS == 0 ? size : 0);
        put_octal(header->mtime, sizeof(header->mtime), (uint64_t)member->time);
        memset(header->checksum, ' ', sizeof(header->checksum));
        header->typeflag = type;
        memcpy(header->magic, "ustar", sizeof(header->magic));
        memcpy(header->version, "00", sizeof(header->version));
        for (size_t i = 0; i < sizeof(*header); i++)
                sum += ((unsigned char *)header)[i];
        put_octal(header->checksum, sizeof(header->checksum) - 1, sum);
}

/* A pax record is "LEN KEY=VALUE\n", of which LEN counts itself too. */
static size_t record_put(char *out, size_t room, const char *key, const char *value)
{
        size_t body = strlen(key) + strlen(value) + 3;
        size_t digits = 1;

        for (size_t bound = 10; body + digits >= bound; bound *= 10)
                digits++;

        size_t len = body + digits;

        assert(len < room);
        snprintf(out, room, "%zu %s=%s\n", len, key, value);
        return len;
}

enum { PAX_MAX = 2 * PATH_MAX + 256 };

/* What ustar cannot say about the member; 0 bytes: nothing. */
static size_t pax_fill(char out[PAX_MAX], const struct tar_member *member, const char *path, bool long_path)
{
        bool path_needed = long_path || (!is_ascii(path) && str_is_utf8(str_of(path)));
        bool link_needed =
                member->link != NULL && (strlen(member->link) > sizeof(((struct header *)0)->linkname) ||
                                         (!is_ascii(member->link) && str_is_utf8(str_of(member->link))));
        bool binary = (path_needed && !str_is_utf8(str_of(path))) ||
                      (link_needed && !str_is_utf8(str_of(member->link)));
        char number[32];
        size_t len = 0;

        if (binary)
                len += record_put(out + len, PAX_MAX - len, "hdrcharset", "BINARY");
        if (link_needed)
                len += record_put(out + len, PAX_MAX - len, "linkpath", member->link);
        if (path_needed)
                len += record_put(out + len, PAX_MAX - len, "path", path);
        if (member->size >> SIZE_OCTAL_MAX_BITS != 0) {
                snprintf(number, sizeof(number), "%llu", (unsigned long long)member->size);
                len += record_put(out + len, PAX_MAX - len, "size", number);
        }
        return len;
}

static enum err_code pax_head(struct tar_out *out, const struct tar_member *member, const char *records,
                              size_t len, struct err *err)
{
        static const char name[] = "PaxHeaders/member";
        struct header header;
        struct tar_member plain = {.mode = 0644, .time = member->time};
        enum err_code code;

        header_fill(&header, &plain, 'x', name, sizeof(name) - 1, 0, len);
        code = tar_write_data(out, &header, sizeof(header), err);
        if (code == ERR_OK)
                code = tar_write_data(out, records, len, err);
        return code == ERR_OK ? tar_write_pad(out, len, err) : code;
}

enum err_code tar_write_head(struct tar_out *out, const struct tar_member *member, struct err *err)
{
        char path[PATH_MAX + 2];
        char records[PAX_MAX];
        struct header header;
        size_t len = strlen(member->path);
        enum err_code code = ERR_OK;

        assert(member->time >= 0 && (member->size == 0 || member->type == TAR_FILE));
        if (len > PATH_MAX || (member->link != NULL && strlen(member->link) > PATH_MAX))
                return err_set(err, ERR_INVALID, "a path of more than %d bytes", PATH_MAX);
        len = (size_t)snprintf(path, sizeof(path), "%s%s", member->path,
                               member->type == TAR_FOLDER ? "/" : "");

        ptrdiff_t cut = path_split(path, len);
        size_t pax_len = pax_fill(records, member, path, cut < 0);

        if (pax_len > 0)
                code = pax_head(out, member, records, pax_len, err);
        if (code != ERR_OK)
                return code;
        header_fill(&header, member, (char)member->type, path, len, cut, member->size);
        return tar_write_data(out, &header, sizeof(header), err);
}

enum err_code tar_write_pad(struct tar_out *out, uint64_t size, struct err *err)
{
        size_t over = (size_t)(size % TAR_BLOCK);

        return over > 0 ? tar_write_data(out, zeros, TAR_BLOCK - over, err) : ERR_OK;
}

enum err_code tar_write_text(struct tar_out *out, const struct tar_member *member, const void *bytes,
                             struct err *err)
{
        enum err_code code = tar_write_head(out, member, err);

        if (code == ERR_OK && member->size > 0)
                code = tar_write_data(out, bytes, (size_t)member->size, err);
        return code == ERR_OK ? tar_write_pad(out, member->size, err) : code;
}

enum err_code tar_write_end(struct tar_out *out, struct err *err)
{
        return tar_write_data(out, zeros, sizeof(zeros), err);
}
