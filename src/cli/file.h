/* cli/file.h: whole files and streams in bounded memory, with errors worded as the original words them. */
#ifndef DISPATCH_CLI_FILE_H
#define DISPATCH_CLI_FILE_H

#include "base/buf.h"
#include "base/err.h"

/* Appends the file; out->max bounds it. "open P: no such file or directory" */
enum err_code file_read(const char *path, struct buf *out, struct err *err);
/* Appends all that comes from the descriptor; `name` is for the error text. */
enum err_code file_read_fd(int fd, const char *name, struct buf *out, struct err *err);
/* Replaces the file in one step, mode 0600, durable when it returns. */
enum err_code file_replace(const char *path, const struct buf *content, struct err *err);

/* Writes a file that a user asked for: what is there is overwritten, the mode is the umask's. */
enum err_code file_write(const char *path, const struct buf *content, struct err *err);

/* All of it to a descriptor; `path` is for the error text. */
enum err_code file_write_all(int fd, const char *path, const struct buf *content, struct err *err);

/* "VERB PATH: reason" with the current errno. */
enum err_code file_error(struct err *err, const char *verb, const char *path);

#endif
