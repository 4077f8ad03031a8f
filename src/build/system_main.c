/*
 * build/system_main.c: dispatch-system, started by dispatch-spawn as the process of a job of kind "system":
 * descriptors and report as dispatch-build's (wire/spawn.h). Static: it runs in whatever image.
 */
#include "base/own.h"
#include "build/system.h"
#include "wire/spawn.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

enum { REPORT_FD = 3, INPUT_FD = 4, LOG_FD = 5 };

static void write_all(int fd, const char *bytes, size_t len)
{
        while (len > 0) {
                ssize_t wrote = write(fd, bytes, len);
                if (wrote < 0 && errno == EINTR)
                        continue;
                if (wrote < 0)
                        return; /* nobody listens */
                bytes += wrote;
                len -= (size_t)wrote;
        }
}

static void say(void *arg, char type, struct str text)
{
        char head[2] = {type, ' '};

        (void)arg;
        write_all(LOG_FD, head, sizeof(head));
        write_all(LOG_FD, text.p, text.len);
        write_all(LOG_FD, "\n", 1);
}

static enum err_code input_read(struct buf *input, struct err *err)
{
        char chunk[4096];
        ssize_t got;

        while ((got = read(INPUT_FD, chunk, sizeof(chunk))) != 0) {
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return err_sys(err, "read what is to be installed");
                if (buf_append(input, chunk, (size_t)got) != ERR_OK)
                        return err_set(err, ERR_INVALID, "the list of system dependencies is too long");
        }
        return ERR_OK;
}

int main(void)
{
        struct spawn_report report = {.code = ERR_OK};
        own_buf struct buf input = {.max = SYSTEM_INPUT_MAX};
        struct err err = {.code = ERR_OK};

        /* The scripts of packages run as the same user: none of them looks into this process. */
        if (prctl(PR_SET_DUMPABLE, 0) < 0)
                return 1;
        signal(SIGPIPE, SIG_IGN);
        umask(022);
        (void)mkdir("/tmp/.run", 0755); /* where /run leads (spawn/root.h) */
        enum err_code code = input_read(&input, &err);
        if (code == ERR_OK)
                code = system_install((struct str){input.data, input.len}, say, NULL, &err);
        report.code = code;
        snprintf(report.text, sizeof(report.text), "%s", code == ERR_OK ? "" : err.text);
        snprintf(report.info, sizeof(report.info), "{}");
        return write(REPORT_FD, &report, sizeof(report)) == (ssize_t)sizeof(report) ? 0 : 1;
}
