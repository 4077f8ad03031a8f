/*
 * store/sqlite/resource.c: definitions: one row each, found by kind, organization, project and name.
 */
#include "store/sqlite/sqlite.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/own.h"

static enum err_code not_found(const struct store_key *key, struct err *err)
{
        return err_set(err, ERR_NOT_FOUND, "%s %.*s not found", model_resource(key->kind)->label,
                       STR_ARG(key->name));
}

static char *column_copy(const struct statement *statement, int column)
{
        struct str text = statement_column(statement, column);

        return strndup(text.p, text.len);
}

/* The columns of SQL_ROW. */
static enum err_code read_row(const struct statement *statement, struct store_row *ret, struct err *err)
{
        own_row struct store_row row = {
                .organization = column_copy(statement, 0),
                .project = column_copy(statement, 1),
                .name = column_copy(statement, 2),
                .id = column_copy(statement, 3),
                .revision = sqlite3_column_int64(statement->stmt, 4),
                .created_us = sqlite3_column_int64(statement->stmt, 5),
                .modified_us = sqlite3_column_int64(statement->stmt, 6),
        };

        if (row.organization == NULL || row.project == NULL || row.name == NULL || row.id == NULL)
                return err_nomem(err);
        enum err_code code = statement_column_json(statement, 7, &row.document, err);
        if (code == ERR_OK)
                code = statement_column_json(statement, 8, &row.internal, err);
        if (code != ERR_OK)
                return code;
        *ret = row;
        row = (struct store_row){0};
        return ERR_OK;
}

enum err_code sqlite_get(struct store *base, const struct store_key *key, struct store_row *ret,
                         struct err *err)
{
        own_statement struct statement statement = {0};
        bool row = false;
        enum err_code code = statement_take(sqlite_store_of(base), SQL_GET, &statement, err);

        if (code != ERR_OK)
                return code;
        statement_key(&statement, key);
        code = statement_step(&statement, &row, err);
        if (code != ERR_OK)
                return code;
        return row ? read_row(&statement, ret, err) : not_found(key, err);
}

/* The statement whose index serves the key best; what it leaves open is compared row by row. */
static enum err_code take_list(struct sqlite_store *store, const struct store_key *key, struct str after,
                               struct statement *ret, struct err *err)
{
        bool by_organization = key->organization.len > 0;
        bool by_project = by_organization && key->project.len > 0;
        enum err_code code = statement_take(store,
                                            by_project        ? SQL_LIST_PROJECT
                                            : by_organization ? SQL_LIST_ORGANIZATION
                                                              : SQL_LIST,
                                            ret, err);

        if (code != ERR_OK)
                return code;
        statement_text(ret, 1, str_of(model_resource(key->kind)->kind_name));
        if (by_organization) {
                statement_text(ret, 2, key->organization);
                statement_text(ret, 3, after);
        }
        if (by_project)
                statement_text(ret, 4, key->project);
        return ERR_OK;
}

static bool is_wanted(const struct statement *statement, const struct store_key *key)
{
        return (key->project.len == 0 || str_eq(key->project, statement_column(statement, 1))) &&
               (key->name.len == 0 || str_eq(key->name, statement_column(statement, 2)));
}

enum err_code sqlite_list(struct store *base, const struct store_key *key, struct str after,
                          bool (*each)(void *arg, struct store_row *row), void *arg, struct err *err)
{
        own_statement struct statement statement = {0};
        bool more = false;
        enum err_code code = take_list(sqlite_store_of(base), key, after, &statement, err);

        while (code == ERR_OK && (code = statement_step(&statement, &more, err)) == ERR_OK && more) {
                own_row struct store_row row = {0};
                if (!is_wanted(&statement, key))
                        continue;
                code = read_row(&statement, &row, err);
                if (code == ERR_OK && !each(arg, &row))
                        break;
        }
        return code;
}

/* The strings that an insert gives its row, all or none. */
struct identity {
        char *organization, *project, *name, *id;
};

static void identity_finish(struct identity *identity)
{
        free(identity->organization);
        free(identity->project);
        free(identity->name);
        free(identity->id);
}

static char *text_copy(struct str text)
{
        return strndup(text.p != NULL ? text.p : "", text.len);
}

static bool identity_make(const struct store_key *key, const char *id, struct identity *ret)
{
        char made[UUID_LEN + 1];

        if (id == NULL)
                uuid_generate(made);
        *ret = (struct identity){
                .organization = text_copy(key->organization),
                .project = text_copy(key->project),
                .name = text_copy(key->name),
                .id = strdup(id != NULL ? id : made),
        };
        return ret->organization != NULL && ret->project != NULL && ret->name != NULL && ret->id != NULL;
}

static void identity_move(struct identity *from, struct store_row *row)
{
        free(row->organization);
        free(row->project);
        free(row->name);
        free(row->id);
        row->organization = take_ptr(&from->organization);
        row->project = take_ptr(&from->project);
        row->name = take_ptr(&from->name);
        row->id = take_ptr(&from->id);
}

