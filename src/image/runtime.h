/*
 * image/runtime.h: the languages that this installation can run: one folder each below the runtime directory,
 * with a file `manifest` in it. A new language is a new folder; nothing in the program names one.
 *
 * A manifest is text, one `key=value` a line; blank lines and lines that start with '#' are skipped, blanks
 * around key and value are dropped, an unknown or repeated key is an error that names it:
 *
 *      language=python3                       must be the folder's name; [a-z0-9][a-z0-9._-]*
 *      argv=/usr/bin/python3 /runtime/agent   the agent's command line in the sandbox: words between blanks
 *                                             or tabs, the first an absolute path; {memory:PERCENT} is that
 *                                             share of the instance's memory in MiB, at least 1
 *      default-file=*.py                      which file of a source is the handler's when none is named:
 *                                             the only one at the top that fits; one `*`, any text.
 *                                             Several, with blanks between: the first that any file fits
 *      default-handler=NAME.handle            and what the handler is called then; NAME is what `*` stood
 *                                             for, FILE the whole name
 *      compile=/usr/bin/java ...              a command line like argv, run when a function is built: in its
 *                                             image's root, in the unpacked source, which it may write to.
 *                                             Exit status 0, or what it printed says why not
 *      packages=python3, mawk | awk, ...      Debian packages of the built-in base image, written like a
 *                                             Depends
 *      packages-optional=ca-certificates      the same, left out where the host has not got them
 *      program=/usr/bin/python3               what must be there in the end
 *      minimum=3.8                            an image's own interpreter must be that new
 *      for=images                             no language: its instances run a function's own image
 *      deps=/usr/bin/python3 /runtime/deps.py a command line like argv that installs what a function depends
 *                                             on (build/inside_deps.h says how it is run)
 *      deps-file=requirements.txt             the name that the list of dependencies has for it
 *      deps-lock=package-lock.json            and what else a list may come with
 *      tools=python3-pip-whl                  Debian packages that the host needs for it, like packages
 *      tools-files=/usr/share/python-wheels   what of the host is put into the image while it runs: files and
 *                                             folders, between blanks; absent ones are left out
 *      tools-config=/etc/pip.conf             the same of its configuration
 *      starts=template zygote                 the ways besides booting in which its instances can start
 *                                             (wire/spawn.h, enum spawn_role): of template, zygote and stem
 *
 * Blocking (reads files): at start, and in dispatch-build. A loaded table is immutable and may be read by any
 * thread.
 */
#ifndef DISPATCH_IMAGE_RUNTIME_H
#define DISPATCH_IMAGE_RUNTIME_H

#include "base/err.h"
#include "base/str.h"
#include "wire/spawn.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        RUNTIMES_MAX = 64,           /* languages of one installation */
        RUNTIME_MANIFEST_MAX = 8192, /* bytes of a manifest */
        RUNTIME_WORD_MAX = 256,
        RUNTIME_PACKAGES_MAX = 1024
};

struct runtime {
        char language[SPAWN_NAME_MAX];
        uint32_t argc;
        char argv[SPAWN_ARGV_MAX];           /* as in struct spawn_start: each argument NUL-terminated */
        char default_file[RUNTIME_WORD_MAX]; /* "" where the manifest has none, as in all that follow */
        char default_handler[RUNTIME_WORD_MAX];
        char packages[RUNTIME_PACKAGES_MAX];
        char packages_optional[RUNTIME_PACKAGES_MAX];
        char program[RUNTIME_WORD_MAX];
        char minimum[16];
        char serves[16];       /* "images" or "" */
        uint32_t compile_argc; /* 0: nothing is to be compiled */
        char compile_argv[SPAWN_ARGV_MAX];
        uint32_t deps_argc; /* 0: it has no dependencies */
        char deps_argv[SPAWN_ARGV_MAX];
        char deps_file[RUNTIME_WORD_MAX];
        char deps_lock[RUNTIME_WORD_MAX];
        char tools[RUNTIME_PACKAGES_MAX];
        char tools_files[RUNTIME_PACKAGES_MAX];
        char tools_config[RUNTIME_PACKAGES_MAX];
        uint32_t starts; /* enum runtime_start */
};

/* Bits: what an instance of the language can come from. */
enum runtime_start { RUNTIME_TEMPLATE = 1, RUNTIME_ZYGOTE = 2, RUNTIME_STEM = 4 };

struct runtime_table {
        size_t count;
        struct runtime *runtimes; /* sorted by language */
};

/* A folder without a manifest is no language and is skipped; a wrong manifest is an error that names the
 * folder. */
enum err_code runtime_table_load(const char *directory, struct runtime_table *ret, struct err *err);
void runtime_table_finish(struct runtime_table *table);
/* NULL: no such language. */
const struct runtime *runtime_find(const struct runtime_table *table, struct str language);
/* True for one that a base image can be of. */
bool runtime_is_language(const struct runtime *runtime);
/* The languages: "native, python3", cut with "..." when it does not fit; "none" for an empty table. */
void runtime_table_list(const struct runtime_table *table, char *out, size_t size);

/* The command line for an instance that may have so much memory. */
void runtime_argv(const struct runtime *runtime, uint32_t memory_mib, char argv[SPAWN_ARGV_MAX],
                  uint32_t *argc);

/* The same for its compiler; *argc is 0 where it has none. */
void runtime_compile_argv(const struct runtime *runtime, uint32_t memory_mib, char argv[SPAWN_ARGV_MAX],
                          uint32_t *argc);

/* And for what installs dependencies. */
void runtime_deps_argv(const struct runtime *runtime, uint32_t memory_mib, char argv[SPAWN_ARGV_MAX],
                       uint32_t *argc);
/* One manifest; ERR_INVALID names the line. */
enum err_code runtime_parse(struct str text, struct runtime *ret, struct err *err);
/* The file `manifest` of a folder. ERR_NOT_FOUND: it has none. */
enum err_code runtime_read(int dir_fd, struct runtime *ret, struct err *err);

#endif
