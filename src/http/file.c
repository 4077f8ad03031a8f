/*
 * http/file.c: a reply whose body is in a file: a piece at a time, the next when the connection has room for
 * it, so that its size costs no memory. A file that was just written is read from the kernel's cache.
 */
#include "http/server.h"

#include "base/own.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { PIECE = 65536, PIECES_MAX = 8 /* in one turn, so that one client cannot hold the loop */ };

struct file_reply {
        int fd;
        uint64_t at;
        uint64_t len;
        bool again_posted;
        bool gone; /* the exchange, while a turn is posted */
        struct http_exchange *exchange;
        struct loop_task again;
        char piece[PIECE];
};

static void file_free(struct file_reply *reply)
{
        own_fd_release(&reply->fd);
        free(reply);
}

static void file_aborted(struct http_exchange *exchange, void *arg)
{
        struct file_reply *reply = arg;

        (void)exchange;
        reply->gone = true;
        if (!reply->again_posted)
                file_free(reply);
}

static ssize_t piece_read(struct file_reply *reply)
{
        uint64_t left = reply->len - reply->at;
        ssize_t got;

        do
                got = pread(reply->fd, reply->piece, left < PIECE ? (size_t)left : PIECE, (off_t)reply->at);
        while (got < 0 && errno == EINTR);
        return got;
}

static void file_write(struct file_reply *reply);

static void file_again(struct loop_task *task)
{
        struct file_reply *reply = (struct file_reply *)((char *)task - offsetof(struct file_reply, again));

        reply->again_posted = false;
        if (reply->gone)
                file_free(reply);
        else
                file_write(reply);
}

static void file_end(struct file_reply *reply, bool whole)
{
        struct http_exchange *exchange = reply->exchange;

        http_on_abort(exchange, NULL, NULL);
        file_free(reply);
        if (whole)
                http_reply_end(exchange);
        else
                http_abort(exchange);
}

static void file_write(struct file_reply *reply)
{
        for (int i = 0; i < PIECES_MAX && reply->at < reply->len; i++) {
                ssize_t got = piece_read(reply);

                if (got <= 0) {
                        file_end(reply, false); /* the client sees that bytes are missing */
                        return;
                }
                reply->at += (uint64_t)got;
                if (!http_reply_write(reply->exchange, (struct str){reply->piece, (size_t)got}))
                        return; /* file_writable goes on */
        }
        if (reply->at == reply->len) {
                file_end(reply, true);
                return;
        }
        reply->again_posted = true;
        reply->again.run = file_again;
        loop_post(http_loop(reply->exchange), &reply->again);
}

static void file_writable(struct http_exchange *exchange, void *arg)
{
        (void)exchange;
        file_write(arg);
}

bool http_reply_file(struct http_exchange *exchange, int status, struct http_fields fields, int fd,
                     uint64_t len)
{
        struct file_reply *reply = malloc(sizeof(*reply));

        if (reply == NULL)
                return false;
        *reply = (struct file_reply){.fd = fd, .len = len, .exchange = exchange};
        http_on_abort(exchange, file_aborted, reply);
        http_reply_start(exchange, status, fields, (int64_t)len, file_writable, reply);
        file_write(reply);
        return true;
}
