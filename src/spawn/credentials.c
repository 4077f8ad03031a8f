/* spawn/credentials.c: opens the files of certificates and keys for the server. */
#include "spawn/credentials.h"

#include "base/own.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* The path is the operator's, links in it are meant (Let's Encrypt's are links); a pipe or a device is not.
 */
static enum err_code file_open(const char *path, int *ret_fd, struct err *err)
{
        own_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        struct stat status;

        if (fd < 0 || fstat(fd, &status) < 0)
                return err_sys(err, "open %s", path);
        if (!S_ISREG(status.st_mode))
                return err_set(err, ERR_INVALID, "%s is not a file", path);
        *ret_fd = take_fd(&fd);
        return ERR_OK;
}

void credentials_send(const struct options *options, uint64_t set, struct link *link)
{
        struct spawn_credential head = {.head = {.op = SPAWN_CREDENTIAL, .id = set},
                                        .count = (uint32_t)options->credential_count,
                                        .ok = 1};
        size_t i = 0;

        do {
                union spawn_frame frame = {.credential = head};
                struct err err;
                int fd = -1;

                frame.credential.index = (uint32_t)i;
                if (i < options->credential_count) {
                        frame.credential.code = file_open(options->credentials[i], &fd, &err);
                        frame.credential.ok = frame.credential.code == ERR_OK;
                }
                if (frame.credential.ok == 0)
                        snprintf(frame.credential.text, sizeof(frame.credential.text), "%s", err.text);
                link_send(link, &frame, &fd);
        } while (++i < options->credential_count);
}
