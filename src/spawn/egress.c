/* spawn/egress.c: the router's life, dispatch-dns, and the sandboxes that both know. */
#include "spawn/egress.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/own.h"
#include "base/seqpacket.h"
#include "sandbox/rights.h"
#include "sandbox/sys.h"
#include "spawn/spawn.h"
#include "wire/egress.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
        DNS_PORT = 53,
        BACKOFF_MS_FIRST = 100,
        BACKOFF_MS_MAX = 5000,
        HEALTHY_MS = 10000,
        FRAMES_PER_TURN = 16
};

/* There while the kernel may hold something of ours that a killed spawn would leave. */
static const char marker[] = "network";

struct egress_link {
        struct egress_link *next;
        struct network_link network;
        bool restricted;
        bool announced; /* to dispatch-dns as it runs now */
        char *names;    /* as egress_client has them; NULL: none */
        size_t names_len;
};

struct egress {
        struct spawn *spawn;
        struct network *network;
        struct egress_link *links;
        int sockets[2]; /* datagram, stream: on the router's address, for each dispatch-dns after the other */
        struct events_source control, exit, watch;
        struct events_timer restart, again;
        pid_t pid; /* 0: it does not run */
        int pid_fd, control_fd;
        bool pool_told;
        bool files_made;   /* for the top of roots */
        unsigned failures; /* in a row */
        uint64_t started_ms;
        uint64_t failed_ms; /* when the router could not be made; 0: it was */
        struct err failure;
};

