/* spawn/channel.c: makes the invocation channel of an instance. */
#include "spawn/channel.h"

#include "base/own.h"
#include "wire/ring.h"

#include <fcntl.h>

void channel_ends_init(struct channel_ends *ends)
{
        for (int i = 0; i < CHANNEL_FDS; i++)
                ends->server[i] = ends->agent[i] = -1;
}

static enum err_code pipe_make(int *read_fd, int *write_fd, struct err *err)
{
        int pair[2];

        if (pipe2(pair, O_CLOEXEC) < 0)
                return err_sys(err, "make a pipe of the channel");
        *read_fd = pair[0];
        *write_fd = pair[1];
        return ERR_OK;
}

enum err_code channel_ends_make(struct channel_ends *ends, struct err *err)
{
        channel_ends_init(ends);
        ends->server[0] = ring_file_create();
        if (ends->server[0] < 0)
                return err_sys(err, "make the channel");
        ends->agent[0] = fcntl(ends->server[0], F_DUPFD_CLOEXEC, 0);
        enum err_code code = ends->agent[0] < 0 ? err_sys(err, "make the channel") : ERR_OK;
        if (code == ERR_OK)
                code = pipe_make(&ends->agent[1], &ends->server[2], err);
        if (code == ERR_OK)
                code = pipe_make(&ends->server[1], &ends->agent[2], err);
        if (code != ERR_OK)
                channel_ends_close(ends);
        return code;
}

void channel_ends_given(struct channel_ends *ends)
{
        for (int i = 0; i < CHANNEL_FDS; i++)
                own_fd_release(&ends->agent[i]);
}

void channel_ends_close(struct channel_ends *ends)
{
        channel_ends_given(ends);
        for (int i = 0; i < CHANNEL_FDS; i++)
                own_fd_release(&ends->server[i]);
}
