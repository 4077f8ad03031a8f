/* cli/iam.c: organizations, policies and service accounts: fields, tables and bodies (CONTRACT.md 2.13). */
#include "base/own.h"
#include "cli/file.h"
#include "cli/form.h"
#include "cli/kinds.h"
#include "cli/resource.h"

enum { KEY_MAX = 64 * 1024 };

static const struct model_field organization_fields[] = {
        KIND_SET_BY_SERVER("createdTime", INTEGER),
        KIND_SET_BY_SERVER("id", UUID),
        KIND_SET_BY_SERVER("kind", STRING),
        KIND_SET_BY_SERVER("modifiedTime", INTEGER),
        KIND_FIELD("name", STRING, .flags = MODEL_REQUIRED, .pattern = MODEL_PATTERN_P3),
        KIND_SET_BY_SERVER("status", STRING),
        KIND_END,
};

static const struct model_field rule_fields[] = {
        KIND_FIELD("actions", STRINGS, .flags = MODEL_REQUIRED),
        KIND_FIELD("resources", STRINGS, .flags = MODEL_REQUIRED),
        KIND_FIELD("subjects", STRINGS, .flags = MODEL_REQUIRED),
        KIND_END,
};

static const struct model_field policy_fields[] = {
        KIND_SET_BY_SERVER("createdTime", INTEGER),
        KIND_FIELD("global", BOOL),
        KIND_SET_BY_SERVER("id", UUID),
        KIND_SET_BY_SERVER("kind", STRING),
        KIND_SET_BY_SERVER("modifiedTime", INTEGER),
        KIND_FIELD("name", STRING, .flags = MODEL_REQUIRED, .pattern = MODEL_PATTERN_P2),
        KIND_FIELD("rules", OBJECTS, .flags = MODEL_REQUIRED, .sub = rule_fields),
        KIND_SET_BY_SERVER("status", STRING),
        KIND_END,
};

static const struct model_field account_fields[] = {
        KIND_SET_BY_SERVER("createdTime", INTEGER),
        KIND_FIELD("domain", STRING),
        KIND_SET_BY_SERVER("id", UUID),
        KIND_SET_BY_SERVER("kind", STRING),
        KIND_SET_BY_SERVER("modifiedTime", INTEGER),
        KIND_FIELD("name", STRING, .flags = MODEL_REQUIRED, .pattern = MODEL_PATTERN_P4),
        KIND_FIELD("publicKey", BASE64, .flags = MODEL_REQUIRED),
        KIND_SET_BY_SERVER("status", STRING),
        KIND_END,
};

static const struct model_resource kind_organization = {
        .kind_name = "Organization",
        .label = "organization",
        .collection = "iam/organization",
        .parameter = "organizationName",
        .body_name = "body",
        .fields = organization_fields,
};
static const struct model_resource kind_policy = {
        .kind_name = "Policy",
        .label = "policy",
        .collection = "iam/policy",
        .parameter = "policyName",
        .body_name = "body",
        .fields = policy_fields,
};
static const struct model_resource kind_account = {
        .kind_name = "ServiceAccount",
        .label = "service account",
        .collection = "iam/serviceaccount",
        .parameter = "serviceAccountName",
        .body_name = "body",
        .fields = account_fields,
};

static const struct form form_named = {
        .columns = {{"NAME", COLUMN_TEXT, "name"},
                    {"CREATED DATE", COLUMN_TIME, "createdTime"},
                    {"STATUS", COLUMN_TEXT, "status"}},
        .narrow = 2,
        .wide = 3,
};
static const struct form form_policy = {
        .columns = {{"NAME", COLUMN_TEXT, "name"},
                    {"GLOBAL", COLUMN_BOOL, "global"},
                    {"CREATED DATE", COLUMN_TIME, "createdTime"},
                    {"RULES", COLUMN_JSON, "rules"}},
        .narrow = 3,
        .wide = 4,
        .no_wrap = true,
        .note = "Note: rule contents are omitted, please use --wide or -w to print them\n",
        .note_narrow = true,
};

static enum err_code fill_organization(struct cli *cli, json_t *body, bool update, struct err *err)
{
        (void)cli, (void)body, (void)update, (void)err;
        return ERR_OK;
}

/* The original sends one empty text where a flag is missing, for the server to refuse. */
static enum err_code add_rule(struct cli *cli, json_t *rule, struct err *err)
{
        enum err_code code = body_list_or(cli, rule, "actions", "action", json_pack("[s]", ""), err);

        if (code == ERR_OK)
                code = body_list_or(cli, rule, "resources", "resource", json_pack("[s]", ""), err);
        return code == ERR_OK ? body_list_or(cli, rule, "subjects", "subject", json_pack("[s]", ""), err)
                              : code;
}

static enum err_code fill_policy(struct cli *cli, json_t *body, bool update, struct err *err)
{
        own_json json_t *rule = json_object();
        enum err_code code = rule != NULL ? add_rule(cli, rule, err) : err_nomem(err);

        (void)update;
        if (code == ERR_OK && args_bool(&cli->args, "global")) {
                json_object_del(body, "name");
                code = body_set(body, "global", json_true(), err);
                if (code == ERR_OK)
                        code = body_argument(cli, body, "name", 0, err);
        }
        return code == ERR_OK ? body_set(body, "rules", json_pack("[O]", rule), err) : code;
}

static enum err_code fill_account(struct cli *cli, json_t *body, bool update, struct err *err)
{
        const char *path = args_text(&cli->args, "public-key");
        own_buf struct buf key = {.max = KEY_MAX};
        enum err_code code = file_read(path != NULL ? path : "", &key, err);

        (void)update;
        if (code != ERR_OK)
                return err_wrap(err, code, "Error reading public key file");
        return body_base64(body, "publicKey", &key, err);
}

const struct resource resource_organization = {
        .own = &kind_organization,
        .form = &form_named,
        .created = "Created organization",
        .deleted = "Deleted Organization",
        .deleted_form = DELETED_REPLY,
        .fill = fill_organization,
};
const struct resource resource_policy = {
        .own = &kind_policy,
        .form = &form_policy,
        .created = "Created policy",
        .deleted = "Deleted policy",
        .deleted_form = DELETED_REPLY,
        .fill = fill_policy,
};
const struct resource resource_account = {
        .own = &kind_account,
        .form = &form_named,
        .created = "Create service account", /* as the original has it */
        .deleted = "Deleted ServiceAccount",
        .deleted_form = DELETED_REPLY,
        .fill = fill_account,
};
