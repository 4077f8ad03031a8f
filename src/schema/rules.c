/*
 * schema/rules.c: one schema's keywords as rules. The metaschema has been here before for most of them; but a
 * reference may lead to a place that it did not see, so each keyword looks at its value itself.
 */
#include "schema/compile.h"

#include <stdio.h>
#include <string.h>

static enum err_code wrong(const char *key, const char *what, struct err *err)
{
        return err_set(err, ERR_UNPROCESSABLE, "%s must be %s", key, what);
}

static struct str text_of(const json_t *json)
{
        return (struct str){json_string_value(json), json_string_length(json)};
}

/* The node of a value below a keyword of `node`. */
static enum err_code child(struct compiler *c, const struct node *node, const json_t *value, const char *key,
                           const char *key2, struct node **ret, struct err *err)
{
        return compile_node(c, value, node->resource, compile_location(c, node->location, key, key2), ret,
                            err);
}

static enum err_code compile_types(struct compiler *c, const struct node *node, const json_t *value,
                                   struct rule *rule, struct err *err)
{
        static const struct {
                struct str name;
                enum type_bit bit;
        } types[] = {
                {STR_INIT("null"), TYPE_NULL},       {STR_INIT("boolean"), TYPE_BOOLEAN},
                {STR_INIT("object"), TYPE_OBJECT},   {STR_INIT("array"), TYPE_ARRAY},
                {STR_INIT("number"), TYPE_NUMBER},   {STR_INIT("string"), TYPE_STRING},
                {STR_INIT("integer"), TYPE_INTEGER},
        };
        size_t count = json_is_array(value) ? json_array_size(value) : 1;

        (void)c;
        (void)node;
        for (size_t i = 0; i < count; i++) {
                const json_t *one = json_is_array(value) ? json_array_get(value, i) : value;
                unsigned bit = 0;
                for (size_t k = 0; k < sizeof(types) / sizeof(types[0]); k++) {
                        if (json_is_string(one) && str_eq(text_of(one), types[k].name))
                                bit = types[k].bit;
                }
                if (bit == 0)
                        return wrong("type", "the name of a type or a list of them", err);
                rule->u.types |= bit;
        }
        return ERR_OK;
}

static enum err_code compile_value(struct compiler *c, const struct node *node, const json_t *value,
                                   struct rule *rule, struct err *err)
{
        (void)c;
        (void)node;
        if (rule->keyword == KEYWORD_ENUM && !json_is_array(value))
                return wrong("enum", "an array", err);
        rule->u.value = value;
        return ERR_OK;
}

static enum err_code compile_number(struct compiler *c, const struct node *node, const json_t *value,
                                    struct rule *rule, struct err *err)
{
        (void)c;
        (void)node;
        if (!json_is_number(value))
                return wrong(keyword_names[rule->keyword], "a number", err);
        rule->u.value = value;
        return ERR_OK;
}

static enum err_code compile_divisor(struct compiler *c, const struct node *node, const json_t *value,
                                     struct rule *rule, struct err *err)
{
        (void)c;
        (void)node;
        if (!json_is_number(value) || json_number_value(value) <= 0)
                return wrong("multipleOf", "a number greater than 0", err);
        rule->u.divisor = number_decimal(value);
        return ERR_OK;
}

static enum err_code compile_limit(struct compiler *c, const struct node *node, const json_t *value,
                                   struct rule *rule, struct err *err)
{
        (void)c;
        (void)node;
        if (!number_to_count(value, &rule->u.limit))
                return wrong(keyword_names[rule->keyword], "a whole number of at least 0", err);
        return ERR_OK;
}

static bool is_names(const json_t *value)
{
        size_t i;
        json_t *name;

        if (!json_is_array(value))
                return false;
        json_array_foreach(value, i, name)
        {
                if (!json_is_string(name))
                        return false;
        }
        return true;
}

