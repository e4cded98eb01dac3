/*
 * bench-net: sends datagrams as long as it may, counts those that come, and says how many (UDP port 5001).
 *
 *   offset  0 "bnet" | 4 kind | 8 run | 12 number | 16 count          big-endian words, then filler
 *   credit  to the guest: send datagrams of `count` bytes until `number` are out in this run
 *   data    both ways: datagram `number` of its run; count = 1 asks for an answer at once
 *   answer  from the guest: newest number + 1, and how many came in this run; for every 8th datagram and for each hello
 *
 * Shows: how many bytes a second go through the card, both ways. The client (tools/bench/net-client.ts) keeps the window.
 * Options: ip=10.86.0.2.
 */
#include "console.h"
#include "memory.h"
#include "network-card.h"
#include "network.h"
#include "port.h"
#include "runtime.h"

#define BENCH_PORT 5001
#define MAGIC 0x626e6574
#define HEADER_BYTES 20u
#define ANSWER_EVERY 8u
#define FRAMES_PER_TURN 32u

enum kind { KIND_HELLO, KIND_CREDIT, KIND_DATA, KIND_ANSWER };

static struct network_peer peer;
static uint8_t datagram[UDP_PAYLOAD_BYTES_MAX];
static uint32_t run, size, sent, allowed, received, newest, unanswered;

static void send(enum kind kind, uint32_t number, uint32_t count, uint32_t bytes)
{
    store_be32(datagram, MAGIC);
    store_be32(datagram + 4, kind);
    store_be32(datagram + 8, run);
    store_be32(datagram + 12, number);
    store_be32(datagram + 16, count);
    network_reply(&peer, datagram, bytes);
}

static void take_data(uint32_t number, bool at_once)
{
    received++;
    if (number >= newest)
        newest = number + 1;
    if (++unanswered < ANSWER_EVERY && !at_once)
        return;
    unanswered = 0;
    send(KIND_ANSWER, newest, received, HEADER_BYTES);
}

static void on_datagram(const struct network_peer *from, const uint8_t *payload, uint32_t bytes)
{
    if (bytes < HEADER_BYTES || load_be32(payload) != MAGIC)
        return;
    uint32_t number = load_be32(payload + 12), count = load_be32(payload + 16);
    peer = *from;
    if (load_be32(payload + 8) != run) {
        run = load_be32(payload + 8);
        sent = allowed = received = newest = unanswered = 0;
    }
    switch (load_be32(payload + 4)) {
    case KIND_HELLO:
        send(KIND_ANSWER, newest, received, HEADER_BYTES);
        break;
    case KIND_CREDIT:
        allowed = number;
        size = count < HEADER_BYTES ? HEADER_BYTES : count > sizeof datagram ? sizeof datagram : count;
        break;
    case KIND_DATA:
        take_data(number, count == 1);
        break;
    }
}

int guest_main(void)
{
    network_start(BENCH_PORT, on_datagram);
    network_print_ready();
    for (;;) {
        uint32_t taken = network_poll(FRAMES_PER_TURN), burst = 0;
        for (; sent < allowed && burst < FRAMES_PER_TURN; burst++)
            send(KIND_DATA, sent++, 0, size);
        if (taken > 0 || burst > 0)
            continue;
        interrupts_disable();
        if (network_card->has_frame())
            interrupts_enable();
        else
            interrupts_wait();
    }
}
