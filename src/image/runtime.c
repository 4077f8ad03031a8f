/*
 * image/runtime.c: reads the manifests of the runtime folders. Manifests come with the installation, so a
 * wrong one is refused with its line and key rather than worked around.
 */
#include "image/runtime.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum {
        KEY_LANGUAGE,
        KEY_ARGV,
        KEY_FILE,
        KEY_HANDLER,
        KEY_COMPILE,
        KEY_PACKAGES,
        KEY_OPTIONAL,
        KEY_PROGRAM,
        KEY_MINIMUM,
        KEY_FOR,
        KEY_DEPS,
        KEY_DEPS_FILE,
        KEY_DEPS_LOCK,
        KEY_TOOLS,
        KEY_TOOLS_FILES,
        KEY_TOOLS_CONFIG,
        KEY_STARTS,
        KEY_COUNT
};

static const struct {
        const char *name;
        size_t offset;
        size_t size;
} keys[KEY_COUNT] = {
#define FIELD(member) offsetof(struct runtime, member), sizeof(((struct runtime *)0)->member)
        [KEY_LANGUAGE] = {"language", FIELD(language)},
        [KEY_ARGV] = {"argv", FIELD(argv)},
        [KEY_FILE] = {"default-file", FIELD(default_file)},
        [KEY_HANDLER] = {"default-handler", FIELD(default_handler)},
        [KEY_COMPILE] = {"compile", FIELD(compile_argv)},
        [KEY_PACKAGES] = {"packages", FIELD(packages)},
        [KEY_OPTIONAL] = {"packages-optional", FIELD(packages_optional)},
        [KEY_PROGRAM] = {"program", FIELD(program)},
        [KEY_MINIMUM] = {"minimum", FIELD(minimum)},
        [KEY_FOR] = {"for", FIELD(serves)},
        [KEY_DEPS] = {"deps", FIELD(deps_argv)},
        [KEY_DEPS_FILE] = {"deps-file", FIELD(deps_file)},
        [KEY_DEPS_LOCK] = {"deps-lock", FIELD(deps_lock)},
        [KEY_TOOLS] = {"tools", FIELD(tools)},
        [KEY_TOOLS_FILES] = {"tools-files", FIELD(tools_files)},
        [KEY_TOOLS_CONFIG] = {"tools-config", FIELD(tools_config)},
        [KEY_STARTS] = {"starts", FIELD(starts)},
#undef FIELD
};

static const struct str memory_share = STR_INIT("{memory:");

/* The percentage of the {memory:PERCENT} at the front of `text`, or 0; *ret_len is how long that is. */
static uint32_t share_front(struct str text, size_t *ret_len)
{
        uint64_t percent;

        if (!str_starts(text, memory_share))
                return 0;
        struct str rest = str_slice(text, memory_share.len, text.len);
        size_t digits = str_find(rest, '}');
        if (digits == rest.len || !str_to_u64(str_slice(rest, 0, digits), &percent) || percent > 100)
                return 0;
        *ret_len = memory_share.len + digits + 1;
        return (uint32_t)percent;
}

static bool shares_valid(struct str text)
{
        size_t len;

        for (size_t at = 0; at < text.len; at++)
                if (str_starts(str_slice(text, at, text.len), memory_share) &&
                    share_front(str_slice(text, at, text.len), &len) == 0)
                        return false;
        return true;
}

/* A command line into `argv`, which is zeroed and of SPAWN_ARGV_MAX bytes. */
static enum err_code parse_argv(const char *key, struct str value, char *argv, uint32_t *argc,
                                struct err *err)
{
        size_t used = 0;

        if (!shares_valid(value))
                return err_set(err, ERR_INVALID, "%s: {memory:PERCENT} takes a percentage from 1 to 100",
                               key);
        while (value.len > 0) {
                size_t end = 0;

                while (end < value.len && value.p[end] != ' ' && value.p[end] != '\t')
                        end++;
                if (used + end + 1 > SPAWN_ARGV_MAX)
                        return err_set(err, ERR_INVALID, "%s is longer than %d bytes", key, SPAWN_ARGV_MAX);
                memcpy(argv + used, value.p, end);
                argv[used + end] = '\0';
                used += end + 1;
                (*argc)++;
                value = str_trim(str_slice(value, end, value.len), " \t");
        }
        if (*argc == 0 || argv[0] != '/')
                return err_set(err, ERR_INVALID, "%s must start with an absolute path", key);
        return ERR_OK;
}

static enum err_code parse_starts(struct str value, uint32_t *ret, struct err *err)
{
        static const struct str names[] = {STR_INIT("template"), STR_INIT("zygote"), STR_INIT("stem")};

