/* tests/unit/json/cases.c: compiled with -DCASES=NAME, once for each library. */
#include "cases.h"

#include <jansson.h>
#include <stdlib.h>

_Static_assert(JSON_REJECT_DUPLICATES == CASES_DUPLICATES && JSON_DISABLE_EOF_CHECK == CASES_REST &&
                       JSON_DECODE_ANY == CASES_ANY && JSON_DECODE_INT_AS_REAL == CASES_REAL &&
                       JSON_ALLOW_NUL == CASES_NUL,
               "the flags are jansson's");

static void say(struct buf *out, const char *what, const char *text)
{
        buf_printf(out, "%s %s\n", what, text != NULL ? text : "(null)");
}

static void number(struct buf *out, const char *what, long long value)
{
        buf_printf(out, "%s %lld\n", what, value);
}

static void dump(struct buf *out, const char *what, const json_t *json, size_t flags)
{
        char *text = json_dumps(json, flags);
        void (*put)(void *memory);

        json_get_alloc_funcs(NULL, &put);
        say(out, what, text);
        if (text != NULL)
                put(text);
}

/* Takes the reference. */
static void show(struct buf *out, const char *what, json_t *json)
{
        dump(out, what, json, JSON_ENCODE_ANY);
        json_decref(json);
}

static int append_piece(const char *bytes, size_t len, void *data)
{
        return buf_append(data, bytes, len) == ERR_OK ? 0 : -1;
}

/* All ways to print and to copy. */
static void walk(struct buf *out, json_t *json)
{
        static const size_t flags[] = {JSON_ENCODE_ANY,
                                       JSON_ENCODE_ANY | JSON_COMPACT,
                                       JSON_ENCODE_ANY | JSON_INDENT(2),
                                       JSON_ENCODE_ANY | JSON_INDENT(31) | JSON_COMPACT | JSON_SORT_KEYS,
                                       JSON_ENCODE_ANY | JSON_ENSURE_ASCII | JSON_ESCAPE_SLASH,
                                       JSON_ENCODE_ANY | JSON_SORT_KEYS | JSON_REAL_PRECISION(5),
                                       JSON_ENCODE_ANY | JSON_EMBED,
                                       JSON_EMBED | JSON_INDENT(4),
                                       0};
        char fixed[16];

        for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
                dump(out, "dump", json, flags[i]);
        number(out, "dumpb", (long long)json_dumpb(json, fixed, sizeof(fixed), JSON_ENCODE_ANY));
        number(out, "callback", json_dump_callback(json, append_piece, out, JSON_COMPACT));
        json_t *deep = json_deep_copy(json), *shallow = json_copy(json);
        number(out, "equal", json_equal(json, deep));
        number(out, "equal", json_equal(shallow, json));
        if (json_is_object(deep)) {
                const char *key;
                json_t *value;
                json_object_foreach(deep, key, value)
                {
                        say(out, "key", key);
                        number(out, "type", json_typeof(value));
                }
                key = json_object_iter_key(json_object_iter(deep));
                number(out, "delete", json_object_del(deep, key));
                number(out, "equal", json_equal(json, deep));
        }
        json_decref(deep);
        json_decref(shallow);
}

/* The reasons that a caller tells apart. Where neither '[' nor '{' comes first, or bytes are no UTF-8, there
 * may be two of them. */
static bool is_exact(enum json_error_code code, struct str text, size_t flags)
{
        struct str rest = str_trim(text, " \t\r\n");

        if ((flags & CASES_REASON) == 0 || !str_is_utf8(text))
                return false;
        if ((flags & JSON_DECODE_ANY) == 0 && !str_starts(rest, STR("[")) && !str_starts(rest, STR("{")))
                return false;
        return code == json_error_duplicate_key || code == json_error_numeric_overflow ||
               code == json_error_null_character || code == json_error_null_byte_in_key;
}

static bool text_case(struct str text, size_t flags, struct buf *out)
{
        json_error_t error = {.position = -1};
        json_t *json = json_loadb(text.p, text.len, flags & ~(size_t)CASES_REASON, &error);

        if (json == NULL) {
                enum json_error_code code = json_error_code(&error);
                bool exact = is_exact(code, text, flags);
                number(out, "refused", exact ? (int)code : -1);
                if (exact && (code == json_error_duplicate_key || code == json_error_numeric_overflow))
                        number(out, "at", error.position);
                return false;
        }
        walk(out, json);
        json_decref(json);
        return true;
}

