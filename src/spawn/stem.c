/* spawn/stem.c: keeps stems and has them claimed. See stem.h. */
#include "spawn/stem.h"

#include "base/clock.h"
#include "base/own.h"
#include "sandbox/bind.h"
#include "spawn/instance.h"
#include "spawn/layers.h"
#include "spawn/spawn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum err_code stem_keep(struct instance *instance, const struct spawn_start *start, struct err *err)
{
        assert(start->role == SPAWN_ROLE_STEM && instance->stem == NULL);
        instance->stem = malloc(sizeof(*instance->stem));
        if (instance->stem == NULL)
                return err_nomem(err);
        *instance->stem = *start;
        return ERR_OK;
}

void stem_forget(struct instance *instance)
{
        free(instance->stem);
        instance->stem = NULL;
}

/* What the process was booted with and cannot change. */
static bool same_boot(const struct spawn_start *a, const struct spawn_start *b)
{
        return strcmp(a->organization, b->organization) == 0 && strcmp(a->runtime, b->runtime) == 0 &&
               strcmp(a->filter, b->filter) == 0 && a->argc == b->argc &&
               memcmp(a->argv, b->argv, sizeof(a->argv)) == 0 && a->layer_count == b->layer_count &&
               memcmp(a->layers, b->layers, a->layer_count * sizeof(a->layers[0])) == 0;
}

static enum err_code fits(const struct instance *stem, const struct spawn_start *start, struct err *err)
{
        if (stem->killed || stem->failed || stem->sandbox.state == SANDBOX_GONE)
                return err_set(err, ERR_UNAVAILABLE, "the stem is ending");
        if (stem->sandbox.state != SANDBOX_RUNNING)
                return err_set(err, ERR_CONFLICT, "the stem does not run yet");
        if (!same_boot(stem->stem, start))
                return err_set(err, ERR_CONFLICT, "the stem was booted with another image or command line");
        return ERR_OK;
}

static enum err_code code_open(const struct spawn *spawn, const struct spawn_start *start, int *ret_fd,
                               struct err *err)
{
        own_fd int dir_fd = -1;

        if (start->code[0] == '\0')
                return ERR_OK;
        enum err_code code = layers_open(spawn->state.layers_fd, "layer", start->code, &dir_fd, err);
        return code == ERR_OK ? mounts_open_read_only(dir_fd, ret_fd, err) : code;
}

static enum err_code take_over(struct instance *stem, const struct spawn_start *start, int code_fd,
                               struct err *err)
{
        struct cgroup_limits limits = instance_limits(start);

        cgroup_freeze(stem->cgroup, false);
        enum err_code code = cgroup_claim(stem->cgroup, &limits, err);
        if (code == ERR_OK)
                code = sandbox_bind(&stem->sandbox, code_fd, start->tmp_mib, err);
        if (code == ERR_OK)
                return code;
        /* Half of it may be done. */
        instance_kill_sandbox(stem);
        return err_wrap(err, ERR_UNAVAILABLE, "claim the stem");
}

enum err_code stem_claim(struct instance *stem, const struct spawn_start *start, struct err *err)
{
        uint64_t begun_us = clock_mono_us();
        own_fd int code_fd = -1;
        enum err_code code = fits(stem, start, err);

        if (code == ERR_OK)
                code = code_open(stem->spawn, start, &code_fd, err);
        if (code == ERR_OK)
                code = take_over(stem, start, code_fd, err);
        if (code != ERR_OK)
                return code;
        garbage_uses(stem, start->layers, start->layer_count, start->code);
        instance_rename(stem, stem->link, start->head.id);
        stem->begun_us = begun_us;
        stem->claimed = true;
        stem_forget(stem);
        stem->kind->running(stem);
        return ERR_OK;
}
