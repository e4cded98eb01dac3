/* hash.c - page hashes and digests from 64x64 -> 128 bit multiplications.
 *
 *   fold(a, b) = low half ^ high half of a * b          one multiplication mixes 16 bytes
 *   page:  4 independent lanes of 64 input bytes a round, then folded together
 *   any bytes: the same 16 bytes at a time, twice with different constants, length mixed in last
 *
 * Input is read as little-endian words on every host. Not meant against an adversary: it finds accidental
 * divergence between two replicas, where 2^-64 a page is far below any other source of error.
 * The constants are the first fractional bits of the square roots of 2, 3, 5, 7, 11, 13 (odd). */
#include <string.h>
#include "hash.h"

#define K0 0x6a09e667f3bcc909u
#define K1 0xbb67ae8584caa73bu
#define K2 0x3c6ef372fe94f82bu
#define K3 0xa54ff53a5f1d36f1u
#define K4 0x510e527fade682d1u
#define K5 0x9b05688c2b3e6c1fu

static inline uint64_t read64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t hash_page(const uint8_t page[4096])
{
    uint64_t a = K0, b = K1, c = K2, d = K3;
    for (const uint8_t *p = page; p < page + 4096; p += 64) {
        a = fold(read64(p) ^ K1, read64(p + 8) ^ a);
        b = fold(read64(p + 16) ^ K2, read64(p + 24) ^ b);
        c = fold(read64(p + 32) ^ K3, read64(p + 40) ^ c);
        d = fold(read64(p + 48) ^ K4, read64(p + 56) ^ d);
    }
    return fold(fold(a ^ K2, b ^ K3) ^ K5, fold(c ^ K4, d ^ K1) ^ K0);
}

uint64_t hash_zero_page(void)
{
    static const uint8_t zeroes[4096];
    return hash_page(zeroes);
}

static void store128(uint64_t a, uint64_t b, uint8_t digest[16])
{
    for (int i = 0; i < 8; i++) {
        digest[i] = (uint8_t)(a >> 8 * i);
        digest[8 + i] = (uint8_t)(b >> 8 * i);
    }
}

void hash_combine(const uint64_t *page_hashes, size_t pages, uint8_t digest[16])
{
    uint64_t a = K0 ^ pages, b = K1;
    for (size_t i = 0; i < pages; i++) {
        a = fold(a ^ K2, page_hashes[i] ^ K3);
        b = fold(b ^ page_hashes[i], K4) + K5;
    }
    store128(fold(a ^ K4, K1), fold(b ^ K3, K0), digest);
}

void hash_bytes(const uint8_t *data, size_t bytes, uint8_t digest[16])
{
    uint64_t a = K0, b = K1;
    uint8_t last[16] = { 0 };
    size_t left = bytes;
    for (; left >= 16; data += 16, left -= 16) {
        a = fold(read64(data) ^ K2, read64(data + 8) ^ a);
        b = fold(read64(data) ^ b, read64(data + 8) ^ K3) + K5;
    }
    memcpy(last, data, left);
    a = fold(read64(last) ^ K4, read64(last + 8) ^ a);
    b = fold(read64(last) ^ b, read64(last + 8) ^ K2) + K5;
    store128(fold(a ^ bytes, K1), fold(b ^ bytes, K3), digest);
}
