/*
 * build/dpkg.c: parses the status file in place. Versions are not compared: dpkg keeps the host consistent,
 * so an installed package that is named in a relation satisfies it.
 */
#include "build/dpkg.h"

#include "base/own.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char blanks[] = " \t\r\n";

static int str_compare(struct str a, struct str b)
{
        int order = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);

        return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

enum err_code dpkg_read_file(int dir_fd, const char *name, struct buf *ret, struct err *err)
{
        own_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
                return err_set(err, ERR_NOT_FOUND, "no file '%s'", name);
        if (fd < 0)
                return err_sys(err, "open '%s'", name);
        for (;;) {
                size_t room = ret->max - ret->len < 65536 ? ret->max - ret->len : 65536;
                ssize_t got;

                if (room == 0)
                        return err_set(err, ERR_TOO_LARGE, "'%s' is longer than %zu bytes", name, ret->max);
                if (buf_reserve(ret, room) != ERR_OK)
                        return err_nomem(err);
                got = read(fd, ret->data + ret->len, room);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return err_sys(err, "read '%s'", name);
                if (got == 0)
                        return ERR_OK;
                ret->len += (size_t)got;
        }
}

/* One more element for a growing array; NULL when memory is out. */
static void *array_add(void **array, size_t *count, size_t size)
{
        if ((*count & (*count - 1)) == 0) { /* full at each power of two */
                void *grown = reallocarray(*array, *count == 0 ? 1 : *count * 2, size);

                if (grown == NULL)
                        return NULL;
                *array = grown;
        }
        return (char *)*array + (*count)++ * size;
}

/* A field's value with its folded lines: everything up to the next line that does not start with a blank. */
static struct str field_value(struct str *paragraph)
{
        size_t end = 0;

        while (end < paragraph->len) {
                end += str_find(str_slice(*paragraph, end, paragraph->len), '\n');
                if (end + 1 >= paragraph->len ||
                    (paragraph->p[end + 1] != ' ' && paragraph->p[end + 1] != '\t'))
                        break;
                end++;
        }

        struct str value = str_trim(str_slice(*paragraph, 0, end), blanks);

        *paragraph = str_slice(*paragraph, end < paragraph->len ? end + 1 : end, paragraph->len);
        return value;
}

static bool is_installed(struct str status)
{
        /* "WANT FLAG STATE"; a package whose triggers are still to run is complete as far as files go. */
        struct str rest = status;

        str_cut(&rest, ' ');
        str_cut(&rest, ' ');
        return str_eq(rest, STR("installed")) || str_eq(rest, STR("triggers-pending")) ||
               str_eq(rest, STR("triggers-awaited"));
}

/* Reads a paragraph; false when it is not an installed package. */
static bool parse_paragraph(struct str paragraph, struct dpkg_package *ret)
{
        struct str status = {"", 0};
        struct dpkg_package package = {.name = status,
                                       .version = status,
                                       .architecture = status,
                                       .depends = status,
                                       .pre_depends = status,
                                       .provides = status};
        const struct {
                struct str name;
                struct str *value;
        } fields[] = {
                {STR("Package"), &package.name},
                {STR("Version"), &package.version},
                {STR("Architecture"), &package.architecture},
                {STR("Depends"), &package.depends},
                {STR("Pre-Depends"), &package.pre_depends},
                {STR("Provides"), &package.provides},
                {STR("Status"), &status},
        };

        while (paragraph.len > 0) {
                struct str line = str_slice(paragraph, 0, str_find(paragraph, '\n'));
                struct str name = str_slice(line, 0, str_find(line, ':'));

                paragraph =
                        str_slice(paragraph, name.len < line.len ? name.len + 1 : name.len, paragraph.len);

                struct str value = field_value(&paragraph);

                for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
                        if (str_eq_nocase(name, fields[i].name))
                                *fields[i].value = value;
        }
        if (package.name.len == 0 || !is_installed(status))
                return false;
        *ret = package;
        return true;
}

static int by_name(const void *a, const void *b)
{
        const struct dpkg_package *left = a, *right = b;
        int order = str_compare(left->name, right->name);

        return order != 0 ? order : str_compare(left->architecture, right->architecture);
}

