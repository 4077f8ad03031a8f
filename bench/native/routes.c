/*
 * bench/native/routes.c: what finding a route costs, among 10,000 endpoints, or as many as it is told.
 *
 *      bench-routes [ENDPOINTS [LOOKUPS]]
 *
 * A tenth of them are prefixes. Prints "WHAT NANOSECONDS" lines: the mean of LOOKUPS look-ups in an order
 * that no cache foresees, of a route that is exact, of one that is a prefix, and of none.
 */
#include "base/hash.h"
#include "engine/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { HOST_COUNT = 4, PATH_MAX_BYTES = 96 };

static uint64_t now_ns(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* BEFORE, the number, BEHIND. */
static char *text(const char *before, unsigned number, const char *behind)
{
        char *made = NULL;

        if (asprintf(&made, "%s%u%s", before, number, behind) < 0)
                abort();
        return made;
}

static struct endpoint_entry *entry_of(unsigned number)
{
        struct endpoint_entry *entry = endpoint_entry_create();
        struct endpoint_entry made = {.organization = text("org", 0, ""),
                                      .project = text("project", 0, ""),
                                      .name = text("endpoint-", number, ""),
                                      .function = text("function-", number, ""),
                                      .enabled = true,
                                      .http = true,
                                      .methods = ROUTE_GET | ROUTE_POST,
                                      .hosts = calloc(1, sizeof(char *)),
                                      .host_count = 1,
                                      .paths = calloc(1, sizeof(char *)),
                                      .path_count = 1};

        if (entry == NULL || made.hosts == NULL || made.paths == NULL)
                abort();
        made.hosts[0] = text("tenant", number % HOST_COUNT, ".example.net");
        made.paths[0] = text("/service/", number, number % 10 == 0 ? "/items/*" : "/items/list");
        atomic_init(&made.refs, 1);
        *entry = made;
        return entry;
}

struct asked {
        char host[PATH_MAX_BYTES], path[PATH_MAX_BYTES];
};

static void measure(const struct hamt *routes, const char *what, const struct asked *asked, size_t count,
                    size_t lookups, enum route_result expected)
{
        struct endpoint_entry *entry;
        unsigned methods;
        size_t wrong = 0, at = 0;
        uint64_t begun = now_ns();

        for (size_t i = 0; i < lookups; i++) {
                if (route_find(routes, str_of(asked[at].host), str_of(asked[at].path), ROUTE_GET, &entry,
                               &methods) != expected)
                        wrong++;
                at = (at + 1) % count;
        }
        double each = (double)(now_ns() - begun) / (double)lookups;
        if (wrong > 0) {
                fprintf(stderr, "bench-routes: %s: %zu wrong answers\n", what, wrong);
                exit(1);
        }
        printf("%s %.1f\n", what, each);
}

static void measure_kind(const struct hamt *routes, const char *what, const char *before, const char *behind,
                         unsigned first, unsigned step, unsigned endpoints, size_t lookups,
                         enum route_result expected)
{
        size_t count = (endpoints - first + step - 1) / step;
        struct asked *asked = calloc(count, sizeof(*asked));

        if (asked == NULL)
                abort();
        for (size_t i = 0; i < count; i++) {
                unsigned number = first + (unsigned)i * step;
                if (number % 10 == 0 && step == 1)
                        number++;
                snprintf(asked[i].host, sizeof(asked[i].host), "tenant%u.example.net", number % HOST_COUNT);
                snprintf(asked[i].path, sizeof(asked[i].path), "%s%u%s", before, number, behind);
        }
        for (size_t i = count - 1; i > 0; i--) {
                size_t other = (size_t)random() % (i + 1);
                struct asked moved = asked[i];
                asked[i] = asked[other];
                asked[other] = moved;
        }
        measure(routes, what, asked, count, lookups, expected);
        if (expected == ROUTE_FOUND) {
                char again[32];
                snprintf(again, sizeof(again), "%s-again", what);
                measure(routes, again, asked, 1, lookups, expected);
        }
        free(asked);
}

int main(int argc, char **argv)
{
        unsigned endpoints = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 10000;
        size_t lookups = argc > 2 ? strtoul(argv[2], NULL, 10) : 5000000;
        struct hamt routes;
        struct err err;

        if (endpoints < 100 || lookups < 1000) {
                fprintf(stderr, "bench-routes: at least 100 endpoints and 1000 look-ups\n");
                return 2;
        }
        hamt_init(&routes, &route_set_ops);
        for (unsigned i = 0; i < endpoints; i++) {
                struct endpoint_entry *entry = entry_of(i);
                if (route_add(&routes, entry, &err) != ERR_OK) {
                        fprintf(stderr, "bench-routes: %s\n", err.text);
                        return 1;
                }
                endpoint_entry_unref(entry);
        }
        measure_kind(&routes, "exact", "/service/", "/items/list", 1, 1, endpoints - 1, lookups, ROUTE_FOUND);
        measure_kind(&routes, "prefix", "/service/", "/items/17/parts", 0, 10, endpoints, lookups,
                     ROUTE_FOUND);
        measure_kind(&routes, "none", "/other/", "/items/list", 1, 1, endpoints - 1, lookups, ROUTE_NO_PATH);
        hamt_finish(&routes);
        return 0;
}
