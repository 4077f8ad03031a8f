/*
 * store/sqlite/schema.c: the tables, the steps that lead to them from every older version, and the refusals
 * of files that are not ours to touch. PRAGMA user_version counts the steps that a file has had.
 */
#include "store/sqlite/sqlite.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define APPLICATION_ID 0x44737061 /* "Dspa": what file(1) and we tell a store by */
#define QUOTE(number)  QUOTE_(number)
#define QUOTE_(number) #number

/* Steps are never edited once released: a new version appends one. */
static const char *const steps[] = {
        "CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
        "CREATE TABLE resource ("
        "  kind TEXT NOT NULL, organization TEXT NOT NULL, project TEXT NOT NULL, name TEXT NOT NULL,"
        "  id TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL,"
        "  created_us INTEGER NOT NULL, modified_us INTEGER NOT NULL,"
        "  document TEXT NOT NULL, internal TEXT NOT NULL,"
        "  UNIQUE (kind, organization, project, name)) STRICT;"
        "CREATE TABLE run ("
        "  id TEXT NOT NULL UNIQUE, organization TEXT NOT NULL, project TEXT NOT NULL,"
        "  function TEXT NOT NULL, function_id TEXT NOT NULL,"
        "  executed_us INTEGER NOT NULL, modified_us INTEGER NOT NULL,"
        "  generation INTEGER NOT NULL, unfinished INTEGER NOT NULL, document TEXT NOT NULL) STRICT;"
        "CREATE INDEX run_by_function ON run (organization, project, function, modified_us DESC, unfinished);"
        "CREATE INDEX run_by_time ON run (organization, project, modified_us DESC);"
        "CREATE INDEX run_by_function_id ON run (function_id);"
        "CREATE INDEX run_unfinished ON run (generation) WHERE unfinished = 1;"
        "PRAGMA application_id = " QUOTE(APPLICATION_ID) ";",
};

enum {
        SCHEMA_VERSION = sizeof(steps) / sizeof(steps[0]),
        SCHEMA_OLDEST = 1,         /* what this program can still lead up from */
        CHECK_BYTES_MAX = 8 << 20, /* larger files have only their definitions checked, to be ready in time */
};

enum err_code sqlite_run(struct sqlite_store *store, const char *sql, struct err *err)
{
        int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

        return code == SQLITE_OK ? ERR_OK : sqlite_fail(store, sqlite3_extended_errcode(store->db), err);
}

enum err_code sqlite_number(struct sqlite_store *store, const char *sql, int64_t *ret, struct err *err)
{
        sqlite3_stmt *stmt = NULL;
        int code = sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL);

        if (code == SQLITE_OK)
                code = sqlite3_step(stmt);
        if (code == SQLITE_ROW)
                *ret = sqlite3_column_int64(stmt, 0);
        sqlite3_finalize(stmt);
        return code == SQLITE_ROW ? ERR_OK : sqlite_fail(store, sqlite3_extended_errcode(store->db), err);
}

enum err_code sqlite_text(struct sqlite_store *store, const char *sql, char out[SQLITE_TEXT_MAX],
                          struct err *err)
{
        sqlite3_stmt *stmt = NULL;
        int code = sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL);

        if (code == SQLITE_OK)
                code = sqlite3_step(stmt);
        if (code == SQLITE_ROW)
                snprintf(out, SQLITE_TEXT_MAX, "%s", (const char *)sqlite3_column_text(stmt, 0));
        sqlite3_finalize(stmt);
        return code == SQLITE_ROW ? ERR_OK : sqlite_fail(store, sqlite3_extended_errcode(store->db), err);
}

static enum err_code refuse(const struct sqlite_store *store, int64_t version, struct err *err)
{
        if (version > SCHEMA_VERSION)
                return err_set(err, ERR_PRECONDITION,
                               "'%s' has schema version %" PRId64
                               ", and this program knows versions up to %d: start "
                               "the newer program again, or restore a backup made before the upgrade",
                               store->path, version, SCHEMA_VERSION);
        return err_set(err, ERR_PRECONDITION,
                       "'%s' has schema version %" PRId64
                       ", and this program (version %d) migrates from %d on: start "
                       "a program in between first, or name another state directory",
                       store->path, version, SCHEMA_VERSION, SCHEMA_OLDEST);
}

