/* spawn/link.c: reads, dispatches and sends frames; the operations themselves are in instance.c, build.c,
 * server.c. */
#include "spawn/link.h"

#include "base/log.h"
#include "base/own.h"
#include "spawn/build.h"
#include "spawn/layers.h"
#include "spawn/server.h"
#include "spawn/spawn.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { FRAMES_PER_TURN = 16 };

struct link_frame {
        struct link_frame *next;
        int fds[SPAWN_FDS_MAX];
        size_t fd_count;
        _Alignas(8) unsigned char bytes[]; /* spawn_frame_size of them */
};

static void frame_drop(struct link_frame *frame)
{
        for (size_t i = 0; i < frame->fd_count; i++)
                close(frame->fds[i]);
        free(frame);
}

static const union spawn_frame *frame_of(const struct link_frame *waiting)
{
        return (const union spawn_frame *)(const void *)waiting->bytes;
}

void link_close(struct link *link)
{
        int fd = link->source.fd;

        if (fd < 0)
                return;
        events_remove(&link->spawn->events, &link->source);
        close(fd);
        while (link->first != NULL) {
                struct link_frame *frame = link->first;
                link->first = frame->next;
                frame_drop(frame);
        }
        link->last = NULL;
        instances_link_closed(&link->spawn->instances, link);
        garbage_link_closed(link->spawn, link);
}

/* Takes the descriptors over. */
static void frame_keep(struct link *link, const union spawn_frame *frame, int *fds, size_t count)
{
        size_t size = spawn_frame_size(frame->head.op);
        struct link_frame *waiting = malloc(sizeof(*waiting) + size);

        if (waiting == NULL) {
                /* An answer that is lost would leave the server waiting for ever; a closed link does not. */
                log_error("out of memory: a link to the server is closed");
                link_close(link);
                return;
        }
        waiting->next = NULL;
        waiting->fd_count = count;
        for (size_t i = 0; i < count; i++)
                waiting->fds[i] = take_fd(&fds[i]);
        memcpy(waiting->bytes, frame, size);
        if (link->last == NULL)
                link->first = waiting;
        else
                link->last->next = waiting;
        link->last = waiting;
        events_want(&link->spawn->events, &link->source, EPOLLOUT);
}

void link_send_fds(struct link *link, const union spawn_frame *frame, int *fds, size_t count)
{
        struct err err;

        if (link->source.fd >= 0) {
                enum err_code code = link->first != NULL
                                             ? ERR_LIMIT
                                             : spawn_send(link->source.fd, frame, fds, count, &err);
                if (code == ERR_LIMIT)
                        frame_keep(link, frame, fds, count);
                else if (code != ERR_OK)
                        link_close(link);
        }
        for (size_t i = 0; i < count; i++)
                own_fd_release(&fds[i]);
}

void link_send(struct link *link, const union spawn_frame *frame, int *fd)
{
        link_send_fds(link, frame, fd, *fd >= 0 ? 1 : 0);
}

static void waiting_send(struct link *link)
{
        while (link->first != NULL) {
                struct link_frame *waiting = link->first;
                enum err_code code =
                        spawn_send(link->source.fd, frame_of(waiting), waiting->fds, waiting->fd_count, NULL);
                if (code == ERR_LIMIT)
                        return;
                if (code != ERR_OK) {
                        link_close(link);
                        return;
                }
                link->first = waiting->next;
                frame_drop(waiting);
        }
        link->last = NULL;
        events_want(&link->spawn->events, &link->source, EPOLLIN);
}

static void layer_answer(struct link *link, const struct spawn_layer *asked)
{
        union spawn_frame answer = {.layer = *asked};
        int none = -1;

        answer.head.op = SPAWN_LAYER;
        answer.layer.exists = layers_exists(link->spawn->state.layers_fd, asked->layer, answer.layer.info);
        if (asked->head.op == SPAWN_LAYER_STAT)
                garbage_keep(link->spawn, asked->layer);
        link_send(link, &answer, &none);
}

