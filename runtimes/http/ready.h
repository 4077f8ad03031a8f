/* runtimes/http/ready.h: waits until the image's process serves. */
#ifndef DISPATCH_RUNTIME_HTTP_READY_H
#define DISPATCH_RUNTIME_HTTP_READY_H

#include "runtimes/http/service.h"

/*
 * Until its port takes a connection, and for one that speaks messages until GET /healthz is answered with
 * 200; `timeout_ms` at most (0: as long as it takes). ERR_TIMEOUT: it does not; the text says what it does
 * instead. ERR_UNAVAILABLE: the process has ended.
 */
enum err_code ready_wait(struct service *service, uint64_t timeout_ms, struct err *err);

/* "3000, 5432": the TCP ports that something listens on, of a text in the format of /proc/net/tcp (proc(5)),
 * behind what is in `out` already. */
void ready_ports(struct str table, char *out, size_t size);

#endif
