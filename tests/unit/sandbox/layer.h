/* tests/unit/sandbox/layer.h: a root for sandboxes: busybox and the folders that a root needs. */
#ifndef DISPATCH_TESTS_SANDBOX_LAYER_H
#define DISPATCH_TESTS_SANDBOX_LAYER_H

/* Fills an empty folder. 0, or -1 and errno. */
int layer_fill(int dir_fd);

#endif
