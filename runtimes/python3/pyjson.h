/*
 * runtimes/python3/pyjson.h: JSON text to Python objects and back, in C: the json module would cost an
 * instance the import of re and friends before its first run. All functions need the interpreter's lock.
 */
#ifndef DISPATCH_PYTHON3_PYJSON_H
#define DISPATCH_PYTHON3_PYJSON_H

#include "base/buf.h"
#include "base/str.h"
#include "runtimes/python3/python.h"

/* A new reference, or NULL with an exception set. The text has been checked (json_check). */
PyObject *pyjson_load(struct str text);

/* Appends the compact text of what json.dumps takes: dict, list, tuple, str, int, float, bool, None and their
 * subclasses. False with an exception set: TypeError for other types, ValueError for NaN, infinities and what
 * is nested too deep or refers to itself, OverflowError past the buffer's maximum. */
bool pyjson_dump(PyObject *value, struct buf *out);

/* UTF-8 of a str as a new bytes object; half surrogates become '?'. NULL with an exception set. */
PyObject *pyjson_utf8(PyObject *text);

#endif
