/*
 * store/sqlite/statement.c: kept prepared statements, and what SQLite's results mean.
 */
#include "store/sqlite/sqlite.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static const char *const texts[] = {
#define X(name, text) [SQL_##name] = text,
        SQL_TABLE(X)
#undef X
};

static enum err_code fail_io(const struct sqlite_store *store, struct err *err)
{
        int saved = sqlite3_system_errno(store->db);

        if (saved == ENOSPC || saved == EDQUOT)
                return err_set(err, ERR_UNAVAILABLE,
                               "the disk with '%s' is full: free some space; nothing that was stored is lost",
                               store->path);
        err_set(err, ERR_SYSTEM, "I/O error on '%s': %s (%s); see the kernel's log, the disk may be failing",
                store->path, sqlite3_errstr(sqlite3_extended_errcode(store->db)),
                saved != 0 ? strerror(saved) : "no errno");
        if (err != NULL)
                err->sys_errno = saved;
        return ERR_SYSTEM;
}

enum err_code sqlite_fail(const struct sqlite_store *store, int code, struct err *err)
{
        switch (code & 0xff) {
        case SQLITE_NOMEM:
                return err_nomem(err);
        case SQLITE_FULL:
                return err_set(err, ERR_UNAVAILABLE,
                               "the disk with '%s' is full: free some space; nothing that was stored is lost",
                               store->path);
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return err_set(err, ERR_UNAVAILABLE, "another process keeps '%s' locked", store->path);
        case SQLITE_READONLY:
        case SQLITE_PERM:
        case SQLITE_CANTOPEN:
        case SQLITE_AUTH:
                return err_set(
                        err, ERR_SYSTEM,
                        "cannot write '%s' (%s): the folder and its files must belong to the server's user "
                        "on a writable file system",
                        store->path, sqlite3_errstr(code));
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return err_set(
                        err, ERR_CORRUPT,
                        "'%s' is damaged (%s): stop the server, keep a copy of the folder, and restore a "
                        "backup or recover the file with `sqlite3 FILE .recover`",
                        store->path, sqlite3_errstr(code));
        case SQLITE_TOOBIG:
                return err_set(err, ERR_TOO_LARGE, "a document is larger than the store takes");
        case SQLITE_IOERR:
                return fail_io(store, err);
        default:
                return err_set(err, ERR_SYSTEM, "store '%s': %s", store->path, sqlite3_errmsg(store->db));
        }
}

/* After an error SQLite may have ended the transaction on its own; what follows must not run outside of it.
 */
static bool is_cut_off(const struct sqlite_store *store, enum sql which)
{
        return store->in_transaction && which != SQL_BEGIN && which != SQL_ROLLBACK &&
               sqlite3_get_autocommit(store->db) != 0;
}

enum err_code statement_take(struct sqlite_store *store, enum sql which, struct statement *ret,
                             struct err *err)
{
        bool is_kept = (store->busy >> which & 1) == 0;
        sqlite3_stmt *stmt = is_kept ? store->statements[which] : NULL;

        assert(which < SQL_COUNT);
        if (is_cut_off(store, which))
                return err_set(err, ERR_CANCELLED,
                               "an earlier error ended the transaction; nothing of it is stored");
        if (stmt == NULL) {
                unsigned flags = is_kept ? SQLITE_PREPARE_PERSISTENT : 0;
                int code = sqlite3_prepare_v3(store->db, texts[which], -1, flags, &stmt, NULL);
                if (code != SQLITE_OK)
                        return sqlite_fail(store, code, err);
        }
        if (is_kept) {
                store->statements[which] = stmt;
                store->busy |= UINT32_C(1) << which;
        }
        *ret = (struct statement){.store = store, .stmt = stmt, .which = which, .is_kept = is_kept};
        return ERR_OK;
}

void statement_release(struct statement *statement)
{
        if (statement->stmt == NULL)
                return;
        if (statement->is_kept) {
                sqlite3_reset(statement->stmt);
                sqlite3_clear_bindings(statement->stmt);
                statement->store->busy &= ~(UINT32_C(1) << statement->which);
        } else {
                sqlite3_finalize(statement->stmt);
        }
        for (int i = 0; i < statement->text_count; i++)
                buf_finish(&statement->texts[i]);
        *statement = (struct statement){0};
}

static void note_bind(struct statement *statement, int code)
{
        if (statement->bound == SQLITE_OK)
                statement->bound = code;
}

void statement_text(struct statement *statement, int index, struct str text)
{
        const char *p = text.p != NULL ? text.p : "";

        note_bind(statement,
                  sqlite3_bind_text64(statement->stmt, index, p, text.len, SQLITE_STATIC, SQLITE_UTF8));
}

void statement_number(struct statement *statement, int index, int64_t number)
{
        note_bind(statement, sqlite3_bind_int64(statement->stmt, index, number));
}

void statement_json(struct statement *statement, int index, const json_t *value)
{
        assert(statement->text_count < 2);
        if (value == NULL) {
                note_bind(statement, sqlite3_bind_null(statement->stmt, index));
                return;
        }

        struct buf *text = &statement->texts[statement->text_count++];
        buf_init(text, STORE_DOCUMENT_MAX);
        enum err_code code = json_print(value, text, NULL);
        if (code == ERR_OK)
                statement_text(statement, index, (struct str){text->data, text->len});
        else
                statement->bound_code = code;
}

void statement_key(struct statement *statement, const struct store_key *key)
{
        statement_text(statement, 1, str_of(model_resource(key->kind)->kind_name));
        statement_text(statement, 2, key->organization);
        statement_text(statement, 3, key->project);
        statement_text(statement, 4, key->name);
}

static enum err_code fail_bind(const struct statement *statement, struct err *err)
{
        if (statement->bound_code == ERR_NO_MEMORY)
                return err_nomem(err);
        if (statement->bound_code == ERR_TOO_LARGE)
                return err_set(err, ERR_TOO_LARGE, "a document is larger than %d MiB",
                               STORE_DOCUMENT_MAX >> 20);
        if (statement->bound_code != ERR_OK)
                return err_set(err, statement->bound_code, "a document is nested too deeply");
        return sqlite_fail(statement->store, statement->bound, err);
}

enum err_code statement_step(struct statement *statement, bool *ret_row, struct err *err)
{
        if (statement->bound != SQLITE_OK || statement->bound_code != ERR_OK)
                return fail_bind(statement, err);

        int code = sqlite3_step(statement->stmt);
        if (code != SQLITE_ROW && code != SQLITE_DONE)
                return sqlite_fail(statement->store, sqlite3_extended_errcode(statement->store->db), err);
        *ret_row = code == SQLITE_ROW;
        return ERR_OK;
}

enum err_code statement_run(struct statement *statement, struct err *err)
{
        bool row;
        enum err_code code = statement_step(statement, &row, err);

        assert(code != ERR_OK || !row);
        return code;
}

struct str statement_column(const struct statement *statement, int column)
{
        const char *text = (const char *)sqlite3_column_text(statement->stmt, column);

        if (text == NULL)
                return (struct str){"", 0};
        return (struct str){text, (size_t)sqlite3_column_bytes(statement->stmt, column)};
}

enum err_code statement_column_json(const struct statement *statement, int column, json_t **ret,
                                    struct err *err)
{
        struct err inner;
        enum err_code code = json_parse_own(statement_column(statement, column), ret, &inner);

        if (code == ERR_OK || code == ERR_NO_MEMORY)
                return code == ERR_OK ? code : err_nomem(err);
        return err_set(err, ERR_CORRUPT, "a document in '%s' is no JSON (%s): restore a backup",
                       statement->store->path, inner.text);
}
