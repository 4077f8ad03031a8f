/*
 * bench/native/client.c: an HTTP/1.1 client that measures each exchange by itself: from before its first byte
 * is sent until its last byte is here.
 *
 *      bench-client -p PORT -H HOST [-c CONNECTIONS] [-n COUNT | -s SECONDS] PATH
 *      bench-client -p PORT -H HOST [-c CONNECTIONS] < PATHS
 *
 * All connections are made before the first exchange. Each has one in flight and takes the next path, or PATH
 * again, once its reply is whole. A line each, in the order of their ends: "NANOSECONDS STATUS RUN PATH",
 * where RUN is the reply's Dispatch-Run-Id or "-"; the last line is "total NANOSECONDS". On loopback alone.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REPLY_MAX = 65536, REQUEST_MAX = 2048, CONNECTIONS_MAX = 1024, WAIT_MS = 60000 };

struct exchange {
        uint64_t begun, took;
        int status;
        char run[40];
        const char *path;
};

struct line {
        int fd;
        size_t len;
        bool busy;
        struct exchange exchange;
        char reply[REPLY_MAX + 1];
};

struct load {
        const char *host, *path;
        uint16_t port;
        char **paths;
        size_t path_count, begun, ended, count;
        uint64_t until;
        struct exchange *done;
        size_t done_room;
        struct line *lines;
        size_t line_count;
};

static void fail(const char *what)
{
        fprintf(stderr, "bench-client: %s: %s\n", what, errno != 0 ? strerror(errno) : "not as expected");
        exit(1);
}

static uint64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static int dial(uint16_t port)
{
        struct sockaddr_in address = {
                .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        struct timeval wait = {.tv_sec = WAIT_MS / 1000};
        int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                fail("connect");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
        return fd;
}

/* What the next exchange asks for; NULL: there is none. */
static const char *next_path(struct load *load)
{
        if (load->path == NULL)
                return load->begun < load->path_count ? load->paths[load->begun++] : NULL;
        if (load->count > 0 ? load->begun >= load->count : now_ns() >= load->until)
                return NULL;
        load->begun++;
        return load->path;
}

static bool line_send(struct load *load, struct line *line)
{
        char request[REQUEST_MAX];
        const char *path = next_path(load);

        line->busy = path != NULL;
        if (path == NULL)
                return false;
        int len = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\n\r\n",
                           path, load->host);
        if (len < 0 || len >= (int)sizeof(request))
                fail("path");
        line->len = 0;
        line->exchange = (struct exchange){.path = path, .run = "-", .begun = now_ns()};
        if (send(line->fd, request, (size_t)len, MSG_NOSIGNAL) != len)
                fail("send");
        return true;
}

static const char *field(const char *head, const char *end, const char *name)
{
        size_t len = strlen(name);

        for (const char *at = strstr(head, "\r\n"); at != NULL && at < end; at = strstr(at + 2, "\r\n")) {
                if (strncasecmp(at + 2, name, len) == 0 && at[2 + len] == ':')
                        return at + 2 + len + 1 + strspn(at + 2 + len + 1, " ");
        }
        return NULL;
}

/* Is the reply whole? If so its status and run are in the exchange. */
static bool reply_whole(struct line *line)
{
        char *end = strstr(line->reply, "\r\n\r\n");
        const char *run, *length;

        if (end == NULL)
                return false;
        length = field(line->reply, end, "Content-Length");
        if (length != NULL && line->len < (size_t)(end + 4 - line->reply) + strtoul(length, NULL, 10))
                return false;
        if (length == NULL && field(line->reply, end, "Transfer-Encoding") == NULL)
                fail("a reply without a length");
        if (length == NULL && strstr(end, "\r\n0\r\n\r\n") == NULL)
                return false;
        line->exchange.status = atoi(line->reply + strlen("HTTP/1.1 "));
        run = field(line->reply, end, "Dispatch-Run-Id");
        if (run != NULL)
                snprintf(line->exchange.run, sizeof(line->exchange.run), "%.*s", (int)strcspn(run, "\r"),
                         run);
        return true;
}

static void keep(struct load *load, const struct exchange *exchange)
{
        if (load->ended == load->done_room) {
                load->done_room = load->done_room == 0 ? 4096 : load->done_room * 2;
                load->done = reallocarray(load->done, load->done_room, sizeof(*load->done));
                if (load->done == NULL)
                        fail("memory");
        }
        load->done[load->ended++] = *exchange;
}

