/* spawn/garbage.c: who uses which layer, and the list of all that is kept. */
#include "spawn/garbage.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/own.h"
#include "base/str.h"
#include "spawn/link.h"
#include "spawn/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { STACK_BYTES_MAX = 16384 };

/* Never 0, which is no layer. Two names of one hash would only make a layer stay longer. */
static uint64_t use_of(const char *name)
{
        return hash_keyed(str_of(name)) | 1;
}

void garbage_uses(struct instance *instance, const char (*layers)[SPAWN_NAME_MAX], size_t count,
                  const char *code)
{
        size_t used = 0;

        for (size_t i = 0; i < count && used < GARBAGE_USES_MAX; i++)
                instance->uses[used++] = use_of(layers[i]);
        if (code[0] != '\0' && used < GARBAGE_USES_MAX)
                instance->uses[used] = use_of(code);
}

static bool is_used(const struct instances *instances, const char *layer)
{
        uint64_t use = use_of(layer);

        for (size_t i = 0; i < INSTANCES_BUCKETS; i++) {
                for (const struct instance *at = instances->buckets[i]; at != NULL; at = at->next) {
                        for (size_t k = 0; k < GARBAGE_USES_MAX && at->uses[k] != 0; k++) {
                                if (at->uses[k] == use)
                                        return true;
                        }
                }
        }
        return false;
}

static void layer_discard(struct spawn *spawn, const char *layer)
{
        struct err err;
        enum err_code code = state_discard(&spawn->state, spawn->state.layers_fd, layer, &err);

        if (code == ERR_OK)
                spawn_remover_wake(spawn);
        else if (code != ERR_NOT_FOUND)
                log_error("%s", err.text);
}

void garbage_keep(struct spawn *spawn, const char *layer)
{
        struct garbage *garbage = &spawn->garbage;

        for (size_t i = 0; i < garbage->count; i++) {
                if (strcmp(garbage->pending[i], layer) == 0) {
                        memcpy(garbage->pending[i], garbage->pending[--garbage->count], SPAWN_NAME_MAX);
                        return;
                }
        }
}

void garbage_drop(struct spawn *spawn, const char *layer)
{
        struct garbage *garbage = &spawn->garbage;

        if (!is_used(&spawn->instances, layer)) {
                layer_discard(spawn, layer);
                return;
        }
        garbage_keep(spawn, layer);               /* once is enough */
        if (garbage->count < GARBAGE_PENDING_MAX) /* else the collector finds it */
                snprintf(garbage->pending[garbage->count++], SPAWN_NAME_MAX, "%s", layer);
}

void garbage_ended(struct spawn *spawn)
{
        struct garbage *garbage = &spawn->garbage;

        for (size_t i = garbage->count; i > 0; i--) {
                char layer[SPAWN_NAME_MAX];
                memcpy(layer, garbage->pending[i - 1], sizeof(layer));
                if (is_used(&spawn->instances, layer))
                        continue;
                garbage_keep(spawn, layer);
                layer_discard(spawn, layer);
        }
}

