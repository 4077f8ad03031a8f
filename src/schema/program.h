/*
 * schema/program.h: what a schema is compiled to. Private to src/schema.
 *
 * A node is one schema; its rules are what its keywords demand, in the order in which they are tried. Nodes
 * point to each other as their keywords and references say, so a program is a graph, all of it in one arena.
 */
#ifndef DISPATCH_SCHEMA_PROGRAM_H
#define DISPATCH_SCHEMA_PROGRAM_H

#include "base/arena.h"
#include "schema/format.h"
#include "schema/number.h"
#include "schema/regex.h"
#include "schema/schema.h"

#include <stdatomic.h>

enum dialect { DIALECT_2020 = 1, DIALECT_07 = 2 };

/* Vocabularies of 2020-12, a bit each; draft-07 has them all. */
enum vocabulary {
        VOCABULARY_CORE = 1,
        VOCABULARY_APPLICATOR = 2,
        VOCABULARY_UNEVALUATED = 4,
        VOCABULARY_VALIDATION = 8,
        VOCABULARY_META_DATA = 16,
        VOCABULARY_FORMAT_ANNOTATION = 32,
        VOCABULARY_FORMAT_ASSERTION = 64,
        VOCABULARY_CONTENT = 128,
        VOCABULARY_DEFAULT = 255 & ~64
};

/* In the order in which a node's rules are tried: what is cheap first, what needs the others' results last.
 */
enum keyword {
        KEYWORD_TYPE,
        KEYWORD_CONST,
        KEYWORD_ENUM,
        KEYWORD_MULTIPLE_OF,
        KEYWORD_MAXIMUM,
        KEYWORD_EXCLUSIVE_MAXIMUM,
        KEYWORD_MINIMUM,
        KEYWORD_EXCLUSIVE_MINIMUM,
        KEYWORD_MAX_LENGTH,
        KEYWORD_MIN_LENGTH,
        KEYWORD_MAX_ITEMS,
        KEYWORD_MIN_ITEMS,
        KEYWORD_MAX_PROPERTIES,
        KEYWORD_MIN_PROPERTIES,
        KEYWORD_REQUIRED,
        KEYWORD_DEPENDENT_REQUIRED,
        KEYWORD_FORMAT,
        KEYWORD_PATTERN,
        KEYWORD_PROPERTY_NAMES,
        KEYWORD_PROPERTIES,
        KEYWORD_PATTERN_PROPERTIES,
        KEYWORD_ADDITIONAL_PROPERTIES,
        KEYWORD_PREFIX_ITEMS,
        KEYWORD_ITEMS,
        KEYWORD_ADDITIONAL_ITEMS,
        KEYWORD_CONTAINS,
        KEYWORD_UNIQUE_ITEMS,
        KEYWORD_REF,
        KEYWORD_DYNAMIC_REF,
        KEYWORD_ALL_OF,
        KEYWORD_ANY_OF,
        KEYWORD_ONE_OF,
        KEYWORD_NOT,
        KEYWORD_IF,
        KEYWORD_DEPENDENT_SCHEMAS,
        KEYWORD_DEPENDENCIES,
        KEYWORD_UNEVALUATED_ITEMS,
        KEYWORD_UNEVALUATED_PROPERTIES,
        KEYWORD_COUNT
};
extern const char *const keyword_names[KEYWORD_COUNT];

struct node;

struct member {
        struct str key;
        struct regex *regex; /* of patternProperties */
        struct node *node;   /* NULL: names */
        const json_t *names; /* of dependentRequired and dependencies: array of strings */
};

struct rule {
        enum keyword keyword;
        union {
                unsigned types;      /* type: bits of 1 << enum type_bit */
                const json_t *value; /* const, enum, required, minimum and its like */
                struct decimal divisor;
                uint64_t limit; /* minLength and its like */
                struct regex *regex;
                enum format format;
                struct node *node; /* not, propertyNames, unevaluated* */
                struct {
                        struct node **nodes; /* allOf and its like, prefixItems; if, then and else, which may
                                                be NULL */
                        size_t count;
                } list;
                struct {
                        struct member *members;
                        size_t count;
                } map;
                struct {
                        struct node *node;
                        size_t first; /* how many items at the beginning are others' business */
                } items;
                struct {
                        struct node *node;
                        const json_t *properties; /* beside it; NULL: none */
                        const struct rule *patterns;
                } additional;
                struct {
                        struct node *node;
                        uint64_t min, max;
                        bool marks; /* 2020-12: what it finds is evaluated */
                } contains;
                struct {
                        struct node *node;
                        const char *anchor; /* of $dynamicRef, when it is looked for in the dynamic scope */
                } ref;
        } u;
};

enum type_bit {
        TYPE_NULL = 1,
        TYPE_BOOLEAN = 2,
        TYPE_OBJECT = 4,
        TYPE_ARRAY = 8,
        TYPE_NUMBER = 16,
        TYPE_STRING = 32,
        TYPE_INTEGER = 64
};

struct resource;

enum node_kind { NODE_RULES, NODE_ANYTHING, NODE_NOTHING };

struct node {
        enum node_kind kind;
        const json_t *json;
        struct resource *resource;
        const char *location; /* "#/properties/a", cut when too long */
        struct rule *rules;
        size_t rule_count;
        bool marks;        /* has unevaluatedItems or unevaluatedProperties */
        int visited;       /* by the search for loops */
        struct node *next; /* to be compiled */
};

struct anchor {
        struct anchor *next;
        struct str name;
        const json_t *json;
        struct node *node; /* of a dynamic one that may be asked for */
        bool dynamic;
};

/* A schema with a base URI of its own. */
struct resource {
        struct resource *next;
        struct str uri;
        const json_t *root;
        enum dialect dialect;
        unsigned vocabularies;
        struct anchor *anchors;
};

struct pattern {
        struct pattern *next;
        struct regex *regex;
};

struct schema {
        atomic_uint refs;
        struct arena arena;
        json_t *document;
        struct node *root;
        struct pattern *patterns;
};

#endif
