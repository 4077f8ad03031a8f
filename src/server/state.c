/* server/state.c: whether what the state directory holds fits together, before any of it is changed. */
#include "server/state.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

/* The size of a file below the folder; 0 when there is none. */
static off_t file_size(const char *dir, const char *name)
{
        char path[4096 + 64];
        struct stat status;

        snprintf(path, sizeof(path), "%s/%s", dir, name);
        return stat(path, &status) == 0 ? status.st_size : 0;
}

/* The counters are made once the store and the key are on the disk. So counters without a store mean that the
 * store was lost, and a new one would have all sources and layers removed as nobody's. */
enum err_code server_state_check(const char *dir, struct err *err)
{
        if (file_size(dir, "dispatch.db") > 0 || file_size(dir, "runs.counters") == 0)
                return ERR_OK;
        return err_set(
                err, ERR_CORRUPT,
                "the store '%s/dispatch.db' is missing or empty, but this state directory was in use: "
                "restore the file from a backup, or move the folder 'server' away to begin with nothing",
                dir);
}