static void strings(struct buf *out)
{
        json_t *text = json_string("h\xc3\xa4/\"\\\b\f\n\r\t\x1f\x7f\xe2\x82\xac\xf0\x9f\x98\x80");

        walk(out, text);
        number(out, "length", (long long)json_string_length(text));
        number(out, "set", json_string_set(text, "new"));
        number(out, "set", json_string_set(text, "\xff"));
        number(out, "setn", json_string_setn(text, "a\0b", 3));
        dump(out, "text", text, JSON_ENCODE_ANY);
        json_decref(text);
        show(out, "bad", json_string("\xed\xa0\x80"));
        show(out, "bad", json_string("\xc0\x80"));
        show(out, "bad", json_string("\xf4\x90\x80\x80"));
        show(out, "null", json_string(NULL));
        show(out, "part", json_stringn("abc", 2));
        show(out, "nocheck", json_string_nocheck("\xff"));
        show(out, "nocheck", json_stringn_nocheck("\xff", 0));
        say(out, "value", json_string_value(json_true()));
        number(out, "length", (long long)json_string_length(NULL));
}

static void numbers(struct buf *out)
{
        static const double reals[] = {0.0,  -0.0,    1.0,       0.1,    1e20,          1e21,
                                       1e-7, 1.5e300, -2.5e-308, 5e-324, 123456789.125, 100000.0};
        json_t *integer = json_integer(-9223372036854775807LL - 1), *real = json_real(1.5);

        for (size_t i = 0; i < sizeof(reals) / sizeof(reals[0]); i++)
                show(out, "real", json_real(reals[i]));
        show(out, "infinite", json_real(1e308 * 10));
        walk(out, integer);
        number(out, "set", json_integer_set(integer, 7));
        number(out, "value", json_integer_value(integer));
        number(out, "as real", (long long)json_number_value(integer));
        number(out, "equal", json_equal(integer, real));
        number(out, "set", json_real_set(real, 7.0));
        number(out, "equal", json_equal(integer, real));
        number(out, "value", (long long)(json_real_value(real) * 10));
        number(out, "wrong", json_integer_value(real));
        number(out, "wrong", json_real_set(integer, 1.0));
        number(out, "wrong", json_integer_set(NULL, 1));
        json_decref(integer);
        json_decref(real);
}

static void arrays(struct buf *out)
{
        json_t *array = json_array(), *other = json_array(), *value;
        size_t index;

        for (int i = 0; i < 20; i++)
                number(out, "append", json_array_append_new(array, json_integer(i)));
        number(out, "insert", json_array_insert_new(array, 0, json_string("first")));
        number(out, "insert", json_array_insert(array, 21, json_true()));
        number(out, "insert", json_array_insert_new(array, 99, json_string("nowhere")));
        number(out, "set", json_array_set_new(array, 3, json_null()));
        number(out, "set", json_array_set(array, 99, json_null()));
        number(out, "remove", json_array_remove(array, 1));
        number(out, "remove", json_array_remove(array, 99));
        number(out, "self", json_array_append(array, array));
        number(out, "null", json_array_append_new(array, NULL));
        number(out, "null", json_array_append_new(NULL, json_true()));
        number(out, "append", json_array_append(other, array));
        number(out, "extend", json_array_extend(array, array));
        number(out, "extend", json_array_extend(array, json_true()));
        number(out, "size", (long long)json_array_size(array));
        json_array_foreach(array, index, value) number(out, "type", json_typeof(value));
        walk(out, other);
        number(out, "clear", json_array_clear(array));
        number(out, "clear", json_array_clear(json_null()));
        walk(out, other);
        number(out, "get", json_array_get(array, 0) == NULL);
        json_decref(array);
        json_decref(other);
}

static void members(struct buf *out, json_t *object)
{
        const char *key;
        json_t *value;
        char name[8];
        void *next;

        for (int i = 0; i < 40; i++) {
                snprintf(name, sizeof(name), "k%d", i * 7 % 40);
                number(out, "set", json_object_set_new(object, name, json_integer(i)));
        }
        for (int i = 0; i < 40; i += 3) {
                snprintf(name, sizeof(name), "k%d", i);
                number(out, "del", json_object_del(object, name));
        }
        json_object_foreach(object, key, value)
        {
                if (json_integer_value(value) % 2 == 0)
                        json_object_set_new(object, key, json_string(key));
        }
        json_object_foreach_safe(object, next, key, value)
        {
                if (json_is_string(value) && key[1] == '1')
                        number(out, "del", json_object_del(object, key));
        }
        dump(out, "object", object, 0);
}

