/*
 * The function of the quickstart in C. Build it and deploy the program:
 *
 *      cc -O2 -static -o hello hello.c
 *      dispatch create function --image native hello-c ./hello --wait
 *
 * The payload is JSON on standard input, standard output is the reply, standard error the log. This finds its
 * members by hand, which does for flat JSON without escaped quotes; a real program would use a JSON library.
 */
#include <stdio.h>
#include <string.h>

/* Copies the string member `name` of the object, or `otherwise`. */
static void member(const char *json, const char *name, const char *otherwise, char *out, size_t size)
{
        char key[64];

        snprintf(out, size, "%s", otherwise);
        snprintf(key, sizeof(key), "\"%s\"", name);
        const char *at = strstr(json, key);
        if (at == NULL)
                return;
        at += strlen(key);
        at += strspn(at, " \t\r\n:");
        const char *end = *at == '"' ? strchr(at + 1, '"') : NULL;
        if (end != NULL)
                snprintf(out, size, "%.*s", (int)(end - at - 1), at + 1);
}

int main(void)
{
        char payload[65536], name[256], place[256];
        size_t len = fread(payload, 1, sizeof(payload) - 1, stdin);

        payload[len] = '\0';
        member(payload, "name", "Noone", name, sizeof(name));
        member(payload, "place", "Nowhere", place, sizeof(place));
        fprintf(stderr, "messages to stderr show up in logs\n");
        printf("{\"myField\":\"Hello, %s from %s\"}\n", name, place);
        return 0;
}
