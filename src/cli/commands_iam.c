/* cli/commands_iam.c: the branch `iam` of the tree of commands. */
#include "cli/commands.h"

#include "cli/resource.h"

/* clang-format off */

static const struct flag flags_dry[] = {
        {"dry-run", '\0', FLAG_BOOL, NULL, "check and print what would be sent, and send nothing", false},
        {.name = NULL},
};
static const struct flag flags_policy[] = {
        {"subject", 's', FLAG_STRINGS, NULL, "who may: a user's e-mail address or a service account (repeatable, or comma-separated)", false},
        {"action", 'a', FLAG_STRINGS, NULL, "what they may do: get, create, update, delete or * (repeatable, or comma-separated)", false},
        {"resource", 'r', FLAG_STRINGS, NULL, "to what: a resource's type, or * (repeatable, or comma-separated)", false},
        {"global", '\0', FLAG_BOOL, NULL, "in every organization", false},
        {"dry-run", '\0', FLAG_BOOL, NULL, "check and print what would be sent, and send nothing", false},
        {.name = NULL},
};
static const struct flag flags_account[] = {
        {"public-key", '\0', FLAG_STRING, NULL, "file with its public key in PEM (required)", false},
        {"dry-run", '\0', FLAG_BOOL, NULL, "check and print what would be sent, and send nothing", false},
        {.name = NULL},
};

static const struct command commands_create[] = {
        {.name = "organization", .aliases = {"organizations"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Create an organization", .flags = flags_dry, .run = resource_create, .data = &resource_organization},
        {.name = "policy", .aliases = {"policies"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Create a policy: who may do what to which resources",
         .example = "  dispatch iam create policy readers --subject user@example.com --action get --resource '*'",
         .flags = flags_policy, .run = resource_create, .data = &resource_policy},
        {.name = "serviceaccount", .aliases = {"serviceaccounts"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Create a service account for a public key",
         .example = "  dispatch iam create serviceaccount robot --public-key robot.pub",
         .flags = flags_account, .run = resource_create, .data = &resource_account},
        {.name = NULL},
};

#define FLAGS_LIST \
        {"sort-by", '\0', FLAG_STRING, NULL, "sort by this field of -o json, such as name or createdTime", false}, \
        {"no-headers", '\0', FLAG_BOOL, NULL, "print a table's rows alone", false}, \
        {.name = NULL}

static const struct flag flags_get[] = {FLAGS_LIST};
static const struct flag flags_get_policy[] = {
        {"wide", 'w', FLAG_BOOL, NULL, "print the rules too", false},
        FLAGS_LIST,
};

static const struct command commands_get[] = {
        {.name = "organization", .aliases = {"organizations"}, .args = "[NAME]", .args_max = 1,
         .brief = "List organizations, or show one", .flags = flags_get, .run = resource_get, .data = &resource_organization},
        {.name = "policy", .aliases = {"policies"}, .args = "[NAME]", .args_max = 1,
         .brief = "List policies, or show one", .flags = flags_get_policy, .run = resource_get, .data = &resource_policy},
        {.name = "serviceaccount", .aliases = {"serviceaccounts"}, .args = "[NAME]", .args_max = 1,
         .brief = "List service accounts, or show one", .flags = flags_get, .run = resource_get, .data = &resource_account},
        {.name = NULL},
};

static const struct command commands_delete[] = {
        {.name = "organization", .aliases = {"organizations"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Delete an organization", .flags = flags_dry, .run = resource_delete, .data = &resource_organization},
        {.name = "policy", .aliases = {"policies"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Delete a policy", .flags = flags_dry, .run = resource_delete, .data = &resource_policy},
        {.name = "serviceaccount", .aliases = {"serviceaccounts"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Delete a service account", .flags = flags_dry, .run = resource_delete, .data = &resource_account},
        {.name = NULL},
};

const struct command commands_iam[] = {
        {.name = "create", .brief = "Create organizations, policies and service accounts", .commands = commands_create},
        {.name = "delete", .brief = "Delete organizations, policies and service accounts", .commands = commands_delete},
        {.name = "get", .brief = "List organizations, policies and service accounts", .commands = commands_get},
        {.name = "update", .args_max = ARGS_VALUES_MAX, .brief = "The same as update -f", .flags = flags_stream, .run = stream_update},
        {.name = NULL},
};
/* clang-format on */
