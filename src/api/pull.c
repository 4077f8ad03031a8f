/* api/pull.c: see pull.h. */
#include "api/pull.h"

#include "api/resource.h"
#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
        REFERENCE_MAX = 1024,
        DISK_MIB = 16384, /* of one image, fetched and unpacked */
        FILES_MAX = 1000000,
        TMP_MIB = 256,
        PIDS_MAX = 256,
        DEADLINE_MS = 3600000
};

struct pull {
        struct pull *next;
        struct api *api;
        uint64_t serial, id; /* ours, and the builder's */
        json_t *result;
        void (*line)(void *arg, char type, struct str text);
        pull_done done;
        void *arg;
};

struct source {
        const char *from;
        bool folder;
};

static const struct source sources[] = {{"oci", true}, {"oci-archive", false}, {"docker-archive", false}};

/* NULL: it is one of a registry. */
static const struct source *source_of(struct str reference, struct str *ret_rest)
{
        for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
                struct str rest = reference, scheme = str_cut(&rest, ':');

                if (str_eq(scheme, str_of(sources[i].from)) && scheme.len < reference.len) {
                        *ret_rest = rest;
                        return &sources[i];
                }
        }
        return NULL;
}

enum err_code pull_check(struct str reference, struct err *err)
{
        struct str rest;
        const struct source *source = source_of(reference, &rest);

        if (reference.len >= REFERENCE_MAX)
                return err_set(err, ERR_UNPROCESSABLE, "a reference of more than %d bytes",
                               REFERENCE_MAX - 1);
        if (source != NULL && (rest.len == 0 || rest.p[0] != '/'))
                return err_set(err, ERR_UNPROCESSABLE, "'%.*s': %s: takes an absolute path",
                               STR_ARG(reference), source->from);
        return source != NULL ? ERR_OK : reference_check(reference, err);
}

void pull_organization(const char *organization, char out[SPAWN_GROUP_MAX])
{
        spawn_group(organization, out);
}

/* What stands before the first slash, where it can be a host's name: docker's rule. */
static void registry_name(struct str reference, char out[REGISTRY_MAX])
{
        struct str rest = reference, first = str_cut(&rest, '/');
        bool named = first.len < reference.len && first.len < REGISTRY_MAX &&
                     (str_find(first, '.') < first.len || str_find(first, ':') < first.len ||
                      str_eq(first, STR("localhost")));

        snprintf(out, REGISTRY_MAX, "%.*s", named ? (int)first.len : 9, named ? first.p : "docker.io");
}

/* With a digest a tag says nothing more, and skopeo takes only one of them. */
static json_t *reference_text(struct str reference)
{
        size_t at = str_find(reference, '@');
        struct str name = str_slice(reference, 0, at);
        size_t colon = name.len;

        if (at == reference.len)
                return json_stringn(reference.p, reference.len);
        while (colon > 0 && name.p[colon - 1] != ':' && name.p[colon - 1] != '/')
                colon--;
        if (colon > 0 && name.p[colon - 1] == ':')
                name.len = colon - 1;
        return json_sprintf("%.*s%.*s", STR_ARG(name), (int)(reference.len - at), reference.p + at);
}

static enum err_code auth_take(struct api *api, const struct pull_request *request, const char *registry,
                               json_t **ret, struct err *err)
{
        struct store_key key = api_key(MODEL_SECRET, str_of(request->organization), str_of(request->project),
                                       request->secret);
        own_row struct store_row row = {0};
        json_t *values = NULL;

        if (request->secret.len == 0) {
                *ret = registries_auth(api->config.registries, registry);
                return ERR_OK;
        }
        enum err_code code = store_get(api->config.store, &key, &row, err);
        if (code == ERR_OK)
                code = secrets_open_sealed(api->config.secrets, &key, row.id,
                                           json_object_get(row.internal, SECRETS_SEALED), &values, err);
        if (code == ERR_OK)
                code = registries_secret_auth(values, registry, ret, err);
        secrets_wipe(values);
        return code == ERR_OK ? code : err_wrap(err, code, "registrySecret");
}

static enum err_code registry_input(struct api *api, const struct pull_request *request, json_t *input,
                                    struct builder_task *task, struct err *err)
{
        const struct registries *registries = api->config.registries;
        char registry[REGISTRY_MAX];
        json_t *auth = NULL;

