/*
 * Memory helpers of the guests. Free memory is one bump pointer:
 *
 *   __image_end ──► next ──────────► end of RAM below the first hole
 *
 * memcpy and the like are written with string instructions: short, and good exercise for REP.
 */
#include "memory.h"
#include "runtime.h"

extern uint8_t __image_end[];

static uint32_t next_free;
static uint32_t ram_end;

void *memcpy(void *to, const void *from, size_t bytes)
{
    void *cursor = to;
    size_t words = bytes >> 2;
    __asm__ volatile("rep movsl" : "+D"(cursor), "+S"(from), "+c"(words) : : "memory");
    bytes &= 3;
    __asm__ volatile("rep movsb" : "+D"(cursor), "+S"(from), "+c"(bytes) : : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
    if ((uintptr_t)to - (uintptr_t)from >= bytes)
        return memcpy(to, from, bytes);
    const uint8_t *last_from = (const uint8_t *)from + bytes - 1;
    uint8_t *last_to = (uint8_t *)to + bytes - 1;
    __asm__ volatile("std; rep movsb; cld" : "+D"(last_to), "+S"(last_from), "+c"(bytes) : : "memory", "cc");
    return to;
}

void *memset(void *to, int value, size_t bytes)
{
    void *cursor = to;
    __asm__ volatile("rep stosb" : "+D"(cursor), "+c"(bytes) : "a"(value) : "memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
    const uint8_t *left = a, *right = b;
    for (size_t i = 0; i < bytes; i++)
        if (left[i] != right[i])
            return left[i] - right[i];
    return 0;
}

void memory_start(uint32_t end)
{
    next_free = (uint32_t)__image_end;
    ram_end = end & ~(PAGE_BYTES - 1);
}

void *memory_pages(uint32_t count)
{
    if (ram_end < next_free || count > (ram_end - next_free) / PAGE_BYTES)
        fail(EXIT_NEEDS, "not enough memory: %u more pages wanted, RAM ends at 0x%x", count, ram_end);
    void *pages = (void *)next_free;
    next_free += count * PAGE_BYTES;
    return memset(pages, 0, count * PAGE_BYTES);
}

uint32_t memory_crc32(uint32_t crc, const void *from, size_t bytes)
{
    static uint32_t table[256];
    if (table[1] == 0) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t value = i;
            for (int bit = 0; bit < 8; bit++)
                value = value >> 1 ^ (value & 1 ? 0xedb88320u : 0);
            table[i] = value;
        }
    }
    const uint8_t *byte = from;
    crc = ~crc;
    for (size_t i = 0; i < bytes; i++)
        crc = crc >> 8 ^ table[(crc ^ byte[i]) & 0xff];
    return ~crc;
}
