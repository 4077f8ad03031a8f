/*
 * api/endpoints.h: what the parts of endpoints offer one another, and recovery.
 */
#ifndef DISPATCH_API_ENDPOINTS_H
#define DISPATCH_API_ENDPOINTS_H

#include "api/internal.h"
#include "model/json.h"

/* A host that stands for all of them; the endpoints that SOLO's view makes without hosts have it. */
#define ENDPOINT_ANY_HOST "*"

struct change;

/* Checks methods, uris, hosts and protocols and replaces them by their normal form, with the defaults of
 * empty lists. 422 names the value that is wrong. */
enum err_code endpoint_normalize(json_t *document, struct err *err);

/* The route that a canonical document of an endpoint means; new. NULL: no memory. */
struct endpoint_entry *endpoint_entry_of(const struct api *api, const struct store_key *key,
                                         const json_t *document);

/* Puts a stored endpoint's route into the working copy of the snapshot, in place of the one it had. */
enum err_code endpoint_publish(struct api *api, const struct store_row *row, struct err *err);

/* PROJECT.ORGANIZATION.DISPATCH-HOST in lower case: what an endpoint without hosts answers to. New; NULL: no
 * memory. */
char *endpoint_default_host(const struct api *api, struct str organization, struct str project);

/* Hooks of both views (api/resource.h). */
enum err_code endpoint_check(struct change *change, struct err *err);
bool endpoint_committed(struct change *change);

/* The entries that the snapshot has, by id: a change has to name the one it replaces. */
void endpoints_init(struct api *api);
void endpoints_finish(struct api *api);

#endif
