/* schema/keywords.c: which keywords there are, and where schemas stand in them. */
#include "schema/keywords.h"

#define V    VOCABULARY_VALIDATION
#define A    VOCABULARY_APPLICATOR
#define C    VOCABULARY_CORE
#define U    VOCABULARY_UNEVALUATED
#define BOTH (DIALECT_2020 | DIALECT_07)

/* dependencies and definitions are draft-07's, and 2020-12 lets a validator go on with them. */
const struct keyword_form keyword_forms[] = {
        {"$defs", BOTH, C, HOLDS_MAP},
        {"definitions", BOTH, C, HOLDS_MAP},
        {"properties", BOTH, A, HOLDS_MAP},
        {"patternProperties", BOTH, A, HOLDS_MAP},
        {"additionalProperties", BOTH, A, HOLDS_SCHEMA},
        {"propertyNames", BOTH, A, HOLDS_SCHEMA},
        {"prefixItems", DIALECT_2020, A, HOLDS_LIST},
        {"items", DIALECT_2020, A, HOLDS_SCHEMA},
        {"items", DIALECT_07, A, HOLDS_SCHEMA_OR_LIST},
        {"additionalItems", DIALECT_07, A, HOLDS_SCHEMA},
        {"contains", BOTH, A, HOLDS_SCHEMA},
        {"allOf", BOTH, A, HOLDS_LIST},
        {"anyOf", BOTH, A, HOLDS_LIST},
        {"oneOf", BOTH, A, HOLDS_LIST},
        {"not", BOTH, A, HOLDS_SCHEMA},
        {"if", BOTH, A, HOLDS_SCHEMA},
        {"then", BOTH, A, HOLDS_SCHEMA},
        {"else", BOTH, A, HOLDS_SCHEMA},
        {"dependentSchemas", DIALECT_2020, A, HOLDS_MAP},
        {"dependencies", BOTH, A, HOLDS_MAP},
        {"unevaluatedItems", DIALECT_2020, U, HOLDS_SCHEMA},
        {"unevaluatedProperties", DIALECT_2020, U, HOLDS_SCHEMA},
        {"contentSchema", DIALECT_2020, VOCABULARY_CONTENT, HOLDS_SCHEMA},
        {NULL, 0, 0, HOLDS_SCHEMA},
};

const char *const keyword_names[KEYWORD_COUNT] = {
        [KEYWORD_TYPE] = "type",
        [KEYWORD_CONST] = "const",
        [KEYWORD_ENUM] = "enum",
        [KEYWORD_MULTIPLE_OF] = "multipleOf",
        [KEYWORD_MAXIMUM] = "maximum",
        [KEYWORD_EXCLUSIVE_MAXIMUM] = "exclusiveMaximum",
        [KEYWORD_MINIMUM] = "minimum",
        [KEYWORD_EXCLUSIVE_MINIMUM] = "exclusiveMinimum",
        [KEYWORD_MAX_LENGTH] = "maxLength",
        [KEYWORD_MIN_LENGTH] = "minLength",
        [KEYWORD_MAX_ITEMS] = "maxItems",
        [KEYWORD_MIN_ITEMS] = "minItems",
        [KEYWORD_MAX_PROPERTIES] = "maxProperties",
        [KEYWORD_MIN_PROPERTIES] = "minProperties",
        [KEYWORD_REQUIRED] = "required",
        [KEYWORD_DEPENDENT_REQUIRED] = "dependentRequired",
        [KEYWORD_FORMAT] = "format",
        [KEYWORD_PATTERN] = "pattern",
        [KEYWORD_PROPERTY_NAMES] = "propertyNames",
        [KEYWORD_PROPERTIES] = "properties",
        [KEYWORD_PATTERN_PROPERTIES] = "patternProperties",
        [KEYWORD_ADDITIONAL_PROPERTIES] = "additionalProperties",
        [KEYWORD_PREFIX_ITEMS] = "prefixItems",
        [KEYWORD_ITEMS] = "items",
        [KEYWORD_ADDITIONAL_ITEMS] = "additionalItems",
        [KEYWORD_CONTAINS] = "contains",
        [KEYWORD_UNIQUE_ITEMS] = "uniqueItems",
        [KEYWORD_REF] = "$ref",
        [KEYWORD_DYNAMIC_REF] = "$dynamicRef",
        [KEYWORD_ALL_OF] = "allOf",
        [KEYWORD_ANY_OF] = "anyOf",
        [KEYWORD_ONE_OF] = "oneOf",
        [KEYWORD_NOT] = "not",
        [KEYWORD_IF] = "if",
        [KEYWORD_DEPENDENT_SCHEMAS] = "dependentSchemas",
        [KEYWORD_DEPENDENCIES] = "dependencies",
        [KEYWORD_UNEVALUATED_ITEMS] = "unevaluatedItems",
        [KEYWORD_UNEVALUATED_PROPERTIES] = "unevaluatedProperties",
};
