/* sandbox/netlink.c: writes netlink messages and reads what the kernel says to them. */
#include "sandbox/netlink.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int netlink_open(int protocol)
{
        struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
        int on = 1;
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

        if (fd < 0)
                return -1;
        /* The acknowledgement of a refused request need not bring the request back. */
        if (setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)) < 0 ||
            connect(fd, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0) {
                close(fd);
                return -1;
        }
        return fd;
}

static void *room(struct netlink_request *request, size_t size)
{
        size_t aligned = NLMSG_ALIGN(size);

        assert(aligned <= sizeof(request->bytes) - request->used);
        void *at = request->bytes + request->used;
        memset(at, 0, aligned);
        request->used += aligned;
        return at;
}

static struct nlmsghdr *head_of(struct netlink_request *request)
{
        return (struct nlmsghdr *)(void *)(request->bytes + request->message);
}

/* After each addition: the last message ends where the request does. */
static void grown(struct netlink_request *request)
{
        head_of(request)->nlmsg_len = (uint32_t)(request->used - request->message);
}

void netlink_begin(struct netlink_request *request, uint16_t type, uint16_t flags, const void *body,
                   size_t size)
{
        request->message = request->used;
        struct nlmsghdr *head = room(request, sizeof(*head));
        head->nlmsg_type = type;
        head->nlmsg_flags = NLM_F_REQUEST | flags;
        memcpy(room(request, size), body, size);
        grown(request);
}

void netlink_put_bytes(struct netlink_request *request, const void *data, size_t size)
{
        memcpy(room(request, size), data, size);
        grown(request);
}

void netlink_put(struct netlink_request *request, uint16_t type, const void *data, size_t size)
{
        struct nlattr attribute = {.nla_len = (uint16_t)(NLA_HDRLEN + size), .nla_type = type};
        unsigned char *at = room(request, NLA_HDRLEN + size);

        memcpy(at, &attribute, sizeof(attribute));
        if (size > 0)
                memcpy(at + NLA_HDRLEN, data, size);
        grown(request);
}

void netlink_put_u32(struct netlink_request *request, uint16_t type, uint32_t value)
{
        netlink_put(request, type, &value, sizeof(value));
}

void netlink_put_text(struct netlink_request *request, uint16_t type, const char *text)
{
        netlink_put(request, type, text, strlen(text) + 1);
}

size_t netlink_nest(struct netlink_request *request, uint16_t type)
{
        size_t nest = request->used;

        netlink_put(request, type | NLA_F_NESTED, NULL, 0);
        return nest;
}

void netlink_nest_end(struct netlink_request *request, size_t nest)
{
        uint16_t len = (uint16_t)(request->used - nest);

        memcpy(request->bytes + nest, &len, sizeof(len)); /* nla_len comes first */
}

static int answer_read(int fd, void *buffer, size_t size, ssize_t *ret_len)
{
        ssize_t len;

        do {
                len = recv(fd, buffer, size, MSG_TRUNC);
        } while (len < 0 && errno == EINTR);
        if (len < 0)
                return -1;
        if ((size_t)len > size) {
                errno = EMSGSIZE;
                return -1;
        }
        *ret_len = len;
        return 0;
}

static int error_of(const struct nlmsghdr *head)
{
        struct nlmsgerr answer;

        if (head->nlmsg_len < NLMSG_LENGTH(sizeof(answer.error))) {
                errno = EBADMSG;
                return -1;
        }
        memcpy(&answer.error, NLMSG_DATA(head), sizeof(answer.error));
        if (answer.error == 0)
                return 0;
        errno = -answer.error;
        return -1;
}

/* What an earlier request has left: answers after the first. */
static void answers_discard(int fd)
{
        char byte;

        while (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno == EINTR)
                ;
}

int netlink_send(int fd, struct netlink_request *request)
{
        _Alignas(8) unsigned char buffer[NETLINK_BYTES_MAX];
        ssize_t len;

        answers_discard(fd);
        if (send(fd, request->bytes, request->used, 0) < 0)
                return -1;
        for (;;) {
                if (answer_read(fd, buffer, sizeof(buffer), &len) < 0)
                        return -1;
                const struct nlmsghdr *head = (const struct nlmsghdr *)(const void *)buffer;
                if (NLMSG_OK(head, (unsigned)len) && head->nlmsg_type == NLMSG_ERROR)
                        return error_of(head);
        }
}

/* What one datagram of a dump holds. 1: more is to come. */
static int dump_part(const unsigned char *buffer, ssize_t size,
                     void (*each)(const void *body, size_t size, void *arg), void *arg)
{
        const struct nlmsghdr *head = (const struct nlmsghdr *)(const void *)buffer;
        int len = (int)size;

        for (; NLMSG_OK(head, (unsigned)len); head = NLMSG_NEXT(head, len)) {
                if (head->nlmsg_type == NLMSG_DONE)
                        return 0;
                if (head->nlmsg_type == NLMSG_ERROR)
                        return error_of(head);
                each(NLMSG_DATA(head), NLMSG_PAYLOAD(head, 0), arg);
        }
        return 1;
}

int netlink_dump(int fd, struct netlink_request *request,
                 void (*each)(const void *body, size_t size, void *arg), void *arg)
{
        _Alignas(8) unsigned char buffer[NETLINK_DUMP_BYTES];
        ssize_t len;
        int result;

        answers_discard(fd);
        if (send(fd, request->bytes, request->used, 0) < 0)
                return -1;
        do {
                if (answer_read(fd, buffer, sizeof(buffer), &len) < 0)
                        return -1;
                result = dump_part(buffer, len, each, arg);
        } while (result > 0);
        return result;
}

const void *netlink_find(const void *data, size_t size, uint16_t type, size_t *ret_size)
{
        const unsigned char *at = data;
        struct nlattr attribute;

        while (size >= NLA_HDRLEN) {
                memcpy(&attribute, at, sizeof(attribute));
                if (attribute.nla_len < NLA_HDRLEN || attribute.nla_len > size)
                        return NULL;
                if ((attribute.nla_type & NLA_TYPE_MASK) == type) {
                        *ret_size = attribute.nla_len - NLA_HDRLEN;
                        return at + NLA_HDRLEN;
                }
                size_t step = NLA_ALIGN(attribute.nla_len);
                if (step >= size)
                        return NULL;
                at += step;
                size -= step;
        }
        return NULL;
}
