/*
 * cli/events.c: subscriptions, event drivers and their types: their fields, tables and bodies
 * (CONTRACT.md 2.7 to 2.9).
 */
#include "base/own.h"
#include "cli/commands.h"
#include "cli/form.h"
#include "cli/kinds.h"
#include "cli/resource.h"

#include <string.h>

#define NAME_TEXT                                                                                            \
        "name should start with letter or number and may only contain letters, numbers, underscores and "    \
        "dashes"

const struct model_field kind_pair_fields[] = {
        KIND_FIELD("key", STRING),
        KIND_FIELD("value", STRING),
        KIND_END,
};

static const struct model_field subscription_fields[] = {
        KIND_SET_BY_SERVER("createdTime", INTEGER),
        KIND_FIELD("eventType", STRING, .flags = MODEL_REQUIRED, .pattern = MODEL_PATTERN_P4, .max = 128),
        KIND_FIELD("function", STRING, .flags = MODEL_REQUIRED, .pattern = MODEL_PATTERN_P3),
        KIND_SET_BY_SERVER("id", UUID),
        KIND_SET_BY_SERVER("kind", STRING),
        KIND_SET_BY_SERVER("modifiedTime", INTEGER),
        KIND_FIELD("name", STRING, .flags = MODEL_REQUIRED, .pattern = MODEL_PATTERN_P2,
                   .pattern_text = NAME_TEXT),
        KIND_FIELD("secrets", STRINGS),
        KIND_SET_BY_SERVER("status", STRING),
        KIND_FIELD("tags", OBJECTS, .sub = kind_pair_fields),
        KIND_END,
};

static const struct model_field driver_type_fields[] = {
        KIND_FIELD("config", OBJECTS, .sub = kind_pair_fields),
        KIND_SET_BY_SERVER("created-time", INTEGER),
        KIND_SET_BY_SERVER("id", UUID),
        KIND_FIELD("image", STRING, .flags = MODEL_REQUIRED),
        KIND_FIELD("expose", BOOL),
        KIND_SET_BY_SERVER("kind", STRING),
        KIND_SET_BY_SERVER("modified-time", INTEGER),
        KIND_FIELD("name", STRING, .flags = MODEL_REQUIRED, .pattern = MODEL_PATTERN_P2,
                   .pattern_text = NAME_TEXT, .max = 32),
        KIND_FIELD("tags", OBJECTS, .sub = kind_pair_fields),
        KIND_END,
};

static const struct model_field driver_fields[] = {
        KIND_FIELD("config", OBJECTS, .sub = kind_pair_fields),
        KIND_SET_BY_SERVER("created-time", INTEGER),
        KIND_SET_BY_SERVER("id", UUID),
        KIND_SET_BY_SERVER("kind", STRING),
        KIND_SET_BY_SERVER("modified-time", INTEGER),
        KIND_FIELD("name", STRING, .flags = MODEL_REQUIRED, .pattern = MODEL_PATTERN_P5,
                   .pattern_text = "name should start with lower case letter or number and may only contain "
                                   "lower case letters, numbers and dashes"),
        KIND_FIELD("reason", STRINGS, .flags = MODEL_READONLY),
        KIND_FIELD("secrets", STRINGS),
        KIND_SET_BY_SERVER("expose", BOOL),
        KIND_SET_BY_SERVER("url", STRING),
        KIND_SET_BY_SERVER("status", STRING),
        KIND_FIELD("tags", OBJECTS, .sub = kind_pair_fields),
        KIND_FIELD("type", STRING, .flags = MODEL_REQUIRED, .max = 32),
        KIND_END,
};

static const struct model_resource kind_subscription = {
        .kind_name = "Subscription",
        .label = "subscription",
        .collection = "event/subscriptions",
        .parameter = "subscriptionName",
        .body_name = "body",
        .fields = subscription_fields,
};
static const struct model_resource kind_driver_type = {
        .kind_name = "DriverType",
        .label = "event driver type",
        .collection = "event/drivertypes",
        .parameter = "driverTypeName",
        .body_name = "body",
        .fields = driver_type_fields,
};
static const struct model_resource kind_driver = {
        .kind_name = "Driver",
        .label = "event driver",
        .collection = "event/drivers",
        .parameter = "driverName",
        .body_name = "body",
        .fields = driver_fields,
};

static const struct form form_subscription = {
        .columns = {{"NAME", COLUMN_TEXT, "name"},
                    {"EVENT TYPE", COLUMN_TEXT, "eventType"},
                    {"FUNCTION NAME", COLUMN_TEXT, "function"},
                    {"STATUS", COLUMN_TEXT, "status"},
                    {"CREATED DATE", COLUMN_TIME, "createdTime"},
                    {"SECRETS", COLUMN_COMMA, "secrets"}},
        .narrow = 5,
        .wide = 6,
};
static const struct form form_driver_type = {
        .columns = {{"NAME", COLUMN_TEXT, "name"},
                    {"IMAGE", COLUMN_TEXT, "image"},
                    {"EXPOSE", COLUMN_BOOL, "expose"},
                    {"CREATED DATE", COLUMN_TIME, "created-time"}},
        .narrow = 3,
        .wide = 4,
        .dash_rows = true,
};
static const struct form form_driver = {
        .columns = {{"NAME", COLUMN_TEXT, "name"},
                    {"TYPE", COLUMN_TEXT, "type"},
                    {"STATUS", COLUMN_TEXT, "status"},
                    {"SECRETS", COLUMN_COMMA, "secrets"},
                    {"CONFIG", COLUMN_PAIRS, "config"},
                    {"URL", COLUMN_TEXT, "url"},
                    {"REASON", COLUMN_JOINED, "reason"},
                    {"CREATED DATE", COLUMN_TIME, "created-time"}},
        .narrow = 7,
        .wide = 8,
        .dash_rows = true,
        .no_wrap = true,
};

