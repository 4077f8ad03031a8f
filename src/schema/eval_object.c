/* schema/eval_object.c: keywords about objects. */
#include "schema/run.h"

#include <string.h>

static struct str key_text(const char *key)
{
        return (struct str){key, strlen(key)};
}

/* A name as it may stand in a reason: not too much of it. */
static int shown(const char *name)
{
        size_t len = strlen(name);

        if (len <= 60)
                return (int)len;
        len = 60;
        while (len > 0 && ((unsigned char)name[len] & 0xc0) == 0x80)
                len--;
        return (int)len;
}

/* Applies a schema to a member. */
static enum verdict eval_member(struct run *run, const struct frame *frame, const struct node *node,
                                const char *key, const json_t *value)
{
        const struct place place = {frame->place, key, 0};
        enum verdict verdict = eval(run, frame, node, value, &place, NULL);

        if (verdict == VALID)
                marks_set_key(frame->marks, key);
        return verdict;
}

enum verdict eval_object_size(struct run *run, const struct frame *frame, const struct rule *rule)
{
        bool max = rule->keyword == KEYWORD_MAX_PROPERTIES;
        size_t count = json_object_size(frame->value);

        if (!json_is_object(frame->value) || (max ? count <= rule->u.limit : count >= rule->u.limit))
                return VALID;
        return run_violate(run, frame, rule, "it must have %s %llu members, and has %zu",
                           max ? "at most" : "at least", (unsigned long long)rule->u.limit, count);
}

/* The first of the names that is no member; NULL: all are. */
static const char *first_missing(struct run *run, const json_t *object, const json_t *names,
                                 bool *ret_stopped)
{
        for (size_t i = 0; i < json_array_size(names); i++) {
                const char *name = json_string_value(json_array_get(names, i));
                *ret_stopped = !run_step(run, 1);
                if (*ret_stopped || json_object_get(object, name) == NULL)
                        return name;
        }
        return NULL;
}

enum verdict eval_required(struct run *run, const struct frame *frame, const struct rule *rule)
{
        bool stopped = false;

        if (!json_is_object(frame->value))
                return VALID;
        const char *missing = first_missing(run, frame->value, rule->u.value, &stopped);
        if (stopped)
                return STOPPED;
        if (missing == NULL)
                return VALID;
        return run_violate(run, frame, rule, "the member \"%.*s\" is missing", shown(missing), missing);
}

enum verdict eval_property_names(struct run *run, const struct frame *frame, const struct rule *rule)
{
        enum verdict verdict = VALID;
        const char *key;
        json_t *value;

        if (!json_is_object(frame->value))
                return VALID;
        json_object_foreach((json_t *)frame->value, key, value)
        {
                const struct place place = {frame->place, key, 0};
                json_t *name = json_string(key);
                if (name == NULL)
                        return run_stop(run, ERR_NO_MEMORY, "out of memory");
                run->quiet++;
                verdict = eval(run, frame, rule->u.node, name, &place, NULL);
                run->quiet--;
                json_decref(name);
                if (verdict == INVALID)
                        return run_violate(run, frame, rule, "the name \"%.*s\" is not allowed", shown(key),
                                           key);
                if (verdict != VALID)
                        break;
        }
        return verdict;
}

enum verdict eval_properties(struct run *run, const struct frame *frame, const struct rule *rule)
{
        enum verdict verdict = VALID;

        if (!json_is_object(frame->value))
                return VALID;
        for (size_t i = 0; i < rule->u.map.count && verdict == VALID; i++) {
                const struct member *member = &rule->u.map.members[i];
                void *at = json_object_iter_at((json_t *)frame->value, member->key.p);
                if (!run_step(run, 1))
                        return STOPPED;
                if (at != NULL)
                        verdict = eval_member(run, frame, member->node, json_object_iter_key(at),
                                              json_object_iter_value(at));
        }
        return verdict;
}

enum verdict eval_pattern_properties(struct run *run, const struct frame *frame, const struct rule *rule)
{
        const char *key;
        json_t *value;

        if (!json_is_object(frame->value))
                return VALID;
        json_object_foreach((json_t *)frame->value, key, value)
        {
                for (size_t i = 0; i < rule->u.map.count; i++) {
                        const struct member *member = &rule->u.map.members[i];
                        enum verdict verdict = run_match(run, member->regex, key_text(key));
                        if (verdict == VALID)
                                verdict = eval_member(run, frame, member->node, key, value);
                        else if (verdict == INVALID)
                                verdict = VALID; /* it says nothing about this one */
                        if (verdict != VALID)
                                return verdict;
                }
        }
        return VALID;
}

/* Does properties or patternProperties name it? */
static enum verdict is_named(struct run *run, const struct rule *rule, const char *key)
{
        const struct rule *patterns = rule->u.additional.patterns;
        enum verdict verdict = INVALID;

        if (!run_step(run, 1))
                return STOPPED;
        if (json_object_get(rule->u.additional.properties, key) != NULL)
                return VALID;
        for (size_t i = 0; patterns != NULL && i < patterns->u.map.count && verdict == INVALID; i++)
                verdict = run_match(run, patterns->u.map.members[i].regex, key_text(key));
        return verdict;
}

enum verdict eval_additional(struct run *run, const struct frame *frame, const struct rule *rule)
{
        const char *key;
        json_t *value;

        if (!json_is_object(frame->value))
                return VALID;
        json_object_foreach((json_t *)frame->value, key, value)
        {
                enum verdict verdict = is_named(run, rule, key);
                if (verdict == INVALID)
                        verdict = eval_member(run, frame, rule->u.additional.node, key, value);
                if (verdict != VALID)
                        return verdict;
        }
        return VALID;
}

/* One of dependentRequired, dependentSchemas and dependencies. */
static enum verdict eval_dependency(struct run *run, const struct frame *frame, const struct rule *rule,
                                    const struct member *member)
{
        bool stopped = false;

        if (!run_step(run, 1))
                return STOPPED;
        if (json_object_get(frame->value, member->key.p) == NULL)
                return VALID;
        if (member->names == NULL)
                return eval_in_place(run, frame, member->node);
        const char *missing = first_missing(run, frame->value, member->names, &stopped);
        if (stopped)
                return STOPPED;
        if (missing == NULL)
                return VALID;
        return run_violate(run, frame, rule, "the member \"%.*s\" is missing, which \"%.*s\" needs",
                           shown(missing), missing, shown(member->key.p), member->key.p);
}

enum verdict eval_dependencies(struct run *run, const struct frame *frame, const struct rule *rule)
{
        enum verdict verdict = VALID;

        if (!json_is_object(frame->value))
                return VALID;
        for (size_t i = 0; i < rule->u.map.count && verdict == VALID; i++)
                verdict = eval_dependency(run, frame, rule, &rule->u.map.members[i]);
        return verdict;
}

enum verdict eval_unevaluated_properties(struct run *run, const struct frame *frame, const struct rule *rule)
{
        const char *key;
        json_t *value;

        if (!json_is_object(frame->value))
                return VALID;
        json_object_foreach((json_t *)frame->value, key, value)
        {
                if (!run_step(run, 1))
                        return STOPPED;
                if (marks_has_key(frame->marks, key))
                        continue;
                enum verdict verdict = eval_member(run, frame, rule->u.node, key, value);
                if (verdict != VALID)
                        return verdict;
        }
        return VALID;
}
