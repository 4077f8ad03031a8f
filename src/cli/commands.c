/*
 * cli/commands.c: the tree of commands with their flags and help. Parsing and help read nothing else, so what
 * is not written here does not exist.
 */
#include "cli/commands.h"

#include "cli/image.h"
#include "cli/resource.h"

/* clang-format off */

const struct flag flags_global[] = {
        {"cacert", '\0', FLAG_STRING, NULL, "file with certificates to trust beside the system's (PEM)", false},
        {"config", '\0', FLAG_STRING, NULL, "configuration file (default is $HOME/.dispatch/config.json)", false},
        {"host", '\0', FLAG_STRING, NULL, "host of the server, or unix:PATH for its socket (default is this machine)", false},
        {"insecure", '\0', FLAG_BOOL, NULL, "do not verify the server's certificate", false},
        {"json", '\0', FLAG_BOOL, NULL, "the same as -o json", true},
        {"jwt-private-key", '\0', FLAG_STRING, NULL, "file with the private key of the service account", false},
        {"organization", '\0', FLAG_STRING, NULL, "organization to work in (default is the server's)", false},
        {"output", 'o', FLAG_STRING, NULL, "output format: json, yaml, wide or name (default is a table)", false},
        {"port", '\0', FLAG_STRING, NULL, "port of the server (default is 8080 of this machine, 443 of a named host)", false},
        {"project", '\0', FLAG_STRING, NULL, "project to work in (default is the server's)", false},
        {"scheme", '\0', FLAG_STRING, NULL, "http or https (default is http on this machine, https to a named host)", false},
        {"service-account", '\0', FLAG_STRING, NULL, "service account to act as, [ORGANIZATION/]NAME", false},
        {"token", '\0', FLAG_STRING, NULL, "bearer token to send", false},
        {.name = NULL},
};

#define FLAG_WAIT \
        {"wait", '\0', FLAG_BOOL, NULL, "wait until it is READY; fail with the reason if it ends in ERROR", false}, \
        {"wait-timeout", '\0', FLAG_DURATION, "10m", "how long --wait waits", false}

#define FLAG_APPLICATION \
        {"application", 'a', FLAG_STRING, NULL, "application that it belongs to, kept as the tag Application=NAME", false}
#define FLAG_NO_APPLICATION(letter) \
        {"application", letter, FLAG_STRING, NULL, "accepted and ignored; --selector Application=NAME chooses by application", true}
#define FLAG_DRY_RUN \
        {"dry-run", '\0', FLAG_BOOL, NULL, "check and print what would be sent, and send nothing", false}
#define FLAG_FILE \
        {"file", 'f', FLAG_STRING, NULL, "YAML file or URL with the resources, one a document; - is standard input", false}

/* What every create and update of one resource takes. */
#define FLAGS_CHANGE FLAG_WAIT, FLAG_APPLICATION, FLAG_DRY_RUN, {.name = NULL}

#define FLAGS_LIST \
        {"selector", 'l', FLAG_STRINGS, NULL, "only those with the tag KEY=VALUE (repeatable, or comma-separated)", false}, \
        {"sort-by", '\0', FLAG_STRING, NULL, "sort by this field of -o json, such as name, status or createdTime", false}, \
        {"no-headers", '\0', FLAG_BOOL, NULL, "print a table's rows alone", false}, \
        FLAG_NO_APPLICATION('a'), {.name = NULL}

/* An update has no defaults: what is not given stays. */
#define INITIAL(text)    text
#define NO_INITIAL(text) NULL

#define FLAGS_FUNCTION(initial) \
        {"handler", '\0', FLAG_STRING, NULL, "what to call: hello.handle, ./hello.js, ./program; needed for a directory", false}, \
        {"schema-in", '\0', FLAG_STRING, NULL, "file with the JSON schema of the input", false}, \
        {"schema-out", '\0', FLAG_STRING, NULL, "file with the JSON schema of the output", false}, \
        {"secret", '\0', FLAG_STRINGS, NULL, "secret that the function sees (repeatable, or comma-separated)", false}, \
        {"service", '\0', FLAG_STRINGS, NULL, "service instance that the function uses (repeatable, or comma-separated)", false}, \
        {"timeout", '\0', FLAG_NUMBER, NULL, "deadline of a run in milliseconds (default is the server's, 60000)", false}, \
        {"memory", '\0', FLAG_NUMBER, initial("256"), "memory of an instance in MiB", false}, \
        {"cpu", '\0', FLAG_NUMBER, initial("1000"), "share of the processors in thousandths of one", false}, \
        {"env", '\0', FLAG_PAIRS, NULL, "environment variable NAME=VALUE (repeatable)", false}, \
        {"network", '\0', FLAG_STRING, initial("none"), "none, or egress for connections to the outside", false}, \
        {"network-allow", '\0', FLAG_STRINGS, NULL, "host or network that egress is limited to (repeatable, or comma-separated)", false}, \
        {"isolation", '\0', FLAG_STRING, initial("instance"), "instance: runs follow each other in an instance; run: a fresh process for each run", false}, \
        {"concurrency", '\0', FLAG_NUMBER, initial("1"), "runs at once in one instance, for handlers that are async (python3, nodejs)", false}, \
        {"min-instances", '\0', FLAG_NUMBER, initial("0"), "instances that are kept ready", false}, \
        {"max-instances", '\0', FLAG_NUMBER, NULL, "instances at most (default is what the host carries)", false}, \
        {"idle-timeout", '\0', FLAG_NUMBER, initial("600000"), "milliseconds after which an idle instance ends", false}, \
        {"function-image", '\0', FLAG_STRING, NULL, "reference of an OCI image that is the whole function, in place of PATH and --image", false}, \
        {"registry-secret", '\0', FLAG_STRING, NULL, "secret with the credentials of that image's registry", false}, \
        {"protocol", '\0', FLAG_STRING, NULL, "what that image speaks on its port: http, or dispatch for the messages of the original (default is what its labels say)", false}

