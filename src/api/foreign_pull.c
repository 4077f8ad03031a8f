/* api/foreign_pull.c: see foreign_pull.h. */
#include "api/foreign_pull.h"

enum err_code foreign_pull_check(const struct api *api, struct str reference, struct err *err)
{
        (void)api;
        return err_set(err, ERR_UNPROCESSABLE,
                       "functionImage '%.*s': this version of Dispatch fetches no images yet",
                       STR_ARG(reference));
}

void foreign_pull(struct api *api, const struct store_row *row, foreign_pulled done, void *arg)
{
        (void)api;
        (void)row;
        done(arg, ERR_UNPROCESSABLE, "this version of Dispatch fetches no images yet", NULL);
}
