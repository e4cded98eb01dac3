/* The simulated runtime and disk of host-disk.h. */
#include "host-disk.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "memory.h"
#include "runtime.h"

#define CACHE_MAX 1024

const char guest_name[] = "kv-crash";
jmp_buf *failure_expected;
uint64_t random_seed;

void finish(int code) { exit(code); }

void fail(int code, const char *format, ...)
{
    va_list arguments;
    if (failure_expected != NULL)
        longjmp(*failure_expected, code + 1);
    va_start(arguments, format);
    fprintf(stderr, "seed %llu: ", (unsigned long long)random_seed);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(code == 0 ? 1 : code);
}

uint32_t memory_crc32(uint32_t crc, const void *from, size_t bytes)
{
    const uint8_t *byte = from;
    for (crc = ~crc; bytes-- > 0; byte++) {
        crc ^= *byte;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static uint64_t random_state;

void random_start(uint64_t seed)
{
    random_seed = random_state = seed;
}

uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % limit);
}

uint8_t disk_durable[DISK_SECTORS][SECTOR_BYTES];
static struct {
    uint32_t sector;
    uint8_t bytes[512];
} cache[CACHE_MAX];
static uint32_t cache_count;
static struct {
    uint32_t operation, sector, bytes, token;
    void *memory;
    bool there;
} flying;

bool disk_open(void) { return true; }
uint64_t disk_sectors(void) { return DISK_SECTORS; }
bool disk_has_cache(void) { return true; }
bool disk_has_finished(void) { return flying.there; }

static void disk_read(uint32_t sector, uint8_t *to, uint32_t sectors)
{
    for (uint32_t i = 0; i < sectors; i++) {
        memcpy(to + i * 512, disk_durable[sector + i], 512);
        for (uint32_t j = 0; j < cache_count; j++)
            if (cache[j].sector == sector + i)
                memcpy(to + i * 512, cache[j].bytes, 512);
    }
}

static void disk_write(uint32_t sector, const uint8_t *from, uint32_t sectors)
{
    for (uint32_t i = 0; i < sectors; i++) {
        check(cache_count < CACHE_MAX && sector + i < DISK_SECTORS, "a write to sector %u", sector + i);
        cache[cache_count].sector = sector + i;
        memcpy(cache[cache_count++].bytes, from + i * 512, 512);
    }
}

static void disk_flush(void)
{
    for (uint32_t i = 0; i < cache_count; i++)
        memcpy(disk_durable[cache[i].sector], cache[i].bytes, 512);
    cache_count = 0;
}

static void perform(uint32_t operation, uint32_t sector, void *memory, uint32_t sectors)
{
    if (operation == DISK_READ)
        disk_read(sector, memory, sectors);
    else if (operation == DISK_WRITE)
        disk_write(sector, memory, sectors);
    else
        disk_flush();
}

uint8_t disk_do(uint32_t operation, uint64_t sector, const struct virtio_buffer *buffers, uint32_t count)
{
    perform(operation, (uint32_t)sector, count ? buffers[0].address : NULL, count ? buffers[0].bytes / 512 : 0);
    return DISK_OK;
}

bool disk_submit(uint32_t operation, uint64_t sector, const struct virtio_buffer *buffers, uint32_t count,
                 uint32_t token)
{
    check(!flying.there, "two requests in flight");
    flying.operation = operation;
    flying.sector = (uint32_t)sector;
    flying.memory = count ? buffers[0].address : NULL;
    flying.bytes = count ? buffers[0].bytes : 0;
    flying.token = token;
    flying.there = true;
    return true;
}

bool disk_take(uint32_t *token, uint8_t *status)
{
    if (!flying.there || random_below(3) == 0)
        return false;
    flying.there = false;
    perform(flying.operation, flying.sector, flying.memory, flying.bytes / 512);
    *token = flying.token;
    *status = DISK_OK;
    return true;
}

/* A write in flight may have got anywhere. */
void disk_power_cut(void)
{
    if (flying.there && flying.operation == DISK_WRITE && random_below(2))
        disk_write(flying.sector, flying.memory, flying.bytes / 512);
    flying.there = false;
    for (uint32_t i = 0; i < cache_count; i++) {
        uint32_t fate = random_below(8);
        uint32_t kept = fate < 4 ? 512 : fate < 7 ? 0 : random_below(512);
        memcpy(disk_durable[cache[i].sector], cache[i].bytes, kept);
    }
    cache_count = 0;
}