#define FLAG_REGISTRY_SECRET \
        {"registry-secret", '\0', FLAG_STRING, NULL, "secret with the credentials of its registry (username and password, or .dockerconfigjson)", false}

#define FLAGS_IMAGE \
        {"registry-secret", '\0', FLAG_STRING, NULL, "secret with the credentials of the registry, where the base image is a reference", false}, \
        {"runtime-deps", '\0', FLAG_STRING, NULL, "file with the language's own list of packages (requirements.txt, package.json, pom.xml)", false}, \
        {"runtime-lock", '\0', FLAG_STRING, NULL, "the lock file that goes with it (default is the package-lock.json beside a package.json)", false}, \
        {"system-deps", '\0', FLAG_STRING, NULL, "JSON file with system packages: {\"packages\": [{\"name\": N, \"version\": V}]}", false}

#define FLAGS_ENDPOINT(method_initial, path_initial) \
        {"method", 'm', FLAG_STRINGS, method_initial, "HTTP method (repeatable, or comma-separated)", false}, \
        {"path", 'p', FLAG_STRINGS, path_initial, "path; one that ends in /* stands for all below it (repeatable, or comma-separated)", false}, \
        {"domain", 'd', FLAG_STRINGS, NULL, "host name (repeatable, or comma-separated; default is PROJECT.ORGANIZATION.DISPATCH-HOST)", false}, \
        {"https-only", '\0', FLAG_BOOL, NULL, "refuse plain HTTP", false}, \
        {"cors", '\0', FLAG_BOOL, NULL, "allow requests from pages of other origins", false}

static const struct flag flags_create_base_image[] = {
        {"language", '\0', FLAG_STRING, NULL, "language of the runtime in it", false},
        FLAG_REGISTRY_SECRET,
        FLAGS_CHANGE,
};
static const struct flag flags_create_image[] = {FLAGS_IMAGE, FLAGS_CHANGE};
static const struct flag flags_create_function[] = {
        {"image", '\0', FLAG_STRING, NULL, "image to run in (required)", false},
        FLAGS_FUNCTION(INITIAL), FLAGS_CHANGE,
};
static const struct flag flags_create_endpoint[] = {
        FLAGS_ENDPOINT("GET", "/"),
        {"disable", '\0', FLAG_BOOL, NULL, "create it switched off", false},
        {"auth", '\0', FLAG_STRING, NULL, "accepted and ignored, as ever: create api has it", true},
        FLAGS_CHANGE,
};
static const struct flag flags_create_api[] = {
        FLAGS_ENDPOINT("GET", "/"),
        {"disable", '\0', FLAG_BOOL, NULL, "create it switched off", false},
        {"auth", '\0', FLAG_STRING, "public", "who may call it", false},
        FLAGS_CHANGE,
};
static const struct flag flags_create_secret[] = {FLAG_APPLICATION, FLAG_DRY_RUN, {.name = NULL}};
static const struct flag flags_create_seed[] = {
        {"output-file", 'O', FLAG_STRING, NULL, "write their YAML to this file instead of creating them", false},
        FLAGS_CHANGE,
};

static const struct flag flags_create_subscription[] = {
        {"name", '\0', FLAG_STRING, NULL, "name of the subscription (default is one that is made up)", false},
        {"event-type", '\0', FLAG_STRING, NULL, "type of the events to run the function for", false},
        {"secret", '\0', FLAG_STRINGS, NULL, "secret that these runs see too (repeatable, or comma-separated)", false},
        FLAG_APPLICATION, FLAG_DRY_RUN, {.name = NULL},
};
static const struct flag flags_create_driver_type[] = {
        {"expose", '\0', FLAG_BOOL, "true", "give its drivers an address that events can be sent to", false},
        FLAG_APPLICATION, FLAG_DRY_RUN, {.name = NULL},
};
static const struct flag flags_create_driver[] = {
        {"name", '\0', FLAG_STRING, NULL, "name of the driver (default is one that is made up)", false},
        {"set", 's', FLAG_STRINGS, NULL, "configuration KEY=VALUE, or KEY alone (repeatable)", false},
        {"secret", '\0', FLAG_STRINGS, NULL, "secret whose keys it gets (repeatable, or comma-separated)", false},
        FLAG_APPLICATION, FLAG_DRY_RUN, {.name = NULL},
};
static const struct flag flags_create_instance[] = {
        {"params", '\0', FLAG_STRING, NULL, "parameters of the instance as JSON", false},
        {"secret", '\0', FLAG_STRINGS, NULL, "secret with parameters of the instance (repeatable, or comma-separated)", false},
        {"binding-params", '\0', FLAG_STRING, NULL, "parameters of the binding as JSON", false},
        {"binding-secret", '\0', FLAG_STRINGS, NULL, "secret with parameters of the binding (repeatable, or comma-separated)", false},
        {"binding-secret-key", '\0', FLAG_STRING, NULL, "secret that the binding's credentials are kept in", false},
        FLAG_APPLICATION, FLAG_DRY_RUN, {.name = NULL},
};

