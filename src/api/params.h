/*
 * api/params.h: the parameters of the query of a list: one table that reads them, refuses bad ones in the
 * words of CONTRACT 6.1, and describes them.
 */
#ifndef DISPATCH_API_PARAMS_H
#define DISPATCH_API_PARAMS_H

#include "api/call.h"

enum param {
        PARAM_TAGS,
        PARAM_LIMIT,
        PARAM_CURSOR,
        PARAM_LANGUAGE,
        PARAM_STATE,
        PARAM_FUNCTION,
        PARAM_FUNCTION_NAME,
        PARAM_SINCE,
        PARAM_STATUS,
        PARAM_COUNT
};

enum {
        PARAM_TAGS_MAX = 16,
        PARAM_LIMIT_MAX = 1000 /* entries of a page, whatever was asked for */
};

struct param_info {
        const char *name;
        unsigned kinds; /* bit set of enum model_kind: the lists that have it */
        bool is_integer;
        int64_t min;
        const char *const *values; /* enum, or NULL */
        const char *about;
};
extern const struct param_info param_table[PARAM_COUNT];

struct params {
        struct str text[PARAM_COUNT];    /* of the first that is not empty; "" when there is none */
        int64_t number[PARAM_COUNT];     /* of an integer that is there */
        struct str tags[PARAM_TAGS_MAX]; /* "key=value" or "key" */
        size_t tag_count;
};

/* Parameters that the list of `kind` does not have are passed over, as the original does. ERR_INVALID for a
 * query that is none, ERR_UNPROCESSABLE with err->detail 601, 603 or 606. Views into the call. */
enum err_code params_read(struct api_call *call, enum model_kind kind, struct params *ret, struct err *err);

/* True if the list of tags ([{key, value}], may be NULL) has all that were asked for. */
bool params_tags_hold(const struct params *params, const json_t *tags);

/* Adds `Link: </v1/COLLECTION?...&cursor=CURSOR>; rel="next"` with the other parameters of the query as they
 * came. */
enum err_code params_link_next(struct api_call *call, const char *cursor, struct err *err);

#endif