static int by_provided(const void *a, const void *b)
{
        const struct dpkg_provide *left = a, *right = b;
        int order = str_compare(left->name, right->name);

        return order != 0 ? order : (left->package > right->package) - (left->package < right->package);
}

static enum err_code parse_packages(struct dpkg *dpkg, struct err *err)
{
        struct str rest = {dpkg->status.data, dpkg->status.len};

        while (rest.len > 0) {
                size_t end = 0;
                struct dpkg_package package;

                /* A paragraph ends at an empty line. */
                while (end < rest.len &&
                       !(rest.p[end] == '\n' && (end + 1 == rest.len || rest.p[end + 1] == '\n')))
                        end++;
                if (parse_paragraph(str_slice(rest, 0, end), &package)) {
                        struct dpkg_package *slot =
                                array_add((void **)&dpkg->packages, &dpkg->package_count, sizeof(package));

                        if (slot == NULL)
                                return err_nomem(err);
                        *slot = package;
                }
                rest = str_slice(rest, end, rest.len);
                while (rest.len > 0 && rest.p[0] == '\n')
                        rest = str_slice(rest, 1, rest.len);
        }
        if (dpkg->package_count > 0)
                qsort(dpkg->packages, dpkg->package_count, sizeof(*dpkg->packages), by_name);
        return ERR_OK;
}

static enum err_code parse_provides(struct dpkg *dpkg, struct err *err)
{
        for (size_t i = 0; i < dpkg->package_count; i++) {
                struct str rest = dpkg->packages[i].provides, relation;

                while ((relation = dpkg_relation_next(&rest)).len > 0) {
                        struct str name = dpkg_alternative_next(&relation);
                        struct dpkg_provide *slot;

                        if (name.len == 0)
                                continue;
                        slot = array_add((void **)&dpkg->provides, &dpkg->provide_count, sizeof(*slot));
                        if (slot == NULL)
                                return err_nomem(err);
                        *slot = (struct dpkg_provide){str_cut(&name, ':'), i};
                }
        }
        if (dpkg->provide_count > 0)
                qsort(dpkg->provides, dpkg->provide_count, sizeof(*dpkg->provides), by_provided);
        return ERR_OK;
}

/* Three lines each: from, to, by whom. */
static enum err_code parse_diversions(struct dpkg *dpkg, struct err *err)
{
        struct str rest = {dpkg->diverted.data, dpkg->diverted.len};

        while (rest.len > 0) {
                struct dpkg_diversion diversion = {.from = str_cut(&rest, '\n')};
                struct dpkg_diversion *slot;

                diversion.to = str_cut(&rest, '\n');
                diversion.package = str_cut(&rest, '\n');
                if (diversion.package.len == 0)
                        return err_set(err, ERR_CORRUPT, "dpkg's list of diversions is cut off");
                slot = array_add((void **)&dpkg->diversions, &dpkg->diversion_count, sizeof(*slot));
                if (slot == NULL)
                        return err_nomem(err);
                *slot = diversion;
        }
        return ERR_OK;
}

/* dpkg writes its own architecture nowhere; but dpkg itself, or the C library, is of it. */
static struct str own_architecture(const struct dpkg *dpkg)
{
        static const struct str witnesses[] = {STR_INIT("dpkg"), STR_INIT("libc6")};

        for (size_t w = 0; w < sizeof(witnesses) / sizeof(witnesses[0]); w++)
                for (size_t i = 0; i < dpkg->package_count; i++)
                        if (str_eq(dpkg->packages[i].name, witnesses[w]))
                                return dpkg->packages[i].architecture;
        return STR("");
}

enum err_code dpkg_parse(struct buf *status, struct buf *diversions, struct dpkg *ret, struct err *err)
{
        struct dpkg dpkg = {0};
        enum err_code code;

        buf_init(&dpkg.status, status->max);
        buf_init(&dpkg.diverted, diversions->max);
        buf_move(&dpkg.status, status);
        buf_move(&dpkg.diverted, diversions);
        code = parse_packages(&dpkg, err);
        if (code == ERR_OK)
                code = parse_provides(&dpkg, err);
        if (code == ERR_OK)
                code = parse_diversions(&dpkg, err);
        if (code != ERR_OK) {
                dpkg_finish(&dpkg);
                return code;
        }
        dpkg.architecture = own_architecture(&dpkg);
        *ret = dpkg;
        return ERR_OK;
}

