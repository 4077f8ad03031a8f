/* dns/upstream.c: reads resolv.conf and the addresses of the host. */
#include "dns/upstream.h"

#include "base/clock.h"
#include "base/own.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { DNS_PORT = 53, FILE_MAX = 16384 };

void upstream_init(struct upstream *upstream, const char *path)
{
        memset(upstream, 0, sizeof(*upstream));
        upstream->path = path;
}

static bool server_parse(struct str text, struct sockaddr_storage *ret)
{
        struct sockaddr_in six_or_four = {.sin_family = AF_INET, .sin_port = htons(DNS_PORT)};
        struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(DNS_PORT)};
        char address[64];

        struct str host = str_cut(&text, '%');
        if (host.len >= sizeof(address) || text.len >= IF_NAMESIZE)
                return false;
        memcpy(address, host.p, host.len);
        address[host.len] = '\0';
        memset(ret, 0, sizeof(*ret));
        if (inet_pton(AF_INET, address, &six_or_four.sin_addr) == 1) {
                memcpy(ret, &six_or_four, sizeof(six_or_four));
                return true;
        }
        if (inet_pton(AF_INET6, address, &six.sin6_addr) != 1)
                return false;
        if (text.len > 0) {
                memcpy(address, text.p, text.len);
                address[text.len] = '\0';
                six.sin6_scope_id = if_nametoindex(address);
        }
        memcpy(ret, &six, sizeof(six));
        return true;
}

size_t upstream_parse(struct str text, struct sockaddr_storage servers[UPSTREAM_SERVERS_MAX])
{
        size_t count = 0;

        while (text.len > 0 && count < UPSTREAM_SERVERS_MAX) {
                struct str line = str_cut(&text, '\n');
                if (!str_starts(line, STR("nameserver")))
                        continue;
                struct str rest = str_slice(line, 10, line.len);
                struct str server = str_trim(rest, " \t\r");
                if (rest.len == 0 || (rest.p[0] != ' ' && rest.p[0] != '\t'))
                        continue;
                size_t end = 0;
                while (end < server.len && server.p[end] != ' ' && server.p[end] != '\t')
                        end++;
                if (server_parse(str_slice(server, 0, end), &servers[count]))
                        count++;
        }
        return count;
}

static void servers_read(struct upstream *upstream)
{
        char text[FILE_MAX];
        struct stat status;
        own_fd int fd = open(upstream->path, O_RDONLY | O_CLOEXEC);

        /* One that is being replaced is looked at again in a moment; what was known stays until then. */
        if (fd < 0 || fstat(fd, &status) < 0)
                return;
        if (upstream->count > 0 && status.st_mtim.tv_sec == upstream->changed.tv_sec &&
            status.st_mtim.tv_nsec == upstream->changed.tv_nsec)
                return;
        ssize_t len = read(fd, text, sizeof(text));
        if (len < 0)
                return;
        upstream->changed = status.st_mtim;
        upstream->count = upstream_parse((struct str){text, (size_t)len}, upstream->servers);
}

static bool stale(uint64_t *when_ms)
{
        uint64_t now = clock_mono_ms();

        if (*when_ms != 0 && now - *when_ms < UPSTREAM_FRESH_MS)
                return false;
        *when_ms = now;
        return true;
}

const struct sockaddr *upstream_server(struct upstream *upstream, unsigned attempt, socklen_t *ret_len)
{
        if (stale(&upstream->looked_ms))
                servers_read(upstream);
        if (upstream->count == 0) { /* what the C library does without a resolv.conf */
                (void)server_parse(STR("127.0.0.1"), &upstream->servers[0]);
                upstream->count = 1;
        }
        const struct sockaddr_storage *server = &upstream->servers[attempt % upstream->count];
        *ret_len = server->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        return (const struct sockaddr *)server;
}

static void local_read(struct upstream *upstream)
{
        struct ifaddrs *all;

        upstream->local_count = 0;
        if (getifaddrs(&all) < 0)
                return;
        for (const struct ifaddrs *one = all; one != NULL; one = one->ifa_next) {
                if (one->ifa_addr == NULL || one->ifa_addr->sa_family != AF_INET ||
                    upstream->local_count == UPSTREAM_LOCAL_MAX)
                        continue;
                struct sockaddr_in address;
                memcpy(&address, one->ifa_addr, sizeof(address));
                upstream->local[upstream->local_count++] = ntohl(address.sin_addr.s_addr);
        }
        freeifaddrs(all);
}

bool upstream_is_local(struct upstream *upstream, uint32_t address)
{
        if (stale(&upstream->local_ms))
                local_read(upstream);
        for (size_t i = 0; i < upstream->local_count; i++) {
                if (upstream->local[i] == address)
                        return true;
        }
        return upstream->local_count == 0;
}
