/* api/explain.c: see explain.h. */
#include "api/explain.h"

#include "api/internal.h"
#include "api/status.h"

#include <stdlib.h>
#include <string.h>

struct explanation {
        struct explanation *next;
        enum model_kind kind;
        int64_t revision;
        char id[64];
        char *organization, *project, *name, *text;
};

static void explanation_destroy(struct explanation *explanation)
{
        if (explanation == NULL)
                return;
        free(explanation->organization);
        free(explanation->project);
        free(explanation->name);
        free(explanation->text);
        free(explanation);
}

static struct explanation *explanation_create(enum model_kind kind, const struct store_row *row,
                                              const char *text)
{
        struct explanation *made = calloc(1, sizeof(*made));

        if (made == NULL)
                return NULL;
        made->kind = kind;
        made->revision = row->revision;
        snprintf(made->id, sizeof(made->id), "%s", row->id);
        made->organization = strdup(row->organization);
        made->project = strdup(row->project);
        made->name = strdup(row->name);
        made->text = strdup(text);
        if (made->organization != NULL && made->project != NULL && made->name != NULL && made->text != NULL)
                return made;
        explanation_destroy(made);
        return NULL;
}

void api_explain(struct api *api, enum model_kind kind, struct store_row *row, const char *text)
{
        struct explanation **end = &api->explanations;
        size_t count = 0;

        if (text == NULL || status_explain(api->config.store, kind, row, text) == ERR_OK)
                return;
        for (; *end != NULL; end = &(*end)->next)
                count++;
        if (count < EXPLANATIONS_MAX)
                *end = explanation_create(kind, row, text); /* without memory it is told by a later try */
}

static void explain_one(struct api *api, const struct explanation *explanation)
{
        struct store_key key = api_key(explanation->kind, str_of(explanation->organization),
                                       str_of(explanation->project), str_of(explanation->name));
        own_row struct store_row row = {0};

        if (store_get(api->config.store, &key, &row, NULL) != ERR_OK ||
            row.revision != explanation->revision || strcmp(row.id, explanation->id) != 0)
                return;
        enum status status = status_of(row.document);
        if (status != STATUS_READY && status != STATUS_ERROR)
                (void)status_explain(api->config.store, explanation->kind, &row, explanation->text);
}

void api_explain_again(struct api *api)
{
        struct explanation *first = api->explanations;

        api->explanations = NULL;
        while (first != NULL) {
                struct explanation *explanation = first;
                first = first->next;
                explain_one(api, explanation);
                explanation_destroy(explanation);
        }
}

void api_explain_finish(struct api *api)
{
        while (api->explanations != NULL) {
                struct explanation *explanation = api->explanations;
                api->explanations = explanation->next;
                explanation_destroy(explanation);
        }
}
