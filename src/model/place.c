/*
 * model/place.c: paths of messages.
 */
#include "model/place.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

enum { CHAIN_MAX = 8 /* no table is nested this deeply */ };

/* A key of a map is the caller's: what could break a line or a terminal becomes a question mark, and a
 * character that was cut in the middle goes. */
static void make_printable(char *text)
{
        size_t len = strlen(text);

        while (len > 0 && !str_is_utf8((struct str){text, len}))
                text[--len] = '\0';
        for (; *text != '\0'; text++)
                if ((unsigned char)*text < 0x20 || *text == 0x7f)
                        *text = '?';
}

const char *place_text(const struct place *place, bool with_indexes, char out[PLACE_TEXT_MAX])
{
        const struct place *chain[CHAIN_MAX];
        size_t count = 0, len = 0;

        for (; place->up != NULL && count < CHAIN_MAX; place = place->up)
                chain[count++] = place;
        out[0] = '\0';
        while (count-- > 0 && len < PLACE_TEXT_MAX) {
                const char *dot = len > 0 ? "." : "";
                int more = 0;
                if (chain[count]->name != NULL)
                        more = snprintf(out + len, PLACE_TEXT_MAX - len, "%s%s", dot, chain[count]->name);
                else if (with_indexes)
                        more = snprintf(out + len, PLACE_TEXT_MAX - len, "%s%zu", dot, chain[count]->index);
                len += more > 0 ? (size_t)more : 0;
        }
        make_printable(out);
        return out;
}
