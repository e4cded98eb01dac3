/*
 * The virtio block driver: a request is a 16-byte header, data, and one status byte.
 *
 *   header {type, reserved, sector} (device reads) | data | status (device writes)
 *
 * Source: OASIS VIRTIO 1.1, section 5.2 (block device).
 */
#include "virtio-blk.h"
#include "memory.h"
#include "port.h"
#include "runtime.h"

#define FEATURE_FLUSH (1u << 9)
#define CONFIG_CAPACITY VIRTIO_CONFIG /* u64 capacity */
#define STATUS_PENDING 0xff

static struct virtio_device device;
static struct virtqueue queue;
static struct {
    struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header;
    uint32_t token;
    uint8_t status;
    bool busy;
} requests[DISK_REQUESTS_MAX];

bool disk_open(void)
{
    if (!virtio_open(&device, VIRTIO_DEVICE_BLK, FEATURE_FLUSH))
        return false;
    virtio_queue_open(&device, &queue, 0, DISK_SEGMENTS_MAX + 2);
    memset(requests, 0, sizeof requests);
    virtio_ready(&device);
    return true;
}

uint64_t disk_sectors(void)
{
    uint32_t low = in32(device.port + CONFIG_CAPACITY);
    return (uint64_t)in32(device.port + CONFIG_CAPACITY + 4) << 32 | low;
}

bool disk_has_cache(void) { return (device.features & FEATURE_FLUSH) != 0; }

bool disk_submit(uint32_t operation, uint64_t sector, const struct virtio_buffer *buffers, uint32_t count,
                 uint32_t token)
{
    struct virtio_buffer chain[DISK_SEGMENTS_MAX + 2];
    uint32_t slot = 0;
    while (slot < DISK_REQUESTS_MAX && requests[slot].busy)
        slot++;
    if (slot == DISK_REQUESTS_MAX)
        return false;
    check(count <= DISK_SEGMENTS_MAX, "a disk request of %u segments", count);
    requests[slot].header.type = operation;
    requests[slot].header.reserved = 0;
    requests[slot].header.sector = sector;
    requests[slot].token = token;
    requests[slot].status = STATUS_PENDING;
    chain[0] = (struct virtio_buffer){ &requests[slot].header, sizeof requests[slot].header };
    for (uint32_t i = 0; i < count; i++)
        chain[1 + i] = buffers[i];
    chain[1 + count] = (struct virtio_buffer){ &requests[slot].status, 1 };
    uint32_t writes = operation == DISK_READ ? count + 1 : 1;
    if (!virtqueue_add(&queue, chain, count + 2 - writes, writes, slot))
        return false;
    requests[slot].busy = true;
    virtqueue_kick(&queue);
    return true;
}

bool disk_take(uint32_t *token, uint8_t *status)
{
    uint32_t slot, bytes;
    if (!virtqueue_take(&queue, &slot, &bytes))
        return false;
    check(slot < DISK_REQUESTS_MAX && requests[slot].busy, "the disk finished request %u, which was not started", slot);
    requests[slot].busy = false;
    *token = requests[slot].token;
    *status = *(volatile uint8_t *)&requests[slot].status;
    check(*status != STATUS_PENDING, "the disk finished a request without writing its status");
    return true;
}

bool disk_has_finished(void) { return virtqueue_has_used(&queue); }

uint8_t disk_do(uint32_t operation, uint64_t sector, const struct virtio_buffer *buffers, uint32_t count)
{
    uint32_t token;
    uint8_t status;
    check(disk_submit(operation, sector, buffers, count, 0), "no room for a disk request");
    for (;;) {
        interrupts_disable();
        if (disk_has_finished())
            break;
        interrupts_wait();
    }
    interrupts_enable();
    check(disk_take(&token, &status), "a finished disk request vanished");
    return status;
}
