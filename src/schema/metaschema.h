/* schema/metaschema.h: the two dialects' own schemas, built in. Private to src/schema. */
#ifndef DISPATCH_SCHEMA_METASCHEMA_H
#define DISPATCH_SCHEMA_METASCHEMA_H

#include "schema/program.h"

struct metaschema_text {
        const char *uri;
        const char *text;
};
extern const struct metaschema_text metaschema_texts[]; /* generated; uri == NULL at the end */

#define METASCHEMA_2020 "https://json-schema.org/draft/2020-12/schema"
#define METASCHEMA_07   "http://json-schema.org/draft-07/schema"

/* A metaschema's document by its URI, *ret NULL when it is none. Lives as long as the process. */
enum err_code metaschema_document(struct str uri, const json_t **ret, struct err *err);
/* The program that checks schemas of a dialect; lives as long as the process. Any thread. */
enum err_code metaschema_program(enum dialect dialect, const struct schema **ret, struct err *err);

/* compile.c: without the check against a metaschema. */
enum err_code schema_compile_unchecked(json_t *document, const struct schema_options *options,
                                       struct schema **ret, struct err *err);

#endif
