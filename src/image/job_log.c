/* image/job_log.c: takes lines out of a pipe. */
#include "image/job_log.h"

#include "base/own.h"
#include "wire/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

enum { READ_MAX = 16384, LINE_MIN = 3 /* "L " and a byte */ };

struct job_log {
        struct loop_poll *poll;
        int fd;
        void (*line)(void *arg, char type, struct str text);
        void *arg;
        uint64_t bytes;
        char *held; /* of a line that is not over */
        size_t len, size;
        bool cut; /* the rest of this line is dropped */
};

/* In place; the length stays. */
static void make_harmless(char *text, size_t len)
{
        bool utf8 = str_is_utf8((struct str){text, len});

        for (size_t i = 0; i < len; i++) {
                unsigned char c = (unsigned char)text[i];

                if (c == '\t')
                        text[i] = ' ';
                else if (c < ' ' || c == 0x7f || (c >= 0x80 && !utf8))
                        text[i] = '?';
        }
}

/* Back to where a character begins: what was cut in the middle of one would not be UTF-8 any more. */
static size_t whole_characters(const char *text, size_t len)
{
        size_t at = len;

        while (at > 0 && len - at < 3 && ((unsigned char)text[at - 1] & 0xc0) == 0x80)
                at--;
        if (at > 0 && (unsigned char)text[at - 1] >= 0xc0)
                return at - 1;
        return len;
}

static void line_end(struct job_log *log)
{
        size_t len = log->len;
        bool cut = log->cut;

        log->len = 0;
        log->cut = false;
        if (len < LINE_MIN || log->held[1] != ' ' || strchr("LPR", log->held[0]) == NULL)
                return;
        if (log->held[0] == 'R' && cut)
                return;
        if (cut)
                len = whole_characters(log->held, len);
        make_harmless(log->held + 2, len - 2);
        log->line(log->arg, log->held[0], (struct str){log->held + 2, len - 2});
}

static bool held_grow(struct job_log *log, size_t wanted)
{
        size_t size = log->size < SPAWN_LINE_MAX ? SPAWN_LINE_MAX : log->size;

        if (wanted <= log->size)
                return true;
        while (size < wanted)
                size *= 2;
        char *grown = realloc(log->held, size);
        if (grown == NULL)
                return false;
        log->held = grown;
        log->size = size;
        return true;
}

/* A part of a line. */
static void hold(struct job_log *log, const char *bytes, size_t len)
{
        char type = log->len > 0 ? log->held[0] : len > 0 ? bytes[0] : '\0';
        size_t max = type == 'R' ? SPAWN_RESULT_MAX : SPAWN_LINE_MAX;
        size_t room = max - log->len;

        if (len > room) {
                len = room;
                log->cut = true;
        }
        if (!held_grow(log, log->len + len)) {
                log->cut = true;
                return;
        }
        memcpy(log->held + log->len, bytes, len);
        log->len += len;
}

static void take(struct job_log *log, const char *bytes, size_t len)
{
        while (len > 0) {
                const char *end = memchr(bytes, '\n', len);
                size_t part = end != NULL ? (size_t)(end - bytes) : len;

                if (part > 0)
                        hold(log, bytes, part);
                if (end == NULL)
                        return;
                line_end(log);
                bytes += part + 1;
                len -= part + 1;
        }
}

/* False: the pipe is empty, or nothing is read from it any more. */
static bool read_some(struct job_log *log)
{
        char bytes[READ_MAX];
        ssize_t got;

        do
                got = read(log->fd, bytes, sizeof(bytes));
        while (got < 0 && errno == EINTR);
        if (got < 0 && errno == EAGAIN)
                return false;
        log->bytes += got > 0 ? (uint64_t)got : 0;
        if (got <= 0 || log->bytes > JOB_LOG_BYTES_MAX) {
                loop_poll_want(log->poll, 0);
                return false;
        }
        take(log, bytes, (size_t)got);
        return true;
}

static void on_readable(void *arg, int events)
{
        (void)events;
        (void)read_some(arg);
}

enum err_code job_log_open(struct loop *loop, void (*line)(void *arg, char type, struct str text), void *arg,
                           struct job_log **ret, int *ret_write_fd, struct err *err)
{
        struct job_log *log = calloc(1, sizeof(*log));
        int ends[2];

        if (log == NULL)
                return err_nomem(err);
        log->line = line;
        log->arg = arg;
        log->fd = -1;
        if (pipe2(ends, O_CLOEXEC) < 0) {
                enum err_code code = err_sys(err, "make the pipe for a build's log");
                job_log_close(log);
                return code;
        }
        log->fd = ends[0];
        own_fd int theirs = ends[1];
        log->poll = loop_poll_create(loop, log->fd, on_readable, log);
        if (log->poll == NULL) {
                job_log_close(log);
                return err_nomem(err);
        }
        loop_poll_want(log->poll, LOOP_READABLE);
        *ret = log;
        *ret_write_fd = take_fd(&theirs);
        return ERR_OK;
}

void job_log_drain(struct job_log *log)
{
        while (log->bytes <= JOB_LOG_BYTES_MAX && read_some(log))
                continue;
        line_end(log);
}

void job_log_close(struct job_log *log)
{
        if (log == NULL)
                return;
        loop_poll_destroy(log->poll);
        own_fd_release(&log->fd);
        free(log->held);
        free(log);
}
