/* build/debroot_job.c: the host's release and mirrors, then mmdebstrap into /out. */
#include "build/debroot_job.h"

#include "base/own.h"
#include "build/apt_sources.h"
#include "build/debroot.h"
#include "build/dpkg.h"
#include "image/runtime.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { RELEASE_MAX = 65536, INCLUDES_MAX = 4096, EPOCH = 315532800 /* spawn/flatten.h */ };

static enum err_code codename_read(const struct job *job, char out[DEBROOT_SUITE_MAX], struct err *err)
{
        own_buf struct buf text = {.max = RELEASE_MAX};
        struct str id, codename;
        enum err_code code = dpkg_read_file(job->host_fd, "usr/lib/os-release", &text, err);

        if (code != ERR_OK && code != ERR_NOT_FOUND)
                return code;
        apt_sources_release((struct str){text.data, text.len}, &id, &codename);
        snprintf(out, DEBROOT_SUITE_MAX, "%.*s", STR_ARG(codename));
        if (!str_eq(id, STR("debian")) || !debroot_suite_valid(out))
                return err_set(
                        err, ERR_UNPROCESSABLE,
                        "system dependencies on a built-in base image need a host that runs a release of "
                        "Debian, and this is %.*s %.*s: use a base image of Debian or Ubuntu from a "
                        "registry",
                        id.len > 40 ? 40 : (int)id.len, id.len > 0 ? id.p : "",
                        codename.len > 40 ? 40 : (int)codename.len,
                        codename.len > 0 ? codename.p : "of no name");
        return ERR_OK;
}

static void say(void *arg, struct str line)
{
        const struct job *job = arg;
        char text[TOOL_LINE_MAX + 8];
        int len = snprintf(text, sizeof(text), "L %.*s\n", STR_ARG(line));

        (void)!write(job->log_fd, text, (size_t)len);
}

static enum err_code sources_read(const struct job *job, const char *codename, struct buf *text,
                                  const char *lines[DEBROOT_SOURCES_MAX + 1], struct err *err)
{
        enum err_code code = apt_sources_read(job->host_fd, str_of(codename), text, err);
        size_t count = 0;

        if (code != ERR_OK)
                return code;
        char *rest = text->len > 0 && buf_text(text) != NULL ? text->data : NULL;
        for (char *line; rest != NULL && (line = strsep(&rest, "\n")) != NULL;) {
                if (line[0] != '\0' && count < DEBROOT_SOURCES_MAX)
                        lines[count++] = line;
        }
        lines[count] = NULL;
        return ERR_OK;
}

enum err_code debroot_job_run(const struct job *job, struct err *err)
{
        own_mem struct runtime *runtime = malloc(sizeof(*runtime));
        own_buf struct buf packages = {.max = INCLUDES_MAX}, text = {.max = APT_SOURCES_MAX};
        const char *lines[DEBROOT_SOURCES_MAX + 1];
        char codename[DEBROOT_SUITE_MAX];

        if (runtime == NULL)
                return err_nomem(err);
        enum err_code code = codename_read(job, codename, err);
        if (code == ERR_OK && job->runtime_fd < 0)
                code = err_set(err, ERR_UNAVAILABLE, "no runtime for %s on this server", job->language);
        if (code == ERR_OK)
                code = runtime_read(job->runtime_fd, runtime, err);
        if (code == ERR_OK)
                code = debroot_packages(runtime, &packages, err);
        if (code == ERR_OK)
                code = sources_read(job, codename, &text, lines, err);
        if (code != ERR_OK)
                return code;
        struct debroot root = {.suite = codename,
                               .mirrors = lines,
                               .packages = buf_text(&packages),
                               .epoch = EPOCH,
                               .folder = "/out",
                               .line = say,
                               .arg = (void *)job};
        return root.packages != NULL ? debroot_make(&root, err) : err_nomem(err);
}
