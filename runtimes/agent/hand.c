/* runtimes/agent/hand.c: the invocations in hand: begun, named by their number, over. */
#include "runtimes/agent/agent_impl.h"

#include <assert.h>
#include <stdlib.h>

static void run_destroy(struct agent_run *run)
{
        if (run == NULL)
                return;
        lines_finish(&run->lines);
        buf_finish(&run->context);
        decoded_finish(&run->decoded);
        free(run);
}

static struct agent_run *run_create(struct agent *agent)
{
        struct agent_run *run = calloc(1, sizeof(*run));

        if (run == NULL)
                return NULL;
        run->agent = agent;
        lines_init(&run->lines, agent->special.log_bytes_max, output_sink, run);
        buf_init(&run->context, AGENT_CONTEXT_MAX);
        decoded_init(&run->decoded);
        return run;
}

struct agent_run *run_find(const struct agent *agent, uint32_t number)
{
        struct agent_run *run = agent->runs;

        while (run != NULL && run->number != number)
                run = run->next;
        return run;
}

struct agent_run *run_begin(struct agent *agent, uint32_t number)
{
        struct agent_run *run = agent->spare != NULL ? agent->spare : run_create(agent);

        if (run == NULL)
                return NULL;
        agent->spare = NULL;
        run->number = number;
        output_begin(agent, run);
        usage_begin(&agent->meter, &run->usage);
        agent->selected = run;
        return run;
}

void run_end(struct agent *agent)
{
        struct agent_run *run = agent->selected, **at = &agent->runs;

        while (*at != run) {
                assert(*at != NULL);
                at = &(*at)->next;
        }
        *at = run->next;
        agent->run_count--;
        agent->selected = NULL;
        decoded_finish(&run->decoded);
        decoded_init(&run->decoded);
        buf_clear(&run->context);
        if (agent->spare == NULL)
                agent->spare = run;
        else
                run_destroy(run);
}

void runs_finish(struct agent *agent)
{
        while (agent->runs != NULL) {
                struct agent_run *run = agent->runs;
                agent->runs = run->next;
                run_destroy(run);
        }
        run_destroy(agent->spare);
        lines_finish(&agent->outside.lines);
}

bool agent_select(struct agent *agent, uint32_t run)
{
        agent->selected = run_find(agent, run);
        return agent->selected != NULL;
}

size_t agent_in_hand(const struct agent *agent)
{
        return agent->run_count;
}

void agent_several(struct agent *agent)
{
        agent->several = true;
}

uint32_t agent_cancelled(struct agent *agent)
{
        const struct transport_ops *ops = agent->transport->ops;

        return ops->cancelled != NULL ? ops->cancelled(agent->transport) : 0;
}
