/* api/image_log.c: files of lines, and calls that wait for the next one. */
#include "api/image_log.h"
#include "api/resource.h"
#include "api/status.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct image_waiter {
        struct image_waiter *next;
        struct api_call *call;
        char id[UUID_LEN + 1];
        uint64_t offset;
        struct loop_timer *timer;
};

/* The line of progress of a build that goes on. */
struct image_progress {
        struct image_progress *next;
        char id[UUID_LEN + 1];
        char text[200];
};

enum err_code image_logs_init(struct api *api, struct err *err)
{
        const char *dir = api->config.logs_dir;

        api->logs_fd = -1;
        if (dir == NULL)
                return ERR_OK;
        if (mkdir(dir, 0700) < 0 && errno != EEXIST)
                return err_disk(err, "make the folder of logs '%s'", dir);
        api->logs_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return api->logs_fd < 0 ? err_sys(err, "open the folder of logs '%s'", dir) : ERR_OK;
}

static void progress_remove(struct api *api, const char *id)
{
        for (struct image_progress **at = &api->image_progress; *at != NULL; at = &(*at)->next) {
                struct image_progress *progress = *at;

                if (strcmp(progress->id, id) != 0)
                        continue;
                *at = progress->next;
                free(progress);
                return;
        }
}

static const char *progress_text(const struct api *api, const char *id)
{
        for (const struct image_progress *at = api->image_progress; at != NULL; at = at->next) {
                if (strcmp(at->id, id) == 0)
                        return at->text;
        }
        return "";
}

static void waiter_free(struct image_waiter *waiter)
{
        loop_timer_destroy(waiter->timer);
        free(waiter);
}

void image_logs_finish(struct api *api)
{
        while (api->image_waiters != NULL) {
                struct image_waiter *waiter = api->image_waiters;
                api->image_waiters = waiter->next;
                waiter_free(waiter);
        }
        while (api->image_progress != NULL)
                progress_remove(api, api->image_progress->id);
        if (api->logs_fd >= 0)
                close(api->logs_fd);
        api->logs_fd = -1;
}

static void name_of(const char *id, char out[UUID_LEN + 8])
{
        snprintf(out, UUID_LEN + 8, "%s.log", id);
}

