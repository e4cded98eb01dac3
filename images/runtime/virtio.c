/*
 * The legacy virtio PCI registers (BAR 0, I/O) and the split virtqueue.
 *
 *   offset  0 device features   4 driver features   8 queue page number   12 queue size   14 queue select
 *          16 doorbell         18 status           19 interrupt status    20 device-specific configuration
 *
 *   queue memory: descriptors | available ring | (to the next page) used ring
 */
#include "virtio.h"
#include "interrupts.h"
#include "memory.h"
#include "pci.h"
#include "port.h"
#include "runtime.h"

#define AVAILABLE_NO_INTERRUPT 1
#define QUEUE_SIZE_MAX 32768u

static void on_interrupt(void *context)
{
    struct virtio_device *device = context;
    /* Reading the register lowers the line; zero means that another device on the line called. */
    if (in8(device->port + VIRTIO_INTERRUPT_STATUS) != 0)
        device->interrupts = device->interrupts + 1;
}

/* Once per device: its registers and its interrupt. */
static bool find(struct virtio_device *device, uint16_t device_id)
{
    pci_address address;
    if (!pci_find(VIRTIO_VENDOR, device_id, &address))
        return false;
    pci_enable(address);
    device->port = pci_io_base(address, 0);
    if (device->port == 0)
        fail(EXIT_NEEDS, "virtio device %x has no legacy I/O registers", device_id);
    uint8_t line = pci_interrupt_line(address);
    if (line >= IRQ_LINES)
        fail(EXIT_NEEDS, "virtio device %x has no interrupt line", device_id);
    irq_handle(line, on_interrupt, device);
    return true;
}

bool virtio_open(struct virtio_device *device, uint16_t device_id, uint32_t wanted)
{
    if (device->port == 0 && !find(device, device_id))
        return false;
    out8(device->port + VIRTIO_STATUS, 0);
    out8(device->port + VIRTIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE);
    out8(device->port + VIRTIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    device->features = in32(device->port + VIRTIO_DEVICE_FEATURES) & wanted;
    out32(device->port + VIRTIO_DRIVER_FEATURES, device->features);
    return true;
}

void virtio_queue_open(struct virtio_device *device, struct virtqueue *queue, uint16_t index, uint16_t least)
{
    out16(device->port + VIRTIO_QUEUE_SELECT, index);
    uint32_t size = in16(device->port + VIRTIO_QUEUE_SIZE);
    if (size < least || size > QUEUE_SIZE_MAX || (size & (size - 1)) != 0)
        fail(EXIT_NEEDS, "virtqueue %u has %u entries", index, size);
    uint32_t first_bytes = size * sizeof(struct virtq_descriptor) + (3 + size) * 2;
    uint32_t first_part = (first_bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    uint32_t pages = (first_part + 6 + size * 8 + PAGE_BYTES - 1) / PAGE_BYTES;
    uint32_t token_pages = (size * 4 + PAGE_BYTES - 1) / PAGE_BYTES;
    bool again = queue->descriptors != 0 && queue->size == size;
    uint8_t *memory = again ? (uint8_t *)queue->descriptors : memory_pages(pages);
    uint32_t *tokens = again ? queue->tokens : memory_pages(token_pages);
    memset(memory, 0, pages * PAGE_BYTES);
    *queue = (struct virtqueue){
        .device = device,
        .index = index,
        .size = (uint16_t)size,
        .free_count = (uint16_t)size,
        .descriptors = (struct virtq_descriptor *)memory,
        .available = (volatile uint16_t *)(memory + size * sizeof(struct virtq_descriptor)),
        .used = (volatile uint16_t *)(memory + first_part),
        .tokens = tokens,
    };
    for (uint32_t i = 0; i < size; i++)
        queue->descriptors[i].next = (uint16_t)(i + 1);
    out32(device->port + VIRTIO_QUEUE_PAGE, (uint32_t)memory / PAGE_BYTES);
}

void virtio_ready(struct virtio_device *device)
{
    out8(device->port + VIRTIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK);
}

bool virtqueue_add(struct virtqueue *queue, const struct virtio_buffer *buffers, uint32_t reads, uint32_t writes,
                   uint32_t token)
{
    uint32_t count = reads + writes;
    if (count > queue->free_count)
        return false;
    uint16_t head = queue->free_head, slot = head;
    for (uint32_t i = 0; i < count; i++) {
        struct virtq_descriptor *descriptor = &queue->descriptors[slot];
        descriptor->address = (uint32_t)buffers[i].address;
        descriptor->length = buffers[i].bytes;
        descriptor->flags = (uint16_t)((i + 1 < count ? VIRTQ_NEXT : 0) | (i >= reads ? VIRTQ_DEVICE_WRITES : 0));
        slot = descriptor->next;
    }
    queue->free_head = slot;
    queue->free_count = (uint16_t)(queue->free_count - count);
    queue->tokens[head] = token;
    uint16_t available_index = queue->available[1];
    queue->available[2 + (available_index & (queue->size - 1))] = head;
    memory_barrier(); /* the entry must be there before the index says so */
    queue->available[1] = (uint16_t)(available_index + 1);
    return true;
}

void virtqueue_kick(struct virtqueue *queue)
{
    memory_barrier();
    out16(queue->device->port + VIRTIO_DOORBELL, queue->index);
}

bool virtqueue_has_used(const struct virtqueue *queue) { return queue->used[1] != queue->used_seen; }

bool virtqueue_take(struct virtqueue *queue, uint32_t *token, uint32_t *bytes)
{
    if (!virtqueue_has_used(queue))
        return false;
    memory_barrier();
    const volatile uint32_t *element =
        (const volatile uint32_t *)(queue->used + 2) + (queue->used_seen & (queue->size - 1)) * 2;
    uint32_t head = element[0];
    *bytes = element[1];
    queue->used_seen++;
    check(head < queue->size, "virtqueue %u: the device returned descriptor %u", queue->index, head);
    *token = queue->tokens[head];
    uint32_t last = head;
    uint16_t count = 1;
    for (; queue->descriptors[last].flags & VIRTQ_NEXT; count++)
        last = queue->descriptors[last].next;
    queue->descriptors[last].next = queue->free_head;
    queue->free_head = (uint16_t)head;
    queue->free_count = (uint16_t)(queue->free_count + count);
    return true;
}

void virtqueue_quiet(struct virtqueue *queue) { queue->available[0] = AVAILABLE_NO_INTERRUPT; }
