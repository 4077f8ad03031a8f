/* runtimes/native/leftovers.h: no process that a run started outlives it. */
#ifndef DISPATCH_NATIVE_LEFTOVERS_H
#define DISPATCH_NATIVE_LEFTOVERS_H

#include <stdbool.h>

/* Makes this process the one that orphans below it come to. Call once. */
void leftovers_adopt(void);

/* Kills and reaps every descendant: each child, and again as their own children come to us, until none is
 * left. False: they multiply faster than they die; the sandbox should go. */
bool leftovers_kill(void);

#endif
