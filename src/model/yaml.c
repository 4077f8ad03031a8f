/*
 * model/yaml.c: YAML streams to JSON values, event by event, so that every limit applies while the text is
 * read and before memory is spent on it.
 */
#include "model/yaml.h"

#include <assert.h>
#include <stdio.h>
#include <yaml.h>

#include "base/own.h"
#include "model/yaml_scalar.h"

/* What a value weighs against the limits. */
struct weight {
        size_t nodes;
        size_t bytes;
};

struct anchor {
        char *name;
        json_t *value;
        struct weight weight;
};

struct reader {
        yaml_parser_t parser;
        struct weight used; /* by the document so far */
        struct anchor anchors[YAML_ANCHORS_MAX];
        size_t anchor_count;
        struct err *err;
};

static enum err_code read_node(struct reader *reader, const yaml_event_t *event, unsigned depth,
                               json_t **ret);

static enum err_code wrong_at(struct reader *reader, const yaml_mark_t *mark, const char *problem)
{
        return err_set(reader->err, ERR_INVALID, "yaml: line %zu: %.160s", mark->line + 1, problem);
}

static enum err_code wrong(struct reader *reader, const yaml_event_t *event, const char *problem)
{
        return wrong_at(reader, &event->start_mark, problem);
}

static enum err_code next_event(struct reader *reader, yaml_event_t *event)
{
        if (yaml_parser_parse(&reader->parser, event))
                return ERR_OK;
        *event = (yaml_event_t){0};
        if (reader->parser.error == YAML_MEMORY_ERROR)
                return err_nomem(reader->err);
        return wrong_at(reader, &reader->parser.problem_mark,
                        reader->parser.problem != NULL ? reader->parser.problem : "cannot be read");
}

#define own_event __attribute__((cleanup(yaml_event_delete)))

static enum err_code spend(struct reader *reader, const yaml_event_t *event, struct weight weight)
{
        if (weight.nodes > YAML_NODES_MAX - reader->used.nodes)
                return wrong(reader, event,
                             "more than 100000 values, aliases counted as what they stand for");
        if (weight.bytes > YAML_EXPANDED_MAX - reader->used.bytes)
                return wrong(reader, event,
                             "more than 8 MiB of text, aliases counted as what they stand for");
        reader->used.nodes += weight.nodes;
        reader->used.bytes += weight.bytes;
        return ERR_OK;
}

static struct anchor *find_anchor(struct reader *reader, const yaml_char_t *name)
{
        for (size_t i = reader->anchor_count; i-- > 0;)
                if (strcmp(reader->anchors[i].name, (const char *)name) == 0)
                        return &reader->anchors[i];
        return NULL;
}

static void forget_anchors(struct reader *reader)
{
        while (reader->anchor_count > 0) {
                struct anchor *anchor = &reader->anchors[--reader->anchor_count];
                free(anchor->name);
                json_decref(anchor->value);
        }
}

static enum err_code keep_anchor(struct reader *reader, const yaml_event_t *event, const yaml_char_t *name,
                                 json_t *value, struct weight weight)
{
        if (reader->anchor_count == YAML_ANCHORS_MAX)
                return wrong(reader, event, "more than 256 anchors");

        struct anchor *anchor = &reader->anchors[reader->anchor_count];
        anchor->name = strdup((const char *)name);
        if (anchor->name == NULL)
                return err_nomem(reader->err);
        anchor->value = json_incref(value);
        anchor->weight = weight;
        reader->anchor_count++;
        return ERR_OK;
}

/* A copy, so that no value stands in two places. An anchor is known once its value is complete, so a value
 * cannot contain itself. */
static enum err_code read_alias(struct reader *reader, const yaml_event_t *event, json_t **ret)
{
        struct anchor *anchor = find_anchor(reader, event->data.alias.anchor);

        if (anchor == NULL)
                return wrong(reader, event, "an alias of an anchor that is not complete before it");
        enum err_code code = spend(reader, event, anchor->weight);
        if (code != ERR_OK)
                return code;
        *ret = json_clone(anchor->value);
        return *ret != NULL ? ERR_OK : err_nomem(reader->err);
}

/* The core tag's last part ("str"), NULL for none, or "" for the non-specific tag "!"; others are refused. */
static enum err_code core_tag(struct reader *reader, const yaml_event_t *event, const yaml_char_t *tag,
                              const char **ret)
{
        static const char prefix[] = "tag:yaml.org,2002:";
        const char *text = (const char *)tag;

        *ret = NULL;
        if (text == NULL)
                return ERR_OK;
        if (strcmp(text, "!") == 0)
                *ret = "";
        else if (strncmp(text, prefix, sizeof(prefix) - 1) == 0)
                *ret = text + sizeof(prefix) - 1;
        else
                return wrong(reader, event,
                             "a tag that is not one of !!str, !!int, !!float, !!bool, !!null, !!map, !!seq");
        return ERR_OK;
}

