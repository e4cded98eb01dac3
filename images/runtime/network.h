/*
 * Just enough of a network: Ethernet, ARP, IPv4 without options or fragments, ICMP echo, UDP.
 *
 *   card -> network_poll -> ARP and ICMP are answered here
 *                       \-> UDP for the guest's port: the guest's receiver -> network_reply -> card
 *
 * Answers go back to the Ethernet address the question came from, so no neighbour table is needed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define NETWORK_ADDRESS_DEFAULT 0x0a560002u /* 10.86.0.2 */
#define UDP_PAYLOAD_BYTES_MAX 1472u

/* Whom to answer. */
struct network_peer {
    uint8_t mac[6];
    uint16_t port;
    uint32_t address;
};

/* The card that network_start found. */
extern const struct network_card *network_card;

typedef void (*udp_receiver)(const struct network_peer *from, const uint8_t *payload, uint32_t bytes);

/* Open the card (the guest stops when there is none), take the address from option ip=, announce it by a
 * gratuitous ARP, and deliver datagrams for this port to the receiver. */
void network_start(uint16_t port, udp_receiver receiver);

/* Handle at most `frames_max` received frames. Returns how many were there. */
uint32_t network_poll(uint32_t frames_max);

/* Send a datagram from the guest's port. */
void network_reply(const struct network_peer *to, const void *payload, uint32_t bytes);

/* Print "NAME: 10.86.0.2 ready on port N". */
void network_print_ready(void);

/* Big-endian fields at any alignment. */
static inline uint16_t load_be16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static inline uint32_t load_be32(const uint8_t *at) { return (uint32_t)load_be16(at) << 16 | load_be16(at + 2); }
static inline void store_be16(uint8_t *at, uint32_t value) { at[0] = (uint8_t)(value >> 8), at[1] = (uint8_t)value; }
static inline void store_be32(uint8_t *at, uint32_t value) { store_be16(at, value >> 16), store_be16(at + 2, value); }
static inline uint64_t load_be64(const uint8_t *at) { return (uint64_t)load_be32(at) << 32 | load_be32(at + 4); }
static inline void store_be64(uint8_t *at, uint64_t value)
{
    store_be32(at, (uint32_t)(value >> 32));
    store_be32(at + 4, (uint32_t)value);
}
