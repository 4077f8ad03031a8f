/* build/system.c: apt-get's arguments, its errors, and what is cleaned up behind it. */
#include "build/system.h"

#include "base/own.h"
#include "build/catalogue.h"
#include "build/tool.h"
#include "image/deb_name.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { WHY_MAX = 360, ARGS_MAX = SYSTEM_PACKAGES_MAX + 40, LISTING_MAX = 8 << 20, TREE_FDS = 32 };

/* Lists and archives have folders of their own, which go as a whole: those of the image stay as they are. */
#define LISTS    "/var/lib/apt/dispatch-lists"
#define ARCHIVES "/var/cache/apt/dispatch-archives"

#define ORIGINS_FOLDER "/usr/share/dispatch"
#define ORIGINS        "/" CATALOGUE_ORIGINS

static const char policy_path[] = "/usr/sbin/policy-rc.d";
static const char policy[] = "#!/bin/sh\nexit 101\n"; /* no service is started in an image */

static const char *const environment[] = {
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME=/root",
        "TMPDIR=/tmp",
        "LC_ALL=C.UTF-8",
        "DEBIAN_FRONTEND=noninteractive",
        "DEBCONF_NONINTERACTIVE_SEEN=true",
        "SOURCE_DATE_EPOCH=315532800", /* spawn/flatten.h */
        NULL,
};

/* NOLINTBEGIN(bugprone-suspicious-missing-comma): two folders are names of their own. */
static const char *const apt_arguments[] = {
        "apt-get",
        "--quiet=1",
        "--yes",
        "--no-install-recommends",
        "-oAPT::Sandbox::User=root",
        "-oAPT::Update::Error-Mode=any",
        "-oAcquire::Retries=3",
        "-oAcquire::Languages=none",
        "-oAcquire::http::Timeout=30",
        "-oAcquire::https::Timeout=30",
        "-oDir::State::lists=" LISTS,
        "-oDir::Cache::archives=" ARCHIVES,
        "-oDir::Cache::pkgcache=",
        "-oDir::Cache::srcpkgcache=",
        "-oDir::Log=/tmp",
        "-oDpkg::Use-Pty=0",
        "-oDpkg::Options::=--force-confold",
        "-oDpkg::Options::=--force-unsafe-io",
        "-oDpkg::Options::=--log=/dev/null",
};
/* NOLINTEND(bugprone-suspicious-missing-comma) */

struct system {
        void (*say)(void *arg, char type, struct str text);
        void *arg;
        char why[WHY_MAX];  /* apt's own error */
        bool unreachable;   /* and it was the network's */
        struct buf *output; /* of a command whose standard output is wanted */
        time_t begun;
};

static void said(struct system *system, struct str line)
{
        struct str text = str_trim(line, " ");

        if (!str_starts(text, STR("E:")) && !str_starts(text, STR("dpkg: error")))
                return;
        if (str_starts(text, STR("E:")))
                text = str_trim(str_slice(text, 2, text.len), " ");
        if (str_starts(text, STR("Failed to fetch")) || str_starts(text, STR("Some index files failed")) ||
            str_starts(text, STR("Unable to fetch")))
                system->unreachable = true;
        size_t used = strlen(system->why);
        snprintf(system->why + used, sizeof(system->why) - used, "%s%.*s", used > 0 ? "; " : "",
                 STR_ARG(text));
}

static void on_line(void *arg, struct str line)
{
        struct system *system = arg;

        said(system, line);
        system->say(system->arg, 'L', line);
}

static enum err_code on_output(void *arg, const void *bytes, size_t len, struct err *err)
{
        const struct system *system = arg;

        return buf_append(system->output, bytes, len) == ERR_OK
                       ? ERR_OK
                       : err_set(err, ERR_TOO_LARGE, "the list of packages is too long");
}

static enum err_code run(struct system *system, const char *const *argv, struct buf *output, int *status,
                         struct err *err)
{
        struct tool tool = {.argv = argv,
                            .environment = environment,
                            .data = output != NULL ? on_output : NULL,
                            .line = on_line,
                            .arg = system};

        system->output = output;
        return tool_run(&tool, status, err);
}

/* apt-get VERB PACKAGE... */
static enum err_code apt(struct system *system, const char *const *verb, char *const *packages,
                         struct buf *output, struct err *err)
{
        const char *argv[ARGS_MAX];
        size_t count = 0;
        int status = 0;

