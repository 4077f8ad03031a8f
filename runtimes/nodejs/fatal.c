/*
 * runtimes/nodejs/fatal.c: V8 that runs out of its heap prints why and aborts. Its heap is a share of the
 * instance's memory (manifest), so this is the function's memory limit like the kernel's kill, and is told as
 * such: with FRAME_EXIT_MEMORY as exit status instead of SIGABRT.
 */
#include "runtimes/nodejs/node.h"

#include <signal.h>
#include <unistd.h>

enum { LAST_WORDS = 65536 };

/* Descriptor 2 is the sealed memfd of what was printed; anywhere else there is nothing to be read. */
static bool ran_out_of_memory(void)
{
        static const char *const words[] = {"JavaScript heap out of memory", "process out of memory"};
        static char text[LAST_WORDS];
        off_t end = lseek(2, 0, SEEK_CUR), from = end > LAST_WORDS ? end - LAST_WORDS : 0;
        ssize_t len = end > 0 ? pread(2, text, (size_t)(end - from), from) : 0;

        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && len > 0; i++) {
                if (memmem(text, (size_t)len, words[i], strlen(words[i])) != NULL)
                        return true;
        }
        return false;
}

static void on_abort(int signum)
{
        if (ran_out_of_memory())
                _exit(FRAME_EXIT_MEMORY);
        signal(signum, SIG_DFL);
        raise(signum);
}

void fatal_watch(void)
{
        struct sigaction action = {.sa_handler = on_abort, .sa_flags = SA_NODEFER};

        sigaction(SIGABRT, &action, NULL);
}
