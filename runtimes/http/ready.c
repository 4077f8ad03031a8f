/* runtimes/http/ready.c: see ready.h. */
#include "runtimes/http/ready.h"

#include "base/clock.h"
#include "base/own.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

enum { WAIT_MS_MIN = 1, WAIT_MS_MAX = 50, TABLE_MAX = 65536, PORTS_TEXT_MAX = 120 };

/* The next word of the line. */
static struct str word(struct str *line)
{
        *line = str_trim(*line, " ");
        return str_cut(line, ' ');
}

static bool port_of(struct str address, uint32_t *ret)
{
        uint8_t bytes[2];

        str_cut(&address, ':');
        if (address.len != 4 || !hex_decode(address, bytes))
                return false;
        *ret = (uint32_t)bytes[0] << 8 | bytes[1];
        return true;
}

static bool is_there(const char *list, uint32_t port)
{
        struct str rest = str_of(list);
        char text[8];

        snprintf(text, sizeof(text), "%u", port);
        while (rest.len > 0) {
                if (str_eq(str_trim(str_cut(&rest, ','), " "), str_of(text)))
                        return true;
        }
        return false;
}

void ready_ports(struct str table, char *out, size_t size)
{
        size_t used = strlen(out);

        str_cut(&table, '\n'); /* the headings */
        while (table.len > 0) {
                struct str line = str_cut(&table, '\n');
                uint32_t port;

                word(&line);
                struct str local = word(&line);
                word(&line);
                if (!str_eq(word(&line), STR("0A")) || !port_of(local, &port) || is_there(out, port))
                        continue;
                if (used + sizeof(", 65535") > size)
                        return;
                used += (size_t)snprintf(out + used, size - used, "%s%u", used > 0 ? ", " : "", port);
        }
}

static void read_ports(const char *path, char *out, size_t size)
{
        own_mem char *table = malloc(TABLE_MAX);
        own_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
        size_t len = 0;

        while (table != NULL && fd >= 0 && len < TABLE_MAX) {
                ssize_t n = read(fd, table + len, TABLE_MAX - len);
                if (n <= 0)
                        break;
                len += (size_t)n;
        }
        if (table != NULL)
                ready_ports((struct str){table, len}, out, size);
}

/* What the process does instead of listening there. */
static enum err_code not_ready(const struct service *service, uint64_t timeout_ms, const char *last,
                               struct err *err)
{
        char ports[PORTS_TEXT_MAX] = "";
        double seconds = (double)timeout_ms / 1000;

        if (last[0] != '\0')
                return err_set(err, ERR_TIMEOUT, "the image's process did not get ready within %.1f s: %s",
                               seconds, last);
        read_ports("/proc/net/tcp", ports, sizeof(ports));
        read_ports("/proc/net/tcp6", ports, sizeof(ports));
        if (ports[0] == '\0')
                return err_set(err, ERR_TIMEOUT, "nothing listens on port %u, which PORT names, after %.1f s",
                               service->command.port, seconds);
        return err_set(err, ERR_TIMEOUT,
                       "nothing listens on port %u, which PORT names, after %.1f s; the image listens on "
                       "port %s: let it read PORT, or say --env PORT=%.*s",
                       service->command.port, seconds, ports, (int)strcspn(ports, ","), ports);
}

/* One look. ERR_NOT_FOUND: not yet; `last` says why where it is known. */
static enum err_code look(struct service *service, char *last, size_t size, struct err *err)
{
        enum err_code code = service_connect(service, err);

        if (code != ERR_OK || !service->command.messages)
                return code;
        struct ask ask = {.method = STR("GET"), .target = STR("/healthz"), .host = STR("localhost")};
        struct answer answer;
        answer_init(&answer);
        code = service_exchange(service, &ask, &answer, err);
        if (code == ERR_OK && answer.status != 200)
                code = err_set(err, ERR_NOT_FOUND, "GET /healthz is answered with %d", answer.status);
        else if (code == ERR_BAD_REPLY || code == ERR_TOO_LARGE)
                code = err_wrap(err, ERR_NOT_FOUND, "GET /healthz");
        if (code == ERR_NOT_FOUND)
                snprintf(last, size, "%s", err->text);
        answer_finish(&answer);
        return code;
}

enum err_code ready_wait(struct service *service, uint64_t timeout_ms, struct err *err)
{
        uint64_t begun = clock_mono_ms(), step = WAIT_MS_MIN;
        char last[ERR_TEXT_MAX] = "";
        short events;

        for (;;) {
                enum err_code code = look(service, last, sizeof(last), err);
                if (code != ERR_NOT_FOUND)
                        return code;
                uint64_t spent = clock_mono_ms() - begun;
                if (timeout_ms > 0 && spent >= timeout_ms)
                        return not_ready(service, timeout_ms, last, err);
                code = service_wait(service, -1, 0, (int)step, &events, err);
                if (code != ERR_OK)
                        return code;
                step = step * 2 < WAIT_MS_MAX ? step * 2 : WAIT_MS_MAX;
        }
}
