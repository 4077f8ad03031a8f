/* server/state.h: what is checked of the server's part of the state directory before it is opened. */
#ifndef DISPATCH_SERVER_STATE_H
#define DISPATCH_SERVER_STATE_H

#include "base/err.h"

/* dir: the folder as the server sees it. ERR_CORRUPT when the store is gone from a folder that was in use. */
enum err_code server_state_check(const char *dir, struct err *err);

#endif