enum err_code dpkg_load(int admin_fd, struct dpkg *ret, struct err *err)
{
        own_buf struct buf status, diversions;
        enum err_code code;

        buf_init(&status, DPKG_STATUS_MAX);
        buf_init(&diversions, DPKG_LIST_MAX);
        code = dpkg_read_file(admin_fd, "status", &status, err);
        if (code != ERR_OK)
                return code;
        code = dpkg_read_file(admin_fd, "diversions", &diversions, err);
        if (code != ERR_OK && code != ERR_NOT_FOUND)
                return code;
        return dpkg_parse(&status, &diversions, ret, err);
}

void dpkg_finish(struct dpkg *dpkg)
{
        free(dpkg->packages);
        free(dpkg->provides);
        free(dpkg->diversions);
        buf_finish(&dpkg->status);
        buf_finish(&dpkg->diverted);
        *dpkg = (struct dpkg){0};
}

/* How well a package's architecture suits: 0 not at all. */
static int suits(const struct dpkg *dpkg, const struct dpkg_package *package, struct str wanted)
{
        bool own = str_eq(package->architecture, dpkg->architecture) ||
                   str_eq(package->architecture, STR("all"));

        if (wanted.len == 0 || str_eq(wanted, STR("any")) || str_eq(wanted, STR("native")))
                return own ? 2 : 1;
        if (str_eq(package->architecture, wanted))
                return 2;
        return str_eq(package->architecture, STR("all")) ? 1 : 0;
}

ptrdiff_t dpkg_find(const struct dpkg *dpkg, struct str qualified)
{
        struct str wanted = qualified;
        struct str name = str_cut(&wanted, ':');
        size_t low = 0, high = dpkg->package_count;
        ptrdiff_t found = -1;
        int best = 0;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (str_compare(dpkg->packages[middle].name, name) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        for (; low < dpkg->package_count && str_eq(dpkg->packages[low].name, name); low++) {
                int score = suits(dpkg, &dpkg->packages[low], wanted);

                if (score > best) {
                        best = score;
                        found = (ptrdiff_t)low;
                }
        }
        return found;
}

size_t dpkg_providers(const struct dpkg *dpkg, struct str name, size_t *ret_first)
{
        size_t low = 0, high = dpkg->provide_count, end;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (str_compare(dpkg->provides[middle].name, name) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        for (end = low; end < dpkg->provide_count && str_eq(dpkg->provides[end].name, name);)
                end++;
        *ret_first = low;
        return end - low;
}

struct str dpkg_relation_next(struct str *rest)
{
        struct str relation = {"", 0};

        while (rest->len > 0 && relation.len == 0)
                relation = str_trim(str_cut(rest, ','), blanks);
        return relation;
}

struct str dpkg_alternative_next(struct str *rest)
{
        struct str name = {"", 0};

        while (rest->len > 0 && name.len == 0) {
                struct str alternative = str_trim(str_cut(rest, '|'), blanks);
                size_t len = 0;

                while (len < alternative.len && strchr(" \t\r\n([<", alternative.p[len]) == NULL)
                        len++;
                name = str_slice(alternative, 0, len);
        }
        return name;
}

enum err_code dpkg_files(int admin_fd, const struct dpkg_package *package, struct buf *ret, struct err *err)
{
        char name[512];
        enum err_code code;

        snprintf(name, sizeof(name), "info/%.*s.list", STR_ARG(package->name));
        code = dpkg_read_file(admin_fd, name, ret, err);
        if (code != ERR_NOT_FOUND)
                return code;
        /* Of a package that can be there for several architectures (Multi-Arch: same). */
        snprintf(name, sizeof(name), "info/%.*s:%.*s.list", STR_ARG(package->name),
                 STR_ARG(package->architecture));
        return dpkg_read_file(admin_fd, name, ret, err);
}

const struct dpkg_diversion *dpkg_diverted(const struct dpkg *dpkg, const struct dpkg_package *package,
                                           struct str path)
{
        for (size_t i = 0; i < dpkg->diversion_count; i++) {
                const struct dpkg_diversion *diversion = &dpkg->diversions[i];

                if (str_eq(diversion->from, path) && !str_eq(diversion->package, package->name))
                        return diversion;
        }
        return NULL;
}
