/* The API behind the real HTTP server, each on a thread of its own, and many clients: for the thread
 * sanitizer, and for what only whole connections show. */
#include "fixture.h"

#include "base/own.h"
#include "http/server.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { CLIENTS = 4, ROUNDS = 25 };

struct server {
        struct fixture fixture;
        struct loop *loop;
        struct http_server *http;
        int listen_fd;
        struct sockaddr_in address;
        pthread_t control_thread, http_thread;
};

static void *loop_thread(void *arg)
{
        loop_run(arg);
        return NULL;
}

static int listen_anywhere(struct sockaddr_in *address)
{
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        socklen_t len = sizeof(*address);

        *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        assert_int_equal(bind(fd, (struct sockaddr *)address, len), 0);
        assert_int_equal(listen(fd, 64), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)address, &len), 0);
        return fd;
}

static int setup(void **state)
{
        struct server *server = calloc(1, sizeof(*server));
        struct http_limits limits = http_limits_default;

        fixture_init(&server->fixture);
        limits.body_bytes_max = api_body_bytes_max(server->fixture.api);
        server->listen_fd = listen_anywhere(&server->address);
        assert_int_equal(loop_create(&server->loop, NULL), ERR_OK);
        assert_int_equal(http_server_create(server->loop, &server->listen_fd, 1, &limits,
                                            &server->fixture.handler, &server->http, NULL),
                         ERR_OK);
        assert_int_equal(pthread_create(&server->control_thread, NULL, loop_thread, server->fixture.loop), 0);
        assert_int_equal(pthread_create(&server->http_thread, NULL, loop_thread, server->loop), 0);
        *state = server;
        return 0;
}

static int teardown(void **state)
{
        struct server *server = *state;

        loop_stop(server->loop);
        pthread_join(server->http_thread, NULL);
        loop_stop(server->fixture.loop);
        pthread_join(server->control_thread, NULL);
        for (int i = 0; i < 50; i++) {
                loop_step(server->fixture.loop, false);
                loop_step(server->loop, false);
        }
        http_server_destroy(server->http);
        loop_step(server->loop, false);
        fixture_finish(&server->fixture);
        loop_destroy(server->loop);
        close(server->listen_fd);
        free(server);
        return 0;
}

static int client_connect(const struct server *server)
{
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(connect(fd, (const struct sockaddr *)&server->address, sizeof(server->address)), 0);
        return fd;
}

static void client_send(int fd, const char *method, const char *path, const char *body)
{
        char *text;
        int len = asprintf(
                &text,
                "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
                "Content-Length: %zu\r\n\r\n%s",
                method, path, strlen(body), body);

        assert_true(len > 0);
        for (int sent = 0; sent < len;) {
                ssize_t some = send(fd, text + sent, (size_t)(len - sent), MSG_NOSIGNAL);
                assert_true(some > 0);
                sent += (int)some;
        }
        free(text);
}

static int client_status(int fd)
{
        char text[8192];
        size_t len = 0;

        for (;;) {
                ssize_t some = recv(fd, text + len, sizeof(text) - 1 - len, 0);
                assert_true(some >= 0);
                if (some == 0)
                        break;
                len += (size_t)some;
        }
        text[len] = '\0';
        assert_true(len > 12);
        return (int)strtol(text + 9, NULL, 10);
}

static int ask(const struct server *server, const char *method, const char *path, const char *body)
{
        own_fd int fd = client_connect(server);

        client_send(fd, method, path, body);
        return client_status(fd);
}

struct client {
        const struct server *server;
        int index;
        pthread_t thread;
};

static void client_round(const struct client *client, int round)
{
        char path[64], body[128];

        snprintf(path, sizeof(path), "/v1/secret/s-%d-%d", client->index, round);
        snprintf(body, sizeof(body), "{\"name\":\"%s\",\"secrets\":{\"a\":\"b\"}}", strrchr(path, '/') + 1);
        assert_int_equal(ask(client->server, "POST", "/v1/secret", body), 201);
        assert_int_equal(ask(client->server, "POST", "/v1/secret", body), 409);
        assert_int_equal(ask(client->server, "GET", path, ""), 200);
        if (round % 5 == 0) {
                /* Gone before the answer comes. */
                int fd = client_connect(client->server);
                client_send(fd, "GET", "/v1/secret", "");
                close(fd);
        }
        assert_int_equal(ask(client->server, "DELETE", path, ""), 204);
        assert_int_equal(ask(client->server, "GET", path, ""), 404);
}

static void *client_run(void *arg)
{
        for (int round = 0; round < ROUNDS; round++)
                client_round(arg, round);
        return NULL;
}

static void many_clients_are_served_at_once(void **state)
{
        struct client clients[CLIENTS];

        for (int i = 0; i < CLIENTS; i++) {
                clients[i] = (struct client){.server = *state, .index = i};
                assert_int_equal(pthread_create(&clients[i].thread, NULL, client_run, &clients[i]), 0);
        }
        for (int i = 0; i < CLIENTS; i++)
                pthread_join(clients[i].thread, NULL);
}

static void a_body_over_the_limit_is_a_413_and_one_at_the_functions_limit_is_not(void **state)
{
        size_t len = 11 * 1024 * 1024;
        char *body = malloc(len + 1);

        memset(body, ' ', len);
        body[len] = '\0';
        assert_int_equal(ask(*state, "POST", "/v1/function", body), 400);

        /* The server closes while the rest is still being sent, so only the head of it is sent here. */
        own_fd int fd = client_connect(*state);
        const char *head = "POST /v1/secret HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                           "Content-Length: 11534336\r\n\r\n";
        assert_int_equal(send(fd, head, strlen(head), MSG_NOSIGNAL), (ssize_t)strlen(head));
        assert_int_equal(client_status(fd), 413);
        free(body);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(many_clients_are_served_at_once, setup, teardown),
                cmocka_unit_test_setup_teardown(
                        a_body_over_the_limit_is_a_413_and_one_at_the_functions_limit_is_not, setup,
                        teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
