/*
 * The gateway between a real HTTP server and an engine that this test plays: what a request becomes, and what
 * its caller is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/own.h"
#include "gateway/gateway.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STEPS_MAX = 5000 };

static char dir[64];
static struct loop *loop;
static struct store *store;
static struct recorder *recorder;
static struct snapshot_hub *hub;
static struct gateway *gateway;
static struct http_server *server;
static struct revision *revision;
static int listen_fd, client;

/* The engine: keeps the last invocation; the test answers it. */
static struct invocation *invoked;
static unsigned cancels;
static bool hold; /* do not answer by itself */
static void (*shape)(struct invocation *inv);

static void answer(struct invocation *inv)
{
        invoked = NULL;
        inv->body.max = 1 << 24;
        inv->start = START_HOT;
        if (shape != NULL) {
                shape(inv);
        } else {
                buf_append_text(&inv->content, "application/json");
                buf_append_text(&inv->body, "{\"ok\":true}");
        }
        inv->done(inv);
}

static void answer_task(struct loop_task *task)
{
        answer((struct invocation *)(void *)((char *)task - offsetof(struct invocation, task)));
}

static void fake_invoke(struct engine *engine, struct invocation *inv)
{
        (void)engine;
        invoked = inv;
        inv->task.run = answer_task;
        if (!hold)
                loop_post(loop, &inv->task);
}

static void fake_cancel(struct engine *engine, struct invocation *inv)
{
        (void)engine;
        (void)inv;
        cancels++;
}

static const struct engine_ops fake_ops = {.name = "fake", .invoke = fake_invoke, .cancel = fake_cancel};
static struct engine fake = {&fake_ops};

static void pass(void)
{
        loop_step(loop, false);
        poll(NULL, 0, 1);
}

static void done(void *arg)
{
        *(bool *)arg = true;
}

static void publish(void)
{
        bool published = false;

        snapshot_publish(hub, done, &published);
        while (!published)
                pass();
}

static void put_function(enum function_state state, struct revision *with)
{
        struct function_entry *entry =
                function_entry_create("00000000-0000-4000-8000-000000000000", state, "it is broken", with);

        assert_int_equal(snapshot_put_function(hub, STR("org"), STR("p"), STR("f"), entry, NULL), ERR_OK);
        function_entry_unref(entry);
        publish();
}

static void put_endpoint(const char *name, const char *path, const char *function, unsigned methods,
                         bool cors, bool http)
{
        struct endpoint_entry *entry = endpoint_entry_create();

        entry->organization = strdup("org");
        entry->project = strdup("p");
        entry->name = strdup(name);
        entry->function = strdup(function);
        entry->enabled = true;
        entry->http = http;
        entry->cors = cors;
        entry->methods = methods;
        entry->hosts = calloc(1, sizeof(char *));
        entry->hosts[0] = strdup("h.example");
        entry->host_count = 1;
        entry->paths = calloc(1, sizeof(char *));
        entry->paths[0] = strdup(path);
        entry->path_count = 1;
        assert_int_equal(snapshot_put_endpoint(hub, entry, NULL, NULL), ERR_OK);
        endpoint_entry_unref(entry);
        publish();
}

static void make_revision(void)
{
        const char layers[1][SPAWN_NAME_MAX] = {"root"};
        struct store_row row = {.organization = (char *)"org",
                                .project = (char *)"p",
                                .name = (char *)"f",
                                .id = (char *)"00000000-0000-4000-8000-000000000000",
                                .revision = 1};
        const struct revision_build build = {.language = "native",
                                             .handler = "./f",
                                             .layers = layers,
                                             .layer_count = 1,
                                             .code = "fn-1",
                                             .timeout_default_ms = 60000};

        row.document = json_object();
        assert_int_equal(revision_create(&row, &build, &revision, NULL), ERR_OK);
        json_decref(row.document);
}

static void make_server(void)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        socklen_t len = sizeof(address);
        const struct http_handler handler = gateway_handler(gateway, 0);

        listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_int_equal(bind(listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(listen_fd, 16), 0);
        assert_int_equal(getsockname(listen_fd, (struct sockaddr *)&address, &len), 0);
        assert_int_equal(
                http_server_create(loop, &listen_fd, 1, &http_limits_default, &handler, &server, NULL),
                ERR_OK);
        client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
}

