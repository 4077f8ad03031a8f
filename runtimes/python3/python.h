/* runtimes/python3/python.h: Python's headers, held to the stable ABI of 3.8, so that one build serves every
 * later one. */
#ifndef DISPATCH_PYTHON3_PYTHON_H
#define DISPATCH_PYTHON3_PYTHON_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x03080000
#include <Python.h>

static inline void own_py_release(PyObject **object)
{
        Py_XDECREF(*object);
}
#define own_py __attribute__((cleanup(own_py_release)))

#endif
