/*
 * cli/client.c: one HTTP exchange by libcurl, and its reply as JSON or an error that says what to do. The
 * server may be hostile: replies are bounded, redirects are not followed, texts are made safe for a terminal.
 */
#include "cli/client.h"

#include "base/own.h"
#include "cli/auth.h"
#include "cli/interrupt.h"
#include "cli/link.h"
#include "cli/text.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct client {
        CURL *curl;
        const struct call *call; /* that is under way */
        const struct settings *settings;
        char base_url[512];
        char where[512]; /* what error texts call the server */
        struct buf request, reply, failure;
        char next[CLIENT_URL_MAX]; /* the path of the page behind the last reply; "": there is none */
        char curl_error[CURL_ERROR_SIZE];
};

struct header_list {
        struct curl_slist *list;
        bool failed;
};

static void header_list_finish(struct header_list *headers)
{
        curl_slist_free_all(headers->list);
}
#define own_headers __attribute__((cleanup(header_list_finish)))

static size_t keep_reply(char *bytes, size_t size, size_t count, void *context)
{
        struct client *client = context;
        long status = 0;

        if (client->call->sink != NULL)
                curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
        if (status >= 200 && status < 300)
                return client->call->sink(client->call->sink_arg, (struct str){bytes, size * count})
                               ? size * count
                               : 0;
        return buf_append(&client->reply, bytes, size * count) == ERR_OK ? size * count : 0;
}

/* What names the next page is kept; a field that is too long to be one of ours is none. */
static size_t keep_header(char *bytes, size_t size, size_t count, void *context)
{
        struct client *client = context;
        struct str value = {bytes, size * count}, name = str_cut(&value, ':'), next;

        if (!str_eq_nocase(name, STR("Link")))
                return size * count;
        next = link_next(str_trim(value, " \t\r\n"));
        if (next.p != NULL && next.len < sizeof(client->next)) {
                memcpy(client->next, next.p, next.len);
                client->next[next.len] = '\0';
        }
        return size * count;
}

/* A host goes into a URL, so it must be nothing but a name or an address. */
static bool host_is_valid(const char *host)
{
        for (const char *at = host; *at != '\0'; at++) {
                bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                              (*at >= '0' && *at <= '9');
                if (!letter && strchr(".-_:[]%", *at) == NULL)
                        return false;
        }
        return host[0] != '\0';
}

static enum err_code set_base_url(struct client *client, struct err *err)
{
        const struct settings *settings = client->settings;
        bool bare_ipv6 = strchr(settings->host, ':') != NULL && settings->host[0] != '[';
        int len;

        if (!host_is_valid(settings->host))
                return err_set(
                        err, ERR_INVALID,
                        "invalid host \"%s\": must be a name or an address; scheme and port have flags "
                        "of their own",
                        settings->host);
        len = snprintf(client->base_url, sizeof(client->base_url), "%s://%s%s%s:%d", settings->scheme,
                       bare_ipv6 ? "[" : "", settings->host, bare_ipv6 ? "]" : "", (int)settings->port);
        if (len >= (int)sizeof(client->base_url))
                return err_set(err, ERR_INVALID, "invalid host: too long");
        if (settings->socket_path != NULL)
                snprintf(client->where, sizeof(client->where), "the socket %s", settings->socket_path);
        else
                snprintf(client->where, sizeof(client->where), "%s", client->base_url);
        return ERR_OK;
}

enum err_code client_create(const struct settings *settings, struct client **ret, struct err *err)
{
        struct client *client = calloc(1, sizeof(*client));

        if (client == NULL)
                return err_nomem(err);
        client->settings = settings;
        buf_init(&client->request, CLIENT_REQUEST_MAX);
        buf_init(&client->reply, CLIENT_REPLY_MAX);
        buf_init(&client->failure, CLIENT_REPLY_MAX);
        if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
                client->curl = curl_easy_init();

