/*
 * fuzz/dns_message.c: any bytes as a sandbox's question and as what a resolver says to it.
 *
 * The first byte is the length of the question, what follows it the answer. Properties: a question that was
 * read is written so that it reads as the same one; a refusal of whatever came is an answer to it; an answer
 * stays within its bounds, and reads the same once its times to live are cut.
 */
#include "dns/message.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ID = 0x1234, TTL_MAX_S = 3600 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_written(const struct dns_query *query)
{
        unsigned char bytes[DNS_QUERY_MAX];
        struct dns_query again;

        size_t len = dns_query_write(query, ID, bytes);
        assert(len >= DNS_HEAD_BYTES && len <= sizeof(bytes));
        assert(dns_query_read(bytes, len, &again));
        assert(again.id == ID && again.type == query->type && again.class == query->class);
        assert(again.extended == query->extended && strcmp(again.name, query->name) == 0);
        assert(again.question_len == query->question_len &&
               memcmp(again.question, query->question, query->question_len) == 0);
}

static void check_refused(const struct dns_query *query)
{
        unsigned char bytes[DNS_QUERY_MAX];
        struct dns_answer answer;

        size_t len = dns_refuse(query, DNS_NXDOMAIN, bytes);
        assert(len >= DNS_HEAD_BYTES && len <= query->udp_max);
        if (query->question_len > 0) {
                assert(dns_answer_read(bytes, len, query, query->id, TTL_MAX_S, &answer));
                assert(answer.rcode == DNS_NXDOMAIN && answer.count == 0 && !answer.truncated);
                len = dns_truncate(query, bytes);
                assert(dns_answer_read(bytes, len, query, query->id, TTL_MAX_S, &answer) && answer.truncated);
        }
}

static void check_answer(const uint8_t *data, size_t size, struct dns_query *query)
{
        struct dns_answer first, second;
        unsigned char *bytes = malloc(size + 1);

        assert(bytes != NULL);
        memcpy(bytes, data, size);
        query->id = ID; /* what a reader puts in its place is what it is asked for next */
        if (dns_answer_read(bytes, size, query, ID, TTL_MAX_S, &first)) {
                assert(first.count <= EGRESS_ADDRESSES_MAX && first.ttl_s <= TTL_MAX_S && first.rcode < 16);
                assert(dns_answer_read(bytes, size, query, ID, TTL_MAX_S, &second));
                assert(first.count == second.count && first.ttl_s == second.ttl_s);
        }
        free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct dns_query query;
        size_t len = size > 0 ? data[0] : 0;

        if (size < 1 + len)
                return 0;
        bool valid = dns_query_read(data + 1, len, &query);
        assert(strlen(query.name) < DNS_NAME_MAX && query.udp_max >= 512 && query.udp_max <= DNS_UDP_MAX);
        if (valid)
                check_written(&query);
        else
                query.question_len = 0;
        check_refused(&query);
        if (valid)
                check_answer(data + 1 + len, size - 1 - len, &query);
        return 0;
}
