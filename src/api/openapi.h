/*
 * api/openapi.h: the parts that make the description of the API (OpenAPI 3.1): schemas from the tables of
 * model/, operations from those of route.c, params.c and the resources. What is described is what is checked.
 */
#ifndef DISPATCH_API_OPENAPI_H
#define DISPATCH_API_OPENAPI_H

#include "model/model.h"

/* A tree being made; a step that had no memory is remembered, so that only the end has to look. */
struct openapi {
        bool failed;
};

/* Takes the value; NULL is a failure. */
void openapi_put(struct openapi *openapi, json_t *object, const char *key, json_t *value);
void openapi_add(struct openapi *openapi, json_t *array, json_t *value);

/* JSON Schema (2020-12) of a resource. New. */
json_t *openapi_schema(struct openapi *openapi, const struct model_resource *resource);

/* The `paths` object. New. */
json_t *openapi_paths(struct openapi *openapi);
/* `parameters` and `headers` of `components`. New. */
json_t *openapi_parameters(struct openapi *openapi);
json_t *openapi_headers(void);
/* Adds the paths of what the engine has now (openapi_live.c). */
void openapi_live(struct openapi *openapi, json_t *paths);

/* For those who describe paths: error responses by status, ended by 0; the parameters organization and
 * project; that of a resource's name in the path. */
void openapi_put_errors(struct openapi *openapi, json_t *responses, const int *statuses);
json_t *openapi_scope(struct openapi *openapi);
json_t *openapi_name(const struct model_resource *model);

#endif