static enum err_code compile_required(struct compiler *c, const struct node *node, const json_t *value,
                                      struct rule *rule, struct err *err)
{
        (void)c;
        (void)node;
        if (!is_names(value))
                return wrong("required", "a list of names", err);
        rule->u.value = value;
        return ERR_OK;
}

static enum err_code compile_format(struct compiler *c, const struct node *node, const json_t *value,
                                    struct rule *rule, struct err *err)
{
        bool asserted = (c->options != NULL && c->options->assert_formats) ||
                        (node->resource->vocabularies & VOCABULARY_FORMAT_ASSERTION) != 0;

        if (!json_is_string(value))
                return wrong("format", "a string", err);
        rule->u.format =
                asserted ? format_of(text_of(value), node->resource->dialect == DIALECT_07) : FORMAT_ANY;
        return ERR_OK;
}

static enum err_code compile_pattern(struct compiler *c, const struct node *node, const json_t *value,
                                     struct rule *rule, struct err *err)
{
        (void)node;
        if (!json_is_string(value))
                return wrong("pattern", "a string", err);
        enum err_code code = compile_regex(c, text_of(value), &rule->u.regex, err);
        return code == ERR_OK ? ERR_OK : err_wrap(err, code, "pattern");
}

static enum err_code compile_unique(struct compiler *c, const struct node *node, const json_t *value,
                                    struct rule *rule, struct err *err)
{
        (void)c;
        (void)node;
        if (!json_is_boolean(value))
                return wrong("uniqueItems", "true or false", err);
        rule->u.limit = json_is_true(value);
        return ERR_OK;
}

static enum err_code compile_schema(struct compiler *c, const struct node *node, const json_t *value,
                                    struct rule *rule, struct err *err)
{
        return child(c, node, value, keyword_names[rule->keyword], NULL, &rule->u.node, err);
}

static enum err_code compile_list(struct compiler *c, const struct node *node, const json_t *value,
                                  struct rule *rule, const char *key, struct err *err)
{
        size_t count = json_array_size(value);
        enum err_code code = ERR_OK;
        char index[24];

        if (!json_is_array(value))
                return wrong(key, "a list of schemas", err);
        rule->u.list.nodes = compile_alloc(c, count * sizeof(struct node *));
        if (rule->u.list.nodes == NULL)
                return compile_full(err);
        rule->u.list.count = count;
        for (size_t i = 0; i < count && code == ERR_OK; i++) {
                snprintf(index, sizeof(index), "%zu", i);
                code = child(c, node, json_array_get(value, i), key, index, &rule->u.list.nodes[i], err);
        }
        return code;
}

static enum err_code compile_schemas(struct compiler *c, const struct node *node, const json_t *value,
                                     struct rule *rule, struct err *err)
{
        return compile_list(c, node, value, rule, keyword_names[rule->keyword], err);
}

/* One member of a map: a schema, or names. */
static enum err_code compile_member(struct compiler *c, const struct node *node, const json_t *value,
                                    const struct rule *rule, struct member *member, struct err *err)
{
        enum keyword keyword = rule->keyword;
        const char *name = keyword_names[keyword];
        enum err_code code;

        if (keyword == KEYWORD_DEPENDENT_REQUIRED ||
            (keyword == KEYWORD_DEPENDENCIES && json_is_array(value))) {
                member->names = value;
                return is_names(value) ? ERR_OK : wrong(name, "made of lists of names", err);
        }
        if (keyword == KEYWORD_PATTERN_PROPERTIES &&
            (code = compile_regex(c, member->key, &member->regex, err)) != ERR_OK)
                return err_wrap(err, code, "patternProperties: '%.*s'",
                                (int)(member->key.len < 60 ? member->key.len : 60), member->key.p);
        return child(c, node, value, name, member->key.p, &member->node, err);
}

