/*
 * api/precondition.h: entity tags and the conditions of RFC 9110, section 13, on one resource.
 *
 * A tag is `"REVISION.ID.MOVE"`: the revision that callers change, the start of the id (a resource made anew
 * under a name begins again at revision 1), and the time of the last move of its status, if it has one. While
 * it is on its way to READY or ERROR the tag is the revision alone: it serves an update, never a 304.
 * If-Match looks at what callers change only, so a status that moved meanwhile is no conflict; the bare
 * revision does as well.
 */
#ifndef DISPATCH_API_PRECONDITION_H
#define DISPATCH_API_PRECONDITION_H

#include "api/call.h"
#include "store/store.h"

enum { ETAG_LEN_MAX = 64 };

/* With its quotes. */
void api_etag(const struct store_row *row, char out[ETAG_LEN_MAX]);

/* For a change of `row`: ERR_PRECONDITION unless If-Match and If-None-Match hold. */
enum err_code precondition_check(const struct api_call *call, enum model_kind kind,
                                 const struct store_row *row, struct err *err);

/* For a read: the caller has this representation already. */
bool precondition_has(const struct api_call *call, const struct store_row *row);

#endif
