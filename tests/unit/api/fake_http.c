/* Stands in for the HTTP server: an exchange is a request that a test wrote and a place for the reply. And
 * what tests begin with. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS_MAX = 16 };

struct http_exchange {
        struct loop *loop;
        struct http_request request;
        struct http_field fields[FIELDS_MAX];
        char *text; /* method, target and fields live in it */
        struct str body;
        struct reply *reply;
        void (*aborted)(struct http_exchange *exchange, void *arg);
        void *aborted_arg;
};

static struct http_exchange *last;

struct str http_field_get(struct http_fields fields, struct str name)
{
        for (size_t i = 0; i < fields.count; i++) {
                if (str_eq_nocase(fields.items[i].name, name))
                        return fields.items[i].value;
        }
        return (struct str){NULL, 0};
}

const struct http_request *http_request(struct http_exchange *exchange)
{
        return &exchange->request;
}

struct loop *http_loop(struct http_exchange *exchange)
{
        return exchange->loop;
}

void http_on_abort(struct http_exchange *exchange, void (*aborted)(struct http_exchange *exchange, void *arg),
                   void *arg)
{
        exchange->aborted = aborted;
        exchange->aborted_arg = arg;
}

static void exchange_free(struct http_exchange *exchange)
{
        if (last == exchange)
                last = NULL;
        free((char *)exchange->body.p);
        free(exchange->text);
        free(exchange);
}

void http_collect(struct http_exchange *exchange, uint64_t bytes_max,
                  void (*done)(struct http_exchange *exchange, void *arg, enum err_code code,
                               struct str body),
                  void *arg)
{
        if (exchange->body.len > bytes_max)
                done(exchange, arg, ERR_TOO_LARGE, STR(""));
        else
                done(exchange, arg, ERR_OK, exchange->body);
}

static void keep(char **slot, struct http_fields fields, const char *name)
{
        struct str value = http_field_get(fields, str_of(name));

        if (value.p != NULL)
                *slot = strndup(value.p, value.len);
}

void http_reply(struct http_exchange *exchange, int status, struct http_fields fields, struct str body)
{
        struct reply *reply = exchange->reply;

        assert_false(reply->delivered);
        reply->delivered = true;
        reply->status = status;
        reply->body = strndup(body.len > 0 ? body.p : "", body.len);
        keep(&reply->content_type, fields, "Content-Type");
        keep(&reply->etag, fields, "ETag");
        keep(&reply->allow, fields, "Allow");
        keep(&reply->truncated, fields, "Dispatch-Truncated");
        json_parse(str_of(reply->body), &reply->json, NULL);
        exchange_free(exchange);
}

void http_reply_buf(struct http_exchange *exchange, int status, struct http_fields fields, struct buf *body)
{
        http_reply(exchange, status, fields, (struct str){body->data, body->len});
        buf_finish(body);
        *body = (struct buf){.max = body->max};
}

/* No test here asks for a file or a reply in pieces. */
bool http_reply_file(struct http_exchange *exchange, int status, struct http_fields fields, int fd,
                     uint64_t len)
{
        (void)exchange, (void)status, (void)fields, (void)fd, (void)len;
        return false;
}

void http_reply_start(struct http_exchange *exchange, int status, struct http_fields fields,
                      int64_t content_length, void (*writable)(struct http_exchange *exchange, void *arg),
                      void *arg)
{
        (void)exchange, (void)status, (void)fields, (void)content_length, (void)writable, (void)arg;
        fail();
}

bool http_reply_write(struct http_exchange *exchange, struct str bytes)
{
        (void)exchange, (void)bytes;
        fail();
        return false;
}

void http_reply_end(struct http_exchange *exchange)
{
        (void)exchange;
        fail();
}

bool http_token_valid(struct str name)
{
        for (size_t i = 0; i < name.len; i++) {
                if (name.p[i] <= ' ' || name.p[i] == ':' || name.p[i] == '/')
                        return false;
        }
        return name.len > 0;
}

bool http_value_valid(struct str value)
{
        for (size_t i = 0; i < value.len; i++) {
                if (value.p[i] == '\r' || value.p[i] == '\n' || value.p[i] == '\0')
                        return false;
        }
        return true;
}

void reply_finish(struct reply *reply)
{
        free(reply->body);
        json_decref(reply->json);
        free(reply->content_type);
        free(reply->etag);
        free(reply->allow);
        free(reply->truncated);
        *reply = (struct reply){0};
}

static void fields_parse(struct http_exchange *exchange, struct str fields)
{
        size_t count = 0;

        while (fields.len > 0) {
                struct str line = str_cut(&fields, '\n'), name = str_cut(&line, ':');

                assert_true(count < FIELDS_MAX);
                exchange->fields[count++] = (struct http_field){name, str_trim(line, " ")};
        }
        exchange->request.fields = (struct http_fields){exchange->fields, count};
}

void call_begin(struct fixture *fixture, struct reply *reply, const char *method, const char *target,
                const char *fields, const char *body)
{
        struct http_exchange *exchange = calloc(1, sizeof(*exchange));
        int len = asprintf(&exchange->text, "%s %s\n%s", method, target, fields);

        assert_true(len > 0);
        reply_finish(reply);

        struct str rest = {exchange->text, (size_t)len}, head = str_cut(&rest, '\n');
        struct http_request *request = &exchange->request;
        request->method = str_cut(&head, ' ');
        request->target = head;
        request->query = head;
        request->path = str_cut(&request->query, '?');
        fields_parse(exchange, rest);
        if (body != NULL) {
                request->has_body = true;
                request->content_length = (int64_t)strlen(body);
                exchange->body = str_of(strdup(body));
        }
        exchange->loop = fixture->loop;
        exchange->reply = reply;
        last = exchange;
        fixture->handler.on_request(fixture->handler.ctx, exchange);
}

void call_break(void)
{
        assert_non_null(last);
        if (last->aborted != NULL)
                last->aborted(last, last->aborted_arg);
        exchange_free(last);
}

void wait_reply(struct fixture *fixture, struct reply *reply)
{
        for (int i = 0; i < 10000 && !reply->delivered; i++)
                loop_step(fixture->loop, true);
        assert_true(reply->delivered);
}

void call_with(struct fixture *fixture, struct reply *reply, const char *method, const char *target,
               const char *fields, const char *body)
{
        call_begin(fixture, reply, method, target, fields, body);
        if (!reply->delivered)
                wait_reply(fixture, reply);
}

void call(struct fixture *fixture, struct reply *reply, const char *method, const char *target,
          const char *body)
{
        call_with(fixture, reply, method, target, "Content-Type: application/json\nX-Dispatch-Org: ", body);
}

void make_image(struct fixture *fixture)
{
        own_reply struct reply reply = {0};

        call(fixture, &reply, "POST", "/v1/image",
             "{\"name\":\"python3\",\"baseImageName\":\"dispatchframework/python3-base:0.0.13-knative\"}");
        assert_int_equal(reply.status, 201);
        settle(fixture);
}

void make_function(struct fixture *fixture, const char *name)
{
        own_reply struct reply reply = {0};
        char body[256];

        snprintf(body, sizeof(body), "{\"name\":\"%s\",\"image\":\"python3\",\"source\":\"c291cmNl\"}", name);
        call(fixture, &reply, "POST", "/v1/function", body);
        assert_int_equal(reply.status, 201);
        settle(fixture);
}

const char *text_of(const json_t *json, const char *key)
{
        const char *text = json_string_value(json_object_get(json, key));

        return text != NULL ? text : "";
}
