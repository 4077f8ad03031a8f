/*
 * model/print.c: a document in the form of a reply, or of what our client shows of one, by the resource's
 * table.
 */
#include "model/tables.h"

#include <assert.h>
#include <string.h>

#include "base/own.h"

static bool is_initial(const struct model_field *field, const json_t *value);

struct print {
        const struct model_resource *resource;
        enum model_dialect dialect;
};

static json_t *print_fields(const struct print *print, const struct model_field *fields, const json_t *object,
                            const json_t *around);

static bool is_initial_object(const struct model_field *field, const json_t *value)
{
        for (const struct model_field *sub = field->sub; sub->name != NULL; sub++) {
                const json_t *member = json_object_get(value, sub->name);
                if (!model_field_empty(sub, member) && !(sub->initial != NULL && is_initial(sub, member)))
                        return false;
        }
        return true;
}

/* True if the value is what the field has when nobody set it. Compares with the default's text, for a failed
 * allocation would change what is shown. */
static bool is_initial(const struct model_field *field, const json_t *value)
{
        struct str initial = str_of(field->initial);

        if (field->type == MODEL_OBJECT)
                return is_initial_object(field, value);
        if (field->type == MODEL_INTEGER)
                return json_integer_value(value) == strtoll(field->initial, NULL, 10);
        assert(field->type == MODEL_STRING && initial.len >= 2);
        return json_is_string(value) &&
               str_eq(str_slice(initial, 1, initial.len - 1), str_of(json_string_value(value)));
}

/* What a reply says even if the document does not: no table below the top has a field of that name. */
static bool is_kind(const struct print *print, const struct model_field *field)
{
        return print->dialect != MODEL_PRINT_SEED && strcmp(field->name, "kind") == 0;
}

static bool is_shown(const struct print *print, const struct model_field *field, const json_t *value)
{
        bool set = !model_field_empty(field, value);

        if (field->initial == NULL || value == NULL)
                return set;
        return print->dialect != MODEL_PRINT_SEED || !is_initial(field, value);
}

static json_t *print_objects(const struct print *print, const struct model_field *field, const json_t *list)
{
        own_json json_t *printed = json_array();

        for (size_t i = 0; printed != NULL && i < json_array_size(list); i++) {
                json_t *object = print_fields(print, field->sub, json_array_get(list, i), NULL);
                if (object == NULL || json_array_append_new(printed, object) < 0)
                        return NULL;
        }
        return take_ptr(&printed);
}

static json_t *print_value(const struct print *print, const struct model_field *field, json_t *value)
{
        if (field->type == MODEL_OBJECT && json_is_object(value))
                return print_fields(print, field->sub, value, NULL);
        if (field->type == MODEL_OBJECTS && json_is_array(value))
                return print_objects(print, field, value);
        return json_incref(value);
}

/* Where the field is set, else where it is there and empty (a default may tell that from absent), else NULL.
 */
static json_t *find_value(const struct model_field *fields, const struct model_field *field,
                          const json_t *object, const json_t *around)
{
        json_t *value = model_field_value(fields, field, object);

        if (value == NULL && around != NULL)
                value = json_object_get(around, field->name);
        return value != NULL ? value : json_object_get(object, field->name);
}

/*
 * The value of one field, or NULL with *ret_skip when it is not printed. `around` is the document when the
 * object is one of its own fields (a secret's meta), else NULL.
 */
static json_t *print_field(const struct print *print, const struct model_field *fields,
                           const struct model_field *field, const json_t *object, const json_t *around,
                           bool *ret_skip)
{
        const struct model_field *canonical = field->of != NULL ? model_field_find(fields, field->of) : field;
        json_t *value;

        assert(canonical != NULL);
        *ret_skip = false;
        if (field->flags & MODEL_NESTED)
                return print_fields(print, field->sub, json_object_get(object, field->name), object);

        value = find_value(fields, canonical, object, around);
        if (value == NULL && is_kind(print, field))
                return json_string(print->resource->kind_name);
        if (is_shown(print, canonical, value))
                return print_value(print, canonical, value);
        if (field->flags & MODEL_REQUIRED)
                return value != NULL ? json_incref(value) : json_null();
        if (field->flags & MODEL_ALWAYS)
                return json_null();
        if ((field->flags & MODEL_SOLO_ALWAYS) && print->dialect == MODEL_PRINT_REPLY)
                return field->type == MODEL_STRING ? json_string("") : json_null();
        *ret_skip = true;
        return NULL;
}

static bool is_of_dialect(const struct print *print, const struct model_field *field)
{
        if (field->flags & (MODEL_WRITEONLY | MODEL_YAML_ONLY))
                return false;
        return print->dialect != MODEL_PRINT_SEED || !(field->flags & MODEL_NOT_SEED);
}

static json_t *print_fields(const struct print *print, const struct model_field *fields, const json_t *object,
                            const json_t *around)
{
        own_json json_t *printed = json_object();

        for (const struct model_field *field = fields; printed != NULL && field->name != NULL; field++) {
                bool skip = false;
                if (!is_of_dialect(print, field))
                        continue;
                json_t *value = print_field(print, fields, field, object, around, &skip);
                if (skip)
                        continue;
                if (value == NULL || json_object_set_new(printed, field->name, value) < 0)
                        return NULL;
        }
        return take_ptr(&printed);
}

json_t *model_print(const struct model_resource *resource, const json_t *document, enum model_dialect dialect)
{
        const struct print print = {resource, dialect};

        assert(json_is_object(document));
        return print_fields(&print, resource->fields, document, NULL);
}

enum err_code model_print_json(const json_t *value, bool pretty, struct buf *out, struct err *err)
{
        if (!pretty)
                return json_print(value, out, err);

        enum err_code code = json_print_indented(value, out, err);
        if (code == ERR_OK && buf_append(out, "\n", 1) != ERR_OK)
                code = err_nomem(err);
        return code;
}
