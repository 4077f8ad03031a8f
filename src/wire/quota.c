/* wire/quota.c: reads limits of organizations. See quota.h. */
#include "wire/quota.h"

#include <stdio.h>
#include <string.h>

enum { NUMBER_MAX = 1 << 26 };

static enum err_code part_take(struct str part, struct quota *quota, struct err *err)
{
        struct str value = part, name = str_cut(&value, '=');
        uint64_t number, *field = str_eq(name, STR("memory"))      ? &quota->memory_mib
                                  : str_eq(name, STR("cpu"))       ? &quota->cpu_millicores
                                  : str_eq(name, STR("processes")) ? &quota->processes
                                                                   : NULL;

        if (field == NULL)
                return err_set(err, ERR_INVALID,
                               "'%.*s' is none of memory=MIB, cpu=MILLICORES and processes=N", STR_ARG(part));
        if (*field != 0)
                return err_set(err, ERR_INVALID, "%.*s is there twice", STR_ARG(name));
        if (!str_to_u64(value, &number) || number == 0 || number > NUMBER_MAX)
                return err_set(err, ERR_INVALID, "%.*s must be a number from 1 to %d", STR_ARG(name),
                               NUMBER_MAX);
        *field = number;
        return ERR_OK;
}

enum err_code quota_parse(struct str text, struct quota *ret, struct err *err)
{
        struct quota quota = {.memory_mib = 0};
        struct str rest = text, name = str_cut(&rest, ':');
        char organization[256];

        if (name.len == 0 || name.len >= sizeof(organization))
                return err_set(err, ERR_INVALID, "'%.*s' does not begin with an organization",
                               (int)(text.len < 64 ? text.len : 64), text.p);
        memcpy(organization, name.p, name.len);
        organization[name.len] = '\0';
        if (strcmp(organization, "*") == 0)
                snprintf(quota.group, sizeof(quota.group), "*");
        else
                spawn_group(organization, quota.group);
        while (rest.len > 0) {
                enum err_code code = part_take(str_cut(&rest, ':'), &quota, err);
                if (code != ERR_OK)
                        return err_wrap(err, code, "%s", organization);
        }
        *ret = quota;
        return ERR_OK;
}

const struct quota *quota_find(const struct quota *quotas, size_t count, const char *group)
{
        const struct quota *any = NULL;

        for (size_t i = 0; i < count; i++) {
                if (strcmp(quotas[i].group, group) == 0)
                        return &quotas[i];
                if (strcmp(quotas[i].group, "*") == 0)
                        any = &quotas[i];
        }
        return any;
}
