/*
 * tests/images/foreign_server.c: the program of an image that knows nothing of Dispatch: a small HTTP server
 * on $PORT, one connection at a time, whose paths do what the tests need, and much that a server should not.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD_MAX = 65536, BODY_MAX = 1 << 20 };

static char head[HEAD_MAX + 1], body[BODY_MAX + 1];
static size_t body_len;
static int peer;

static void put(const char *bytes, size_t len)
{
        while (len > 0) {
                ssize_t n = send(peer, bytes, len, MSG_NOSIGNAL);
                if (n <= 0)
                        return;
                bytes += n;
                len -= (size_t)n;
        }
}

static void put_text(const char *text)
{
        put(text, strlen(text));
}

static void reply(int status, const char *fields, const char *bytes, size_t len)
{
        char text[4096];

        if (status == 204)
                snprintf(text, sizeof(text), "HTTP/1.1 204 Whatever\r\n%s\r\n", fields);
        else
                snprintf(text, sizeof(text), "HTTP/1.1 %d Whatever\r\n%sContent-Length: %zu\r\n\r\n", status,
                         fields, len);
        put_text(text);
        if (status != 204 && strncmp(head, "HEAD ", 5) != 0)
                put(bytes, len);
}

static void say(const char *fmt, ...)
{
        char text[BODY_MAX];
        va_list args;

        va_start(args, fmt);
        vsnprintf(text, sizeof(text), fmt, args);
        va_end(args);
        reply(200, "Content-Type: text/plain\r\n", text, strlen(text));
}

/* A whole request; 0 at the end of the connection. */
static int take(void)
{
        size_t len = 0;
        char *end = NULL;

        while (len < HEAD_MAX && end == NULL) {
                ssize_t n = recv(peer, head + len, HEAD_MAX - len, 0);
                if (n <= 0)
                        return 0;
                len += (size_t)n;
                head[len] = '\0';
                end = strstr(head, "\r\n\r\n");
        }
        if (end == NULL)
                return 0;
        body_len = len - (size_t)(end + 4 - head);
        memcpy(body, end + 4, body_len);
        end[2] = '\0';
        const char *field = strcasestr(head, "\r\ncontent-length:");
        size_t wanted = field != NULL ? strtoul(field + 17, NULL, 10) : 0;
        while (body_len < wanted && body_len < BODY_MAX) {
                ssize_t n = recv(peer, body + body_len, BODY_MAX - body_len, 0);
                if (n <= 0)
                        return 0;
                body_len += (size_t)n;
        }
        return 1;
}

static void echo(void)
{
        const char *field = strcasestr(head, "\r\ncontent-type:");
        char fields[300] = "";

        if (field != NULL)
                snprintf(fields, sizeof(fields), "Content-Type:%.*s\r\n", (int)strcspn(field + 15, "\r"),
                         field + 15);
        reply(200, fields, body, body_len);
}

static void grow(void)
{
        for (;;) {
                char *memory = malloc(1 << 20);
                if (memory != NULL)
                        memset(memory, 'x', 1 << 20);
        }
}

static void show_file(const char *path)
{
        static char text[BODY_MAX];
        int fd = open(path, O_RDONLY);
        ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

        if (n < 0) {
                say("%s", strerror(errno));
                return;
        }
        text[n] = '\0';
        close(fd);
        say("%s", text);
}

static void write_file(const char *path)
{
        int fd = open(path, O_WRONLY | O_CREAT, 0600);

        say("%s", fd >= 0 && write(fd, "x", 1) == 1 ? "written" : strerror(errno));
        if (fd >= 0)
                close(fd);
}

