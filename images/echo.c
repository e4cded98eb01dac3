/*
 * echo: answers every datagram on UDP port 7 with its own bytes, and pings.
 *
 *   frame -> IRQ -> ring -> network_poll -> on_datagram -> the same payload back      idle: STI; HLT
 *
 * Shows: packets in at an exact instruction, packets out through the Output Rule.
 * Options: ip=10.86.0.2, count=0 (stop after so many datagrams; 0: never).
 * Source: RFC 862 (echo protocol).
 */
#include "console.h"
#include "network-card.h"
#include "network.h"
#include "options.h"
#include "port.h"
#include "runtime.h"

#define ECHO_PORT 7
#define REPORT_EVERY 1000
#define FRAMES_PER_TURN 32

static uint32_t datagrams, bytes_echoed, last;

static void on_datagram(const struct network_peer *from, const uint8_t *payload, uint32_t bytes)
{
    if (last != 0 && datagrams >= last)
        return;
    network_reply(from, payload, bytes);
    datagrams++;
    bytes_echoed += bytes;
    if (datagrams % REPORT_EVERY == 0)
        print("echo: %u datagrams, %u bytes\n", datagrams, bytes_echoed);
}

int guest_main(void)
{
    last = option_number("count", 0, 0, 0xffffffffu);
    network_start(ECHO_PORT, on_datagram);
    network_print_ready();
    while (last == 0 || datagrams < last) {
        if (network_poll(FRAMES_PER_TURN) > 0)
            continue;
        interrupts_disable();
        if (network_card->has_frame())
            interrupts_enable();
        else
            interrupts_wait();
    }
    network_card->drain();
    print("echo: ok, %u datagrams, %u bytes\n", datagrams, bytes_echoed);
    return EXIT_OK;
}