static int start(void **state)
{
        char url[96];

        (void)state;
        invoked = NULL;
        cancels = 0;
        hold = false;
        shape = NULL;
        snprintf(dir, sizeof(dir), "/tmp/test-gateway-XXXXXX");
        assert_non_null(mkdtemp(dir));
        snprintf(url, sizeof(url), "sqlite:%s", dir);
        assert_int_equal(loop_create(&loop, NULL), ERR_OK);
        assert_int_equal(store_open(url, &store, NULL), ERR_OK);
        assert_int_equal(recorder_create(loop, store, dir, 1, true, &recorder, NULL), ERR_OK);
        assert_int_equal(snapshot_hub_create(loop, &loop, 1, &hub, NULL), ERR_OK);
        const struct gateway_config config = {.loops = &loop,
                                              .loop_count = 1,
                                              .engine = &fake,
                                              .hub = hub,
                                              .recorder = recorder,
                                              .control = loop,
                                              .request_bytes_max = 1000};
        assert_int_equal(gateway_create(&config, &gateway, NULL), ERR_OK);
        make_revision();
        make_server();
        put_function(FUNCTION_READY, revision);
        put_endpoint("e", "/x", "f", ROUTE_GET | ROUTE_POST, false, true);
        return 0;
}

static int stop(void **state)
{
        (void)state;
        if (client >= 0)
                close(client);
        http_server_destroy(server);
        close(listen_fd);
        pass();
        recorder_destroy(recorder);
        gateway_destroy(gateway);
        snapshot_hub_destroy(hub);
        revision_unref(revision);
        store_close(store);
        pass();
        loop_destroy(loop);
        pid_t pid = fork();
        if (pid == 0) {
                execl("/bin/rm", "rm", "-rf", dir, (char *)NULL);
                _exit(1);
        }
        waitpid(pid, NULL, 0);
        return 0;
}

