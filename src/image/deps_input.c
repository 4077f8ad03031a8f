/* image/deps_input.c: writes and reads the records of a job that installs dependencies. */
#include "image/deps_input.h"

#include <string.h>

enum err_code deps_input_add(struct buf *out, enum deps_type type, struct str name, struct str value,
                             struct err *err)
{
        const char letter = (char)type;

        if (memchr(name.p, '\0', name.len) != NULL ||
            (value.len > 0 && memchr(value.p, '\0', value.len) != NULL))
                return err_set(err, ERR_INVALID, "%.*s: a NUL in it", (int)(name.len < 64 ? name.len : 64),
                               name.p);
        if (out->len + name.len + value.len + 3 > DEPS_INPUT_MAX)
                return err_set(err, ERR_TOO_LARGE, "the list of dependencies is longer than %d bytes",
                               DEPS_INPUT_MAX);
        if (buf_append(out, &letter, 1) != ERR_OK || buf_append(out, name.p, name.len) != ERR_OK ||
            buf_append(out, "", 1) != ERR_OK || buf_append(out, value.p, value.len) != ERR_OK ||
            buf_append(out, "", 1) != ERR_OK)
                return err_nomem(err);
        return ERR_OK;
}

static bool take_text(struct str *input, struct str *ret)
{
        const char *end = input->len > 0 ? memchr(input->p, '\0', input->len) : NULL;

        if (end == NULL)
                return false;
        *ret = (struct str){input->p, (size_t)(end - input->p)};
        *input = str_slice(*input, ret->len + 1, input->len);
        return true;
}

enum err_code deps_input_next(struct str *input, struct deps_record *ret, struct err *err)
{
        if (input->len == 0)
                return err_set(err, ERR_NOT_FOUND, "no more records");
        ret->type = (enum deps_type)input->p[0];
        if (ret->type != DEPS_FILE && ret->type != DEPS_VARIABLE)
                return err_set(err, ERR_INVALID, "an unknown record");
        *input = str_slice(*input, 1, input->len);
        if (!take_text(input, &ret->name) || !take_text(input, &ret->value) || ret->name.len == 0)
                return err_set(err, ERR_INVALID, "a record that is cut off");
        return ERR_OK;
}
