/*
 * engine/check.h: a run's input and output against the schemas of its function, for all engines.
 *
 * A function without a schema costs a comparison with NULL. With one, a small payload is read and checked on
 * the loop that has it, within CHECK_LOOP_STEPS; what is larger or takes longer is for a checker's thread
 * (engine/checker.h), within CHECK_STEPS and CHECK_STEPS_A_BYTE for each byte of the payload, CHECK_STEPS_MAX
 * at most. A step is 10 to 70 ns.
 */
#ifndef DISPATCH_ENGINE_CHECK_H
#define DISPATCH_ENGINE_CHECK_H

#include "engine/engine.h"

enum {
        CHECK_LOOP_BYTES = 16384,
        CHECK_LOOP_STEPS = 30000,
        CHECK_STEPS = 200000,
        CHECK_STEPS_A_BYTE = 8,
        CHECK_STEPS_MAX = 40000000
};

enum check {
        CHECK_PASSED,
        CHECK_FAILED, /* inv's result is the error: InputError of an input, FunctionError of an output, whose
                         logs stay */
        CHECK_LATER   /* too much for a loop: to be checked fully elsewhere */
};

enum check check_input(struct invocation *inv);
/* Of a run that answered without an error. */
enum check check_output(struct invocation *inv);

/* The same without the loop's limits. inv->error_type is set when it failed. Any thread. */
void check_input_fully(struct invocation *inv);
void check_output_fully(struct invocation *inv);

#endif