static int log_open(const struct api *api, const char *id, int flags)
{
        char name[UUID_LEN + 8];

        name_of(id, name);
        return api->logs_fd < 0 ? -1 : openat(api->logs_fd, name, flags | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static uint64_t log_size(const struct api *api, const char *id)
{
        own_fd int fd = log_open(api, id, O_RDONLY);
        struct stat st;

        return fd >= 0 && fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

void image_log_begin(struct api *api, const char *id)
{
        own_fd int fd = log_open(api, id, O_WRONLY | O_CREAT | O_TRUNC);
        (void)fd; /* made or emptied; lines come later */
        progress_remove(api, id);
}

void image_log_remove(struct api *api, const char *id)
{
        char name[UUID_LEN + 8];

        name_of(id, name);
        if (api->logs_fd >= 0)
                (void)unlinkat(api->logs_fd, name, 0);
        image_log_moved(api, id);
        progress_remove(api, id);
}

static void log_append(int fd, struct str line)
{
        static const char cut[] = "... the rest is left out: the log is over its bound\n";
        own_buf struct buf text = {.max = IMAGE_LOG_MAX};
        struct stat st;

        if (fstat(fd, &st) < 0 || st.st_size >= IMAGE_LOG_MAX)
                return;
        bool full = (uint64_t)st.st_size + line.len + sizeof(cut) >= IMAGE_LOG_MAX;
        if (full) {
                (void)!write(fd, cut, sizeof(cut) - 1);
                (void)!ftruncate(fd, IMAGE_LOG_MAX);
                return;
        }
        if (buf_append(&text, line.p, line.len) == ERR_OK && buf_append(&text, "\n", 1) == ERR_OK)
                (void)!write(fd, text.data, text.len);
}

void image_log_line(struct api *api, const char *id, struct str line)
{
        own_fd int fd = log_open(api, id, O_WRONLY | O_CREAT | O_APPEND);

        if (fd >= 0)
                log_append(fd, line);
        image_log_moved(api, id);
}

void image_log_progress(struct api *api, const char *id, struct str text)
{
        struct image_progress *at = api->image_progress;

        while (at != NULL && strcmp(at->id, id) != 0)
                at = at->next;
        if (at == NULL) {
                at = calloc(1, sizeof(*at));
                if (at == NULL)
                        return;
                snprintf(at->id, sizeof(at->id), "%s", id);
                at->next = api->image_progress;
                api->image_progress = at;
        }
        while (text.len >= sizeof(at->text) || !str_is_utf8(text))
                text.len--;
        snprintf(at->text, sizeof(at->text), "%.*s", STR_ARG(text));
}

/* Whole lines only, as many as a reply holds. */
static enum err_code page_read(const struct api *api, const char *id, uint64_t *offset, struct buf *out)
{
        own_fd int fd = log_open(api, id, O_RDONLY);
        ssize_t got = 0;

        if (fd < 0)
                return ERR_OK;
        if (buf_reserve(out, IMAGE_LOG_PAGE_MAX) != ERR_OK)
                return ERR_NO_MEMORY;
        do
                got = pread(fd, out->data, IMAGE_LOG_PAGE_MAX, (off_t)*offset);
        while (got < 0 && errno == EINTR);
        while (got > 0 && out->data[got - 1] != '\n')
                got--;
        /* The end of a log that was cut. */
        while (got > 1 && out->data[got - 2] == '\0')
                got--;
        out->len = got > 0 ? (size_t)got : 0;
        *offset += out->len;
        return ERR_OK;
}

static void reply(struct api_call *call, const struct store_row *row, uint64_t offset)
{
        own_buf struct buf text = {.max = IMAGE_LOG_PAGE_MAX};
        struct err err;

        if (page_read(call->api, row->id, &offset, &text) != ERR_OK) {
                err_nomem(&err);
                api_call_fail(call, &err);
                return;
        }
        bool pending = status_is_pending(status_of(row->document));
        bool rest = offset < log_size(call->api, row->id) && text.len > 0;
        own_json json_t *body =
                json_pack("{s:o, s:I, s:b}", "text", json_stringn(text.len > 0 ? text.data : "", text.len),
                          "offset", (json_int_t)offset, "over", !pending && !rest);
        const char *progress = progress_text(call->api, row->id);
        if (body != NULL && pending && progress[0] != '\0')
                (void)json_object_set_new(body, "progress", json_string(progress));
        api_call_json(call, 200, body);
}

/* The row as it is now; else it is gone. */
static void waiter_answer(struct image_waiter *waiter)
{
        struct api_call *call = waiter->call;
        const struct api_resource *resource = api_resource_of(call->route.kind);
        own_row struct store_row row = {0};
        struct err err;

        if (api_row_get(call, resource, &row, &err) != ERR_OK)
                api_call_fail(call, &err);
        else
                reply(call, &row, waiter->offset);
        waiter_free(waiter);
}

static void waiter_unlink(struct api *api, const struct image_waiter *waiter)
{
        struct image_waiter **at = &api->image_waiters;

        while (*at != waiter)
                at = &(*at)->next;
        *at = waiter->next;
}

static void waiter_late(void *arg)
{
        struct image_waiter *waiter = arg;

        waiter_unlink(waiter->call->api, waiter);
        waiter_answer(waiter);
}

void image_log_moved(struct api *api, const char *id)
{
        struct image_waiter **at = &api->image_waiters;

        while (*at != NULL) {
                struct image_waiter *waiter = *at;

                if (strcmp(waiter->id, id) != 0) {
                        at = &waiter->next;
                        continue;
                }
                /* In a moment: then several lines go in one reply. */
                loop_timer_start(waiter->timer, 20);
                at = &waiter->next;
        }
}

static bool waiters_full(const struct api *api)
{
        size_t count = 0;

        for (const struct image_waiter *at = api->image_waiters; at != NULL; at = at->next)
                count++;
        return count >= IMAGE_LOG_WAITERS_MAX;
}

static bool wait_begin(struct api_call *call, const struct store_row *row, uint64_t offset, uint64_t wait_s)
{
        struct api *api = call->api;
        struct image_waiter *waiter = waiters_full(api) ? NULL : calloc(1, sizeof(*waiter));

        if (waiter == NULL)
                return false;
        waiter->timer = loop_timer_create(api->config.control, waiter_late, waiter);
        if (waiter->timer == NULL) {
                free(waiter);
                return false;
        }
        waiter->call = call;
        waiter->offset = offset;
        snprintf(waiter->id, sizeof(waiter->id), "%s", row->id);
        waiter->next = api->image_waiters;
        api->image_waiters = waiter;
        loop_timer_start(waiter->timer, wait_s * 1000);
        return true;
}

static enum err_code number_read(struct api_call *call, struct str key, uint64_t max, uint64_t *ret,
                                 struct err *err)
{
        struct str text;
        enum err_code code = api_query_get(call->query, key, &call->arena, &text);

        if (code != ERR_OK)
                return err_set(err, code, "malformed query");
        *ret = 0;
        if (text.len == 0)
                return ERR_OK;
        if (!str_to_u64(text, ret) || *ret > max) {
                err_set(err, ERR_UNPROCESSABLE, "%.*s in query should be a number from 0 to %llu",
                        STR_ARG(key), (unsigned long long)max);
                err->detail = 606;
                return ERR_UNPROCESSABLE;
        }
        return ERR_OK;
}

void image_log_call(struct api_call *call, const struct store_row *row)
{
        uint64_t offset, wait_s;
        struct err err;

        if (number_read(call, STR("offset"), INT64_MAX, &offset, &err) != ERR_OK ||
            number_read(call, STR("wait"), IMAGE_LOG_WAIT_MAX_S, &wait_s, &err) != ERR_OK) {
                api_call_fail(call, &err);
                return;
        }
        uint64_t size = log_size(call->api, row->id);
        /* A log that is shorter than before is another build's. */
        if (offset > size)
                offset = 0;
        if (wait_s > 0 && offset == size && status_is_pending(status_of(row->document)) &&
            wait_begin(call, row, offset, wait_s))
                return;
        reply(call, row, offset);
}
