/* build/job.c: runs one job and puts its outcome into the report, whose info is a small JSON object. */
#include "build/job.h"

#include "base/own.h"
#include "build/builtin.h"
#include "build/catalogue.h"
#include "build/debroot_job.h"
#include "build/export.h"
#include "build/handler.h"
#include "build/inspect.h"
#include "build/pull.h"
#include "build/s3_job.h"
#include "build/tree.h"
#include "build/unpack.h"
#include "image/runtime.h"

#include <fcntl.h>
#include <jansson.h>
#include <string.h>

static void json_release(json_t **json)
{
        json_decref(*json);
}

#define own_json __attribute__((cleanup(json_release)))

static enum err_code put_info(struct spawn_report *report, json_t *info, struct err *err)
{
        size_t len = json_dumpb(info, report->info, sizeof(report->info) - 1, JSON_COMPACT);

        if (len == 0 || len >= sizeof(report->info)) {
                memset(report->info, 0, sizeof(report->info));
                return err_set(err, ERR_NO_MEMORY, "the build's report could not be written");
        }
        report->info[len] = '\0';
        return ERR_OK;
}

/* ERR_NOT_FOUND: no folder or no manifest in it. */
static enum err_code read_runtime(const struct job *job, struct runtime *ret, struct err *err)
{
        if (job->runtime_fd < 0)
                return err_set(err, ERR_NOT_FOUND, "no runtime for %s on this server", job->language);

        enum err_code code = runtime_read(job->runtime_fd, ret, err);

        if (code != ERR_OK)
                return err_wrap(err, code, "runtime '%s'", job->language);
        return ERR_OK;
}

static enum err_code find_handler(const struct job *job, char handler[HANDLER_MAX], struct err *err)
{
        own_mem struct runtime *runtime = malloc(sizeof(*runtime));

        if (runtime == NULL)
                return err_nomem(err);

        enum err_code code = read_runtime(job, runtime, err);

        if (code == ERR_NOT_FOUND)
                return ERR_OK;
        if (code != ERR_OK)
                return code;
        return handler_default(job->out_fd, runtime, handler, err);
}

static enum err_code run_source(const struct job *job, struct tree *tree, struct spawn_report *report,
                                struct err *err)
{
        char handler[HANDLER_MAX] = "";
        enum err_code code = unpack_archive(job->input_fd, tree, err);

        if (code == ERR_OK)
                code = find_handler(job, handler, err);
        if (code != ERR_OK)
                return code;

        own_json json_t *info =
                json_pack("{sIsI}", "files", (json_int_t)tree->files, "bytes", (json_int_t)tree->bytes);

        if (info == NULL)
                return err_nomem(err);
        /* A name that is not UTF-8 cannot be a handler's in JSON: its user must name it. */
        if (handler[0] != '\0')
                (void)json_object_set_new(info, "handler", json_string(handler));
        return put_info(report, info, err);
}

static enum err_code run_builtin(const struct job *job, struct tree *tree, struct spawn_report *report,
                                 struct err *err)
{
        own_mem struct runtime *runtime = malloc(sizeof(*runtime));
        struct builtin_result result = {0};
        enum err_code code;

        if (runtime == NULL)
                return err_nomem(err);
        code = read_runtime(job, runtime, err);
        if (code == ERR_NOT_FOUND)
                return ERR_UNAVAILABLE;
        if (code != ERR_OK)
                return code;
        code = builtin_make(runtime, job->host_fd, tree, &result, err);
        if (code != ERR_OK)
                return code;

        own_json json_t *info = json_pack("{sssIsIsIsssI}", "version", result.version, "packages",
                                          (json_int_t)result.packages, "files", (json_int_t)tree->files,
                                          "bytes", (json_int_t)tree->bytes, "digest", result.digest,
                                          "unreadable", (json_int_t)result.unreadable);

        if (info == NULL)
                return err_nomem(err);
        snprintf(report->layer, sizeof(report->layer), "builtin-%s-%.32s", job->language, result.digest);
        if (!spawn_name_valid(report->layer, sizeof(report->layer)))
                return err_set(err, ERR_INVALID, "'%s' is too long for a language's name", job->language);
        return put_info(report, info, err);
}

