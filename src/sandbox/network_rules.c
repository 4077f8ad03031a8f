/* sandbox/network_rules.c: the rules of the router and of the host, and nft, which reads them. */
#include "sandbox/network_rules.h"

#include "base/allow.h"
#include "base/clock.h"
#include "base/own.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MESSAGE_MAX = 4096, REASON_MAX = 200 };

/* Text of known size: what does not fit is a mistake of ours. */
struct text {
        char *out;
        size_t used;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
        int len = vsnprintf(text->out + text->used, NETWORK_RULES_MAX - text->used, fmt, args);
        va_end(args);
        assert(len >= 0 && (size_t)len < NETWORK_RULES_MAX - text->used);
        text->used += (size_t)len;
}

static void add_range(struct text *text, const struct ipv4_range *range)
{
        char words[IPV4_TEXT_MAX];

        ipv4_range_format(range, words);
        add(text, "%s", words);
}

static void add_forbidden(struct text *text, const struct ipv4_range *pool)
{
        add(text, "  set forbidden { type ipv4_addr; flags interval; auto-merge; elements = { ");
        for (size_t i = 0; i < allow_never_count; i++) {
                add_range(text, &allow_never[i]);
                add(text, ", ");
        }
        add_range(text, pool);
        add(text, " }; }\n");
}

#define PROHIBITED "reject with icmpx admin-prohibited"

void network_rules_router(const struct ipv4_range *pool, char out[NETWORK_RULES_MAX])
{
        struct text text = {.out = out};
        char gateway[IPV4_TEXT_MAX];

        ipv4_format(pool->address + 1, gateway);
        add(&text, "table inet " NETWORK_TABLE " {\n");
        add_forbidden(&text, pool);
        add(&text, "  set names { type iface_index . ipv4_addr; flags timeout; size 65536; }\n"
                   "  set ranges { type devgroup . ipv4_addr; flags interval; size 65536; }\n"
                   "  set begun { type ipv4_addr; flags dynamic,timeout; timeout 1m; size 32768; }\n"
                   "  set asked { type ipv4_addr; flags dynamic,timeout; timeout 1m; size 32768; }\n"
                   "  set open { type ipv4_addr; flags dynamic; size 32768; }\n"
                   /* A packet comes from the interface that its source is routed to, or not at all. */
                   "  chain origin { type filter hook prerouting priority raw; policy drop;\n"
                   "    meta nfproto != ipv4 drop\n"
                   "    iifname \"up\" accept\n"
                   "    iifname \"s*\" fib saddr . iif oif exists accept\n"
                   "    iifname \"a*\" fib saddr . iif oif exists accept\n"
                   "  }\n"
                   "  chain forward { type filter hook forward priority filter; policy drop;\n"
                   "    ct state invalid drop\n"
                   "    ct state established,related accept\n"
                   "    iifname \"s*\" oifname \"up\" jump outside\n"
                   "    iifname \"a*\" oifname \"up\" jump listed\n"
                   "    iifname != \"up\" " PROHIBITED "\n"
                   "  }\n"
                   "  chain listed {\n"
                   "    meta iif . ip daddr @names jump outside\n"
                   "    meta iifgroup . ip daddr @ranges jump outside\n"
                   "    " PROHIBITED "\n"
                   "  }\n");
        add(&text,
            "  chain outside {\n"
            "    ip daddr @forbidden " PROHIBITED "\n"
            "    update @begun { ip saddr limit rate over 200/second burst 1000 packets } " PROHIBITED "\n"
            "    add @open { ip saddr ct count over %d } " PROHIBITED "\n"
            "    accept\n"
            "  }\n"
            "  chain input { type filter hook input priority filter; policy drop;\n"
            "    iifname \"up\" drop\n"
            "    update @asked { ip saddr limit rate over 500/second burst 1000 packets } drop\n"
            "    ip daddr %s meta l4proto { tcp, udp } th dport 53 accept\n"
            "    ip daddr %s icmp type echo-request accept\n"
            "    ct state established,related accept\n"
            "    " PROHIBITED "\n"
            "  }\n"
            "  chain output { type filter hook output priority filter; policy drop;\n"
            "    ct state established,related accept\n"
            "    meta l4proto icmp accept\n"
            "  }\n"
            "}\n",
            NETWORK_CONNECTIONS_MAX, gateway, gateway);
}

void network_rules_host(const struct network_names *names, const struct ipv4_range *pool,
                        char out[NETWORK_RULES_MAX])
{
        struct text text = {.out = out};
        const char *up = names->uplink;

        network_rules_remove(names, out);
        text.used = strlen(out);
        add(&text, "table inet %s {\n", names->table);
        add_forbidden(&text, pool);
        /* Before anybody's translation of destinations: a port that the host publishes is the host. */
        add(&text,
            "  chain origin { type filter hook prerouting priority mangle; policy accept;\n"
            "    iifname != \"%s\" accept\n"
            "    meta nfproto != ipv4 drop\n"
            "    ip saddr != ",
            up);
        add_range(&text, pool);
        add(&text,
            " drop\n"
            "    ip daddr @forbidden " PROHIBITED "\n"
            "    fib daddr type != unicast " PROHIBITED "\n"
            "  }\n"
            "  chain input { type filter hook input priority filter; policy accept;\n"
            "    iifname \"%s\" drop\n"
            "  }\n"
            "  chain forward { type filter hook forward priority filter; policy accept;\n"
            "    oifname \"%s\" ct state established,related accept\n"
            "    oifname \"%s\" " PROHIBITED "\n"
            "    iifname \"%s\" tcp flags syn tcp option maxseg size set rt mtu\n"
            "  }\n"
            "  chain output { type filter hook output priority filter; policy accept;\n"
            "    oifname \"%s\" meta l4proto icmp ct state established,related accept\n"
            "    oifname \"%s\" drop\n"
            "  }\n"
            "  chain leave { type nat hook postrouting priority srcnat; policy accept;\n"
            "    oifname != \"%s\" ip saddr ",
            up, up, up, up, up, up, up);
        add_range(&text, pool);
        add(&text, " masquerade\n  }\n}\n");
}

