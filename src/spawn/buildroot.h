/*
 * spawn/buildroot.h: the root of a build job: views of some of the host's folders. One for each kind, made
 * when it is first needed, attached in spawn's own mount namespace.
 */
#ifndef DISPATCH_SPAWN_BUILDROOT_H
#define DISPATCH_SPAWN_BUILDROOT_H

#include "base/err.h"

enum buildroot_kind {
        BUILDROOT_SOURCE,  /* programs, libraries and certificates */
        BUILDROOT_NETWORK, /* and what names are resolved by */
        BUILDROOT_EGRESS,  /* the same of a sandbox's own network; its files are egress.h's */
        BUILDROOT_BUILTIN, /* and /etc and the package database, which say what the host has installed */
        BUILDROOT_KINDS
};

/* *ret_fd (O_PATH) is the caller's: a folder with mounts below it. where: DIR/mnt, absolute. */
enum err_code buildroot_open(const char *where, enum buildroot_kind kind, int *ret_fd, struct err *err);

#endif
