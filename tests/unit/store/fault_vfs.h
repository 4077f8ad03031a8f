/*
 * tests/unit/store/fault_vfs.h: SQLite's file layer with a disk that fails when the test says so.
 */
#ifndef DISPATCH_TESTS_STORE_FAULT_VFS_H
#define DISPATCH_TESTS_STORE_FAULT_VFS_H

#include <stdbool.h>

/* Makes it the default for every database that is opened from now on. */
void fault_vfs_register(void);

/* The n-th write, sync or truncation from now on (1: the next one) gets `code`, a result of SQLite's; with
 * `for_good`, all that follow too. */
void fault_vfs_arm(unsigned n, int code, bool for_good);
/* Ends that; true if a failure was handed out. */
bool fault_vfs_disarm(void);

#endif
