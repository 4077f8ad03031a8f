/*
 * store/store.c: picks the kind of store by its address and passes every call on to it.
 */
#include "store/ops.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum err_code store_open(const char *url, struct store **ret, struct err *err)
{
        static const char sqlite[] = "sqlite:";

        if (strncmp(url, sqlite, sizeof(sqlite) - 1) == 0 && url[sizeof(sqlite) - 1] != '\0')
                return sqlite_store_open(url + sizeof(sqlite) - 1, ret, err);
        return err_set(err, ERR_INVALID,
                       "the store '%.100s' is not of a kind that this program has: sqlite:DIR", url);
}

void store_close(struct store *store)
{
        if (store != NULL)
                store->ops->close(store);
}

void store_row_finish(struct store_row *row)
{
        free(row->organization);
        free(row->project);
        free(row->name);
        free(row->id);
        json_decref(row->document);
        json_decref(row->internal);
        *row = (struct store_row){0};
}

enum err_code store_begin(struct store *store, struct err *err)
{
        return store->ops->begin(store, err);
}

enum err_code store_commit(struct store *store, struct err *err)
{
        return store->ops->commit(store, err);
}

void store_rollback(struct store *store)
{
        store->ops->rollback(store);
}

enum err_code store_get(struct store *store, const struct store_key *key, struct store_row *ret,
                        struct err *err)
{
        return store->ops->get(store, key, ret, err);
}

enum err_code store_list(struct store *store, const struct store_key *key,
                         bool (*each)(void *arg, struct store_row *row), void *arg, struct err *err)
{
        return store->ops->list(store, key, STR(""), each, arg, err);
}

enum err_code store_list_after(struct store *store, const struct store_key *key, struct str after,
                               bool (*each)(void *arg, struct store_row *row), void *arg, struct err *err)
{
        assert(key->organization.len > 0 && key->name.len == 0);
        return store->ops->list(store, key, after, each, arg, err);
}

enum err_code store_insert(struct store *store, const struct store_key *key, struct store_row *row,
                           struct err *err)
{
        assert(row->document != NULL && key->name.len > 0);
        return store->ops->insert(store, key, row, err);
}

enum err_code store_update(struct store *store, const struct store_key *key, int64_t revision,
                           json_t *document, json_t *internal, struct store_row *ret, struct err *err)
{
        return store->ops->update(store, key, revision, document, internal, ret, err);
}

enum err_code store_set_state(struct store *store, enum model_kind kind, struct str id, json_t *document,
                              json_t *internal, struct err *err)
{
        return store->ops->set_state(store, kind, id, document, internal, err);
}

enum err_code store_delete(struct store *store, const struct store_key *key, struct err *err)
{
        return store->ops->delete (store, key, err);
}

enum err_code store_run_put(struct store *store, const struct store_run *run, struct err *err)
{
        assert(run->document != NULL && run->id.len > 0);
        return store->ops->run_put(store, run, err);
}

enum err_code store_run_get(struct store *store, struct str organization, struct str project, struct str id,
                            json_t **ret, struct err *err)
{
        return store->ops->run_get(store, organization, project, id, ret, err);
}

enum err_code store_run_page(struct store *store, const struct store_run_query *query,
                             bool (*each)(void *arg, const struct store_run *run), void *arg, struct err *err)
{
        return store->ops->run_page(store, query, each, arg, err);
}

struct documents {
        bool (*each)(void *arg, json_t *run);
        void *arg;
};

static bool document_pass(void *arg, const struct store_run *run)
{
        const struct documents *documents = arg;

        return documents->each(documents->arg, run->document);
}

enum err_code store_run_list(struct store *store, struct str organization, struct str project,
                             struct str function, int64_t since_us, uint64_t limit,
                             bool (*each)(void *arg, json_t *run), void *arg, struct err *err)
{
        const struct store_run_query query = {organization, project, function, since_us,
                                              INT64_MAX,    STR(""), limit};
        struct documents documents = {each, arg};

        return store->ops->run_page(store, &query, document_pass, &documents, err);
}

enum err_code store_run_unfinished(struct store *store, uint32_t generation, uint32_t draining_generation,
                                   bool (*each)(void *arg, const struct store_run *run), void *arg,
                                   struct err *err)
{
        return store->ops->run_unfinished(store, generation, draining_generation, each, arg, err);
}

enum err_code store_run_delete(struct store *store, struct str organization, struct str project,
                               struct str function_id, struct err *err)
{
        return store->ops->run_delete(store, organization, project, function_id, err);
}

enum err_code store_run_trim(struct store *store, uint64_t keep, uint64_t *ret_count, struct err *err)
{
        return store->ops->run_trim(store, keep, ret_count, err);
}

enum err_code store_meta_get(struct store *store, const char *key, char **ret, struct err *err)
{
        return store->ops->meta_get(store, key, ret, err);
}

enum err_code store_meta_set(struct store *store, const char *key, const char *value, struct err *err)
{
        return store->ops->meta_set(store, key, value, err);
}
