/* build/catalogue.c: finds in an image what its package managers have noted. */
#include "build/catalogue.h"

#include "base/own.h"
#include "build/names.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct catalogue {
        int image_fd;
        json_t *packages;
        size_t entries;
};

/* -1: not there, or a link that leads out. */
static int open_beneath(int dir_fd, const char *path, int flags)
{
        struct open_how how = {.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NONBLOCK),
                               .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};

        return (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
}

/* False: it is not there, no file, or larger than that. */
static bool read_text(int dir_fd, const char *path, size_t max, struct buf *ret)
{
        own_fd int fd = open_beneath(dir_fd, path, O_RDONLY);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > max)
                return false;
        buf_init(ret, max);
        for (;;) {
                if (buf_reserve(ret, 65536) != ERR_OK && buf_reserve(ret, 1) != ERR_OK)
                        return false;
                ssize_t got = read(fd, ret->data + ret->len, ret->capacity - ret->len);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return got == 0;
                ret->len += (size_t)got;
        }
}

typedef enum err_code (*parser)(struct str text, json_t *packages, struct err *err);

static enum err_code file_add(struct catalogue *catalogue, int dir_fd, const char *path, size_t max,
                              parser parse, struct err *err)
{
        own_buf struct buf text = {0};

        if (!read_text(dir_fd, path, max, &text))
                return ERR_OK;
        return parse((struct str){text.data, text.len}, catalogue->packages, err);
}

static bool ends_with(const char *name, const char *end)
{
        size_t len = strlen(name), wanted = strlen(end);

        return len > wanted && strcmp(name + len - wanted, end) == 0;
}

/* A folder that is being looked at. */
struct place {
        int depth;
        bool modules; /* node_modules, or a scope in it: what is in it are packages */
        bool package; /* one of these */
        bool debian;  /* dist-packages of Debian's */
};

/* What no package manager of ours puts anything into, and what may be another file system. */
static bool is_passed_over(const struct place *place, const char *name)
{
        static const char *const top[] = {"proc", "sys", "dev", "tmp", "run", "function", "runtime"};

        for (size_t i = 0; place->depth == 0 && i < sizeof(top) / sizeof(top[0]); i++) {
                if (strcmp(name, top[i]) == 0)
                        return true;
        }
        return false;
}

static enum err_code folder_add(struct catalogue *catalogue, int fd, const char *parent, struct place place,
                                struct err *err);

static enum err_code entry_add(struct catalogue *catalogue, int dir_fd, const char *folder, const char *name,
                               const struct place *place, struct err *err)
{
        char path[NAME_MAX + 16];
        struct place below = {.depth = place->depth + 1,
                              .modules =
                                      strcmp(name, "node_modules") == 0 || (place->modules && name[0] == '@'),
                              .debian = strcmp(folder, "python3") == 0 && strcmp(name, "dist-packages") == 0};

        below.package = place->modules && !below.modules;
        if (ends_with(name, ".dist-info")) {
                if (place->debian)
                        return ERR_OK;
                snprintf(path, sizeof(path), "%s/METADATA", name);
                return file_add(catalogue, dir_fd, path, CATALOGUE_FILE_MAX, catalogue_pypi, err);
        }
        own_fd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return ERR_OK;
        enum err_code code = ERR_OK;
        if (below.package)
                code = file_add(catalogue, fd, "package.json", CATALOGUE_FILE_MAX, catalogue_npm, err);
        return code == ERR_OK ? folder_add(catalogue, fd, name, below, err) : code;
}

static enum err_code folder_add(struct catalogue *catalogue, int fd, const char *folder, struct place place,
                                struct err *err)
{
        own_dir DIR *dir = fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 3));
        enum err_code code = ERR_OK;

        if (dir == NULL || place.depth >= CATALOGUE_DEPTH_MAX)
                return ERR_OK;
        for (struct dirent *entry; code == ERR_OK && (entry = readdir(dir)) != NULL;) {
                if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN)
                        continue;
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                    is_passed_over(&place, entry->d_name))
                        continue;
                if (++catalogue->entries > CATALOGUE_ENTRIES_MAX)
                        return err_set(err, ERR_TOO_LARGE, "the image has more than %d folders",
                                       CATALOGUE_ENTRIES_MAX);
                code = entry_add(catalogue, dirfd(dir), folder, entry->d_name, &place, err);
        }
        return code;
}

static enum err_code status_folder_add(struct catalogue *catalogue, struct err *err)
{
        own_fd int fd = open_beneath(catalogue->image_fd, "var/lib/dpkg/status.d", O_RDONLY | O_DIRECTORY);
        own_names struct names names = {0};

        if (fd < 0)
                return ERR_OK;
        enum err_code code = names_read(fd, &names, err);
        for (size_t i = 0; code == ERR_OK && i < names.count; i++) {
                if (!ends_with(names.list[i], ".md5sums"))
                        code = file_add(catalogue, fd, names.list[i], CATALOGUE_FILE_MAX, catalogue_deb, err);
        }
        return code;
}

