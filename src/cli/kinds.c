/* cli/kinds.c: the kinds by name, and the tables of those that are the client's own (CONTRACT.md 5). */
#include "cli/kinds.h"

#include "cli/form.h"
#include "cli/resource.h"

#define FIELD(field_name, field_type, ...)                                                                   \
        {                                                                                                    \
                .name = (field_name), .type = MODEL_##field_type, ##__VA_ARGS__                              \
        }
#define END                                                                                                  \
        {                                                                                                    \
                .name = NULL                                                                                 \
        }

static const struct model_field tag_fields[] = {
        FIELD("key", STRING),
        FIELD("value", STRING),
        END,
};

/* SOLO's form: flat, sorted by name, no list left out. */
static const struct model_field api_fields[] = {
        FIELD("authentication", STRING),
        FIELD("cors", BOOL),
        FIELD("enabled", BOOL),
        FIELD("function", STRING, .flags = MODEL_REQUIRED),
        FIELD("hosts", STRINGS, .flags = MODEL_ALWAYS, .max = 64),
        FIELD("id", UUID, .flags = MODEL_READONLY),
        FIELD("kind", STRING, .flags = MODEL_READONLY),
        FIELD("methods", STRINGS, .flags = MODEL_ALWAYS, .max = 64),
        FIELD("name", STRING, .flags = MODEL_REQUIRED, .pattern = MODEL_PATTERN_P2, .max = MODEL_NAME_MAX,
              .pattern_text = "name should start with letter or number and may only contain letters, "
                              "numbers, underscores and dashes"),
        FIELD("protocols", STRINGS, .flags = MODEL_ALWAYS, .max = 64),
        FIELD("revision", STRING, .flags = MODEL_READONLY | MODEL_NOT_SEED),
        FIELD("status", STRING, .flags = MODEL_READONLY),
        FIELD("tags", OBJECTS, .flags = MODEL_ALWAYS, .sub = tag_fields),
        FIELD("tls", ANY),
        FIELD("uris", STRINGS, .flags = MODEL_ALWAYS, .max = 64),
        END,
};

const struct model_resource kind_api = {
        .kind = MODEL_ENDPOINT,
        .kind_name = "API",
        .label = "API",
        .collection = "api",
        .parameter = "api",
        .body_name = "body",
        .path_pattern = MODEL_PATTERN_P3,
        .fields = api_fields,
};

const struct resource *const resource_kinds[] = {
        &resource_base_image, &resource_image,    &resource_function, &resource_run,
        &resource_secret,     &resource_endpoint, &resource_api,      NULL,
};

const struct model_resource *resource_model(const struct resource *resource)
{
        return resource->own != NULL ? resource->own : model_resource(resource->kind);
}

const struct resource *resource_named(struct str kind_name)
{
        for (size_t i = 0; resource_kinds[i] != NULL; i++) {
                if (resource_kinds[i] != &resource_run &&
                    str_eq(str_of(resource_model(resource_kinds[i])->kind_name), kind_name))
                        return resource_kinds[i];
        }
        return NULL;
}
