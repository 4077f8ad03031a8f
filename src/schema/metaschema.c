/* schema/metaschema.c: see metaschema.h. Made at first use; a failure for want of memory is tried again. */
#include "schema/metaschema.h"

#include <pthread.h>
#include <string.h>

enum { DOCUMENTS_MAX = 16 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static json_t *documents[DOCUMENTS_MAX];
static struct schema *programs[2];

/* When memory ends, jansson can leave a character out of a string without a word: what is read twice alike is
 * right. */
static json_t *load(const char *text)
{
        json_t *first = json_loads(text, 0, NULL), *second = json_loads(text, 0, NULL);

        if (first == NULL || second == NULL || !json_equal(first, second)) {
                json_decref(first);
                first = NULL;
        }
        json_decref(second);
        return first;
}

enum err_code metaschema_document(struct str uri, const json_t **ret, struct err *err)
{
        size_t i = 0;

        while (metaschema_texts[i].uri != NULL && !str_eq(uri, str_of(metaschema_texts[i].uri)))
                i++;
        if (metaschema_texts[i].uri == NULL) {
                *ret = NULL;
                return ERR_OK;
        }
        pthread_mutex_lock(&mutex);
        if (documents[i] == NULL)
                documents[i] = load(metaschema_texts[i].text);
        *ret = documents[i];
        pthread_mutex_unlock(&mutex);
        return *ret != NULL ? ERR_OK : err_nomem(err);
}

enum err_code metaschema_program(enum dialect dialect, const struct schema **ret, struct err *err)
{
        bool draft7 = dialect == DIALECT_07;
        struct schema **slot = &programs[draft7 ? 1 : 0];
        const json_t *document;
        enum err_code code =
                metaschema_document(draft7 ? STR(METASCHEMA_07) : STR(METASCHEMA_2020), &document, err);

        if (code != ERR_OK)
                return code;
        pthread_mutex_lock(&mutex);
        struct schema *program = *slot;
        pthread_mutex_unlock(&mutex);
        if (program == NULL) {
                /* Two threads may do it at once; the first one's stays. */
                code = schema_compile_unchecked((json_t *)document, NULL, &program, err);
                if (code != ERR_OK)
                        return code;
                pthread_mutex_lock(&mutex);
                if (*slot == NULL)
                        *slot = program;
                else
                        schema_unref(program);
                program = *slot;
                pthread_mutex_unlock(&mutex);
        }
        *ret = program;
        return ERR_OK;
}
