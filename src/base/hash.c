/* base/hash.c: SipHash with one round a word and three at the end. */
#include "base/hash.h"

#include "base/random.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

static uint64_t seed[2];
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;
static atomic_bool seeded; /* so that all but the first hash are spared a call */

static void seed_fill(void)
{
        random_fill(seed, sizeof(seed));
        atomic_store_explicit(&seeded, true, memory_order_release);
}

static inline uint64_t rotate(uint64_t x, int by)
{
        return x << by | x >> (64 - by);
}

static inline void sip_round(uint64_t v[4])
{
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
}

uint64_t hash_keyed(struct str bytes)
{
        if (!atomic_load_explicit(&seeded, memory_order_acquire))
                pthread_once(&seed_once, seed_fill);

        uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575ULL, seed[1] ^ 0x646f72616e646f6dULL,
                         seed[0] ^ 0x6c7967656e657261ULL, seed[1] ^ 0x7465646279746573ULL};
        uint64_t word;
        size_t at = 0;

        for (; at + sizeof(word) <= bytes.len; at += sizeof(word)) {
                memcpy(&word, bytes.p + at, sizeof(word));
                v[3] ^= word;
                sip_round(v);
                v[0] ^= word;
        }
        word = (uint64_t)bytes.len << 56;
        for (size_t i = 0; at + i < bytes.len; i++)
                word |= (uint64_t)(unsigned char)bytes.p[at + i] << (8 * i);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
        v[2] ^= 0xff;
        for (int i = 0; i < 3; i++)
                sip_round(v);
        return v[0] ^ v[1] ^ v[2] ^ v[3];
}
