/* schema/run.h: a validation under way. Private to src/schema. */
#ifndef DISPATCH_SCHEMA_RUN_H
#define DISPATCH_SCHEMA_RUN_H

#include "schema/program.h"

enum verdict { VALID, INVALID, STOPPED };

struct run {
        uint64_t steps_left, steps_max;
        size_t bytes_left;
        unsigned depth;
        unsigned quiet; /* inside what may fail: nobody wants to know why */
        struct regex_space space;
        struct schema_violation *violation;
        struct err *err; /* of STOPPED */
        enum err_code stopped;
};

/* Where in the instance; on the stack of who went down there. */
struct place {
        const struct place *up;
        const char *key; /* NULL: an index */
        size_t index;
};

/* Which members or items of a value were evaluated. */
struct marks {
        const struct keys *keys; /* of an object */
        size_t count;
        uint64_t *bits;
        uint64_t few[2];
};

/* A schema being applied to a value. */
struct frame {
        const struct frame *up;
        const struct node *node;
        const json_t *value;
        const struct place *place;
        struct marks *marks; /* NULL: nobody asks */
};

/* Takes steps. False: there were not enough, and run->err says so. */
bool run_step(struct run *run, uint64_t steps);
bool run_take_bytes(struct run *run, size_t bytes);
enum verdict run_stop(struct run *run, enum err_code code, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));
/* Notes the violation unless nobody wants to know; rule NULL: the schema is false. */
enum verdict run_violate(struct run *run, const struct frame *frame, const struct rule *rule, const char *fmt,
                         ...) __attribute__((format(printf, 4, 5)));

/* eval.c: applies a schema. `up` is NULL for the first. */
enum verdict eval(struct run *run, const struct frame *up, const struct node *node, const json_t *value,
                  const struct place *place, struct marks *marks);
/* To the same value as `frame`'s; what it evaluates counts when it is valid. */
enum verdict eval_in_place(struct run *run, const struct frame *frame, const struct node *node);
/* The same, and quietly. */
enum verdict eval_try(struct run *run, const struct frame *frame, const struct node *node);

typedef enum verdict (*rule_eval)(struct run *run, const struct frame *frame, const struct rule *rule);
/* eval_scalar.c, eval_object.c, eval_array.c, eval_logic.c */
enum verdict eval_type(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_const(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_enum(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_multiple(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_bound(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_length(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_format(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_pattern(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_object_size(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_required(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_property_names(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_properties(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_pattern_properties(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_additional(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_dependencies(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_unevaluated_properties(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_array_size(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_prefix_items(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_items(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_contains(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_unique(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_unevaluated_items(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_ref(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_dynamic_ref(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_all_of(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_any_of(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_one_of(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_not(struct run *run, const struct frame *frame, const struct rule *rule);
enum verdict eval_if(struct run *run, const struct frame *frame, const struct rule *rule);

/* A pattern against a text: VALID, INVALID or STOPPED; nothing is noted. */
enum verdict run_match(struct run *run, const struct regex *regex, struct str text);

/* equal.c: equality of JSON values, numbers by value; VALID: equal. */
enum verdict equal(struct run *run, const json_t *a, const json_t *b, unsigned depth);
/* The same for values that are equal; 0 with run->stopped set when it was stopped. */
uint64_t equal_hash(struct run *run, const json_t *value, unsigned depth);

/* marks.c */
struct keys;
/* Numbers for an object's keys. NULL: stopped. */
struct keys *keys_make(struct run *run, const json_t *object);
void keys_free(struct run *run, struct keys *keys); /* takes NULL */
/* False: stopped. */
bool marks_init(struct run *run, struct marks *marks, const json_t *value, const struct keys *keys);
void marks_finish(struct run *run, struct marks *marks);
/* `key` is the object's own pointer, as its iterator gives it. marks may be NULL. */
void marks_set_key(struct marks *marks, const char *key);
void marks_set_index(struct marks *marks, size_t index);
void marks_set_all(struct marks *marks);
bool marks_has_key(const struct marks *marks, const char *key);
bool marks_has_index(const struct marks *marks, size_t index);
void marks_add(struct marks *to, const struct marks *from);

#endif
