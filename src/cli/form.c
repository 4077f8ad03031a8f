/* cli/form.c: the columns of each kind's table: SEED's, for an API SOLO's, and behind them those of -o wide.
 */
#include "cli/form.h"

const struct form form_base_image = {
        .columns = {{"NAME", COLUMN_TEXT, "name"},
                    {"URL", COLUMN_TEXT, "dockerUrl"},
                    {"STATUS", COLUMN_TEXT, "status"},
                    {"CREATED DATE", COLUMN_TIME, "createdTime"},
                    {"LANGUAGE", COLUMN_TEXT, "language"},
                    {"REASON", COLUMN_JOINED, "reason"},
                    {"REGISTRY SECRET", COLUMN_TEXT, "registrySecret"}},
        .narrow = 4,
        .wide = 7,
};

const struct form form_image = {
        .columns = {{"NAME", COLUMN_TEXT, "name"},
                    {"DESTINATION", COLUMN_TEXT, "imageDestination"},
                    {"BASEIMAGE", COLUMN_TEXT, "baseImageName"},
                    {"STATUS", COLUMN_TEXT, "status"},
                    {"CREATED DATE", COLUMN_TIME, "createdTime"},
                    {"LANGUAGE", COLUMN_TEXT, "language"},
                    {"REASON", COLUMN_JOINED, "reason"},
                    {"REGISTRY SECRET", COLUMN_TEXT, "registrySecret"}},
        .narrow = 5,
        .wide = 8,
};

const struct form form_function = {
        .columns = {{"NAME", COLUMN_TEXT, "name"},
                    {"FUNCTIONIMAGE", COLUMN_TEXT, "functionImageURL"},
                    {"STATUS", COLUMN_TEXT, "status"},
                    {"CREATED DATE", COLUMN_TIME, "createdTime"},
                    {"IMAGE", COLUMN_TEXT, "image"},
                    {"HANDLER", COLUMN_TEXT, "handler"},
                    {"SECRETS", COLUMN_LINES, "secrets"},
                    {"TIMEOUT", COLUMN_NUMBER, "timeout"},
                    {"REASON", COLUMN_JOINED, "reason"}},
        .narrow = 4,
        .wide = 9,
};

const struct form form_run = {
        .columns = {{"ID", COLUMN_TEXT, "name"},
                    {"FUNCTION", COLUMN_TEXT, "functionName"},
                    {"STATUS", COLUMN_TEXT, "status"},
                    {"STARTED", COLUMN_NUMBER, "executedTime"},
                    {"FINISHED", COLUMN_NUMBER, "finishedTime"},
                    {"START", COLUMN_TEXT, "start"},
                    {"REASON", COLUMN_JOINED, "reason"}},
        .narrow = 5,
        .wide = 7,
};

const struct form form_secret = {
        .columns = {{"NAME", COLUMN_TEXT, "name"},
                    {"CONTENT", COLUMN_HIDDEN, "secrets"},
                    {"CREATED DATE", COLUMN_TIME, "meta.createdTime"}},
        .narrow = 2,
        .wide = 3,
        .note = "Note: secret values are hidden, please use --all flag to get them\n\n",
};

const struct form form_endpoint = {
        .columns = {{"NAME", COLUMN_TEXT, "name"},
                    {"FUNCTION", COLUMN_TEXT, "function"},
                    {"PROTOCOL", COLUMN_LINES, "protocols"},
                    {"METHOD", COLUMN_LINES, "methods"},
                    {"DOMAIN", COLUMN_LINES, "hosts"},
                    {"PATH", COLUMN_LINES, "uris"},
                    {"ENABLED", COLUMN_BOOL, "enabled"},
                    {"CORS", COLUMN_BOOL, "cors"},
                    {"STATUS", COLUMN_TEXT, "status"},
                    {"CREATED DATE", COLUMN_TIME, "createdTime"}},
        .narrow = 7,
        .wide = 10,
        .dash_rows = true,
};

const struct form form_api = {
        .columns = {{"NAME", COLUMN_TEXT, "name"},
                    {"FUNCTION", COLUMN_TEXT, "function"},
                    {"PROTOCOL", COLUMN_LINES, "protocols"},
                    {"METHOD", COLUMN_LINES, "methods"},
                    {"DOMAIN", COLUMN_LINES, "hosts"},
                    {"PATH", COLUMN_URLS, "uris"},
                    {"AUTH", COLUMN_TEXT, "authentication"},
                    {"STATUS", COLUMN_TEXT, "status"},
                    {"ENABLED", COLUMN_BOOL, "enabled"},
                    {"CORS", COLUMN_BOOL, "cors"}},
        .narrow = 9,
        .wide = 10,
        .dash_rows = true,
};
