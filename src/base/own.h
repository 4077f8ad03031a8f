/*
 * base/own.h: guards that release what a local variable owns when it leaves its scope, and take_*, which hand
 * it over.
 *
 *      own_fd int fd = open(...);       closed on every way out
 *      *ret_fd = take_fd(&fd);          unless it was handed to the caller
 */
#ifndef DISPATCH_BASE_OWN_H
#define DISPATCH_BASE_OWN_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void own_fd_release(int *fd)
{
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

static inline void own_mem_release(void *slot)
{
        free(*(void **)slot);
}

static inline void own_file_release(FILE **file)
{
        if (*file != NULL)
                fclose(*file);
}

static inline void own_dir_release(DIR **dir)
{
        if (*dir != NULL)
                closedir(*dir);
}

#define own_fd   __attribute__((cleanup(own_fd_release)))
#define own_mem  __attribute__((cleanup(own_mem_release)))
#define own_file __attribute__((cleanup(own_file_release)))
#define own_dir  __attribute__((cleanup(own_dir_release)))

static inline int take_fd(int *fd)
{
        int taken = *fd;

        *fd = -1;
        return taken;
}

/* Hands over a pointer: `*ret = take_ptr(&local);` keeps the type. */
#define take_ptr(slot)                                                                                       \
        (__extension__({                                                                                     \
                __typeof__(*(slot)) taken_ = *(slot);                                                        \
                *(slot) = NULL;                                                                              \
                taken_;                                                                                      \
        }))

#endif
