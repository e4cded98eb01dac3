/* batch.c - datagrams between a batch and the system.
 *
 *   receive   recvmmsg -> [same peer, same length: not cut by the system] -> one datagram or several in each slot
 *   send      slots -> [same peer, same length: one message that the system cuts again] -> sendmmsg
 *
 * Invariant: datagrams leave in the order of their slots, each with its own bounds.
 * Source: Linux recvmmsg(2), sendmmsg(2), udp(7) with UDP_SEGMENT and UDP_GRO. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include "batch.h"

enum { MESSAGE_BYTES_MAX = 65000 };

/* What the system says, or is told, about the datagrams of a message. */
union control {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr aligned;
};

/* Messages for the system: each is one datagram, or several that follow each other in the batch. */
struct outgoing {
    struct mmsghdr messages[SLOTS_MAX];
    uint32_t datagrams[SLOTS_MAX];
    struct iovec parts[SLOTS_MAX];
    struct sockaddr_in to[SLOTS_MAX];
    union control segment[SLOTS_MAX];
    uint32_t count;
};

void receive_together(int fd)
{
    int on = 1;
    (void)setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);
}

/* Bytes of each datagram in a message, but for a shorter last one. */
static uint32_t datagram_bytes(struct msghdr *header, uint32_t message_bytes)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        int bytes;
        if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO)
            continue;
        memcpy(&bytes, CMSG_DATA(c), sizeof bytes);
        if (bytes > 0)
            return bytes;
    }
    return message_bytes;
}

int receive_batch(int fd, const struct batch *batch)
{
    struct mmsghdr messages[ARRIVALS_MAX];
    struct iovec parts[ARRIVALS_MAX];
    struct sockaddr_in from[ARRIVALS_MAX];
    union control control[ARRIVALS_MAX];
    for (size_t i = 0; i < batch->slots; i++) {
        parts[i] = (struct iovec){ batch->bytes + i * ARRIVAL_BYTES, ARRIVAL_BYTES };
        messages[i].msg_hdr =
            (struct msghdr){ &from[i], sizeof from[i], &parts[i], 1, control[i].bytes, sizeof control[i].bytes, 0 };
    }
    int n = recvmmsg(fd, messages, batch->slots, MSG_DONTWAIT, NULL);
    if (n < 0)
        return -errno;
    for (int i = 0; i < n; i++) {
        uint32_t *row = batch->table + ARRIVAL_ROW * i;
        row[0] = messages[i].msg_len;
        row[1] = ntohl(from[i].sin_addr.s_addr);
        row[2] = ntohs(from[i].sin_port);
        row[3] = datagram_bytes(&messages[i].msg_hdr, messages[i].msg_len);
    }
    return n;
}

static struct sockaddr_in address_of(const uint32_t *row)
{
    return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(row[2]), .sin_addr = { htonl(row[1]) } };
}

/* How many datagrams from slot `i` on go to the same address and have the same length, but for a shorter last one. */
static uint32_t run_length(const uint32_t *table, uint32_t i, uint32_t end)
{
    const uint32_t *first = table + ROW * i;
    uint32_t n = 1, bytes = first[0];
    while (first[0] > 0 && i + n < end) {
        const uint32_t *row = first + ROW * n;
        bytes += row[0];
        if (row[0] == 0 || row[0] > first[0] || row[1] != first[1] || row[2] != first[2] || bytes > MESSAGE_BYTES_MAX)
            break;
        n++;
        if (row[0] < first[0])
            break;
    }
    return n;
}

/* Put datagrams of the batch together; the system cuts each message into its datagrams again (udp(7), UDP_SEGMENT). */
static void assemble(struct outgoing *out, const struct batch *batch, uint32_t first, uint32_t end, bool unsegmented)
{
    out->count = 0;
    for (uint32_t i = first; i < end;) {
        const uint32_t *row = batch->table + ROW * i;
        uint32_t n = unsegmented ? 1 : run_length(batch->table, i, end), m = out->count++;
        struct msghdr *header = &out->messages[m].msg_hdr;
        for (uint32_t k = i; k < i + n; k++)
            out->parts[k] = (struct iovec){ batch->bytes + k * SLOT_BYTES, batch->table[ROW * k] };
        out->to[m] = address_of(row);
        out->datagrams[m] = n;
        *header = (struct msghdr){ &out->to[m], sizeof out->to[m], &out->parts[i], n, NULL, 0, 0 };
        if (n > 1) {
            uint16_t bytes = row[0];
            header->msg_control = out->segment[m].bytes;
            header->msg_controllen = CMSG_SPACE(sizeof bytes);
            struct cmsghdr *segment = CMSG_FIRSTHDR(header);
            *segment = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof bytes), .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT };
            memcpy(CMSG_DATA(segment), &bytes, sizeof bytes);
        }
        i += n;
    }
}

int send_batch(int fd, bool *unsegmented, const struct batch *batch, uint32_t first, uint32_t end)
{
    struct outgoing out;
    if (end - first == 1) { /* a call with less around it */
        const uint32_t *row = batch->table + ROW * first;
        struct sockaddr_in to = address_of(row);
        ssize_t sent = sendto(fd, batch->bytes + first * SLOT_BYTES, row[0], MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to);
        return sent < 0 ? -errno : 1;
    }
    assemble(&out, batch, first, end, *unsegmented);
    int n = sendmmsg(fd, out.messages, out.count, MSG_DONTWAIT), error = errno, datagrams = 0;
    if (n < 0 && out.datagrams[0] > 1 && error != EAGAIN) { /* an older kernel, or an interface that cannot */
        assemble(&out, batch, first, end, true);
        n = sendmmsg(fd, out.messages, out.count, MSG_DONTWAIT);
        error = errno;
        *unsegmented = n > 0;
    }
    for (int m = 0; m < n; m++)
        datagrams += out.datagrams[m];
    return n < 0 ? -error : datagrams;
}
