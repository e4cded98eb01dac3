/*
 * The virtio network driver without offloads: a 10-byte header, then the frame.
 *
 *   receive queue (0): up to RECEIVE_BUFFERS chains, given back after use      transmit queue (1): copied, no interrupts
 *
 * Both lie in one descriptor, or each in its own where the device does not offer ANY_LAYOUT: then the queue has room for
 * half as many buffers.
 *
 * Source: OASIS VIRTIO 1.1, section 5.1 (network device), legacy header without VIRTIO_NET_F_MRG_RXBUF; 6.3 (ANY_LAYOUT).
 */
#include "memory.h"
#include "network-card.h"
#include "port.h"
#include "runtime.h"
#include "virtio.h"

#define FEATURE_MAC (1u << 5)
#define FEATURE_ANY_LAYOUT (1u << 27)
#define CONFIG_MAC VIRTIO_CONFIG /* u8 mac[6] */
#define HEADER_BYTES 10
#define RECEIVE_BUFFERS 256
#define TRANSMIT_BUFFERS 32
#define FRAME_BYTES_STORED 1536
#define QUEUE_ENTRIES_LEAST 4

struct packet_buffer {
    uint8_t header[HEADER_BYTES];
    uint8_t frame[FRAME_BYTES_STORED]; /* what is behind its Ethernet header is aligned to 4 */
} __attribute__((aligned(4)));

static struct virtio_device device;
static struct virtqueue receive_queue, transmit_queue;
static struct packet_buffer receive_buffers[RECEIVE_BUFFERS], transmit_buffers[TRANSMIT_BUFFERS];
static uint32_t transmit_free[TRANSMIT_BUFFERS], transmit_free_count, transmit_count;
static uint32_t received_slot;
static uint8_t mac[MAC_BYTES] = { 0x02, 0x86, 0, 0, 0, 1 }; /* used when the card offers none */

/* Describe header and frame; returns the number of descriptors. */
static uint32_t describe(struct virtio_buffer chain[2], struct packet_buffer *buffer, uint32_t bytes)
{
    bool together = (device.features & FEATURE_ANY_LAYOUT) != 0;
    chain[0] = (struct virtio_buffer){ buffer->header, together ? HEADER_BYTES + bytes : HEADER_BYTES };
    chain[1] = (struct virtio_buffer){ buffer->frame, bytes };
    return together ? 1 : 2;
}

static bool give(uint32_t slot)
{
    struct virtio_buffer chain[2];
    uint32_t count = describe(chain, &receive_buffers[slot], FRAME_BYTES_STORED);
    return virtqueue_add(&receive_queue, chain, 0, count, slot);
}

static bool card_open(void)
{
    if (!virtio_open(&device, VIRTIO_DEVICE_NET, FEATURE_MAC | FEATURE_ANY_LAYOUT))
        return false;
    if (device.features & FEATURE_MAC)
        for (int i = 0; i < MAC_BYTES; i++)
            mac[i] = in8((uint16_t)(device.port + CONFIG_MAC + i));
    virtio_queue_open(&device, &receive_queue, 0, QUEUE_ENTRIES_LEAST);
    virtio_queue_open(&device, &transmit_queue, 1, QUEUE_ENTRIES_LEAST);
    virtqueue_quiet(&transmit_queue);
    virtio_ready(&device);
    for (uint32_t slot = 0; slot < RECEIVE_BUFFERS && give(slot); slot++)
        ;
    virtqueue_kick(&receive_queue);
    transmit_count = transmit_queue.size / 2 < TRANSMIT_BUFFERS ? transmit_queue.size / 2u : TRANSMIT_BUFFERS;
    for (uint32_t slot = 0; slot < transmit_count; slot++)
        transmit_free[transmit_free_count++] = slot;
    return true;
}

static const uint8_t *card_mac(void) { return mac; }

static uint8_t *card_receive(uint32_t *bytes)
{
    uint32_t written;
    if (!virtqueue_take(&receive_queue, &received_slot, &written))
        return 0;
    bool fits = written >= HEADER_BYTES && written <= HEADER_BYTES + FRAME_BYTES_STORED;
    check(fits, "a received frame of %u bytes", written);
    *bytes = written - HEADER_BYTES;
    return receive_buffers[received_slot].frame;
}

static void card_release(void)
{
    check(give(received_slot), "no room to give a receive buffer back");
}

static void card_refill(void) { virtqueue_kick(&receive_queue); }

static bool card_has_frame(void) { return virtqueue_has_used(&receive_queue); }

static void reclaim(void)
{
    uint32_t slot, bytes;
    while (virtqueue_take(&transmit_queue, &slot, &bytes))
        transmit_free[transmit_free_count++] = slot;
}

static void card_send(const void *frame, uint32_t bytes)
{
    reclaim();
    while (transmit_free_count == 0) {
        __asm__ volatile("pause");
        reclaim();
    }
    uint32_t slot = transmit_free[--transmit_free_count];
    struct packet_buffer *buffer = &transmit_buffers[slot];
    memset(buffer->header, 0, HEADER_BYTES);
    memcpy(buffer->frame, frame, bytes);
    struct virtio_buffer chain[2];
    uint32_t count = describe(chain, buffer, bytes);
    check(virtqueue_add(&transmit_queue, chain, count, 0, slot), "no room in the transmit queue");
    virtqueue_kick(&transmit_queue);
}

static void card_drain(void)
{
    while (transmit_free_count < transmit_count) {
        __asm__ volatile("pause");
        reclaim();
    }
}

const struct network_card virtio_net_card = {
    card_open, card_mac, card_receive, card_release, card_refill, card_has_frame, card_send, card_drain,
};
