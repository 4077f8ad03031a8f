/*
 * base/seqpacket.h: receiving from a Unix SOCK_SEQPACKET pair without losing what the other end said last.
 *
 * When the other end closes with messages of ours unread, the kernel reports ECONNRESET once, before it hands
 * out what lies in our own queue (net/unix/af_unix.c: unix_release_sock sets sk_err, the datagram receive
 * looks at it first). A process that says why it ends and ends would go unheard. Layer 0.
 */
#ifndef DISPATCH_BASE_SEQPACKET_H
#define DISPATCH_BASE_SEQPACKET_H

#include <sys/socket.h>
#include <sys/types.h>

/* recvmsg(2), tried again when a signal or that one ECONNRESET came between. Blocks unless MSG_DONTWAIT is
 * given. */
ssize_t seqpacket_recvmsg(int fd, struct msghdr *message, int flags);

/* The same for bytes alone, as recv(2). */
ssize_t seqpacket_recv(int fd, void *bytes, size_t len, int flags);

#endif
