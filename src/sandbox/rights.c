/* sandbox/rights.c: user ids, capabilities, limits and the filter, in the order in which they can be given
 * up. */
#include "sandbox/rights.h"

#include "sandbox/sys.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { NOFILE_SOFT = 1024, NOFILE_HARD = 4096, LOCKED_BYTES = 64 * 1024, SIGNALS_PENDING = 1024 };

static const struct {
        int resource;
        rlim_t soft, hard;
} limits[] = {
        {RLIMIT_CORE, 0, 0},
        {RLIMIT_NOFILE, NOFILE_SOFT, NOFILE_HARD},
        {RLIMIT_MEMLOCK, LOCKED_BYTES, LOCKED_BYTES},
        {RLIMIT_MSGQUEUE, 0, 0},
        {RLIMIT_SIGPENDING, SIGNALS_PENDING, SIGNALS_PENDING},
        {RLIMIT_RTPRIO, 0, 0},
        {RLIMIT_NICE, 0, 0},
};

/* Never above what the process has already: raising takes a right that root may lack in a container. */
static int limit_set(int resource, rlim_t soft, rlim_t hard)
{
        struct rlimit now, wanted = {.rlim_cur = soft, .rlim_max = hard};

        if (getrlimit((__rlimit_resource_t)resource, &now) < 0)
                return -1;
        if (wanted.rlim_max > now.rlim_max)
                wanted.rlim_max = now.rlim_max;
        if (wanted.rlim_cur > wanted.rlim_max)
                wanted.rlim_cur = wanted.rlim_max;
        return setrlimit((__rlimit_resource_t)resource, &wanted);
}

int rights_limit(uint64_t file_bytes_max)
{
        for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
                if (limit_set(limits[i].resource, limits[i].soft, limits[i].hard) < 0)
                        return -1;
        }
        if (file_bytes_max > 0)
                return limit_set(RLIMIT_FSIZE, file_bytes_max, file_bytes_max);
        return 0;
}

int rights_become(uid_t uid, gid_t gid)
{
        /* Without the fix-up, the kernel leaves the capability sets alone when the user changes. */
        if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) < 0)
                return -1;
        if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0)
                return -1;
        return setresuid(uid, uid, uid);
}

/* Up to the last one that the running kernel knows, which may be newer than the headers. */
static int bounding_clear(uint64_t kept)
{
        for (unsigned long capability = 0;; capability++) {
                if (capability < 64 && (kept & UINT64_C(1) << capability))
                        continue;
                if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
                        return errno == EINVAL && capability > 0 ? 0 : -1;
        }
}

int rights_drop(const struct filter *filter)
{
        const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                   SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                                   SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || bounding_clear(0) < 0)
                return -1;
        if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0 || sys_capabilities_clear() < 0)
                return -1;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -1;
        return filter == NULL ? 0 : sys_seccomp(filter->program, filter->len);
}

#define CAPABILITY(name) (UINT64_C(1) << CAP_##name)

int rights_drop_root(const struct filter *filter, bool chroot)
{
        const uint64_t kept = CAPABILITY(CHOWN) | CAPABILITY(DAC_OVERRIDE) | CAPABILITY(FOWNER) |
                              CAPABILITY(FSETID) | CAPABILITY(SETUID) | CAPABILITY(SETGID) |
                              CAPABILITY(SETFCAP) | CAPABILITY(KILL) | (chroot ? CAPABILITY(SYS_CHROOT) : 0);
        const unsigned long bits =
                SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || bounding_clear(kept) < 0)
                return -1;
        /* A program that it runs as root has what is in the bounding set, as elsewhere; one of another user
         * has nothing. */
        if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0 || sys_capabilities_set(kept) < 0)
                return -1;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -1;
        return filter == NULL ? 0 : sys_seccomp(filter->program, filter->len);
}
