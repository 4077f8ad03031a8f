/*
 * engine/revision.h: what an engine needs to run one revision of a function: immutable, shared by reference.
 *
 * Made by the control thread from a stored function; read by every loop. Pools, templates and routes are
 * keyed by it. A changed secret makes a new revision object of the same code with another epoch, so that old
 * instances leave.
 */
#ifndef DISPATCH_ENGINE_REVISION_H
#define DISPATCH_ENGINE_REVISION_H

#include "base/err.h"
#include "base/str.h"
#include "schema/schema.h"
#include "store/store.h"
#include "wire/spawn.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum revision_isolation { ISOLATION_INSTANCE, ISOLATION_RUN };

struct revision {
        atomic_uint refs;
        atomic_bool retired;     /* the function has changed or is gone: no instance is kept for it */
        atomic_bool no_template; /* its handler cannot be forked; set once, after the reason */
        char no_template_why[200];
        char *organization, *project, *name;
        char function_id[UUID_LEN + 1];
        int64_t number; /* the function's revision */
        uint32_t epoch;
        char *language; /* "python3", "native": the runtime's folder */
        char *handler;
        char *interpreter; /* the image's own, in argv[0]'s place; "": the runtime's */
        uint32_t layer_count;
        char (*layers)[SPAWN_NAME_MAX]; /* as many as layer_count: there may be a million revisions */
        char code[SPAWN_NAME_MAX];
        uint32_t memory_mib, cpu_millicores;
        uint32_t timeout_ms; /* of a run; the server's default already applied */
        uint32_t idle_timeout_ms;
        uint32_t concurrency, instances_min, instances_max; /* instances_max 0: what the host carries */
        enum revision_isolation isolation;
        bool egress; /* it reaches the outside, */
        char *allow; /* or these items of it (base/allow.h), a NUL behind each; NULL: all of it */
        size_t allow_len;
        struct str *env; /* NAME=value */
        size_t env_count;
        struct str *secrets;
        size_t secret_count;
        struct schema *schema_in, *schema_out; /* of input and output; NULL: anything goes */
};

/* What the build produced and the row does not say. */
struct revision_build {
        const char *language;
        const char *handler; /* resolved default when the function names none */
        const char (*layers)[SPAWN_NAME_MAX];
        uint32_t layer_count;
        const char *code;
        const char *interpreter; /* or NULL */
        const json_t *env;       /* of its image: "NAME=value" each, below the function's own; or NULL */
        uint32_t timeout_default_ms;
        uint32_t epoch;
};

/* Reads the canonical document of a function (CONTRACT 10) and compiles its schemas. Starts with one
 * reference.
 */
enum err_code revision_create(const struct store_row *row, const struct revision_build *build,
                              struct revision **ret, struct err *err);
/* What a function's group of cgroups is called, of what starts without a function. */
#define REVISION_IMAGE_GROUP "image"

/* A revision without code that stands for the image of `of`, for what starts without a function: same
 * organization, language, layers and sizes. NULL: no memory. */
struct revision *revision_of_image(const struct revision *of, const char *name);
struct revision *revision_ref(struct revision *revision);
void revision_unref(struct revision *revision); /* takes NULL; any thread */

/*
 * Compiles schema.in or schema.out (`field`) of a function's document, *ret NULL where there is none or an
 * empty one. ERR_UNPROCESSABLE: `schema.in: #/properties/a: why`; ERR_NO_MEMORY.
 */
enum err_code revision_schema(const json_t *document, const char *field, struct schema **ret,
                              struct err *err);

#endif
