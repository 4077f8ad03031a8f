/*
 * fuzz/cli_layout.c: whatever a server sends as an image, nothing but oci-layout, index.json and blobs with
 * the digest of their content is written, and what is called whole has the manifest that its digest names.
 */
#include "cli/layout.h"

#include "base/own.h"
#include "base/str.h"

#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int place_open(void)
{
        static int fd = -1;
        static char path[] = "/tmp/fuzz-layout-XXXXXX";

        if (fd < 0) {
                assert(mkdtemp(path) != NULL);
                fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        }
        assert(fd >= 0);
        return fd;
}

/* Empties a folder; every name in it has to be one of a layout's. */
static void sweep(int dir_fd, int depth)
{
        static const char *const names[3][3] = {{"oci-layout", "index.json", "blobs"},
                                                {"sha256", NULL, NULL}};
        int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        own_dir DIR *dir = fdopendir(fd);

        assert(dir != NULL);
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
                bool known = depth == 2 && strlen(entry->d_name) == 64 &&
                             strspn(entry->d_name, "0123456789abcdef") == 64;

                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                for (int i = 0; i < 3; i++)
                        known = known ||
                                (names[depth][i] != NULL && strcmp(entry->d_name, names[depth][i]) == 0);
                assert(known);
                if (unlinkat(dir_fd, entry->d_name, 0) < 0) {
                        own_fd int child = openat(dir_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                        assert(child >= 0 && depth < 2);
                        sweep(child, depth + 1);
                        assert(unlinkat(dir_fd, entry->d_name, AT_REMOVEDIR) == 0);
                }
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char digest[LAYOUT_DIGEST_MAX] = "", path[LAYOUT_DIGEST_MAX + 16];
        int place = place_open();
        own_fd int fd = memfd_create("image", MFD_CLOEXEC);
        struct err err = {0};
        struct stat status;

        assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);

        enum err_code code = layout_take(fd, place, digest, &err);

        if (code == ERR_OK) {
                snprintf(path, sizeof(path), "blobs/sha256/%s", digest + 7);
                assert(str_starts(str_of(digest), STR("sha256:")) && fstatat(place, path, &status, 0) == 0);
                assert(layout_take(fd, -1, digest, &err) == ERR_OK);
        } else {
                assert(code == ERR_BAD_REPLY && err.text[0] != '\0' && digest[0] == '\0');
        }
        sweep(place, 0);
        return 0;
}
