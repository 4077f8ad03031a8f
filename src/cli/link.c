/* cli/link.c: finding the next page in a Link field. */
#include "cli/link.h"

/* Up to the comma that ends the link's parameters, which may have commas in quotes. */
static struct str cut_parameters(struct str *rest)
{
        struct str whole = *rest;
        bool quoted = false;
        size_t end = 0;

        for (; end < whole.len && (quoted || whole.p[end] != ','); end++) {
                if (whole.p[end] == '"')
                        quoted = !quoted;
                else if (quoted && whole.p[end] == '\\' && end + 1 < whole.len)
                        end++;
        }
        *rest = str_slice(whole, end, whole.len);
        return str_slice(whole, 0, end);
}

/* rel=next or rel="prev next" */
static bool is_next(struct str parameters)
{
        while (parameters.len > 0) {
                struct str value = str_trim(str_cut(&parameters, ';'), " \t");
                struct str name = str_trim(str_cut(&value, '='), " \t");

                if (!str_eq_nocase(name, STR("rel")))
                        continue;
                value = str_trim(value, " \t\"");
                while (value.len > 0) {
                        if (str_eq_nocase(str_cut(&value, ' '), STR("next")))
                                return true;
                }
                return false; /* the first one counts */
        }
        return false;
}

static bool is_path(struct str target)
{
        for (size_t i = 0; i < target.len; i++) {
                if (target.p[i] <= ' ' || target.p[i] >= 0x7f)
                        return false;
        }
        return str_starts(target, STR("/v1/"));
}

struct str link_next(struct str value)
{
        while (value.len > 0) {
                str_cut(&value, '<');

                struct str target = str_cut(&value, '>');
                if (is_next(cut_parameters(&value)) && is_path(target))
                        return target;
        }
        return (struct str){NULL, 0};
}