static const struct command commands_create[] = {
        {.name = "base-image", .aliases = {"base-images", "baseimage", "baseimages"}, .args = "NAME URL", .args_min = 2, .args_max = 2,
         .brief = "Create a base image: a language's runtime to build images on",
         .example = "  dispatch create base-image python3-base dispatchframework/python3-base:0.0.13-knative --language python3\n"
                    "  dispatch create base-image team registry.example.com/team/python:3.12 --language python3 --registry-secret team --wait",
         .flags = flags_create_base_image, .run = resource_create, .data = &resource_base_image},
        {.name = "image", .aliases = {"images"}, .args = "NAME BASEIMAGE", .args_min = 2, .args_max = 2,
         .brief = "Create an image: a base image with the packages that functions need",
         .text = "Create an image: a base image with the packages that functions need. BASEIMAGE is the name of a\n"
                 "base image, or a reference such as dispatchframework/python3-base:0.0.13-knative.",
         .example = "  dispatch create image python3 dispatchframework/python3-base:0.0.13-knative --wait\n"
                    "  dispatch create image science python3-base --runtime-deps requirements.txt",
         .flags = flags_create_image, .run = resource_create, .data = &resource_image},
        {.name = "function", .aliases = {"functions"}, .args = "NAME PATH", .args_min = 2, .args_max = 2, .last_flag = "function-image",
         .brief = "Create a function from a file or a directory",
         .text = "Create a function from the source at PATH, a file or a directory. A directory needs --handler; links\n"
                 "in it must stay inside. At most 64 MiB packed, 512 MiB or 20,000 files unpacked. With --function-image\n"
                 "there is no PATH: that image is the whole function.",
         .example = "  dispatch create function hello ./hello.py --image python3 --wait\n"
                    "  dispatch create function shop ./shop --image python3 --handler shop.handle --secret database --memory 512\n"
                    "  dispatch create function web --function-image registry.example.com/web:1.4 --wait",
         .flags = flags_create_function, .run = resource_create, .data = &resource_function},
        {.name = "secret", .aliases = {"secrets"}, .args = "NAME FILE", .args_min = 2, .args_max = 2,
         .brief = "Create a secret from a JSON file with an object of strings",
         .example = "  dispatch create secret database credentials.json",
         .flags = flags_create_secret, .run = resource_create, .data = &resource_secret},
        {.name = "endpoint", .args = "NAME FUNCTION", .args_min = 2, .args_max = 2,
         .brief = "Create an endpoint: hosts, paths and methods that reach a function over HTTP",
         .example = "  dispatch create endpoint get-hello hello --method GET --method POST --path /hello",
         .flags = flags_create_endpoint, .run = resource_create, .data = &resource_endpoint},
        {.name = "api", .args = "NAME FUNCTION", .args_min = 2, .args_max = 2,
         .brief = "Create an API: an endpoint below /ORGANIZATION where no domain is given",
         .text = "Create an API: hosts, paths and methods that reach a function over HTTP. It is an endpoint whose\n"
                 "paths begin with /ORGANIZATION unless it has a domain of its own.",
         .example = "  dispatch create api get-hello hello --method GET --path /hello",
         .flags = flags_create_api, .run = resource_create, .data = &resource_api},
        {.name = "subscription", .aliases = {"subscriptions"}, .args = "FUNCTION", .args_min = 1, .args_max = 1,
         .brief = "Create a subscription: run a function for each event of a type",
         .example = "  dispatch create subscription hello --event-type user.created --name greet",
         .flags = flags_create_subscription, .run = resource_create, .data = &resource_subscription},
        {.name = "eventdrivertype", .aliases = {"eventdrivertypes", "event-driver-type", "event-driver-types", "eventdriver-type", "eventdriver-types"},
         .args = "NAME IMAGE", .args_min = 2, .args_max = 2, .brief = "Create an event driver type: an image that brings events in",
         .flags = flags_create_driver_type, .run = resource_create, .data = &resource_driver_type},
        {.name = "eventdriver", .aliases = {"eventdrivers", "event-driver", "event-drivers"}, .args = "TYPE", .args_min = 1, .args_max = 1,
         .brief = "Create an event driver of a type", .example = "  dispatch create eventdriver ticker --name minutes --set seconds=60",
         .flags = flags_create_driver, .run = driver_create, .data = &resource_driver},
        {.name = "serviceinstance", .aliases = {"serviceinstances"}, .args = "NAME CLASS PLAN", .args_min = 3, .args_max = 3,
         .brief = "Create a service instance that functions can use",
         .flags = flags_create_instance, .run = resource_create, .data = &resource_instance},
        {.name = "seed-images", .aliases = {"seed"}, .brief = "Create the base images and images of four languages",
         .text = "Create base images and images for nodejs, python3, powershell and java.",
         .example = "  dispatch create seed-images\n  dispatch create seed-images -O images.yaml",
         .flags = flags_create_seed, .run = seed_create},
        {.name = NULL},
};