        enum err_code code = client->curl != NULL ? set_base_url(client, err)
                                                  : err_set(err, ERR_SYSTEM, "libcurl does not start");
        if (code != ERR_OK) {
                client_destroy(client);
                return code;
        }
        *ret = client;
        return ERR_OK;
}

void client_destroy(struct client *client)
{
        if (client == NULL)
                return;
        curl_easy_cleanup(client->curl);
        buf_finish(&client->request);
        buf_finish(&client->reply);
        buf_finish(&client->failure);
        free(client);
}

static enum err_code append_encoded(struct buf *out, const char *text)
{
        enum err_code code = ERR_OK;

        for (const char *at = text; *at != '\0' && code == ERR_OK; at++) {
                bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                             (*at >= '0' && *at <= '9') || strchr("-._~", *at) != NULL;
                code = plain ? buf_append(out, at, 1) : buf_printf(out, "%%%02X", (unsigned char)*at);
        }
        return code;
}

static enum err_code keep_path(struct arena *arena, struct buf *path, enum err_code code, const char **ret,
                               struct err *err)
{
        const char *copy = NULL;

        if (code == ERR_TOO_LARGE)
                return err_set(err, ERR_INVALID, "a name is too long: the path would exceed %d bytes",
                               CLIENT_URL_MAX);
        if (code == ERR_OK)
                copy = arena_strdup(arena, (struct str){path->data, path->len});
        if (copy == NULL)
                return err_nomem(err);
        *ret = copy;
        return ERR_OK;
}

enum err_code client_path(struct arena *arena, const char *collection, const char *name, const char **ret,
                          struct err *err)
{
        own_buf struct buf path = {.max = CLIENT_URL_MAX};

        /* An empty name would make it the collection's path: a DELETE of that is never meant. */
        if (name != NULL && name[0] == '\0')
                return err_set(err, ERR_INVALID, "the name must not be empty");

        enum err_code code = buf_printf(&path, "/v1/%s", collection);
        if (code == ERR_OK && name != NULL)
                code = buf_append_text(&path, "/");
        if (code == ERR_OK && name != NULL)
                code = append_encoded(&path, name);
        return keep_path(arena, &path, code, ret, err);
}

enum err_code client_query(struct arena *arena, const char *path, const char *key, const char *value,
                           const char **ret, struct err *err)
{
        own_buf struct buf longer = {.max = CLIENT_URL_MAX};
        enum err_code code = buf_printf(&longer, "%s%c%s=", path, strchr(path, '?') != NULL ? '&' : '?', key);
        if (code == ERR_OK)
                code = append_encoded(&longer, value);
        return keep_path(arena, &longer, code, ret, err);
}

static void add_header(struct header_list *headers, const char *line)
{
        struct curl_slist *longer = curl_slist_append(headers->list, line);

        headers->failed = headers->failed || longer == NULL;
        if (longer != NULL)
                headers->list = longer;
}

/* libcurl drops a header without a value, unless it ends with a semicolon. */
static enum err_code add_value(struct header_list *headers, const char *name, const char *value,
                               struct err *err)
{
        own_buf struct buf line = {.max = 64 * 1024};

        for (const char *at = value; *at != '\0'; at++) {
                if ((unsigned char)*at < 0x20 || *at == 0x7f)
                        return err_set(err, ERR_INVALID, "the value for %s has a control character in it",
                                       name);
        }
        if (buf_printf(&line, value[0] != '\0' ? "%s: %s" : "%s;%s", name, value) != ERR_OK ||
            buf_text(&line) == NULL)
                return err_set(err, ERR_INVALID, "the value for %s is too long", name);
        add_header(headers, buf_text(&line));
        return headers->failed ? err_nomem(err) : ERR_OK;
}

