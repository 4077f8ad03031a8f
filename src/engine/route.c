/*
 * engine/route.c: which endpoint a host, a path and a method belong to.
 *
 * A path that ends in a slash and a star is kept under that very key; a look-up tries the exact path, then
 * the prefixes from the longest to the shortest, for the given host and then for any ("*"). So its cost is
 * the depth of the path, not the number of routes.
 */
#include "engine/route.h"

#include <stdlib.h>

struct route_set {
        atomic_uint refs;
        size_t count;
        struct {
                unsigned methods, takes; /* those it has; those it answers */
                struct endpoint_entry *entry;
        } items[];
};

static void route_set_ref(void *value)
{
        struct route_set *set = value;

        atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
}

static void route_set_unref(void *value)
{
        struct route_set *set = value;

        if (atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) != 1)
                return;
        for (size_t i = 0; i < set->count; i++)
                endpoint_entry_unref(set->items[i].entry);
        free(set);
}

const struct hamt_ops route_set_ops = {route_set_ref, route_set_unref};

/* "HOST\0PATH" in `space`; an empty view when it does not fit. */
static struct str route_key(char space[ROUTE_KEY_MAX], struct str host, struct str path)
{
        if (host.len + 1 + path.len > ROUTE_KEY_MAX)
                return (struct str){NULL, 0};
        if (host.len > 0)
                memcpy(space, host.p, host.len);
        space[host.len] = '\0';
        if (path.len > 0)
                memcpy(space + host.len + 1, path.p, path.len);
        return (struct str){space, host.len + 1 + path.len};
}

/* GET answers HEAD (RFC 9110, 9.3.2), and CORS answers its preflight. */
static unsigned methods_taken(const struct endpoint_entry *entry)
{
        return entry->methods | ((entry->methods & ROUTE_GET) != 0 ? ROUTE_HEAD : 0U) |
               (entry->cors ? (unsigned)ROUTE_OPTIONS : 0U);
}

static void route_set_add(struct route_set *set, struct endpoint_entry *entry)
{
        set->items[set->count].methods = entry->methods;
        set->items[set->count].takes = methods_taken(entry);
        set->items[set->count++].entry = endpoint_entry_ref(entry);
}

/* A new set with one reference: `old` (or nothing) without `leave_out`, and with `entry` unless NULL. */
static struct route_set *route_set_change(const struct route_set *old, const struct endpoint_entry *leave_out,
                                          struct endpoint_entry *entry)
{
        size_t count = old != NULL ? old->count : 0;
        struct route_set *set = calloc(1, sizeof(*set) + (count + 1) * sizeof(set->items[0]));

        if (set == NULL)
                return NULL;
        atomic_init(&set->refs, 1);
        for (size_t i = 0; i < count; i++) {
                if (old->items[i].entry == leave_out)
                        continue;
                route_set_add(set, old->items[i].entry);
        }
        if (entry != NULL)
                route_set_add(set, entry);
        return set;
}

static enum err_code route_change(struct hamt *routes, struct str key, const struct endpoint_entry *leave_out,
                                  struct endpoint_entry *entry, struct err *err)
{
        struct route_set *set = route_set_change(hamt_get(routes, key), leave_out, entry);

        if (set == NULL)
                return err_nomem(err);
        enum err_code code = set->count > 0 ? hamt_set(routes, key, set) : hamt_remove(routes, key);
        route_set_unref(set);
        return code == ERR_OK ? ERR_OK : err_nomem(err);
}

/* Runs route_change for every host and path of the endpoint, on a copy that replaces *routes when all went
 * well. */
static enum err_code route_change_all(struct hamt *routes, const struct endpoint_entry *of,
                                      const struct endpoint_entry *leave_out, struct endpoint_entry *entry,
                                      struct err *err)
{
        struct hamt next = hamt_share(routes);
        char space[ROUTE_KEY_MAX];

        for (size_t h = 0; h < of->host_count; h++) {
                for (size_t p = 0; p < of->path_count; p++) {
                        struct str key = route_key(space, str_of(of->hosts[h]), str_of(of->paths[p]));
                        enum err_code code = key.p == NULL ? err_set(err, ERR_UNPROCESSABLE,
                                                                     "a host and path are too long: at most "
                                                                     "%d bytes together",
                                                                     ROUTE_KEY_MAX - 1)
                                                           : route_change(&next, key, leave_out, entry, err);
                        if (code != ERR_OK) {
                                hamt_finish(&next);
                                return code;
                        }
                }
        }
        hamt_finish(routes);
        *routes = next;
        return ERR_OK;
}

