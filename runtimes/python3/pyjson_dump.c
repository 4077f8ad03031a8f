/* runtimes/python3/pyjson_dump.c: Python objects to JSON text. */
#include "runtimes/python3/pyjson.h"

#include "runtimes/agent/json_scan.h"

/* As deep as a caller can read back. */
enum { DEPTH_MAX = JSON_SCAN_DEPTH_MAX };

static bool dump_value(PyObject *value, struct buf *out, unsigned depth);

static bool was_put(enum err_code code)
{
        if (code == ERR_TOO_LARGE)
                PyErr_SetString(PyExc_OverflowError, "the result is too large");
        else if (code != ERR_OK)
                PyErr_NoMemory();
        return code == ERR_OK;
}

static bool put(struct buf *out, struct str text)
{
        return was_put(buf_append(out, text.p, text.len));
}

static struct str bytes_view(PyObject *bytes)
{
        return (struct str){PyBytes_AsString(bytes), (size_t)PyBytes_Size(bytes)};
}

PyObject *pyjson_utf8(PyObject *text)
{
        PyObject *bytes = PyUnicode_AsUTF8String(text);

        if (bytes != NULL || !PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
                return bytes;
        PyErr_Clear();
        return PyUnicode_AsEncodedString(text, "utf-8", "replace");
}

static bool dump_string(PyObject *value, struct buf *out)
{
        own_py PyObject *bytes = pyjson_utf8(value);

        if (bytes == NULL)
                return false;
        return was_put(json_put_string(out, bytes_view(bytes)));
}

static bool dump_integer(PyObject *value, struct buf *out)
{
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);

        if (overflow == 0 && number == -1 && PyErr_Occurred() != NULL)
                return false;
        if (overflow == 0) {
                char text[32];
                int len = snprintf(text, sizeof(text), "%lld", number);
                return put(out, (struct str){text, (size_t)len});
        }
        /* int's own digits, also for a subclass that prints itself in another way */
        own_py PyObject *digits = PyObject_CallMethod((PyObject *)&PyLong_Type, "__repr__", "O", value);
        own_py PyObject *bytes = digits != NULL ? PyUnicode_AsUTF8String(digits) : NULL;
        return bytes != NULL && put(out, bytes_view(bytes));
}

static bool dump_float(PyObject *value, struct buf *out)
{
        double number = PyFloat_AsDouble(value);

        if (!(number - number == 0)) {
                PyErr_SetString(PyExc_ValueError, "Out of range float values are not JSON compliant");
                return false;
        }
        char *text = PyOS_double_to_string(number, 'r', 0, Py_DTSF_ADD_DOT_0, NULL);
        if (text == NULL)
                return false;
        bool done = put(out, str_of(text));
        PyMem_Free(text);
        return done;
}

static bool too_deep(unsigned depth)
{
        if (depth < DEPTH_MAX)
                return false;
        PyErr_Format(PyExc_ValueError, "nested deeper than %d levels, or refers to itself", DEPTH_MAX);
        return true;
}

static bool dump_items(PyObject *sequence, struct buf *out, unsigned depth)
{
        bool list = PyList_Check(sequence);

        if (too_deep(depth) || !put(out, STR("[")))
                return false;
        /* the size is read anew: nothing that runs here changes it, but a thread of the handler's may */
        for (Py_ssize_t i = 0; i < (list ? PyList_Size(sequence) : PyTuple_Size(sequence)); i++) {
                own_py PyObject *item = list ? PyList_GetItem(sequence, i) : PyTuple_GetItem(sequence, i);
                Py_XINCREF(item);
                if (item == NULL || (i > 0 && !put(out, STR(","))) || !dump_value(item, out, depth + 1))
                        return false;
        }
        return put(out, STR("]"));
}

static bool dump_plain_key(PyObject *key, struct buf *out)
{
        return put(out, STR("\"")) && dump_value(key, out, DEPTH_MAX) && put(out, STR("\""));
}

/* Keys as json.dumps writes them: numbers, booleans and None become strings. */
static bool dump_key(PyObject *key, struct buf *out)
{
        if (PyUnicode_Check(key))
                return dump_string(key, out);
        if (PyBool_Check(key) || key == Py_None || PyLong_Check(key) || PyFloat_Check(key))
                return dump_plain_key(key, out);
        own_py PyObject *type = PyObject_GetAttrString((PyObject *)Py_TYPE(key), "__name__");
        PyErr_Format(PyExc_TypeError, "keys must be str, int, float, bool or None, not %S", type);
        return false;
}

static bool dump_members(PyObject *dict, struct buf *out, unsigned depth)
{
        PyObject *key, *value;
        Py_ssize_t at = 0;
        bool any = false;

        if (too_deep(depth) || !put(out, STR("{")))
                return false;
        while (PyDict_Next(dict, &at, &key, &value)) {
                bool done = (!any || put(out, STR(","))) && dump_key(key, out) && put(out, STR(":")) &&
                            dump_value(value, out, depth + 1);
                if (!done)
                        return false;
                any = true;
        }
        return put(out, STR("}"));
}

static bool dump_value(PyObject *value, struct buf *out, unsigned depth)
{
        if (PyUnicode_Check(value))
                return dump_string(value, out);
        if (value == Py_None)
                return put(out, STR("null"));
        if (PyBool_Check(value))
                return put(out, value == Py_True ? STR("true") : STR("false"));
        if (PyLong_Check(value))
                return dump_integer(value, out);
        if (PyFloat_Check(value))
                return dump_float(value, out);
        if (PyDict_Check(value))
                return dump_members(value, out, depth);
        if (PyList_Check(value) || PyTuple_Check(value))
                return dump_items(value, out, depth);
        own_py PyObject *type = PyObject_GetAttrString((PyObject *)Py_TYPE(value), "__name__");
        PyErr_Format(PyExc_TypeError, "Object of type %S is not JSON serializable", type);
        return false;
}

bool pyjson_dump(PyObject *value, struct buf *out)
{
        return dump_value(value, out, 0);
}
