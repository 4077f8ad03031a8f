/* wire/fork.c: what spawn looks at before it believes anything of a fork server's. */
#include "wire/fork.h"

enum { ERRNO_MAX = 4095 };

bool fork_answer_valid(const struct fork_answer *answer, size_t size)
{
        if (size != sizeof(*answer))
                return false;
        if (answer->op == FORK_PARKED)
                return answer->step == FORK_STEP_NONE && answer->id == 0 && answer->pid == 0 &&
                       answer->error == 0;
        if (answer->op != FORK_DONE || answer->id == 0 || answer->step > FORK_STEP_FORK)
                return false;
        return answer->step == FORK_STEP_NONE
                       ? answer->pid > 0 && answer->error == 0
                       : answer->pid == 0 && answer->error > 0 && answer->error <= ERRNO_MAX;
}