/* Exactly one of a token, a service account's signed claim, a cookie. */
static enum err_code add_credentials(struct client *client, const struct call *call,
                                     struct header_list *headers, struct err *err)
{
        const struct settings *settings = client->settings;
        own_buf struct buf bearer = {.max = 32 * 1024};
        if (settings->token[0] != '\0') {
                buf_printf(&bearer, "Bearer %s", settings->token);
        } else if (settings->service_account[0] != '\0') {
                enum err_code code = buf_append_text(&bearer, "Bearer ");
                if (code == ERR_OK)
                        code = auth_sign(settings, &bearer, err);
                if (code != ERR_OK)
                        return code;
        }
        if (bearer.len > 0)
                return buf_text(&bearer) != NULL ? add_value(headers, "Authorization", buf_text(&bearer), err)
                                                 : err_nomem(err);
        if (settings->cookie[0] != '\0')
                return add_value(headers, "Cookie", settings->cookie, err);
        return call->no_cookie ? ERR_OK : add_value(headers, "Cookie", "unset", err);
}

static enum err_code add_headers(struct client *client, const struct call *call, struct header_list *headers,
                                 struct err *err)
{
        enum err_code code = ERR_OK;

        if (call->accept != NULL)
                code = add_value(headers, "Accept", call->accept, err);
        else
                add_header(headers, "Accept: application/json");
        add_header(headers, "Expect:"); /* do not wait for a 100 before a large body */
        if (strcmp(call->method, "GET") != 0)
                add_header(headers, "Content-Type: application/json");
        if (code == ERR_OK)
                code = add_value(headers, "X-Dispatch-Org", client->settings->organization, err);
        if (code == ERR_OK)
                code = add_value(headers, "X-Dispatch-Project", client->settings->project, err);
        if (code == ERR_OK)
                code = add_credentials(client, call, headers, err);
        return code == ERR_OK && headers->failed ? err_nomem(err) : code;
}

static bool is_loopback(const char *host)
{
        return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
               strcmp(host, "[::1]") == 0;
}

/* libcurl asks at least once a second, and when a signal ended its wait. */
static int stop_if_interrupted(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                               curl_off_t up)
{
        (void)context, (void)down_total, (void)down, (void)up_total, (void)up;
        return interrupt_came() ? 1 : 0;
}

static void set_transport(struct client *client, bool may_take_long)
{
        const struct settings *settings = client->settings;
        CURL *curl = client->curl;

        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, stop_if_interrupted);
        curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CLIENT_CONNECT_TIMEOUT_S);
        curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, may_take_long ? 0L : (long)CLIENT_IDLE_TIMEOUT_S);
        curl_easy_setopt(curl, CURLOPT_HTTP09_ALLOWED, 0L);
        /* The system's certificates stay in force beside it: they are libcurl's folder of CAs. */
        if (settings->ca_file[0] != '\0')
                curl_easy_setopt(curl, CURLOPT_CAINFO, settings->ca_file);
        if (settings->insecure) {
                curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
                curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
        }
        if (settings->socket_path != NULL)
                curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, settings->socket_path);
        /* A proxy of the environment is never meant for a server on this machine. */
        if (settings->socket_path != NULL || is_loopback(settings->host))
                curl_easy_setopt(curl, CURLOPT_PROXY, "");
}

static enum err_code set_request(struct client *client, const struct call *call, struct err *err)
{
        char url[sizeof(client->base_url) + CLIENT_URL_MAX];
        CURL *curl = client->curl;

        snprintf(url, sizeof(url), "%s%s", client->base_url, call->path);
        if (curl_easy_setopt(curl, CURLOPT_URL, url) != CURLE_OK)
                return err_nomem(err);
        curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
        curl_easy_setopt(curl, CURLOPT_USERAGENT, "dispatch/" DISPATCH_VERSION);
        curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "gzip");
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->curl_error);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep_reply);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, client);
        curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, keep_header);
        curl_easy_setopt(curl, CURLOPT_HEADERDATA, client);

        buf_clear(&client->request);
        if (call->body != NULL) {
                enum err_code code = json_print(call->body, &client->request, err);
                if (code != ERR_OK)
                        return code;
                curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)client->request.len);
                curl_easy_setopt(curl, CURLOPT_POSTFIELDS, client->request.data);
        }
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
        return ERR_OK;
}

