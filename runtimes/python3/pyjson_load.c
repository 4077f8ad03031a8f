/* runtimes/python3/pyjson_load.c: JSON text to Python objects. */
#include "runtimes/python3/pyjson.h"

#include "base/own.h"
#include "runtimes/agent/json_scan.h"

/* Digits that surely fit into a long long. */
enum { SHORT_DIGITS = 18, NUMBER_ON_STACK = 64 };

static PyObject *load_value(struct json_scan *scan, const struct json_token *token);

/* The text was checked before; this is for the day that a caller forgets. */
static bool next_token(struct json_scan *scan, struct json_token *token)
{
        struct err err;

        if (json_scan_next(scan, token, &err) == ERR_OK)
                return true;
        PyErr_SetString(PyExc_ValueError, err.text);
        return false;
}

static PyObject *load_string(const struct json_token *token)
{
        own_buf struct buf plain = {0};

        if (!token->escaped)
                return PyUnicode_DecodeUTF8(token->text.p, (Py_ssize_t)token->text.len, NULL);
        buf_init(&plain, token->text.len);
        if (json_unescape(token->text, &plain) != ERR_OK)
                return PyErr_NoMemory();
        return PyUnicode_DecodeUTF8(plain.data, (Py_ssize_t)plain.len, NULL);
}

static PyObject *load_short_integer(struct str text)
{
        bool negative = text.p[0] == '-';
        long long value = 0;

        for (size_t i = negative; i < text.len; i++)
                value = value * 10 + (text.p[i] - '0');
        return PyLong_FromLongLong(negative ? -value : value);
}

static PyObject *load_number(const struct json_token *token)
{
        char on_stack[NUMBER_ON_STACK];
        own_mem char *on_heap = NULL;
        char *text = on_stack;

        if (token->integer && token->text.len <= SHORT_DIGITS)
                return load_short_integer(token->text);
        if (token->text.len >= sizeof(on_stack)) {
                on_heap = malloc(token->text.len + 1);
                if (on_heap == NULL)
                        return PyErr_NoMemory();
                text = on_heap;
        }
        memcpy(text, token->text.p, token->text.len);
        text[token->text.len] = '\0';
        if (token->integer)
                return PyLong_FromString(text, NULL, 10);
        double value = PyOS_string_to_double(text, NULL, NULL);
        return value == -1.0 && PyErr_Occurred() != NULL ? NULL : PyFloat_FromDouble(value);
}

static PyObject *load_array(struct json_scan *scan)
{
        own_py PyObject *list = PyList_New(0);
        struct json_token token;

        if (list == NULL)
                return NULL;
        for (;;) {
                if (!next_token(scan, &token))
                        return NULL;
                if (token.type == JSON_TOKEN_ARRAY_END)
                        return take_ptr(&list);
                own_py PyObject *value = load_value(scan, &token);
                if (value == NULL || PyList_Append(list, value) < 0)
                        return NULL;
        }
}

static PyObject *load_object(struct json_scan *scan)
{
        own_py PyObject *dict = PyDict_New();
        struct json_token token;

        if (dict == NULL)
                return NULL;
        for (;;) {
                if (!next_token(scan, &token))
                        return NULL;
                if (token.type == JSON_TOKEN_OBJECT_END)
                        return take_ptr(&dict);
                own_py PyObject *key = load_string(&token);
                if (key == NULL || !next_token(scan, &token))
                        return NULL;
                own_py PyObject *value = load_value(scan, &token);
                if (value == NULL || PyDict_SetItem(dict, key, value) < 0)
                        return NULL;
        }
}

static PyObject *borrowed(PyObject *object)
{
        Py_INCREF(object);
        return object;
}

/* The value that begins with `token`. Recursion is bounded by the scanner's JSON_SCAN_DEPTH_MAX. */
static PyObject *load_value(struct json_scan *scan, const struct json_token *token)
{
        switch (token->type) {
        case JSON_TOKEN_OBJECT:
                return load_object(scan);
        case JSON_TOKEN_ARRAY:
                return load_array(scan);
        case JSON_TOKEN_STRING:
                return load_string(token);
        case JSON_TOKEN_NUMBER:
                return load_number(token);
        case JSON_TOKEN_TRUE:
                return borrowed(Py_True);
        case JSON_TOKEN_FALSE:
                return borrowed(Py_False);
        case JSON_TOKEN_NULL:
                return borrowed(Py_None);
        case JSON_TOKEN_KEY:
        case JSON_TOKEN_OBJECT_END:
        case JSON_TOKEN_ARRAY_END:
        case JSON_TOKEN_END:
                break;
        }
        PyErr_SetString(PyExc_ValueError, "unexpected end of JSON input");
        return NULL;
}

PyObject *pyjson_load(struct str text)
{
        struct json_scan scan;
        struct json_token token;

        json_scan_init(&scan, text);
        return next_token(&scan, &token) ? load_value(&scan, &token) : NULL;
}
