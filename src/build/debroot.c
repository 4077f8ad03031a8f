/* build/debroot.c: how mmdebstrap is called, and how the time of a release is found. */
#include "build/debroot.h"

#include "base/own.h"
#include "build/dpkg.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ARGS_MAX = 40, RELEASE_MAX = 4 << 20 };

/* NOLINTBEGIN(bugprone-suspicious-missing-comma): the longest arguments are several literals.
 * What no function reads, and what one machine or one moment leaves. The folders of manual pages stay: some
 * packages put links there. Nothing of mmdebstrap's own in /tmp may go: without its apt.conf, its apt-get
 * would be the host's. */
static const char *const fixed_arguments[] = {
        "--variant=apt",
        "--skip=output/dev",
        "--dpkgopt=path-exclude=/usr/share/man/man[1-9]/*.gz",
        "--dpkgopt=path-exclude=/usr/share/man/[a-ln-z]*",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        "--dpkgopt=path-exclude=/usr/share/info/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        "--customize-hook=printf 'dispatch:x:1000:1000:Dispatch:/tmp:/usr/sbin/nologin\\n' "
        ">>\"$1/etc/passwd\" && printf 'dispatch:x:1000:\\n' >>\"$1/etc/group\"",
        "--customize-hook=cd \"$1\" && rm -rf etc/hostname etc/resolv.conf etc/machine-id etc/passwd- "
        "etc/group- "
        "etc/shadow- etc/gshadow- var/log/* var/cache/ldconfig/* var/cache/debconf/* var/cache/apt/*.bin "
        "var/lib/dpkg/*-old var/lib/systemd var/lib/dbus/machine-id",
        /* Java's store of certificates (JKS) has the moment of each in it, and the order of a table: no
         * moment, by name, and the checksum anew. Anything else under that name stays as it is. */
        "--customize-hook=perl -MDigest::SHA=sha1 -e '"
        "undef $/; open F, \"+<:raw\", $ARGV[0] or exit; $_ = <F>; ($m, $v, $n) = unpack "
        "\"N3\", $_; exit if $m != 0xfeedfeed || $v != 2; "
        "$s = join(\"\", map {\"\\0$_\"} split //, \"changeit\") . \"Mighty Aphrodite\"; "
        "exit if substr($_, -20) ne sha1($s . substr $_, 0, -20); "
        "for ($p = 12; $n--; $p = $q) { ($t, $a) = unpack \"Nn/a\", substr $_, $p; exit if "
        "$t != 2; $c = $p + 14 + length $a; "
        "($k, $x) = unpack \"n/aN/a\", substr $_, $c; $q = $c + 6 + length($k . $x); $e{$a} "
        "= pack(\"Nn/a*x8\", 2, $a) . substr $_, $c, $q - $c } "
        "$o = substr($_, 0, 12) . join \"\", map {$e{$_}} sort keys %e; exit if length($o) + "
        "20 != length; seek F, 0, 0; print F $o . sha1($s . $o)' \"$1/etc/ssl/certs/java/cacerts\"",
};
/* NOLINTEND(bugprone-suspicious-missing-comma) */

bool debroot_suite_valid(const char *suite)
{
        size_t len = strspn(suite, "abcdefghijklmnopqrstuvwxyz0123456789-");

        return len > 0 && len < DEBROOT_SUITE_MAX && suite[len] == '\0' && suite[0] >= 'a' && suite[0] <= 'z';
}

/* "name", or with `optional` a pattern that fits nothing where the suite has no such package. */
static enum err_code packages_add(struct str relations, bool optional, struct buf *out, struct err *err)
{
        struct str relation;

        while ((relation = dpkg_relation_next(&relations)).len > 0) {
                struct str name = dpkg_alternative_next(&relation);
                enum err_code code = buf_printf(out, optional ? "%s?exact-name(%.*s)" : "%s%.*s",
                                                out->len > 0 ? "," : "", STR_ARG(name));
                if (code != ERR_OK)
                        return err_nomem(err);
        }
        return ERR_OK;
}

enum err_code debroot_packages(const struct runtime *runtime, struct buf *out, struct err *err)
{
        enum err_code code = packages_add(str_of(runtime->packages), false, out, err);

