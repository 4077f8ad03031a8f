/*
 * tests/fault/clock_shift.c: loaded before a program's libraries (LD_PRELOAD): the wall clock is that of the
 * kernel plus as many seconds as the file named by CLOCK_SHIFT holds, as an int64_t, now. Other clocks are as
 * they are.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const _Atomic int64_t *shift_s;

__attribute__((constructor)) static void shift_map(void)
{
        const char *path = getenv("CLOCK_SHIFT");
        int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *map = fd >= 0 ? mmap(NULL, sizeof(*shift_s), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

        if (map != MAP_FAILED)
                shift_s = map;
        if (fd >= 0)
                close(fd);
}

int clock_gettime(clockid_t id, struct timespec *out)
{
        int result = (int)syscall(SYS_clock_gettime, id, out);

        if (result == 0 && id == CLOCK_REALTIME && shift_s != NULL)
                out->tv_sec += (time_t)*shift_s;
        return result;
}

time_t time(time_t *out)
{
        struct timespec now = {.tv_sec = 0};

        (void)clock_gettime(CLOCK_REALTIME, &now);
        if (out != NULL)
                *out = now.tv_sec;
        return now.tv_sec;
}