static enum err_code explain_connect(struct client *client, struct err *err)
{
        char reason[TEXT_ERRNO_MAX];
        long os_errno = 0;

        curl_easy_getinfo(client->curl, CURLINFO_OS_ERRNO, &os_errno);
        return err_set(
                err, ERR_UNAVAILABLE,
                "cannot reach %s: %s: is the server running? Start it with dispatch-server, or say where "
                "it is with --host, --port and --scheme",
                client->where, os_errno != 0 ? text_errno((int)os_errno, reason) : client->curl_error);
}

/* One line for each way in which an exchange fails, with what to do. */
static enum err_code explain(struct client *client, CURLcode result, struct err *err)
{
        const char *where = client->where;
        const char *detail = client->curl_error[0] != '\0' ? client->curl_error : curl_easy_strerror(result);

        switch ((int)result) {
        case CURLE_COULDNT_CONNECT:
                return explain_connect(client, err);
        case CURLE_COULDNT_RESOLVE_HOST:
                return err_set(err, ERR_UNAVAILABLE, "cannot reach %s: no such host: check --host", where);
        case CURLE_OPERATION_TIMEDOUT:
                return err_set(err, ERR_TIMEOUT, "no answer from %s: %s", where, detail);
        case CURLE_PEER_FAILED_VERIFICATION:
                return err_set(err, ERR_UNAVAILABLE,
                               "cannot verify %s: %s: if it is the right server, trust its certificate with "
                               "--cacert FILE; --insecure goes on without verifying",
                               where, detail);
        case CURLE_SSL_CACERT_BADFILE:
                return err_set(err, ERR_INVALID, "cannot use the certificates of --cacert %s: %s",
                               client->settings->ca_file, detail);
        case CURLE_SSL_CONNECT_ERROR:
                return err_set(err, ERR_UNAVAILABLE,
                               "no TLS with %s: %s: if the server speaks plain HTTP, add --scheme http",
                               where, detail);
        case CURLE_GOT_NOTHING:
        case CURLE_PARTIAL_FILE:
        case CURLE_RECV_ERROR:
        case CURLE_SEND_ERROR:
                return err_set(
                        err, ERR_BAD_REPLY,
                        "%s broke off before its reply was complete: whether the request was carried out "
                        "is not known (%s)",
                        where, detail);
        case CURLE_WRITE_ERROR:
                return err_set(err, ERR_BAD_REPLY, "the reply of %s is larger than %d MiB", where,
                               CLIENT_REPLY_MAX >> 20);
        case CURLE_OUT_OF_MEMORY:
                return err_nomem(err);
        case CURLE_ABORTED_BY_CALLBACK:
                return err_set(err, ERR_CANCELLED, "interrupted");
        default:
                return err_set(err, ERR_BAD_REPLY, "unexpected reply from %s: %s", where, detail);
        }
}

static enum err_code exchange(struct client *client, const struct call *call, struct err *err)
{
        own_headers struct header_list headers = {.list = NULL};
        enum err_code code;

        curl_easy_reset(client->curl);
        client->call = call;
        client->curl_error[0] = '\0';
        client->next[0] = '\0';
        buf_clear(&client->reply);
        set_transport(client, call->may_take_long);
        curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, call->timeout_ms);
        code = set_request(client, call, err);
        if (code == ERR_OK)
                code = add_headers(client, call, &headers, err);
        if (code != ERR_OK)
                return code;
        if (curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers.list) != CURLE_OK)
                return err_nomem(err);

        CURLcode result = curl_easy_perform(client->curl);
        curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, NULL);
        return result == CURLE_OK ? ERR_OK : explain(client, result, err);
}

/* True for application/json with or without parameters, and when the server did not say. */
static bool is_json(const char *content_type)
{
        struct str type = str_of(content_type);

        if (content_type == NULL)
                return true;
        return str_eq_nocase(str_trim(str_cut(&type, ';'), " \t"), STR("application/json"));
}