static enum err_code run_s3(const struct job *job, struct spawn_report *report, struct err *err)
{
        own_json json_t *info = NULL;
        enum err_code code = s3_job_run(job->kind, job->input_fd, job->log_fd, job->data_fd, &info, err);

        return code == ERR_OK ? put_info(report, info, err) : code;
}

static enum err_code run_export(const struct job *job, struct spawn_report *report, struct err *err)
{
        own_fd int layers_fd = open("/layers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_fd int blobs_fd = open("/blobs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct export_places places = {.layers_fd = layers_fd, .blobs_fd = blobs_fd};
        own_json json_t *info = NULL;
        enum err_code code = export_run(job, &places, &info, err);

        return code == ERR_OK ? put_info(report, info, err) : code;
}

static enum err_code run_tools(const struct job *job, struct tree *tree, struct spawn_report *report,
                               struct err *err)
{
        own_mem struct runtime *runtime = malloc(sizeof(*runtime));
        struct builtin_result result = {0};

        if (runtime == NULL)
                return err_nomem(err);
        enum err_code code = read_runtime(job, runtime, err);
        if (code == ERR_OK)
                code = builtin_tools(runtime, job->host_fd, tree, &result, err);
        if (code != ERR_OK)
                return code == ERR_NOT_FOUND ? ERR_UNAVAILABLE : code;
        snprintf(report->layer, sizeof(report->layer), "tools-%s-%.32s", job->language, result.digest);
        if (!spawn_name_valid(report->layer, sizeof(report->layer)))
                return err_set(err, ERR_INVALID, "'%s' is too long for a language's name", job->language);
        return ERR_OK;
}

/* Says all on the log. */
static enum err_code run_catalogue(const struct job *job, struct err *err)
{
        own_fd int image_fd = open("/image", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (image_fd < 0)
                return err_sys(err, "open the image");
        return catalogue_write(image_fd, job->log_fd, err);
}

static enum err_code run_inspect(const struct job *job, struct spawn_report *report, struct err *err)
{
        own_mem struct runtime *runtime = malloc(sizeof(*runtime));
        own_fd int image_fd = open("/image", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_json json_t *info = NULL;
        char path[4096];

        if (runtime == NULL)
                return err_nomem(err);
        if (image_fd < 0)
                return err_sys(err, "open the image");
        ssize_t len = read(job->input_fd, path, sizeof(path) - 1);
        path[len > 0 ? len : 0] = '\0';
        enum err_code code = read_runtime(job, runtime, err);
        if (code == ERR_OK)
                code = inspect_image(image_fd, job->runtime_fd, runtime, path, &info, err);
        return code == ERR_OK ? put_info(report, info, err) : code;
}

static enum err_code run(const struct job *job, struct tree *tree, struct spawn_report *report,
                         struct err *err)
{
        enum err_code code;

        if (strcmp(job->kind, "source") == 0)
                code = run_source(job, tree, report, err);
        else if (strcmp(job->kind, "builtin") == 0)
                code = run_builtin(job, tree, report, err);
        else if (strcmp(job->kind, "debroot") == 0)
                return debroot_job_run(job, err); /* it is no tree of ours, and copied before it is kept */
        else if (s3_job_is(job->kind))
                code = run_s3(job, report, err);
        else if (strcmp(job->kind, "pull") == 0)
                return pull_run(job, err); /* spawn syncs what it takes */
        else if (strcmp(job->kind, "inspect") == 0)
                return run_inspect(job, report, err);
        else if (export_is(job->kind))
                return run_export(job, report, err); /* what it leaves in /out is nobody's */
        else if (strcmp(job->kind, "tools") == 0)
                code = run_tools(job, tree, report, err);
        else if (strcmp(job->kind, "catalogue") == 0)
                return run_catalogue(job, err);
        else
                code = err_set(err, ERR_INVALID, "unknown kind of build");
        if (code == ERR_OK)
                code = tree_sync(tree, err);
        return code;
}

void job_run(const struct job *job, struct spawn_report *report)
{
        struct tree tree;
        struct err err = {0};

        memset(report, 0, sizeof(*report));
        tree_init(&tree, job->out_fd, job->disk_mib << 20, job->files_max);
        report->code = run(job, &tree, report, &err);
        tree_finish(&tree);
        if (report->code != ERR_OK)
                snprintf(report->text, sizeof(report->text), "%s", err.text);
}
