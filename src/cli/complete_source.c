/* cli/complete_source.c: what the values of flags and the arguments of commands can be. */
#include "cli/commands.h"
#include "cli/complete.h"
#include "cli/resource.h"

#include <string.h>

/* clang-format off */

#define WORDS(text)     {COMPLETE_WORDS, text, NULL}
#define NAMES(resource) {COMPLETE_NAMES, NULL, resource}
#define FILES           {COMPLETE_FILES, NULL, NULL}
#define FOLDERS         {COMPLETE_FOLDERS, NULL, NULL}
#define CONTEXTS        {COMPLETE_CONTEXTS, NULL, NULL}
#define RUNS            {COMPLETE_RUNS, NULL, NULL}

static const struct {
        const char *flag;
        struct complete_source source;
} of_flags[] = {
        {"accept", WORDS("application/json application/octet-stream text/plain")},
        {"base-image", NAMES(&resource_base_image)},
        {"by", WORDS("function status started finished")},
        {"config", FILES},
        {"content-type", WORDS("application/json application/octet-stream application/x-www-form-urlencoded text/plain")},
        {"file", FILES},
        {"for", WORDS("READY deleted")},
        {"func", NAMES(&resource_function)},
        {"function", NAMES(&resource_function)},
        {"image", NAMES(&resource_image)},
        {"isolation", WORDS("instance run")},
        {"jwt-private-key", FILES},
        {"method", WORDS("GET POST PUT PATCH DELETE HEAD OPTIONS")},
        {"network", WORDS("none egress")},
        {"protocol", WORDS("http dispatch")},
        {"registry-secret", NAMES(&resource_secret)},
        {"output", WORDS("json yaml wide name")},
        {"output-file", FILES},
        {"registry-secret", NAMES(&resource_secret)},
        {"run", RUNS},
        {"runtime-deps", FILES},
        {"runtime-lock", FILES},
        {"schema-in", FILES},
        {"schema-out", FILES},
        {"scheme", WORDS("http https")},
        {"secret", NAMES(&resource_secret)},
        {"set", CONTEXTS},
        {"sort-by", WORDS("name status createdTime modifiedTime")},
        {"system-deps", FILES},
        {"work-dir", FOLDERS},
};

/* The first that fits. */
static const struct {
        enum err_code (*run)(struct cli *cli, struct err *err);
        const struct resource *resource; /* NULL: of every resource */
        int position;
        struct complete_source source; /* COMPLETE_NAMES without a resource: names of the command's own */
} of_arguments[] = {
        {resource_create, &resource_image, 1, NAMES(&resource_base_image)},
        {resource_create, &resource_endpoint, 1, NAMES(&resource_function)},
        {resource_create, &resource_api, 1, NAMES(&resource_function)},
        {resource_create, &resource_function, 1, FILES},
        {resource_create, &resource_secret, 1, FILES},
        {resource_update, &resource_function, 1, FILES},
        {resource_update, &resource_secret, 1, FILES},
        {resource_wait_for, &resource_run, 0, RUNS},
        {resource_get, NULL, 0, NAMES(NULL)},
        {resource_update, NULL, 0, NAMES(NULL)},
        {resource_delete, &resource_run, 0, RUNS},
        {resource_delete, NULL, 0, NAMES(NULL)},
        {resource_edit, NULL, 0, NAMES(NULL)},
        {resource_wait_for, NULL, 0, NAMES(NULL)},
        {exec_run, NULL, 0, NAMES(&resource_function)},
        {export_run, NULL, 0, NAMES(&resource_function)},
        {export_run, NULL, 1, WORDS("oci: oci-archive: docker://")},
        {logs_run, NULL, 0, NAMES(&resource_function)},
        {instances_get, NULL, 0, NAMES(&resource_function)},
        {describe_function, NULL, 0, NAMES(&resource_function)},
        {runs_get, NULL, 0, NAMES(&resource_function)},
        {runs_get, NULL, 1, RUNS},
        {context_set, NULL, 0, CONTEXTS},
        {context_delete, NULL, 0, CONTEXTS},
        {completion_run, NULL, 0, WORDS("bash zsh fish")},
};
/* clang-format on */

struct complete_source complete_flag(const struct flag *flag)
{
        for (size_t i = 0; i < sizeof(of_flags) / sizeof(of_flags[0]); i++) {
                if (strcmp(of_flags[i].flag, flag->name) == 0)
                        return of_flags[i].source;
        }
        return (struct complete_source){.kind = COMPLETE_NOTHING};
}

struct complete_source complete_argument(const struct command *command, int position)
{
        for (size_t i = 0; i < sizeof(of_arguments) / sizeof(of_arguments[0]); i++) {
                if (of_arguments[i].run != command->run || of_arguments[i].position != position ||
                    (of_arguments[i].resource != NULL && of_arguments[i].resource != command->data))
                        continue;
                struct complete_source source = of_arguments[i].source;
                if (source.kind == COMPLETE_NAMES && source.resource == NULL)
                        source.resource = command->data;
                return source;
        }
        return (struct complete_source){.kind = COMPLETE_NOTHING};
}
