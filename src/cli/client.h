/*
 * cli/client.h: calls of the REST API by libcurl, and what a reply means (CONTRACT.md 1.2 and 1.3).
 *
 * One client a process; not thread-safe; every call blocks.
 */
#ifndef DISPATCH_CLI_CLIENT_H
#define DISPATCH_CLI_CLIENT_H

#include "base/arena.h"
#include "base/err.h"
#include "cli/config.h"
#include "model/json.h"

enum {
        CLIENT_REPLY_MAX = 64 << 20,    /* bytes of a reply, after decompression */
        CLIENT_REQUEST_MAX = 128 << 20, /* bytes of a request's body */
        CLIENT_CONNECT_TIMEOUT_S = 15,
        CLIENT_IDLE_TIMEOUT_S = 60, /* no byte either way; not for calls that wait for a function */
        CLIENT_URL_MAX = 8192
};

struct client;

/* Keeps `settings`. */
enum err_code client_create(const struct settings *settings, struct client **ret, struct err *err);
void client_destroy(struct client *client);

/* "/v1/COLLECTION[/NAME]", the name percent-encoded (RFC 3986); NULL `name`: the collection. */
enum err_code client_path(struct arena *arena, const char *collection, const char *name, const char **ret,
                          struct err *err);
/* Appends "?key=value" or "&key=value", percent-encoded. */
enum err_code client_query(struct arena *arena, const char *path, const char *key, const char *value,
                           const char **ret, struct err *err);

struct call {
        const char *method;
        const char *path;
        const json_t *body;       /* or NULL */
        const char *error_prefix; /* before "[Code: N] ...", or NULL */
        bool may_take_long;       /* the server answers when a function has ended */
        long timeout_ms;          /* for the whole of it; 0: none */
        bool no_cookie;           /* without credentials do not say "Cookie: unset" */
        const char *accept;       /* media type of the reply, or NULL: JSON */
        /* Gets the body of a 2xx as it comes, whatever it is, of any length; false ends the exchange. NULL:
         * it is kept. */
        bool (*sink)(void *arg, struct str bytes);
        void *sink_arg;
};

/*
 * *ret is the reply's JSON, NULL when a 2xx had no body. On failure err->text is one line for standard error:
 * "[Code: 404] ..." for what the server refused (err->detail is the body's code and err->code follows the
 * HTTP status), or what went wrong on the way and what to do. client_failure has the whole text where
 * err->text had to be cut.
 */
enum err_code client_call(struct client *client, const struct call *call, json_t **ret, struct err *err);
/* The path of the page that follows the last reply, a list's, if the server named one; until the next call.
 */
const char *client_next(const struct client *client);
/* The uncut text that *err begins with, else err->text. */
const char *client_failure(struct client *client, const struct err *err);

#endif