static enum err_code tagged_kind(struct reader *reader, const yaml_event_t *event, const char *tag,
                                 enum yaml_scalar plain, enum yaml_scalar *ret)
{
        static const struct {
                const char *tag;
                enum yaml_scalar kind;
        } kinds[] = {
                {"", YAML_SCALAR_STRING},    {"str", YAML_SCALAR_STRING}, {"int", YAML_SCALAR_INTEGER},
                {"float", YAML_SCALAR_REAL}, {"bool", YAML_SCALAR_BOOL},  {"null", YAML_SCALAR_NULL},
        };

        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                if (strcmp(kinds[i].tag, tag) != 0)
                        continue;
                *ret = kinds[i].kind;
                bool fits = *ret == YAML_SCALAR_STRING || *ret == plain ||
                            (*ret == YAML_SCALAR_REAL && plain == YAML_SCALAR_INTEGER);
                return fits ? ERR_OK : wrong(reader, event, "a value that is not what its tag says");
        }
        return wrong(reader, event,
                     "a tag that is not one of !!str, !!int, !!float, !!bool, !!null, !!map, !!seq");
}

static enum err_code read_scalar(struct reader *reader, const yaml_event_t *event, json_t **ret)
{
        struct str text = {(const char *)event->data.scalar.value, event->data.scalar.length};
        bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        enum yaml_scalar kind = plain ? yaml_scalar_kind(text) : YAML_SCALAR_STRING;
        struct err inner = {0};
        const char *tag = NULL;

        enum err_code code = core_tag(reader, event, event->data.scalar.tag, &tag);
        if (code == ERR_OK && tag != NULL)
                code = tagged_kind(reader, event, tag, yaml_scalar_kind(text), &kind);
        if (code == ERR_OK)
                code = spend(reader, event, (struct weight){1, text.len});
        if (code != ERR_OK)
                return code;
        code = yaml_scalar_value(text, kind, ret, &inner);
        return code == ERR_INVALID ? wrong(reader, event, inner.text)
               : code == ERR_OK    ? code
                                   : err_nomem(reader->err);
}

static enum err_code check_collection_tag(struct reader *reader, const yaml_event_t *event,
                                          const yaml_char_t *tag_text, const char *wanted)
{
        const char *tag = NULL;
        enum err_code code = core_tag(reader, event, tag_text, &tag);

        if (code != ERR_OK || tag == NULL || strcmp(tag, wanted) == 0)
                return code;
        return wrong(reader, event, "a tag that is not what the value is");
}

static enum err_code read_sequence(struct reader *reader, unsigned depth, json_t **ret)
{
        own_json json_t *list = json_array();

        if (list == NULL)
                return err_nomem(reader->err);
        for (;;) {
                own_event yaml_event_t event = {0};
                json_t *element = NULL;
                enum err_code code = next_event(reader, &event);
                if (code == ERR_OK && event.type == YAML_SEQUENCE_END_EVENT)
                        break;
                if (code == ERR_OK)
                        code = read_node(reader, &event, depth, &element);
                if (code != ERR_OK)
                        return code;
                if (json_array_append_new(list, element) < 0)
                        return err_nomem(reader->err);
        }
        *ret = take_ptr(&list);
        return ERR_OK;
}

static enum err_code check_key(struct reader *reader, const yaml_event_t *event, const json_t *object)
{
        if (event->type != YAML_SCALAR_EVENT)
                return wrong(reader, event, "a key that is not a scalar");

        struct str key = {(const char *)event->data.scalar.value, event->data.scalar.length};
        const char *tag = NULL;
        enum err_code code = core_tag(reader, event, event->data.scalar.tag, &tag);
        if (code != ERR_OK)
                return code;
        if (event->data.scalar.anchor != NULL)
                return wrong(reader, event, "an anchor on a key");
        if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && str_eq(key, STR("<<")))
                return wrong(reader, event, "merge keys (<<) are not supported");
        if (memchr(key.p, '\0', key.len) != NULL)
                return wrong(reader, event, "NUL in a key");
        if (json_object_get(object, key.p) != NULL)
                return wrong(reader, event, "a key that is there already");
        return spend(reader, event, (struct weight){0, key.len});
}

static enum err_code read_member(struct reader *reader, const yaml_event_t *key, unsigned depth,
                                 json_t *object)
{
        own_event yaml_event_t event = {0};
        json_t *value = NULL;
        enum err_code code = check_key(reader, key, object);

        if (code == ERR_OK)
                code = next_event(reader, &event);
        if (code == ERR_OK)
                code = read_node(reader, &event, depth, &value);
        if (code != ERR_OK)
                return code;
        return json_object_set_new(object, (const char *)key->data.scalar.value, value) < 0
                       ? err_nomem(reader->err)
                       : ERR_OK;
}

static enum err_code read_mapping(struct reader *reader, unsigned depth, json_t **ret)
{
        own_json json_t *object = json_object();

        if (object == NULL)
                return err_nomem(reader->err);
        for (;;) {
                own_event yaml_event_t event = {0};
                enum err_code code = next_event(reader, &event);
                if (code == ERR_OK && event.type == YAML_MAPPING_END_EVENT)
                        break;
                if (code == ERR_OK)
                        code = read_member(reader, &event, depth, object);
                if (code != ERR_OK)
                        return code;
        }
        *ret = take_ptr(&object);
        return ERR_OK;
}

