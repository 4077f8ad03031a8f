/* schema/format.c: the table of formats, and the small ones. */
#include "schema/format.h"
#include "schema/regex.h"
#include "schema/schema.h"

static bool format_json_pointer(struct str text)
{
        if (text.len > 0 && text.p[0] != '/')
                return false;
        for (size_t i = 0; i < text.len; i++) {
                if (text.p[i] == '~' && (i + 1 == text.len || (text.p[i + 1] != '0' && text.p[i + 1] != '1')))
                        return false;
        }
        return true;
}

static bool format_relative_json_pointer(struct str text)
{
        size_t at = 0;

        while (at < text.len && text.p[at] >= '0' && text.p[at] <= '9')
                at++;
        if (at == 0 || (at > 1 && text.p[0] == '0'))
                return false;
        struct str rest = str_slice(text, at, text.len);
        return str_eq(rest, STR("#")) || format_json_pointer(rest);
}

static bool format_regex(struct str text)
{
        struct regex *regex = NULL;
        bool valid = regex_compile(text, &regex, NULL) == ERR_OK;

        regex_free(regex);
        return valid;
}

static bool format_uuid(struct str text)
{
        return uuid_valid(text);
}

static const struct {
        const char *name;
        bool (*valid)(struct str text);
        bool not_draft7;
} formats[FORMAT_COUNT] = {
        [FORMAT_DATE_TIME] = {"date-time", format_date_time, false},
        [FORMAT_DATE] = {"date", format_date, false},
        [FORMAT_TIME] = {"time", format_time, false},
        [FORMAT_DURATION] = {"duration", format_duration, true},
        [FORMAT_EMAIL] = {"email", format_email, false},
        [FORMAT_IDN_EMAIL] = {"idn-email", format_idn_email, false},
        [FORMAT_HOSTNAME] = {"hostname", format_hostname, false},
        [FORMAT_IPV4] = {"ipv4", format_ipv4, false},
        [FORMAT_IPV6] = {"ipv6", format_ipv6, false},
        [FORMAT_URI] = {"uri", format_uri, false},
        [FORMAT_URI_REFERENCE] = {"uri-reference", format_uri_reference, false},
        [FORMAT_IRI] = {"iri", format_iri, false},
        [FORMAT_IRI_REFERENCE] = {"iri-reference", format_iri_reference, false},
        [FORMAT_URI_TEMPLATE] = {"uri-template", format_uri_template, false},
        [FORMAT_UUID] = {"uuid", format_uuid, true},
        [FORMAT_JSON_POINTER] = {"json-pointer", format_json_pointer, false},
        [FORMAT_RELATIVE_JSON_POINTER] = {"relative-json-pointer", format_relative_json_pointer, false},
        [FORMAT_REGEX] = {"regex", format_regex, false},
};

const char *const schema_formats[] = {
        "date-time",
        "date",
        "time",
        "duration",
        "email",
        "idn-email",
        "hostname",
        "ipv4",
        "ipv6",
        "uri",
        "uri-reference",
        "iri",
        "iri-reference",
        "uri-template",
        "uuid",
        "json-pointer",
        "relative-json-pointer",
        "regex",
        NULL,
};

enum format format_of(struct str name, bool draft7)
{
        for (size_t i = FORMAT_ANY + 1; i < FORMAT_COUNT; i++) {
                if (str_eq(name, str_of(formats[i].name)) && !(draft7 && formats[i].not_draft7))
                        return (enum format)i;
        }
        return FORMAT_ANY;
}

const char *format_name(enum format format)
{
        return formats[format].name;
}

bool format_valid(enum format format, struct str text)
{
        return format == FORMAT_ANY || formats[format].valid(text);
}
