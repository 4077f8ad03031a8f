/* tests/unit/store/fault_vfs.c: passes every call on to SQLite's own file layer, except the one that is to
 * fail. */
#include "tests/unit/store/fault_vfs.h"

#include <sqlite3.h>
#include <stddef.h>

struct fault_file {
        sqlite3_file base;
        sqlite3_file *real; /* behind this struct */
};

static struct {
        unsigned left; /* operations until the failure; 0: none is due */
        int code;
        bool for_good;
        bool failed;
} fault;

static sqlite3_vfs *real_vfs;
static sqlite3_vfs fault_vfs;

static sqlite3_file *real_of(sqlite3_file *file)
{
        return ((struct fault_file *)file)->real;
}

/* SQLITE_OK, or what this operation is to fail with. */
static int fault_due(void)
{
        if (fault.left == 0 || --fault.left > 0)
                return SQLITE_OK;
        if (fault.for_good)
                fault.left = 1;
        fault.failed = true;
        return fault.code;
}

static int file_close(sqlite3_file *file)
{
        return real_of(file)->pMethods->xClose(real_of(file));
}

static int file_read(sqlite3_file *file, void *to, int len, sqlite3_int64 at)
{
        return real_of(file)->pMethods->xRead(real_of(file), to, len, at);
}

static int file_write(sqlite3_file *file, const void *from, int len, sqlite3_int64 at)
{
        int code = fault_due();

        /* A write that fails may have got half way. */
        if (code != SQLITE_OK && len > 1)
                real_of(file)->pMethods->xWrite(real_of(file), from, len / 2, at);
        return code != SQLITE_OK ? code : real_of(file)->pMethods->xWrite(real_of(file), from, len, at);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
        int code = fault_due();

        return code != SQLITE_OK ? code : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
        int code = fault_due();

        return code != SQLITE_OK ? code : real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret)
{
        return real_of(file)->pMethods->xFileSize(real_of(file), ret);
}

static int file_lock(sqlite3_file *file, int level)
{
        return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
        return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int file_is_locked(sqlite3_file *file, int *ret)
{
        return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret);
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
        return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int file_sector_size(sqlite3_file *file)
{
        return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_traits(sqlite3_file *file)
{
        return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
        return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, ret);
}

static int file_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
        return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
        real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int file_shm_unmap(sqlite3_file *file, int remove)
{
        return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods methods = {
        .iVersion = 2,
        .xClose = file_close,
        .xRead = file_read,
        .xWrite = file_write,
        .xTruncate = file_truncate,
        .xSync = file_sync,
        .xFileSize = file_size,
        .xLock = file_lock,
        .xUnlock = file_unlock,
        .xCheckReservedLock = file_is_locked,
        .xFileControl = file_control,
        .xSectorSize = file_sector_size,
        .xDeviceCharacteristics = file_traits,
        .xShmMap = file_shm_map,
        .xShmLock = file_shm_lock,
        .xShmBarrier = file_shm_barrier,
        .xShmUnmap = file_shm_unmap,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
        struct fault_file *ours = (struct fault_file *)file;

        (void)vfs;
        ours->base.pMethods = NULL;
        ours->real = (sqlite3_file *)(ours + 1);
        int code = real_vfs->xOpen(real_vfs, name, ours->real, flags, ret_flags);
        if (code == SQLITE_OK)
                ours->base.pMethods = &methods;
        return code;
}

void fault_vfs_register(void)
{
        real_vfs = sqlite3_vfs_find(NULL);
        fault_vfs = *real_vfs;
        fault_vfs.pNext = NULL;
        fault_vfs.zName = "fault";
        fault_vfs.szOsFile = (int)sizeof(struct fault_file) + real_vfs->szOsFile;
        fault_vfs.xOpen = vfs_open;
        sqlite3_vfs_register(&fault_vfs, 1);
}

void fault_vfs_arm(unsigned n, int code, bool for_good)
{
        fault.left = n;
        fault.code = code;
        fault.for_good = for_good;
        fault.failed = false;
}

bool fault_vfs_disarm(void)
{
        fault.left = 0;
        return fault.failed;
}
