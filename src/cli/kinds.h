/*
 * cli/kinds.h: how the client writes down the fields of the kinds that it alone has tables for, since the
 * server does not serve them yet.
 */
#ifndef DISPATCH_CLI_KINDS_H
#define DISPATCH_CLI_KINDS_H

#include "model/model.h"

#define KIND_FIELD(field_name, field_type, ...)                                                              \
        {                                                                                                    \
                .name = (field_name), .type = MODEL_##field_type, ##__VA_ARGS__                              \
        }
#define KIND_END                                                                                             \
        {                                                                                                    \
                .name = NULL                                                                                 \
        }
#define KIND_SET_BY_SERVER(field_name, field_type) KIND_FIELD(field_name, field_type, .flags = MODEL_READONLY)

/* A tag, or an entry of a driver's configuration. */
extern const struct model_field kind_pair_fields[];

#endif