static int by_package(const void *a, const void *b)
{
        static const char *const keys[] = {"type", "name", "version", "architecture"};
        const json_t *one = *(json_t *const *)a, *other = *(json_t *const *)b;

        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
                const char *left = json_string_value(json_object_get(one, keys[i]));
                const char *right = json_string_value(json_object_get(other, keys[i]));
                int order = strcmp(left != NULL ? left : "", right != NULL ? right : "");

                if (order != 0)
                        return order;
        }
        return 0;
}

/* A new array; NULL: out of memory. */
static json_t *sorted(json_t *packages)
{
        size_t count = json_array_size(packages);
        own_mem json_t **list = calloc(count + 1, sizeof(json_t *));
        json_t *out = json_array();

        if (list == NULL || out == NULL) {
                json_decref(out);
                return NULL;
        }
        for (size_t i = 0; i < count; i++)
                list[i] = json_array_get(packages, i);
        qsort(list, count, sizeof(json_t *), by_package);
        for (size_t i = 0; i < count; i++) {
                if (i == 0 || by_package(&list[i - 1], &list[i]) != 0)
                        (void)json_array_append(out, list[i]);
        }
        return out;
}

static enum err_code all_add(struct catalogue *catalogue, struct err *err)
{
        enum err_code code = file_add(catalogue, catalogue->image_fd, "var/lib/dpkg/status",
                                      CATALOGUE_STATUS_MAX, catalogue_deb, err);

        if (code == ERR_OK)
                code = file_add(catalogue, catalogue->image_fd, CATALOGUE_BUILTIN, CATALOGUE_STATUS_MAX,
                                catalogue_deb, err);
        if (code == ERR_OK)
                code = status_folder_add(catalogue, err);
        if (code == ERR_OK)
                code = file_add(catalogue, catalogue->image_fd, "lib/apk/db/installed", CATALOGUE_STATUS_MAX,
                                catalogue_apk, err);
        if (code == ERR_OK)
                code = file_add(catalogue, catalogue->image_fd, CATALOGUE_MAVEN, CATALOGUE_FILE_MAX,
                                catalogue_maven, err);
        if (code == ERR_OK)
                code = folder_add(catalogue, catalogue->image_fd, "", (struct place){0}, err);
        if (code == ERR_OK)
                code = file_add(catalogue, catalogue->image_fd, CATALOGUE_ORIGINS, CATALOGUE_ORIGINS_MAX,
                                catalogue_origins, err);
        return code;
}

static void os_add(int image_fd, json_t *result)
{
        static const char *const keys[][2] = {{"ID", "distribution"}, {"VERSION_ID", "release"}};
        own_buf struct buf text = {0};

        if (!read_text(image_fd, "etc/os-release", CATALOGUE_FILE_MAX, &text))
                return;
        for (size_t i = 0; i < 2; i++) {
                struct str value = catalogue_os((struct str){text.data, text.len}, str_of(keys[i][0]));

                if (value.len > 0 && value.len <= CATALOGUE_TEXT_MAX)
                        (void)json_object_set_new(result, keys[i][1], json_stringn(value.p, value.len));
        }
}

enum err_code catalogue_read(int image_fd, json_t **ret, struct err *err)
{
        struct catalogue catalogue = {.image_fd = image_fd, .packages = json_array()};
        json_t *result = json_object(), *list = NULL;
        enum err_code code =
                catalogue.packages == NULL || result == NULL ? err_nomem(err) : all_add(&catalogue, err);

        if (code == ERR_OK && (list = sorted(catalogue.packages)) == NULL)
                code = err_nomem(err);
        json_decref(catalogue.packages);
        if (code != ERR_OK) {
                json_decref(result);
                return code;
        }
        os_add(image_fd, result);
        if (json_object_set_new(result, "packages", list) < 0) {
                json_decref(result);
                return err_nomem(err);
        }
        *ret = result;
        return ERR_OK;
}

static enum err_code write_all(int fd, const char *bytes, size_t len, struct err *err)
{
        while (len > 0) {
                ssize_t put = write(fd, bytes, len);

                if (put < 0 && errno == EINTR)
                        continue;
                if (put < 0)
                        return err_sys(err, "write the catalogue");
                bytes += put;
                len -= (size_t)put;
        }
        return ERR_OK;
}

enum err_code catalogue_write(int image_fd, int log_fd, struct err *err)
{
        json_t *result = NULL;
        enum err_code code = catalogue_read(image_fd, &result, err);

        if (code != ERR_OK)
                return code;
        own_mem char *text = json_dumps(result, JSON_COMPACT);
        json_decref(result);
        if (text == NULL)
                return err_nomem(err);
        code = write_all(log_fd, "R ", 2, err);
        if (code == ERR_OK)
                code = write_all(log_fd, text, strlen(text), err);
        return code == ERR_OK ? write_all(log_fd, "\n", 1, err) : code;
}
