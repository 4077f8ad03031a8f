/*
 * dns/main.c: dispatch-dns: answers the questions of sandboxes for names. spawn starts it, without rights,
 * when the first sandbox with a network is made, and again if it ends.
 */
#include "base/log.h"
#include "dns/forward.h"

#include <signal.h>
#include <sys/prctl.h>

int main(int argc, char **argv)
{
        struct err err;

        (void)argv;
        if (argc != 1) {
                log_error("dispatch-dns is started by dispatch-spawn");
                return 2;
        }
        /* It reads what anybody sends: nobody looks into it, and it ends with spawn. */
        if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return 1;
        if (forward_run("/etc/resolv.conf", &err) == ERR_OK)
                return 0;
        log_error("dispatch-dns: %s", err.text);
        return 1;
}
