/* api/openapi.c: the description of the API as one document. */
#include "api/openapi.h"
#include "api/internal.h"

#include "base/own.h"

#include <sodium.h>
#include <stdio.h>

enum { OPENAPI_BYTES_MAX = 1 << 20 };

static const char about[] =
        "The API of a Dispatch server, for the clients of all versions of Dispatch. The rules that hold for "
        "all "
        "operations (errors, names of fields, organizations and projects, revisions and conditions, tags and "
        "pages) are in docs/api.md. Unknown keys of a body and unknown parameters are passed over; `null` "
        "says "
        "the same as a key that is absent. Paths of a collection are the same with a slash at their end. "
        "Below "
        "/v1/event, /v1/eventdrivers, /v1/iam, /v1/application, /v1/serviceclass and /v1/serviceinstance "
        "this "
        "version answers 501.";

static json_t *info(void)
{
        return json_pack("{s:s, s:s, s:s, s:{s:s, s:s}}", "title", "Dispatch", "version", DISPATCH_VERSION,
                         "description", about, "license", "name", "Apache-2.0", "identifier", "Apache-2.0");
}

/* The table of contract 6.1, as a schema. */
static json_t *error_schema(void)
{
        return json_pack(
                "{s:s, s:[s, s], s:{s:{s:s, s:s}, s:{s:s, s:s}}}", "type", "object", "required", "code",
                "message", "properties", "code", "type", "integer", "description",
                "The HTTP status; with a 422: 601 type of a parameter, 602 required, 603 too long, 604 "
                "too short, 605 pattern, 606 value or range.",
                "message", "type", "string", "description", "What is wrong, in one line.");
}

static json_t *version_schema(struct openapi *openapi)
{
        static const char *const names[] = {"version",   "commit",   "buildDate",
                                            "goVersion", "compiler", "platform"};
        json_t *properties = json_object();

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                openapi_put(openapi, properties, names[i], json_pack("{s:s}", "type", "string"));
        return json_pack("{s:s, s:[s], s:o}", "type", "object", "required", "version", "properties",
                         properties);
}

static json_t *schemas(struct openapi *openapi)
{
        json_t *all = json_object();

        for (int kind = 0; kind < MODEL_KIND_COUNT; kind++) {
                const struct model_resource *resource = model_resource((enum model_kind)kind);

                openapi_put(openapi, all, resource->kind_name, openapi_schema(openapi, resource));
        }
        openapi_put(openapi, all, "Error", error_schema());
        openapi_put(openapi, all, "Version", version_schema(openapi));
        return all;
}

static json_t *security_schemes(void)
{
        return json_pack("{s:{s:s, s:s, s:s, s:s}, s:{s:s, s:s, s:s, s:s}}", "bearer", "type", "http",
                         "scheme", "bearer", "bearerFormat", "JWT", "description",
                         "A token, or the JWT of a service account.", "cookie", "type", "apiKey", "in",
                         "header", "name", "Cookie", "description",
                         "The cookie of a login; `unset` counts as none.");
}

static json_t *document_make(struct openapi *openapi)
{
        json_t *document = json_object(), *components = json_object();

        openapi_put(openapi, document, "openapi", json_string("3.1.0"));
        openapi_put(openapi, document, "info", info());
        openapi_put(openapi, document, "servers", json_pack("[{s:s}]", "url", "/"));
        openapi_put(openapi, document, "security", json_pack("[{s:[]}, {s:[]}, {}]", "bearer", "cookie"));
        openapi_put(openapi, document, "paths", openapi_paths(openapi));
        openapi_put(openapi, components, "schemas", schemas(openapi));
        openapi_put(openapi, components, "parameters", openapi_parameters(openapi));
        openapi_put(openapi, components, "headers", openapi_headers());
        openapi_put(openapi, components, "securitySchemes", security_schemes());
        openapi_put(openapi, document, "components", components);
        return document;
}

enum err_code api_openapi(struct buf *out, struct err *err)
{
        struct openapi openapi = {0};
        own_json json_t *document = document_make(&openapi);

        if (document == NULL || openapi.failed)
                return err_nomem(err);
        return model_print_json(document, true, out, err);
}

enum err_code api_openapi_init(struct api *api, struct err *err)
{
        unsigned char digest[16];
        char hex[2 * sizeof(digest) + 1];

        buf_init(&api->openapi, OPENAPI_BYTES_MAX);
        enum err_code code = api_openapi(&api->openapi, err);
        if (code != ERR_OK)
                return code;
        crypto_generichash(digest, sizeof(digest), (const unsigned char *)api->openapi.data, api->openapi.len,
                           NULL, 0);
        hex_encode(digest, sizeof(digest), hex);
        hex[sizeof(hex) - 1] = '\0';
        snprintf(api->openapi_etag, sizeof(api->openapi_etag), "\"%s\"", hex);
        return ERR_OK;
}