static void say(const char *text)
{
        assert_int_equal(send(client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static bool whole(struct buf *reply)
{
        const char *text = buf_text(reply), *body = strstr(text, "\r\n\r\n"),
                   *length = strcasestr(text, "content-length: ");

        return body != NULL && length != NULL && strlen(body + 4) >= strtoul(length + 16, NULL, 10);
}

/* Sends a request and returns the whole reply. */
static const char *ask(struct buf *reply, const char *request)
{
        buf_init(reply, 1 << 20);
        say(request);
        for (int i = 0; i < STEPS_MAX && !whole(reply); i++) {
                pass();
                assert_int_equal(buf_reserve(reply, 4096), ERR_OK);
                ssize_t n = recv(client, reply->data + reply->len, 4096, MSG_DONTWAIT);
                if (n > 0)
                        reply->len += (size_t)n;
        }
        assert_true(whole(reply));
        return buf_text(reply);
}

static void reply_has(const char *request, const char *status, const char *text)
{
        own_buf struct buf reply = {.max = 1 << 20};
        const char *got = ask(&reply, request);

        if (strstr(got, status) == NULL || strstr(got, text) == NULL)
                fail_msg("expected '%s' and '%s' in:\n%s", status, text, got);
}

static bool count(void *arg, json_t *run)
{
        (void)run;
        ++*(unsigned *)arg;
        return true;
}

static unsigned stored(void)
{
        unsigned runs = 0;

        pass(); /* the record travels by a task of the loop */
        assert_int_equal(recorder_flush(recorder, NULL), ERR_OK);
        assert_int_equal(store_run_list(store, STR("org"), STR("p"), STR("f"), 0, 0, count, &runs, NULL),
                         ERR_OK);
        return runs;
}

static struct invocation seen;
static char seen_payload[64], seen_target[64], seen_type[64];

static void remember(struct invocation *inv)
{
        seen = *inv;
        snprintf(seen_payload, sizeof(seen_payload), "%.*s", STR_ARG(inv->payload));
        snprintf(seen_target, sizeof(seen_target), "%.*s", STR_ARG(inv->target));
        snprintf(seen_type, sizeof(seen_type), "%.*s", STR_ARG(inv->content_type));
        buf_append_text(&inv->content, "text/plain");
        buf_append(&inv->head, "X-Own\0v\0", 8);
        buf_append_text(&inv->body, "done");
        inv->status = 201;
}

static void a_request_reaches_the_function_as_it_came(void **state)
{
        (void)state;
        shape = remember;
        reply_has("POST /x?a=1 HTTP/1.1\r\nHost: H.Example:8081\r\nContent-Type: text/csv\r\nContent-Length: "
                  "3\r\n\r\na,b",
                  "HTTP/1.1 201 ", "X-Own: v\r\n");
        assert_string_equal(seen_payload, "a,b");
        assert_string_equal(seen_target, "/x?a=1");
        assert_string_equal(seen_type, "text/csv");
        assert_int_equal(seen.source, SOURCE_ENDPOINT);
        assert_int_equal(stored(), 1);
}

static void the_reply_is_the_payload_with_run_id_and_timing(void **state)
{
        (void)state;
        reply_has("GET /x HTTP/1.1\r\nHost: h.example\r\n\r\n", "HTTP/1.1 200 ", "\r\n\r\n{\"ok\":true}");
        reply_has("GET /x HTTP/1.1\r\nHost: h.example\r\n\r\n",
                  "Dispatch-Run-Id: ", "Server-Timing: queue;dur=");
}

static void unknown_hosts_and_paths_are_404_and_other_methods_405(void **state)
{
        (void)state;
        reply_has("GET /y HTTP/1.1\r\nHost: h.example\r\n\r\n", "HTTP/1.1 404 ",
                  "{\"code\":404,\"message\":\"no API found with those values\"}");
        reply_has("GET /x HTTP/1.1\r\nHost: other\r\n\r\n", "HTTP/1.1 404 ", "no API found");
        reply_has("DELETE /x HTTP/1.1\r\nHost: h.example\r\n\r\n", "HTTP/1.1 405 ",
                  "Allow: GET,HEAD,POST\r\n");
        reply_has("GET /a/../x HTTP/1.1\r\nHost: h.example\r\n\r\n", "HTTP/1.1 ", "\r\n\r\n");
        assert_int_equal(stored(), 0);
}

static void a_content_type_that_is_none_is_415_and_a_large_body_413(void **state)
{
        char request[2048];

        (void)state;
        reply_has(
                "POST /x HTTP/1.1\r\nHost: h.example\r\nContent-Type: nonsense\r\nContent-Length: 1\r\n\r\na",
                "HTTP/1.1 415 ", "request body type is not supported: nonsense");
        snprintf(request, sizeof(request),
                 "POST /x HTTP/1.1\r\nHost: h.example\r\nContent-Length: 1001\r\n\r\n%01001d", 0);
        reply_has(request, "HTTP/1.1 413 ", "larger than 1000 bytes, see --request-bytes-max");
        assert_int_equal(stored(), 0);
}

static void input_error(struct invocation *inv)
{
        inv->error_type = "InputError";
        buf_append_text(&inv->error, "{\"type\":\"InputError\",\"message\":\"request body is not "
                                     "json\",\"stacktrace\":[\"secret place\"]}");
}

static void timed_out(struct invocation *inv)
{
        inv->code = err_set(&inv->err, ERR_TIMEOUT, "too long");
        inv->error_type = "FunctionError";
        buf_append_text(&inv->error,
                        "{\"type\":\"FunctionError\",\"message\":\"too long\",\"stacktrace\":null}");
}

static void busy(struct invocation *inv)
{
        timed_out(inv);
        inv->code = ERR_LIMIT;
}

static void errors_have_status_type_and_message_but_a_trace_for_ours_alone(void **state)
{
        (void)state;
        shape = input_error;
        reply_has("GET /x HTTP/1.1\r\nHost: h.example\r\n\r\n", "HTTP/1.1 400 ",
                  "{\"code\":400,\"message\":\"request body is not "
                  "json\",\"error\":{\"type\":\"InputError\",\"message\":\"request body is not "
                  "json\"}}");
        reply_has("GET /x HTTP/1.1\r\nHost: h.example\r\nX-Dispatch-Org: org\r\n\r\n", "HTTP/1.1 400 ",
                  "\"stacktrace\":[\"secret place\"]");
        shape = timed_out;
        reply_has("GET /x HTTP/1.1\r\nHost: h.example\r\n\r\n", "HTTP/1.1 504 ", "\"message\":\"too long\"");
        shape = busy;
        reply_has("GET /x HTTP/1.1\r\nHost: h.example\r\n\r\n", "HTTP/1.1 429 ", "Retry-After: 1\r\n");
        assert_int_equal(stored(), 4);
}

static void cors_answers_the_preflight_and_marks_replies(void **state)
{
        (void)state;
        put_endpoint("c", "/c", "f", ROUTE_GET, true, true);
        reply_has("OPTIONS /c HTTP/1.1\r\nHost: h.example\r\n\r\n", "HTTP/1.1 200 ",
                  "Access-Control-Allow-Methods: *\r\n");
        assert_int_equal(stored(), 0);
        reply_has("GET /c HTTP/1.1\r\nHost: h.example\r\n\r\n", "HTTP/1.1 200 ",
                  "Access-Control-Allow-Origin: *\r\n");
}

static void an_https_only_endpoint_refuses_and_does_not_run(void **state)
{
        (void)state;
        put_endpoint("s", "/s", "f", ROUTE_GET, false, false);
        reply_has("GET /s HTTP/1.1\r\nHost: h.example\r\n\r\n", "HTTP/1.1 400 ", "Please use HTTPS protocol");
        assert_int_equal(stored(), 0);
}

static void a_function_that_is_missing_or_broken_is_told(void **state)
{
        (void)state;
        put_endpoint("m", "/m", "missing", ROUTE_GET, false, true);
        reply_has("GET /m HTTP/1.1\r\nHost: h.example\r\n\r\n", "HTTP/1.1 404 ",
                  "function missing not found");
        put_function(FUNCTION_ERROR, NULL);
        reply_has("GET /x HTTP/1.1\r\nHost: h.example\r\n\r\n", "HTTP/1.1 503 ",
                  "function f cannot run: it is broken");
        put_function(FUNCTION_ERROR, revision);
        reply_has("GET /x HTTP/1.1\r\nHost: h.example\r\n\r\n", "HTTP/1.1 200 ", "ok");
}

static void a_request_waits_for_a_function_that_is_being_built(void **state)
{
        (void)state;
        put_function(FUNCTION_PENDING, NULL);
        say("GET /x HTTP/1.1\r\nHost: h.example\r\n\r\n");
        for (int i = 0; i < 50; i++)
                pass();
        assert_null(invoked);
        hold = true;
        put_function(FUNCTION_READY, revision);
        for (int i = 0; i < STEPS_MAX && invoked == NULL; i++)
                pass();
        assert_non_null(invoked);
        answer(invoked);
}

static void a_client_that_goes_away_cancels_the_run_and_its_record_stays(void **state)
{
        (void)state;
        hold = true;
        say("GET /x HTTP/1.1\r\nHost: h.example\r\n\r\n");
        for (int i = 0; i < STEPS_MAX && invoked == NULL; i++)
                pass();
        close(client);
        client = -1;
        for (int i = 0; i < STEPS_MAX && cancels == 0; i++)
                pass();
        assert_int_equal(cancels, 1);
        shape = timed_out;
        answer(invoked);
        pass();
        assert_int_equal(stored(), 1);
}

static void a_run_that_nobody_waits_for_is_written_down_first(void **state)
{
        (void)state;
        hold = true;
        reply_has("POST /x HTTP/1.1\r\nHost: h.example\r\nX-Dispatch-Blocking: false\r\nContent-Length: "
                  "2\r\n\r\n{}",
                  "HTTP/1.1 200 ", "\r\n\r\n");
        assert_int_equal(stored(), 1);
        assert_non_null(invoked);
        answer(invoked);
        pass();
        assert_int_equal(stored(), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(a_request_reaches_the_function_as_it_came),
                TEST(the_reply_is_the_payload_with_run_id_and_timing),
                TEST(unknown_hosts_and_paths_are_404_and_other_methods_405),
                TEST(a_content_type_that_is_none_is_415_and_a_large_body_413),
                TEST(errors_have_status_type_and_message_but_a_trace_for_ours_alone),
                TEST(cors_answers_the_preflight_and_marks_replies),
                TEST(an_https_only_endpoint_refuses_and_does_not_run),
                TEST(a_function_that_is_missing_or_broken_is_told),
                TEST(a_request_waits_for_a_function_that_is_being_built),
                TEST(a_client_that_goes_away_cancels_the_run_and_its_record_stays),
                TEST(a_run_that_nobody_waits_for_is_written_down_first),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
