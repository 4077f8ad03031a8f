/*
 * schema/eval.c: applies a program to an instance, rule by rule, until one is violated or a bound is reached.
 *
 * What was evaluated (for unevaluatedItems and unevaluatedProperties) is tracked only below a schema that
 * asks. Every call takes a step, so the steps bound the whole, and the depth bounds the stack.
 */
#include "schema/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POINTER_ROOM = SCHEMA_POINTER_MAX - 4 };

static const rule_eval evals[KEYWORD_COUNT] = {
        [KEYWORD_TYPE] = eval_type,
        [KEYWORD_CONST] = eval_const,
        [KEYWORD_ENUM] = eval_enum,
        [KEYWORD_MULTIPLE_OF] = eval_multiple,
        [KEYWORD_MAXIMUM] = eval_bound,
        [KEYWORD_EXCLUSIVE_MAXIMUM] = eval_bound,
        [KEYWORD_MINIMUM] = eval_bound,
        [KEYWORD_EXCLUSIVE_MINIMUM] = eval_bound,
        [KEYWORD_MAX_LENGTH] = eval_length,
        [KEYWORD_MIN_LENGTH] = eval_length,
        [KEYWORD_MAX_ITEMS] = eval_array_size,
        [KEYWORD_MIN_ITEMS] = eval_array_size,
        [KEYWORD_MAX_PROPERTIES] = eval_object_size,
        [KEYWORD_MIN_PROPERTIES] = eval_object_size,
        [KEYWORD_REQUIRED] = eval_required,
        [KEYWORD_DEPENDENT_REQUIRED] = eval_dependencies,
        [KEYWORD_FORMAT] = eval_format,
        [KEYWORD_PATTERN] = eval_pattern,
        [KEYWORD_PROPERTY_NAMES] = eval_property_names,
        [KEYWORD_PROPERTIES] = eval_properties,
        [KEYWORD_PATTERN_PROPERTIES] = eval_pattern_properties,
        [KEYWORD_ADDITIONAL_PROPERTIES] = eval_additional,
        [KEYWORD_PREFIX_ITEMS] = eval_prefix_items,
        [KEYWORD_ITEMS] = eval_items,
        [KEYWORD_ADDITIONAL_ITEMS] = eval_items,
        [KEYWORD_CONTAINS] = eval_contains,
        [KEYWORD_UNIQUE_ITEMS] = eval_unique,
        [KEYWORD_REF] = eval_ref,
        [KEYWORD_DYNAMIC_REF] = eval_dynamic_ref,
        [KEYWORD_ALL_OF] = eval_all_of,
        [KEYWORD_ANY_OF] = eval_any_of,
        [KEYWORD_ONE_OF] = eval_one_of,
        [KEYWORD_NOT] = eval_not,
        [KEYWORD_IF] = eval_if,
        [KEYWORD_DEPENDENT_SCHEMAS] = eval_dependencies,
        [KEYWORD_DEPENDENCIES] = eval_dependencies,
        [KEYWORD_UNEVALUATED_ITEMS] = eval_unevaluated_items,
        [KEYWORD_UNEVALUATED_PROPERTIES] = eval_unevaluated_properties,
};

enum verdict run_stop(struct run *run, enum err_code code, const char *fmt, ...)
{
        va_list args;

        if (run->stopped != ERR_OK)
                return STOPPED;
        va_start(args, fmt);
        run->stopped = err_vset(run->err, code, fmt, args);
        va_end(args);
        return STOPPED;
}

bool run_step(struct run *run, uint64_t steps)
{
        if (steps <= run->steps_left) {
                run->steps_left -= steps;
                return true;
        }
        run->steps_left = 0;
        run_stop(run, ERR_LIMIT, "it takes more than the limit of %llu steps",
                 (unsigned long long)run->steps_max);
        return false;
}

bool run_take_bytes(struct run *run, size_t bytes)
{
        if (bytes > run->bytes_left) {
                run_stop(run, ERR_LIMIT, "it takes more than the limit of %d bytes of memory",
                         SCHEMA_VALIDATE_BYTES_MAX);
                return false;
        }
        run->bytes_left -= bytes;
        return true;
}

enum verdict run_match(struct run *run, const struct regex *regex, struct str text)
{
        switch (regex_match(regex, text, &run->space, &run->steps_left)) {
        case REGEX_MATCH:
                return VALID;
        case REGEX_NO_MATCH:
                return INVALID;
        case REGEX_STEPS:
                return run_stop(run, ERR_LIMIT,
                                "a pattern takes more than the limit of %llu steps that validating may take",
                                (unsigned long long)run->steps_max);
        case REGEX_HEAP:
                return run_stop(run, ERR_LIMIT, "a pattern takes more than the limit of %d KiB for a match",
                                SCHEMA_PATTERN_HEAP_KIB);
        case REGEX_NO_MEMORY:
                break;
        }
        return run_stop(run, ERR_NO_MEMORY, "out of memory");
}

/* A pointer token escaped into text; false: no room. */
static bool add_token(char *text, size_t *at, const struct place *place)
{
        char index[24];
        const char *key = place->key;

        if (key == NULL) {
                snprintf(index, sizeof(index), "%zu", place->index);
                key = index;
        }
        if (*at < POINTER_ROOM)
                text[(*at)++] = '/';
        for (; *key != '\0'; key++) {
                if (*at + 2 > POINTER_ROOM)
                        return false;
                if (*key == '~' || *key == '/') {
                        text[(*at)++] = '~';
                        text[(*at)++] = *key == '~' ? '0' : '1';
                } else {
                        text[(*at)++] = *key;
                }
        }
        return true;
}

