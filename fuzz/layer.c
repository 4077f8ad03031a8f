/*
 * fuzz/layer.c: any bytes as a layer of a container image. The digests that the caller names are the
 * right ones, as an attacker's would be; the first byte picks the media type.
 *
 * Beside the folder nothing changes; in it there are files, folders, links and whiteouts, with the two modes
 * that are allowed, within the bounds.
 */
#include "build/layer.h"

#include "base/str.h"
#include "cage.h"

#include <openssl/evp.h>

static void digest_of(const void *bytes, size_t len, char out[OCI_DIGEST_MAX])
{
        unsigned char sha[32];

        assert(EVP_Digest(bytes, len, sha, NULL, EVP_sha256(), NULL) == 1);
        memcpy(out, "sha256:", 7);
        hex_encode(sha, sizeof(sha), out + 7);
        out[71] = '\0';
}

static enum err_code unpack(int fd, struct tree *tree, struct err *err)
{
        static unsigned char bytes[1 << 20];
        ssize_t len = pread(fd, bytes, sizeof(bytes), 0);
        struct oci_layer layer = {.blob = {.size = (uint64_t)len}};

        assert(len >= 0);
        digest_of(bytes, (size_t)len, layer.blob.digest);
        digest_of(bytes, (size_t)len, layer.diff_id);
        return layer_unpack(fd, &layer, tree, err);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
        (void)argc;
        (void)argv;
        cage_whiteouts = true;
        cage_make();
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cage_try(data, size, unpack, NULL);
        return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
        (void)seed;
        size = LLVMFuzzerMutate(data, size, max_size);
        mend_checksums(data, size);
        return size;
}
