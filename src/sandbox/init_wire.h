/*
 * sandbox/init_wire.h: what spawn and the init of a sandbox say to each other, over a SOCK_SEQPACKET pair
 * that is descriptor 3 of the init. Both ends are one build. The init shares its sandbox with a tenant but
 * not its memory or descriptors: it is not dumpable, so only it can have written here.
 */
#ifndef DISPATCH_SANDBOX_INIT_WIRE_H
#define DISPATCH_SANDBOX_INIT_WIRE_H

#include "wire/spawn.h"

#include <stdint.h>

enum { INIT_CONTROL_FD = 3, INIT_FDS_MAX = 7 };

/* spawn to init: start a process. Its descriptors come along: the first becomes its 1, the next its 2, ... */
struct init_start {
        uint32_t argc;
        uint32_t executable_given; /* 1: the last descriptor is the program, else argv[0] is its path */
        uint32_t lingers; /* 1: with the end of the process the sandbox does not end; SIGTERM ends the process
                           */
        int32_t adopt;    /* not 0: start nothing. This child was forked into the sandbox (wire/fork.h) */
        char argv[SPAWN_ARGV_MAX]; /* argc strings, each NUL-terminated */
};

enum init_op {
        INIT_FAILED = 1,  /* the sandbox could not be made: value is an errno, text the step */
        INIT_READY,       /* the init holds the sandbox */
        INIT_STARTED,     /* the process runs its program */
        INIT_NOT_STARTED, /* value is the errno of execve; the sandbox ends */
        INIT_EXITED       /* value is the process's wait status; the sandbox ends, or lingers */
};

struct init_report {
        uint32_t op;
        int32_t value;
        char text[48];
};

#endif
