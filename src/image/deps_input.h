/*
 * image/deps_input.h: what the server tells a job of kind "deps": records one behind the other, each a type,
 * a name, a NUL, a value, a NUL. F is a file (name and content), E a variable of the tool's environment.
 */
#ifndef DISPATCH_IMAGE_DEPS_INPUT_H
#define DISPATCH_IMAGE_DEPS_INPUT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum { DEPS_INPUT_MAX = 8 << 20 /* bytes of all records */ };

/* The variable that names the image's own interpreter, where it is not at the runtime's place: it is run
 * instead of the installer's, where that is the runtime's. */
#define DEPS_PROGRAM "DISPATCH_DEPS_PROGRAM"

enum deps_type { DEPS_FILE = 'F', DEPS_VARIABLE = 'E' };

struct deps_record {
        enum deps_type type;
        struct str name, value; /* NUL-terminated; views of the input */
};

/* ERR_INVALID: a name or value with a NUL in it; ERR_TOO_LARGE, ERR_NO_MEMORY. */
enum err_code deps_input_add(struct buf *out, enum deps_type type, struct str name, struct str value,
                             struct err *err);

/* Takes the next record off *input. ERR_NOT_FOUND: there is none; ERR_INVALID. */
enum err_code deps_input_next(struct str *input, struct deps_record *ret, struct err *err);

#endif
