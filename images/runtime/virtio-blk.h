/* A disk: requests by token, or one at a time with waiting. Sectors are 512 bytes. */
#pragma once

#include "virtio.h"

#define SECTOR_BYTES 512u
#define DISK_REQUESTS_MAX 16
#define DISK_SEGMENTS_MAX 8

enum disk_operation {
    DISK_READ = 0,
    DISK_WRITE = 1,
    DISK_FLUSH = 4,
};

enum disk_status {
    DISK_OK = 0,
    DISK_IO_ERROR = 1,
    DISK_UNSUPPORTED = 2,
};

/* Find the disk; false when the machine has none. A second call resets it. */
bool disk_open(void);

/* Capacity in sectors. */
uint64_t disk_sectors(void);

/* Does the disk have a write cache, so that a write is durable only after a flush? */
bool disk_has_cache(void);

/* Start a request on up to DISK_SEGMENTS_MAX buffers. A flush takes no buffers. False: too many in flight. */
bool disk_submit(uint32_t operation, uint64_t sector, const struct virtio_buffer *buffers, uint32_t count,
                 uint32_t token);

/* Take one finished request: its token and status. False: none has finished. */
bool disk_take(uint32_t *token, uint8_t *status);

/* Has any request finished that disk_take would return? For use right before interrupts_wait(). */
bool disk_has_finished(void);

/* Do one request and wait for it with HLT; nothing else may be in flight. Returns its status. */
uint8_t disk_do(uint32_t operation, uint64_t sector, const struct virtio_buffer *buffers, uint32_t count);
