/* build/builtin.c: from a manifest's packages to the root of an image. */
#include "build/builtin.h"

#include "base/buf.h"
#include "base/own.h"
#include "build/alternatives.h"
#include "build/catalogue.h"
#include "build/closure.h"
#include "build/dpkg.h"
#include "build/image.h"
#include "build/ldcache.h"
#include "build/skeleton.h"
#include "build/tools.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* What a function has no use for, or must not see. A path that starts with one is left out; the longest
 * prefix that fits decides. /etc is the host's own business but for what programs look things up in. */
static const struct {
        struct str prefix;
        bool wanted;
} rules[] = {
        {STR_INIT("/"), true},
        {STR_INIT("/boot/"), false},
        {STR_INIT("/dev/"), false},
        {STR_INIT("/etc/"), false},
        {STR_INIT("/etc/ca-certificates.conf"), true},
        {STR_INIT("/etc/debian_version"), true},
        {STR_INIT("/etc/ethertypes"), true},
        {STR_INIT("/etc/gai.conf"), true},
        {STR_INIT("/etc/java"), true},
        {STR_INIT("/etc/ld.so.conf.d/"), true},
        {STR_INIT("/etc/lsb-release"), true},
        {STR_INIT("/etc/mime.types"), true},
        {STR_INIT("/etc/netconfig"), true},
        {STR_INIT("/etc/os-release"), true},
        {STR_INIT("/etc/protocols"), true},
        {STR_INIT("/etc/python"), true},
        {STR_INIT("/etc/rpc"), true},
        {STR_INIT("/etc/services"), true},
        {STR_INIT("/etc/ssl/openssl.cnf"), true},
        {STR_INIT("/etc/terminfo/"), true},
        {STR_INIT("/home/"), false},
        {STR_INIT("/lib/systemd/"), false},
        {STR_INIT("/lib/udev/"), false},
        {STR_INIT("/proc/"), false},
        {STR_INIT("/root/"), false},
        {STR_INIT("/run/"), false},
        {STR_INIT("/sys/"), false},
        {STR_INIT("/tmp/"), false},
        {STR_INIT("/usr/include/"), false},
        {STR_INIT("/usr/lib/systemd/"), false},
        {STR_INIT("/usr/lib/udev/"), false},
        {STR_INIT("/usr/local/"), false},
        {STR_INIT("/usr/share/applications/"), false},
        {STR_INIT("/usr/share/apport/"), false},
        {STR_INIT("/usr/share/base-files/"), false},
        {STR_INIT("/usr/share/bash-completion/"), false},
        {STR_INIT("/usr/share/bug/"), false},
        {STR_INIT("/usr/share/debconf/"), false},
        {STR_INIT("/usr/share/doc/"), false},
        {STR_INIT("/usr/share/doc-base/"), false},
        {STR_INIT("/usr/share/gdb/"), false},
        {STR_INIT("/usr/share/icons/"), false},
        {STR_INIT("/usr/share/info/"), false},
        {STR_INIT("/usr/share/lintian/"), false},
        {STR_INIT("/usr/share/locale/"), false},
        {STR_INIT("/usr/share/man/"), false},
        {STR_INIT("/usr/share/menu/"), false},
        {STR_INIT("/usr/share/pixmaps/"), false},
        {STR_INIT("/usr/share/zoneinfo/posix/"), false},
        {STR_INIT("/usr/share/zoneinfo/right/"), false},
        {STR_INIT("/var/"), false},
};

enum { NOTES_MAX = 4 << 20 };

struct builtin {
        struct image image;
        struct dpkg dpkg;
        struct closure closure;
        int admin_fd;      /* /var/lib/dpkg */
        char bytecode[32]; /* what the interpreter puts into the names of its bytecode files; "": no Python */
};

static void builtin_finish(struct builtin *builtin)
{
        closure_finish(&builtin->closure);
        dpkg_finish(&builtin->dpkg);
        own_fd_release(&builtin->admin_fd);
}

/* A JDK's modules as files for jlink(1), which makes JDKs: a quarter of its size. */
static bool is_jmod(struct str path)
{
        static const char folder[] = "/jmods/";

        return str_starts(path, STR("/usr/lib/jvm/")) &&
               memmem(path.p, path.len, folder, sizeof(folder) - 1) != NULL;
}

