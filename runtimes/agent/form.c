/* runtimes/agent/form.c: see form.h. Fields are grouped by sorting, so that hostile names cost no more than
 * others. */
#include "runtimes/agent/form.h"

#include "base/own.h"
#include "http/url.h"
#include "runtimes/agent/json_scan.h"

/* Bytes that one byte of a name may become: as U+FFFD, and in a literal. */
enum { REPAIRED_MAX = 3, LITERAL_MAX = 6 };

struct field {
        struct str name, value; /* decoded, in one shared buffer */
        size_t index;
        size_t next;  /* the next of the same name, or SIZE_MAX */
        bool repeats; /* not the first of its name */
};

static size_t count_pieces(struct str form)
{
        size_t count = 0;

        while (form.len > 0)
                count += str_cut(&form, '&').len > 0;
        return count;
}

/* Fills fields[] in order; `text` has room for form.len bytes. */
static void split(struct str form, struct field *fields, char *text)
{
        size_t count = 0;

        while (form.len > 0) {
                struct str piece = str_cut(&form, '&');
                if (piece.len == 0)
                        continue;
                struct str name = str_cut(&piece, '=');
                fields[count].name = url_form_text(name, text);
                text += name.len;
                fields[count].value = url_form_text(piece, text);
                text += piece.len;
                fields[count].index = count;
                fields[count].next = SIZE_MAX;
                count++;
        }
}

/* Names that are not UTF-8 as they will be told, since two of them may become the same. `spare` keeps them.
 */
static enum err_code repair_names(struct field *fields, size_t count, struct buf *spare)
{
        size_t len = 0;

        for (size_t i = 0; i < count; i++)
                len += str_is_utf8(fields[i].name) ? 0 : fields[i].name.len;
        buf_init(spare, REPAIRED_MAX * len + 1);
        enum err_code code = len > 0 ? buf_reserve(spare, REPAIRED_MAX * len) : ERR_OK;
        for (size_t i = 0; i < count && code == ERR_OK; i++) {
                own_buf struct buf literal = {.max = LITERAL_MAX * fields[i].name.len + 2};
                size_t at = spare->len;
                if (str_is_utf8(fields[i].name))
                        continue;
                code = json_put_string(&literal, fields[i].name);
                if (code == ERR_OK)
                        code = json_unescape((struct str){literal.data + 1, literal.len - 2}, spare);
                fields[i].name = (struct str){spare->data + at, spare->len - at};
        }
        return code;
}

static int by_name(const void *left, const void *right)
{
        const struct field *a = *(const struct field *const *)left, *b = *(const struct field *const *)right;
        size_t len = a->name.len < b->name.len ? a->name.len : b->name.len;
        int order = len > 0 ? memcmp(a->name.p, b->name.p, len) : 0;

        if (order != 0)
                return order;
        if (a->name.len != b->name.len)
                return a->name.len < b->name.len ? -1 : 1;
        return a->index < b->index ? -1 : 1;
}

/* Chains the fields of one name in their order. */
static void group(struct field *fields, struct field **order, size_t count)
{
        for (size_t i = 0; i < count; i++)
                order[i] = &fields[i];
        qsort(order, count, sizeof(*order), by_name);
        for (size_t i = 1; i < count; i++) {
                if (!str_eq(order[i - 1]->name, order[i]->name))
                        continue;
                order[i - 1]->next = order[i]->index;
                order[i]->repeats = true;
        }
}

static enum err_code put_value(const struct field *fields, const struct field *first, struct buf *out)
{
        if (first->next == SIZE_MAX)
                return json_put_string(out, first->value);
        enum err_code code = buf_append(out, "[", 1);
        for (const struct field *f = first; code == ERR_OK; f = &fields[f->next]) {
                code = json_put_string(out, f->value);
                if (code != ERR_OK || f->next == SIZE_MAX)
                        break;
                code = buf_append(out, ",", 1);
        }
        return code == ERR_OK ? buf_append(out, "]", 1) : code;
}

static enum err_code put_object(const struct field *fields, size_t count, struct buf *out)
{
        enum err_code code = buf_append(out, "{", 1);
        bool any = false;

        for (size_t i = 0; i < count && code == ERR_OK; i++) {
                if (fields[i].repeats)
                        continue;
                if (any)
                        code = buf_append(out, ",", 1);
                any = true;
                if (code == ERR_OK)
                        code = json_put_string(out, fields[i].name);
                if (code == ERR_OK)
                        code = buf_append(out, ":", 1);
                if (code == ERR_OK)
                        code = put_value(fields, &fields[i], out);
        }
        return code == ERR_OK ? buf_append(out, "}", 1) : code;
}

enum err_code form_to_json(struct str form, struct buf *out, struct err *err)
{
        size_t count = count_pieces(form), before = out->len;

        if (count > FORM_FIELDS_MAX)
                return err_set(err, ERR_INVALID, "more than %d fields", FORM_FIELDS_MAX);
        own_mem struct field *fields = calloc(count + 1, sizeof(*fields));
        own_mem struct field **order = calloc(count + 1, sizeof(struct field *));
        own_mem char *text = malloc(form.len + 1);
        own_buf struct buf spare = {0};
        if (fields == NULL || order == NULL || text == NULL)
                return err_nomem(err);

        split(form, fields, text);
        enum err_code code = repair_names(fields, count, &spare);
        if (code == ERR_OK) {
                group(fields, order, count);
                code = put_object(fields, count, out);
        }
        if (code != ERR_OK) {
                out->len = before;
                return err_set(err, code, "the fields do not fit");
        }
        return ERR_OK;
}
