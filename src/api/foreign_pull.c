/* api/foreign_pull.c: see foreign_pull.h. */
#include "api/foreign_pull.h"

#include "api/pull.h"

enum err_code foreign_pull_check(const struct api *api, struct str reference, struct err *err)
{
        (void)api;
        return pull_check(reference, err);
}

uint64_t foreign_pull(struct api *api, const struct store_row *row, foreign_pulled done, void *arg)
{
        struct pull_request request = {.organization = row->organization,
                                       .project = row->project,
                                       .reference = json_str(row->document, "functionImage"),
                                       .secret = json_str(row->document, "registrySecret")};
        uint64_t id = 0;
        struct err err;
        enum err_code code = pull_start(api, &request, done, arg, &id, &err);

        if (code == ERR_OK)
                return id;
        done(arg, code, err.text, NULL);
        return 0;
}

void foreign_pull_cancel(struct api *api, uint64_t id)
{
        pull_cancel(api, id);
}
