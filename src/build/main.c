/*
 * build/main.c: dispatch-build. spawn starts one for each job, in a sandbox without network, as a user of its
 * own; the report on descriptor 3 is all that it says. See struct spawn_report in wire/spawn.h for how it is
 * called.
 */
#include "base/own.h"
#include "base/str.h"
#include "build/base_image.h"
#include "build/job.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A sandbox lets nobody trace its processes, which the leak checker of the address sanitizer would do. */
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
        return "detect_leaks=0";
}
#endif

enum { REPORT_FD = 3, INPUT_FD, LOG_FD, DATA_FD };

/* Beyond these a number is a caller's mistake. */
enum { DISK_MIB_LIMIT = 1 << 20, FILES_LIMIT = 10000000 };

static int usage(void)
{
        fputs("dispatch-build KIND LANGUAGE DISK_MIB FILES_MAX [OUT [RUNTIME]]\n"
              "Started by dispatch-spawn; not for use by hand.\n",
              stderr);
        return 2;
}

static int complain(const char *what)
{
        fprintf(stderr, "dispatch-build: %s: %s\n", what, strerror(errno));
        return 1;
}

static int send_report(const struct spawn_report *report)
{
        ssize_t wrote;

        do
                wrote = write(REPORT_FD, report, sizeof(*report));
        while (wrote < 0 && errno == EINTR);
        if (wrote != (ssize_t)sizeof(*report))
                return complain("send the report");
        return 0;
}

static bool parse_arguments(int argc, char **argv, struct job *job)
{
        if (argc < 5 || argc > 7)
                return false;
        job->kind = argv[1];
        job->language = strcmp(argv[2], "-") == 0 ? "" : argv[2];
        return str_to_u64(str_of(argv[3]), &job->disk_mib) && job->disk_mib <= DISK_MIB_LIMIT &&
               str_to_u64(str_of(argv[4]), &job->files_max) && job->files_max <= FILES_LIMIT &&
               (job->language[0] == '\0' || spawn_name_valid(job->language, strlen(job->language) + 1));
}

int main(int argc, char **argv)
{
        /* By an administrator's command, in no sandbox: dispatch-build base-image RUNTIMES ARGUMENT... */
        if (argc > 2 && strcmp(argv[1], "base-image") == 0)
                return base_image_main(argv[2], argc - 2, argv + 2);

        struct job job = {.input_fd = INPUT_FD, .log_fd = LOG_FD, .data_fd = DATA_FD};
        struct spawn_report report;

        if (!parse_arguments(argc, argv, &job))
                return usage();
        umask(022);
        setlocale(LC_CTYPE,
                  "C.UTF-8"); /* names in pax headers; without it they come as bytes, which will do */

        own_fd int out_fd = open(argc > 5 ? argv[5] : "/out", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_fd int runtime_fd = open(argc > 6 ? argv[6] : "/runtime", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_fd int host_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (out_fd < 0 || host_fd < 0)
                return complain("open the folders");
        job.out_fd = out_fd;
        job.runtime_fd = runtime_fd;
        job.host_fd = host_fd;
        job_run(&job, &report);
        return send_report(&report);
}