void network_rules_remove(const struct network_names *names, char out[NETWORK_RULES_MAX])
{
        snprintf(out, NETWORK_RULES_MAX, "add table inet %s\ndelete table inet %s\n", names->table,
                 names->table);
}

/* Between fork and exec. */
_Noreturn static void nft_run(int ns_fd, char *const argv[], int text_fd, int message_fd)
{
        static const char *const places[] = {"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft",
                                             "/usr/local/sbin/nft"};
        char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C", NULL};
        sigset_t none;

        sigemptyset(&none);
        if (setns(ns_fd, CLONE_NEWNET) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ||
            sigprocmask(SIG_SETMASK, &none, NULL) < 0 || dup2(text_fd, STDIN_FILENO) < 0 ||
            dup2(message_fd, STDOUT_FILENO) < 0 || dup2(message_fd, STDERR_FILENO) < 0 ||
            close_range(STDERR_FILENO + 1, ~0U, 0) < 0)
                _exit(126);
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
                execve(places[i], argv, environment);
        _exit(errno == ENOENT ? 127 : 126);
}

/* How it begins, until the end of the pipe: nft is gone by then, or is to be. */
static bool message_read(int fd, char out[MESSAGE_MAX])
{
        uint64_t end = clock_mono_ms() + NETWORK_NFT_MS;
        char rest[512];
        size_t used = 0;

        for (;;) {
                struct pollfd more = {.fd = fd, .events = POLLIN};
                uint64_t now = clock_mono_ms();
                if (now >= end || poll(&more, 1, (int)(end - now)) <= 0)
                        return false;
                ssize_t got = read(fd, rest, sizeof(rest));
                if (got <= 0)
                        break;
                size_t take = (size_t)got < MESSAGE_MAX - 1 - used ? (size_t)got : MESSAGE_MAX - 1 - used;
                memcpy(out + used, rest, take);
                used += take;
        }
        out[used] = '\0';
        return true;
}

/* Runs it to its end; what it said is in `message`. ERR_TIMEOUT: it was killed. */
static enum err_code nft(int ns_fd, char *const argv[], int text_fd, char message[MESSAGE_MAX],
                         pid_t *ret_pid, int *ret_status, struct err *err)
{
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
                return err_sys(err, "make a pipe for nft");
        own_fd int in = ends[0], out = ends[1];
        pid_t pid = fork();
        if (pid < 0)
                return err_sys(err, "fork for nft");
        if (pid == 0)
                nft_run(ns_fd, argv, text_fd, out);
        close(take_fd(&out));
        bool ended = message_read(in, message);
        if (!ended)
                (void)kill(pid, SIGKILL);
        while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
                ;
        if (!ended)
                return err_set(err, ERR_TIMEOUT, "network egress: nft did not end within %d s",
                               NETWORK_NFT_MS / 1000);
        if (ret_pid != NULL)
                *ret_pid = pid;
        return ERR_OK;
}

static int text_file(const char *text)
{
        own_fd int fd = memfd_create("nft", MFD_CLOEXEC);
        size_t len = strlen(text);

        if (fd < 0 || write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) < 0)
                return -1;
        return take_fd(&fd);
}

static enum err_code nft_ended(int status, const char *message, struct err *err)
{
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return ERR_OK;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
                return err_set(err, ERR_SYSTEM,
                               "network egress needs the program nft: install the package nftables");
        if (strstr(message, "Operation not permitted") != NULL)
                return err_set(err, ERR_SYSTEM,
                               "network egress needs the right to change the network (CAP_NET_ADMIN) on this "
                               "host: nft: %.*s",
                               REASON_MAX, message);
        return err_set(
                err, ERR_SYSTEM,
                "network egress: nft does not take its rules (does the kernel have nf_tables, nft_fib, "
                "nft_connlimit and nft_masq?): %s",
                message);
}

enum err_code network_rules_load(int ns_fd, const char *text, pid_t *ret_pid, struct err *err)
{
        static char *const argv[] = {"nft", "-f", "-", NULL};
        char message[MESSAGE_MAX] = "";
        int status;

        own_fd int text_fd = text_file(text);
        if (text_fd < 0)
                return err_sys(err, "give nft its rules");
        enum err_code code = nft(ns_fd, argv, text_fd, message, ret_pid, &status, err);
        if (code != ERR_OK)
                return code == ERR_TIMEOUT ? err_wrap(err, ERR_SYSTEM, "load rules") : code;
        message[strcspn(message, "\n")] = '\0';
        return nft_ended(status, message, err);
}

/* Whether that chain of the table that iptables keeps has the words. */
static bool chain_has(int ns_fd, const char *chain, const char *words)
{
        char name[32], message[MESSAGE_MAX] = "";
        char *const argv[] = {"nft", "list", "chain", "ip", "filter", name, NULL};
        int status;

        snprintf(name, sizeof(name), "%s", chain);
        own_fd int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        return null_fd >= 0 && nft(ns_fd, argv, null_fd, message, NULL, &status, NULL) == ERR_OK &&
               status == 0 && strstr(message, words) != NULL;
}

bool network_rules_dropped(int ns_fd)
{
        /* Their rules may let us through: then there is one that names our interfaces. */
        return chain_has(ns_fd, "FORWARD", "policy drop") && !chain_has(ns_fd, "FORWARD", "\"dp") &&
               !chain_has(ns_fd, "DOCKER-USER", "\"dp");
}