static void objects(struct buf *out)
{
        json_t *object = json_object(), *other = json_pack("{s:i, s:s}", "k1", 1, "new", "x");

        members(out, object);
        number(out, "self", json_object_set(object, "me", object));
        number(out, "null", json_object_set_new(object, "x", NULL));
        number(out, "null", json_object_set_new(object, NULL, json_true()));
        number(out, "null", json_object_set_new(json_null(), "x", json_integer(1)));
        number(out, "bad", json_object_set_new(object, "\xff", json_integer(1)));
        number(out, "empty", json_object_set_nocheck(object, "", json_true()));
        number(out, "missing", json_object_update_missing(object, other));
        dump(out, "object", object, 0);
        number(out, "existing", json_object_update_existing(object, other));
        number(out, "update", json_object_update(object, other));
        number(out, "update", json_object_update(object, object));
        number(out, "update", json_object_update(object, json_true()));
        walk(out, object);
        void *at = json_object_iter_at(object, "new");
        say(out, "at", json_object_iter_key(at));
        number(out, "len", (long long)json_object_iter_key_len(at));
        number(out, "set", json_object_iter_set_new(object, at, json_false()));
        number(out, "set", json_object_iter_set(object, NULL, json_false()));
        number(out, "same", json_object_key_to_iter(json_object_iter_key(at)) == at);
        number(out, "next", json_object_iter_next(object, at) == NULL);
        number(out, "getn", json_is_false(json_object_getn(object, "newer", 3)));
        number(out, "get", json_object_get(object, "nothing") == NULL);
        number(out, "get", json_object_get(json_null(), "x") == NULL);
        number(out, "iter", json_object_iter(NULL) == NULL);
        number(out, "clear", json_object_clear(object));
        number(out, "del", json_object_del(object, "k1"));
        walk(out, object);
        json_decref(object);
        json_decref(other);
}

static void packs(struct buf *out)
{
        json_t *shared = json_string("shared");

        show(out, "pack",
             json_pack("{s:s, s:I, s:[i,b,n,f], s:{}, s:[]}", "a", "b", "c", (json_int_t)1 << 40, "d", -1, 2,
                       0.5, "e", "f"));
        show(out, "pack",
             json_pack("[s#, s%, s+, s+#%]", "abcdef", 2, "abcdef", (size_t)3, "x", "yz", "p", "qrs", 1,
                       "tuv", (size_t)2));
        show(out, "pack", json_pack("[s?, s?, O?, o?]", NULL, "t", NULL, NULL));
        show(out, "pack", json_pack("{s:s*, s:O*, s:o*, s:i}", "a", NULL, "b", NULL, "c", NULL, "d", 1));
        show(out, "pack", json_pack("[s*, O, o]", NULL, shared, json_incref(shared)));
        show(out, "pack", json_pack("i", 5));
        show(out, "pack", json_pack("{s:s, s:s}", "same", "1", "same", "2"));
        show(out, "null", json_pack("{s:s}", "a", NULL));
        show(out, "null", json_pack("{s:o, s:o}", "a", NULL, "b", json_incref(shared)));
        show(out, "bad", json_pack("[s]", "\xff"));
        show(out, "bad", json_pack("{s:o", "a", json_incref(shared)));
        show(out, "bad", json_pack("{i:s}", 1, "a"));
        show(out, "bad", json_pack("[q]"));
        show(out, "bad", json_pack("ii", 1, 2));
        show(out, "bad", json_pack(""));
        number(out, "references", (long long)shared->refcount);
        json_decref(shared);
}

static void odds(struct buf *out)
{
        json_error_t error;
        json_t *nested = json_array();

        number(out, "true", json_true() == json_true() && json_is_true(json_boolean(1)));
        number(out, "equal", json_equal(NULL, json_true()));
        number(out, "equal", json_equal(json_true(), json_false()));
        show(out, "copy", json_copy(NULL));
        show(out, "copy", json_deep_copy(NULL));
        number(out, "dump", json_dumpf(NULL, stdout, 0));
        show(out, "load", json_loads("{\"a\": 1}", 0, &error));
        show(out, "load", json_loads("", JSON_DECODE_ANY, &error));
        show(out, "load", json_loads(NULL, 0, NULL));
        show(out, "load", json_loads("5", JSON_DECODE_ANY, NULL));
        for (int i = 0; i < 1000; i++)
                nested = json_pack("[o]", nested);
        number(out, "nested", json_is_array(nested));
        json_decref(nested);
}

static void api_case(struct buf *out)
{
        strings(out);
        numbers(out);
        arrays(out);
        objects(out);
        packs(out);
        odds(out);
}

const struct cases CASES = {text_case, api_case, json_set_alloc_funcs};
