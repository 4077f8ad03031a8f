/*
 * schema/index.c: what a reference can name: the schemas with an $id of their own, their anchors, and the
 * base URI that holds at each place (2020-12 core, sections 8.2 and 9.1; draft-07 core, section 8).
 */
#include "schema/compile.h"
#include "schema/metaschema.h"
#include "schema/uri.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct str place_key(const json_t *const *json)
{
        return (struct str){(const char *)json, sizeof(*json)};
}

static struct str text_of(const json_t *json)
{
        if (!json_is_string(json))
                return (struct str){NULL, 0};
        return (struct str){json_string_value(json), json_string_length(json)};
}

static struct str without_fragment(struct str uri)
{
        return str_slice(uri, 0, str_find(uri, '#'));
}

static const struct {
        const char *uri;
        unsigned bit;
} vocabularies[] = {
        {"https://json-schema.org/draft/2020-12/vocab/core", VOCABULARY_CORE},
        {"https://json-schema.org/draft/2020-12/vocab/applicator", VOCABULARY_APPLICATOR},
        {"https://json-schema.org/draft/2020-12/vocab/unevaluated", VOCABULARY_UNEVALUATED},
        {"https://json-schema.org/draft/2020-12/vocab/validation", VOCABULARY_VALIDATION},
        {"https://json-schema.org/draft/2020-12/vocab/meta-data", VOCABULARY_META_DATA},
        {"https://json-schema.org/draft/2020-12/vocab/format-annotation", VOCABULARY_FORMAT_ANNOTATION},
        {"https://json-schema.org/draft/2020-12/vocab/format-assertion", VOCABULARY_FORMAT_ASSERTION},
        {"https://json-schema.org/draft/2020-12/vocab/content", VOCABULARY_CONTENT},
};

static unsigned vocabulary_bit(struct str uri)
{
        for (size_t i = 0; i < sizeof(vocabularies) / sizeof(vocabularies[0]); i++) {
                if (str_eq(uri, str_of(vocabularies[i].uri)))
                        return vocabularies[i].bit;
        }
        return 0;
}

/* Which keywords a metaschema of somebody's own turns on. */
static enum err_code vocabulary_read(const json_t *metaschema, struct resource *resource, struct err *err)
{
        json_t *vocabulary = json_object_get(metaschema, "$vocabulary");
        const char *uri;
        json_t *required;

        if (!json_is_object(vocabulary))
                return ERR_OK;
        resource->vocabularies = VOCABULARY_CORE;
        json_object_foreach(vocabulary, uri, required)
        {
                unsigned bit = vocabulary_bit(str_of(uri));
                if (bit == 0 && json_is_true(required))
                        return err_set(err, ERR_UNPROCESSABLE,
                                       "$schema demands the vocabulary %.120s, which is not known", uri);
                resource->vocabularies |= bit;
        }
        return ERR_OK;
}

static const json_t *given_document(const struct compiler *c, struct str uri)
{
        for (size_t i = 0; c->options != NULL && i < c->options->document_count; i++) {
                if (str_eq(uri, str_of(c->options->documents[i].uri)))
                        return c->options->documents[i].json;
        }
        return NULL;
}

/* Reads $schema of a resource's root; without one, the dialect is that of what is around it. */
static enum err_code dialect_read(struct compiler *c, struct resource *resource, struct err *err)
{
        struct str full = text_of(json_object_get(resource->root, "$schema"));
        struct str uri = without_fragment(full);
        const json_t *own;

        if (full.p == NULL)
                return ERR_OK;
        resource->vocabularies = VOCABULARY_DEFAULT;
        if (str_eq(uri, STR(METASCHEMA_2020)) || str_eq(uri, STR(METASCHEMA_07))) {
                resource->dialect = str_eq(uri, STR(METASCHEMA_07)) ? DIALECT_07 : DIALECT_2020;
                return ERR_OK;
        }
        if ((own = given_document(c, uri)) == NULL)
                return err_set(err, ERR_UNPROCESSABLE,
                               "$schema '%.*s' is not supported: use " METASCHEMA_2020 " or " METASCHEMA_07
                               "#",
                               (int)(full.len < 120 ? full.len : 120), full.p);
        full = text_of(json_object_get(own, "$schema"));
        resource->dialect = str_eq(without_fragment(full), STR(METASCHEMA_07)) ? DIALECT_07 : DIALECT_2020;
        return vocabulary_read(own, resource, err);
}

