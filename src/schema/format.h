/*
 * schema/format.h: the keyword `format`, where it is asserted (2020-12 validation, section 7.3).
 *
 * Known: date-time, date, time, duration (RFC 3339); email (RFC 5321), idn-email (RFC 6531); hostname (RFC
 * 1123); ipv4, ipv6 (RFC 2673, 4291); uri, uri-reference (RFC 3986), iri, iri-reference (RFC 3987);
 * uri-template (RFC 6570); uuid (RFC 4122); json-pointer (RFC 6901), relative-json-pointer; regex (ECMA-262).
 * draft-07 has no duration and no uuid. All others, idn-hostname among them, are annotations.
 */
#ifndef DISPATCH_SCHEMA_FORMAT_H
#define DISPATCH_SCHEMA_FORMAT_H

#include "base/str.h"

#include <stdbool.h>

enum format {
        FORMAT_ANY, /* not known, or not asserted */
        FORMAT_DATE_TIME,
        FORMAT_DATE,
        FORMAT_TIME,
        FORMAT_DURATION,
        FORMAT_EMAIL,
        FORMAT_IDN_EMAIL,
        FORMAT_HOSTNAME,
        FORMAT_IPV4,
        FORMAT_IPV6,
        FORMAT_URI,
        FORMAT_URI_REFERENCE,
        FORMAT_IRI,
        FORMAT_IRI_REFERENCE,
        FORMAT_URI_TEMPLATE,
        FORMAT_UUID,
        FORMAT_JSON_POINTER,
        FORMAT_RELATIVE_JSON_POINTER,
        FORMAT_REGEX,
        FORMAT_COUNT
};

enum format format_of(struct str name, bool draft7);
const char *format_name(enum format format);
bool format_valid(enum format format, struct str text);

/* format_time.c, format_net.c, format_uri.c */
bool format_date_time(struct str text);
bool format_date(struct str text);
bool format_time(struct str text);
bool format_duration(struct str text);
bool format_email(struct str text);
bool format_idn_email(struct str text);
bool format_hostname(struct str text);
bool format_ipv4(struct str text);
bool format_ipv6(struct str text);
bool format_uri(struct str text);
bool format_uri_reference(struct str text);
bool format_iri(struct str text);
bool format_iri_reference(struct str text);
bool format_uri_template(struct str text);

#endif
