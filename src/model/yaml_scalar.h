/*
 * model/yaml_scalar.h: what a plain YAML scalar means (yaml.h says by which rules).
 */
#ifndef DISPATCH_MODEL_YAML_SCALAR_H
#define DISPATCH_MODEL_YAML_SCALAR_H

#include "model/json.h"

enum yaml_scalar {
        YAML_SCALAR_NULL,
        YAML_SCALAR_BOOL,
        YAML_SCALAR_INTEGER,
        YAML_SCALAR_REAL,
        YAML_SCALAR_STRING
};

enum yaml_scalar yaml_scalar_kind(struct str text);
/* A new value of the kind that yaml_scalar_kind gave. ERR_INVALID: a number out of range. */
enum err_code yaml_scalar_value(struct str text, enum yaml_scalar kind, json_t **ret, struct err *err);

#endif