static enum err_code compile_map(struct compiler *c, const struct node *node, const json_t *value,
                                 struct rule *rule, struct err *err)
{
        enum err_code code = ERR_OK;
        struct member *member;
        const char *key;
        json_t *one;

        if (!json_is_object(value))
                return wrong(keyword_names[rule->keyword], "an object", err);
        rule->u.map.members = compile_alloc(c, json_object_size(value) * sizeof(struct member));
        if (rule->u.map.members == NULL)
                return compile_full(err);
        json_object_foreach((json_t *)value, key, one)
        {
                member = &rule->u.map.members[rule->u.map.count++];
                member->key = (struct str){key, strlen(key)};
                if (code == ERR_OK)
                        code = compile_member(c, node, one, rule, member, err);
        }
        return code;
}

static enum err_code compile_additional(struct compiler *c, const struct node *node, const json_t *value,
                                        struct rule *rule, struct err *err)
{
        rule->u.additional.properties = json_object_get(node->json, "properties");
        for (size_t i = 0; i < node->rule_count; i++) {
                if (node->rules[i].keyword == KEYWORD_PATTERN_PROPERTIES)
                        rule->u.additional.patterns = &node->rules[i];
        }
        return child(c, node, value, "additionalProperties", NULL, &rule->u.additional.node, err);
}

/* draft-07's list of items is what 2020-12 calls prefixItems. */
static enum err_code compile_items(struct compiler *c, const struct node *node, const json_t *value,
                                   struct rule *rule, struct err *err)
{
        if (node->resource->dialect == DIALECT_07 && json_is_array(value)) {
                rule->keyword = KEYWORD_PREFIX_ITEMS;
                return compile_list(c, node, value, rule, "items", err);
        }
        if (node->resource->dialect == DIALECT_2020)
                rule->u.items.first = json_array_size(json_object_get(node->json, "prefixItems"));
        return child(c, node, value, "items", NULL, &rule->u.items.node, err);
}

/* It has a meaning beside a list of items alone. */
static enum err_code compile_additional_items(struct compiler *c, const struct node *node,
                                              const json_t *value, struct rule *rule, struct err *err)
{
        const json_t *items = json_object_get(node->json, "items");

        rule->u.items.first = json_is_array(items) ? json_array_size(items) : SIZE_MAX;
        return child(c, node, value, "additionalItems", NULL, &rule->u.items.node, err);
}

static enum err_code compile_contains(struct compiler *c, const struct node *node, const json_t *value,
                                      struct rule *rule, struct err *err)
{
        const struct resource *resource = node->resource;
        const json_t *min = json_object_get(node->json, "minContains");
        const json_t *max = json_object_get(node->json, "maxContains");

        rule->u.contains.min = 1;
        rule->u.contains.max = UINT64_MAX;
        rule->u.contains.marks = resource->dialect == DIALECT_2020;
        if (rule->u.contains.marks && (resource->vocabularies & VOCABULARY_VALIDATION) != 0) {
                if (min != NULL && !number_to_count(min, &rule->u.contains.min))
                        return wrong("minContains", "a whole number of at least 0", err);
                if (max != NULL && !number_to_count(max, &rule->u.contains.max))
                        return wrong("maxContains", "a whole number of at least 0", err);
        }
        return child(c, node, value, "contains", NULL, &rule->u.contains.node, err);
}

static enum err_code compile_if(struct compiler *c, const struct node *node, const json_t *value,
                                struct rule *rule, struct err *err)
{
        static const char *const keys[] = {"if", "then", "else"};
        enum err_code code = ERR_OK;

        (void)value;
        rule->u.list.count = 3;
        rule->u.list.nodes = compile_alloc(c, 3 * sizeof(struct node *));
        if (rule->u.list.nodes == NULL)
                return compile_full(err);
        for (size_t i = 0; i < 3 && code == ERR_OK; i++) {
                const json_t *part = json_object_get(node->json, keys[i]);
                if (part != NULL)
                        code = child(c, node, part, keys[i], NULL, &rule->u.list.nodes[i], err);
        }
        return code;
}

