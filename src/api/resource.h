/*
 * api/resource.h: the common way of create, read, update and delete, driven by one row a resource. What is
 * special about a resource are its hooks.
 *
 * A change goes: parse and validate by the model's table; `check`; one transaction with the row and `within`;
 * `committed`; publish the snapshot where routes or functions changed; reply. Nothing is visible before it is
 * durable.
 */
#ifndef DISPATCH_API_RESOURCE_H
#define DISPATCH_API_RESOURCE_H

#include "api/internal.h"
#include "api/status.h"
#include "model/json.h"

struct change {
        struct api *api;
        struct api_call *call;
        const struct api_resource *resource;
        enum api_verb verb;      /* VERB_CREATE, VERB_UPDATE, VERB_DELETE */
        json_t *sent;            /* as the caller sent it */
        json_t *document;        /* what will be stored */
        json_t *internal;        /* likewise; an object */
        json_t *plain;           /* of a secret: its values */
        struct buf source;       /* of a function: the archive that came with it */
        struct store_row before; /* of an update or delete */
        struct store_row after;  /* of a create or update, once stored */
        void *entry;             /* of an endpoint: its route */
};

struct api_resource {
        enum model_kind kind;
        int created, updated, deleted; /* the exact 2xx that clients insist on */
        /* The status that replies to a create and an update name in place of the stored one; or NULL. */
        const char *creating, *updating;
        bool names_others; /* a create is a 404 unless what it names is there */
        const char *const
                *owned; /* document keys that the server sets; a caller's are dropped; NULL-terminated */

        /* Each may be NULL. check may refuse and completes document and internal (status included). It is
         * called twice for a change that is prepared. */
        enum err_code (*check)(struct change *change, struct err *err);
        /* A create or update needs something outside of the store first: `prepare` sees to it, once the
         * change was checked, and calls api_change_go_on, then or later. */
        bool (*prepares)(const struct change *change);
        void (*prepare)(struct change *change);
        enum err_code (*before_delete)(struct api *api, struct err *err);
        /* In the transaction; change->after has the row's id. */
        enum err_code (*within)(struct change *change, struct err *err);
        /* The change is durable. Returns true when the snapshot has to be published before the reply. */
        bool (*committed)(struct change *change);
        /* Completes the copy of a row's document that is about to be shown. */
        enum err_code (*reveal)(struct api *api, const struct store_row *row, json_t *document,
                                struct err *err);
};

extern const struct api_resource api_base_images, api_images, api_functions, api_secrets, api_endpoints,
        api_apis;

/* Of each kind but runs. */
const struct api_resource *api_resource_of(enum model_kind kind);

/* Handles a call of a resource whose caller is known. */
void api_resource_call(const struct api_resource *resource, struct api_call *call);

/* The body as JSON: 422 when there is none, 400 when it is none. */
enum err_code api_body_parse(const struct api_call *call, enum model_kind kind, json_t **ret,
                             struct err *err);

/* A row as a caller sees it. New. */
enum err_code api_row_show(struct api *api, const struct api_resource *resource, const struct store_row *row,
                           json_t **ret, struct err *err);

/* Finishes the call with the row and its ETag; nothing but the status for 204. `state`, unless NULL, is what
 * the reply names as status. */
void api_row_reply(struct api_call *call, const struct api_resource *resource, int status, const char *state,
                   const struct store_row *row);
/* The row that the call's path names; 404 in the words of the view that was asked. */
enum err_code api_row_get(const struct api_call *call, const struct api_resource *resource,
                          struct store_row *ret, struct err *err);
/* The key that the call's path names. */
struct store_key api_call_key(const struct api_call *call, enum model_kind kind);

/* What was prepared is there, or why not: the change goes on, from its check, or fails. */
void api_change_go_on(struct change *change, enum err_code code, const struct err *err);
/* For the end of the server: it is forgotten. */
void api_change_drop(struct change *change);

/* POST and PUT; DELETE (change.c). */
void api_call_change(const struct api_resource *resource, struct api_call *call);
void api_call_delete(const struct api_resource *resource, struct api_call *call);

/* 404 `LABEL NAME not found`. */
enum err_code api_not_found(enum model_kind kind, struct str name, struct err *err);

/* A fresh `REGISTRY/UUID`. */
json_t *api_image_url(const struct api *api);

#endif
