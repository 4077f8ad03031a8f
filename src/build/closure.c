/* build/closure.c: a walk over the dependencies with a work list; packages may need each other in circles. */
#include "build/closure.h"

#include <stdlib.h>

/* Never part of an image: nothing is installed or configured in one. */
static const struct str left_out[] = {
        STR_INIT("adduser"),
        STR_INIT("apt"),
        STR_INIT("debconf"),
        STR_INIT("debconf-2.0"),
        STR_INIT("dpkg"),
        STR_INIT("init"),
        STR_INIT("init-system-helpers"),
        STR_INIT("install-info"),
        STR_INIT("passwd"),
        STR_INIT("perl"),
        STR_INIT("perl-base"),
        STR_INIT("sensible-utils"),
        STR_INIT("systemd"),
        STR_INIT("ucf"),
};

enum err_code closure_init(struct closure *closure, const struct dpkg *dpkg, struct err *err)
{
        size_t count = dpkg->package_count > 0 ? dpkg->package_count : 1;

        *closure = (struct closure){.dpkg = dpkg};
        closure->chosen = calloc(count, sizeof(*closure->chosen));
        closure->waiting = calloc(count, sizeof(*closure->waiting));
        if (closure->chosen != NULL && closure->waiting != NULL)
                return ERR_OK;
        closure_finish(closure);
        return err_nomem(err);
}

void closure_finish(struct closure *closure)
{
        free(closure->chosen);
        free(closure->waiting);
        *closure = (struct closure){0};
}

static bool is_left_out(struct str qualified)
{
        struct str name = str_cut(&qualified, ':');

        for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
                if (str_eq(left_out[i], name))
                        return true;
        return false;
}

static void choose(struct closure *closure, size_t package)
{
        if (closure->chosen[package])
                return;
        closure->chosen[package] = true;
        closure->count++;
        closure->waiting[closure->waiting_count++] = package;
}

/* The package that stands in for a name that no package has; -1: none does. */
static ptrdiff_t find_provider(const struct closure *closure, struct str qualified)
{
        struct str name = str_cut(&qualified, ':');
        size_t first;
        size_t count = dpkg_providers(closure->dpkg, name, &first);

        for (size_t i = first; i < first + count; i++)
                if (closure->chosen[closure->dpkg->provides[i].package])
                        return (ptrdiff_t)closure->dpkg->provides[i].package;
        return count > 0 ? (ptrdiff_t)closure->dpkg->provides[first].package : -1;
}

/* True when one of the alternatives is there (or is left out on purpose). */
static bool satisfy(struct closure *closure, struct str relation,
                    ptrdiff_t (*find)(const struct closure *, struct str))
{
        struct str name;

        while ((name = dpkg_alternative_next(&relation)).len > 0) {
                ptrdiff_t package = find(closure, name);

                if (is_left_out(name))
                        return true;
                if (package >= 0 && is_left_out(closure->dpkg->packages[package].name))
                        return true;
                if (package >= 0) {
                        choose(closure, (size_t)package);
                        return true;
                }
        }
        return false;
}

static ptrdiff_t find_package(const struct closure *closure, struct str qualified)
{
        return dpkg_find(closure->dpkg, qualified);
}

/* `needed_by` has no text when a person asked for the names. */
static enum err_code add_relations(struct closure *closure, struct str relations, bool optional,
                                   struct str needed_by, struct err *err)
{
        struct str relation;

        while ((relation = dpkg_relation_next(&relations)).len > 0) {
                struct str names = relation;
                struct str name = dpkg_alternative_next(&names);

                if (satisfy(closure, relation, find_package) || satisfy(closure, relation, find_provider) ||
                    optional)
                        continue;
                if (needed_by.len > 0)
                        return err_set(
                                err, ERR_UNAVAILABLE,
                                "package %.*s needs %.*s, which is not installed: repair the host's packages "
                                "with 'apt-get --fix-broken install'",
                                STR_ARG(needed_by), STR_ARG(name));
                return err_set(err, ERR_UNAVAILABLE,
                               "no %.*s on this host: install it with 'apt-get install %.*s'", STR_ARG(name),
                               STR_ARG(name));
        }
        return ERR_OK;
}

enum err_code closure_add(struct closure *closure, struct str relations, bool optional, struct err *err)
{
        enum err_code code = add_relations(closure, relations, optional, STR(""), err);

        while (code == ERR_OK && closure->waiting_count > 0) {
                const struct dpkg_package *package =
                        &closure->dpkg->packages[closure->waiting[--closure->waiting_count]];

                code = add_relations(closure, package->pre_depends, false, package->name, err);
                if (code == ERR_OK)
                        code = add_relations(closure, package->depends, false, package->name, err);
        }
        return code;
}
