/*
 * cli/interrupt.h: Ctrl-C for commands that go on until somebody ends them: it ends the wait or the exchange
 * under way, and the command then ends as if nothing more had come.
 */
#ifndef DISPATCH_CLI_INTERRUPT_H
#define DISPATCH_CLI_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

/* From now on SIGINT and SIGTERM are noted instead of ending the program; a second one ends it. */
void interrupt_catch(void);
bool interrupt_came(void);

/* Waits; less when a signal comes. */
void interrupt_pause_ms(int64_t ms);

#endif