/* What no server should answer. 0: the connection is over. */
static int misbehave(const char *how)
{
        static char block[65536];

        memset(block, 'x', sizeof(block));
        if (strcmp(how, "lengths") == 0)
                put_text("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab");
        else if (strcmp(how, "smuggle") == 0)
                put_text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: "
                         "3\r\n\r\n0\r\n\r\n");
        else if (strcmp(how, "split") == 0)
                put_text("HTTP/1.1 200 OK\r\nX-A: a\rSet-Cookie: evil\r\nContent-Length: 0\r\n\r\n");
        else if (strcmp(how, "interim") == 0)
                for (int i = 0; i < 1000; i++)
                        put_text("HTTP/1.1 102 Processing\r\n\r\n");
        else if (strcmp(how, "headers") == 0)
                for (put_text("HTTP/1.1 200 OK\r\n");;) {
                        if (send(peer, "X-A: b\r\n", 8, MSG_NOSIGNAL) < 0)
                                return 0;
                }
        else if (strcmp(how, "line") == 0)
                for (put_text("HTTP/1.1 200 OK\r\nX: ");;) {
                        if (send(peer, block, sizeof(block), MSG_NOSIGNAL) < 0)
                                return 0;
                }
        else if (strcmp(how, "huge") == 0)
                for (put_text("HTTP/1.1 200 OK\r\n\r\n");;) {
                        if (send(peer, block, sizeof(block), MSG_NOSIGNAL) < 0)
                                return 0;
                }
        else if (strcmp(how, "gigabyte") == 0)
                put_text("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\nx");
        else if (strcmp(how, "hangup") == 0)
                return 0;
        else if (strcmp(how, "half") == 0) {
                put_text("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
                return 0;
        } else if (strcmp(how, "upgrade") == 0)
                put_text("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
        else if (strcmp(how, "twice") == 0)
                put_text("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\noneHTTP/1.1 200 OK\r\nContent-Length: "
                         "4\r\n\r\nevil");
        else
                put_text("220 mail.example ESMTP\r\n");
        return 1;
}

static int answer(void)
{
        char path[4096] = "", *query;

        sscanf(head, "%*s %4095s", path);
        query = strchr(path, '?');
        if (query != NULL)
                *query++ = '\0';
        else
                query = path + strlen(path);
        if (strcmp(path, "/echo") == 0)
                echo();
        else if (strcmp(path, "/head") == 0)
                say("%s", head);
        else if (strcmp(path, "/status") == 0)
                reply(atoi(query), "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Type: text/plain\r\n",
                      "body", 4);
        else if (strcmp(path, "/hold") == 0)
                pause();
        else if (strcmp(path, "/grow") == 0)
                grow();
        else if (strcmp(path, "/exit") == 0)
                exit(atoi(query));
        else if (strcmp(path, "/read") == 0)
                show_file(query);
        else if (strcmp(path, "/write") == 0)
                write_file(query);
        else if (strcmp(path, "/env") == 0)
                say("%s", getenv(query) != NULL ? getenv(query) : "(none)");
        else if (strcmp(path, "/ids") == 0)
                say("%d %d %d", (int)getuid(), (int)getgid(), (int)getpid());
        else if (strcmp(path, "/raw") == 0)
                return misbehave(query);
        else if (strcmp(path, "/print") == 0) {
                printf("out %s\n", query);
                fprintf(stderr, "err %s\n", query);
                say("printed");
        } else
                say("hello from %s", getenv("VERSION") != NULL ? getenv("VERSION") : "an image");
        return 1;
}

int main(int argc, char **argv)
{
        const char *late = getenv("LATE_MS"), *port = getenv("PORT");
        struct sockaddr_in address = {.sin_family = AF_INET};
        int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;

        setvbuf(stdout, NULL, _IOLBF, 0);
        if (getenv("CRASH") != NULL) {
                fprintf(stderr, "reading the configuration\n%s\n", getenv("CRASH"));
                return 7;
        }
        if (late != NULL)
                usleep((unsigned)atoi(late) * 1000);
        if (argc > 1)
                port = argv[1];
        address.sin_port = htons((unsigned short)atoi(port != NULL ? port : "1"));
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 8) < 0) {
                perror("cannot listen");
                return 8;
        }
        printf("listening\n");
        for (;;) {
                peer = accept(listener, NULL, NULL);
                while (peer >= 0 && take() && answer())
                        ;
                close(peer);
        }
}