static const struct flag flags_get_secret[] = {
        {"all", '\0', FLAG_BOOL, NULL, "print the values too, as JSON", false},
        FLAGS_LIST,
};
static const struct flag flags_get_endpoint[] = {
        {"func", 'f', FLAG_STRING, NULL, "only endpoints of this function", false},
        FLAGS_LIST,
};
static const struct flag flags_get_run[] = {
        {"last", '\0', FLAG_BOOL, NULL, "only the run that was started last", false},
        {"follow", 'f', FLAG_BOOL, NULL, "go on printing new runs until interrupted", false},
        {"by", '\0', FLAG_STRING, NULL, "sort by function, status, started or finished, the newest first", false},
        FLAGS_LIST,
};
static const struct flag flags_get[] = {FLAGS_LIST};
static const struct flag flags_get_image[] = {
        {"sbom", '\0', FLAG_BOOL, NULL, "print what is installed on it as a CycloneDX bill of materials", false},
        FLAGS_LIST,
};

static const struct command commands_get[] = {
        {.name = "base-image", .aliases = {"base-images", "baseimage", "baseimages"}, .args = "[NAME]", .args_max = 1,
         .brief = "List base images, or show one; -o wide also what is installed on it", .flags = flags_get_image, .run = resource_get, .data = &resource_base_image},
        {.name = "image", .aliases = {"images"}, .args = "[NAME]", .args_max = 1,
         .brief = "List images, or show one; -o wide also what is installed on it", .flags = flags_get_image, .run = resource_get, .data = &resource_image},
        {.name = "function", .aliases = {"functions"}, .args = "[NAME]", .args_max = 1,
         .brief = "List functions, or show one", .flags = flags_get, .run = resource_get, .data = &resource_function},
        {.name = "run", .aliases = {"runs"}, .args = "[FUNCTION [RUN]]", .args_max = 2,
         .brief = "List runs of all functions or of one, or show one run",
         .example = "  dispatch get runs\n  dispatch get runs hello --last -o json",
         .flags = flags_get_run, .run = runs_get},
        {.name = "instance", .aliases = {"instances"}, .args = "[FUNCTION]", .args_max = 1,
         .brief = "List what runs or waits now: instances of functions, templates, zygotes and stems",
         .example = "  dispatch get instances\n  dispatch get instances hello -o wide",
         .run = instances_get},
        {.name = "secret", .aliases = {"secrets"}, .args = "[NAME]", .args_max = 1,
         .brief = "List secrets, or show one", .flags = flags_get_secret, .run = resource_get, .data = &resource_secret},
        {.name = "endpoint", .aliases = {"endpoints"}, .args = "[NAME]", .args_max = 1,
         .brief = "List endpoints, or show one", .flags = flags_get_endpoint, .run = resource_get, .data = &resource_endpoint},
        {.name = "api", .aliases = {"apis"}, .args = "[NAME]", .args_max = 1,
         .brief = "List APIs with their URLs, or show one", .flags = flags_get_endpoint, .run = resource_get, .data = &resource_api},
        {.name = "subscription", .aliases = {"subscriptions"},
         .args = "[NAME]", .args_max = 1, .brief = "List subscriptions, or show one", .flags = flags_get, .run = resource_get, .data = &resource_subscription},
        {.name = "eventdrivertype", .aliases = {"eventdrivertypes", "event-driver-type", "event-driver-types", "eventdriver-type", "eventdriver-types"},
         .args = "[NAME]", .args_max = 1, .brief = "List event driver types, or show one", .flags = flags_get, .run = resource_get, .data = &resource_driver_type},
        {.name = "eventdriver", .aliases = {"eventdrivers", "event-driver", "event-drivers"},
         .args = "[NAME]", .args_max = 1, .brief = "List event drivers, or show one", .flags = flags_get, .run = resource_get, .data = &resource_driver},
        {.name = "serviceclass", .aliases = {"serviceclasses"},
         .args = "[NAME]", .args_max = 1, .brief = "List service classes, or show one", .flags = flags_get, .run = resource_get, .data = &resource_class},
        {.name = "serviceinstance", .aliases = {"serviceinstances"},
         .args = "[NAME]", .args_max = 1, .brief = "List service instances, or show one", .flags = flags_get, .run = resource_get, .data = &resource_instance},
        {.name = "application", .aliases = {"applications", "app", "apps"},
         .args = "[NAME]", .args_max = 1, .brief = "List applications, or show one", .flags = flags_get, .run = resource_get, .data = &resource_application},
        {.name = NULL},
};

