/*
 * sandbox/sys.h: the system calls that glibc has no function for, with its conventions (-1 and errno).
 */
#ifndef DISPATCH_SANDBOX_SYS_H
#define DISPATCH_SANDBOX_SYS_H

#include <linux/filter.h>
#include <linux/sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* clone3(2) without CLONE_VM: returns twice, as fork does. */
pid_t sys_clone3(struct clone_args *args);

/* Opens `name` below the directory; neither the name nor anything on the way may be a link or lead out. */
int sys_open_beneath(int dir_fd, const char *name, int flags);

/*
 * A user namespace for the ids of a mount (mount_setattr(2), MOUNT_ATTR_IDMAP), with the lines of its uid_map
 * and gid_map: "INSIDE OUTSIDE COUNT", where inside is what is on the disk. -1 and errno.
 */
int sys_userns_open(const char *map);

/* pivot_root(".", "."): the old root then lies over the new one, for umount2(".", MNT_DETACH). */
int sys_pivot_here(void);

/* Clears the effective, permitted and inheritable sets. */
int sys_capabilities_clear(void);
/* Exactly these, effective and permitted; bits by number. */
int sys_capabilities_set(uint64_t capabilities);

/* Installs the filter for the calling thread; no_new_privs must be set. */
int sys_seccomp(const struct sock_filter *filter, size_t len);

/* A new, empty session keyring for this process and what it starts. */
int sys_keyring_join(void);

int sys_execveat(int fd, char *const argv[], char *const envp[]);

#endif
