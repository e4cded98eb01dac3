/* hash.h - fast non-cryptographic hashes for digests; the results are part of the log format. */
#ifndef FT86_HASH_H
#define FT86_HASH_H
#include <stddef.h>
#include <stdint.h>

uint64_t hash_page(const uint8_t page[4096]);
/* Hash of a page of zeroes, so that fresh RAM need not be read. */
uint64_t hash_zero_page(void);
/* 128 bits over the page hashes in order, written as 16 little-endian bytes. */
void hash_combine(const uint64_t *page_hashes, size_t pages, uint8_t digest[16]);
/* 128 bits over any bytes. */
void hash_bytes(const uint8_t *data, size_t bytes, uint8_t digest[16]);
#endif