static enum err_code register_uri(struct compiler *c, struct str uri, struct resource *resource,
                                  struct err *err)
{
        if (hamt_get(&c->uris, uri) != NULL)
                return ERR_OK; /* the first to claim a URI has it */
        return hamt_set(&c->uris, uri, resource) == ERR_OK ? ERR_OK : err_nomem(err);
}

static enum err_code resource_begin(struct compiler *c, const json_t *root, struct str uri,
                                    const struct resource *around, struct resource **ret, struct err *err)
{
        struct resource *resource = compile_alloc(c, sizeof(*resource));

        if (resource == NULL)
                return compile_full(err);
        *resource = (struct resource){.next = c->resources,
                                      .uri = uri,
                                      .root = root,
                                      .dialect = around->dialect,
                                      .vocabularies = around->vocabularies};
        enum err_code code = dialect_read(c, resource, err);
        if (code != ERR_OK || (code = register_uri(c, uri, resource, err)) != ERR_OK)
                return code;
        c->resources = resource;
        *ret = resource;
        return ERR_OK;
}

static enum err_code anchor_add(struct compiler *c, struct resource *resource, struct str name, bool dynamic,
                                const json_t *json, struct err *err)
{
        if (name.len == 0)
                return ERR_OK;
        for (struct anchor *other = resource->anchors; other != NULL; other = other->next) {
                if (!str_eq(other->name, name))
                        continue;
                if (other->json != json)
                        return err_set(err, ERR_UNPROCESSABLE, "the anchor '%.*s' is there twice",
                                       (int)(name.len < 60 ? name.len : 60), name.p);
                other->dynamic = other->dynamic || dynamic;
                return ERR_OK;
        }
        struct anchor *anchor = compile_alloc(c, sizeof(*anchor));
        if (anchor == NULL)
                return compile_full(err);
        *anchor = (struct anchor){.next = resource->anchors, .name = name, .json = json, .dynamic = dynamic};
        resource->anchors = anchor;
        return ERR_OK;
}

/* $id: a resource of its own, unless (draft-07) it is no more than a fragment, or a $ref makes it void. */
static enum err_code id_read(struct compiler *c, const json_t *json, struct resource **resource,
                             struct err *err)
{
        struct str id = text_of(json_object_get(json, "$id")), uri;
        bool draft7 = (*resource)->dialect == DIALECT_07;
        size_t hash = str_find(id, '#');
        enum err_code code = ERR_OK;

        if (id.p == NULL || (draft7 && json_object_get(json, "$ref") != NULL))
                return ERR_OK;
        if (hash > 0 || id.len == 0) {
                code = uri_resolve((*resource)->uri, id, &c->schema->arena, &uri, err);
                if (code == ERR_OK && (!str_eq(uri, (*resource)->uri) || (*resource)->root != json))
                        code = resource_begin(c, json, uri, *resource, resource, err);
        }
        if (code == ERR_OK && draft7 && hash < id.len)
                code = anchor_add(c, *resource, str_slice(id, hash + 1, id.len), false, json, err);
        return code;
}

static enum err_code anchors_read(struct compiler *c, const json_t *json, struct resource *resource,
                                  struct err *err)
{
        struct str name = text_of(json_object_get(json, "$anchor"));
        enum err_code code;

        if (resource->dialect != DIALECT_2020)
                return ERR_OK;
        if ((code = anchor_add(c, resource, name, false, json, err)) != ERR_OK)
                return code;
        name = text_of(json_object_get(json, "$dynamicAnchor"));
        return anchor_add(c, resource, name, true, json, err);
}