/* Reads what is there; sends the next request when a reply has come whole. */
static void line_read(struct load *load, struct line *line)
{
        ssize_t got = recv(line->fd, line->reply + line->len, REPLY_MAX - line->len, 0);

        if (got < 0)
                fail("receive");
        line->len += (size_t)got;
        line->reply[line->len] = '\0';
        if (!reply_whole(line)) {
                if (got == 0)
                        fail("receive");
                return;
        }
        line->exchange.took = now_ns() - line->exchange.begun;
        keep(load, &line->exchange);
        char *end = strstr(line->reply, "\r\n\r\n");
        const char *connection = field(line->reply, end, "Connection");
        if (connection != NULL && strncasecmp(connection, "close", 5) == 0) {
                close(line->fd);
                line->fd = dial(load->port);
        }
        line_send(load, line);
}

static void run_many(struct load *load)
{
        struct pollfd *polls = calloc(load->line_count, sizeof(*polls));
        size_t busy = 0;

        if (polls == NULL)
                fail("memory");
        for (size_t i = 0; i < load->line_count; i++)
                busy += line_send(load, &load->lines[i]) ? 1 : 0;
        while (busy > 0) {
                busy = 0;
                for (size_t i = 0; i < load->line_count; i++)
                        polls[i] = (struct pollfd){.fd = load->lines[i].busy ? load->lines[i].fd : -1,
                                                   .events = POLLIN};
                if (poll(polls, (nfds_t)load->line_count, WAIT_MS) <= 0)
                        fail("wait");
                for (size_t i = 0; i < load->line_count; i++) {
                        if ((polls[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
                                line_read(load, &load->lines[i]);
                        busy += load->lines[i].busy ? 1 : 0;
                }
        }
        free(polls);
}

static void run_one(struct load *load)
{
        for (line_send(load, load->lines); load->lines->busy;)
                line_read(load, load->lines);
}

static void read_paths(struct load *load)
{
        char *line = NULL;
        size_t room = 0, paths_room = 0;
        ssize_t len;

        while ((len = getline(&line, &room, stdin)) > 0) {
                if (load->path_count == paths_room) {
                        paths_room = paths_room == 0 ? 1024 : paths_room * 2;
                        load->paths = reallocarray(load->paths, paths_room, sizeof(*load->paths));
                        if (load->paths == NULL)
                                fail("memory");
                }
                if (line[len - 1] == '\n')
                        line[len - 1] = '\0';
                if ((load->paths[load->path_count++] = strdup(line)) == NULL)
                        fail("memory");
        }
        free(line);
}

static void report(const struct load *load, uint64_t took)
{
        for (size_t i = 0; i < load->ended; i++) {
                const struct exchange *each = &load->done[i];
                printf("%llu %d %s %s\n", (unsigned long long)each->took, each->status, each->run,
                       each->path);
        }
        printf("total %llu\n", (unsigned long long)took);
}

int main(int argc, char **argv)
{
        struct load load = {.host = "localhost", .line_count = 1};
        double seconds = 0;
        int option;

        while ((option = getopt(argc, argv, "p:H:c:n:s:")) != -1) {
                switch (option) {
                case 'p':
                        load.port = (uint16_t)strtoul(optarg, NULL, 10);
                        break;
                case 'H':
                        load.host = optarg;
                        break;
                case 'c':
                        load.line_count = strtoul(optarg, NULL, 10);
                        break;
                case 'n':
                        load.count = strtoul(optarg, NULL, 10);
                        break;
                case 's':
                        seconds = strtod(optarg, NULL);
                        break;
                default:
                        return 2;
                }
        }
        if (load.port == 0 || load.line_count == 0 || load.line_count > CONNECTIONS_MAX || argc - optind > 1)
                fail("usage");
        load.path = argv[optind];
        if (load.path == NULL)
                read_paths(&load);
        load.lines = calloc(load.line_count, sizeof(*load.lines));
        if (load.lines == NULL)
                fail("memory");
        for (size_t i = 0; i < load.line_count; i++)
                load.lines[i].fd = dial(load.port);
        uint64_t begun = now_ns();
        load.until = begun + (uint64_t)(seconds * 1e9);
        if (load.line_count == 1)
                run_one(&load);
        else
                run_many(&load);
        report(&load, now_ns() - begun);
        return 0;
}