        registry_name(request->reference, registry);
        if (registries == NULL)
                return err_set(err, ERR_UNPROCESSABLE, "registry %s: this server fetches no images",
                               registry);
        enum err_code code = auth_take(api, request, registry, &auth, err);
        if (code != ERR_OK)
                return code;
        const char *authority = registries_authority(registries);
        task->network = registries_local(registries, registry) ? SPAWN_NETWORK_HOST : SPAWN_NETWORK_EGRESS;
        int failed = json_object_set_new(input, "from", json_string("registry")) |
                     json_object_set_new(input, "reference", reference_text(request->reference)) |
                     json_object_set_new(input, "insecure",
                                         json_boolean(registries_insecure(registries, registry)));
        if (authority != NULL)
                failed |= json_object_set_new(input, "authority", json_string(authority));
        if (auth != NULL)
                failed |= json_object_set_new(input, "auth", auth);
        return failed == 0 ? ERR_OK : err_nomem(err);
}

/* Below that folder, whatever links are in it. */
static int open_below(const char *folder, const char *path, int flags)
{
        struct open_how how = {.flags = (uint64_t)(O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags),
                               .resolve = RESOLVE_BENEATH};
        own_fd int dir_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (dir_fd < 0)
                return -1;
        return (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
}

/* The administrator's folder that the path is in; *ret_below is the rest of the path. */
static bool folder_of(const char *folders, const char *path, char folder[REFERENCE_MAX],
                      const char **ret_below)
{
        struct str rest = str_of(folders);

        while (rest.len > 0) {
                struct str one = str_trim(str_cut(&rest, ','), " ");
                while (one.len > 1 && one.p[one.len - 1] == '/')
                        one.len--;
                if (one.len == 0 || one.p[0] != '/' || one.len >= REFERENCE_MAX ||
                    strncmp(path, one.p, one.len) != 0 || (path[one.len] != '/' && one.len > 1))
                        continue;
                snprintf(folder, REFERENCE_MAX, "%.*s", STR_ARG(one));
                *ret_below = path + one.len + strspn(path + one.len, "/");
                return true;
        }
        return false;
}

/* PATH, or PATH:NAME where there is no such path. */
static enum err_code disk_open(const struct api *api, const struct source *source, struct str rest,
                               json_t *input, int *ret_fd, struct err *err)
{
        const char *folders = api->config.image_folders != NULL ? api->config.image_folders : "";
        char path[REFERENCE_MAX], folder[REFERENCE_MAX];
        const char *below, *name = "";
        int flags = source->folder ? O_DIRECTORY : 0;

        snprintf(path, sizeof(path), "%.*s", STR_ARG(rest));
        if (!folder_of(folders, path, folder, &below))
                return err_set(
                        err, ERR_UNPROCESSABLE,
                        "%s:%s: images on this host's disk are taken from the folders that its administrator "
                        "names with --image-folders%s%.100s",
                        source->from, path, folders[0] != '\0' ? ": " : ", which names none", folders);
        *ret_fd = open_below(folder, below[0] != '\0' ? below : ".", flags);
        char *colon = strchr(path + (below - path), ':');
        if (*ret_fd < 0 && errno == ENOENT && colon != NULL) {
                *colon = '\0';
                name = colon + 1;
                *ret_fd = open_below(folder, below[0] != '\0' ? below : ".", flags);
        }
        if (*ret_fd < 0)
                return err_set(err, ERR_UNPROCESSABLE, "%s:%s: no such image: %s", source->from, path,
                               strerror(errno));
        if (json_object_set_new(input, "from", json_string(source->from)) < 0 ||
            json_object_set_new(input, "name", json_string(name)) < 0)
                return err_nomem(err);
        return ERR_OK;
}

static enum err_code input_file(const json_t *input, int *ret_fd, struct err *err)
{
        own_fd int fd = memfd_create("pull", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        char *text = json_dumps(input, JSON_COMPACT);
        size_t len = text != NULL ? strlen(text) : 0;
        ssize_t wrote = fd >= 0 && text != NULL ? pwrite(fd, text, len, 0) : -1;

        if (text != NULL)
                explicit_bzero(text, len);
        free(text);
        if (wrote != (ssize_t)len || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                return err_sys(err, "say what is to be pulled");
        *ret_fd = take_fd(&fd);
        return ERR_OK;
}

static void pull_unlink(struct pull *pull)
{
        for (struct pull **at = &pull->api->pulls; *at != NULL; at = &(*at)->next) {
                if (*at == pull) {
                        *at = pull->next;
                        return;
                }
        }
}

static void on_line(void *arg, char type, struct str text)
{
        struct pull *pull = arg;

        if (type != 'R' && pull->line != NULL)
                pull->line(pull->arg, type, text);
        if (type != 'R')
                return;
        json_decref(pull->result);
        pull->result = NULL;
        (void)json_parse(text, &pull->result, NULL);
}

static bool result_valid(const json_t *result)
{
        const json_t *layers = json_object_get(result, "layers"), *layer;
        size_t i;

        json_array_foreach(layers, i, layer)
        {
                const char *name = json_string_value(layer);
                if (name == NULL || strlen(name) >= SPAWN_NAME_MAX ||
                    !spawn_name_valid(name, strlen(name) + 1))
                        return false;
        }
        return json_array_size(layers) > 0 && json_array_size(layers) <= SPAWN_LAYERS_MAX &&
               json_is_array(json_object_get(result, "blobs")) &&
               json_is_object(json_object_get(result, "config")) && json_str(result, "digest").len > 0;
}

static void on_done(void *arg, const struct builder_result *result)
{
        struct pull *pull = arg;

        pull_unlink(pull);
        if (result->code != ERR_OK)
                pull->done(pull->arg, result->code, result->text, NULL);
        else if (!result_valid(pull->result))
                pull->done(pull->arg, ERR_SYSTEM, "the job that fetched the image did not say what it is",
                           NULL);
        else
                pull->done(pull->arg, ERR_OK, "", pull->result);
        json_decref(pull->result);
        free(pull);
}

static enum err_code request_input(struct api *api, const struct pull_request *request, json_t *input,
                                   struct builder_task *task, struct err *err)
{
        char mark[SPAWN_MARK_LEN + 1];
        struct str rest;
        const struct source *source = source_of(request->reference, &rest);

        spawn_mark(task->organization, mark);
        if (json_object_set_new(input, "mark", json_string(mark)) < 0 ||
            json_object_set_new(input, "patience", json_integer(api->config.registry_patience_s)) < 0)
                return err_nomem(err);
        enum err_code code = source != NULL ? disk_open(api, source, rest, input, &task->data_fd, err)
                                            : registry_input(api, request, input, task, err);
        return code == ERR_OK ? input_file(input, &task->input_fd, err) : code;
}

enum err_code pull_start(struct api *api, const struct pull_request *request, pull_done done, void *arg,
                         uint64_t *ret_id, struct err *err)
{
        json_t *input = json_object();
        struct pull *pull = calloc(1, sizeof(*pull));
        char organization[SPAWN_GROUP_MAX];
        struct builder_task task = {.kind = "pull",
                                    .organization = organization,
                                    .slow = true,
                                    .disk_mib = DISK_MIB,
                                    .files_max = FILES_MAX,
                                    .tmp_mib = TMP_MIB,
                                    .pids_max = PIDS_MAX,
                                    .deadline_ms = DEADLINE_MS,
                                    .input_fd = -1,
                                    .data_fd = -1,
                                    .line = on_line};
        enum err_code code =
                input != NULL && pull != NULL ? pull_check(request->reference, err) : err_nomem(err);

        pull_organization(request->organization, organization);
        if (code == ERR_OK)
                code = request_input(api, request, input, &task, err);
        secrets_wipe(input);
        if (code != ERR_OK) {
                own_fd_release(&task.data_fd);
                free(pull);
                return code;
        }
        *pull = (struct pull){.next = api->pulls,
                              .api = api,
                              .serial = ++api->pull_serial,
                              .line = request->line,
                              .done = done,
                              .arg = arg};
        api->pulls = pull;
        uint64_t serial = pull->serial;
        uint64_t id = builder_run(api->config.builder, &task, on_done, pull);
        if (id != 0)
                pull->id = id; /* else it has ended */
        *ret_id = serial;
        return ERR_OK;
}

void pull_cancel(struct api *api, uint64_t id)
{
        for (struct pull *pull = api->pulls; pull != NULL; pull = pull->next) {
                if (pull->serial == id) {
                        builder_cancel(api->config.builder, pull->id);
                        return;
                }
        }
}

void pulls_finish(struct api *api)
{
        while (api->pulls != NULL) {
                struct pull *pull = api->pulls;

                api->pulls = pull->next;
                json_decref(pull->result);
                free(pull);
        }
}