        if (code == ERR_OK)
                code = packages_add(str_of(runtime->packages_optional), true, out, err);
        return code;
}

void debroot_why_line(struct debroot_why *why, struct str line)
{
        struct str said = str_trim(line, " ");

        if (!str_starts(said, STR("E:")) && !str_starts(said, STR("dpkg: error")))
                return;
        if (str_starts(said, STR("E:")))
                said = str_trim(str_slice(said, 2, said.len), " ");
        /* mmdebstrap's last line only says which of its children failed. */
        if (why->text[0] != '\0' &&
            (str_starts(said, STR("mmdebstrap")) || str_starts(said, STR("run_chroot")) ||
             str_starts(said, STR("setup failed")) || str_find(said, '/') == 0))
                return;
        size_t used = strlen(why->text);
        snprintf(why->text + used, sizeof(why->text) - used, "%s%.*s", used > 0 ? "; " : "", STR_ARG(said));
}

/* What is said goes on to the caller, the errors stay here too. */
struct made {
        const struct debroot *root;
        struct debroot_why why;
};

static void on_line(void *arg, struct str line)
{
        struct made *made = arg;

        debroot_why_line(&made->why, line);
        if (made->root->line != NULL)
                made->root->line(made->root->arg, line);
}

static enum err_code on_data(void *arg, const void *bytes, size_t len, struct err *err)
{
        struct made *made = arg;

        return made->root->data(made->root->arg, bytes, len, err);
}

static enum err_code on_tick(void *arg, struct err *err)
{
        struct made *made = arg;

        return made->root->tick(made->root->arg, err);
}

struct arguments {
        const char *items[ARGS_MAX + DEBROOT_SOURCES_MAX];
        size_t count;
};

static void add(struct arguments *arguments, const char *text)
{
        if (arguments->count + 1 < sizeof(arguments->items) / sizeof(arguments->items[0]))
                arguments->items[arguments->count++] = text;
}

static void arguments_fill(const struct debroot *root, const char *include, const char *keyring,
                           struct arguments *arguments)
{
        add(arguments, "mmdebstrap");
        for (size_t i = 0; i < sizeof(fixed_arguments) / sizeof(fixed_arguments[0]); i++)
                add(arguments, fixed_arguments[i]);
        if (root->folder != NULL) {
                add(arguments, "--mode=root");
                add(arguments, "--format=directory");
                add(arguments, "--skip=chroot/mount,check/empty,check/qemu,output/mknod");
                /* They are there, and not to be touched. */
                add(arguments, "--dpkgopt=path-exclude=/dev");
                add(arguments, "--dpkgopt=path-exclude=/proc");
        } else {
                add(arguments, "--format=tar");
        }
        add(arguments, include);
        if (root->keyring != NULL)
                add(arguments, keyring);
        add(arguments, root->suite);
        add(arguments, root->folder != NULL ? root->folder : "-");
        for (const char *const *mirror = root->mirrors; mirror != NULL && *mirror != NULL; mirror++)
                add(arguments, *mirror);
}

static enum err_code environment_set(uint64_t epoch, struct err *err)
{
        char text[24];

        snprintf(text, sizeof(text), "%llu", (unsigned long long)epoch);
        if (setenv("SOURCE_DATE_EPOCH", text, 1) < 0 || setenv("LC_ALL", "C.UTF-8", 1) < 0 ||
            setenv("DEBIAN_FRONTEND", "noninteractive", 1) < 0)
                return err_nomem(err);
        return ERR_OK;
}

enum err_code debroot_make(const struct debroot *root, struct err *err)
{
        struct arguments arguments = {.count = 0};
        struct made made = {.root = root};
        char include[RUNTIME_PACKAGES_MAX * 8], keyring[PATH_MAX + 16];
        int status = 0;

