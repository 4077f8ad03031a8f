/* schema/eval_logic.c: keywords that apply other schemas to the same value. */
#include "schema/run.h"

#include <string.h>

/* Follows a reference, unless that would apply a schema to what it is being applied to. */
static enum verdict follow(struct run *run, const struct frame *frame, const struct node *node)
{
        for (const struct frame *f = frame; f != NULL && f->place == frame->place && f->value == frame->value;
             f = f->up) {
                if (f->node == node)
                        return run_stop(run, ERR_LIMIT, "%s refers to itself without end", node->location);
                if (!run_step(run, 1))
                        return STOPPED;
        }
        return eval_in_place(run, frame, node);
}

enum verdict eval_ref(struct run *run, const struct frame *frame, const struct rule *rule)
{
        return follow(run, frame, rule->u.ref.node);
}

static struct node *dynamic_anchor(const struct resource *resource, const char *name)
{
        for (const struct anchor *anchor = resource->anchors; anchor != NULL; anchor = anchor->next) {
                if (anchor->dynamic && str_eq(anchor->name, str_of(name)))
                        return anchor->node;
        }
        return NULL;
}

/* The outermost resource on the way here that has the anchor decides (2020-12 core, section 8.2.3.2). */
enum verdict eval_dynamic_ref(struct run *run, const struct frame *frame, const struct rule *rule)
{
        const struct node *target = rule->u.ref.node;
        const struct resource *last = NULL;

        for (const struct frame *f = frame; rule->u.ref.anchor != NULL && f != NULL; f = f->up) {
                if (!run_step(run, 1))
                        return STOPPED;
                if (f->node->resource == last)
                        continue;
                last = f->node->resource;
                const struct node *found = dynamic_anchor(last, rule->u.ref.anchor);
                target = found != NULL ? found : target;
        }
        return follow(run, frame, target);
}

enum verdict eval_all_of(struct run *run, const struct frame *frame, const struct rule *rule)
{
        enum verdict verdict = VALID;

        for (size_t i = 0; i < rule->u.list.count && verdict == VALID; i++)
                verdict = eval_in_place(run, frame, rule->u.list.nodes[i]);
        return verdict;
}

/* With marks, all that are valid have a say in what was evaluated. */
enum verdict eval_any_of(struct run *run, const struct frame *frame, const struct rule *rule)
{
        bool any = false;

        for (size_t i = 0; i < rule->u.list.count && (!any || frame->marks != NULL); i++) {
                enum verdict verdict = eval_try(run, frame, rule->u.list.nodes[i]);
                if (verdict == STOPPED)
                        return STOPPED;
                any = any || verdict == VALID;
        }
        if (any)
                return VALID;
        return run_violate(run, frame, rule, "it must match at least one of %zu schemas, and matches none",
                           rule->u.list.count);
}

enum verdict eval_one_of(struct run *run, const struct frame *frame, const struct rule *rule)
{
        size_t count = 0;

        for (size_t i = 0; i < rule->u.list.count && count < 2; i++) {
                enum verdict verdict = eval_try(run, frame, rule->u.list.nodes[i]);
                if (verdict == STOPPED)
                        return STOPPED;
                count += verdict == VALID;
        }
        if (count == 1)
                return VALID;
        return run_violate(run, frame, rule, "it must match exactly one of %zu schemas, and matches %s",
                           rule->u.list.count, count == 0 ? "none" : "more than one");
}

enum verdict eval_not(struct run *run, const struct frame *frame, const struct rule *rule)
{
        struct frame unmarked = *frame;

        unmarked.marks = NULL;
        switch (eval_try(run, &unmarked, rule->u.node)) {
        case VALID:
                return run_violate(run, frame, rule, "it matches the schema that it must not match");
        case INVALID:
                return VALID;
        case STOPPED:
                break;
        }
        return STOPPED;
}

enum verdict eval_if(struct run *run, const struct frame *frame, const struct rule *rule)
{
        struct node *const *nodes = rule->u.list.nodes;
        enum verdict verdict = eval_try(run, frame, nodes[0]);

        if (verdict == STOPPED)
                return STOPPED;
        const struct node *next = verdict == VALID ? nodes[1] : nodes[2];
        return next != NULL ? eval_in_place(run, frame, next) : VALID;
}
