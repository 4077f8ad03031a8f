/* tests/unit/build/support.c: see support.h. */
#include "support.h"

#include "base/own.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

void place_make(struct place *place)
{
        const char *tmp = getenv("TMPDIR");

        umask(022);
        snprintf(place->path, sizeof(place->path), "%s/dispatch-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
        assert_non_null(mkdtemp(place->path));
        place->fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(mkdirat(place->fd, "out", 0755), 0);
        place->out_fd = openat(place->fd, "out", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(place->out_fd >= 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        (void)st;
        (void)type;
        (void)ftw;
        return remove(path);
}

void place_clear(struct place *place)
{
        close(place->out_fd);
        close(place->fd);
        nftw(place->path, remove_one, 64, FTW_DEPTH | FTW_PHYS);
}

static void make_folders(int dir_fd, const char *path)
{
        char part[PATH_MAX];

        for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
                snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
                if (mkdirat(dir_fd, part, 0755) < 0)
                        assert_int_equal(errno, EEXIST);
        }
}

void put_text(int dir_fd, const char *path, const char *text)
{
        make_folders(dir_fd, path);

        own_fd int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

void put_link(int dir_fd, const char *path, const char *target)
{
        make_folders(dir_fd, path);
        assert_int_equal(symlinkat(target, dir_fd, path), 0);
}

const char *get_text(int dir_fd, const char *path)
{
        static char text[65536];
        own_fd int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return NULL;

        ssize_t got = read(fd, text, sizeof(text) - 1);

        assert_true(got >= 0);
        text[got] = '\0';
        return text;
}

const char *get_link(int dir_fd, const char *path)
{
        static char target[PATH_MAX];
        ssize_t len = readlinkat(dir_fd, path, target, sizeof(target) - 1);

        if (len < 0)
                return NULL;
        target[len] = '\0';
        return target;
}

unsigned get_mode(int dir_fd, const char *path)
{
        struct stat st;

        return fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (unsigned)st.st_mode & 07777 : 0;
}

size_t count_entries(int dir_fd)
{
        int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_dir DIR *dir = fdopendir(fd);
        size_t count = 0;

        assert_non_null(dir);
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
                count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
        return count;
}

static void put_octal(char *field, size_t size, unsigned long long value)
{
        for (size_t i = size - 1; i-- > 0; value >>= 3)
                field[i] = (char)('0' + (value & 7));
}

void tar_put(struct buf *tar, const char *name, char type, const char *link, unsigned mode, const void *bytes,
             size_t len)
{
        static const char zeros[512];
        char header[512] = {0};
        unsigned sum = 0;

        memcpy(header, name, strlen(name) < 100 ? strlen(name) : 100);
        put_octal(header + 100, 8, mode);
        put_octal(header + 108, 8, 1000);
        put_octal(header + 116, 8, 1000);
        put_octal(header + 124, 12, len);
        put_octal(header + 136, 12, 1538689412);
        memset(header + 148, ' ', 8);
        header[156] = type;
        memcpy(header + 157, link, strlen(link) < 100 ? strlen(link) : 100);
        memcpy(header + 257,
               "ustar\0"
               "00",
               8);
        for (size_t i = 0; i < sizeof(header); i++)
                sum += (unsigned char)header[i];
        put_octal(header + 148, 7, sum);
        assert_int_equal(buf_append(tar, header, sizeof(header)), ERR_OK);
        assert_int_equal(buf_append(tar, bytes, len), ERR_OK);
        assert_int_equal(buf_append(tar, zeros, (512 - len % 512) % 512), ERR_OK);
}

void tar_file(struct buf *tar, const char *name, const char *text)
{
        tar_put(tar, name, '0', "", 0644, text, strlen(text));
}

void tar_end(struct buf *tar)
{
        static const char zeros[1024];

        assert_int_equal(buf_append(tar, zeros, sizeof(zeros)), ERR_OK);
}

static void write_gzip(int fd, const struct buf *bytes)
{
        struct archive *out = archive_write_new();
        struct archive_entry *entry = archive_entry_new();

        assert_int_equal(archive_write_add_filter_gzip(out), ARCHIVE_OK);
        assert_int_equal(archive_write_set_format_raw(out), ARCHIVE_OK);
        archive_write_set_bytes_in_last_block(out, 1);
        assert_int_equal(archive_write_open_fd(out, fd), ARCHIVE_OK);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_pathname(entry, "data");
        assert_int_equal(archive_write_header(out, entry), ARCHIVE_OK);
        assert_int_equal(archive_write_data(out, bytes->data, bytes->len), bytes->len);
        archive_entry_free(entry);
        assert_int_equal(archive_write_close(out), ARCHIVE_OK);
        archive_write_free(out);
}

int archive_fd(const struct buf *bytes, bool gzip)
{
        int fd = memfd_create("archive", MFD_CLOEXEC);

        assert_true(fd >= 0);
        if (gzip)
                write_gzip(fd, bytes);
        else if (bytes->len > 0)
                assert_int_equal(write(fd, bytes->data, bytes->len), bytes->len);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        return fd;
}
