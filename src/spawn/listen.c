/* spawn/listen.c: binds the listening sockets. */
#include "spawn/listen.h"

#include "base/buf.h"
#include "base/own.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { DESCRIPTION_MAX = 8192, HOST_MAX = 64 };

union address {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
};

static enum err_code socket_keep(struct listen_set *set, struct str role, int *fd, const char *unix_path,
                                 struct err *err)
{
        struct listen_socket *sockets = reallocarray(set->sockets, set->count + 1, sizeof(*sockets));

        if (sockets == NULL)
                return err_nomem(err);
        set->sockets = sockets;
        struct listen_socket *one = &sockets[set->count];
        *one = (struct listen_socket){.fd = -1};
        memcpy(one->role, role.p, role.len);
        if (unix_path != NULL && (one->unix_path = strdup(unix_path)) == NULL)
                return err_nomem(err);
        one->fd = take_fd(fd);
        set->count++;
        return ERR_OK;
}

/* HOST:PORT, [HOST]:PORT. */
static bool address_parse(struct str text, char host[HOST_MAX], union address *ret, socklen_t *ret_len)
{
        size_t colon = text.len;
        uint64_t port;

        while (colon > 0 && text.p[colon - 1] != ':')
                colon--;
        if (colon == 0 || !str_to_u64(str_slice(text, colon, text.len), &port) || port > UINT16_MAX)
                return false;
        struct str name = str_slice(text, 0, colon - 1);
        if (name.len >= 2 && name.p[0] == '[' && name.p[name.len - 1] == ']')
                name = str_slice(name, 1, name.len - 1);
        if (name.len >= HOST_MAX)
                return false;
        memcpy(host, name.p, name.len);
        host[name.len] = '\0';

        memset(ret, 0, sizeof(*ret));
        if (inet_pton(AF_INET, host, &ret->v4.sin_addr) == 1) {
                ret->v4.sin_family = AF_INET;
                ret->v4.sin_port = htons((uint16_t)port);
                *ret_len = sizeof(ret->v4);
                return true;
        }
        if (inet_pton(AF_INET6, host, &ret->v6.sin6_addr) == 1) {
                ret->v6.sin6_family = AF_INET6;
                ret->v6.sin6_port = htons((uint16_t)port);
                *ret_len = sizeof(ret->v6);
                return true;
        }
        return false;
}