static enum err_code code_of_status(long status)
{
        for (int code = ERR_INVALID; code < ERR_CODE_COUNT; code++) {
                if (err_http_status((enum err_code)code) == status)
                        return (enum err_code)code;
        }
        return status >= 500 ? ERR_SYSTEM : ERR_INVALID;
}

/* Line breaks of a message stay, everything else that steers a terminal does not. */
static enum err_code append_message(struct buf *out, struct str message)
{
        enum err_code code = ERR_OK;

        while (message.len > 0 && code == ERR_OK) {
                bool more = str_find(message, '\n') < message.len;
                code = text_append_safe(out, str_cut(&message, '\n'));
                if (code == ERR_OK && more)
                        code = buf_append_text(out, "\n");
        }
        return code;
}

static enum err_code refuse(struct client *client, const struct call *call, long status, const json_t *body,
                            struct err *err)
{
        json_int_t number = json_integer_value(json_object_get(body, "code"));
        struct str message = json_str(body, "message");
        struct buf *text = &client->failure;

        buf_clear(text);
        enum err_code code = buf_printf(text, "%s[Code: %" JSON_INTEGER_FORMAT "] ",
                                        call->error_prefix != NULL ? call->error_prefix : "", number);
        if (code == ERR_OK && message.p != NULL)
                code = append_message(text, message);
        if (code != ERR_OK || buf_text(text) == NULL)
                return err_nomem(err);
        err_set(err, code_of_status(status), "%s", buf_text(text));
        err->detail = number > 0 && number < 100000 ? (int)number : 0;
        return err->code;
}

static enum err_code bad_content_type(const char *content_type, struct err *err)
{
        own_buf struct buf safe = {.max = 1024};
        if (text_append_safe(&safe, str_of(content_type)) != ERR_OK || buf_text(&safe) == NULL)
                return err_set(err, ERR_BAD_REPLY, "unexpected error received from server: no consumer");
        return err_set(err, ERR_BAD_REPLY, "unexpected error received from server: no consumer: \"%s\"",
                       buf_text(&safe));
}

static enum err_code read_reply(struct client *client, const struct call *call, json_t **ret, struct err *err)
{
        own_json json_t *body = NULL;
        char *content_type = NULL;
        long status = 0;
        enum err_code code = ERR_OK;

        curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(client->curl, CURLINFO_CONTENT_TYPE, &content_type);

        bool success = status >= 200 && status < 300;
        if (success && call->sink != NULL)
                return ERR_OK;
        struct str text = str_trim((struct str){client->reply.data, client->reply.len}, " \r\n\t");
        if (text.len > 0 && !is_json(content_type))
                return bad_content_type(content_type, err);
        if (text.len > 0)
                code = json_parse_own(text, &body, err);
        if (code != ERR_OK)
                return err_wrap(
                        err, ERR_BAD_REPLY,
                        "unexpected error received from server: HTTP status %ld with a body that is not JSON",
                        status);
        if (!success && text.len == 0)
                return err_set(err, code_of_status(status),
                               "unexpected error received from server: HTTP status %ld with an empty body",
                               status);
        if (!success)
                return refuse(client, call, status, body, err);
        *ret = take_ptr(&body);
        return ERR_OK;
}

enum err_code client_call(struct client *client, const struct call *call, json_t **ret, struct err *err)
{
        assert(strlen(call->path) < CLIENT_URL_MAX);

        enum err_code code = exchange(client, call, err);
        return code == ERR_OK ? read_reply(client, call, ret, err) : code;
}

const char *client_failure(struct client *client, const struct err *err)
{
        if (client == NULL || client->failure.len == 0)
                return err->text;
        return strncmp(client->failure.data, err->text, strlen(err->text)) == 0 ? client->failure.data
                                                                                : err->text;
}

const char *client_next(const struct client *client)
{
        return client != NULL && client->next[0] != '\0' ? client->next : NULL;
}
