/* A network card: whole Ethernet frames in and out. Each driver is one of these. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FRAME_BYTES_MAX 1514u
#define MAC_BYTES 6

struct network_card {
    /* Find the card; false when the machine has none. */
    bool (*open)(void);
    /* The card's address (6 bytes). */
    const uint8_t *(*mac)(void);
    /* Take the next received frame; the bytes stay valid until release. Null: none. */
    uint8_t *(*receive)(uint32_t *bytes);
    /* Make the buffer of the frame taken last available again. */
    void (*release)(void);
    /* Tell the card about the buffers released since the last call: one doorbell for many. */
    void (*refill)(void);
    /* Is there a frame? For use right before interrupts_wait(). */
    bool (*has_frame)(void);
    /* Send a copy of this frame; waits while all transmit buffers are busy. */
    void (*send)(const void *frame, uint32_t bytes);
    /* Wait until the card has taken every frame. */
    void (*drain)(void);
};

extern const struct network_card virtio_net_card;
extern const struct network_card ne2k_card;
