/* cli/services.c: service classes and instances, and applications: fields, tables, bodies (CONTRACT.md 2.15).
 */
#include "base/own.h"
#include "cli/form.h"
#include "cli/kinds.h"
#include "cli/resource.h"

static const struct model_field binding_fields[] = {
        KIND_FIELD("bindingSecret", STRING),
        KIND_SET_BY_SERVER("createdTime", INTEGER),
        KIND_FIELD("parameters", ANY),
        KIND_FIELD("reason", STRINGS, .flags = MODEL_READONLY),
        KIND_FIELD("secretParameters", STRINGS),
        KIND_SET_BY_SERVER("status", STRING),
        KIND_END,
};

static const struct model_field instance_fields[] = {
        KIND_FIELD("binding", OBJECT, .sub = binding_fields),
        KIND_SET_BY_SERVER("createdTime", INTEGER),
        KIND_SET_BY_SERVER("id", UUID),
        KIND_SET_BY_SERVER("kind", STRING),
        KIND_FIELD("name", STRING, .flags = MODEL_REQUIRED, .pattern = MODEL_PATTERN_P2),
        KIND_FIELD("parameters", ANY),
        KIND_FIELD("reason", STRINGS, .flags = MODEL_READONLY),
        KIND_FIELD("secretParameters", STRINGS),
        KIND_FIELD("serviceClass", STRING, .flags = MODEL_REQUIRED, .pattern = MODEL_PATTERN_P3),
        KIND_FIELD("servicePlan", STRING, .flags = MODEL_REQUIRED, .pattern = MODEL_PATTERN_P3),
        KIND_SET_BY_SERVER("status", STRING),
        KIND_FIELD("tags", OBJECTS, .sub = kind_pair_fields),
        KIND_END,
};

static const struct model_field plan_schema_fields[] = {
        KIND_FIELD("bind", ANY),
        KIND_FIELD("create", ANY),
        KIND_FIELD("update", ANY),
        KIND_END,
};

static const struct model_field plan_fields[] = {
        KIND_FIELD("bindable", BOOL),
        KIND_FIELD("description", STRING),
        KIND_FIELD("free", BOOL),
        KIND_FIELD("id", UUID),
        KIND_FIELD("kind", STRING),
        KIND_FIELD("metadata", ANY),
        KIND_FIELD("name", STRING),
        KIND_FIELD("schema", OBJECT, .sub = plan_schema_fields),
        KIND_END,
};

static const struct model_field class_fields[] = {
        KIND_FIELD("bindable", BOOL),
        KIND_FIELD("broker", STRING, .flags = MODEL_REQUIRED),
        KIND_SET_BY_SERVER("createdTime", INTEGER),
        KIND_FIELD("description", STRING),
        KIND_SET_BY_SERVER("id", UUID),
        KIND_SET_BY_SERVER("kind", STRING),
        KIND_FIELD("name", STRING, .flags = MODEL_REQUIRED),
        KIND_FIELD("plans", OBJECTS, .sub = plan_fields),
        KIND_FIELD("reason", STRINGS, .flags = MODEL_READONLY),
        KIND_SET_BY_SERVER("status", STRING),
        KIND_FIELD("tags", OBJECTS, .sub = kind_pair_fields),
        KIND_END,
};

static const struct model_field application_fields[] = {
        KIND_SET_BY_SERVER("createdTime", INTEGER),
        KIND_SET_BY_SERVER("id", UUID),
        KIND_SET_BY_SERVER("kind", STRING),
        KIND_SET_BY_SERVER("modifiedTime", INTEGER),
        KIND_FIELD("name", STRING, .flags = MODEL_REQUIRED),
        KIND_SET_BY_SERVER("status", STRING),
        KIND_FIELD("tags", OBJECTS, .sub = kind_pair_fields),
        KIND_END,
};

static const struct model_resource kind_instance = {
        .kind_name = "ServiceInstance",
        .label = "service instance",
        .collection = "serviceinstance",
        .parameter = "serviceInstanceName",
        .body_name = "body",
        .fields = instance_fields,
};
static const struct model_resource kind_class = {
        .kind_name = "ServiceClass",
        .label = "service class",
        .collection = "serviceclass",
        .parameter = "serviceClassName",
        .body_name = "body",
        .fields = class_fields,
};
static const struct model_resource kind_application = {
        .kind_name = "Application",
        .label = "application",
        .collection = "application",
        .parameter = "application",
        .body_name = "body",
        .fields = application_fields,
};

