/* batch.h - many datagrams in one call of the system; see udp.c for what JavaScript sees. Each function answers with a number of
 * datagrams, or a negative errno when there is none, and never waits. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SLOT_BYTES = 2048, SLOTS_MAX = 64, ROW = 3 };

/* As JavaScript names it: slots of SLOT_BYTES, at most SLOTS_MAX, and ROW numbers for each: bytes, IPv4 address, port. */
struct batch {
    unsigned char *bytes;
    uint32_t *table;
    size_t slots;
};

/* Fill slots from the first on. */
int receive_batch(int fd, const struct batch *batch);

/* Send the slots from `first` to `end`, which is not included; rows and bounds are right. `*unsegmented` is set when the system
 * turns out not to cut messages into datagrams. */
int send_batch(int fd, bool *unsegmented, const struct batch *batch, uint32_t first, uint32_t end);
