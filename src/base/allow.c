/* base/allow.c: items of allow-lists, and the addresses that are on none. */
#include "base/allow.h"

#define ADDRESS(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

enum { HOST_MAX = 253, LABEL_MAX = 63 };

const struct ipv4_range allow_never[] = {
        {ADDRESS(0, 0, 0, 0), 8},          /* this host */
        {ADDRESS(100, 100, 100, 200), 32}, /* metadata: Alibaba Cloud */
        {ADDRESS(127, 0, 0, 0), 8},        /* loopback */
        {ADDRESS(168, 63, 129, 16), 32},   /* Azure's host */
        {ADDRESS(169, 254, 0, 0), 16},     /* the link; metadata: AWS, Azure, Google, OpenStack */
        {ADDRESS(192, 0, 0, 0), 24},       /* protocol assignments; metadata: Oracle */
        {ADDRESS(224, 0, 0, 0), 4},        /* multicast */
        {ADDRESS(240, 0, 0, 0), 4},        /* reserved, broadcast */
};
const size_t allow_never_count = sizeof(allow_never) / sizeof(allow_never[0]);

bool allow_is_never(uint32_t address)
{
        for (size_t i = 0; i < allow_never_count; i++) {
                if (ipv4_range_has(&allow_never[i], address))
                        return true;
        }
        return false;
}

bool allow_range_is_never(const struct ipv4_range *range)
{
        for (size_t i = 0; i < allow_never_count; i++) {
                if (allow_never[i].prefix <= range->prefix && ipv4_range_has(&allow_never[i], range->address))
                        return true;
        }
        return false;
}

static bool label_valid(struct str label)
{
        if (label.len == 0 || label.len > LABEL_MAX || label.p[0] == '-' || label.p[label.len - 1] == '-')
                return false;
        for (size_t i = 0; i < label.len; i++) {
                char c = label.p[i];
                if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_'))
                        return false;
        }
        return true;
}

bool allow_host_valid(struct str host)
{
        bool letter = false;

        if (str_starts(host, STR("*.")))
                host = str_slice(host, 2, host.len);
        if (host.len == 0 || host.len > HOST_MAX || host.p[host.len - 1] == '.')
                return false;
        while (host.len > 0) {
                struct str label = str_cut(&host, '.');
                if (!label_valid(label))
                        return false;
                /* The last label of a name is no number (RFC 1123), else it would be an address. */
                letter = label.p[0] < '0' || label.p[0] > '9';
        }
        return letter;
}

bool allow_host_matches(struct str pattern, struct str name)
{
        if (name.len > 0 && name.p[name.len - 1] == '.')
                name = str_slice(name, 0, name.len - 1);
        if (!str_starts(pattern, STR("*.")))
                return str_eq_nocase(pattern, name);
        struct str below = str_slice(pattern, 1, pattern.len);
        return name.len > below.len && str_eq_nocase(str_slice(name, name.len - below.len, name.len), below);
}
