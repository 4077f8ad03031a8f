/*
 * schema/compile.c: from a document to a program: the check against the metaschema, then node after node from
 * the root on, wherever keywords and references lead; at last the search for references that lead in a
 * circle.
 */
#include "schema/compile.h"
#include "schema/metaschema.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { LOCATION_MAX = 200, VISIT_NEW = 0, VISIT_OPEN, VISIT_DONE };

static void keep(void *value)
{
        (void)value; /* all that the maps point to is in the arena */
}

static const struct hamt_ops map_ops = {keep, keep};

void *compile_alloc(struct compiler *c, size_t size)
{
        return arena_zalloc(&c->schema->arena, size > 0 ? size : 1);
}

enum err_code compile_full(struct err *err)
{
        return err_set(err, ERR_LIMIT, "the schema is larger than the limit of its program, %d bytes",
                       SCHEMA_COMPILE_BYTES_MAX);
}

enum err_code compile_regex(struct compiler *c, struct str text, struct regex **ret, struct err *err)
{
        struct pattern *pattern = compile_alloc(c, sizeof(*pattern));

        if (pattern == NULL)
                return compile_full(err);
        if (++c->pattern_count > SCHEMA_PATTERNS_MAX)
                return err_set(err, ERR_LIMIT, "the schema has more than the limit of %d patterns",
                               SCHEMA_PATTERNS_MAX);
        enum err_code code = regex_compile(text, &pattern->regex, err);
        if (code != ERR_OK)
                return code;
        pattern->next = c->schema->patterns;
        c->schema->patterns = pattern;
        *ret = pattern->regex;
        return ERR_OK;
}

/* Appends "/key" with ~ and / escaped (RFC 6901), as far as there is room. */
static size_t add_token(char *to, size_t at, const char *key)
{
        if (at < LOCATION_MAX)
                to[at++] = '/';
        for (; *key != '\0' && at + 2 <= LOCATION_MAX; key++) {
                if (*key == '~' || *key == '/') {
                        to[at++] = '~';
                        to[at++] = *key == '~' ? '0' : '1';
                } else {
                        to[at++] = *key;
                }
        }
        return at;
}

const char *compile_location(struct compiler *c, const char *location, const char *key, const char *key2)
{
        char text[LOCATION_MAX + 8];
        size_t at = strnlen(location, LOCATION_MAX);

        if (at >= 3 && memcmp(location + at - 3, "...", 3) == 0)
                return location; /* it was cut before */
        memcpy(text, location, at);
        at = add_token(text, at, key);
        if (key2 != NULL)
                at = add_token(text, at, key2);
        if (at + 2 > LOCATION_MAX) {
                while (at > 0 && ((unsigned char)text[at - 1] & 0x80) != 0)
                        at--; /* not within a character */
                memcpy(text + at, "...", 3);
                at += 3;
        }
        return arena_strdup(&c->schema->arena, (struct str){text, at});
}

static enum err_code node_make(struct compiler *c, const json_t *json, struct resource *resource,
                               const char *location, struct node **ret, struct err *err)
{
        struct node *node = compile_alloc(c, sizeof(*node));

        if (node == NULL || location == NULL)
                return compile_full(err);
        if (++c->node_count > SCHEMA_NODES_MAX)
                return err_set(err, ERR_LIMIT, "the schema has more than the limit of %d subschemas",
                               SCHEMA_NODES_MAX);
        *node = (struct node){.kind = json_is_true(json)    ? NODE_ANYTHING
                                      : json_is_false(json) ? NODE_NOTHING
                                                            : NODE_RULES,
                              .json = json,
                              .resource = resource,
                              .location = location};
        *ret = node;
        return ERR_OK;
}

enum err_code compile_node(struct compiler *c, const json_t *json, struct resource *resource,
                           const char *location, struct node **ret, struct err *err)
{
        struct str key = {(const char *)&json, sizeof(json)};
        struct node *node;
        enum err_code code;

        if (!json_is_object(json) && !json_is_boolean(json))
                return err_set(err, ERR_UNPROCESSABLE, "%s is no schema: it must be an object or a boolean",
                               location != NULL ? location : "");
        if (json_is_boolean(json)) /* jansson has one true and one false for all */
                return node_make(c, json, resource, location, ret, err);
        if ((*ret = hamt_get(&c->nodes, key)) != NULL)
                return ERR_OK;
        if ((code = index_schema(c, json, resource, &resource, err)) != ERR_OK ||
            (code = node_make(c, json, resource, location, &node, err)) != ERR_OK)
                return code;
        if (hamt_set(&c->nodes, key, node) != ERR_OK)
                return err_nomem(err);
        node->next = c->pending;
        c->pending = node;
        *ret = node;
        return ERR_OK;
}

