/* base/err.c: filling struct err; nothing here allocates. */
#include "base/err.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
        const char *name;
        int http;
        bool retry_helps;
} codes[] = {
#define X(code, name, http, retry) [ERR_##code] = {name, http, retry},
        ERR_TABLE(X)
#undef X
};

enum err_code err_vset(struct err *err, enum err_code code, const char *fmt, va_list args)
{
        if (err == NULL)
                return code;
        err->code = code;
        err->sys_errno = 0;
        err->detail = 0;
        vsnprintf(err->text, sizeof(err->text), fmt, args);
        return code;
}

enum err_code(err_set)(struct err *err, enum err_code code, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        err_vset(err, code, fmt, args);
        va_end(args);
        return code;
}

enum err_code(err_sys)(struct err *err, const char *fmt, ...)
{
        int saved = errno;
        va_list args;

        if (err == NULL)
                return ERR_SYSTEM;
        va_start(args, fmt);
        err_vset(err, ERR_SYSTEM, fmt, args);
        va_end(args);
        err->sys_errno = saved;

        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(saved));
        errno = saved;
        return ERR_SYSTEM;
}

static const char *no_room_text(int number)
{
        if (number == ENOSPC)
                return "the disk is full: free some space or inodes";
        return number == EDQUOT ? "the disk quota is used up: raise it or free some space" : NULL;
}

enum err_code(err_disk)(struct err *err, const char *fmt, ...)
{
        int saved = errno;
        const char *no_room = no_room_text(saved);
        enum err_code code = no_room != NULL ? ERR_UNAVAILABLE : ERR_SYSTEM;
        va_list args;

        if (err == NULL)
                return code;
        va_start(args, fmt);
        err_vset(err, code, fmt, args);
        va_end(args);
        err->sys_errno = saved;

        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof(err->text) - used, ": %s",
                 no_room != NULL ? no_room : strerror(saved));
        errno = saved;
        return code;
}

enum err_code(err_nomem)(struct err *err)
{
        return err_set(err, ERR_NO_MEMORY, "out of memory");
}

enum err_code(err_wrap)(struct err *err, enum err_code code, const char *fmt, ...)
{
        char inner[ERR_TEXT_MAX];
        va_list args;

        if (err == NULL)
                return code;
        memcpy(inner, err->text, sizeof(inner));
        va_start(args, fmt);
        vsnprintf(err->text, sizeof(err->text), fmt, args);
        va_end(args);

        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof(err->text) - used, ": %s", inner);
        err->code = code;
        return code;
}

int err_http_status(enum err_code code)
{
        assert(code < ERR_CODE_COUNT);
        return codes[code].http;
}

bool err_retry_helps(enum err_code code)
{
        assert(code < ERR_CODE_COUNT);
        return codes[code].retry_helps;
}

const char *err_name(enum err_code code)
{
        assert(code < ERR_CODE_COUNT);
        return codes[code].name;
}
