/* cli/interrupt.c: a flag that the handler of SIGINT sets. */
#include "cli/interrupt.h"

#include <signal.h>
#include <time.h>

static volatile sig_atomic_t came;

static void note(int signal_number)
{
        (void)signal_number;
        came = 1;
}

void interrupt_catch(void)
{
        struct sigaction action = {.sa_handler = note, .sa_flags = (int)SA_RESETHAND};

        sigemptyset(&action.sa_mask);
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
}

bool interrupt_came(void)
{
        return came != 0;
}

void interrupt_pause_ms(int64_t ms)
{
        const struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

        if (!interrupt_came())
                nanosleep(&left, NULL);
}
