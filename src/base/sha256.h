/* base/sha256.h: SHA-256 (FIPS 180-4), for names and for comparing digests, in the programs that link no
 * library for cryptography: the client and dispatch-spawn. */
#ifndef DISPATCH_BASE_SHA256_H
#define DISPATCH_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { SHA256_LEN = 32, SHA256_BLOCK = 64 };

struct sha256 {
        uint32_t state[8];
        uint64_t len; /* bytes so far */
        unsigned char block[SHA256_BLOCK];
};

void sha256_begin(struct sha256 *sha);
void sha256_add(struct sha256 *sha, const void *bytes, size_t len);
void sha256_end(struct sha256 *sha, unsigned char out[SHA256_LEN]);

#endif
