/* cli/sha256.h: SHA-256 (FIPS 180-4), by which layers of images are named. The client links no library for
 * cryptography, and compares digests only. */
#ifndef DISPATCH_CLI_SHA256_H
#define DISPATCH_CLI_SHA256_H

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