static bool is_wanted(struct str path)
{
        size_t longest = 0;
        bool wanted = false;

        if (is_jmod(path))
                return false;
        for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
                if (rules[i].prefix.len < longest || !str_starts(path, rules[i].prefix))
                        continue;
                longest = rules[i].prefix.len;
                wanted = rules[i].wanted;
        }
        return wanted;
}

/* "python3.11" behind /usr/bin/python3 means "cpython-311" (PEP 3147). */
static void find_bytecode_tag(struct builtin *builtin)
{
        char target[64];
        unsigned major, minor;
        ssize_t len = readlinkat(builtin->image.host_fd, "usr/bin/python3", target, sizeof(target) - 1);
        const char *name;

        if (len < 0)
                return;
        target[len] = '\0';
        name = strrchr(target, '/') != NULL ? strrchr(target, '/') + 1 : target;
        if (sscanf(name, "python%u.%u", &major, &minor) == 2)
                snprintf(builtin->bytecode, sizeof(builtin->bytecode), "cpython-%u%u", major, minor);
}

static uint32_t little_endian(const unsigned char *p)
{
        return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Is this bytecode of that source? PEP 552: magic, flags, then time and size, or (flag 1) a hash. */
static bool bytecode_fits(int host_fd, const char *path, const struct stat *source)
{
        unsigned char head[16];
        own_fd int fd = openat(host_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0 || read(fd, head, sizeof(head)) != (ssize_t)sizeof(head))
                return false;
        if ((little_endian(head + 4) & 1) != 0)
                return true;
        return little_endian(head + 8) == (uint32_t)source->st_mtim.tv_sec &&
               little_endian(head + 12) == (uint32_t)source->st_size;
}

/* Bytecode is made by the scripts of packages and listed nowhere; without it each start compiles all that it
 * imports. `path` is a source file of the host that has been copied. */
static enum err_code copy_bytecode(struct builtin *builtin, const char *path, struct err *err)
{
        const char *slash = strrchr(path, '/');
        size_t len = strlen(path);
        char bytecode[PATH_MAX];
        struct stat source;

        if (builtin->bytecode[0] == '\0' || len < 4 || strcmp(path + len - 3, ".py") != 0)
                return ERR_OK;
        if (snprintf(bytecode, sizeof(bytecode), "%.*s/__pycache__%.*s.%s.pyc", (int)(slash - path), path,
                     (int)(path + len - 3 - slash), slash, builtin->bytecode) >= (int)sizeof(bytecode))
                return ERR_OK;
        if (fstatat(builtin->image.host_fd, path + 1, &source, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(source.st_mode))
                return ERR_OK;
        if (!bytecode_fits(builtin->image.host_fd, bytecode + 1, &source))
                return ERR_OK;
        return image_copy(&builtin->image, bytecode, bytecode, err);
}

/* One path of a package's list. A file that somebody diverted lies elsewhere on the host; in the image it
 * lies there only if the package that diverts it is in the image too. */
static enum err_code copy_path(struct builtin *builtin, const struct dpkg_package *package, struct str path,
                               struct err *err)
{
        const struct dpkg_diversion *diversion = dpkg_diverted(&builtin->dpkg, package, path);
        char from[PATH_MAX], to[PATH_MAX];
        enum err_code code;

        if (path.len == 0 || path.len >= PATH_MAX || path.p[0] != '/' || !is_wanted(path))
                return ERR_OK;
        snprintf(from, sizeof(from), "%.*s", STR_ARG(path));
        snprintf(to, sizeof(to), "%.*s", STR_ARG(path));
        if (diversion != NULL && diversion->to.len < PATH_MAX) {
                ptrdiff_t diverter = dpkg_find(&builtin->dpkg, diversion->package);

                snprintf(from, sizeof(from), "%.*s", STR_ARG(diversion->to));
                if (diverter >= 0 && builtin->closure.chosen[diverter])
                        snprintf(to, sizeof(to), "%.*s", STR_ARG(diversion->to));
        }
        code = image_copy(&builtin->image, from, to, err);
        if (code == ERR_OK)
                code = copy_bytecode(builtin, from, err);
        return code;
}

static enum err_code copy_package(struct builtin *builtin, const struct dpkg_package *package,
                                  struct err *err)
{
        own_buf struct buf list;
        struct str rest;
        enum err_code code;

        buf_init(&list, DPKG_LIST_MAX);
        code = dpkg_files(builtin->admin_fd, package, &list, err);
        if (code == ERR_NOT_FOUND)
                return err_set(err, ERR_UNAVAILABLE, "package %.*s has no list of files",
                               STR_ARG(package->name));
        rest = (struct str){list.data, list.len};
        while (code == ERR_OK && rest.len > 0)
                code = copy_path(builtin, package, str_cut(&rest, '\n'), err);
        return code == ERR_OK ? code : err_wrap(err, code, "package %.*s", STR_ARG(package->name));
}

static enum err_code copy_packages(struct builtin *builtin, struct err *err)
{
        enum err_code code = ERR_OK;

        for (size_t i = 0; code == ERR_OK && i < builtin->dpkg.package_count; i++)
                if (builtin->closure.chosen[i])
                        code = copy_package(builtin, &builtin->dpkg.packages[i], err);
        return code;
}

static enum err_code open_database(struct builtin *builtin, struct err *err)
{
        static const char no_dpkg[] =
                "built-in base images are made of the host's Debian packages, and this host has "
                "none: they need Debian or Ubuntu";
        enum err_code code;

        builtin->admin_fd =
                openat(builtin->image.host_fd, "var/lib/dpkg", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (builtin->admin_fd < 0 && errno == ENOENT)
                return err_set(err, ERR_UNAVAILABLE, "%s", no_dpkg);
        if (builtin->admin_fd < 0)
                return err_sys(err, "open dpkg's database");
        code = dpkg_load(builtin->admin_fd, &builtin->dpkg, err);
        if (code == ERR_NOT_FOUND || (code == ERR_OK && builtin->dpkg.package_count == 0))
                return err_set(err, ERR_UNAVAILABLE, "%s", no_dpkg);
        return code;
}

static enum err_code choose_packages(struct builtin *builtin, const struct runtime *runtime, struct err *err)
{
        enum err_code code;

        if (runtime->packages[0] == '\0')
                return err_set(err, ERR_UNAVAILABLE,
                               "no built-in base image for %s: its manifest names no packages",
                               runtime->language);
        code = closure_init(&builtin->closure, &builtin->dpkg, err);
        if (code == ERR_OK)
                code = closure_add(&builtin->closure, str_of(runtime->packages), false, err);
        if (code == ERR_OK)
                code = closure_add(&builtin->closure, str_of(runtime->packages_optional), true, err);
        return code;
}

/* What the image is made of, in the form of dpkg's own list, for whoever looks (build/catalogue.h). */
static enum err_code note_packages(struct builtin *builtin, struct err *err)
{
        own_buf struct buf text = {.max = NOTES_MAX};
        enum err_code code = ERR_OK;

        for (size_t i = 0; code == ERR_OK && i < builtin->dpkg.package_count; i++) {
                const struct dpkg_package *package = &builtin->dpkg.packages[i];

                if (builtin->closure.chosen[i])
                        code = buf_printf(&text,
                                          "Package: %.*s\nStatus: install ok installed\nArchitecture: %.*s\n"
                                          "Version: %.*s\n\n",
                                          STR_ARG(package->name), STR_ARG(package->architecture),
                                          STR_ARG(package->version));
        }
        if (code != ERR_OK)
                return err_set(err, code, "write the list of packages");
        return image_write(&builtin->image, "/" CATALOGUE_BUILTIN, (struct str){text.data, text.len}, err);
}

static enum err_code fill(struct builtin *builtin, struct err *err)
{
        enum err_code code = copy_packages(builtin, err);

        if (code == ERR_OK)
                code = note_packages(builtin, err);
        if (code == ERR_OK)
                code = skeleton_write(&builtin->image, err);
        if (code == ERR_OK)
                code = image_merge(&builtin->image, err);
        /* These look at what is there, through the merged links. */
        if (code == ERR_OK)
                code = skeleton_certificates(&builtin->image, err);
        if (code == ERR_OK)
                code = alternatives_link(&builtin->image, builtin->admin_fd, err);
        if (code == ERR_OK)
                code = ldcache_write(&builtin->image, err);
        return code;
}

static void note_version(const struct builtin *builtin, const struct runtime *runtime,
                         struct builtin_result *ret)
{
        struct str rest = str_of(runtime->packages);
        struct str relation = dpkg_relation_next(&rest), name;
        ptrdiff_t found = -1;

        while (found < 0 && (name = dpkg_alternative_next(&relation)).len > 0)
                found = dpkg_find(&builtin->dpkg, name);
        if (found >= 0)
                snprintf(ret->version, sizeof(ret->version), "%.*s",
                         STR_ARG(builtin->dpkg.packages[found].version));
}

/* dpkg replaces its status file with each step, so another one means that files changed under our hands. */
static enum err_code check_unchanged(const struct builtin *builtin, const struct stat *before,
                                     struct err *err)
{
        struct stat now;

        if (fstatat(builtin->admin_fd, "status", &now, 0) == 0 && now.st_ino == before->st_ino &&
            now.st_mtim.tv_sec == before->st_mtim.tv_sec && now.st_mtim.tv_nsec == before->st_mtim.tv_nsec)
                return ERR_OK;
        return err_set(err, ERR_UNAVAILABLE,
                       "the host's packages changed while the image was made: try again");
}

static enum err_code make(struct builtin *builtin, const struct runtime *runtime, struct builtin_result *ret,
                          struct err *err)
{
        struct stat before = {0};
        enum err_code code;

        (void)fstatat(builtin->image.host_fd, "var/lib/dpkg/status", &before, 0);
        code = open_database(builtin, err);
        if (code == ERR_OK)
                code = choose_packages(builtin, runtime, err);
        if (code != ERR_OK)
                return code;
        find_bytecode_tag(builtin);
        code = fill(builtin, err);
        if (code == ERR_OK)
                code = check_unchanged(builtin, &before, err);
        if (code != ERR_OK)
                return code;
        if (runtime->program[0] != '\0' && !image_has(&builtin->image, runtime->program))
                return err_set(err, ERR_UNAVAILABLE, "the host's packages did not bring '%s' into the image",
                               runtime->program);
        note_version(builtin, runtime, ret);
        ret->packages = builtin->closure.count;
        ret->unreadable = builtin->image.unreadable;
        return digest_tree(builtin->image.tree->root_fd, ret->digest, err);
}

static enum err_code make_tools(struct builtin *builtin, const struct runtime *runtime,
                                struct builtin_result *ret, struct err *err)
{
        struct stat before = {0};
        enum err_code code;

        if (runtime->tools[0] == '\0')
                return err_set(err, ERR_UNAVAILABLE, "the runtime of %s has no tools", runtime->language);
        (void)fstatat(builtin->image.host_fd, "var/lib/dpkg/status", &before, 0);
        code = open_database(builtin, err);
        if (code == ERR_OK)
                code = closure_init(&builtin->closure, &builtin->dpkg, err);
        if (code == ERR_OK)
                code = closure_add(&builtin->closure, str_of(runtime->tools), false, err);
        if (code == ERR_OK)
                code = tools_files(&builtin->image, str_of(runtime->tools_files), err);
        if (code == ERR_OK)
                code = tools_config(&builtin->image, str_of(runtime->tools_config), err);
        if (code == ERR_OK)
                code = check_unchanged(builtin, &before, err);
        return code == ERR_OK ? digest_tree(builtin->image.tree->root_fd, ret->digest, err) : code;
}

enum err_code builtin_tools(const struct runtime *runtime, int host_fd, struct tree *tree,
                            struct builtin_result *ret, struct err *err)
{
        __attribute__((cleanup(builtin_finish))) struct builtin builtin = {.admin_fd = -1};

        image_init(&builtin.image, host_fd, tree);
        return make_tools(&builtin, runtime, ret, err);
}

enum err_code builtin_make(const struct runtime *runtime, int host_fd, struct tree *tree,
                           struct builtin_result *ret, struct err *err)
{
        __attribute__((cleanup(builtin_finish))) struct builtin builtin = {.admin_fd = -1};

        image_init(&builtin.image, host_fd, tree);
        return make(&builtin, runtime, ret, err);
}