        while (value.len > 0) {
                struct str word = str_cut(&value, ' ');
                size_t i = 0;

                while (i < sizeof(names) / sizeof(names[0]) && !str_eq(word, names[i]))
                        i++;
                if (i < sizeof(names) / sizeof(names[0]))
                        *ret |= 1U << i;
                else if (word.len > 0)
                        return err_set(err, ERR_INVALID, "starts is of template, zygote and stem, not '%.*s'",
                                       STR_ARG(word));
        }
        return ERR_OK;
}

static enum err_code parse_value(size_t key, struct str value, struct runtime *ret, struct err *err)
{
        if (key == KEY_ARGV)
                return parse_argv(keys[key].name, value, ret->argv, &ret->argc, err);
        if (key == KEY_COMPILE)
                return parse_argv(keys[key].name, value, ret->compile_argv, &ret->compile_argc, err);
        if (key == KEY_STARTS)
                return parse_starts(value, &ret->starts, err);
        if (key == KEY_FOR && !str_eq(value, STR("images")))
                return err_set(err, ERR_INVALID, "for takes 'images' alone");
        if (key == KEY_DEPS)
                return parse_argv(keys[key].name, value, ret->deps_argv, &ret->deps_argc, err);
        if (value.len >= keys[key].size)
                return err_set(err, ERR_INVALID, "%s is longer than %zu bytes", keys[key].name,
                               keys[key].size - 1);

        char *field = (char *)ret + keys[key].offset;

        memcpy(field, value.p, value.len);
        field[value.len] = '\0';
        return ERR_OK;
}

static enum err_code parse_line(struct str line, struct runtime *ret, uint32_t *seen, struct err *err)
{
        struct str rest = line;
        size_t key = 0;

        if (str_find(line, '=') == line.len)
                return err_set(err, ERR_INVALID, "'%.*s' is not key=value", STR_ARG(line));

        struct str name = str_trim(str_cut(&rest, '='), " \t");

        while (key < KEY_COUNT && !str_eq(name, str_of(keys[key].name)))
                key++;
        if (key == KEY_COUNT)
                return err_set(err, ERR_INVALID, "unknown key '%.*s'", STR_ARG(name));
        if ((*seen & 1u << key) != 0)
                return err_set(err, ERR_INVALID, "%s is there twice", keys[key].name);
        *seen |= 1u << key;
        return parse_value(key, str_trim(rest, " \t"), ret, err);
}

/* Without a folder; or nothing. */
static bool file_name_valid(const char *name)
{
        return strchr(name, '/') == NULL && name[0] != '.';
}

enum err_code runtime_parse(struct str text, struct runtime *ret, struct err *err)
{
        struct runtime runtime = {0};
        uint32_t seen = 0;

        if (text.len > RUNTIME_MANIFEST_MAX || memchr(text.p, '\0', text.len) != NULL)
                return err_set(err, ERR_INVALID, "not a text of at most %d bytes", RUNTIME_MANIFEST_MAX);
        for (int number = 1; text.len > 0; number++) {
                struct str line = str_trim(str_cut(&text, '\n'), " \t\r");

                if (line.len == 0 || line.p[0] == '#')
                        continue;
                if (parse_line(line, &runtime, &seen, err) != ERR_OK)
                        return err_wrap(err, ERR_INVALID, "line %d", number);
        }
        if (!spawn_name_valid(runtime.language, sizeof(runtime.language)))
                return err_set(err, ERR_INVALID, "language is missing or not a name");
        if (runtime.argc == 0)
                return err_set(err, ERR_INVALID, "argv is missing");
        if (!file_name_valid(runtime.deps_file) || !file_name_valid(runtime.deps_lock))
                return err_set(err, ERR_INVALID, "deps-file and deps-lock are names of files");
        if (runtime.deps_argc > 0 && runtime.deps_file[0] == '\0')
                return err_set(err, ERR_INVALID, "deps needs deps-file");
        *ret = runtime;
        return ERR_OK;
}

static void argv_fill(const char from_argv[SPAWN_ARGV_MAX], uint32_t memory_mib, char argv[SPAWN_ARGV_MAX])
{
        struct str from = {from_argv, SPAWN_ARGV_MAX};
        size_t used = 0;

        /* A number of MiB is shorter than what stands for it, so it fits. */
        memset(argv, 0, SPAWN_ARGV_MAX);
        while (from.len > 0) {
                size_t len = 1;
                uint32_t percent = share_front(from, &len);
                uint64_t mib = (uint64_t)memory_mib * percent / 100;

                if (percent > 0)
                        used += (size_t)snprintf(argv + used, SPAWN_ARGV_MAX - used, "%u",
                                                 mib > 0 ? (uint32_t)mib : 1);
                else
                        argv[used++] = from.p[0];
                from = str_slice(from, len, from.len);
        }
}

