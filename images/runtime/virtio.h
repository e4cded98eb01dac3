/*
 * virtio over PCI, legacy interface, split virtqueues: what the block and network drivers share.
 *
 * Source: OASIS Virtual I/O Device (VIRTIO) 1.1, sections 2.6 (split virtqueues), 4.1.4.8 and 4.1.5.1 (legacy
 * register layout and queue layout).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define VIRTIO_VENDOR 0x1af4
#define VIRTIO_DEVICE_NET 0x1000
#define VIRTIO_DEVICE_BLK 0x1001

/* The legacy registers, as offsets from BAR 0. */
#define VIRTIO_DEVICE_FEATURES 0
#define VIRTIO_DRIVER_FEATURES 4
#define VIRTIO_QUEUE_PAGE 8
#define VIRTIO_QUEUE_SIZE 12
#define VIRTIO_QUEUE_SELECT 14
#define VIRTIO_DOORBELL 16
#define VIRTIO_STATUS 18
#define VIRTIO_INTERRUPT_STATUS 19
#define VIRTIO_CONFIG 20 /* device-specific configuration */
#define VIRTIO_STATUS_ACKNOWLEDGE 1
#define VIRTIO_STATUS_DRIVER 2
#define VIRTIO_STATUS_DRIVER_OK 4

struct virtq_descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
};

#define VIRTQ_NEXT 1
#define VIRTQ_DEVICE_WRITES 2

struct virtio_device {
    uint16_t port;      /* base of the legacy registers */
    uint32_t features;  /* what both sides agreed on */
    volatile uint32_t interrupts;
};

struct virtqueue {
    struct virtio_device *device;
    uint16_t index;
    uint16_t size;              /* given by the device, a power of two */
    uint16_t free_head;         /* list of free descriptors, linked through next */
    uint16_t free_count;
    uint16_t used_seen;
    struct virtq_descriptor *descriptors;
    volatile uint16_t *available; /* flags, idx, ring[size] */
    volatile uint16_t *used;      /* flags, idx, then 8-byte elements {id, length} */
    uint32_t *tokens;             /* by head descriptor: what the driver wants back */
};

struct virtio_buffer {
    void *address; /* physical: the guests that use this run without paging */
    uint32_t bytes;
};

/* Find the device, reset it, agree on at most `wanted` features. False: there is no such device. May be called
 * again with the same structure: then the device is reset and set up anew. */
bool virtio_open(struct virtio_device *device, uint16_t device_id, uint32_t wanted);

/* Set up queue `index`; at least `least` descriptors, or the guest stops. Memory of an earlier call is used again. */
void virtio_queue_open(struct virtio_device *device, struct virtqueue *queue, uint16_t index, uint16_t least);

/* All queues are there: let the device work. */
void virtio_ready(struct virtio_device *device);

/* Make a chain of `reads` buffers the device reads, then `writes` it writes, available. False: no room. */
bool virtqueue_add(struct virtqueue *queue, const struct virtio_buffer *buffers, uint32_t reads, uint32_t writes,
                   uint32_t token);

/* Ring the doorbell. */
void virtqueue_kick(struct virtqueue *queue);

/* Is there a used chain? */
bool virtqueue_has_used(const struct virtqueue *queue);

/* Take the next used chain: its token and the number of bytes the device wrote. False: none. */
bool virtqueue_take(struct virtqueue *queue, uint32_t *token, uint32_t *bytes);

/* Ask the device not to interrupt for this queue (a hint only). */
void virtqueue_quiet(struct virtqueue *queue);