static enum err_code index_below(struct compiler *c, const json_t *json, struct resource *resource,
                                 unsigned depth, struct err *err);

static enum err_code index_at(struct compiler *c, const json_t *json, struct resource *resource,
                              struct resource **ret_resource, unsigned depth, struct err *err)
{
        struct resource *known = hamt_get(&c->places, place_key(&json));
        enum err_code code;

        if (!json_is_object(json) || known != NULL) {
                *ret_resource = known != NULL ? known : resource;
                return ERR_OK;
        }
        if (depth > SCHEMA_DEPTH_MAX)
                return err_set(err, ERR_LIMIT, "the schema is nested deeper than the limit of %d",
                               SCHEMA_DEPTH_MAX);
        if (++c->place_count > SCHEMA_PLACES_MAX)
                return err_set(err, ERR_LIMIT, "the schema has more than the limit of %d subschemas",
                               SCHEMA_PLACES_MAX);
        if ((code = id_read(c, json, &resource, err)) != ERR_OK ||
            (code = anchors_read(c, json, resource, err)) != ERR_OK)
                return code;
        if (hamt_set(&c->places, place_key(&json), resource) != ERR_OK)
                return err_nomem(err);
        *ret_resource = resource;
        return index_below(c, json, resource, depth + 1, err);
}

/* Every value of an object or array. */
static enum err_code index_values(struct compiler *c, const json_t *json, struct resource *resource,
                                  unsigned depth, struct err *err)
{
        enum err_code code = ERR_OK;
        struct resource *own;
        const char *key;
        json_t *value;
        size_t i;

        json_array_foreach(json, i, value)
        {
                if (code == ERR_OK)
                        code = index_at(c, value, resource, &own, depth, err);
        }
        json_object_foreach((json_t *)json, key, value)
        {
                if (code == ERR_OK)
                        code = index_at(c, value, resource, &own, depth, err);
        }
        return code;
}

static enum err_code index_below(struct compiler *c, const json_t *json, struct resource *resource,
                                 unsigned depth, struct err *err)
{
        struct resource *own;
        enum err_code code = ERR_OK;

        for (const struct keyword_form *form = keyword_forms; form->name != NULL && code == ERR_OK; form++) {
                const json_t *value = json_object_get(json, form->name);
                if (value == NULL || (form->dialects & resource->dialect) == 0)
                        continue;
                bool single = form->holds == HOLDS_SCHEMA ||
                              (form->holds == HOLDS_SCHEMA_OR_LIST && json_is_object(value));
                code = single ? index_at(c, value, resource, &own, depth, err)
                              : index_values(c, value, resource, depth, err);
        }
        return code;
}

enum err_code index_schema(struct compiler *c, const json_t *json, struct resource *resource,
                           struct resource **ret_resource, struct err *err)
{
        struct resource *own;

        return index_at(c, json, resource, ret_resource != NULL ? ret_resource : &own, 0, err);
}

enum err_code index_document(struct compiler *c, struct str uri, const json_t *json, bool draft7,
                             struct resource **ret, struct err *err)
{
        const struct resource nothing = {.dialect = draft7 ? DIALECT_07 : DIALECT_2020,
                                         .vocabularies = VOCABULARY_DEFAULT};
        struct resource *resource = NULL;
        enum err_code code = resource_begin(c, json, uri, &nothing, &resource, err);

        if (code != ERR_OK || (code = index_schema(c, json, resource, &resource, err)) != ERR_OK)
                return code;
        *ret = resource;
        return register_uri(c, uri, resource, err);
}

/* A resource by its URI: one that was found, or a document that was given, or a metaschema. */
static enum err_code find_resource(struct compiler *c, struct str uri, struct resource **ret, struct err *err)
{
        const json_t *json;
        bool draft7 = c->options != NULL && c->options->draft7;

