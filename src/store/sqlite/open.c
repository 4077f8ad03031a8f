/*
 * store/sqlite/open.c: opening the file with the settings that keep it safe and small, transactions, and the
 * small values beside the resources.
 */
#include "store/sqlite/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/own.h"

enum {
        BUSY_WAIT_MS = 5000,
        BUSY_AGAIN_MS = 5,
        LOOKASIDE_BYTES =
                512, /* small allocations are served from a block of this many bytes times the count */
        LOOKASIDE_COUNT = 32,
};

/* WAL with FULL: a commit is on the disk when it returns. The cache is 1 MiB; nothing is mapped. */
static const char settings[] = "PRAGMA synchronous = FULL;"
                               "PRAGMA foreign_keys = ON;"
                               "PRAGMA cache_size = -1024;"
                               "PRAGMA mmap_size = 0;"
                               "PRAGMA temp_store = MEMORY;"
                               "PRAGMA trusted_schema = OFF;"
                               "PRAGMA cell_size_check = ON;"
                               "PRAGMA wal_autocheckpoint = 500;"
                               "PRAGMA journal_size_limit = 4194304;";

static void sqlite_close(struct store *base)
{
        struct sqlite_store *store = sqlite_store_of(base);

        for (int which = 0; which < SQL_COUNT; which++)
                sqlite3_finalize(store->statements[which]);
        sqlite3_close(store->db);
        free(store->path);
        free(store);
}

static void close_guard(struct sqlite_store **store)
{
        if (*store != NULL)
                sqlite_close(&(*store)->base);
}

static enum err_code simple(struct sqlite_store *store, enum sql which, struct err *err)
{
        own_statement struct statement statement = {0};
        enum err_code code = statement_take(store, which, &statement, err);

        return code == ERR_OK ? statement_run(&statement, err) : code;
}

static enum err_code sqlite_begin(struct store *base, struct err *err)
{
        struct sqlite_store *store = sqlite_store_of(base);

        assert(!store->in_transaction);
        enum err_code code = simple(store, SQL_BEGIN, err);
        store->in_transaction = code == ERR_OK;
        return code;
}

static void sqlite_rollback(struct store *base)
{
        struct sqlite_store *store = sqlite_store_of(base);

        if (store->in_transaction && sqlite3_get_autocommit(store->db) == 0)
                simple(store, SQL_ROLLBACK, NULL);
        store->in_transaction = false;
}

static enum err_code sqlite_commit(struct store *base, struct err *err)
{
        struct sqlite_store *store = sqlite_store_of(base);

        assert(store->in_transaction);
        enum err_code code = simple(store, SQL_COMMIT, err);
        if (code != ERR_OK)
                sqlite_rollback(base);
        store->in_transaction = false;
        return code;
}

static enum err_code sqlite_meta_get(struct store *base, const char *key, char **ret, struct err *err)
{
        own_statement struct statement statement = {0};
        bool row = false;
        enum err_code code = statement_take(sqlite_store_of(base), SQL_META_GET, &statement, err);

        if (code != ERR_OK)
                return code;
        statement_text(&statement, 1, str_of(key));
        code = statement_step(&statement, &row, err);
        if (code != ERR_OK)
                return code;
        if (!row)
                return err_set(err, ERR_NOT_FOUND, "%s not found", key);

        struct str value = statement_column(&statement, 0);
        char *copy = strndup(value.p, value.len);
        if (copy == NULL)
                return err_nomem(err);
        *ret = copy;
        return ERR_OK;
}

static enum err_code sqlite_meta_set(struct store *base, const char *key, const char *value, struct err *err)
{
        own_statement struct statement statement = {0};
        enum err_code code = statement_take(sqlite_store_of(base), SQL_META_SET, &statement, err);

        if (code != ERR_OK)
                return code;
        statement_text(&statement, 1, str_of(key));
        statement_text(&statement, 2, str_of(value));
        return statement_run(&statement, err);
}

static const struct store_ops sqlite_ops = {
        .close = sqlite_close,
        .begin = sqlite_begin,
        .commit = sqlite_commit,
        .rollback = sqlite_rollback,
        .get = sqlite_get,
        .list = sqlite_list,
        .insert = sqlite_insert,
        .update = sqlite_update,
        .set_state = sqlite_set_state,
        .delete = sqlite_delete,
        .run_put = sqlite_run_put,
        .run_get = sqlite_run_get,
        .run_page = sqlite_run_page,
        .run_unfinished = sqlite_run_unfinished,
        .run_delete = sqlite_run_delete,
        .run_trim = sqlite_run_trim,
        .meta_get = sqlite_meta_get,
        .meta_set = sqlite_meta_set,
};

