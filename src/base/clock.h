/*
 * base/clock.h: the two clocks. Durations and deadlines use the monotonic one; what users see uses the wall
 * clock.
 */
#ifndef DISPATCH_BASE_CLOCK_H
#define DISPATCH_BASE_CLOCK_H

#include <stdint.h>

enum {
        CLOCK_RFC3339_LEN = 30 /* "2018-10-04T21:43:32.123456Z" and its NUL fit */
};

/* CLOCK_MONOTONIC; does not jump, has no relation to the date. */
uint64_t clock_mono_us(void);
uint64_t clock_mono_ms(void);

/* CLOCK_REALTIME, microseconds and seconds since 1970. */
int64_t clock_wall_us(void);
int64_t clock_wall_s(void);

/* RFC 3339 in UTC with microseconds. */
void clock_rfc3339(int64_t wall_us, char out[CLOCK_RFC3339_LEN]);

#endif