static const struct form form_instance = {
        .columns = {{"NAME", COLUMN_TEXT, "name"},
                    {"CLASS", COLUMN_TEXT, "serviceClass"},
                    {"PLAN", COLUMN_TEXT, "servicePlan"},
                    {"PROVISIONED", COLUMN_READY, "status"},
                    {"BOUND", COLUMN_READY, "binding.status"},
                    {"STATUS", COLUMN_TEXT, "status"},
                    {"REASON", COLUMN_JOINED, "reason"}},
        .narrow = 6,
        .wide = 7,
};
static const struct form form_class = {
        .columns = {{"NAME", COLUMN_TEXT, "name"},
                    {"BROKER", COLUMN_TEXT, "broker"},
                    {"BINDABLE", COLUMN_BOOL, "bindable"},
                    {"PLANS", COLUMN_NAMES, "plans"},
                    {"STATUS", COLUMN_TEXT, "status"},
                    {"DESCRIPTION", COLUMN_TEXT, "description"}},
        .narrow = 5,
        .wide = 6,
};
static const struct form form_application = {
        .columns = {{"NAME", COLUMN_TEXT, "name"},
                    {"STATUS", COLUMN_TEXT, "status"},
                    {"CREATED DATE", COLUMN_TIME, "createdTime"}},
        .narrow = 3,
        .wide = 3,
};

/* The JSON of a flag, null without one. */
static enum err_code set_json(struct cli *cli, json_t *body, const char *member, const char *flag,
                              struct err *err)
{
        const char *text = args_text(&cli->args, flag);
        json_t *value = NULL;
        enum err_code code;

        if (text == NULL || text[0] == '\0')
                return body_set(body, member, json_null(), err);
        code = json_parse(str_of(text), &value, err);
        if (code != ERR_OK)
                return err_wrap(err, code, "Error when parsing JSON of --%s", flag);
        return body_set(body, member, value, err);
}

static enum err_code fill_binding(struct cli *cli, json_t *binding, struct err *err)
{
        const char *key = args_text(&cli->args, "binding-secret-key");
        enum err_code code = body_set(binding, "bindingSecret", json_string(key != NULL ? key : ""), err);

        if (code == ERR_OK)
                code = set_json(cli, binding, "parameters", "binding-params", err);
        if (code == ERR_OK)
                code = body_set(binding, "reason", json_null(), err);
        return code == ERR_OK
                       ? body_list_or(cli, binding, "secretParameters", "binding-secret", json_array(), err)
                       : code;
}

static enum err_code fill_instance(struct cli *cli, json_t *body, bool update, struct err *err)
{
        json_t *binding = json_object();
        enum err_code code;

        (void)update;
        json_object_del(body, "name");
        code = body_set(body, "binding", binding, err);
        if (code == ERR_OK)
                code = fill_binding(cli, binding, err);
        if (code == ERR_OK)
                code = body_argument(cli, body, "name", 0, err);
        if (code == ERR_OK)
                code = set_json(cli, body, "parameters", "params", err);
        if (code == ERR_OK)
                code = body_set(body, "reason", json_null(), err);
        if (code == ERR_OK)
                code = body_list_or(cli, body, "secretParameters", "secret", json_array(), err);
        if (code == ERR_OK)
                code = body_argument(cli, body, "serviceClass", 1, err);
        if (code == ERR_OK)
                code = body_argument(cli, body, "servicePlan", 2, err);
        return code == ERR_OK ? body_set(body, "tags", json_null(), err) : code;
}

const struct resource resource_instance = {
        .own = &kind_instance,
        .form = &form_instance,
        .created = "Created serviceinstance",
        .deleted = "Deleted service instance",
        .deleted_form = DELETED_REPLY,
        .fill = fill_instance,
};
const struct resource resource_class = {.own = &kind_class, .form = &form_class};
const struct resource resource_application = {
        .own = &kind_application,
        .form = &form_application,
        .deleted = "Deleted application",
        .deleted_form = DELETED_REPLY,
};