/* Between fork and exec. */
_Noreturn static void dns_run(const struct egress *egress, int control_fd, pid_t parent)
{
        const struct spawn *spawn = egress->spawn;
        uid_t uid = spawn->state.job_uid_first + STATE_DNS_UID;
        char *const argv[] = {"dispatch-dns", NULL};
        char *const environment[] = {"LANG=C.UTF-8", NULL};
        const int given[] = {control_fd, egress->sockets[0], egress->sockets[1], spawn->dns_fd};
        int moved[4];
        sigset_t none;

        sigemptyset(&none);
        for (size_t i = 0; i < 4; i++) {
                moved[i] = fcntl(given[i], F_DUPFD_CLOEXEC, EGRESS_STREAM_FD + 1);
                if (moved[i] < 0)
                        _exit(126);
        }
        for (int i = 0; i < 3; i++) {
                if (dup2(moved[i], EGRESS_CONTROL_FD + i) < 0)
                        _exit(126);
        }
        if (setsid() < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0 || rights_limit(0) < 0 ||
            rights_become(uid, uid) < 0 || rights_drop(filter_find("default")) < 0 ||
            prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                _exit(126);
        sys_execveat(moved[3], argv, environment);
        _exit(127);
}

static void on_control_ready(struct events_source *source, uint32_t epoll_events);

/* False: not now; or not at all, then its end follows. */
static bool dns_send(struct egress *egress, const void *frame, size_t size)
{
        return egress->control_fd >= 0 &&
               send(egress->control_fd, frame, size, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
}

static bool link_announce(struct egress *egress, const struct egress_link *link)
{
        struct egress_client frame = {
                .op = EGRESS_CLIENT, .address = link->network.address, .restricted = link->restricted};

        if (link->names_len > 0)
                memcpy(frame.names, link->names, link->names_len);
        return dns_send(egress, &frame, sizeof(frame));
}

/* Tells what it does not know yet, as much as it takes. */
static void dns_tell(struct egress *egress)
{
        struct ipv4_range range = network_pool(egress->network);
        struct egress_pool pool = {.op = EGRESS_POOL, .address = range.address, .prefix = range.prefix};

        if (egress->control_fd < 0)
                return;
        egress->pool_told = egress->pool_told || dns_send(egress, &pool, sizeof(pool));
        bool all = egress->pool_told;
        for (struct egress_link *link = egress->links; all && link != NULL; link = link->next) {
                link->announced = link->announced || link_announce(egress, link);
                all = link->announced;
        }
        events_want(&egress->spawn->events, &egress->control, all ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

static void dns_closed(struct egress *egress)
{
        if (egress->control_fd >= 0) {
                events_remove(&egress->spawn->events, &egress->control);
                close(take_fd(&egress->control_fd));
        }
        egress->pool_told = false;
        for (struct egress_link *link = egress->links; link != NULL; link = link->next)
                link->announced = false;
}

static enum err_code dns_start(struct egress *egress, struct err *err);

static void on_restart(struct events_timer *timer)
{
        struct egress *egress = OWNER_OF(timer, struct egress, restart);
        struct err err;

        if (dns_start(egress, &err) == ERR_OK)
                return;
        log_error("dispatch-dns could not be started again: %s", err.text);
        events_timer_start(&egress->spawn->events, &egress->restart, BACKOFF_MS_MAX);
}

static void on_dns_exit(struct events_source *source, uint32_t epoll_events)
{
        struct egress *egress = OWNER_OF(source, struct egress, exit);
        int status;

        (void)epoll_events;
        if (waitpid(egress->pid, &status, WNOHANG) != egress->pid)
                return;
        events_remove(&egress->spawn->events, &egress->exit);
        close(take_fd(&egress->pid_fd));
        egress->pid = 0;
        dns_closed(egress);
        if (clock_mono_ms() - egress->started_ms >= HEALTHY_MS)
                egress->failures = 0;
        uint64_t delay = (uint64_t)BACKOFF_MS_FIRST << (egress->failures < 6 ? egress->failures : 6);
        if (delay > BACKOFF_MS_MAX)
                delay = BACKOFF_MS_MAX;
        egress->failures++;
        log_error("dispatch-dns ended with %s %d; it is started again in %llu ms",
                  WIFSIGNALED(status) ? "signal" : "exit status",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), (unsigned long long)delay);
        egress->restart.fire = on_restart;
        events_timer_start(&egress->spawn->events, &egress->restart, delay);
}

static enum err_code dns_start(struct egress *egress, struct err *err)
{
        struct events *events = &egress->spawn->events;
        pid_t self = getpid();
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return err_sys(err, "make a pair for dispatch-dns");
        own_fd int mine = pair[0], theirs = pair[1];
        pid_t pid = fork();
        if (pid < 0)
                return err_sys(err, "fork dispatch-dns");
        if (pid == 0)
                dns_run(egress, theirs, self);
        own_fd int pid_fd = pidfd_open(pid, 0);
        enum err_code code = pid_fd < 0
                                     ? err_sys(err, "pidfd_open")
                                     : events_add(events, &egress->exit, pid_fd, EPOLLIN, on_dns_exit, err);
        if (code == ERR_OK)
                code = events_add(events, &egress->control, mine, EPOLLIN, on_control_ready, err);
        if (code != ERR_OK) {
                events_remove(events, &egress->exit);
                (void)kill(pid, SIGKILL);
                (void)waitpid(pid, NULL, 0);
                return code;
        }
        egress->pid = pid;
        egress->pid_fd = take_fd(&pid_fd);
        egress->control_fd = take_fd(&mine);
        egress->started_ms = clock_mono_ms();
        dns_tell(egress);
        return ERR_OK;
}

static const struct egress_link *link_find(const struct egress *egress, uint32_t address)
{
        const struct egress_link *link = egress->links;

        while (link != NULL && link->network.address != address)
                link = link->next;
        return link;
}

static bool addresses_valid(const struct egress *egress, const struct egress_open *asked)
{
        struct ipv4_range pool = network_pool(egress->network);

        if (asked->count == 0 || asked->ttl_s == 0 || asked->ttl_s > EGRESS_TTL_MAX_S)
                return false;
        for (uint32_t i = 0; i < asked->count; i++) {
                if (allow_is_never(asked->addresses[i]) || ipv4_range_has(&pool, asked->addresses[i]))
                        return false;
        }
        return true;
}

/* Whoever reads foreign bytes may lie: nothing of this is taken on trust. */
static void open_take(struct egress *egress, const struct egress_open *asked)
{
        struct egress_open answer = {.op = EGRESS_OPENED, .id = asked->id, .client = asked->client};
        const struct egress_link *link = link_find(egress, asked->client);
        struct err err;

        if (link != NULL && link->restricted && addresses_valid(egress, asked)) {
                if (network_link_open(egress->network, &link->network, asked->addresses, asked->count,
                                      asked->ttl_s, &err) == ERR_OK)
                        answer.count = asked->count;
                else
                        log_warning("%s", err.text);
        }
        if (!dns_send(egress, &answer, sizeof(answer)))
                log_debug("dispatch-dns does not read");
}

static void on_control_ready(struct events_source *source, uint32_t epoll_events)
{
        struct egress *egress = OWNER_OF(source, struct egress, control);
        union egress_frame frame;

        if (epoll_events & EPOLLOUT)
                dns_tell(egress);
        for (int i = 0; i < FRAMES_PER_TURN; i++) {
                ssize_t len = seqpacket_recv(egress->control_fd, &frame, sizeof(frame), MSG_DONTWAIT);
                if (len < 0 && errno == EAGAIN)
                        return;
                if (len == (ssize_t)sizeof(frame.open) && frame.op == EGRESS_OPEN &&
                    frame.open.count <= EGRESS_ADDRESSES_MAX) {
                        open_take(egress, &frame.open);
                        continue;
                }
                /* It has ended, or it speaks nonsense: then it is ended, and started again. */
                if (len > 0)
                        log_error("dispatch-dns says something unknown and is ended");
                (void)pidfd_send_signal(egress->pid_fd, SIGKILL, NULL, 0);
                dns_closed(egress);
                return;
        }
}

static enum err_code marker_make(const struct spawn *spawn, struct err *err)
{
        own_fd int fd = openat(spawn->state.fd, marker, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

        return fd < 0 ? err_disk(err, "make %s/%s", spawn->state.path, marker) : ERR_OK;
}

static void on_restore_again(struct events_timer *timer);

static void restore(struct egress *egress)
{
        struct err err;

        if (network_restore(egress->network, &err) == ERR_OK) {
                log_warning(
                        "somebody removed the rules of sandboxes' networks from this host; they are back");
                return;
        }
        log_error("somebody removed the rules of sandboxes' networks from this host, and sandboxes reach "
                  "nothing "
                  "until they are back: %s",
                  err.text);
        egress->again.fire = on_restore_again;
        events_timer_start(&egress->spawn->events, &egress->again, BACKOFF_MS_MAX);
}

static void on_restore_again(struct events_timer *timer)
{
        restore(OWNER_OF(timer, struct egress, again));
}

static void on_rules_changed(struct events_source *source, uint32_t epoll_events)
{
        struct egress *egress = OWNER_OF(source, struct egress, watch);

        (void)epoll_events;
        if (network_watch(egress->network))
                restore(egress);
}

static enum err_code router_make(struct egress *egress, struct err *err)
{
        struct spawn *spawn = egress->spawn;
        char name[STATE_CGROUP_NAME_MAX];

        if (spawn->dns_fd < 0)
                return err_set(err, ERR_SYSTEM, "network egress needs dispatch-dns beside dispatch-spawn");
        state_cgroup_name(&spawn->state, name);
        enum err_code code = marker_make(spawn, err);
        if (code == ERR_OK)
                code = network_create(name, &spawn->options.network_range, &egress->network, err);
        if (code != ERR_OK)
                return code;
        code = network_listen(egress->network, SOCK_DGRAM, DNS_PORT, &egress->sockets[0], err);
        if (code == ERR_OK)
                code = network_listen(egress->network, SOCK_STREAM, DNS_PORT, &egress->sockets[1], err);
        if (code == ERR_OK)
                code = events_add(&spawn->events, &egress->watch, network_watch_fd(egress->network), EPOLLIN,
                                  on_rules_changed, err);
        if (code == ERR_OK)
                code = dns_start(egress, err);
        if (code != ERR_OK)
                return code;
        if (network_is_dropped(egress->network))
                log_warning("the host's firewall drops what sandboxes with a network send (table ip filter, "
                            "chain "
                            "FORWARD, policy drop; Docker sets that): docs/network.md says what to allow");
        struct ipv4_range pool = network_pool(egress->network);
        char text[IPV4_TEXT_MAX];
        ipv4_range_format(&pool, text);
        log_info("network egress: sandboxes have addresses of %s", text);
        return ERR_OK;
}

static void router_destroy(struct egress *egress)
{
        struct events *events = &egress->spawn->events;

        events_timer_stop(events, &egress->restart);
        events_timer_stop(events, &egress->again);
        events_remove(events, &egress->exit);
        events_remove(events, &egress->watch);
        dns_closed(egress);
        if (egress->pid != 0) {
                (void)kill(egress->pid, SIGKILL);
                (void)waitpid(egress->pid, NULL, 0);
                close(take_fd(&egress->pid_fd));
                egress->pid = 0;
        }
        for (size_t i = 0; i < 2; i++) {
                if (egress->sockets[i] >= 0)
                        close(take_fd(&egress->sockets[i]));
        }
        network_destroy(egress->network);
        egress->network = NULL;
        egress->files_made = false;
        (void)unlinkat(egress->spawn->state.fd, marker, 0);
}

static enum err_code egress_create(struct spawn *spawn, struct err *err)
{
        struct egress *egress = calloc(1, sizeof(*egress));

        if (egress == NULL)
                return err_nomem(err);
        egress->spawn = spawn;
        egress->pid_fd = egress->control_fd = egress->sockets[0] = egress->sockets[1] = -1;
        egress->control.fd = egress->exit.fd = egress->watch.fd = -1;
        spawn->egress = egress;
        return ERR_OK;
}

/* What failed a moment ago is not tried again for each sandbox. */
static enum err_code router_ensure(struct spawn *spawn, struct err *err)
{
        enum err_code code = spawn->egress == NULL ? egress_create(spawn, err) : ERR_OK;
        struct egress *egress = spawn->egress;

        if (code != ERR_OK || egress->network != NULL)
                return code;
        if (egress->failed_ms != 0 && clock_mono_ms() - egress->failed_ms < EGRESS_AGAIN_MS)
                return err_set(err, egress->failure.code, "%s", egress->failure.text);
        code = router_make(egress, &egress->failure);
        if (code == ERR_OK)
                return ERR_OK;
        egress->failed_ms = clock_mono_ms();
        router_destroy(egress);
        return err_set(err, code, "%s", egress->failure.text);
}

/* The names of a list are dispatch-dns's, its ranges the kernel's. */
static enum err_code list_split(struct egress_link *link, const char *allow, struct network_ranges *ret,
                                struct err *err)
{
        ret->count = 0;
        for (const char *item = allow; *item != '\0'; item += strlen(item) + 1) {
                assert(ret->count < ALLOW_ITEMS_MAX);
                if (ipv4_range_parse(str_of(item), &ret->items[ret->count])) {
                        ret->count++;
                        continue;
                }
                size_t len = strlen(item) + 1;
                char *names = realloc(link->names, link->names_len + len);
                if (names == NULL)
                        return err_nomem(err);
                memcpy(names + link->names_len, item, len);
                link->names = names;
                link->names_len += len;
        }
        assert(link->names_len < EGRESS_NAMES_MAX);
        return ERR_OK;
}

static void link_free(struct egress_link *link)
{
        free(link->names);
        free(link);
}

enum err_code egress_link_make(struct spawn *spawn, const char *allow, struct egress_link **ret,
                               struct err *err)
{
        enum err_code code = router_ensure(spawn, err);
        struct network_ranges ranges;
        struct egress_link *link = code == ERR_OK ? calloc(1, sizeof(*link)) : NULL;

        if (code != ERR_OK)
                return code;
        if (link == NULL)
                return err_nomem(err);
        link->restricted = allow != NULL;
        if (allow != NULL)
                code = list_split(link, allow, &ranges, err);
        if (code == ERR_OK)
                code = network_link_make(spawn->egress->network, allow != NULL ? &ranges : NULL,
                                         &link->network, err);
        if (code != ERR_OK) {
                link_free(link);
                return code;
        }
        link->next = spawn->egress->links;
        spawn->egress->links = link;
        dns_tell(spawn->egress);
        *ret = link;
        return ERR_OK;
}

const struct network_link *egress_link_network(const struct egress_link *link)
{
        return &link->network;
}

void egress_link_destroy(struct spawn *spawn, struct egress_link *link)
{
        struct egress_client gone = {.op = EGRESS_GONE};

        if (link == NULL)
                return;
        for (struct egress_link **slot = &spawn->egress->links; *slot != NULL; slot = &(*slot)->next) {
                if (*slot == link) {
                        *slot = link->next;
                        break;
                }
        }
        /* When it does not get through, the address's next sandbox takes its place. */
        gone.address = link->network.address;
        if (link->announced)
                (void)dns_send(spawn->egress, &gone, sizeof(gone));
        network_link_finish(spawn->egress->network, &link->network);
        link_free(link);
}

static enum err_code file_write(int dir_fd, const char *path, const char *text, struct err *err)
{
        own_fd int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);

        if (fd < 0 || write(fd, text, strlen(text)) < 0)
                return err_disk(err, "make /%s for sandboxes", path);
        return ERR_OK;
}

enum err_code egress_files_write(const struct spawn *spawn, int dir_fd, struct err *err)
{
        char gateway[IPV4_TEXT_MAX], text[128];

        assert(spawn->egress != NULL && spawn->egress->network != NULL);
        ipv4_format(network_gateway(spawn->egress->network), gateway);
        snprintf(text, sizeof(text), "nameserver %s\noptions timeout:5 attempts:2\n", gateway);
        if (mkdirat(dir_fd, "etc", 0755) < 0 && errno != EEXIST)
                return err_disk(err, "make /etc for sandboxes");
        enum err_code code = file_write(dir_fd, "etc/resolv.conf", text, err);
        if (code == ERR_OK)
                code = file_write(dir_fd, "etc/hosts", "127.0.0.1 localhost sandbox\n", err);
        return code;
}

enum err_code egress_files_open(struct spawn *spawn, int *ret_fd, struct err *err)
{
        static const char folder[] = "egress";
        int parent = spawn->state.mnt_fd;

        if (mkdirat(parent, folder, 0755) < 0 && errno != EEXIST)
                return err_disk(err, "make %s/mnt/%s", spawn->state.path, folder);
        own_fd int fd = sys_open_beneath(parent, folder, O_RDONLY | O_DIRECTORY);
        if (fd < 0)
                return err_sys(err, "open %s/mnt/%s", spawn->state.path, folder);
        /* Once: sandboxes that run read them at any time. */
        enum err_code code = spawn->egress->files_made ? ERR_OK : egress_files_write(spawn, fd, err);
        if (code != ERR_OK)
                return code;
        spawn->egress->files_made = true;
        *ret_fd = take_fd(&fd);
        return ERR_OK;
}

void egress_clear(struct spawn *spawn)
{
        char name[STATE_CGROUP_NAME_MAX];
        struct err err;

        if (faccessat(spawn->state.fd, marker, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return;
        state_cgroup_name(&spawn->state, name);
        if (network_clear(name, &err) != ERR_OK)
                log_warning("what was left of sandboxes' networks could not be removed: %s", err.text);
        else
                (void)unlinkat(spawn->state.fd, marker, 0);
}

void egress_finish(struct spawn *spawn)
{
        struct egress *egress = spawn->egress;

        if (egress == NULL)
                return;
        while (egress->links != NULL)
                egress_link_destroy(spawn, egress->links);
        if (egress->network != NULL)
                router_destroy(egress);
        free(egress);
        spawn->egress = NULL;
}