static void write_pointer(const struct place *place, char text[SCHEMA_POINTER_MAX])
{
        const struct place *path[SCHEMA_DEPTH_MAX + 1];
        size_t count = 0, at = 0;
        bool whole = true;

        for (; place->up != NULL && count <= SCHEMA_DEPTH_MAX; place = place->up)
                path[count++] = place;
        while (count > 0 && whole)
                whole = add_token(text, &at, path[--count]);
        if (!whole) {
                while (at > 0 && ((unsigned char)text[at - 1] & 0x80) != 0)
                        at--; /* not within a character */
                memcpy(text + at, "...", 3);
                at += 3;
        }
        text[at] = '\0';
}

enum verdict run_violate(struct run *run, const struct frame *frame, const struct rule *rule, const char *fmt,
                         ...)
{
        struct schema_violation *violation = run->violation;
        va_list args;

        if (run->quiet > 0)
                return INVALID;
        write_pointer(frame->place, violation->instance);
        snprintf(violation->keyword, sizeof(violation->keyword), "%s%s%s", frame->node->location,
                 rule != NULL ? "/" : "", rule != NULL ? keyword_names[rule->keyword] : "");
        va_start(args, fmt);
        vsnprintf(violation->reason, sizeof(violation->reason), fmt, args);
        va_end(args);
        return INVALID;
}

static enum verdict eval_rules(struct run *run, const struct frame *frame)
{
        const struct node *node = frame->node;
        enum verdict verdict = VALID;

        for (size_t i = 0; i < node->rule_count && verdict == VALID; i++) {
                if (!run_step(run, 1))
                        return STOPPED;
                verdict = evals[node->rules[i].keyword](run, frame, &node->rules[i]);
        }
        return verdict;
}

/* With marks of its own, which join the caller's when all went well. */
static enum verdict eval_marking(struct run *run, struct frame *frame, struct marks *outer)
{
        bool object = json_is_object(frame->value);
        struct keys *own_keys = NULL;
        struct marks marks = {.bits = NULL};
        enum verdict verdict = STOPPED;

        if (object && outer == NULL && (own_keys = keys_make(run, frame->value)) == NULL)
                return STOPPED;
        if (marks_init(run, &marks, frame->value, outer != NULL ? outer->keys : own_keys)) {
                frame->marks = &marks;
                verdict = eval_rules(run, frame);
                frame->marks = NULL;
        }
        if (verdict == VALID && outer != NULL)
                marks_add(outer, &marks);
        marks_finish(run, &marks);
        keys_free(run, own_keys);
        return verdict;
}

enum verdict eval(struct run *run, const struct frame *up, const struct node *node, const json_t *value,
                  const struct place *place, struct marks *marks)
{
        struct frame frame = {up, node, value, place, NULL};
        enum verdict verdict;

        if (!run_step(run, 1))
                return STOPPED;
        if (node->kind == NODE_ANYTHING)
                return VALID;
        if (node->kind == NODE_NOTHING)
                return run_violate(run, &frame, NULL, "it is not allowed here");
        if (++run->depth > SCHEMA_DEPTH_MAX) {
                run->depth--;
                return run_stop(run, ERR_LIMIT,
                                "it takes more than the limit of %d schemas inside each other",
                                SCHEMA_DEPTH_MAX);
        }
        bool container = json_is_object(value) || json_is_array(value);
        if (container && (marks != NULL || node->marks))
                verdict = eval_marking(run, &frame, marks);
        else
                verdict = eval_rules(run, &frame);
        run->depth--;
        return verdict;
}

enum verdict eval_in_place(struct run *run, const struct frame *frame, const struct node *node)
{
        return eval(run, frame, node, frame->value, frame->place, frame->marks);
}

enum verdict eval_try(struct run *run, const struct frame *frame, const struct node *node)
{
        run->quiet++;
        enum verdict verdict = eval_in_place(run, frame, node);
        run->quiet--;
        return verdict;
}

enum err_code schema_validate(const struct schema *schema, const json_t *instance, uint64_t steps_max,
                              struct schema_violation *violation, struct err *err)
{
        struct schema_violation own;
        struct err own_err;
        const struct place root = {NULL, NULL, 0};
        struct run run = {.steps_left = steps_max > 0 ? steps_max : SCHEMA_STEPS_MAX,
                          .bytes_left = SCHEMA_VALIDATE_BYTES_MAX,
                          .violation = violation != NULL ? violation : &own,
                          .err = err != NULL ? err : &own_err};

        run.steps_max = run.steps_left;
        enum verdict verdict = eval(&run, NULL, schema->root, instance, &root, NULL);
        regex_space_finish(&run.space);
        switch (verdict) {
        case VALID:
                return ERR_OK;
        case INVALID:
                return err_set(err, ERR_INVALID, "at \"%s\": %s (%s)", run.violation->instance,
                               run.violation->reason, run.violation->keyword);
        case STOPPED:
                break;
        }
        return run.stopped;
}