static enum err_code insert_row(struct sqlite_store *store, const struct store_key *key, const char *id,
                                int64_t now_us, const struct store_row *row, struct err *err)
{
        own_statement struct statement statement = {0};
        own_json json_t *empty = json_object();
        enum err_code code = statement_take(store, SQL_INSERT, &statement, err);

        if (code != ERR_OK)
                return code;
        if (empty == NULL)
                return err_nomem(err);
        statement_key(&statement, key);
        statement_text(&statement, 5, str_of(id));
        statement_number(&statement, 6, now_us);
        statement_json(&statement, 7, row->document);
        statement_json(&statement, 8, row->internal != NULL ? row->internal : empty);
        code = statement_run(&statement, err);
        if (code != ERR_OK && sqlite3_extended_errcode(store->db) == SQLITE_CONSTRAINT_UNIQUE)
                return err_set(err, ERR_CONFLICT, "%s %.*s already exists", model_resource(key->kind)->label,
                               STR_ARG(key->name));
        return code;
}

enum err_code sqlite_insert(struct store *base, const struct store_key *key, struct store_row *row,
                            struct err *err)
{
        __attribute__((cleanup(identity_finish))) struct identity identity = {0};
        int64_t now_us = clock_wall_us();

        if (!identity_make(key, row->id, &identity))
                return err_nomem(err);
        enum err_code code = insert_row(sqlite_store_of(base), key, identity.id, now_us, row, err);
        if (code != ERR_OK)
                return code;
        identity_move(&identity, row);
        row->revision = 1;
        row->created_us = row->modified_us = now_us;
        return ERR_OK;
}

/* Nothing was updated: because there is nothing, or because it is not the revision that the caller saw. */
static enum err_code explain_no_update(struct store *base, const struct store_key *key, int64_t revision,
                                       struct err *err)
{
        own_row struct store_row row = {0};
        enum err_code code = sqlite_get(base, key, &row, err);

        if (code != ERR_OK)
                return code;
        return err_set(err, ERR_PRECONDITION,
                       "%s %.*s was changed: its revision is %" PRId64 ", not %" PRId64,
                       model_resource(key->kind)->label, STR_ARG(key->name), row.revision, revision);
}

/* The row that RETURNING gives is stepped past, for only the end of the statement commits it. */
static enum err_code update_row(struct sqlite_store *store, const struct store_key *key, int64_t revision,
                                const json_t *document, const json_t *internal, bool *ret_found,
                                struct store_row *ret, struct err *err)
{
        own_statement struct statement statement = {0};
        own_row struct store_row row = {0};
        bool more = false;
        enum err_code code = statement_take(store, SQL_UPDATE, &statement, err);

        if (code != ERR_OK)
                return code;
        statement_key(&statement, key);
        statement_number(&statement, 5, revision);
        statement_number(&statement, 6, clock_wall_us());
        statement_json(&statement, 7, document);
        statement_json(&statement, 8, internal);
        code = statement_step(&statement, &more, err);
        *ret_found = more;
        if (code == ERR_OK && more)
                code = read_row(&statement, &row, err);
        if (code == ERR_OK && more)
                code = statement_step(&statement, &more, err);
        if (code == ERR_OK && *ret_found) {
                *ret = row;
                row = (struct store_row){0};
        }
        return code;
}

enum err_code sqlite_update(struct store *base, const struct store_key *key, int64_t revision,
                            json_t *document, json_t *internal, struct store_row *ret, struct err *err)
{
        own_row struct store_row row = {0};
        bool found = false;
        enum err_code code =
                update_row(sqlite_store_of(base), key, revision, document, internal, &found, &row, err);

        if (code != ERR_OK)
                return code;
        if (!found)
                return explain_no_update(base, key, revision, err);
        if (ret != NULL) {
                *ret = row;
                row = (struct store_row){0};
        }
        return ERR_OK;
}

enum err_code sqlite_set_state(struct store *base, enum model_kind kind, struct str id, json_t *document,
                               json_t *internal, struct err *err)
{
        own_statement struct statement statement = {0};
        struct sqlite_store *store = sqlite_store_of(base);
        enum err_code code = statement_take(store, SQL_SET_STATE, &statement, err);

        if (code != ERR_OK)
                return code;
        statement_text(&statement, 1, id);
        statement_text(&statement, 2, str_of(model_resource(kind)->kind_name));
        statement_json(&statement, 3, document);
        statement_json(&statement, 4, internal);
        code = statement_run(&statement, err);
        if (code == ERR_OK && sqlite3_changes(store->db) == 0)
                return err_set(err, ERR_NOT_FOUND, "%s %.*s not found", model_resource(kind)->label,
                               STR_ARG(id));
        return code;
}

enum err_code sqlite_delete(struct store *base, const struct store_key *key, struct err *err)
{
        own_statement struct statement statement = {0};
        struct sqlite_store *store = sqlite_store_of(base);
        enum err_code code = statement_take(store, SQL_DELETE, &statement, err);

        if (code != ERR_OK)
                return code;
        statement_key(&statement, key);
        code = statement_run(&statement, err);
        return code == ERR_OK && sqlite3_changes(store->db) == 0 ? not_found(key, err) : code;
}