/* ERR_OK with the version if the file is empty (0) or one of ours that can be used. */
static enum err_code read_version(struct sqlite_store *store, int64_t *ret, struct err *err)
{
        int64_t application = 0, version = 0, objects = 0;
        enum err_code code = sqlite_number(store, "PRAGMA application_id", &application, err);

        if (code == ERR_OK)
                code = sqlite_number(store, "PRAGMA user_version", &version, err);
        if (code == ERR_OK)
                code = sqlite_number(store, "SELECT count(*) FROM sqlite_schema", &objects, err);
        if (code != ERR_OK)
                return code;
        if (application != APPLICATION_ID && (application != 0 || objects > 0))
                return err_set(err, ERR_CORRUPT,
                               "'%s' is a database of another program (application id %" PRId64
                               "): name another state directory",
                               store->path, application);
        if (version > SCHEMA_VERSION || (version < SCHEMA_OLDEST && objects > 0))
                return refuse(store, version, err);
        *ret = version;
        return ERR_OK;
}

/* The same of one state of the file: another process may be migrating it, and half of each would look
 * foreign. */
static enum err_code snapshot_version(struct sqlite_store *store, int64_t *ret, struct err *err)
{
        enum err_code code = sqlite_run(store, "BEGIN", err);

        if (code == ERR_OK)
                code = read_version(store, ret, err);
        if (sqlite3_get_autocommit(store->db) == 0)
                sqlite_run(store, "ROLLBACK", NULL);
        return code;
}

enum err_code sqlite_refuse_foreign(struct sqlite_store *store, struct err *err)
{
        int64_t version = 0;

        return snapshot_version(store, &version, err);
}

/* In a transaction: two processes that start at once migrate once. */
static enum err_code apply_steps(struct sqlite_store *store, struct err *err)
{
        int64_t version = 0;
        enum err_code code = read_version(store, &version, err);

        for (; code == ERR_OK && version < SCHEMA_VERSION; version++) {
                char sql[64];
                snprintf(sql, sizeof(sql), "PRAGMA user_version = %" PRId64, version + 1);
                code = sqlite_run(store, steps[version], err);
                if (code == ERR_OK)
                        code = sqlite_run(store, sql, err);
        }
        return code;
}

enum err_code sqlite_migrate(struct sqlite_store *store, struct err *err)
{
        int64_t version = 0;
        enum err_code code = snapshot_version(store, &version, err);

        if (code != ERR_OK || version == SCHEMA_VERSION)
                return code;
        code = sqlite_run(store, "BEGIN IMMEDIATE", err);
        if (code == ERR_OK)
                code = apply_steps(store, err);
        if (code == ERR_OK)
                code = sqlite_run(store, "COMMIT", err);
        if (code != ERR_OK && sqlite3_get_autocommit(store->db) == 0)
                sqlite_run(store, "ROLLBACK", NULL);
        return code;
}

static enum err_code check(struct sqlite_store *store, const char *sql, struct err *err)
{
        char text[SQLITE_TEXT_MAX];
        enum err_code code = sqlite_text(store, sql, text, err);

        if (code != ERR_OK || strcmp(text, "ok") == 0)
                return code;
        return err_set(
                err, ERR_CORRUPT,
                "'%s' is damaged (%s): stop the server, keep a copy of the folder, and restore a backup or "
                "recover the file with `sqlite3 FILE .recover`",
                store->path, text);
}

enum err_code sqlite_check(struct sqlite_store *store, struct err *err)
{
        int64_t pages = 0, page_bytes = 0;
        enum err_code code = sqlite_number(store, "PRAGMA page_count", &pages, err);

        if (code == ERR_OK)
                code = sqlite_number(store, "PRAGMA page_size", &page_bytes, err);
        if (code != ERR_OK)
                return code;
        if (pages * page_bytes <= CHECK_BYTES_MAX)
                return check(store, "PRAGMA quick_check(1)", err);
        code = check(store, "PRAGMA quick_check(resource)", err);
        return code == ERR_OK ? check(store, "PRAGMA quick_check(meta)", err) : code;
}
