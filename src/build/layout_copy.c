/* build/layout_copy.c: skopeo's command line, and what it says when it fails. */
#include "build/layout_copy.h"

#include "base/own.h"
#include "base/str.h"
#include "build/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The end of its last line: time="..." level=fatal msg="..." */
static void on_line(void *arg, struct str line)
{
        char *why = arg;
        size_t at = 0;

        for (size_t i = 0; i + 5 < line.len; i++) {
                if (memcmp(line.p + i, " msg=", 5) == 0)
                        at = i + 5;
        }
        snprintf(why, TOOL_LINE_MAX, "%.*s", STR_ARG(str_trim(str_slice(line, at, line.len), "\" ")));
}

/* skopeo takes a folder, and from it what is called *.crt. */
static enum err_code authority_put(const char *folder, const char *authority, struct err *err)
{
        char path[PATH_MAX + 64];
        size_t len = strlen(authority);

        if (mkdir(folder, 0700) < 0)
                return err_disk(err, "make the folder %s", folder);
        snprintf(path, sizeof(path), "%s/ca.crt", folder);
        own_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, authority, len) != (ssize_t)len)
                return err_disk(err, "write %s", path);
        return ERR_OK;
}

static void authority_remove(const char *folder)
{
        char path[PATH_MAX + 64];

        snprintf(path, sizeof(path), "%s/ca.crt", folder);
        (void)unlink(path);
        (void)rmdir(folder);
}

static const char *hint_of(const char *why)
{
        static const struct {
                const char *said, *hint;
        } hints[] = {
                {"certificate", "; --registry-ca names one to trust"},
                {"HTTP response to HTTPS client", "; --insecure is for a registry without TLS"},
                {"unauthorized", "; --authfile has the credentials"},
                {"authentication required", "; --authfile has the credentials"},
        };

        for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
                if (strstr(why, hints[i].said) != NULL)
                        return hints[i].hint;
        }
        return "";
}

static enum err_code skopeo(const struct layout_copy *copy, const char *certificates, struct err *err)
{
        char from[PATH_MAX + 256], why[TOOL_LINE_MAX] = "failed without saying why";
        const char *argv[16] = {"skopeo", "copy", "--quiet", "--insecure-policy", "--preserve-digests"};
        size_t count = 5;
        int status = 0;

        snprintf(from, sizeof(from), "oci:%s:%s", copy->folder, copy->tag);
        if (copy->insecure)
                argv[count++] = "--dest-tls-verify=false";
        if (copy->authfile != NULL) {
                argv[count++] = "--dest-authfile";
                argv[count++] = copy->authfile;
        }
        if (copy->authority != NULL) {
                argv[count++] = "--dest-cert-dir";
                argv[count++] = certificates;
        }
        argv[count++] = from;
        argv[count++] = copy->destination;
        struct tool tool = {.argv = argv, .line = on_line, .arg = why};
        enum err_code code = tool_run(&tool, &status, err);
        if (code == ERR_NOT_FOUND)
                return err_set(err, ERR_UNAVAILABLE,
                               "skopeo is not installed: apt-get install skopeo, or write "
                               "to a new folder with --output oci:FOLDER");
        if (code == ERR_OK && status != 0)
                return err_set(err, ERR_UNAVAILABLE, "skopeo copy to %s: %.300s%s", copy->destination, why,
                               hint_of(why));
        return code;
}

enum err_code layout_copy(const struct layout_copy *copy, struct err *err)
{
        char certificates[PATH_MAX + 32];
        enum err_code code = ERR_OK;

        snprintf(certificates, sizeof(certificates), "%s.certificates", copy->folder);
        if (copy->authority != NULL)
                code = authority_put(certificates, copy->authority, err);
        if (code == ERR_OK)
                code = skopeo(copy, certificates, err);
        if (copy->authority != NULL)
                authority_remove(certificates);
        return code;
}
