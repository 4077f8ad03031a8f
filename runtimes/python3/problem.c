/* runtimes/python3/problem.c: exceptions as the type, message and trace of an error. */
#include "runtimes/python3/agent.h"

PyObject *to_bytes(PyObject *object)
{
        if (PyUnicode_Check(object))
                return pyjson_utf8(object);
        return PyBytes_FromObject(object);
}

void problem_finish(struct problem *problem)
{
        Py_XDECREF(problem->type);
        Py_XDECREF(problem->message);
        for (size_t i = 0; i < problem->count; i++)
                Py_XDECREF(problem->lines[i]);
}

static bool problem_read_lines(struct problem *problem, PyObject *list)
{
        Py_ssize_t size = PyList_Check(list) ? PyList_Size(list) : 0;

        for (Py_ssize_t i = 0; i < size && problem->count < TRACE_LINES_MAX; i++) {
                /* a long trace keeps its end, which names the error */
                Py_ssize_t from = problem->count == TRACE_LINES_MAX - 1 ? size - 1 : i;
                PyObject *line = to_bytes(PyList_GetItem(list, from));
                if (line == NULL)
                        return false;
                problem->views[problem->count] = view(line);
                problem->lines[problem->count++] = line;
        }
        return true;
}

bool problem_read(struct problem *problem, PyObject *tuple)
{
        if (tuple == NULL || !PyTuple_Check(tuple) || PyTuple_Size(tuple) != 3)
                return false;
        problem->type = to_bytes(PyTuple_GetItem(tuple, 0));
        problem->message = to_bytes(PyTuple_GetItem(tuple, 1));
        return problem->type != NULL && problem->message != NULL &&
               problem_read_lines(problem, PyTuple_GetItem(tuple, 2));
}

PyObject *take_exception(void)
{
        PyObject *type, *value, *trace;

        PyErr_Fetch(&type, &value, &trace);
        PyErr_NormalizeException(&type, &value, &trace);
        if (trace != NULL && value != NULL)
                PyException_SetTraceback(value, trace);
        Py_XDECREF(type);
        Py_XDECREF(trace);
        return value;
}

bool problem_explain(struct python *python, struct problem *ret)
{
        own_py PyObject *exception = take_exception();
        own_py PyObject *told =
                exception != NULL ? PyObject_CallFunctionObjArgs(python->explain, exception, NULL) : NULL;

        if (told != NULL && problem_read(ret, told))
                return true;
        PyErr_Clear();
        return false;
}