enum err_code route_add(struct hamt *routes, struct endpoint_entry *entry, struct err *err)
{
        return entry->enabled ? route_change_all(routes, entry, NULL, entry, err) : ERR_OK;
}

enum err_code route_remove(struct hamt *routes, const struct endpoint_entry *entry, struct err *err)
{
        return entry->enabled ? route_change_all(routes, entry, entry, NULL, err) : ERR_OK;
}

static const char *method_name(unsigned bits)
{
        static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

        return bits != 0 ? names[__builtin_ctz(bits)] : "";
}

enum err_code route_check(const struct hamt *routes, const struct endpoint_entry *entry,
                          const struct endpoint_entry *replaces, struct err *err)
{
        char space[ROUTE_KEY_MAX];

        if (!entry->enabled)
                return ERR_OK;
        for (size_t h = 0; h < entry->host_count; h++) {
                for (size_t p = 0; p < entry->path_count; p++) {
                        struct str key = route_key(space, str_of(entry->hosts[h]), str_of(entry->paths[p]));
                        if (key.p == NULL)
                                return err_set(err, ERR_UNPROCESSABLE,
                                               "a host and path are too long: at most %d bytes together",
                                               ROUTE_KEY_MAX - 1);
                        const struct route_set *set = hamt_get(routes, key);
                        for (size_t i = 0; set != NULL && i < set->count; i++) {
                                unsigned both = set->items[i].methods & entry->methods;
                                if (set->items[i].entry != replaces && both != 0)
                                        return err_set(err, ERR_CONFLICT,
                                                       "endpoint %s: %s %s%s is taken by endpoint %s",
                                                       entry->name, method_name(both), entry->hosts[h],
                                                       entry->paths[p], set->items[i].entry->name);
                        }
                }
        }
        return ERR_OK;
}

/* Looks at one key; true when an endpoint there takes the method. Methods that it has are added to *methods.
 */
static bool route_try(const struct hamt *routes, struct str key, unsigned method, struct endpoint_entry **ret,
                      unsigned *methods)
{
        const struct route_set *set = key.p != NULL ? hamt_get(routes, key) : NULL;

        for (size_t i = 0; set != NULL && i < set->count; i++) {
                *methods |= set->items[i].takes;
                if ((set->items[i].takes & method) != 0) {
                        *ret = set->items[i].entry;
                        return true;
                }
        }
        return false;
}

static bool route_find_host(const struct hamt *routes, struct str host, struct str path, unsigned method,
                            struct endpoint_entry **ret, unsigned *methods)
{
        char space[ROUTE_KEY_MAX];

        if (host.len > ROUTE_KEY_MAX / 2)
                return false;
        size_t kept = path.len < ROUTE_KEY_MAX - host.len - 2 ? path.len : ROUTE_KEY_MAX - host.len - 2;
        struct str key = route_key(space, host, str_slice(path, 0, kept));
        if (kept == path.len && route_try(routes, key, method, ret, methods))
                return true;
        /* Each prefix is what stands in `space`, cut behind a slash, with a star there; so from the longest
         * down. */
        for (size_t end = kept; end > 0; end--) {
                if (path.p[end - 1] != '/')
                        continue;
                space[host.len + 1 + end] = '*';
                if (route_try(routes, (struct str){space, host.len + 1 + end + 1}, method, ret, methods))
                        return true;
        }
        return false;
}

enum route_result route_find(const struct hamt *routes, struct str host, struct str path, unsigned method,
                             struct endpoint_entry **ret, unsigned *ret_methods)
{
        unsigned methods = 0;

        if (route_find_host(routes, host, path, method, ret, &methods) ||
            route_find_host(routes, STR("*"), path, method, ret, &methods))
                return ROUTE_FOUND;
        *ret_methods = methods;
        return methods != 0 ? ROUTE_NO_METHOD : ROUTE_NO_PATH;
}