static enum err_code compile_ref(struct compiler *c, const struct node *node, const json_t *value,
                                 struct rule *rule, struct err *err)
{
        const char *name = keyword_names[rule->keyword];
        struct target target;

        if (!json_is_string(value))
                return wrong(name, "a string", err);
        enum err_code code = index_resolve(c, node->resource, text_of(value), &target, err);
        if (code == ERR_OK)
                code = compile_node(c, target.json, target.resource, target.location, &rule->u.ref.node, err);
        if (code != ERR_OK)
                return err_wrap(err, code, "%s", name);
        if (rule->keyword == KEYWORD_DYNAMIC_REF && target.anchor != NULL && target.anchor->dynamic) {
                c->dynamic = true;
                rule->u.ref.anchor = arena_strdup(&c->schema->arena, target.anchor->name);
                if (rule->u.ref.anchor == NULL)
                        return compile_full(err);
        }
        return ERR_OK;
}

typedef enum err_code (*rule_compile)(struct compiler *c, const struct node *node, const json_t *value,
                                      struct rule *rule, struct err *err);

enum { BOTH = DIALECT_2020 | DIALECT_07 };

static const struct {
        unsigned dialects;
        unsigned vocabulary;
        rule_compile compile;
} rule_forms[KEYWORD_COUNT] = {
        [KEYWORD_TYPE] = {BOTH, VOCABULARY_VALIDATION, compile_types},
        [KEYWORD_CONST] = {BOTH, VOCABULARY_VALIDATION, compile_value},
        [KEYWORD_ENUM] = {BOTH, VOCABULARY_VALIDATION, compile_value},
        [KEYWORD_MULTIPLE_OF] = {BOTH, VOCABULARY_VALIDATION, compile_divisor},
        [KEYWORD_MAXIMUM] = {BOTH, VOCABULARY_VALIDATION, compile_number},
        [KEYWORD_EXCLUSIVE_MAXIMUM] = {BOTH, VOCABULARY_VALIDATION, compile_number},
        [KEYWORD_MINIMUM] = {BOTH, VOCABULARY_VALIDATION, compile_number},
        [KEYWORD_EXCLUSIVE_MINIMUM] = {BOTH, VOCABULARY_VALIDATION, compile_number},
        [KEYWORD_MAX_LENGTH] = {BOTH, VOCABULARY_VALIDATION, compile_limit},
        [KEYWORD_MIN_LENGTH] = {BOTH, VOCABULARY_VALIDATION, compile_limit},
        [KEYWORD_MAX_ITEMS] = {BOTH, VOCABULARY_VALIDATION, compile_limit},
        [KEYWORD_MIN_ITEMS] = {BOTH, VOCABULARY_VALIDATION, compile_limit},
        [KEYWORD_MAX_PROPERTIES] = {BOTH, VOCABULARY_VALIDATION, compile_limit},
        [KEYWORD_MIN_PROPERTIES] = {BOTH, VOCABULARY_VALIDATION, compile_limit},
        [KEYWORD_REQUIRED] = {BOTH, VOCABULARY_VALIDATION, compile_required},
        [KEYWORD_DEPENDENT_REQUIRED] = {DIALECT_2020, VOCABULARY_VALIDATION, compile_map},
        [KEYWORD_FORMAT] = {BOTH, VOCABULARY_FORMAT_ANNOTATION | VOCABULARY_FORMAT_ASSERTION, compile_format},
        [KEYWORD_PATTERN] = {BOTH, VOCABULARY_VALIDATION, compile_pattern},
        [KEYWORD_PROPERTY_NAMES] = {BOTH, VOCABULARY_APPLICATOR, compile_schema},
        [KEYWORD_PROPERTIES] = {BOTH, VOCABULARY_APPLICATOR, compile_map},
        [KEYWORD_PATTERN_PROPERTIES] = {BOTH, VOCABULARY_APPLICATOR, compile_map},
        [KEYWORD_ADDITIONAL_PROPERTIES] = {BOTH, VOCABULARY_APPLICATOR, compile_additional},
        [KEYWORD_PREFIX_ITEMS] = {DIALECT_2020, VOCABULARY_APPLICATOR, compile_schemas},
        [KEYWORD_ITEMS] = {BOTH, VOCABULARY_APPLICATOR, compile_items},
        [KEYWORD_ADDITIONAL_ITEMS] = {DIALECT_07, VOCABULARY_APPLICATOR, compile_additional_items},
        [KEYWORD_CONTAINS] = {BOTH, VOCABULARY_APPLICATOR, compile_contains},
        [KEYWORD_UNIQUE_ITEMS] = {BOTH, VOCABULARY_VALIDATION, compile_unique},
        [KEYWORD_REF] = {BOTH, VOCABULARY_CORE, compile_ref},
        [KEYWORD_DYNAMIC_REF] = {DIALECT_2020, VOCABULARY_CORE, compile_ref},
        [KEYWORD_ALL_OF] = {BOTH, VOCABULARY_APPLICATOR, compile_schemas},
        [KEYWORD_ANY_OF] = {BOTH, VOCABULARY_APPLICATOR, compile_schemas},
        [KEYWORD_ONE_OF] = {BOTH, VOCABULARY_APPLICATOR, compile_schemas},
        [KEYWORD_NOT] = {BOTH, VOCABULARY_APPLICATOR, compile_schema},
        [KEYWORD_IF] = {BOTH, VOCABULARY_APPLICATOR, compile_if},
        [KEYWORD_DEPENDENT_SCHEMAS] = {DIALECT_2020, VOCABULARY_APPLICATOR, compile_map},
        [KEYWORD_DEPENDENCIES] = {BOTH, VOCABULARY_APPLICATOR, compile_map},
        [KEYWORD_UNEVALUATED_ITEMS] = {DIALECT_2020, VOCABULARY_UNEVALUATED, compile_schema},
        [KEYWORD_UNEVALUATED_PROPERTIES] = {DIALECT_2020, VOCABULARY_UNEVALUATED, compile_schema},
};