        if ((size_t)snprintf(include, sizeof(include), "--include=%s", root->packages) >= sizeof(include))
                return err_set(err, ERR_INVALID, "too many packages for one root");
        snprintf(keyring, sizeof(keyring), "--keyring=%s", root->keyring != NULL ? root->keyring : "");
        arguments_fill(root, include, keyring, &arguments);
        struct tool tool = {.argv = arguments.items,
                            .data = root->folder != NULL ? NULL : on_data,
                            .line = on_line,
                            .tick = root->tick != NULL ? on_tick : NULL,
                            .stop_signal = root->tick != NULL ? SIGTERM : 0,
                            .arg = &made};
        enum err_code code = environment_set(root->epoch, err);
        if (code == ERR_OK)
                code = tool_run(&tool, &status, err);
        if (code == ERR_NOT_FOUND)
                return err_set(err, ERR_UNAVAILABLE,
                               "mmdebstrap is not installed: apt-get install mmdebstrap");
        if (code == ERR_OK && status != 0)
                return err_set(err, ERR_UNAVAILABLE, "mmdebstrap: %s",
                               made.why.text[0] != '\0' ? made.why.text : "failed without saying why");
        return code;
}

bool debroot_date(struct str release, uint64_t *ret)
{
        struct str line;

        while (release.len > 0) {
                char text[64];
                struct tm when = {0};

                line = str_trim(str_cut(&release, '\n'), " \r");
                if (!str_starts(line, STR("Date: ")))
                        continue;
                snprintf(text, sizeof(text), "%.*s", STR_ARG(str_slice(line, 6, line.len)));
                const char *end = strptime(text, "%a, %d %b %Y %T", &when);
                time_t seconds = end != NULL ? timegm(&when) : -1;
                if (seconds < 0 ||
                    (strcmp(end, " UTC") != 0 && strcmp(end, " GMT") != 0 && strcmp(end, " +0000") != 0))
                        return false;
                *ret = (uint64_t)seconds;
                return true;
        }
        return false;
}

static void on_helper_line(void *arg, struct str line)
{
        debroot_why_line(arg, line);
}

/* apt's own downloader, for every kind of mirror that apt knows. */
static enum err_code release_read(const char *url, const char *path, struct buf *out, struct err *err)
{
        const char *argv[] = {"/usr/lib/apt/apt-helper",
                              "-oAPT::Sandbox::User=root",
                              "-oAcquire::Retries=2",
                              "download-file",
                              url,
                              path,
                              NULL};
        struct debroot_why why = {.text = ""};
        struct tool tool = {.argv = argv, .line = on_helper_line, .arg = &why};
        int status = 0;
        enum err_code code = tool_run(&tool, &status, err);

        if (code == ERR_NOT_FOUND)
                return err_set(err, ERR_UNAVAILABLE,
                               "apt is not installed on this host: only there can roots "
                               "of Debian's packages be made");
        if (code == ERR_OK && status != 0)
                return err_set(err, ERR_UNAVAILABLE, "%s",
                               why.text[0] != '\0' ? why.text : "apt-helper failed");
        if (code != ERR_OK)
                return code;
        return dpkg_read_file(AT_FDCWD, path, out, err);
}

enum err_code debroot_epoch(const char *mirror, const char *suite, uint64_t *ret, struct err *err)
{
        char folder[] = "/tmp/dispatch-release-XXXXXX", path[sizeof(folder) + 16], url[2048];
        own_buf struct buf text = {.max = RELEASE_MAX};

        if ((size_t)snprintf(url, sizeof(url), "%s%sdists/%s/InRelease", mirror,
                             mirror[strlen(mirror) - 1] == '/' ? "" : "/", suite) >= sizeof(url))
                return err_set(err, ERR_INVALID, "the mirror's URL is too long");
        if (mkdtemp(folder) == NULL)
                return err_disk(err, "make a folder in /tmp");
        snprintf(path, sizeof(path), "%s/InRelease", folder);
        enum err_code code = release_read(url, path, &text, err);
        (void)unlink(path);
        (void)rmdir(folder);
        if (code != ERR_OK)
                return err_wrap(err, code, "the release '%s' at %s", suite, mirror);
        if (!debroot_date((struct str){text.data, text.len}, ret))
                return err_set(err, ERR_BAD_REPLY, "the release '%s' at %s has no date", suite, mirror);
        return ERR_OK;
}