static void layer_drop(struct link *link, const struct spawn_layer *asked)
{
        garbage_drop(link->spawn, asked->layer);
        layer_answer(link, asked);
}

/* False: the frame has no business on this way. */
static bool dispatch(struct link *link, const union spawn_frame *frame, int *fds, size_t fd_count)
{
        uint32_t wanted = frame->head.op == SPAWN_BUILD ? frame->build.fds : 0;

        if (fd_count != (size_t)__builtin_popcount(wanted))
                return false;
        switch ((enum spawn_op)frame->head.op) {
        case SPAWN_READY:
                server_ready(link->server);
                return true;
        case SPAWN_START:
                instance_start(link->spawn, link, &frame->start, NULL);
                return true;
        case SPAWN_START_EGRESS:
                instance_start(link->spawn, link, &frame->start, frame->egress.allow);
                return true;
        case SPAWN_FREEZE:
        case SPAWN_THAW:
                instance_freeze(&link->spawn->instances, link, frame->head.id,
                                frame->head.op == SPAWN_FREEZE);
                return true;
        case SPAWN_KILL:
                instance_kill(&link->spawn->instances, link, frame->head.id);
                return true;
        case SPAWN_BUILD:
                build_start(link->spawn, link, &frame->build, fds);
                return true;
        case SPAWN_LAYER_STAT:
                layer_answer(link, &frame->layer);
                return true;
        case SPAWN_LAYER_DROP:
                layer_drop(link, &frame->layer);
                return true;
        case SPAWN_STORE_LIST:
                garbage_list(link->spawn, link, frame->head.id);
                return true;
        case SPAWN_BLOB_DROP:
                garbage_blob_drop(link->spawn, &frame->blob);
                return true;
        case SPAWN_STORE:
        case SPAWN_HELLO:
        case SPAWN_SERVER_GONE:
        case SPAWN_STARTED:
        case SPAWN_EXITED:
        case SPAWN_BUILT:
        case SPAWN_LAYER:
        case SPAWN_CREDENTIAL:
                break;
        }
        return false;
}

/* False: nothing more to read now. */
static bool frame_read(struct link *link)
{
        union spawn_frame frame;
        int fds[SPAWN_FDS_MAX];
        size_t count = 0;
        struct err err;
        enum err_code code = spawn_receive(link->source.fd, &frame, fds, &count, &err);

        if (code == ERR_LIMIT)
                return false;
        if (code == ERR_NO_MEMORY && frame.head.op == SPAWN_BUILD) {
                build_refuse(link, frame.head.id, code, err.text);
                return true;
        }
        if (code == ERR_OK && !dispatch(link, &frame, fds, count))
                code = err_set(&err, ERR_INVALID, "bad frame: not for spawn");
        for (size_t i = 0; i < count; i++) {
                if (fds[i] >= 0)
                        close(fds[i]);
        }
        if (code == ERR_OK)
                return true;
        if (code != ERR_CANCELLED)
                log_error("a link to the server is closed: %s", err.text);
        link_close(link);
        return false;
}

static void on_link_ready(struct events_source *source, uint32_t epoll_events)
{
        struct link *link = OWNER_OF(source, struct link, source);

        if (link->first != NULL) {
                if (epoll_events & (EPOLLHUP | EPOLLERR))
                        link_close(link);
                else
                        waiting_send(link);
                return;
        }
        for (int i = 0; i < FRAMES_PER_TURN && link->source.fd >= 0 && link->first == NULL; i++) {
                if (!frame_read(link))
                        return;
        }
}

enum err_code link_open(struct link *link, struct spawn *spawn, struct server *server, int fd,
                        struct err *err)
{
        *link = (struct link){.spawn = spawn, .server = server};
        return events_add(&spawn->events, &link->source, fd, EPOLLIN, on_link_ready, err);
}
