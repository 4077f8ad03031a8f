/* dns/message.c: reads and writes messages; see message.h. */
#include "dns/message.h"

#include <string.h>

enum {
        FLAG_RESPONSE = 0x8000,
        FLAG_OPCODE = 0x7800,
        FLAG_TRUNCATED = 0x0200,
        FLAG_RECURSION = 0x0100,
        FLAG_AVAILABLE = 0x0080,
        RCODE = 0x000f,
        LABEL_POINTER = 0xc0,
        LABEL_MAX = 63,
        WIRE_NAME_MAX = 255,
        RECORD_HEAD = 10, /* behind its name */
        UDP_LEAST = 512,
        RECORDS_MAX = 2048
};

struct reader {
        const unsigned char *bytes;
        size_t len, at;
        bool bad;
};

static uint16_t u16_at(const unsigned char *at)
{
        return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t u32_at(const unsigned char *at)
{
        return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void u16_put(unsigned char *at, unsigned value)
{
        at[0] = (unsigned char)(value >> 8);
        at[1] = (unsigned char)value;
}

static void u32_put(unsigned char *at, uint32_t value)
{
        u16_put(at, value >> 16);
        u16_put(at + 2, value & 0xffff);
}

static bool has(struct reader *reader, size_t count)
{
        if (reader->len - reader->at < count)
                reader->bad = true;
        return !reader->bad;
}

/* One label at `at`, appended to the name. */
static bool label_append(const unsigned char *label, size_t len, char *name, size_t *used)
{
        if (*used > 0)
                name[(*used)++] = '.';
        for (size_t i = 0; i < len; i++) {
                unsigned char c = label[i];
                /* A dot or a blank inside a label is no name of a host; the text could not tell it apart. */
                if (c <= ' ' || c == '.' || c >= 0x7f)
                        return false;
                name[(*used)++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        }
        return true;
}

/* A name without pointers, as a question has it. */
static bool question_name(struct reader *reader, char name[DNS_NAME_MAX])
{
        size_t start = reader->at, used = 0;

        for (;;) {
                if (!has(reader, 1))
                        return false;
                size_t len = reader->bytes[reader->at++];
                if (len == 0)
                        break;
                if (len > LABEL_MAX || !has(reader, len) || reader->at + len - start >= WIRE_NAME_MAX)
                        return false;
                if (!label_append(reader->bytes + reader->at, len, name, &used))
                        return false;
                reader->at += len;
        }
        name[used] = '\0';
        return true;
}

/* Steps over a name of a record. Where a pointer leads is checked too: strictly backwards. */
static void name_skip(struct reader *reader)
{
        size_t at = reader->at, end = 0, lowest = reader->at, total = 0;

        for (;;) {
                if (at >= reader->len)
                        break;
                size_t len = reader->bytes[at];
                if ((len & LABEL_POINTER) == LABEL_POINTER) {
                        if (at + 2 > reader->len)
                                break;
                        size_t to = u16_at(reader->bytes + at) & 0x3fff;
                        if (end == 0)
                                end = at + 2;
                        if (to >= lowest || to < DNS_HEAD_BYTES)
                                break;
                        at = lowest = to;
                        continue;
                }
                if (len > LABEL_MAX || (total += len + 1) > WIRE_NAME_MAX)
                        break;
                at += len + 1;
                if (len == 0) {
                        reader->at = end != 0 ? end : at;
                        reader->bad = reader->bad || reader->at > reader->len;
                        return;
                }
        }
        reader->bad = true;
}

struct record {
        uint16_t type, class;
        size_t ttl_at;
        uint32_t ttl_s;
        const unsigned char *data;
        size_t data_len;
};

static bool record_read(struct reader *reader, struct record *ret)
{
        name_skip(reader);
        if (!has(reader, RECORD_HEAD))
                return false;
        const unsigned char *head = reader->bytes + reader->at;
        *ret = (struct record){.type = u16_at(head),
                               .class = u16_at(head + 2),
                               .ttl_at = reader->at + 4,
                               .ttl_s = u32_at(head + 4),
                               .data = head + RECORD_HEAD,
                               .data_len = u16_at(head + 8)};
        reader->at += RECORD_HEAD;
        if (!has(reader, ret->data_len))
                return false;
        reader->at += ret->data_len;
        return true;
}

/* What may follow the question: one OPT of version 0. */
static bool extension_read(struct reader *reader, unsigned count, struct dns_query *ret)
{
        struct record record;

        for (unsigned i = 0; i < count; i++) {
                if (!record_read(reader, &record))
                        return false;
                if (record.type != DNS_TYPE_OPT)
                        continue;
                if (ret->extended || (record.ttl_s >> 16 & 255) != 0)
                        return false;
                ret->extended = true;
                ret->udp_max = record.class < UDP_LEAST     ? UDP_LEAST
                               : record.class > DNS_UDP_MAX ? DNS_UDP_MAX
                                                            : record.class;
        }
        return true;
}

bool dns_query_read(const unsigned char *bytes, size_t len, struct dns_query *ret)
{
        struct reader reader = {.bytes = bytes, .len = len, .at = DNS_HEAD_BYTES};

        memset(ret, 0, sizeof(*ret));
        ret->udp_max = UDP_LEAST; /* for a refusal */
        if (len < DNS_HEAD_BYTES || len > DNS_QUERY_MAX)
                return false;
        uint16_t flags = u16_at(bytes + 2);
        ret->id = u16_at(bytes);
        ret->recursion = (flags & FLAG_RECURSION) != 0;
        if ((flags & (FLAG_RESPONSE | FLAG_OPCODE | FLAG_TRUNCATED)) != 0 || u16_at(bytes + 4) != 1 ||
            u16_at(bytes + 6) != 0 || u16_at(bytes + 8) != 0 || u16_at(bytes + 10) > 2)
                return false;
        if (!question_name(&reader, ret->name) || !has(&reader, 4)) {
                ret->name[0] = '\0';
                return false;
        }
        ret->type = u16_at(bytes + reader.at);
        ret->class = u16_at(bytes + reader.at + 2);
        reader.at += 4;
        ret->question_len = reader.at - DNS_HEAD_BYTES;
        memcpy(ret->question, bytes + DNS_HEAD_BYTES, ret->question_len);
        return extension_read(&reader, u16_at(bytes + 10), ret);
}

static size_t opt_write(unsigned char *out)
{
        memset(out, 0, 1 + RECORD_HEAD); /* the root's name, no flags, no options */
        u16_put(out + 1, DNS_TYPE_OPT);
        u16_put(out + 3, DNS_UDP_MAX);
        return 1 + RECORD_HEAD;
}

static size_t message_write(const struct dns_query *query, uint16_t id, unsigned flags,
                            unsigned char out[DNS_QUERY_MAX])
{
        size_t len = DNS_HEAD_BYTES + query->question_len;

        memset(out, 0, DNS_HEAD_BYTES);
        u16_put(out, id);
        u16_put(out + 2, flags);
        u16_put(out + 4, query->question_len > 0);
        memcpy(out + DNS_HEAD_BYTES, query->question, query->question_len);
        if (query->extended) {
                u16_put(out + 10, 1);
                len += opt_write(out + len);
        }
        return len;
}

size_t dns_query_write(const struct dns_query *query, uint16_t id, unsigned char out[DNS_QUERY_MAX])
{
        return message_write(query, id, FLAG_RECURSION, out);
}

static unsigned response_flags(const struct dns_query *query)
{
        return FLAG_RESPONSE | FLAG_AVAILABLE | (query->recursion ? FLAG_RECURSION : 0);
}

size_t dns_refuse(const struct dns_query *query, unsigned rcode, unsigned char out[DNS_QUERY_MAX])
{
        return message_write(query, query->id, response_flags(query) | rcode, out);
}

size_t dns_truncate(const struct dns_query *query, unsigned char out[DNS_QUERY_MAX])
{
        return message_write(query, query->id, response_flags(query) | FLAG_TRUNCATED, out);
}

static bool question_same(const unsigned char *bytes, const struct dns_query *query)
{
        /* Resolvers may change the case of letters; the type and class are below 'A' or compared as they are.
         */
        return str_eq_nocase((struct str){(const char *)bytes, query->question_len - 4},
                             (struct str){(const char *)query->question, query->question_len - 4}) &&
               memcmp(bytes + query->question_len - 4, query->question + query->question_len - 4, 4) == 0;
}

static void address_take(const struct record *record, struct dns_answer *ret)
{
        if (ret->count == EGRESS_ADDRESSES_MAX) {
                ret->overfull = true;
                return;
        }
        ret->addresses[ret->count++] = u32_at(record->data);
        if (record->ttl_s < ret->ttl_s)
                ret->ttl_s = record->ttl_s;
}

bool dns_answer_read(unsigned char *bytes, size_t len, const struct dns_query *query, uint16_t id,
                     uint32_t ttl_max_s, struct dns_answer *ret)
{
        struct reader reader = {.bytes = bytes, .len = len, .at = DNS_HEAD_BYTES + query->question_len};
        struct record record;

        *ret = (struct dns_answer){.ttl_s = ttl_max_s};
        if (query->question_len < 5 || len < reader.at || u16_at(bytes) != id || u16_at(bytes + 4) != 1)
                return false;
        uint16_t flags = u16_at(bytes + 2);
        if ((flags & FLAG_RESPONSE) == 0 || (flags & FLAG_OPCODE) != 0 ||
            !question_same(bytes + DNS_HEAD_BYTES, query))
                return false;
        ret->rcode = flags & RCODE;
        ret->truncated = (flags & FLAG_TRUNCATED) != 0;
        if (ret->truncated)
                return true; /* it is asked again by TCP, whatever came */
        unsigned answers = u16_at(bytes + 6);
        unsigned records = answers + u16_at(bytes + 8) + u16_at(bytes + 10);
        if (records > RECORDS_MAX)
                return false;
        for (unsigned i = 0; i < records; i++) {
                if (!record_read(&reader, &record))
                        return false;
                if (record.type == DNS_TYPE_OPT)
                        continue;
                if (record.ttl_s > ttl_max_s)
                        u32_put(bytes + record.ttl_at, ttl_max_s);
                if (record.type != DNS_TYPE_A || record.class != DNS_CLASS_IN)
                        continue;
                if (record.data_len != 4)
                        return false;
                if (i < answers)
                        address_take(&record, ret);
        }
        u16_put(bytes, query->id);
        return reader.at == len;
}
