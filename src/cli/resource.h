/*
 * cli/resource.h: what create, get, update and delete share: the kinds of resources by the names and texts of
 * the command line, and the way from flags to a request's body.
 */
#ifndef DISPATCH_CLI_RESOURCE_H
#define DISPATCH_CLI_RESOURCE_H

#include "cli/cli.h"
#include "model/model.h"

/* Where the name and the object that a delete prints come from. */
enum deleted_form {
        DELETED_REPLY,
        DELETED_NAME, /* the command line: {"name": NAME} and what SEED's form puts around it */
        DELETED_META  /* the same: {"meta": {"name": NAME}} */
};

struct form;

struct resource {
        enum model_kind kind;             /* of the model, unless `own` is set */
        const struct model_resource *own; /* a kind that the client alone has tables for, or NULL */
        const struct form *form;
        const char *created, *updated, *deleted; /* before ": NAME" */
        enum deleted_form deleted_form;
        bool has_kind;       /* created with its kind */
        bool named_by_flag;  /* created under the name of --name, or one that is made up */
        bool keeps_revision; /* update -f takes the revision that is there if the file has none */
        /* Puts the command's arguments and flags into the body: of a create, which has the name already,
         * every member in the original's order; of an update what was given. */
        enum err_code (*fill)(struct cli *cli, json_t *body, bool update, struct err *err);
};

extern const struct resource resource_base_image, resource_image, resource_function, resource_run,
        resource_secret, resource_endpoint, resource_api;
/* Kinds of the API that the server of this version does not have. */
extern const struct resource resource_subscription, resource_driver_type, resource_driver,
        resource_organization, resource_policy, resource_account, resource_instance, resource_class,
        resource_application;
/* All of them; NULL ends it. */
extern const struct resource *const resource_kinds[];

const struct model_resource *resource_model(const struct resource *resource);
/* By the kind of a file's document ("Function"), runs apart; NULL when there is none. */
const struct resource *resource_named(struct str kind_name);

/* The command's kind: command->data. */
const struct resource *resource_of(const struct cli *cli);

/* The commands; command->data is the struct resource. */
enum err_code resource_create(struct cli *cli, struct err *err);
enum err_code resource_get(struct cli *cli, struct err *err);
enum err_code resource_update(struct cli *cli, struct err *err);
enum err_code resource_delete(struct cli *cli, struct err *err);
enum err_code resource_edit(struct cli *cli, struct err *err);
enum err_code resource_wait_for(struct cli *cli, struct err *err);

/*
 * Polls until the object is READY (or has no status), as --wait asks. *object is replaced by the newest one.
 * ERR_CONFLICT with the reason when it is in ERROR, ERR_TIMEOUT after --wait-timeout. Shows its progress on
 * cli->err if that is a terminal.
 */
enum err_code resource_wait(struct cli *cli, const struct resource *resource, const char *name,
                            json_t **object, struct err *err);

/* The source at `path` as member "source"; `doing` ("creating") is for the text of a refusal. */
enum err_code body_source(json_t *body, const char *doing, const char *name, const char *path,
                          bool has_handler, struct err *err);

/* Setting members of a body; each does nothing when the flag was not given. */

/* The command's argument of that index. */
enum err_code body_argument(struct cli *cli, json_t *body, const char *member, int index, struct err *err);
/* An empty text takes the member out. */
enum err_code body_text(struct cli *cli, json_t *body, const char *member, const char *flag, struct err *err);
enum err_code body_number(struct cli *cli, json_t *body, const char *member, const char *flag,
                          struct err *err);
/* Repeatable and split at commas; nothing but empty texts takes the member out. */
enum err_code body_list(struct cli *cli, json_t *body, const char *member, const char *flag, struct err *err);
/* The same; `otherwise`, which is taken over, stands where the flag does not. */
enum err_code body_list_or(struct cli *cli, json_t *body, const char *member, const char *flag,
                           json_t *otherwise, struct err *err);
enum err_code body_base64(json_t *body, const char *member, const struct buf *bytes, struct err *err);
/* The tag {"key": "Application", "value": A} of --application, in place of another. */
enum err_code body_application(struct cli *cli, json_t *body, struct err *err);
/* Takes over `value`, NULL meaning out of memory. */
enum err_code body_set(json_t *body, const char *member, json_t *value, struct err *err);
/* The JSON file that the flag names. */
enum err_code body_file(const char *path, const char *error_prefix, json_t **ret, struct err *err);

#endif
