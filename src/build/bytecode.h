/*
 * build/bytecode.h: the times that bytecode of Python names for its sources (PEP 552: magic, flags, then time
 * and size of the source, or a hash, which needs none).
 */
#ifndef DISPATCH_BUILD_BYTECODE_H
#define DISPATCH_BUILD_BYTECODE_H

#include "build/names.h"

#include <stdint.h>
#include <sys/stat.h>

/* The `__pycache__` of a folder. */
struct bytecode {
        int fd; /* -1: there is none */
        struct names names;
};

enum err_code bytecode_open(int folder_fd, const struct names *names, struct bytecode *ret, struct err *err);
void bytecode_close(struct bytecode *bytecode);
/* Is there bytecode of this file, and is it of this very state of it? */
bool bytecode_fits(const struct bytecode *bytecode, const char *name, const struct stat *source);

#endif
