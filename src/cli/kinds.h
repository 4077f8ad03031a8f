/*
 * cli/kinds.h: fields of the kinds that the client has tables of its own for, since the server's model has
 * them under another name or not yet.
 */
#ifndef DISPATCH_CLI_KINDS_H
#define DISPATCH_CLI_KINDS_H

#include "model/model.h"

extern const struct model_resource kind_api;

#endif