/* The name is there already; the original's encoder has it further down. */
static enum err_code name_again(json_t *body, struct err *err)
{
        own_json json_t *name = json_incref(json_object_get(body, "name"));

        json_object_del(body, "name");
        return body_set(body, "name", take_ptr(&name), err);
}

static enum err_code set_secrets(struct cli *cli, json_t *body, struct err *err)
{
        return body_list_or(cli, body, "secrets", "secret", json_array(), err);
}

static enum err_code fill_subscription(struct cli *cli, json_t *body, bool update, struct err *err)
{
        const char *type = args_text(&cli->args, "event-type");
        enum err_code code = body_set(body, "eventType", json_string(type != NULL ? type : ""), err);

        (void)update;
        if (code == ERR_OK)
                code = body_argument(cli, body, "function", 0, err);
        if (code == ERR_OK)
                code = name_again(body, err);
        if (code == ERR_OK)
                code = set_secrets(cli, body, err);
        return code == ERR_OK ? body_set(body, "tags", json_null(), err) : code;
}

static enum err_code fill_driver_type(struct cli *cli, json_t *body, bool update, struct err *err)
{
        bool expose = args_text(&cli->args, "expose") == NULL || args_bool(&cli->args, "expose");
        enum err_code code = body_set(body, "config", json_null(), err);

        (void)update;
        if (code == ERR_OK)
                code = body_argument(cli, body, "image", 1, err);
        if (code == ERR_OK)
                code = body_set(body, "expose", json_boolean(expose), err);
        if (code == ERR_OK)
                code = name_again(body, err);
        return code == ERR_OK ? body_set(body, "tags", json_array(), err) : code;
}

/* One --set; what is neither KEY nor KEY=VALUE is told and left out, as ever. */
static enum err_code add_setting(struct cli *cli, json_t *config, const char *text, struct err *err)
{
        struct str value = str_of(text), key = str_cut(&value, '=');
        bool has_value = strchr(text, '=') != NULL;
        json_t *entry;

        if (key.len == 0 || str_find(value, '=') < value.len) {
                fprintf(cli->err, "Invalid Configuration Format, should be --set key=value or --set key\n");
                return ERR_OK;
        }
        if (!str_is_utf8(str_of(text)))
                return err_set(err, ERR_INVALID, "invalid argument for \"--set\" flag: must be UTF-8");
        entry = has_value ? json_pack("{s:o, s:o}", "key", json_of(key), "value", json_of(value))
                          : json_pack("{s:o}", "key", json_of(key));
        return json_array_append_new(config, entry) == 0 ? ERR_OK : err_nomem(err);
}

static enum err_code set_config(struct cli *cli, json_t *body, struct err *err)
{
        own_json json_t *config = json_array();
        enum err_code code = config != NULL ? ERR_OK : err_nomem(err);
        const char *text;
        int at = 0;

        while (code == ERR_OK && (text = args_next(&cli->args, "set", &at)) != NULL)
                code = add_setting(cli, config, text, err);
        if (code != ERR_OK)
                return code;
        return body_set(body, "config", json_array_size(config) > 0 ? take_ptr(&config) : json_null(), err);
}

static enum err_code fill_driver(struct cli *cli, json_t *body, bool update, struct err *err)
{
        enum err_code code = set_config(cli, body, err);

        (void)update;
        if (code == ERR_OK)
                code = name_again(body, err);
        if (code == ERR_OK)
                code = body_set(body, "reason", json_null(), err);
        if (code == ERR_OK)
                code = set_secrets(cli, body, err);
        if (code == ERR_OK)
                code = body_set(body, "expose", json_false(), err);
        if (code == ERR_OK)
                code = body_set(body, "tags", json_array(), err);
        return code == ERR_OK ? body_argument(cli, body, "type", 0, err) : code;
}

const struct resource resource_subscription = {
        .own = &kind_subscription,
        .form = &form_subscription,
        .created = "created subscription", /* as the original has it */
        .deleted = "Deleted subscription",
        .deleted_form = DELETED_REPLY,
        .named_by_flag = true,
        .fill = fill_subscription,
};
const struct resource resource_driver_type = {
        .own = &kind_driver_type,
        .form = &form_driver_type,
        .created = "Created event driver type",
        .deleted = "Deleted driver types",
        .deleted_form = DELETED_REPLY,
        .fill = fill_driver_type,
};
const struct resource resource_driver = {
        .own = &kind_driver,
        .form = &form_driver,
        .created = "Created event driver",
        .deleted = "Deleted drivers",
        .deleted_form = DELETED_REPLY,
        .named_by_flag = true,
        .fill = fill_driver,
};

enum err_code driver_create(struct cli *cli, struct err *err)
{
        enum err_code code = resource_create(cli, err);

        if (code != ERR_OK && strcmp(cli->args.values[0], "vcenter") == 0)
                fprintf(cli->err, "Note: vcenter is no longer a built-in event driver type: create a type of "
                                  "that name with create eventdrivertype first\n");
        return code;
}
