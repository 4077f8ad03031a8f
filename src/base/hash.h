/*
 * base/hash.h: a keyed hash of bytes (SipHash-1-3, Aumasson and Bernstein 2012) with a key that each process
 * draws for itself, so that whoever chooses the bytes cannot make them collide. Not for storing. Thread-safe.
 */
#ifndef DISPATCH_BASE_HASH_H
#define DISPATCH_BASE_HASH_H

#include "base/str.h"

#include <stdint.h>

uint64_t hash_keyed(struct str bytes);

#endif