/* The keyword's value when it counts in this schema. */
static const json_t *rule_value(const struct node *node, size_t keyword)
{
        const json_t *value = json_object_get(node->json, keyword_names[keyword]);

        if (value == NULL || (rule_forms[keyword].dialects & node->resource->dialect) == 0 ||
            (rule_forms[keyword].vocabulary & node->resource->vocabularies) == 0)
                return NULL;
        /* draft-07: a $ref makes all that is beside it void. */
        if (node->resource->dialect == DIALECT_07 && keyword != KEYWORD_REF &&
            json_object_get(node->json, "$ref") != NULL)
                return NULL;
        return value;
}

enum err_code rules_compile(struct compiler *c, struct node *node, struct err *err)
{
        enum err_code code = ERR_OK;
        size_t count = 0;

        for (size_t i = 0; i < KEYWORD_COUNT; i++)
                count += rule_value(node, i) != NULL;
        if (count > 0 && (node->rules = compile_alloc(c, count * sizeof(struct rule))) == NULL)
                return compile_full(err);
        for (size_t i = 0; i < KEYWORD_COUNT && code == ERR_OK; i++) {
                const json_t *value = rule_value(node, i);
                if (value == NULL)
                        continue;
                struct rule *rule = &node->rules[node->rule_count];
                rule->keyword = (enum keyword)i;
                code = rule_forms[i].compile(c, node, value, rule, err);
                node->marks =
                        node->marks || i == KEYWORD_UNEVALUATED_ITEMS || i == KEYWORD_UNEVALUATED_PROPERTIES;
                node->rule_count++;
        }
        return code;
}
