/*
 * sandbox/netlink.h: a small writer of netlink requests (RFC 3549; the kernel's
 * Documentation/userspace-api/netlink) in a buffer of fixed size, and the talk that goes with it: a request
 * and its acknowledgement, or a dump. Allocates nothing. The kernel answers at once, so nothing here waits.
 */
#ifndef DISPATCH_SANDBOX_NETLINK_H
#define DISPATCH_SANDBOX_NETLINK_H

#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>

enum { NETLINK_BYTES_MAX = 8192, NETLINK_DUMP_BYTES = 32768 };

/* One message, or the several of a batch, one behind the other. */
struct netlink_request {
        size_t used;
        size_t message; /* where the last message begins */
        _Alignas(8) unsigned char bytes[NETLINK_BYTES_MAX];
};

/* A socket of the caller's network namespace; it stays there. -1 and errno. */
int netlink_open(int protocol);

/* Begins an empty request, or one more message of a batch. `body` is the protocol's fixed head. */
void netlink_begin(struct netlink_request *request, uint16_t type, uint16_t flags, const void *body,
                   size_t size);

/* Attributes of the last message. That they fit is the caller's business, and asserted. */
void netlink_put(struct netlink_request *request, uint16_t type, const void *data, size_t size);
void netlink_put_u32(struct netlink_request *request, uint16_t type, uint32_t value);
void netlink_put_text(struct netlink_request *request, uint16_t type, const char *text); /* with its NUL */

/* An attribute of attributes: those between the two. */
size_t netlink_nest(struct netlink_request *request, uint16_t type);
void netlink_nest_end(struct netlink_request *request, size_t nest);
/* Plain bytes where an attribute holds a head of its own before attributes. */
void netlink_put_bytes(struct netlink_request *request, const void *data, size_t size);

/* Sends it and waits for the first answer, which is that of the first message that was refused, or that of
 * the one that asks for it (NLM_F_ACK): let that be the last of those the kernel works on. 0, or -1 and
 * errno. */
int netlink_send(int fd, struct netlink_request *request);

/* Sends a request with NLM_F_DUMP and gives the body of each answer to `each`. 0, or -1 and errno. */
int netlink_dump(int fd, struct netlink_request *request,
                 void (*each)(const void *body, size_t size, void *arg), void *arg);

/* The attribute of that type among those in [data, data + size), or NULL; its length in *ret_size. */
const void *netlink_find(const void *data, size_t size, uint16_t type, size_t *ret_size);

#endif