/* SQLite takes a log whose head is not one for an empty log, and overwrites it; what was in it would be lost
 * without a word. Zeros are what a power cut may leave of a log that nothing had been committed to. */
static enum err_code wal_check(const char *path, struct err *err)
{
        static const unsigned char zeros[4], magic[] = {0x37, 0x7f, 0x06};
        unsigned char head[4] = {0};
        char name[PATH_MAX];

        if (snprintf(name, sizeof(name), "%s-wal", path) >= (int)sizeof(name))
                return ERR_OK;
        own_fd int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || read(fd, head, sizeof(head)) != sizeof(head) ||
            memcmp(head, zeros, sizeof(zeros)) == 0 ||
            (memcmp(head, magic, sizeof(magic)) == 0 && (head[3] & 0xfe) == 0x82))
                return ERR_OK;
        return err_set(
                err, ERR_CORRUPT,
                "'%s' is damaged (it is no write-ahead log): restore a backup of the folder, or move this "
                "file away to go on without the last changes",
                name);
}

/* Why the server's user cannot open it; often it was put back by root. */
static enum err_code file_refused(const char *path, struct err *err)
{
        struct stat status;
        int saved = errno;

        if (saved == EACCES && stat(path, &status) == 0 && status.st_uid != geteuid())
                return err_set(
                        err, ERR_FORBIDDEN,
                        "the store '%s' belongs to user %u, not to the server's user %u: chown it and the "
                        "files beside it",
                        path, (unsigned)status.st_uid, (unsigned)geteuid());
        errno = saved;
        return err_disk(err, "open the store '%s'", path);
}

/* The folder and the file, for nobody else; SQLite gives its other files the mode of this one. */
static enum err_code make_file(const char *dir, const char *path, struct err *err)
{
        if (mkdir(dir, 0700) < 0 && errno != EEXIST)
                return err_sys(err, "make the state directory '%s'", dir);

        own_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        return fd >= 0 ? wal_check(path, err) : file_refused(path, err);
}

/* SQLite does not call its busy handler for the exclusive lock of this change: two that start at once both
 * try again. */
static enum err_code use_wal(struct sqlite_store *store, struct err *err)
{
        char mode[SQLITE_TEXT_MAX];
        uint64_t until = clock_mono_ms() + BUSY_WAIT_MS;
        enum err_code code = sqlite_text(store, "PRAGMA journal_mode = WAL", mode, err);

        while (code == ERR_UNAVAILABLE && clock_mono_ms() < until) {
                sqlite3_sleep(BUSY_AGAIN_MS);
                code = sqlite_text(store, "PRAGMA journal_mode = WAL", mode, err);
        }
        if (code != ERR_OK || strcmp(mode, "wal") == 0)
                return code;
        return err_set(
                err, ERR_SYSTEM,
                "'%s' cannot have a write-ahead log: the state directory must be on a local file system",
                store->path);
}

static enum err_code configure(struct sqlite_store *store, struct err *err)
{
        sqlite3_busy_timeout(store->db, BUSY_WAIT_MS);
        sqlite3_db_config(store->db, SQLITE_DBCONFIG_LOOKASIDE, NULL, LOOKASIDE_BYTES, LOOKASIDE_COUNT);
        sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        return sqlite_run(store, settings, err);
}

enum err_code sqlite_store_open(const char *dir, struct store **ret, struct err *err)
{
        __attribute__((cleanup(close_guard))) struct sqlite_store *store = calloc(1, sizeof(*store));

        if (store == NULL || asprintf(&store->path, "%s/dispatch.db", dir) < 0) {
                if (store != NULL)
                        store->path = NULL;
                return err_nomem(err);
        }
        store->base.ops = &sqlite_ops;

        enum err_code code = make_file(dir, store->path, err);
        if (code != ERR_OK)
                return code;
        int opened =
                sqlite3_open_v2(store->path, &store->db,
                                SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
        if (opened != SQLITE_OK)
                return store->db != NULL ? sqlite_fail(store, opened, err) : err_nomem(err);
        code = configure(store, err);
        if (code == ERR_OK)
                code = sqlite_refuse_foreign(store, err);
        if (code == ERR_OK)
                code = use_wal(store, err);
        if (code == ERR_OK)
                code = sqlite_migrate(store, err);
        if (code == ERR_OK)
                code = sqlite_check(store, err);
        if (code == ERR_OK)
                *ret = &take_ptr(&store)->base;
        return code;
}
