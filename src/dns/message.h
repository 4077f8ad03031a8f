/*
 * dns/message.h: messages of the domain name system (RFC 1035) as far as a forwarder looks at them: one
 * question, and the addresses in an answer. Both come from foreigners: a sandbox, and whatever a resolver
 * passes on. Nothing is allocated; a name's pointers are followed backwards only (section 4.1.4), so that
 * each reading ends.
 */
#ifndef DISPATCH_DNS_MESSAGE_H
#define DISPATCH_DNS_MESSAGE_H

#include "base/str.h"
#include "wire/egress.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        DNS_HEAD_BYTES = 12,
        DNS_NAME_MAX = 256, /* as text, with its NUL */
        DNS_QUERY_MAX = 512,
        DNS_UDP_MAX = 1232, /* what we offer and take by UDP (RFC 9715) */
        DNS_TCP_MAX = 65535,

        DNS_TYPE_A = 1,
        DNS_TYPE_AAAA = 28,
        DNS_TYPE_OPT = 41,
        DNS_TYPE_AXFR = 252, /* and up to ANY: transfers and the like */
        DNS_TYPE_ANY = 255,
        DNS_CLASS_IN = 1,

        DNS_NOERROR = 0,
        DNS_FORMERR = 1,
        DNS_SERVFAIL = 2,
        DNS_NXDOMAIN = 3,
        DNS_NOTIMP = 4,
        DNS_REFUSED = 5
};

/* A question. */
struct dns_query {
        uint16_t id;
        uint16_t type, class;
        bool recursion;
        bool extended;       /* it came with OPT (RFC 6891) */
        uint16_t udp_max;    /* what its sender takes by UDP */
        size_t question_len; /* bytes of the question behind the head */
        unsigned char question[DNS_NAME_MAX + 4];
        char name[DNS_NAME_MAX]; /* lower case, without the dot at its end; "" is the root */
};

/* False: it is none, or not one that a client may send; ret->id is set if there was one, for dns_refuse. */
bool dns_query_read(const unsigned char *bytes, size_t len, struct dns_query *ret);

/* The question as we send it on, under another id. Returns its length. */
size_t dns_query_write(const struct dns_query *query, uint16_t id, unsigned char out[DNS_QUERY_MAX]);

/* An answer without records. Returns its length. */
size_t dns_refuse(const struct dns_query *query, unsigned rcode, unsigned char out[DNS_QUERY_MAX]);
/* One that sends its reader to TCP. */
size_t dns_truncate(const struct dns_query *query, unsigned char out[DNS_QUERY_MAX]);

struct dns_answer {
        unsigned rcode;
        bool truncated;
        bool overfull;  /* more addresses than there is room for */
        uint32_t ttl_s; /* the least of the addresses' */
        size_t count;
        uint32_t addresses[EGRESS_ADDRESSES_MAX];
};

/*
 * Reads an answer to the query that was sent under `id`, whole: false when it is to another question, or not
 * well formed. Of one that is truncated only the head counts. Times to live above ttl_max_s are set to that,
 * in place, and the id to the query's.
 */
bool dns_answer_read(unsigned char *bytes, size_t len, const struct dns_query *query, uint16_t id,
                     uint32_t ttl_max_s, struct dns_answer *ret);

#endif
