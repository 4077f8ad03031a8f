/*
 * tests/unit/build/test_builtin.c: base images of a host made for the purpose, and of the real one.
 */
#include "build/builtin.h"
#include "build/job.h"

#include "base/own.h"
#include "support.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define PACKAGE(name, rest)                                                                                  \
        "Package: " name "\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.0-1\n" rest "\n"

struct host {
        struct place place; /* its folder "out" is the image, "host" the host's root */
        int fd;
        struct runtime runtime;
        struct builtin_result result;
        struct err err;
};

/* A host with a merged /usr, an interpreter with bytecode, an alternative, a diversion and things that must
 * stay. */
static void fill_host(int fd)
{
        put_link(fd, "bin", "usr/bin");
        put_link(fd, "lib", "usr/lib");
        put_link(fd, "lib32", "usr/lib32");
        put_text(fd, "usr/lib32/unrelated.so", "x");
        put_text(fd, "var/lib/dpkg/status",
                 PACKAGE("dpkg", "") PACKAGE("lang", "Depends: libthing, tool\n") PACKAGE("libthing", "")
                         PACKAGE("tool", "") PACKAGE("diverter", ""));
        put_text(fd, "var/lib/dpkg/diversions", "/usr/bin/tool\n/usr/bin/tool.real\ndiverter\n");
        put_text(fd, "var/lib/dpkg/info/dpkg.list", "/usr/bin/dpkg\n");
        put_text(fd, "var/lib/dpkg/info/lang.list",
                 "/.\n/usr\n/usr/bin\n/usr/bin/python3\n/bin/python3.11\n/usr/lib/python3.11/a.py\n"
                 "/usr/lib/python3.11/stale.py\n/etc/secret.conf\n/usr/share/doc/lang/README\n/usr/local/lib/"
                 "lang\n"
                 "/usr/share/man/man1/lang.1.gz\n/usr/bin/vanished\n/etc/python3.11/sitecustomize.py\n");
        put_text(fd, "var/lib/dpkg/info/libthing:amd64.list", "/lib/libthing.so.1\n/usr/lib/libthing.so.1\n");
        put_text(fd, "var/lib/dpkg/info/tool.list", "/usr/bin/tool\n/usr/bin/tool-b\n");
        put_text(fd, "var/lib/dpkg/alternatives/pick",
                 "auto\n/usr/bin/pick\npick.1\n/usr/share/man/pick.1\n\n/usr/bin/elsewhere\n90\n\n/usr/bin/"
                 "tool\n5\n"
                 "/usr/share/man/tool.1\n/usr/bin/tool-b\n20\n\n\n");
        put_link(fd, "etc/alternatives/pick", "/usr/bin/elsewhere");
        put_link(fd, "usr/bin/python3", "python3.11");
        put_text(fd, "usr/bin/python3.11", "interpreter");
        put_text(fd, "usr/bin/tool", "the diverter's");
        put_text(fd, "usr/bin/tool.real", "the tool's");
        put_text(fd, "usr/bin/tool-b", "another");
        put_text(fd, "usr/lib/libthing.so.1", "library");
        put_text(fd, "usr/share/doc/lang/README", "x");
        put_text(fd, "usr/local/lib/lang", "x");
        put_text(fd, "etc/secret.conf", "password");
        put_text(fd, "etc/python3.11/sitecustomize.py", "");
        put_text(fd, "usr/lib/python3.11/a.py", "a = 1\n");
        put_text(fd, "usr/lib/python3.11/stale.py", "b = 1\n");
        put_text(fd, "etc/ssl/certs/ca-certificates.crt", "certificates");
        put_text(fd, "etc/ssl/certs/snakeoil.pem", "the host's own");
        put_link(fd, "etc/ssl/certs/one.pem", "/usr/lib/libthing.so.1");
        put_link(fd, "etc/ssl/certs/01234567.0", "one.pem");
        put_link(fd, "etc/ssl/certs/local.pem", "/usr/local/share/local.crt");
        assert_int_equal(fchmodat(fd, "usr/bin/python3.11", 04755, 0), 0);
}

