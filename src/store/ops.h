/*
 * store/ops.h: what a kind of store implements; store.h documents each call. Only this folder includes it.
 */
#ifndef DISPATCH_STORE_OPS_H
#define DISPATCH_STORE_OPS_H

#include "store/store.h"

struct store_ops {
        void (*close)(struct store *store);
        enum err_code (*begin)(struct store *store, struct err *err);
        enum err_code (*commit)(struct store *store, struct err *err);
        void (*rollback)(struct store *store);
        enum err_code (*get)(struct store *store, const struct store_key *key, struct store_row *ret,
                             struct err *err);
        enum err_code (*list)(struct store *store, const struct store_key *key, struct str after,
                              bool (*each)(void *arg, struct store_row *row), void *arg, struct err *err);
        enum err_code (*insert)(struct store *store, const struct store_key *key, struct store_row *row,
                                struct err *err);
        enum err_code (*update)(struct store *store, const struct store_key *key, int64_t revision,
                                json_t *document, json_t *internal, struct store_row *ret, struct err *err);
        enum err_code (*set_state)(struct store *store, enum model_kind kind, struct str id, json_t *document,
                                   json_t *internal, struct err *err);
        enum err_code (*delete)(struct store *store, const struct store_key *key, struct err *err);
        enum err_code (*run_put)(struct store *store, const struct store_run *run, struct err *err);
        enum err_code (*run_get)(struct store *store, struct str organization, struct str project,
                                 struct str id, json_t **ret, struct err *err);
        enum err_code (*run_page)(struct store *store, const struct store_run_query *query,
                                  bool (*each)(void *arg, const struct store_run *run), void *arg,
                                  struct err *err);
        enum err_code (*run_unfinished)(struct store *store, uint32_t generation,
                                        uint32_t draining_generation,
                                        bool (*each)(void *arg, const struct store_run *run), void *arg,
                                        struct err *err);
        enum err_code (*run_delete)(struct store *store, struct str organization, struct str project,
                                    struct str function_id, struct err *err);
        enum err_code (*run_trim)(struct store *store, uint64_t keep, uint64_t *ret_count, struct err *err);
        enum err_code (*meta_get)(struct store *store, const char *key, char **ret, struct err *err);
        enum err_code (*meta_set)(struct store *store, const char *key, const char *value, struct err *err);
};

/* The first member of every store. */
struct store {
        const struct store_ops *ops;
};

enum err_code sqlite_store_open(const char *dir, struct store **ret, struct err *err);

#endif
