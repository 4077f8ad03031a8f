/*
 * store/sqlite/sqlite.h: what the files of this folder share: the open database, its kept statements, and the
 * one table that says what SQLite's results mean to a caller.
 */
#ifndef DISPATCH_STORE_SQLITE_H
#define DISPATCH_STORE_SQLITE_H

#include "store/ops.h"

#include <assert.h>
#include <sqlite3.h>

/* name, text. Kept prepared from first use until the store is closed. */
#define SQL_ROW "organization, project, name, id, revision, created_us, modified_us, document, internal"
#define SQL_TABLE(X)                                                                                         \
        X(BEGIN, "BEGIN IMMEDIATE")                                                                          \
        X(COMMIT, "COMMIT")                                                                                  \
        X(ROLLBACK, "ROLLBACK")                                                                              \
        X(GET, "SELECT " SQL_ROW " FROM resource WHERE kind = ?1 AND organization = ?2 AND project = ?3"     \
               " AND name = ?4")                                                                             \
        X(LIST, "SELECT " SQL_ROW " FROM resource WHERE kind = ?1"                                           \
                " ORDER BY organization, project, name")                                                     \
        X(LIST_ORGANIZATION, "SELECT " SQL_ROW " FROM resource WHERE kind = ?1 AND organization = ?2"        \
                             " AND (project, name) > ('', ?3) ORDER BY project, name")                       \
        X(LIST_PROJECT, "SELECT " SQL_ROW " FROM resource WHERE kind = ?1 AND organization = ?2"             \
                        " AND project = ?4 AND name > ?3 ORDER BY name")                                     \
        X(INSERT, "INSERT INTO resource (kind, " SQL_ROW ")"                                                 \
                  " VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?6, ?7, ?8)")                                         \
        X(UPDATE, "UPDATE resource SET revision = revision + 1, modified_us = max(?6, modified_us + 1),"     \
                  " document = ifnull(?7, document), internal = ifnull(?8, internal)"                        \
                  " WHERE kind = ?1 AND organization = ?2 AND project = ?3 AND name = ?4"                    \
                  " AND (?5 = 0 OR revision = ?5) RETURNING " SQL_ROW)                                       \
        X(SET_STATE, "UPDATE resource SET document = ifnull(?3, document), internal = ifnull(?4, internal)"  \
                     " WHERE id = ?1 AND kind = ?2")                                                         \
        X(DELETE, "DELETE FROM resource WHERE kind = ?1 AND organization = ?2 AND project = ?3"              \
                  " AND name = ?4")                                                                          \
        X(RUN_PUT, "INSERT INTO run (id, organization, project, function, function_id, executed_us,"         \
                   " modified_us, generation, unfinished, document)"                                         \
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"                                       \
                   " ON CONFLICT (id) DO UPDATE SET organization = excluded.organization,"                   \
                   " project = excluded.project, function = excluded.function,"                              \
                   " function_id = excluded.function_id, executed_us = excluded.executed_us,"                \
                   " modified_us = excluded.modified_us, generation = excluded.generation,"                  \
                   " unfinished = excluded.unfinished, document = excluded.document"                         \
                   " WHERE run.unfinished OR NOT excluded.unfinished")                                       \
        X(RUN_GET, "SELECT document FROM run WHERE id = ?1 AND organization = ?2 AND project = ?3")          \
        X(RUN_LIST, "SELECT id, modified_us, document FROM run WHERE organization = ?1 AND project = ?2"     \
                    " AND modified_us >= ?3 AND (modified_us, id) < (?5, ?6)"                                \
                    " ORDER BY modified_us DESC, id DESC LIMIT ?4")                                          \
        X(RUN_LIST_FUNCTION,                                                                                 \
          "SELECT id, modified_us, document FROM run WHERE organization = ?1 AND project = ?2"               \
          " AND function = ?7 AND modified_us >= ?3 AND (modified_us, id) < (?5, ?6)"                        \
          " ORDER BY modified_us DESC, id DESC LIMIT ?4")                                                    \
        X(RUN_UNFINISHED,                                                                                    \
          "SELECT id, organization, project, function, function_id, executed_us,"                            \
          " modified_us, generation, document FROM run INDEXED BY run_unfinished WHERE unfinished = 1"       \
          " AND generation NOT IN (?1, ?2) ORDER BY rowid")                                                  \
        X(RUN_DELETE, "DELETE FROM run WHERE function_id = ?3 AND organization = ?1 AND project = ?2")       \
        X(RUN_TRIM, "DELETE FROM run WHERE rowid IN (SELECT rowid FROM (SELECT rowid, row_number() OVER"     \
                    " (PARTITION BY organization, project, function ORDER BY modified_us DESC) AS place"     \
                    " FROM run WHERE unfinished = 0) WHERE place > ?1 LIMIT ?2)")                            \
        X(META_GET, "SELECT value FROM meta WHERE key = ?1")                                                 \
        X(META_SET, "INSERT INTO meta (key, value) VALUES (?1, ?2)"                                          \
                    " ON CONFLICT (key) DO UPDATE SET value = excluded.value")

enum sql {
#define X(name, text) SQL_##name,
        SQL_TABLE(X)
#undef X
                SQL_COUNT
};

struct sqlite_store {
        struct store base;
        sqlite3 *db;
        char *path;          /* of the file, for messages */
        bool in_transaction; /* between store_begin and its end, whatever SQLite thinks */
        sqlite3_stmt *statements[SQL_COUNT];
        uint32_t busy; /* one bit a kept statement that is being stepped */
};
static_assert(SQL_COUNT <= 32, "one bit a statement");

static inline struct sqlite_store *sqlite_store_of(struct store *store)
{
        return (struct sqlite_store *)store;
}

/* What SQLite's last result means, with the file's name and what to do. `code` is not OK, ROW or DONE. */
enum err_code sqlite_fail(const struct sqlite_store *store, int code, struct err *err);

/* Looks before anything is written: ERR_CORRUPT for a file of another program, ERR_PRECONDITION for a version
 * that this program cannot use. */
enum err_code sqlite_refuse_foreign(struct sqlite_store *store, struct err *err);
/* Brings the schema of a database that was just opened up to date. */
enum err_code sqlite_migrate(struct sqlite_store *store, struct err *err);
/* The integrity check at start. */
enum err_code sqlite_check(struct sqlite_store *store, struct err *err);
/* One integer out of a PRAGMA or SELECT. */
enum err_code sqlite_number(struct sqlite_store *store, const char *sql, int64_t *ret, struct err *err);
enum { SQLITE_TEXT_MAX = 160 };
/* One text out of a PRAGMA; cut when longer. */
enum err_code sqlite_text(struct sqlite_store *store, const char *sql, char out[SQLITE_TEXT_MAX],
                          struct err *err);
enum err_code sqlite_run(struct sqlite_store *store, const char *sql, struct err *err);

/*
 * A statement in use: taken, bound (a failed bind shows at the first step), stepped, released by its guard.
 * One that is stepped already, by a caller further up, is prepared a second time.
 */
struct statement {
        struct sqlite_store *store;
        sqlite3_stmt *stmt;
        enum sql which;
        bool is_kept;
        int bound;                /* the first failed bind's result */
        enum err_code bound_code; /* of a document that could not be printed */
        struct buf texts[2];      /* printed documents, until the release */
        int text_count;
};

enum err_code statement_take(struct sqlite_store *store, enum sql which, struct statement *ret,
                             struct err *err);
void statement_release(struct statement *statement); /* takes a zeroed one */
#define own_statement __attribute__((cleanup(statement_release)))

/* The text must live until the release. */
void statement_text(struct statement *statement, int index, struct str text);
void statement_number(struct statement *statement, int index, int64_t number);
/* A document as compact JSON; NULL binds NULL. */
void statement_json(struct statement *statement, int index, const json_t *value);
/* kind, organization, project and name as parameters 1 to 4. */
void statement_key(struct statement *statement, const struct store_key *key);

/* *ret_row says whether there is a row to read; at the end of the rows it is false. */
enum err_code statement_step(struct statement *statement, bool *ret_row, struct err *err);
/* For statements without rows. */
enum err_code statement_run(struct statement *statement, struct err *err);

struct str statement_column(const struct statement *statement, int column); /* until the next step */
enum err_code statement_column_json(const struct statement *statement, int column, json_t **ret,
                                    struct err *err);

/* The operations, by file. */
enum err_code sqlite_get(struct store *store, const struct store_key *key, struct store_row *ret,
                         struct err *err);
enum err_code sqlite_list(struct store *store, const struct store_key *key, struct str after,
                          bool (*each)(void *arg, struct store_row *row), void *arg, struct err *err);
enum err_code sqlite_insert(struct store *store, const struct store_key *key, struct store_row *row,
                            struct err *err);
enum err_code sqlite_update(struct store *store, const struct store_key *key, int64_t revision,
                            json_t *document, json_t *internal, struct store_row *ret, struct err *err);
enum err_code sqlite_set_state(struct store *store, enum model_kind kind, struct str id, json_t *document,
                               json_t *internal, struct err *err);
enum err_code sqlite_delete(struct store *store, const struct store_key *key, struct err *err);

enum err_code sqlite_run_put(struct store *store, const struct store_run *run, struct err *err);
enum err_code sqlite_run_get(struct store *store, struct str organization, struct str project, struct str id,
                             json_t **ret, struct err *err);
enum err_code sqlite_run_page(struct store *store, const struct store_run_query *query,
                              bool (*each)(void *arg, const struct store_run *run), void *arg,
                              struct err *err);
enum err_code sqlite_run_unfinished(struct store *store, uint32_t generation, uint32_t draining_generation,
                                    bool (*each)(void *arg, const struct store_run *run), void *arg,
                                    struct err *err);
enum err_code sqlite_run_delete(struct store *store, struct str organization, struct str project,
                                struct str function_id, struct err *err);
enum err_code sqlite_run_trim(struct store *store, uint64_t keep, uint64_t *ret_count, struct err *err);

#endif
