/*
 * tests/unit/sandbox/player.c: plays the server and dispatch-build for the tests of dispatch-spawn.
 *
 * As the server it hands its links to the test (DISPATCH_TEST_SOCKET), which then speaks over them itself,
 * and lives until SIGTERM or until the test says how to end: a byte that is the exit status, or 'k' for a
 * crash. As dispatch-build it does what the name of its language says.
 */
#include "wire/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { REPORT_FD = 3, ARCHIVE_FD = 4, LINKS_MAX = 16 };

static void on_term(int number)
{
        (void)number;
        _exit(0);
}

static int connect_to_test(void)
{
        const char *path = getenv("DISPATCH_TEST_SOCKET");
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        if (path == NULL || fd < 0)
                return -1;
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        return connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -1 : fd;
}

static int links_send(int fd)
{
        const char *text = getenv("DISPATCH_SPAWN_LINKS"), *listeners = getenv("DISPATCH_LISTEN");
        char space[CMSG_SPACE(LINKS_MAX * sizeof(int))] __attribute__((aligned(8))) = {0};
        int links[LINKS_MAX];
        size_t count = 0;

        for (char *at = (char *)text; at != NULL && *at != '\0' && count < LINKS_MAX; at += *at == ',')
                links[count++] = (int)strtol(at, &at, 10);
        struct iovec iov = {(void *)listeners, strlen(listeners) + 1};
        struct msghdr message = {.msg_iov = &iov,
                                 .msg_iovlen = 1,
                                 .msg_control = space,
                                 .msg_controllen = CMSG_SPACE(count * sizeof(int))};
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(cmsg), links, count * sizeof(int));
        return sendmsg(fd, &message, 0) < 0 ? -1 : 0;
}

static int play_server(void)
{
        unsigned char how;

        signal(SIGTERM, on_term);
        int fd = connect_to_test();
        if (fd < 0 || links_send(fd) < 0)
                return 3;
        /* The test has its own copies of the links now; only they count. */
        close_range((unsigned)fd + 1, ~0U, 0);
        for (int other = 3; other < fd; other++)
                close(other);
        if (read(fd, &how, 1) != 1)
                return 0;
        if (how == 'k')
                abort();
        return how;
}

static int report_send(const struct spawn_report *report, size_t size)
{
        return write(REPORT_FD, report, size) == (ssize_t)size ? 0 : 5;
}

static int file_write(const char *path, const char *text)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                return -1;
        close(fd);
        return 0;
}

/* "good" copies the archive; for "builtin" it shows that the host's files are there. */
static int build_good(const char *kind, struct spawn_report *report)
{
        char bytes[256] = "";

        if (strcmp(kind, "source") == 0 && read(ARCHIVE_FD, bytes, sizeof(bytes) - 1) < 0)
                return 4;
        if (strcmp(kind, "builtin") == 0 && access("/var/lib/dpkg/status", R_OK) < 0)
                return 6;
        if (strcmp(kind, "source") == 0 && access("/etc/passwd", F_OK) == 0)
                return 7;
        if (access("/usr/bin/env", X_OK) < 0 || mkdir("/out/sub", 0755) < 0 ||
            file_write("/out/sub/file", bytes) < 0)
                return 8;
        if (strcmp(kind, "builtin") == 0)
                snprintf(report->layer, sizeof(report->layer), "builtin-good-0123");
        snprintf(report->info, sizeof(report->info), "{\"files\":1}");
        return report_send(report, sizeof(*report));
}

/* Not for the address, which is never looked at: so that a compiler does not leave it out. */
static void *volatile memory;

static int play_build(char **argv)
{
        const char *kind = argv[1], *language = argv[2];
        struct spawn_report report;

        memset(&report, 0, sizeof(report));
        if (strcmp(language, "good") == 0)
                return build_good(kind, &report);
        if (strcmp(language, "refused") == 0) {
                report.code = ERR_INVALID;
                snprintf(report.text, sizeof(report.text), "the archive is not one");
                return report_send(&report, sizeof(report));
        }
        if (strcmp(language, "short") == 0)
                return report_send(&report, sizeof(report) - 1);
        if (strcmp(language, "escape") == 0) {
                snprintf(report.layer, sizeof(report.layer), "../../etc");
                return report_send(&report, sizeof(report));
        }
        if (strcmp(language, "foreign") == 0) {
                snprintf(report.layer, sizeof(report.layer), "builtin-python3-0123");
                return report_send(&report, sizeof(report));
        }
        if (strcmp(language, "crash") == 0)
                abort();
        if (strcmp(language, "hungry") == 0) {
                for (size_t i = 0; i < 512; i++) {
                        memory = malloc(1 << 20);
                        if (memory != NULL)
                                memset(memory, (int)i, 1 << 20);
                }
        }
        if (strcmp(language, "slow") == 0)
                poll(NULL, 0, -1);
        return 9;
}

int main(int argc, char **argv)
{
        return argc == 5 && strcmp(argv[0], "dispatch-build") == 0 ? play_build(argv) : play_server();
}