static const struct command commands_describe[] = {
        {.name = "function", .aliases = {"functions"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Show what a function's instances start from, how many there are, and what failed lately",
         .example = "  dispatch describe function hello",
         .run = describe_function},
        {.name = NULL},
};

static const struct flag flags_update_base_image[] = {
        {"url", '\0', FLAG_STRING, NULL, "reference of the base image", false},
        {"language", '\0', FLAG_STRING, NULL, "language of the runtime in it", false},
        FLAG_REGISTRY_SECRET,
        FLAGS_CHANGE,
};
static const struct flag flags_update_image[] = {
        {"base-image", '\0', FLAG_STRING, NULL, "name of a base image, or a reference", false},
        FLAGS_IMAGE, FLAGS_CHANGE,
};
static const struct flag flags_update_function[] = {
        {"image", '\0', FLAG_STRING, NULL, "image to run in", false},
        FLAGS_FUNCTION(NO_INITIAL),
        {"unset-env", '\0', FLAG_STRINGS, NULL, "environment variable to take out (repeatable)", false},
        FLAGS_CHANGE,
};
#define FLAGS_UPDATE_ENDPOINT \
        {"function", '\0', FLAG_STRING, NULL, "function that is called", false}, \
        FLAGS_ENDPOINT(NULL, NULL), \
        {"disable", '\0', FLAG_BOOL, NULL, "switch it off", false}, \
        {"enable", '\0', FLAG_BOOL, NULL, "switch it on", false}

static const struct flag flags_update_endpoint[] = {FLAGS_UPDATE_ENDPOINT, FLAGS_CHANGE};
static const struct flag flags_update_api[] = {
        FLAGS_UPDATE_ENDPOINT,
        {"auth", '\0', FLAG_STRING, NULL, "who may call it", false},
        FLAGS_CHANGE,
};

static const struct command commands_update[] = {
        {.name = "base-image", .aliases = {"base-images", "baseimage", "baseimages"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Change a base image", .flags = flags_update_base_image, .run = resource_update, .data = &resource_base_image},
        {.name = "image", .aliases = {"images"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Change an image", .flags = flags_update_image, .run = resource_update, .data = &resource_image},
        {.name = "function", .aliases = {"functions"}, .args = "NAME [PATH]", .args_min = 1, .args_max = 2,
         .brief = "Change a function: its source, its image or its settings",
         .text = "Change a function. What is not given stays as it is; a list that is given replaces the old one, an\n"
                 "empty text takes the setting out, and --env adds variables or changes them.",
         .example = "  dispatch update function hello ./hello.py --wait\n"
                    "  dispatch update function hello --memory 512 --env LEVEL=debug",
         .flags = flags_update_function, .run = resource_update, .data = &resource_function},
        {.name = "secret", .aliases = {"secrets"}, .args = "NAME FILE", .args_min = 2, .args_max = 2,
         .brief = "Replace the values of a secret", .flags = flags_create_secret, .run = resource_update, .data = &resource_secret},
        {.name = "endpoint", .aliases = {"endpoints"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Change an endpoint", .flags = flags_update_endpoint, .run = resource_update, .data = &resource_endpoint},
        {.name = "api", .aliases = {"apis"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Change an API", .flags = flags_update_api, .run = resource_update, .data = &resource_api},
        {.name = NULL},
};

static const struct flag flags_delete[] = {FLAG_DRY_RUN, {.name = NULL}};

static const struct command commands_delete[] = {
        {.name = "base-image", .aliases = {"base-images", "baseimage", "baseimages"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Delete a base image", .flags = flags_delete, .run = resource_delete, .data = &resource_base_image},
        {.name = "image", .aliases = {"images"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Delete an image", .flags = flags_delete, .run = resource_delete, .data = &resource_image},
        {.name = "function", .aliases = {"functions"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Delete a function and its runs", .flags = flags_delete, .run = resource_delete, .data = &resource_function},
        {.name = "run", .aliases = {"runs"}, .args = "RUN", .args_min = 1, .args_max = 1,
         .brief = "Cancel a run that waits or runs; its record stays", .flags = flags_delete, .run = resource_delete, .data = &resource_run},
        {.name = "secret", .aliases = {"secrets"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Delete a secret", .flags = flags_delete, .run = resource_delete, .data = &resource_secret},
        {.name = "endpoint", .aliases = {"endpoints"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Delete an endpoint", .flags = flags_delete, .run = resource_delete, .data = &resource_endpoint},
        {.name = "api", .aliases = {"apis"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Delete an API", .flags = flags_delete, .run = resource_delete, .data = &resource_api},
        {.name = "subscription", .aliases = {"subscriptions"},
         .args = "NAME", .args_min = 1, .args_max = 1, .brief = "Delete a subscription", .flags = flags_delete, .run = resource_delete, .data = &resource_subscription},
        {.name = "eventdrivertype", .aliases = {"eventdrivertypes", "event-driver-type", "event-driver-types", "eventdriver-type", "eventdriver-types"},
         .args = "NAME", .args_min = 1, .args_max = 1, .brief = "Delete an event driver type", .flags = flags_delete, .run = resource_delete, .data = &resource_driver_type},
        {.name = "eventdriver", .aliases = {"eventdrivers", "event-driver", "event-drivers"},
         .args = "NAME", .args_min = 1, .args_max = 1, .brief = "Delete an event driver", .flags = flags_delete, .run = resource_delete, .data = &resource_driver},
        {.name = "serviceinstance", .aliases = {"serviceinstances"},
         .args = "NAME", .args_min = 1, .args_max = 1, .brief = "Delete a service instance", .flags = flags_delete, .run = resource_delete, .data = &resource_instance},
        {.name = "application", .aliases = {"applications", "app", "apps"},
         .args = "NAME", .args_min = 1, .args_max = 1, .brief = "Delete an application", .flags = flags_delete, .run = resource_delete, .data = &resource_application},
        {.name = "seed-images", .aliases = {"seed"}, .brief = "Delete what create seed-images created",
         .flags = flags_delete, .run = seed_delete},
        {.name = NULL},
};

static const struct command commands_edit[] = {
        {.name = "base-image", .aliases = {"base-images", "baseimage", "baseimages"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Change a base image in an editor", .run = resource_edit, .data = &resource_base_image},
        {.name = "image", .aliases = {"images"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Change an image in an editor", .run = resource_edit, .data = &resource_image},
        {.name = "function", .aliases = {"functions"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Change a function in an editor", .run = resource_edit, .data = &resource_function},
        {.name = "secret", .aliases = {"secrets"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Change a secret in an editor", .run = resource_edit, .data = &resource_secret},
        {.name = "endpoint", .aliases = {"endpoints"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Change an endpoint in an editor", .run = resource_edit, .data = &resource_endpoint},
        {.name = "api", .aliases = {"apis"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Change an API in an editor", .run = resource_edit, .data = &resource_api},
        {.name = NULL},
};

static const struct flag flags_wait[] = {
        {"for", '\0', FLAG_STRING, "READY", "what to wait for: READY or deleted", false},
        {"timeout", '\0', FLAG_DURATION, "10m", "how long to wait", false},
        {.name = NULL},
};

static const struct command commands_wait[] = {
        {.name = "base-image", .aliases = {"base-images", "baseimage", "baseimages"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Wait for a base image", .flags = flags_wait, .run = resource_wait_for, .data = &resource_base_image},
        {.name = "image", .aliases = {"images"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Wait for an image", .flags = flags_wait, .run = resource_wait_for, .data = &resource_image},
        {.name = "function", .aliases = {"functions"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Wait for a function", .flags = flags_wait, .run = resource_wait_for, .data = &resource_function},
        {.name = "endpoint", .aliases = {"endpoints"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Wait for an endpoint", .flags = flags_wait, .run = resource_wait_for, .data = &resource_endpoint},
        {.name = "api", .aliases = {"apis"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Wait for an API", .flags = flags_wait, .run = resource_wait_for, .data = &resource_api},
        {.name = "run", .aliases = {"runs"}, .args = "RUN", .args_min = 1, .args_max = 1,
         .brief = "Wait for the end of a run", .flags = flags_wait, .run = resource_wait_for, .data = &resource_run},
        {.name = NULL},
};

static const struct flag flags_apply_seed[] = {FLAGS_CHANGE};
static const struct command commands_apply[] = {
        {.name = "seed-images", .aliases = {"seed"}, .brief = "Create or update the base images and images of four languages",
         .flags = flags_apply_seed, .run = seed_apply},
        {.name = NULL},
};

static const struct flag flags_logs_image[] = {
        {"follow", 'f', FLAG_BOOL, NULL, "go on until the build is over", false},
        {.name = NULL},
};

static const struct command commands_logs[] = {
        {.name = "base-image", .aliases = {"base-images", "baseimage", "baseimages"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Print what the last build of a base image printed", .flags = flags_logs_image,
         .run = image_logs_run, .data = &resource_base_image},
        {.name = "image", .aliases = {"images"}, .args = "NAME", .args_min = 1, .args_max = 1,
         .brief = "Print what the last build of an image printed", .flags = flags_logs_image,
         .run = image_logs_run, .data = &resource_image},
        {.name = NULL},
};

static const struct flag flags_logs[] = {
        {"follow", 'f', FLAG_BOOL, NULL, "go on printing the logs of new runs until interrupted", false},
        {"run", '\0', FLAG_STRING, NULL, "the run to print the logs of (default is the newest)", false},
        FLAG_NO_APPLICATION('a'),
        {.name = NULL},
};

static const struct flag flags_export[] = {
        {"registry-secret", '\0', FLAG_STRING, NULL, "secret with the credentials for docker:// (username and password, or .dockerconfigjson)", false},
        {.name = NULL},
};

static const struct command commands_export[] = {
        {.name = "function", .aliases = {"functions"}, .args = "NAME DESTINATION", .args_min = 2, .args_max = 2,
         .brief = "Copy a function out of Dispatch, as an image that runs anywhere",
         .text = "Make an OCI image of a function: the files of its image, the language's agent and its source. It serves\n"
                 "HTTP on port 8080 wherever it runs. DESTINATION is oci:PATH[:TAG] for a folder, oci-archive:PATH[:TAG] for a\n"
                 "file, both on this machine, or docker://REFERENCE for a registry, which the server pushes to.",
         .example = "  dispatch export function hello oci-archive:hello.tar:v1 && podman pull oci-archive:hello.tar:v1\n"
                    "  dispatch export function hello docker://registry.example.com/team/hello:v1 --registry-secret registry",
         .flags = flags_export, .run = export_run},
        {.name = NULL},
};

static const struct command commands_context[] = {
        {.name = "current", .brief = "Print the current context", .run = context_current, .local = true},
        {.name = "delete", .args = "CONTEXT", .args_min = 1, .args_max = 1,
         .brief = "Delete a context", .run = context_delete, .local = true},
        {.name = "list", .brief = "List the contexts", .run = context_list, .local = true},
        {.name = "set", .args = "CONTEXT", .args_min = 1, .args_max = 1,
         .brief = "Make a context the current one", .run = context_set, .local = true},
        {.name = NULL},
};

static const struct flag flags_manage_context[] = {
        {"set", 's', FLAG_STRING, NULL, "context to make the current one", false},
        {.name = NULL},
};

static const struct command commands_manage[] = {
        {.name = "context", .brief = "List the contexts, or make one the current one", .flags = flags_manage_context,
         .run = context_manage, .local = true},
        {.name = NULL},
};

static const struct flag flags_exec[] = {
        {"accept", 'a', FLAG_STRING, "application/json", "media type of the output", false},
        {"content-type", 'c', FLAG_STRING, "application/json", "media type of the input", false},
        {"secret", '\0', FLAG_STRINGS, NULL, "secret that this run sees too (repeatable, or comma-separated)", false},
        {"input", '\0', FLAG_STRING, "{}", "JSON input, instead of standard input; prints the whole run", false},
        {"wait", '\0', FLAG_BOOL, NULL, "wait for the end; prints the whole run", false},
        {"all", '\0', FLAG_BOOL, NULL, "print the whole run", false},
        FLAG_NO_APPLICATION('\0'), /* -a is SEED's --accept */
        {.name = NULL},
};

const struct flag flags_stream[] = {
        FLAG_FILE,
        {"work-dir", 'w', FLAG_STRING, ".", "directory that sourcePath and @FILE in it are relative to; of a URL they are downloaded to there", false},
        FLAGS_CHANGE,
};
static const struct flag flags_delete_stream[] = {
        FLAG_FILE,
        {"work-dir", 'w', FLAG_STRING, ".", "accepted and ignored", true},
        FLAG_NO_APPLICATION('a'), FLAG_DRY_RUN, {.name = NULL},
};

static const struct flag flags_emit[] = {
        {"data", '\0', FLAG_STRING, NULL, "the event's data as JSON", false},
        {"data-from-file", '\0', FLAG_STRING, NULL, "file with the event's data", false},
        {"content-type", '\0', FLAG_STRING, NULL, "media type of the data (default is what the data looks like)", false},
        {"event-id", '\0', FLAG_STRING, NULL, "id of the event (default is a new UUID)", false},
        {"event-type-version", '\0', FLAG_STRING, NULL, "version of the event's type", false},
        {"event-schema-url", '\0', FLAG_STRING, NULL, "address of the schema of the data", false},
        {"source-id", '\0', FLAG_STRING, "dispatch", "source of the event", false},
        {"binary", '\0', FLAG_BOOL, NULL, "the data is no JSON: send it as base64", false},
        {.name = NULL},
};

#define KINDS "BaseImage, Image, Function, Secret, Endpoint and API"

static const struct command commands_root[] = {
        {.name = "apply", .args_max = ARGS_VALUES_MAX, .brief = "Create or change resources to be as a file says",
         .text = "Make resources as a YAML file says: each document changes what is there, or creates it.\n"
                 "Its kinds are " KINDS ".",
         .example = "  dispatch apply -f app.yaml\n  dispatch apply -f https://example.com/app/app.yaml -w app",
         .flags = flags_stream, .commands = commands_apply, .run = stream_apply},
        {.name = "completion", .args = "[bash|zsh|fish]", .args_max = 1, .brief = "Print the completion for a shell",
         .text = "Print what makes a shell complete commands, flags, their values, and names that the server knows;\n"
                 "bash unless another shell is named.",
         .example = "  source <(dispatch completion)               # bash, in ~/.bashrc\n"
                    "  source <(dispatch completion zsh)           # zsh, in ~/.zshrc behind compinit\n"
                    "  dispatch completion fish | source           # fish, in ~/.config/fish/config.fish",
         .run = completion_run, .local = true},
        {.name = "context", .args = "", .brief = "Show and choose the server to talk to", .commands = commands_context,
         .run = context_list, .local = true},
        {.name = "create", .args_max = ARGS_VALUES_MAX, .brief = "Create resources",
         .text = "Create resources: one that is described by arguments and flags, or with -f all of a YAML file.\n"
                 "Its kinds are " KINDS ".",
         .example = "  dispatch create -f app.yaml",
         .flags = flags_stream, .commands = commands_create, .run = stream_create},
        {.name = "delete", .args_max = ARGS_VALUES_MAX, .brief = "Delete resources",
         .text = "Delete resources: one by its name, or with -f all that a YAML file names.",
         .example = "  dispatch delete -f app.yaml",
         .flags = flags_delete_stream, .commands = commands_delete, .run = stream_delete},
        {.name = "describe", .brief = "Show the state of one resource in detail", .commands = commands_describe},
        {.name = "edit", .brief = "Change a resource in an editor",
         .text = "Change a resource as YAML in $VISUAL or $EDITOR, else vi. It is sent with the revision that it had,\n"
                 "so that a change which crossed another one is refused. What cannot be sent stays in its file.",
         .commands = commands_edit},
        {.name = "emit", .args = "TYPE", .args_min = 1, .args_max = 1, .brief = "Emit an event",
         .text = "Emit an event of a type: each subscription to it runs its function.",
         .example = "  dispatch emit user.created --data '{\"name\": \"user\"}'",
         .flags = flags_emit, .run = emit_run},
        {.name = "exec", .args = "FUNCTION", .args_min = 1, .args_max = 1,
         .brief = "Run a function and print its output",
         .text = "Run a function. Its input is all of standard input, and its output is printed as it comes. With\n"
                 "--input, --wait or --all standard input is not read and the whole run is printed as JSON.",
         .example = "  dispatch exec hello <<< '{\"name\": \"user\"}'\n"
                    "  dispatch exec hello --input '{\"name\": \"user\"}' --wait",
         .flags = flags_exec, .run = exec_run},
        {.name = "export", .brief = "Copy a function out of Dispatch, as an image that runs anywhere", .commands = commands_export},
        {.name = "get", .brief = "List resources, or show one", .commands = commands_get},
        {.name = "iam", .brief = "Manage organizations, policies and service accounts", .commands = commands_iam},
        {.name = "login", .brief = "Check credentials, and keep a service account in the current context",
         .text = "Check the credentials that are given by asking the server. A service account is then kept in the\n"
                 "current context; without one, a context named after the host is added.",
         .example = "  dispatch login --service-account robot --jwt-private-key robot.pem --organization acme",
         .run = login_run},
        {.name = "logout", .brief = "Forget the credentials of the current context", .run = logout_run, .local = true},
        {.name = "logs", .args = "FUNCTION", .args_min = 1, .args_max = 1,
         .brief = "Print what a function's handler printed, or the build of an image",
         .text = "Print what a function's handler printed in its newest run, or in the one that --run names: its\n"
                 "standard output to standard output, its standard error to standard error.",
         .example = "  dispatch logs hello\n  dispatch logs hello --follow\n  dispatch logs image science --follow",
         .flags = flags_logs, .commands = commands_logs, .run = logs_run},
        {.name = "manage", .brief = "Manage the client's configuration", .commands = commands_manage},
        {.name = "update", .args_max = ARGS_VALUES_MAX, .brief = "Change resources",
         .text = "Change resources: one by its name and what to change, or with -f all of a YAML file.",
         .example = "  dispatch update -f app.yaml",
         .flags = flags_stream, .commands = commands_update, .run = stream_update},
        {.name = "version", .brief = "Print the versions of client and server", .run = version_run},
        {.name = "wait", .brief = "Wait until a resource is ready, or gone",
         .text = "Wait until a resource is READY, and fail with the reason if it ends in ERROR; or until it is gone.",
         .example = "  dispatch wait function hello\n  dispatch wait image python3 --for deleted --timeout 1m",
         .commands = commands_wait},
        {.name = NULL},
};

const struct command cli_commands = {
        .name = "dispatch",
        .brief = "dispatch deploys and runs serverless functions",
        .text = "dispatch deploys and runs serverless functions.\n\n"
                "Without any configuration it talks to the server of this machine, http://127.0.0.1:8080. Flags come\n"
                "before the environment (DISPATCH_HOST, DISPATCH_PORT, DISPATCH_SCHEME, DISPATCH_ORGANIZATION,\n"
                "DISPATCH_PROJECT, DISPATCH_INSECURE, DISPATCH_TOKEN, DISPATCH_SERVICE_ACCOUNT,\n"
                "DISPATCH_JWT_PRIVATE_KEY, DISPATCH_CONFIG), and that before the current context.",
        .example = "  dispatch create image python3 dispatchframework/python3-base:0.0.13-knative --wait\n"
                   "  dispatch create function --image python3 hello ./hello.py --wait\n"
                   "  dispatch exec hello <<< '{\"name\": \"user\"}'",
        .commands = commands_root,
};
/* clang-format on */
