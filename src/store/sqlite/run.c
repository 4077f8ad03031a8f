/*
 * store/sqlite/run.c: the record of runs.
 */
#include "store/sqlite/sqlite.h"

#include "base/own.h"

enum err_code sqlite_run_put(struct store *base, const struct store_run *run, struct err *err)
{
        own_statement struct statement statement = {0};
        enum err_code code = statement_take(sqlite_store_of(base), SQL_RUN_PUT, &statement, err);

        if (code != ERR_OK)
                return code;
        statement_text(&statement, 1, run->id);
        statement_text(&statement, 2, run->organization);
        statement_text(&statement, 3, run->project);
        statement_text(&statement, 4, run->function);
        statement_text(&statement, 5, run->function_id);
        statement_number(&statement, 6, run->executed_us);
        statement_number(&statement, 7, run->modified_us);
        statement_number(&statement, 8, run->generation);
        statement_number(&statement, 9, run->unfinished);
        statement_json(&statement, 10, run->document);
        return statement_run(&statement, err);
}

enum err_code sqlite_run_get(struct store *base, struct str organization, struct str project, struct str id,
                             json_t **ret, struct err *err)
{
        own_statement struct statement statement = {0};
        bool row = false;
        enum err_code code = statement_take(sqlite_store_of(base), SQL_RUN_GET, &statement, err);

        if (code != ERR_OK)
                return code;
        statement_text(&statement, 1, id);
        statement_text(&statement, 2, organization);
        statement_text(&statement, 3, project);
        code = statement_step(&statement, &row, err);
        if (code != ERR_OK)
                return code;
        if (!row)
                return err_set(err, ERR_NOT_FOUND, "%s %.*s not found", model_resource(MODEL_RUN)->label,
                               STR_ARG(id));
        return statement_column_json(&statement, 0, ret, err);
}

static void bind_query(struct statement *statement, const struct store_run_query *query)
{
        bool limited = query->limit > 0 && query->limit < INT64_MAX;

        statement_text(statement, 1, query->organization);
        statement_text(statement, 2, query->project);
        statement_number(statement, 3, query->since_us);
        statement_number(statement, 4, limited ? (int64_t)query->limit : -1);
        statement_number(statement, 5, query->before_us);
        statement_text(statement, 6, query->before_id);
        if (query->function.len > 0)
                statement_text(statement, 7, query->function);
}

enum err_code sqlite_run_page(struct store *base, const struct store_run_query *query,
                              bool (*each)(void *arg, const struct store_run *run), void *arg,
                              struct err *err)
{
        own_statement struct statement statement = {0};
        enum sql which = query->function.len > 0 ? SQL_RUN_LIST_FUNCTION : SQL_RUN_LIST;
        bool more = false;
        enum err_code code = statement_take(sqlite_store_of(base), which, &statement, err);

        if (code != ERR_OK)
                return code;
        bind_query(&statement, query);
        while (code == ERR_OK && (code = statement_step(&statement, &more, err)) == ERR_OK && more) {
                own_json json_t *document = NULL;
                code = statement_column_json(&statement, 2, &document, err);
                const struct store_run run = {.id = statement_column(&statement, 0),
                                              .modified_us = sqlite3_column_int64(statement.stmt, 1),
                                              .document = document};
                if (code == ERR_OK && !each(arg, &run))
                        break;
        }
        return code;
}

/* The strings are the statement's until its next step, the document the guard's. */
static enum err_code read_run(const struct statement *statement, struct store_run *ret, json_t **ret_document,
                              struct err *err)
{
        enum err_code code = statement_column_json(statement, 8, ret_document, err);

        if (code != ERR_OK)
                return code;
        *ret = (struct store_run){
                .id = statement_column(statement, 0),
                .organization = statement_column(statement, 1),
                .project = statement_column(statement, 2),
                .function = statement_column(statement, 3),
                .function_id = statement_column(statement, 4),
                .executed_us = sqlite3_column_int64(statement->stmt, 5),
                .modified_us = sqlite3_column_int64(statement->stmt, 6),
                .generation = (uint32_t)sqlite3_column_int64(statement->stmt, 7),
                .unfinished = true,
                .document = *ret_document,
        };
        return ERR_OK;
}

enum err_code sqlite_run_unfinished(struct store *base, uint32_t generation, uint32_t draining_generation,
                                    bool (*each)(void *arg, const struct store_run *run), void *arg,
                                    struct err *err)
{
        own_statement struct statement statement = {0};
        bool more = false;
        enum err_code code = statement_take(sqlite_store_of(base), SQL_RUN_UNFINISHED, &statement, err);

        if (code != ERR_OK)
                return code;
        statement_number(&statement, 1, generation);
        statement_number(&statement, 2, draining_generation);
        while (code == ERR_OK && (code = statement_step(&statement, &more, err)) == ERR_OK && more) {
                struct store_run run;
                own_json json_t *document = NULL;
                code = read_run(&statement, &run, &document, err);
                if (code == ERR_OK && !each(arg, &run))
                        break;
        }
        return code;
}

enum err_code sqlite_run_delete(struct store *base, struct str organization, struct str project,
                                struct str function_id, struct err *err)
{
        own_statement struct statement statement = {0};
        enum err_code code = statement_take(sqlite_store_of(base), SQL_RUN_DELETE, &statement, err);

        if (code != ERR_OK)
                return code;
        statement_text(&statement, 1, organization);
        statement_text(&statement, 2, project);
        statement_text(&statement, 3, function_id);
        return statement_run(&statement, err);
}

enum err_code sqlite_run_trim(struct store *base, uint64_t keep, uint64_t *ret_count, struct err *err)
{
        own_statement struct statement statement = {0};
        struct sqlite_store *store = sqlite_store_of(base);
        enum err_code code = statement_take(store, SQL_RUN_TRIM, &statement, err);

        if (code != ERR_OK)
                return code;
        statement_number(&statement, 1, keep < INT64_MAX ? (int64_t)keep : INT64_MAX);
        statement_number(&statement, 2, STORE_TRIM_MAX);
        code = statement_run(&statement, err);
        if (code == ERR_OK)
                *ret_count = (uint64_t)sqlite3_changes64(store->db);
        return code;
}
