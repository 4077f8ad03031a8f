/* runtimes/native/program.c: see program.h. */
#include "runtimes/native/program.h"

#include "base/own.h"
#include "base/str.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#if defined(__x86_64__)
enum { OUR_MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { OUR_MACHINE = EM_AARCH64 };
#elif defined(__riscv)
enum { OUR_MACHINE = EM_RISCV };
#else
enum { OUR_MACHINE = EM_NONE };
#endif

enum { SHEBANG_MAX = 256, PROGRAM_HEADERS_MAX = 64 };

/* The only regular file at the top. */
static enum err_code find_only(char *name, size_t size, struct err *err)
{
        own_dir DIR *dir = opendir(".");
        int found = 0;

        if (dir == NULL)
                return err_sys(err, "open the function's folder");
        for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
                struct stat st;

                if (entry->d_name[0] == '.' || fstatat(dirfd(dir), entry->d_name, &st, 0) < 0 ||
                    !S_ISREG(st.st_mode))
                        continue;
                if (++found == 1)
                        snprintf(name, size, "%s", entry->d_name);
        }
        if (found == 1)
                return ERR_OK;
        return err_set(err, ERR_NOT_FOUND,
                       "no handler is named, and the source has %s: name one as ./program",
                       found == 0 ? "no file at its top" : "more than one file");
}

/* True for a path that stays below the folder it starts in. */
static bool stays_below(struct str path)
{
        if (path.len == 0 || path.p[0] == '/')
                return false;
        while (path.len > 0) {
                struct str part = str_cut(&path, '/');
                if (str_eq(part, STR("..")))
                        return false;
        }
        return true;
}

/* The first line behind "#!": interpreter and one argument. */
static enum err_code read_shebang(struct program *program, const char *text, size_t len, struct err *err)
{
        struct str rest = {text + 2, len - 2};
        struct str line = str_trim(str_cut(&rest, '\n'), " \t\r");
        struct str interpreter = str_slice(line, 0, 0);

        while (interpreter.len < line.len && line.p[interpreter.len] != ' ' &&
               line.p[interpreter.len] != '\t')
                interpreter.len++;
        struct str argument = str_trim(str_slice(line, interpreter.len, line.len), " \t");
        snprintf(program->interpreter, sizeof(program->interpreter), "%.*s", STR_ARG(interpreter));
        snprintf(program->argument, sizeof(program->argument), "%.*s", STR_ARG(argument));
        if (memchr(line.p, '\r', (size_t)(text + len - line.p)) != NULL && line.p[line.len] == '\r')
                return err_set(err, ERR_INVALID, "'%s' has DOS line ends: convert them (sed -i 's/\\r$//')",
                               program->path);
        if (access(program->interpreter, X_OK) < 0)
                return err_set(err, ERR_NOT_FOUND, "the interpreter '%.200s' of '%.200s' is not in the image",
                               program->interpreter, program->path);
        return ERR_OK;
}

/* The loader that a dynamic program asks for must be there, else every run would say "no such file". */
static enum err_code check_loader(const struct program *program, int fd, const Elf64_Ehdr *elf,
                                  struct err *err)
{
        char loader[256];

        for (unsigned i = 0; i < elf->e_phnum && i < PROGRAM_HEADERS_MAX; i++) {
                Elf64_Phdr header;
                off_t at = (off_t)(elf->e_phoff + (uint64_t)i * elf->e_phentsize);

                if (pread(fd, &header, sizeof(header), at) != (ssize_t)sizeof(header))
                        return err_set(err, ERR_INVALID, "'%s' is cut short", program->path);
                if (header.p_type != PT_INTERP)
                        continue;
                size_t len = header.p_filesz < sizeof(loader) ? (size_t)header.p_filesz : sizeof(loader);
                if (len == 0 || pread(fd, loader, len, (off_t)header.p_offset) != (ssize_t)len ||
                    loader[len - 1] != '\0')
                        return err_set(err, ERR_INVALID, "'%s' names no loader", program->path);
                if (access(loader, X_OK) < 0)
                        return err_set(err, ERR_NOT_FOUND,
                                       "the loader '%s' of '%.200s' is not in the image: link it "
                                       "statically, or for this C library",
                                       loader, program->path);
                return ERR_OK;
        }
        return ERR_OK;
}

static enum err_code check_elf(const struct program *program, int fd, bool executable, struct err *err)
{
        Elf64_Ehdr elf;

        if (!executable)
                return err_set(err, ERR_INVALID, "'%s' is not executable: set its executable bit (chmod +x)",
                               program->path);
        if (pread(fd, &elf, sizeof(elf), 0) != (ssize_t)sizeof(elf))
                return err_set(err, ERR_INVALID, "'%s' is cut short", program->path);
        if (OUR_MACHINE != EM_NONE && (elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_machine != OUR_MACHINE))
                return err_set(err, ERR_INVALID, "'%s' is built for another processor", program->path);
        if (elf.e_type != ET_EXEC && elf.e_type != ET_DYN)
                return err_set(err, ERR_INVALID, "'%s' is not a program", program->path);
        return check_loader(program, fd, &elf, err);
}

static enum err_code check_file(struct program *program, int fd, struct err *err)
{
        bool executable = access(program->path, X_OK) == 0;
        char head[SHEBANG_MAX];
        ssize_t len = pread(fd, head, sizeof(head), 0);

        if (len < 0)
                return err_sys(err, "read '%s'", program->path);
        if (len >= 4 && memcmp(head, ELFMAG, SELFMAG) == 0)
                return check_elf(program, fd, executable, err);
        if (len < 2 || head[0] != '#' || head[1] != '!')
                return err_set(err, ERR_INVALID, "'%s' is neither a program nor a script that starts with #!",
                               program->path);
        enum err_code code = read_shebang(program, head, (size_t)len, err);
        if (code == ERR_OK && executable)
                program->interpreter[0] = '\0'; /* the kernel does it */
        return code;
}

enum err_code program_find(const char *handler, struct program *ret, struct err *err)
{
        struct program program = {0};
        char only[NAME_MAX + 1];
        struct stat st;

        if (*handler == '\0') {
                enum err_code code = find_only(only, sizeof(only), err);
                if (code != ERR_OK)
                        return code;
                handler = only;
        }
        struct str path = str_of(handler);
        if (str_starts(path, STR("./")))
                path = str_slice(path, 2, path.len);
        if (!stays_below(path) || path.len > sizeof(program.path) - 3)
                return err_set(err, ERR_INVALID, "handler '%.200s' is not a path in the function's source",
                               handler);
        snprintf(program.path, sizeof(program.path), "./%.*s", STR_ARG(path));

        own_fd int fd = open(program.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR
                               ? err_set(err, ERR_NOT_FOUND, "no file '%.200s' in the function's source",
                                         program.path)
                               : err_sys(err, "open '%.200s'", program.path);
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return err_set(err, ERR_INVALID, "'%.200s' is not a file", program.path);
        enum err_code code = check_file(&program, fd, err);
        if (code == ERR_OK)
                *ret = program;
        return code;
}