void garbage_blob_drop(struct spawn *spawn, const struct spawn_blob *blob)
{
        own_fd int blobs_fd =
                openat(spawn->state.fd, "blobs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        own_fd int fd = blobs_fd < 0 ? -1
                                     : openat(blobs_fd, blob->folder,
                                              O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
                return;
        if (unlinkat(fd, blob->name, 0) < 0 && errno != ENOENT)
                log_error("remove the blob '%s': %s", blob->name, strerror(errno));
        if (unlinkat(blobs_fd, blob->folder, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY && errno != ENOENT)
                log_error("remove the folder of blobs '%s': %s", blob->folder, strerror(errno));
}

/* In the worker from here on. */

static long long age_of(const struct stat *status, time_t now)
{
        return now > status->st_mtime ? (long long)(now - status->st_mtime) : 0;
}

/* What the disk gives to a tree. Links of one file count once each: they are few. */
static unsigned long long tree_bytes(int dir_fd, const char *name)
{
        unsigned long long bytes = 0;
        char path[64 + SPAWN_NAME_MAX];
        char *roots[] = {path, NULL};

        snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir_fd, name);
        FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
        if (walk == NULL)
                return 0;
        for (const FTSENT *entry; (entry = fts_read(walk)) != NULL;) {
                if (entry->fts_info != FTS_DP && entry->fts_info != FTS_ERR && entry->fts_info != FTS_NS)
                        bytes += (unsigned long long)entry->fts_statp->st_blocks * 512;
        }
        fts_close(walk);
        return bytes;
}

static void stack_list(FILE *out, int layer_fd)
{
        own_fd int fd = openat(layer_fd, "layers", O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
        char text[STACK_BYTES_MAX];
        ssize_t len = fd >= 0 ? read(fd, text, sizeof(text)) : 0;
        struct str rest = {text, len > 0 ? (size_t)len : 0};

        while (rest.len > 0) {
                struct str name = str_cut(&rest, '\n');
                if (name.len > 0 && name.len < SPAWN_NAME_MAX)
                        fprintf(out, "below %.*s\n", STR_ARG(name));
        }
}

static void layer_list(FILE *out, int layers_fd, const char *name, time_t now)
{
        own_fd int fd = openat(layers_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct stat status;

        if (fd < 0 || fstat(fd, &status) < 0 || !spawn_name_valid(name, strlen(name) + 1))
                return;
        fprintf(out, "layer %s %llu %lld\n", name, tree_bytes(layers_fd, name), age_of(&status, now));
        if (strncmp(name, "stack-", 6) == 0)
                stack_list(out, fd);
}

static void blob_list(FILE *out, int folder_fd, const char *folder, const char *name, time_t now)
{
        struct stat status;

        if (!spawn_name_valid(name, strlen(name) + 1) ||
            fstatat(folder_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
                return;
        fprintf(out, "blob %s %s %llu %lld\n", folder, name, (unsigned long long)status.st_blocks * 512,
                age_of(&status, now));
}

/* Calls each for every name of a folder that is none of the two dots. */
static int each_name(int dir_fd, void (*each)(void *arg, int dir_fd, const char *name), void *arg)
{
        own_fd int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_dir DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

        if (dir == NULL)
                return -1;
        (void)take_fd(&fd);
        for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
                if (entry->d_name[0] != '.')
                        each(arg, dir_fd, entry->d_name);
        }
        return 0;
}

struct lister {
        FILE *out;
        time_t now;
        const char *folder;
};

static void on_layer(void *arg, int dir_fd, const char *name)
{
        const struct lister *lister = arg;

        layer_list(lister->out, dir_fd, name, lister->now);
}

static void on_blob(void *arg, int dir_fd, const char *name)
{
        const struct lister *lister = arg;

        blob_list(lister->out, dir_fd, lister->folder, name, lister->now);
}

static void on_blob_folder(void *arg, int dir_fd, const char *name)
{
        struct lister *lister = arg;
        own_fd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0 || !spawn_name_valid(name, strlen(name) + 1))
                return;
        lister->folder = name;
        (void)each_name(fd, on_blob, lister);
}

/* Into task->staging_fd, a file in memory. */
static enum err_code list_run(const struct worker_task *task, struct err *err)
{
        own_fd int blobs_fd =
                openat(task->layers_fd, "../blobs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct lister lister = {.out = fdopen(task->staging_fd, "w"), .now = time(NULL)};

        if (lister.out == NULL)
                return err_nomem(err);
        if (each_name(task->layers_fd, on_layer, &lister) < 0)
                return err_sys(err, "list the layers");
        if (blobs_fd >= 0 && each_name(blobs_fd, on_blob_folder, &lister) < 0)
                return err_sys(err, "list the blobs");
        return fflush(lister.out) == 0 && !ferror(lister.out) ? ERR_OK
                                                              : err_sys(err, "write the list of layers");
}

/* One list; freed when its worker ends. */
struct listing {
        struct worker worker;
        struct listing *next;
        struct spawn *spawn;
        struct link *link; /* NULL: closed since */
        uint64_t id;
        int fd;
};

static void answer(struct link *link, uint64_t id, enum err_code code, int *fd)
{
        union spawn_frame frame = {.store = {.head = {.op = SPAWN_STORE, .id = id}, .code = code}};
        int none = -1;

        if (link != NULL)
                link_send(link, &frame, code == ERR_OK ? fd : &none);
}

static void list_done(struct worker *worker, enum err_code code)
{
        struct listing *listing = OWNER_OF(worker, struct listing, worker);

        for (struct listing **at = &listing->spawn->listings; *at != NULL; at = &(*at)->next) {
                if (*at == listing) {
                        *at = listing->next;
                        break;
                }
        }
        answer(listing->link, listing->id, code, &listing->fd);
        if (listing->fd >= 0)
                close(listing->fd);
        events_free_later(&listing->spawn->events, listing);
}

void garbage_list(struct spawn *spawn, struct link *link, uint64_t id)
{
        own_fd int fd = memfd_create("dispatch-list", MFD_CLOEXEC);
        struct listing *listing = calloc(1, sizeof(*listing));
        struct worker_task task = {
                .run = list_run, .layers_fd = spawn->state.layers_fd, .staging_fd = fd, .blobs_fd = -1};
        struct err err;
        int none = -1;

        if (listing == NULL || fd < 0 ||
            worker_start(&listing->worker, &spawn->events, &task, list_done, &err) != ERR_OK) {
                free(listing);
                answer(link, id, ERR_SYSTEM, &none);
                return;
        }
        listing->spawn = spawn;
        listing->link = link;
        listing->id = id;
        listing->fd = take_fd(&fd);
        listing->next = spawn->listings;
        spawn->listings = listing;
}

void garbage_link_closed(struct spawn *spawn, const struct link *link)
{
        for (struct listing *listing = spawn->listings; listing != NULL; listing = listing->next) {
                if (listing->link == link)
                        listing->link = NULL;
        }
}