        if ((*ret = hamt_get(&c->uris, uri)) != NULL)
                return ERR_OK;
        if ((json = given_document(c, uri)) == NULL) {
                enum err_code code = metaschema_document(uri, &json, err);
                if (code != ERR_OK)
                        return code;
        }
        if (json == NULL)
                return err_set(
                        err, ERR_UNPROCESSABLE,
                        "it refers to the document '%.*s', which is not part of the schema; nothing is "
                        "fetched: put it under $defs with that $id",
                        (int)(uri.len < 160 ? uri.len : 160), uri.p);
        return index_document(c, uri, json, draft7, ret, err);
}

/* One step of a JSON pointer; NULL: not there. `key` has room for the token and a NUL. */
static const json_t *pointer_step(const json_t *json, struct str token, char *key)
{
        uint64_t index;
        size_t len = 0;

        for (size_t i = 0; i < token.len; i++) {
                char c = token.p[i];
                if (c == '~' && i + 1 < token.len)
                        c = token.p[++i] == '0' ? '~' : '/';
                key[len++] = c;
        }
        key[len] = '\0';
        if (json_is_object(json))
                return json_object_getn(json, key, len);
        if (!str_to_u64((struct str){key, len}, &index))
                return NULL;
        return json_array_get(json, index);
}

/* A pointer goes from the resource's root; a schema with an $id on the way begins another resource. */
static enum err_code find_pointer(struct compiler *c, struct str pointer, struct target *target,
                                  struct err *err)
{
        struct str rest = str_slice(pointer, 1, pointer.len);
        char *key = arena_alloc(&c->schema->arena, pointer.len + 1);
        bool more = true;

        if (key == NULL)
                return compile_full(err);

        while (more && target->json != NULL) {
                size_t end = str_find(rest, '/');
                more = end < rest.len;
                target->json = pointer_step(target->json, str_slice(rest, 0, end), key);
                rest = str_slice(rest, more ? end + 1 : end, rest.len);
                struct resource *inner = hamt_get(&c->places, place_key(&target->json));
                if (inner != NULL)
                        target->resource = inner;
        }
        if (target->json == NULL)
                return err_set(err, ERR_UNPROCESSABLE, "it refers to '%.*s', which is not there",
                               (int)(pointer.len < 160 ? pointer.len : 160), pointer.p);
        return index_schema(c, target->json, target->resource, &target->resource, err);
}

static enum err_code find_anchor(struct str name, struct target *target, struct err *err)
{
        for (struct anchor *anchor = target->resource->anchors; anchor != NULL; anchor = anchor->next) {
                if (str_eq(anchor->name, name)) {
                        target->anchor = anchor;
                        target->json = anchor->json;
                        return ERR_OK;
                }
        }
        return err_set(err, ERR_UNPROCESSABLE, "it refers to the anchor '%.*s', which is not there",
                       (int)(name.len < 120 ? name.len : 120), name.p);
}

enum err_code index_resolve(struct compiler *c, const struct resource *resource, struct str reference,
                            struct target *ret, struct err *err)
{
        struct arena *arena = &c->schema->arena;
        struct str fragment = uri_split(reference).fragment, uri;
        enum err_code code = uri_resolve(resource->uri, reference, arena, &uri, err);

        *ret = (struct target){.json = NULL};
        if (code != ERR_OK || (code = uri_decode(fragment, arena, &fragment, err)) != ERR_OK ||
            (code = find_resource(c, uri, &ret->resource, err)) != ERR_OK)
                return code;
        assert(ret->resource != NULL);
        ret->json = ret->resource->root;
        if (fragment.len > 0)
                code = fragment.p[0] == '/' ? find_pointer(c, fragment, ret, err)
                                            : find_anchor(fragment, ret, err);
        if (code != ERR_OK)
                return code;
        bool here = ret->resource->uri.len == 0 || str_eq(uri, c->schema->root->resource->uri);
        ret->location = arena_printf(arena, "%.*s#%.*s", here ? 0 : (int)(uri.len < 120 ? uri.len : 120),
                                     uri.p, (int)(fragment.len < 120 ? fragment.len : 120), fragment.p);
        return ret->location != NULL ? ERR_OK : compile_full(err);
}