        for (size_t i = 0; i < sizeof(apt_arguments) / sizeof(apt_arguments[0]); i++)
                argv[count++] = apt_arguments[i];
        for (; *verb != NULL; verb++)
                argv[count++] = *verb;
        for (; packages != NULL && *packages != NULL; packages++)
                argv[count++] = *packages;
        argv[count] = NULL;
        enum err_code code = run(system, argv, output, &status, err);
        if (code != ERR_OK || status == 0)
                return code;
        if (system->why[0] == '\0')
                snprintf(system->why, sizeof(system->why), "status %d without an error", status);
        return err_set(err, system->unreachable ? ERR_UNAVAILABLE : ERR_UNPROCESSABLE, "apt-get: %s",
                       system->why);
}

static enum err_code installed(struct system *system, struct buf *out, struct err *err)
{
        static const char *const argv[] = {
                "dpkg-query", "--show", "--showformat",
                "${db:Status-Abbrev}\\t${Package}\\t${Version}\\t${Architecture}\\n", NULL};
        int status = 0;
        enum err_code code = run(system, argv, out, &status, err);

        if (code == ERR_OK && status != 0)
                return err_set(err, ERR_UNPROCESSABLE, "dpkg-query ended with status %d", status);
        return code;
}

/* What changed since the build began goes; what the image had stays. */
static void remove_new(const struct system *system, const char *path)
{
        struct stat status;

        if (lstat(path, &status) == 0 && !S_ISDIR(status.st_mode) && status.st_mtime >= system->begun)
                (void)unlink(path);
}

static time_t removed_from; /* nftw has no argument for its caller */

static int on_new(const char *path, const struct stat *status, int type, struct FTW *where)
{
        (void)where;
        if (type != FTW_D && type != FTW_DP && status->st_mtime >= removed_from)
                (void)unlink(path);
        return 0;
}

static int on_any(const char *path, const struct stat *status, int type, struct FTW *where)
{
        (void)status;
        (void)type;
        (void)where;
        (void)remove(path);
        return 0;
}

static void clean(const struct system *system, bool policy_made)
{
        static const char *const files[] = {
                "/etc/passwd-",
                "/etc/group-",
                "/etc/shadow-",
                "/etc/gshadow-",
                "/etc/subuid-",
                "/etc/subgid-",
                "/etc/.pwd.lock",
                "/var/cache/ldconfig/aux-cache",
                "/var/lib/dpkg/status-old",
                "/var/lib/dpkg/diversions-old",
                "/var/lib/dpkg/statoverride-old",
                "/var/lib/dpkg/lock",
                "/var/lib/dpkg/lock-frontend",
                "/var/lib/dpkg/triggers/Lock",
                "/var/cache/debconf/config.dat-old",
                "/var/cache/debconf/templates.dat-old",
                "/var/cache/apt/pkgcache.bin",
                "/var/cache/apt/srcpkgcache.bin",
                "/etc/machine-id",
                "/var/lib/dbus/machine-id",
        };

        for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
                remove_new(system, files[i]);
        if (policy_made)
                (void)unlink(policy_path);
        removed_from = system->begun;
        (void)nftw("/var/log", on_new, TREE_FDS, FTW_PHYS);
        (void)nftw(LISTS, on_any, TREE_FDS, FTW_PHYS | FTW_DEPTH);
        (void)nftw(ARCHIVES, on_any, TREE_FDS, FTW_PHYS | FTW_DEPTH);
}

/* Everything but this process and the sandbox's init, which reaps, until there is none. */
static void others_kill(void)
{
        while (kill(-1, SIGKILL) == 0) {
                (void)waitpid(-1, NULL, WNOHANG);
                (void)sched_yield();
        }
}

