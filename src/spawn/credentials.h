/*
 * spawn/credentials.h: certificates and keys, which often root alone may read: spawn opens them and passes
 * the descriptors to the server, which reads and checks them without rights. spawn looks at no byte of them.
 */
#ifndef DISPATCH_SPAWN_CREDENTIALS_H
#define DISPATCH_SPAWN_CREDENTIALS_H

#include "spawn/link.h"
#include "spawn/options.h"

/* Sends the whole set, whatever could be opened of it; a set that is empty too. */
void credentials_send(const struct options *options, uint64_t set, struct link *link);

#endif
