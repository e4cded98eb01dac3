/* batch.h - many datagrams in one call of the system; see udp.c for what JavaScript sees. Each function answers with a number of
 * datagrams, or a negative errno when there is none, and never waits. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SLOT_BYTES = 2048, SLOTS_MAX = 64, ROW = 3 };
/* For what is received: room for the longest message of UDP, and one number more. */
enum { ARRIVAL_BYTES = 65536, ARRIVALS_MAX = 16, ARRIVAL_ROW = 4 };

/* As JavaScript names it: slots of SLOT_BYTES, at most SLOTS_MAX, and ROW numbers for each: bytes, IPv4 address, port. Or, to be
 * received into, slots of ARRIVAL_BYTES, at most ARRIVALS_MAX, and ARRIVAL_ROW numbers, the last of them the bytes of each
 * datagram in the slot but a shorter last one. */
struct batch {
    unsigned char *bytes;
    uint32_t *table;
    size_t slots;
};

/* Ask the system not to cut what it can hand over together. One that cannot hands over datagrams one by one. */
void receive_together(int fd);

/* Fill slots from the first on; answers with how many. */
int receive_batch(int fd, const struct batch *batch);

/* Send the slots from `first` to `end`, which is not included; rows and bounds are right. `*unsegmented` is set when the system
 * turns out not to cut messages into datagrams. */
int send_batch(int fd, bool *unsegmented, const struct batch *batch, uint32_t first, uint32_t end);