static int tcp_open(const union address *address, socklen_t len, bool shared)
{
        own_fd int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int on = 1;

        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
                return -1;
        if (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
                return -1;
        /* "::" is all addresses of IPv6 alone; who wants both listens twice. */
        if (address->any.sa_family == AF_INET6 &&
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
                return -1;
        if (bind(fd, &address->any, len) < 0)
                return -1;
        return take_fd(&fd);
}

static enum err_code tcp_failed(struct str role, const char *host, const union address *address,
                                struct err *err)
{
        unsigned port =
                ntohs(address->any.sa_family == AF_INET ? address->v4.sin_port : address->v6.sin6_port);
        static const struct {
                struct str role;
                const char *flag;
        } flags[] = {{STR_INIT("api"), "port"},
                     {STR_INIT("gateway"), "gateway-port"},
                     {STR_INIT("api-tls"), "tls-port"},
                     {STR_INIT("gateway-tls"), "gateway-tls-port"}};
        const char *flag = NULL;

        for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
                flag = str_eq(role, flags[i].role) ? flags[i].flag : flag;
        if (errno == EADDRINUSE)
                return err_set(err, ERR_CONFLICT, "port %u on %s is in use%s%s", port, host,
                               flag != NULL ? "; choose another with --" : "", flag != NULL ? flag : "");
        if (errno == EADDRNOTAVAIL)
                return err_set(err, ERR_INVALID,
                               "no network interface has the address %s: name another with --host or "
                               "--gateway-host",
                               host);
        return err_sys(err, "listen on port %u of %s", port, host);
}

/* A port that another process shares by SO_REUSEPORT would be shared with us too: a socket without it asks
 * first. */
static bool tcp_is_free(const union address *address, socklen_t len)
{
        own_fd int fd = tcp_open(address, len, false);

        return fd >= 0;
}

static enum err_code tcp_add(struct listen_set *set, struct str role, struct str text, size_t loops,
                             struct err *err)
{
        char host[HOST_MAX];
        union address address;
        socklen_t len;

        if (!address_parse(text, host, &address, &len))
                return err_set(err, ERR_INVALID, "'%.*s' is not an address and a port", STR_ARG(text));
        if (!tcp_is_free(&address, len))
                return tcp_failed(role, host, &address, err);
        for (size_t i = 0; i < loops; i++) {
                own_fd int fd = tcp_open(&address, len, true);
                if (fd < 0 || listen(fd, LISTEN_BACKLOG) < 0)
                        return tcp_failed(role, host, &address, err);
                /* The first may have been given any port; the others take the same. */
                if (getsockname(fd, &address.any, &len) < 0)
                        return err_sys(err, "getsockname");
                enum err_code code = socket_keep(set, role, &fd, NULL, err);
                if (code != ERR_OK)
                        return code;
        }
        return ERR_OK;
}

/* Removes a socket that nobody listens on. */
static enum err_code unix_clear(const struct sockaddr_un *address, struct err *err)
{
        own_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct stat status;

        if (fd < 0)
                return err_sys(err, "make a socket");
        if (lstat(address->sun_path, &status) < 0)
                return ERR_OK; /* bind says what else may be wrong with the path */
        if (!S_ISSOCK(status.st_mode))
                return err_set(err, ERR_CONFLICT,
                               "%s is in the way of the API's socket: move it away, or choose another path "
                               "with --socket",
                               address->sun_path);
        if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno != ECONNREFUSED)
                return err_set(err, ERR_CONFLICT,
                               "another process listens on %s, which is in use; stop it, or choose another "
                               "path with --socket",
                               address->sun_path);
        return unlink(address->sun_path) == 0 ? ERR_OK : err_sys(err, "remove %s", address->sun_path);
}

static enum err_code unix_add(struct listen_set *set, struct str role, const char *path, uid_t uid, gid_t gid,
                              struct err *err)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        own_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (strlen(path) >= sizeof(address.sun_path))
                return err_set(
                        err, ERR_INVALID,
                        "the path of the API's socket is longer than %zu characters: name a shorter one "
                        "with --socket, or none with --socket none (it is %s)",
                        sizeof(address.sun_path) - 1, path);
        memcpy(address.sun_path, path, strlen(path) + 1);
        enum err_code cleared = unix_clear(&address, err);
        if (cleared != ERR_OK)
                return cleared;
        if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
                return err_disk(err, "listen on %s (--socket)", path);
        /* Nobody gets in before listen. */
        if (chown(path, uid, gid) < 0 || chmod(path, 0660) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
                enum err_code code = err_sys(err, "listen on %s", path);
                (void)unlink(path);
                return code;
        }
        return socket_keep(set, role, &fd, path, err);
}

enum err_code listen_add(struct listen_set *set, const char *text, size_t loops, uid_t uid, gid_t gid,
                         struct err *err)
{
        struct str address = str_of(text);
        struct str role = str_cut(&address, '=');

        if (role.len == 0 || role.len >= LISTEN_ROLE_MAX)
                return err_set(err, ERR_INVALID, "--listen %s: not ROLE=ADDRESS", text);
        if (str_starts(address, STR("tcp:")))
                return tcp_add(set, role, str_slice(address, 4, address.len), loops, err);
        if (str_starts(address, STR("unix:")))
                return unix_add(set, role, address.p + 5, uid, gid, err);
        return err_set(err, ERR_INVALID, "--listen %s: neither tcp: nor unix:", text);
}

void listen_finish(struct listen_set *set)
{
        for (size_t i = 0; i < set->count; i++) {
                close(set->sockets[i].fd);
                if (set->sockets[i].unix_path != NULL)
                        (void)unlink(set->sockets[i].unix_path);
                free(set->sockets[i].unix_path);
        }
        free(set->sockets);
        *set = (struct listen_set){.count = 0};
}

char *listen_describe(const struct listen_set *set)
{
        own_buf struct buf text;

        buf_init(&text, DESCRIPTION_MAX);
        for (size_t i = 0; i < set->count; i++) {
                if (buf_printf(&text, "%s%s=%d", i == 0 ? "" : ",", set->sockets[i].role,
                               set->sockets[i].fd) != ERR_OK)
                        return NULL;
        }
        const char *whole = buf_text(&text);
        return whole == NULL ? NULL : strdup(whole);
}
