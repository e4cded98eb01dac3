/* A network card: whole Ethernet frames in and out. */
#pragma once

#include "virtio.h"

#define FRAME_BYTES_MAX 1514u
#define MAC_BYTES 6

/* Find the card; false when the machine has none. */
bool network_card_open(void);

/* The card's address (6 bytes). */
const uint8_t *network_card_mac(void);

/* Take the next received frame; the bytes stay valid until network_card_release. Null: none. */
uint8_t *network_card_receive(uint32_t *bytes);

/* Make the buffer of the frame taken last available again. */
void network_card_release(void);

/* Tell the card about the buffers released since the last call: one doorbell for many. */
void network_card_refill(void);

/* Is there a frame? For use right before interrupts_wait(). */
bool network_card_has_frame(void);

/* Send a copy of this frame; waits while all transmit buffers are busy. */
void network_card_send(const void *frame, uint32_t bytes);

/* Wait until the card has taken every frame. */
void network_card_drain(void);
