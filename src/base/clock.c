/* base/clock.c: reading the clocks. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t clock_read_us(clockid_t id)
{
        struct timespec now;

        clock_gettime(id, &now);
        return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

uint64_t clock_mono_us(void)
{
        return (uint64_t)clock_read_us(CLOCK_MONOTONIC);
}

uint64_t clock_mono_ms(void)
{
        return clock_mono_us() / 1000;
}

int64_t clock_wall_us(void)
{
        return clock_read_us(CLOCK_REALTIME);
}

int64_t clock_wall_s(void)
{
        return clock_wall_us() / 1000000;
}

void clock_rfc3339(int64_t wall_us, char out[CLOCK_RFC3339_LEN])
{
        int64_t seconds = wall_us / 1000000, micros = wall_us % 1000000;
        struct tm tm = {0};

        if (micros < 0) {
                micros += 1000000;
                seconds--;
        }
        time_t when = (time_t)seconds;
        gmtime_r(&when, &tm);
        /* By hand, as strftime does not pad years before 1000; the bounds are for the compiler. */
        snprintf(out, CLOCK_RFC3339_LEN, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ",
                 ((unsigned)tm.tm_year + 1900) % 100000, ((unsigned)tm.tm_mon + 1) % 100,
                 (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
                 (unsigned)tm.tm_sec % 100, (unsigned)micros % 1000000);
}
