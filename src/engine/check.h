/*
 * engine/check.h: a run's input and output against the schemas of its function, for all engines.
 *
 * A function without a schema costs a comparison with NULL. With one, the payload is read as JSON on the loop
 * that has the run; CHECK_STEPS_MAX and CHECK_STEPS_A_BYTE bound how long that can take.
 */
#ifndef DISPATCH_ENGINE_CHECK_H
#define DISPATCH_ENGINE_CHECK_H

#include "engine/engine.h"

/* False: the input is refused; inv's result is the InputError (or SystemError) that says why. */
bool check_input(struct invocation *inv);
/* Of a run that answered: a violation turns the result into a FunctionError; the logs stay. */
void check_output(struct invocation *inv);

#endif
