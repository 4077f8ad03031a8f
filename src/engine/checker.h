/*
 * engine/checker.h: a thread for checks that are too long for a loop: large payloads, schemas that take many
 * steps. It starts with its first job; a server whose functions have no schemas never has it.
 */
#ifndef DISPATCH_ENGINE_CHECKER_H
#define DISPATCH_ENGINE_CHECKER_H

#include "engine/engine.h"

enum {
        CHECKER_QUEUE_MAX = 256 /* jobs that wait; past it ERR_LIMIT */
};

struct checker;

enum err_code checker_create(struct checker **ret, struct err *err);
/* Waits for the job under way; what it and those that wait for it were to tell is not told any more. */
void checker_destroy(struct checker *checker); /* takes NULL */

/*
 * Calls work(inv) on the checker's thread and then posts inv->task, whose `run` the caller has set, to
 * inv->loop. Until then nobody else changes inv. ERR_LIMIT; ERR_SYSTEM: no thread could be started. Any loop.
 */
enum err_code checker_post(struct checker *checker, struct invocation *inv,
                           void (*work)(struct invocation *inv), struct err *err);

#endif
