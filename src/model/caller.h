/*
 * model/caller.h: who asks, and in which organization and project. Every request carries one through all
 * layers, from the first day; what a caller may do is iam's business.
 */
#ifndef DISPATCH_MODEL_CALLER_H
#define DISPATCH_MODEL_CALLER_H

#include "base/str.h"

enum caller_kind {
        CALLER_ANONYMOUS, /* sent no credentials; allowed while the server runs with --skip-auth */
        CALLER_USER,
        CALLER_SERVICE_ACCOUNT,
        CALLER_SYSTEM /* the server itself: recovery, reconciliation */
};

struct caller {
        enum caller_kind kind;
        struct str subject;      /* "" for CALLER_ANONYMOUS */
        struct str organization; /* never empty */
        struct str project;      /* never empty */
        struct str request_id;   /* for logs and traces */
};

#endif
