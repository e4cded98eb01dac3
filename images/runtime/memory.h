/* Bytes: copy, fill, compare; and whole pages handed out from the end of the image upwards, never given back. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PAGE_BYTES 4096u

void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

/* Tell the allocator where RAM ends (exclusive physical address). Called once by runtime_start. */
void memory_start(uint32_t end);

/* Hand out zeroed, page-aligned, physically contiguous pages. Stops the guest when there are not enough. */
void *memory_pages(uint32_t count);

/* CRC-32 (IEEE 802.3, reflected, as in zlib). Start with 0, feed pieces in order. */
uint32_t memory_crc32(uint32_t crc, const void *from, size_t bytes);

/* The n-th output of a small mixing function: a pattern that differs everywhere and can be computed anywhere. */
static inline uint32_t memory_mix(uint32_t n)
{
    n ^= n >> 16;
    n *= 0x7feb352du;
    n ^= n >> 15;
    n *= 0x846ca68bu;
    return n ^ n >> 16;
}
