/*
 * sandbox/cgroup_impl.h: what the parts of the cgroup code share; nobody else includes it.
 */
#ifndef DISPATCH_SANDBOX_CGROUP_IMPL_H
#define DISPATCH_SANDBOX_CGROUP_IMPL_H

#include "sandbox/cgroup.h"
#include "wire/quota.h"

#include <limits.h>
#include <stdbool.h>

enum cgroup_controller {
        CONTROLLER_MEMORY,
        CONTROLLER_CPU,
        CONTROLLER_PIDS,
        CONTROLLER_CPUACCT, /* v1: measures the CPU time; can be done without */
        CONTROLLER_FREEZER, /* v1: stops what is idle; can be done without */
        CONTROLLER_COUNT
};

enum { CONTROLLERS_NEEDED = CONTROLLER_CPUACCT, CGROUP_PATH_MAX = 192 };

/* Where this process stands in a hierarchy: the folder of the controllers' files. */
struct cgroup_place {
        char mount[PATH_MAX]; /* "": there is none */
        char own[PATH_MAX];   /* of this process; below mount */
};

/* One hierarchy that the tree stands in. */
struct cgroup_hierarchy {
        int fd;     /* of dispatch-HASH in it */
        char *path; /* of the same */
        unsigned controllers;
};

struct cgroup_tree;

struct cgroup_ops {
        unsigned version;
        /* Prepares a new folder for having children. */
        enum err_code (*inner)(const struct cgroup_tree *tree, const char *path, struct err *err);
        enum err_code (*limit)(const struct cgroup_tree *tree, const char *path,
                               const struct cgroup_limits *limits, struct err *err);
        /* Of an organization: what is 0 stays without a limit. */
        enum err_code (*quota)(const struct cgroup_tree *tree, const char *path, const struct quota *quota,
                               struct err *err);
        void (*freeze)(const struct cgroup_tree *tree, const char *path, bool freeze);
        void (*usage)(const struct cgroup_tree *tree, const char *path, struct cgroup_usage *ret);
        /* Before `limit` on a folder that has limits: room for larger ones. Measures of the past are
           forgotten where that can be. */
        void (*renew)(const struct cgroup_tree *tree, const char *path, const struct cgroup_limits *limits);
        /* Undoes what finding the place changed; may be NULL. */
        void (*leave)(const struct cgroup_tree *tree);
};

struct cgroup_tree {
        const struct cgroup_ops *ops;
        struct cgroup_hierarchy hierarchies[CONTROLLER_COUNT];
        size_t hierarchy_count;
        int by_controller[CONTROLLER_COUNT]; /* descriptor of the hierarchy that has it, not owned; -1: none
                                              */
        int record_fd;
        uint64_t next_number;
        const struct quota *quotas; /* the caller's */
        size_t quota_count;
        struct cgroup *released, *released_last; /* a queue */
        size_t released_count;
        char *leaf; /* v2: where this process moved to; NULL: it did not */
};

struct cgroup {
        struct cgroup_tree *tree;
        struct cgroup *next;
        int clone_fd;
        bool frozen;
        uint64_t number;
        struct cgroup_usage before; /* it was claimed: used by then */
        char path[];                /* org-NAME/fn-NAME/i-NUMBER */
};

extern const struct cgroup_ops cgroup_v1_ops, cgroup_v2_ops;

/* Fills in where each controller is: v1 hierarchies by controller, and the unified one. */
enum err_code cgroup_places_read(struct cgroup_place v1[CONTROLLER_COUNT], struct cgroup_place *v2,
                                 struct err *err);
/* The same from open files, for tests: /proc/self/mountinfo and /proc/self/cgroup. */
void cgroup_places_parse(char *mountinfo, char *self, struct cgroup_place v1[CONTROLLER_COUNT],
                         struct cgroup_place *v2);
const char *cgroup_controller_name(enum cgroup_controller controller);

/* v2: chooses the folder that can have children with all controllers; may move this process into a leaf. */
enum err_code cgroup_v2_base(const struct cgroup_place *place, char base[PATH_MAX], char **ret_leaf,
                             struct err *err);

/* Writes or reads a whole file below a folder. */
enum err_code cgroup_write(int dir_fd, const char *path, const char *file, const char *text, struct err *err);
/* NUL-terminated; false when it cannot be read. */
bool cgroup_read(int dir_fd, const char *path, const char *file, char *out, size_t size);
/* The number behind "key " at the start of a line, or a lone number for key "". 0 when it is not there. */
uint64_t cgroup_number(const char *text, const char *key);

/* Lets go on what the first version's freezer has stopped below the folder: it cannot be killed before. */
void cgroup_thaw_below(const char *path);
/* Kills every process below the folder and removes the folders, the given one too. Waits, with a bound. */
enum err_code cgroup_clear(const char *path, struct err *err);

#endif
