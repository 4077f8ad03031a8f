/* base/random.h: random bytes of the kernel. */
#ifndef DISPATCH_BASE_RANDOM_H
#define DISPATCH_BASE_RANDOM_H

#include <stddef.h>

/* Fills `out` with at most 256 bytes, good for keys; by getentropy, which Linux, macOS and the BSDs have.
 * Ends the process if the kernel has no randomness. */
void random_fill(void *out, size_t len);

#endif