static bool policy_make(void)
{
        own_fd int fd = open(policy_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

        return fd >= 0 && write(fd, policy, sizeof(policy) - 1) > 0 && fchmod(fd, 0755) == 0;
}

/*
 * Behind what an earlier build has noted: a package's last line counts. The image is a stranger's, so what is
 * there may be anything; what is too long already begins anew.
 */
static enum err_code origins_note(const struct buf *origins, struct err *err)
{
        struct stat status;

        if ((mkdir("/usr/share", 0755) < 0 && errno != EEXIST) ||
            (mkdir(ORIGINS_FOLDER, 0755) < 0 && errno != EEXIST))
                return err_disk(err, "make the folder of the origins of packages");
        if (lstat(ORIGINS, &status) == 0 &&
            (!S_ISREG(status.st_mode) || status.st_size < 0 ||
             (uint64_t)status.st_size + origins->len > CATALOGUE_ORIGINS_MAX) &&
            unlink(ORIGINS) < 0)
                return err_disk(err, "replace the list of the origins of packages");
        own_fd int fd = open(ORIGINS, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0 || fchmod(fd, 0644) < 0)
                return err_disk(err, "open the list of the origins of packages");
        for (size_t done = 0; done < origins->len;) {
                ssize_t wrote = write(fd, origins->data + done, origins->len - done);
                if (wrote < 0 && errno == EINTR)
                        continue;
                if (wrote < 0)
                        return err_disk(err, "write the list of the origins of packages");
                done += (size_t)wrote;
        }
        return ERR_OK;
}

static enum err_code image_check(struct err *err)
{
        if (access("/usr/bin/apt-get", X_OK) < 0 || access("/usr/bin/dpkg", X_OK) < 0)
                return err_set(err, ERR_UNPROCESSABLE,
                               "the base image has no apt-get: system dependencies are packages of Debian or "
                               "Ubuntu, and need a base image of one of them");
        return ERR_OK;
}

static enum err_code packages_split(char *input, char *packages[SYSTEM_PACKAGES_MAX + 1], struct err *err)
{
        size_t count = 0;
        char *rest = input;

        for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
                if (line[0] == '\0')
                        continue;
                if (count == SYSTEM_PACKAGES_MAX)
                        return err_set(err, ERR_INVALID, "more than %d system dependencies",
                                       SYSTEM_PACKAGES_MAX);
                if (!deb_name_valid(str_of(line)))
                        return err_set(err, ERR_INVALID, "'%.80s' is no package of Debian", line);
                packages[count++] = line;
        }
        packages[count] = NULL;
        return count > 0 ? ERR_OK : err_set(err, ERR_INVALID, "no system dependencies");
}

static enum err_code steps(struct system *system, char *const *packages, struct buf *uris, struct err *err)
{
        static const char *const update[] = {"update", NULL},
                                 *const list[] = {"install", "--print-uris", NULL},
                                 *const install[] = {"install", NULL};

        system->say(system->arg, 'P', STR("1/3 reading the lists of packages"));
        enum err_code code = apt(system, update, NULL, NULL, err);
        if (code == ERR_OK)
                code = apt(system, list, packages, uris, err);
        if (code != ERR_OK)
                return code;
        system->say(system->arg, 'P', STR("2/3 installing packages"));
        return apt(system, install, packages, NULL, err);
}

static enum err_code install(struct system *system, char *const *packages, struct buf *catalogue,
                             struct err *err)
{
        own_buf struct buf before = {.max = LISTING_MAX}, after = {.max = LISTING_MAX},
                           uris = {.max = LISTING_MAX}, origins = {.max = CATALOGUE_ORIGINS_MAX};
        enum err_code code = installed(system, &before, err);

        if (code != ERR_OK)
                return code;
        if ((mkdir(LISTS, 0755) < 0 && errno != EEXIST) || (mkdir(ARCHIVES, 0755) < 0 && errno != EEXIST))
                return err_disk(err, "make the folders of apt");
        bool policy_made = policy_make();
        code = steps(system, packages, &uris, err);
        others_kill();
        if (code == ERR_OK)
                code = installed(system, &after, err);
        clean(system, policy_made);
        system->say(system->arg, 'P', STR("3/3 making the layer"));
        if (code == ERR_OK)
                code = system_catalogue((struct str){before.data, before.len},
                                        (struct str){after.data, after.len},
                                        (struct str){uris.data, uris.len}, catalogue, &origins, err);
        return code == ERR_OK && origins.len > 0 ? origins_note(&origins, err) : code;
}

enum err_code system_install(struct str input, void (*say)(void *arg, char type, struct str text), void *arg,
                             struct err *err)
{
        struct system system = {.say = say, .arg = arg, .begun = time(NULL)};
        own_mem char *copy = strndup(input.p != NULL ? input.p : "", input.len);
        own_mem char **packages = calloc(SYSTEM_PACKAGES_MAX + 1, sizeof(*packages));
        own_buf struct buf catalogue = {.max = SYSTEM_CATALOGUE_MAX};

        if (copy == NULL || packages == NULL)
                return err_nomem(err);
        enum err_code code = packages_split(copy, packages, err);
        if (code == ERR_OK)
                code = image_check(err);
        if (code == ERR_OK)
                code = install(&system, packages, &catalogue, err);
        if (code == ERR_OK)
                say(arg, 'R', (struct str){catalogue.data, catalogue.len});
        return code;
}
