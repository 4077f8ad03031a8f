/*
 * api/foreign_image.h: an OCI image that is the whole function: what of its configuration (OCI image
 * specification, "Image Configuration") becomes of the function's revision.
 */
#ifndef DISPATCH_API_FOREIGN_IMAGE_H
#define DISPATCH_API_FOREIGN_IMAGE_H

#include "base/err.h"
#include "model/json.h"

/* The runtime that runs such images (runtimes/http). */
#define FOREIGN_IMAGE_RUNTIME "http"

/* A document that names its image: the reference, else an empty view. */
struct str foreign_image_of(const json_t *document);

/*
 * What the agent is told to start, as JSON (runtimes/http/command.h), from the configuration {"Entrypoint",
 * "Cmd", "WorkingDir", "Labels", ...} and the function's own document. *ret is new, NUL-terminated.
 * ERR_UNPROCESSABLE: there is nothing in it to start, or more than can be handed over.
 */
enum err_code foreign_image_command(const json_t *document, const json_t *config, char **ret,
                                    struct err *err);

/* "http" or "dispatch": the document's choice, else what the image's labels say. Static. */
const char *foreign_image_protocol(const json_t *document, const json_t *config);

#endif
