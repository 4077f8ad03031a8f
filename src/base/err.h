/*
 * base/err.h: the one error type. Layer 0, includes nothing of ours.
 *
 * A function that can fail returns enum err_code and takes a struct err * as its last parameter. The struct
 * lives on the caller's stack and has a fixed size, so reporting an error cannot fail itself. On failure the
 * function's other outputs are untouched. `err` may be NULL where the caller needs only the code.
 */
#ifndef DISPATCH_BASE_ERR_H
#define DISPATCH_BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>

#define ERR_TABLE(X)                                                                                         \
        /* code           name  http  retry helps */                                                         \
        X(OK, "ok", 200, false)                                                                              \
        X(INVALID, "invalid", 400, false)                                                                    \
        X(UNAUTHENTICATED, "unauthenticated", 401, false)                                                    \
        X(FORBIDDEN, "forbidden", 403, false)                                                                \
        X(NOT_FOUND, "not_found", 404, false)                                                                \
        X(METHOD, "method", 405, false)                                                                      \
        X(CONFLICT, "conflict", 409, false)                                                                  \
        X(PRECONDITION, "precondition", 412, false)                                                          \
        X(TOO_LARGE, "too_large", 413, false)                                                                \
        X(MEDIA_TYPE, "media_type", 415, false)                                                              \
        X(UNPROCESSABLE, "unprocessable", 422, false)                                                        \
        X(LIMIT, "limit", 429, true)                                                                         \
        X(HEADER_LIMIT, "header_limit", 431, false)                                                          \
        X(SYSTEM, "system", 500, false)                                                                      \
        X(NO_MEMORY, "no_memory", 500, true)                                                                 \
        X(CORRUPT, "corrupt", 500, false)                                                                    \
        X(NOT_IMPLEMENTED, "not_implemented", 501, false)                                                    \
        X(BAD_REPLY, "bad_reply", 502, false)                                                                \
        X(UNAVAILABLE, "unavailable", 503, true)                                                             \
        X(TIMEOUT, "timeout", 504, true)                                                                     \
        X(CANCELLED, "cancelled", 503, true)

enum err_code {
#define X(code, name, http, retry) ERR_##code,
        ERR_TABLE(X)
#undef X
                ERR_CODE_COUNT
};

enum { ERR_TEXT_MAX = 480 };

struct err {
        enum err_code code;
        int sys_errno; /* 0 unless err_sys or err_disk has set it */
        int detail;    /* the API's body code where it is not the HTTP status (601 to 606), else 0 */
        char text[ERR_TEXT_MAX]; /* "outer: inner"; no secrets, no trailing newline; cut when longer */
};

/* Fills *err and returns code, so that `return err_set(...)` reads as one step. */
enum err_code err_set(struct err *err, enum err_code code, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
enum err_code err_vset(struct err *err, enum err_code code, const char *fmt, va_list args)
        __attribute__((format(printf, 3, 0)));

/* ERR_SYSTEM from the current errno; the text is "MESSAGE: strerror". */
enum err_code err_sys(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same for a write to the disk: ERR_UNAVAILABLE when there is no room left (space, inodes, quota), and
 * the text says so: with room the same call works. */
enum err_code err_disk(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ERR_NO_MEMORY with a standard text. */
enum err_code err_nomem(struct err *err);

/* Puts "MESSAGE: " before the text that is there, and returns code. */
enum err_code err_wrap(struct err *err, enum err_code code, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

#ifdef __clang_analyzer__
/* It reads one source file at a time: let it see what these return. */
#define err_set(err, code, ...)  ((err_set)((err), (code), __VA_ARGS__), (code))
#define err_wrap(err, code, ...) ((err_wrap)((err), (code), __VA_ARGS__), (code))
#define err_sys(err, ...)        ((err_sys)((err), __VA_ARGS__), ERR_SYSTEM)
#define err_disk(err, ...)       ((err_disk)((err), __VA_ARGS__), ERR_SYSTEM)
#define err_nomem(err)           ((err_nomem)(err), ERR_NO_MEMORY)
#endif

/* The HTTP status of a code, whether trying again can help, and its name ("not_found"). */
int err_http_status(enum err_code code);
bool err_retry_helps(enum err_code code);
const char *err_name(enum err_code code);

#endif
