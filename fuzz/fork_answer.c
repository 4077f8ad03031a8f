/*
 * fuzz/fork_answer.c: a hostile template's words to spawn. What passes is of the one size, and either says
 * that it is parked, or names a process, or a step that spawn has words for and an errno; nothing else is
 * looked at.
 */
#include "wire/fork.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct fork_answer *answer;

        if (size > 4 * sizeof(*answer))
                return 0;
        /* Exactly as large as what came, so that the sanitizer sees a read behind it. */
        uint8_t *exact = malloc(size > 0 ? size : 1);
        if (exact == NULL)
                return 0;
        memcpy(exact, data, size);
        answer = (struct fork_answer *)(void *)exact;
        if (fork_answer_valid(answer, size)) {
                assert(size == sizeof(*answer));
                assert(answer->op == FORK_PARKED || answer->op == FORK_DONE);
                assert(answer->step <= FORK_STEP_FORK && answer->pid >= 0 && answer->error >= 0);
                assert((answer->step != FORK_STEP_NONE) == (answer->error != 0));
                assert(answer->op == FORK_PARKED || (answer->pid > 0) == (answer->step == FORK_STEP_NONE));
        }
        free(exact);
        return 0;
}