static enum err_code read_collection(struct reader *reader, const yaml_event_t *event, unsigned depth,
                                     json_t **ret)
{
        bool mapping = event->type == YAML_MAPPING_START_EVENT;
        const yaml_char_t *tag = mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag;

        if (depth == JSON_DEPTH_MAX)
                return wrong(reader, event, "nested deeper than 128 levels");
        enum err_code code = check_collection_tag(reader, event, tag, mapping ? "map" : "seq");
        if (code == ERR_OK)
                code = spend(reader, event, (struct weight){1, 0});
        if (code != ERR_OK)
                return code;
        return mapping ? read_mapping(reader, depth + 1, ret) : read_sequence(reader, depth + 1, ret);
}

static const yaml_char_t *anchor_of(const yaml_event_t *event)
{
        if (event->type == YAML_SCALAR_EVENT)
                return event->data.scalar.anchor;
        return event->type == YAML_MAPPING_START_EVENT ? event->data.mapping_start.anchor
                                                       : event->data.sequence_start.anchor;
}

static enum err_code read_node(struct reader *reader, const yaml_event_t *event, unsigned depth, json_t **ret)
{
        struct weight before = reader->used;
        own_json json_t *value = NULL;
        enum err_code code;

        if (event->type == YAML_ALIAS_EVENT)
                return read_alias(reader, event, ret);
        if (event->type == YAML_SCALAR_EVENT)
                code = read_scalar(reader, event, &value);
        else
                code = read_collection(reader, event, depth, &value);
        if (code == ERR_OK && anchor_of(event) != NULL)
                code = keep_anchor(reader, event, anchor_of(event), value,
                                   (struct weight){reader->used.nodes - before.nodes,
                                                   reader->used.bytes - before.bytes});
        if (code == ERR_OK)
                *ret = take_ptr(&value);
        return code;
}

/* Behind a document's start: its value and its end. *ret is NULL for a document without content. */
static enum err_code read_document(struct reader *reader, size_t *ret_line, json_t **ret)
{
        own_event yaml_event_t event = {0}, end = {0};
        own_json json_t *value = NULL;
        enum err_code code = next_event(reader, &event);

        if (code != ERR_OK)
                return code;
        bool empty = event.type == YAML_SCALAR_EVENT && event.data.scalar.length == 0 &&
                     event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && event.data.scalar.tag == NULL;
        *ret_line = event.start_mark.line + 1;
        reader->used = (struct weight){0};
        code = read_node(reader, &event, 0, &value);
        forget_anchors(reader);
        if (code == ERR_OK)
                code = next_event(reader, &end);
        if (code != ERR_OK)
                return code;
        assert(end.type == YAML_DOCUMENT_END_EVENT);
        *ret = empty ? NULL : take_ptr(&value);
        return ERR_OK;
}

static enum err_code read_stream(struct reader *reader, yaml_each each, void *arg)
{
        for (size_t index = 0;;) {
                own_event yaml_event_t event = {0};
                own_json json_t *document = NULL;
                size_t line = 0;
                enum err_code code = next_event(reader, &event);

                if (code == ERR_OK && event.type == YAML_STREAM_END_EVENT)
                        return ERR_OK;
                if (code == ERR_OK && event.type == YAML_DOCUMENT_START_EVENT)
                        code = read_document(reader, &line, &document);
                if (code == ERR_OK && document != NULL)
                        code = each(arg, index++, line, document, reader->err);
                if (code != ERR_OK)
                        return code;
        }
}

enum err_code yaml_parse_stream(struct str text, yaml_each each, void *arg, struct err *err)
{
        own_mem struct reader *reader = calloc(1, sizeof(*reader));

        if (text.len > YAML_TEXT_MAX)
                return err_set(err, ERR_TOO_LARGE, "the YAML text is larger than %d MiB",
                               YAML_TEXT_MAX >> 20);
        if (reader == NULL || !yaml_parser_initialize(&reader->parser))
                return err_nomem(err);
        reader->err = err;
        yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&reader->parser, (const unsigned char *)(text.p != NULL ? text.p : ""),
                                     text.len);

        enum err_code code = read_stream(reader, each, arg);
        yaml_parser_delete(&reader->parser);
        return code;
}

static enum err_code keep_one(void *arg, size_t index, size_t line, json_t *document, struct err *err)
{
        json_t **kept = arg;

        if (index > 0)
                return err_set(err, ERR_INVALID, "yaml: line %zu: a second document", line);
        *kept = json_incref(document);
        return ERR_OK;
}

enum err_code yaml_parse(struct str text, json_t **ret, struct err *err)
{
        own_json json_t *document = NULL;
        enum err_code code = yaml_parse_stream(text, keep_one, &document, err);

        if (code != ERR_OK)
                return code;
        *ret = document != NULL ? take_ptr(&document) : json_null();
        return ERR_OK;
}
