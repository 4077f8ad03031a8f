/*
 * build/inside_main.c: dispatch-inside: the part of a build job that runs a tool of an image. spawn starts it
 * in a sandbox whose root is that image, once dispatch-build has ended; the report on descriptor 3 is all
 * that it says. See wire/spawn.h.
 *
 * Static, since it runs in whatever image there is.
 */
#include "base/own.h"
#include "base/str.h"
#include "build/inside.h"
#include "build/inside_deps.h"
#include "image/runtime.h"
#include "wire/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

enum {
        REPORT_FD = 3,
        INPUT_FD,
        LOG_FD,
        ARGUMENTS_MAX = 256,
        DISK_MIB_LIMIT = 1 << 20,
        FILES_LIMIT = 10000000
};

static const char folder[] = "/function", runtime_folder[] = "/runtime";

struct arguments {
        uint64_t disk_mib, files_max, memory_mib;
        char *program; /* the image's own interpreter; NULL: the runtime's */
};

static bool arguments_parse(int argc, char **argv, struct arguments *ret)
{
        ret->program = argc == 7 ? argv[6] : NULL;
        return (argc == 6 || argc == 7) && str_to_u64(str_of(argv[3]), &ret->disk_mib) &&
               ret->disk_mib <= DISK_MIB_LIMIT && str_to_u64(str_of(argv[4]), &ret->files_max) &&
               ret->files_max <= FILES_LIMIT && str_to_u64(str_of(argv[5]), &ret->memory_mib) &&
               ret->memory_mib <= UINT32_MAX;
}

static enum err_code runtime_load(struct runtime *ret, struct err *err)
{
        own_fd int fd = open(runtime_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return err_sys(err, "open %s", runtime_folder);
        return runtime_read(fd, ret, err);
}

static void argv_split(char *text, uint32_t argc, char *argv[ARGUMENTS_MAX + 1])
{
        for (uint32_t i = 0; i < argc; i++) {
                argv[i] = text;
                text += strlen(text) + 1;
        }
        argv[argc] = NULL;
}

/* How the tool failed, as a reason. */
static enum err_code tool_failed(const struct inside_result *result, struct err *err)
{
        char line[SPAWN_TEXT_MAX - 40];

        inside_line(result, line, sizeof(line));
        if (result->by_signal && result->value == SIGKILL)
                return err_set(err, ERR_TOO_LARGE,
                               "the source does not compile: the compiler was killed, most likely because "
                               "it needs more memory than a build has");
        if (result->by_signal)
                return err_set(err, ERR_INVALID, "the source does not compile: signal %d ended the compiler",
                               result->value);
        if (line[0] == '\0')
                return err_set(err, ERR_INVALID,
                               "the source does not compile: exit status %d of the compiler", result->value);
        return err_set(err, ERR_INVALID, "the source does not compile: %s", line);
}

static enum err_code compile(const struct arguments *arguments, struct tree *tree, struct err *err)
{
        static struct runtime runtime;
        static struct inside_result result;
        char text[SPAWN_ARGV_MAX], *argv[ARGUMENTS_MAX + 1];
        uint32_t argc = 0;
        enum err_code code = runtime_load(&runtime, err);

        if (code != ERR_OK)
                return code;
        runtime_compile_argv(&runtime, (uint32_t)arguments->memory_mib, text, &argc);
        if (argc == 0 || argc > ARGUMENTS_MAX)
                return err_set(err, ERR_INVALID, "the runtime of %s compiles nothing", runtime.language);
        argv_split(text, argc, argv);
        if (arguments->program != NULL && strcmp(argv[0], runtime.argv) == 0)
                argv[0] = arguments->program;
        code = inside_run(argv, folder, &result, err);
        if (code != ERR_OK)
                return err_wrap(err, code, "compile the source");
        if (result.by_signal || result.value != 0)
                return tool_failed(&result, err);
        code = inside_count(tree, err);
        if (code != ERR_OK)
                return err_wrap(err, code, "what was compiled");
        return tree_sync(tree, err);
}

static enum err_code install(const struct arguments *arguments, struct tree *tree, struct err *err)
{
        static struct runtime runtime;
        char text[SPAWN_ARGV_MAX], *argv[ARGUMENTS_MAX + 1];
        struct inside_deps deps = {
                .argv = argv, .runtime = &runtime, .folder = folder, .input_fd = INPUT_FD, .log_fd = LOG_FD};
        uint32_t argc = 0;
        enum err_code code = runtime_load(&runtime, err);

        if (code != ERR_OK)
                return code;
        runtime_deps_argv(&runtime, (uint32_t)arguments->memory_mib, text, &argc);
        if (argc == 0 || argc > ARGUMENTS_MAX)
                return err_set(err, ERR_INVALID, "the runtime of %s installs nothing", runtime.language);
        argv_split(text, argc, argv);
        return inside_deps_run(&deps, tree, err);
}

static enum err_code run(const char *kind, const struct arguments *arguments, struct err *err)
{
        own_fd int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct tree tree;

        if (fd < 0)
                return err_sys(err, "open %s", folder);
        tree_init(&tree, fd, arguments->disk_mib << 20, arguments->files_max);

        enum err_code code;

        if (strcmp(kind, "source") == 0)
                code = compile(arguments, &tree, err);
        else if (strcmp(kind, "deps") == 0)
                code = install(arguments, &tree, err);
        else
                code = err_set(err, ERR_INVALID, "unknown kind of build");

        tree_finish(&tree);
        return code;
}

int main(int argc, char **argv)
{
        struct arguments arguments;
        struct spawn_report report = {0};
        struct err err = {0};
        ssize_t wrote;

        if (!arguments_parse(argc, argv, &arguments)) {
                fputs("dispatch-inside KIND LANGUAGE DISK_MIB FILES_MAX MEMORY_MIB [PROGRAM]\n"
                      "Started by dispatch-spawn; not for use by hand.\n",
                      stderr);
                return 2;
        }
        umask(022);
        /* What it runs has the same user: nobody is to look into this process, or change it. */
        (void)prctl(PR_SET_DUMPABLE, 0);
        report.code = run(argv[1], &arguments, &err);
        if (report.code != ERR_OK)
                snprintf(report.text, sizeof(report.text), "%s", err.text);
        do
                wrote = write(REPORT_FD, &report, sizeof(report));
        while (wrote < 0 && errno == EINTR);
        return wrote == (ssize_t)sizeof(report) ? 0 : 1;
}