static void put_bytecode(int fd, const char *path, time_t source_time, unsigned source_size)
{
        unsigned char head[16] = {0xa7, 0x0d, 0x0d, 0x0a};
        own_fd int out = openat(fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        for (int i = 0; i < 4; i++) {
                head[8 + i] = (unsigned char)(source_time >> 8 * i);
                head[12 + i] = (unsigned char)(source_size >> 8 * i);
        }
        assert_int_equal(write(out, head, sizeof(head)), sizeof(head));
}

static int setup(void **state)
{
        static const struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
        struct host *host = test_calloc(1, sizeof(*host));

        place_make(&host->place);
        put_text(host->place.fd, "host/etc/hostname", "secret-host\n");
        host->fd = openat(host->place.fd, "host", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fill_host(host->fd);
        assert_int_equal(utimensat(host->fd, "usr/lib/python3.11/a.py", times, 0), 0);
        assert_int_equal(mkdirat(host->fd, "usr/lib/python3.11/__pycache__", 0755), 0);
        put_bytecode(host->fd, "usr/lib/python3.11/__pycache__/a.cpython-311.pyc", 1000000000, 6);
        put_bytecode(host->fd, "usr/lib/python3.11/__pycache__/stale.cpython-311.pyc", 1000000000, 6);
        snprintf(host->runtime.language, sizeof(host->runtime.language), "lang");
        snprintf(host->runtime.packages, sizeof(host->runtime.packages), "lang");
        snprintf(host->runtime.packages_optional, sizeof(host->runtime.packages_optional),
                 "nothing-of-that-name");
        snprintf(host->runtime.program, sizeof(host->runtime.program), "/usr/bin/python3");
        *state = host;
        return 0;
}

static int teardown(void **state)
{
        struct host *host = *state;

        close(host->fd);
        place_clear(&host->place);
        test_free(host);
        return 0;
}

static enum err_code make_in(struct host *host, int out_fd)
{
        struct tree tree;
        enum err_code code;

        tree_init(&tree, out_fd, 1 << 20, 1000);
        code = builtin_make(&host->runtime, host->fd, &tree, &host->result, &host->err);
        tree_finish(&tree);
        return code;
}

static void make(struct host *host)
{
        if (make_in(host, host->place.out_fd) != ERR_OK)
                fail_msg("%s", host->err.text);
}

static void copies_the_files_of_the_closure_through_the_merged_usr(void **state)
{
        struct host *host = *state;
        int out = host->place.out_fd;

        make(host);
        assert_int_equal(host->result.packages, 3);
        assert_string_equal(host->result.version, "1.0-1");
        assert_string_equal(get_link(out, "bin"), "usr/bin");
        assert_string_equal(get_link(out, "lib"), "usr/lib");
        assert_null(get_link(out, "lib32")); /* nothing of the image is there */
        assert_string_equal(get_link(out, "usr/bin/python3"), "python3.11");
        assert_string_equal(get_text(out, "usr/bin/python3.11"), "interpreter");
        assert_string_equal(get_text(out, "lib/libthing.so.1"), "library");
        assert_null(get_text(out, "usr/bin/dpkg"));
}

static void drops_setuid_bits(void **state)
{
        struct host *host = *state;

        make(host);
        assert_int_equal(get_mode(host->place.out_fd, "usr/bin/python3.11"), 0755);
}

static void leaves_out_what_is_the_hosts_alone(void **state)
{
        static const char *const paths[] = {"etc/secret.conf",
                                            "usr/share/doc",
                                            "usr/share/man",
                                            "usr/local/lib",
                                            "etc/ssl/certs/snakeoil.pem",
                                            "etc/ssl/certs/local.pem",
                                            "usr/bin/vanished",
                                            "var/lib/dpkg"};
        struct host *host = *state;

        make(host);
        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
                assert_int_equal(faccessat(host->place.out_fd, paths[i], F_OK, AT_SYMLINK_NOFOLLOW), -1);
        assert_string_equal(get_text(host->place.out_fd, "etc/hostname"), "function\n");
        assert_string_equal(get_text(host->place.out_fd, "etc/resolv.conf"), "");
        assert_non_null(strstr(get_text(host->place.out_fd, "etc/passwd"), "function:x:1000:1000:"));
}

static void has_the_folders_that_sandboxes_mount_on(void **state)
{
        static const char *const paths[] = {"proc",    "dev",     "tmp", "function",
                                            "runtime", "var/tmp", "etc", "sys"};
        struct host *host = *state;

        make(host);
        for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
                assert_int_equal(get_mode(host->place.out_fd, paths[i]), 0755);
}

static void copies_bytecode_that_fits_its_source_with_the_time_it_names(void **state)
{
        struct host *host = *state;
        struct stat st;

        make(host);
        assert_non_null(get_text(host->place.out_fd, "usr/lib/python3.11/__pycache__/a.cpython-311.pyc"));
        assert_null(get_text(host->place.out_fd, "usr/lib/python3.11/__pycache__/stale.cpython-311.pyc"));
        assert_int_equal(fstatat(host->place.out_fd, "usr/lib/python3.11/a.py", &st, 0), 0);
        assert_int_equal(st.st_mtim.tv_sec, 1000000000);
}

static void undoes_a_diversion_whose_package_is_not_in_the_image(void **state)
{
        struct host *host = *state;

        make(host);
        assert_string_equal(get_text(host->place.out_fd, "usr/bin/tool"), "the tool's");
        assert_null(get_text(host->place.out_fd, "usr/bin/tool.real"));
}

static void keeps_a_diversion_whose_package_is_in_the_image(void **state)
{
        struct host *host = *state;

        put_text(host->fd, "var/lib/dpkg/info/diverter.list", "/usr/bin/tool\n");
        snprintf(host->runtime.packages, sizeof(host->runtime.packages), "lang, diverter");
        make(host);
        assert_string_equal(get_text(host->place.out_fd, "usr/bin/tool"), "the diverter's");
        assert_string_equal(get_text(host->place.out_fd, "usr/bin/tool.real"), "the tool's");
}

static void takes_the_best_alternative_that_is_in_the_image(void **state)
{
        struct host *host = *state;

        make(host);
        assert_string_equal(get_link(host->place.out_fd, "usr/bin/pick"), "/etc/alternatives/pick");
        assert_string_equal(get_link(host->place.out_fd, "etc/alternatives/pick"), "/usr/bin/tool-b");
        assert_null(get_link(host->place.out_fd, "etc/alternatives/pick.1"));
}

static void keeps_the_hosts_choice_of_an_alternative(void **state)
{
        struct host *host = *state;

        assert_int_equal(unlinkat(host->fd, "etc/alternatives/pick", 0), 0);
        put_link(host->fd, "etc/alternatives/pick", "/usr/bin/tool");
        make(host);
        assert_string_equal(get_link(host->place.out_fd, "etc/alternatives/pick"), "/usr/bin/tool");
}

static void takes_what_a_jdk_needs_and_no_more(void **state)
{
        struct host *host = *state;

        put_text(host->fd, "var/lib/dpkg/info/tool.list",
                 "/usr/bin/tool\n/usr/bin/tool-b\n/usr/lib/jvm/j/lib/modules\n/usr/lib/jvm/j/jmods/"
                 "java.base.jmod\n"
                 "/etc/java-17/security/java.security\n"
                 "/usr/share/ca-certificates-java/ca-certificates-java.jar\n");
        put_text(host->fd, "usr/lib/jvm/j/lib/modules", "modules");
        put_text(host->fd, "usr/lib/jvm/j/jmods/java.base.jmod", "large");
        put_text(host->fd, "etc/java-17/security/java.security", "rules");
        put_text(host->fd, "etc/ssl/certs/java/cacerts", "keys");
        make(host);
        assert_null(get_text(host->place.out_fd, "etc/ssl/certs/java/cacerts"));
        assert_string_equal(get_text(host->place.out_fd, "usr/lib/jvm/j/lib/modules"), "modules");
        assert_null(get_text(host->place.out_fd, "usr/lib/jvm/j/jmods/java.base.jmod"));
        assert_string_equal(get_text(host->place.out_fd, "etc/java-17/security/java.security"), "rules");

        put_text(host->fd, "usr/share/ca-certificates-java/ca-certificates-java.jar", "tool");
        assert_int_equal(mkdirat(host->place.fd, "again", 0755), 0);
        own_fd int fd = openat(host->place.fd, "again", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(make_in(host, fd), ERR_OK);
        assert_string_equal(get_text(fd, "etc/ssl/certs/java/cacerts"), "keys");
}

static void names_the_version_of_the_alternative_that_is_there(void **state)
{
        struct host *host = *state;

        snprintf(host->runtime.packages, sizeof(host->runtime.packages), "default-lang | lang, tool");
        make(host);
        assert_string_equal(host->result.version, "1.0-1");
}

static void copies_the_certificates_that_lead_somewhere(void **state)
{
        struct host *host = *state;

        make(host);
        assert_string_equal(get_text(host->place.out_fd, "etc/ssl/certs/ca-certificates.crt"),
                            "certificates");
        assert_string_equal(get_link(host->place.out_fd, "etc/ssl/certs/01234567.0"), "one.pem");
}

/* Another image of the same host: its digest. */
static const char *digest_again(struct host *host, const char *folder)
{
        assert_int_equal(mkdirat(host->place.fd, folder, 0755), 0);
        own_fd int fd = openat(host->place.fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(make_in(host, fd), ERR_OK);
        return host->result.digest;
}

static void has_one_digest_for_one_host_and_another_after_a_change(void **state)
{
        struct host *host = *state;
        char first[DIGEST_HEX_LEN + 1];

        make(host);
        memcpy(first, host->result.digest, sizeof(first));
        assert_int_equal(strlen(first), DIGEST_HEX_LEN);
        assert_string_equal(digest_again(host, "second"), first);

        put_text(host->fd, "usr/lib32/unrelated.so", "changed, but not in the image");
        assert_string_equal(digest_again(host, "third"), first);

        put_text(host->fd, "usr/lib/libthing.so.1", "lIbrary");
        assert_string_not_equal(digest_again(host, "content"), first);
        put_text(host->fd, "usr/lib/libthing.so.1", "library");
        assert_string_equal(digest_again(host, "back"), first);

        assert_int_equal(fchmodat(host->fd, "usr/lib/libthing.so.1", 0755, 0), 0);
        assert_string_not_equal(digest_again(host, "mode"), first);
        assert_int_equal(fchmodat(host->fd, "usr/lib/libthing.so.1", 0644, 0), 0);

        assert_int_equal(unlinkat(host->fd, "usr/bin/python3", 0), 0);
        put_link(host->fd, "usr/bin/python3", "/usr/bin/python3.11");
        assert_string_not_equal(digest_again(host, "link"), first);
}

static void says_what_to_do_without_the_interpreter(void **state)
{
        struct host *host = *state;

        snprintf(host->runtime.packages, sizeof(host->runtime.packages), "python3, lang");
        assert_int_equal(make_in(host, host->place.out_fd), ERR_UNAVAILABLE);
        assert_string_equal(host->err.text,
                            "no python3 on this host: install it with 'apt-get install python3'");
}

static void says_that_a_host_without_dpkg_will_not_do(void **state)
{
        struct host *host = *state;

        assert_int_equal(renameat(host->fd, "var/lib/dpkg", host->fd, "var/lib/rpm"), 0);
        assert_int_equal(make_in(host, host->place.out_fd), ERR_UNAVAILABLE);
        assert_non_null(strstr(host->err.text, "Debian or Ubuntu"));
}

static void says_when_the_packages_did_not_bring_the_program(void **state)
{
        struct host *host = *state;

        snprintf(host->runtime.program, sizeof(host->runtime.program), "/usr/bin/vanished");
        assert_int_equal(make_in(host, host->place.out_fd), ERR_UNAVAILABLE);
        assert_non_null(strstr(host->err.text, "/usr/bin/vanished"));
}

static void stops_at_the_limits(void **state)
{
        struct host *host = *state;
        struct tree tree;

        tree_init(&tree, host->place.out_fd, 1 << 20, 10);
        assert_int_equal(builtin_make(&host->runtime, host->fd, &tree, &host->result, &host->err),
                         ERR_TOO_LARGE);
        tree_finish(&tree);
}

static void leaves_out_files_that_it_may_not_read(void **state)
{
        struct host *host = *state;
        int status = 0;

        if (getuid() != 0) {
                print_message("skipped: only root can become a user who may not read a file\n");
                skip();
        }
        assert_int_equal(fchmodat(host->fd, "usr/bin/tool-b", 0700, 0), 0);
        assert_int_equal(chmod(host->place.path, 0755), 0);
        assert_int_equal(fchmod(host->place.out_fd, 0777), 0);

        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                bool fine = setgid(65534) == 0 && setuid(65534) == 0 &&
                            make_in(host, host->place.out_fd) == ERR_OK;

                _exit(fine && host->result.unreadable == 1 ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_null(get_text(host->place.out_fd, "usr/bin/tool-b"));
        assert_string_equal(get_text(host->place.out_fd, "usr/bin/tool"), "the tool's");
}

static const char *const real_packages[][3] = {
        {"python3", "python3, base-files, bash, dash, coreutils, libc-bin", "/usr/bin/python3"},
        {"native", "libc6, libgcc-s1, libstdc++6, base-files, dash, coreutils, sed, grep, libc-bin",
         "/bin/sh"},
};

/* Runs a program inside the image and returns its status. */
static int run_inside(const struct place *place, char *const *argv)
{
        int status = -1;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                char *const environment[] = {NULL};

                if (chroot(place->path) == 0 && chdir("/out") == 0 && chroot("/out") == 0)
                        execve(argv[0], argv, environment);
                _exit(127);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return status;
}

static void builds_images_of_the_real_host_that_run(void **state)
{
        char *python[] = {"/usr/bin/python3", "-c",
                          "import ssl, sqlite3, json, ctypes, decimal, asyncio, zlib, lzma, hashlib\n"
                          "assert json.__cached__ and __import__('os').path.exists(json.__cached__)",
                          NULL};
        char *shell[] = {"/bin/sh", "-c",
                         "test \"$(echo abc | sed s/b/x/ | cut -c2)\" = x && grep -q function /etc/passwd",
                         NULL};

        (void)state;
        if (access("/var/lib/dpkg/status", R_OK) != 0 || access("/usr/bin/python3", X_OK) != 0 ||
            getuid() != 0) {
                print_message("skipped: needs root and the packages of a Debian host\n");
                skip();
        }
        for (size_t i = 0; i < 2; i++) {
                struct host host = {0};
                struct tree tree;
                struct timespec start, end;

                place_make(&host.place);
                host.fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
                snprintf(host.runtime.language, sizeof(host.runtime.language), "%s", real_packages[i][0]);
                snprintf(host.runtime.packages, sizeof(host.runtime.packages), "%s", real_packages[i][1]);
                snprintf(host.runtime.program, sizeof(host.runtime.program), "%s", real_packages[i][2]);
                tree_init(&tree, host.place.out_fd, UINT64_C(1) << 30, 100000);
                clock_gettime(CLOCK_MONOTONIC, &start);
                if (builtin_make(&host.runtime, host.fd, &tree, &host.result, &host.err) != ERR_OK)
                        fail_msg("%s", host.err.text);
                clock_gettime(CLOCK_MONOTONIC, &end);
                print_message(
                        "%s: %zu packages, %.1f MB, %llu files, %ld ms\n", real_packages[i][0],
                        host.result.packages, (double)tree.bytes / 1e6, (unsigned long long)tree.files,
                        (long)((end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000));
                assert_int_equal(run_inside(&host.place, i == 0 ? python : shell), 0);
                tree_finish(&tree);
                close(host.fd);
                place_clear(&host.place);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
                TEST(copies_the_files_of_the_closure_through_the_merged_usr),
                TEST(drops_setuid_bits),
                TEST(leaves_out_what_is_the_hosts_alone),
                TEST(has_the_folders_that_sandboxes_mount_on),
                TEST(copies_bytecode_that_fits_its_source_with_the_time_it_names),
                TEST(undoes_a_diversion_whose_package_is_not_in_the_image),
                TEST(keeps_a_diversion_whose_package_is_in_the_image),
                TEST(takes_the_best_alternative_that_is_in_the_image),
                TEST(keeps_the_hosts_choice_of_an_alternative),
                TEST(takes_what_a_jdk_needs_and_no_more),
                TEST(names_the_version_of_the_alternative_that_is_there),
                TEST(copies_the_certificates_that_lead_somewhere),
                TEST(has_one_digest_for_one_host_and_another_after_a_change),
                TEST(says_what_to_do_without_the_interpreter),
                TEST(says_that_a_host_without_dpkg_will_not_do),
                TEST(says_when_the_packages_did_not_bring_the_program),
                TEST(stops_at_the_limits),
                TEST(leaves_out_files_that_it_may_not_read),
                cmocka_unit_test(builds_images_of_the_real_host_that_run),
#undef TEST
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
