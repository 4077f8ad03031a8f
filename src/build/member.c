/* build/member.c: copies a member block by block. */
#include "build/member.h"

#include <sys/stat.h>
#include <unistd.h>

/* The last second of the year 9999: what every tool can show. */
static const time_t TIME_MAX = 253402300799;

enum err_code member_time(int fd, struct archive_entry *entry, struct err *err)
{
        time_t seconds = archive_entry_mtime_is_set(entry) ? archive_entry_mtime(entry) : 0;
        struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = seconds}};

        if (seconds < 0 || seconds > TIME_MAX)
                times[1].tv_sec = 0;
        return futimens(fd, times) < 0 ? err_sys(err, "set time") : ERR_OK;
}

static enum err_code grow_to(struct tree *tree, uint64_t *size, uint64_t end, struct err *err)
{
        if (end <= *size)
                return ERR_OK;
        if (tree_reserve(tree, end - *size, err) != ERR_OK)
                return ERR_TOO_LARGE;
        *size = end;
        return ERR_OK;
}

enum err_code member_data(struct archive *archive, struct archive_entry *entry, struct tree *tree, int fd,
                          bool *ret_whole, struct err *err)
{
        uint64_t size = 0;
        uint64_t declared = archive_entry_size_is_set(entry) ? (uint64_t)archive_entry_size(entry) : 0;
        const void *bytes;
        size_t len;
        la_int64_t offset;
        int got;

        *ret_whole = false;
        if (declared > tree->bytes_max) /* before anything is written: holes cost nothing to claim */
                return tree_reserve(tree, declared, err);
        while ((got = archive_read_data_block(archive, &bytes, &len, &offset)) == ARCHIVE_OK) {
                if (offset < 0 || (uint64_t)offset > tree->bytes_max)
                        return err_set(err, ERR_TOO_LARGE, "a hole past the limit");

                enum err_code code = grow_to(tree, &size, (uint64_t)offset + len, err);

                if (code == ERR_OK)
                        code = tree_write(fd, bytes, len, (uint64_t)offset, err);
                if (code != ERR_OK)
                        return code;
        }
        if (got != ARCHIVE_EOF)
                return ERR_OK;
        *ret_whole = true;
        if (size < declared) { /* it ends in a hole */
                if (grow_to(tree, &size, declared, err) != ERR_OK)
                        return ERR_TOO_LARGE;
                if (ftruncate(fd, (off_t)declared) < 0)
                        return err_disk(err, "extend");
        }
        return ERR_OK;
}