/* Any schema may be reached through the dynamic scope that has a $dynamicAnchor. */
static enum err_code compile_dynamic(struct compiler *c, struct err *err)
{
        enum err_code code = ERR_OK;

        for (struct resource *resource = c->resources; resource != NULL; resource = resource->next) {
                for (struct anchor *a = resource->anchors; a != NULL && code == ERR_OK; a = a->next) {
                        if (!a->dynamic || a->node != NULL)
                                continue;
                        const char *location =
                                arena_printf(&c->schema->arena, "%.*s#%.*s",
                                             (int)(resource->uri.len < 120 ? resource->uri.len : 120),
                                             resource->uri.p, STR_ARG(a->name));
                        code = compile_node(c, a->json, resource, location, &a->node, err);
                }
        }
        return code;
}

static enum err_code compile_pending(struct compiler *c, struct err *err)
{
        enum err_code code = ERR_OK;

        while (c->pending != NULL && code == ERR_OK) {
                struct node *node = c->pending;
                c->pending = node->next;
                code = rules_compile(c, node, err);
                if (code != ERR_OK && code != ERR_NO_MEMORY)
                        err_wrap(err, code, "%.*s", LOCATION_MAX, node->location);
                if (code == ERR_OK && c->pending == NULL && c->dynamic)
                        code = compile_dynamic(c, err);
        }
        return code;
}

static enum err_code loop_search(struct node *node, unsigned depth, struct err *err);

static enum err_code loop_list(struct node **nodes, size_t count, unsigned depth, struct err *err)
{
        enum err_code code = ERR_OK;

        for (size_t i = 0; i < count && code == ERR_OK; i++)
                code = nodes[i] != NULL ? loop_search(nodes[i], depth, err) : ERR_OK;
        return code;
}

/* Where a rule applies schemas to the instance that it has before it itself. */
static enum err_code loop_rule(const struct rule *rule, unsigned depth, struct err *err)
{
        enum err_code code = ERR_OK;

        switch ((int)rule->keyword) {
        case KEYWORD_REF:
        case KEYWORD_DYNAMIC_REF: /* where it leads to at least */
                return loop_search(rule->u.ref.node, depth, err);
        case KEYWORD_NOT:
                return loop_search(rule->u.node, depth, err);
        case KEYWORD_ALL_OF:
        case KEYWORD_ANY_OF:
        case KEYWORD_ONE_OF:
        case KEYWORD_IF:
                return loop_list(rule->u.list.nodes, rule->u.list.count, depth, err);
        case KEYWORD_DEPENDENT_SCHEMAS:
        case KEYWORD_DEPENDENCIES:
                for (size_t i = 0; i < rule->u.map.count && code == ERR_OK; i++)
                        code = loop_list(&rule->u.map.members[i].node, 1, depth, err);
                return code;
        default:
                return ERR_OK;
        }
}

/* A schema that is applied to the same instance while it is being applied would never end. */
static enum err_code loop_search(struct node *node, unsigned depth, struct err *err)
{
        enum err_code code = ERR_OK;

        if (node->visited == VISIT_DONE)
                return ERR_OK;
        if (node->visited == VISIT_OPEN)
                return err_set(err, ERR_UNPROCESSABLE,
                               "%s refers to itself without going down into the instance, which never ends",
                               node->location);
        if (depth > SCHEMA_DEPTH_MAX)
                return err_set(err, ERR_LIMIT,
                               "%s: references lead through more than the limit of %d schemas",
                               node->location, SCHEMA_DEPTH_MAX);
        node->visited = VISIT_OPEN;
        for (size_t i = 0; i < node->rule_count && code == ERR_OK; i++)
                code = loop_rule(&node->rules[i], depth + 1, err);
        node->visited = VISIT_DONE;
        return code;
}

static bool loop_each(void *arg, struct str key, void *value)
{
        struct err *err = arg;

        (void)key;
        return loop_search(value, 0, err) == ERR_OK;
}

