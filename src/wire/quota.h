/*
 * wire/quota.h: what all instances and builds of an organization may have together, as --organization-limits
 * says it: "NAME:memory=MIB:cpu=MILLICORES:processes=N", each part at most once, none needed; NAME `*` stands
 * for every organization without a line of its own.
 */
#ifndef DISPATCH_WIRE_QUOTA_H
#define DISPATCH_WIRE_QUOTA_H

#include "base/err.h"
#include "base/str.h"
#include "wire/spawn.h"

enum { QUOTAS_MAX = 64 };

struct quota {
        char group[SPAWN_GROUP_MAX]; /* as frames name the organization (spawn_group), or "*" */
        uint64_t memory_mib;         /* 0: no limit, as in those that follow */
        uint64_t cpu_millicores;
        uint64_t processes;
};

/* ERR_INVALID names what is wrong. */
enum err_code quota_parse(struct str text, struct quota *ret, struct err *err);
/* The organization's, else that of `*`, else NULL. */
const struct quota *quota_find(const struct quota *quotas, size_t count, const char *group);

#endif