void runtime_argv(const struct runtime *runtime, uint32_t memory_mib, char argv[SPAWN_ARGV_MAX],
                  uint32_t *argc)
{
        argv_fill(runtime->argv, memory_mib, argv);
        *argc = runtime->argc;
}

void runtime_compile_argv(const struct runtime *runtime, uint32_t memory_mib, char argv[SPAWN_ARGV_MAX],
                          uint32_t *argc)
{
        argv_fill(runtime->compile_argv, memory_mib, argv);
        *argc = runtime->compile_argc;
}

void runtime_deps_argv(const struct runtime *runtime, uint32_t memory_mib, char argv[SPAWN_ARGV_MAX],
                       uint32_t *argc)
{
        argv_fill(runtime->deps_argv, memory_mib, argv);
        *argc = runtime->deps_argc;
}

enum err_code runtime_read(int dir_fd, struct runtime *ret, struct err *err)
{
        char text[RUNTIME_MANIFEST_MAX + 1];
        size_t len = 0;
        own_fd int fd = openat(dir_fd, "manifest", O_RDONLY | O_CLOEXEC);

        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
                return err_set(err, ERR_NOT_FOUND, "no manifest");
        if (fd < 0)
                return err_sys(err, "open manifest");
        while (len < sizeof(text)) {
                ssize_t got = read(fd, text + len, sizeof(text) - len);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return err_sys(err, "read manifest");
                if (got == 0)
                        break;
                len += (size_t)got;
        }
        return runtime_parse((struct str){text, len}, ret, err);
}

static enum err_code table_add(struct runtime_table *table, int dir_fd, const char *name, struct err *err)
{
        struct runtime runtime;
        own_fd int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return errno == ENOTDIR || errno == ENOENT ? ERR_OK : err_sys(err, "open runtime '%s'", name);

        enum err_code code = runtime_read(fd, &runtime, err);

        if (code == ERR_NOT_FOUND)
                return ERR_OK;
        if (code != ERR_OK)
                return err_wrap(err, code, "manifest of runtime '%s'", name);
        if (strcmp(runtime.language, name) != 0)
                return err_set(err, ERR_INVALID, "manifest of runtime '%s': its language is '%s'", name,
                               runtime.language);
        if (table->count == RUNTIMES_MAX)
                return err_set(err, ERR_INVALID, "more than %d runtimes", RUNTIMES_MAX);

        struct runtime *grown = realloc(table->runtimes, (table->count + 1) * sizeof(*grown));

        if (grown == NULL)
                return err_nomem(err);
        grown[table->count++] = runtime;
        table->runtimes = grown;
        return ERR_OK;
}

static int by_language(const void *a, const void *b)
{
        return strcmp(((const struct runtime *)a)->language, ((const struct runtime *)b)->language);
}

enum err_code runtime_table_load(const char *directory, struct runtime_table *ret, struct err *err)
{
        __attribute__((cleanup(runtime_table_finish))) struct runtime_table table = {0};
        own_dir DIR *dir = opendir(directory);

        if (dir == NULL)
                return err_sys(err, "open runtime directory '%s'", directory);
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
                if (entry->d_name[0] == '.')
                        continue;

                enum err_code code = table_add(&table, dirfd(dir), entry->d_name, err);

                if (code != ERR_OK)
                        return code;
        }
        if (table.count > 0)
                qsort(table.runtimes, table.count, sizeof(*table.runtimes), by_language);
        *ret = table;
        table = (struct runtime_table){0};
        return ERR_OK;
}

void runtime_table_finish(struct runtime_table *table)
{
        free(table->runtimes);
        *table = (struct runtime_table){0};
}

const struct runtime *runtime_find(const struct runtime_table *table, struct str language)
{
        for (size_t i = 0; i < table->count; i++)
                if (str_eq(str_of(table->runtimes[i].language), language))
                        return &table->runtimes[i];
        return NULL;
}

bool runtime_is_language(const struct runtime *runtime)
{
        return runtime->serves[0] == '\0';
}

void runtime_table_list(const struct runtime_table *table, char *out, size_t size)
{
        size_t used = 0;

        snprintf(out, size, "none");
        for (size_t i = 0; i < table->count; i++) {
                if (!runtime_is_language(&table->runtimes[i]))
                        continue;
                const char *language = table->runtimes[i].language;

                if (used + strlen(language) + 2 + 4 > size) { /* the separator, and room for "..." */
                        snprintf(out + used, size - used, "...");
                        return;
                }
                used += (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? ", " : "", language);
        }
}