enum err_code compile_program(struct compiler *c, const json_t *document, struct err *err)
{
        struct resource *resource;
        struct err loop = {.code = ERR_OK};
        enum err_code code = index_document(c, STR(""), document, c->options != NULL && c->options->draft7,
                                            &resource, err);

        if (code != ERR_OK ||
            (code = compile_node(c, document, resource, "#", &c->schema->root, err)) != ERR_OK)
                return code;
        if ((code = compile_pending(c, err)) != ERR_OK)
                return code;
        hamt_each(&c->nodes, loop_each, &loop);
        if (loop.code != ERR_OK && err != NULL)
                *err = loop;
        return loop.code;
}

enum err_code schema_compile_unchecked(json_t *document, const struct schema_options *options,
                                       struct schema **ret, struct err *err)
{
        struct compiler c = {.options = options};

        c.schema = calloc(1, sizeof(*c.schema));
        if (c.schema == NULL)
                return err_nomem(err);
        atomic_init(&c.schema->refs, 1);
        arena_init(&c.schema->arena, SCHEMA_COMPILE_BYTES_MAX);
        c.schema->document = json_incref(document);
        hamt_init(&c.uris, &map_ops);
        hamt_init(&c.places, &map_ops);
        hamt_init(&c.nodes, &map_ops);
        enum err_code code = compile_program(&c, document, err);
        hamt_finish(&c.uris);
        hamt_finish(&c.places);
        hamt_finish(&c.nodes);
        if (code != ERR_OK) {
                schema_unref(c.schema);
                return code;
        }
        *ret = c.schema;
        return ERR_OK;
}

/* Which metaschema it must satisfy. One of somebody's own says what it builds upon. */
static enum dialect dialect_of(const json_t *document, const struct schema_options *options)
{
        const json_t *named = json_object_get(document, "$schema");
        bool draft7 = options != NULL && options->draft7;

        if (json_is_string(named)) {
                const char *uri = json_string_value(named);
                size_t len = strcspn(uri, "#");
                draft7 = len == strlen(METASCHEMA_07) && strncmp(uri, METASCHEMA_07, len) == 0;
        }
        return draft7 ? DIALECT_07 : DIALECT_2020;
}

static enum err_code metaschema_check(const json_t *document, const struct schema_options *options,
                                      struct err *err)
{
        const struct schema *metaschema;
        struct schema_violation violation;
        enum err_code code = metaschema_program(dialect_of(document, options), &metaschema, err);

        if (code != ERR_OK)
                return code;
        code = schema_validate(metaschema, document, SCHEMA_META_STEPS_MAX, &violation, err);
        if (code == ERR_INVALID)
                return err_set(err, ERR_UNPROCESSABLE, "#%s: %s", violation.instance, violation.reason);
        return code;
}

enum err_code schema_compile(json_t *document, const struct schema_options *options, struct schema **ret,
                             struct err *err)
{
        enum err_code code = ERR_OK;

        if (!json_is_object(document) && !json_is_boolean(document))
                return err_set(err, ERR_UNPROCESSABLE, "#: a schema must be an object or a boolean");
        /* A dialect that is not supported is named before its keywords are. */
        code = metaschema_check(document, options, err);
        if (code != ERR_OK && code != ERR_UNPROCESSABLE)
                return code;
        if (code == ERR_UNPROCESSABLE) {
                struct err why = err != NULL ? *err : (struct err){.code = code};
                struct schema *unused = NULL;
                if (schema_compile_unchecked(document, options, &unused, err) != ERR_UNPROCESSABLE ||
                    err == NULL || strncmp(err->text, "$schema", 7) != 0) {
                        if (err != NULL)
                                *err = why;
                }
                schema_unref(unused);
                return code;
        }
        return schema_compile_unchecked(document, options, ret, err);
}

struct schema *schema_ref(struct schema *schema)
{
        atomic_fetch_add_explicit(&schema->refs, 1, memory_order_relaxed);
        return schema;
}

void schema_unref(struct schema *schema)
{
        if (schema == NULL || atomic_fetch_sub_explicit(&schema->refs, 1, memory_order_acq_rel) != 1)
                return;
        for (struct pattern *pattern = schema->patterns; pattern != NULL; pattern = pattern->next)
                regex_free(pattern->regex);
        arena_finish(&schema->arena);
        json_decref(schema->document);
        free(schema);
}
