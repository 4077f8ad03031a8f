/* runtimes/agent/capture.c: see capture.h. */
#include "runtimes/agent/capture.h"

#include "base/own.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEALS = F_SEAL_GROW | F_SEAL_SHRINK, PIECE = 16384 };

void capture_init(struct capture *capture, int fd)
{
        struct stat st;
        int seals = fcntl(fd, F_GET_SEALS);

        *capture = (struct capture){.fd = -1};
        if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &st) < 0)
                return;
        capture->fd = fd;
        capture->size = st.st_size;
}

enum err_code capture_replace(struct capture *capture, int fd, int *ret_original, struct err *err)
{
        own_fd int memory = memfd_create("output", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (memory < 0)
                return err_sys(err, "memfd_create");
        if (ftruncate(memory, CAPTURE_SIZE) < 0 || fcntl(memory, F_ADD_SEALS, SEALS) < 0)
                return err_sys(err, "seal memfd");
        own_fd int original = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (original < 0)
                return err_sys(err, "dup descriptor %d", fd);
        if (dup2(memory, fd) < 0)
                return err_sys(err, "dup2 to descriptor %d", fd);
        capture_init(capture, fd);
        *ret_original = take_fd(&original);
        return ERR_OK;
}

bool capture_take(struct capture *capture, void (*put)(void *arg, struct str text), void *arg)
{
        if (capture->fd < 0)
                return false;
        off_t end = lseek(capture->fd, 0, SEEK_CUR);
        if (end > capture->size)
                end = capture->size;

        while (capture->taken < end) {
                char piece[PIECE];
                size_t want = (size_t)(end - capture->taken) < sizeof(piece) ? (size_t)(end - capture->taken)
                                                                             : sizeof(piece);
                ssize_t got = pread(capture->fd, piece, want, capture->taken);
                if (got <= 0)
                        break;
                capture->taken += got;
                put(arg, (struct str){piece, (size_t)got});
        }
        return end == capture->size;
}

void capture_rewind(struct capture *capture)
{
        if (capture->fd < 0 || capture->taken == 0)
                return;
        lseek(capture->fd, 0, SEEK_SET);
        capture->taken = 0;
}
