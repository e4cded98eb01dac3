/*
 * kv: a key-value server on UDP port 8086 whose data survives on disk.
 *
 *   datagram -> apply in RAM -> journal batch -> write + flush -> reply            idle: STI; HLT
 *                    \-> retry: the stored reply, once that is durable
 *
 * Shows: disk and network together, under the Output Rule: a client that has its reply never loses the operation.
 * Invariants: no reply leaves before everything it tells of is durable (a read waits for the writes it has seen);
 * a request is applied at most once, also across a restart, because key and reply are written together.
 * Format: service.h. Ops: 1 put, 2 get, 3 delete, 4 add (value u32; the key's value is a u64 and so is the reply).
 * Options: ip=10.86.0.2, count=0 (stop after so many answered operations; 0: never). Needs a disk of 1 MiB.
 */
#include "console.h"
#include "kv-journal.h"
#include "kv-store.h"
#include "network-card.h"
#include "network.h"
#include "options.h"
#include "port.h"
#include "runtime.h"
#include "service.h"
#include "virtio-blk.h"

#define KV_PORT 8086
#define HELD_MAX 256u /* a power of two: replies that wait for the disk */
#define REPORT_EVERY 1000
#define FRAMES_PER_TURN 32

static struct {
    struct network_peer peer;
    uint64_t ticket;
    uint32_t bytes;
    uint8_t reply[SERVICE_HEADER_BYTES + SERVICE_VALUE_BYTES_MAX];
} held[HELD_MAX];
static uint32_t held_first, held_end; /* count upwards; index = counter % HELD_MAX */
static uint32_t answered, last;

static void answer_status(const struct network_peer *to, const struct service_request *request, uint8_t status)
{
    uint8_t out[SERVICE_HEADER_BYTES + SERVICE_VALUE_BYTES_MAX];
    struct service_reply reply = { .status = status };
    network_reply(to, out, service_encode(out, request->client, request->sequence, &reply));
}

static void hold(const struct network_peer *to, const struct kv_client *client)
{
    uint32_t slot = held_end++ % HELD_MAX;
    held[slot].peer = *to;
    held[slot].ticket = client->ticket;
    held[slot].bytes = service_encode(held[slot].reply, client->id, client->sequence, &client->reply);
}

static void release(void)
{
    while (held_first != held_end && held[held_first % HELD_MAX].ticket <= journal_committed()) {
        uint32_t slot = held_first++ % HELD_MAX;
        network_reply(&held[slot].peer, held[slot].reply, held[slot].bytes);
        if (++answered % REPORT_EVERY == 0)
            print("kv: %u operations, %u keys, %u clients, %u checkpoints\n", answered, kv_store.key_count,
                  kv_store.client_count, journal_checkpoints());
    }
}

static void apply(const struct network_peer *from, const struct service_request *request, struct kv_client *client)
{
    struct kv_change change = kv_apply(request, client);
    if (request->op != KV_OP_GET)
        journal_append(&change, request);
    client->ticket = journal_ticket();
    hold(from, client);
}

static void on_datagram(const struct network_peer *from, const uint8_t *payload, uint32_t bytes)
{
    struct service_request request;
    enum service_parse parse = service_decode(payload, bytes, &request);
    if (parse == SERVICE_FOREIGN || !journal_has_room() || held_end - held_first == HELD_MAX)
        return; /* not ours, or too much at once: the client asks again */
    if (parse == SERVICE_PARSED && request.sequence == 0 && request.op == SERVICE_OP_HELLO)
        return answer_status(from, &request, SERVICE_OK);
    if (parse == SERVICE_MALFORMED || !kv_is_well_formed(&request))
        return answer_status(from, &request, SERVICE_BAD_REQUEST);
    struct kv_client *client = kv_find_client(request.client);
    if (client == 0)
        return answer_status(from, &request, SERVICE_FULL);
    if (request.sequence < client->sequence)
        return answer_status(from, &request, SERVICE_STALE);
    if (request.sequence > client->sequence)
        apply(from, &request, client);
    else if (client->ticket <= journal_committed())
        hold(from, client); /* a retry: the stored reply; one whose reply is still on its way gets that one */
}

int guest_main(void)
{
    last = option_number("count", 0, 0, 0xffffffffu);
    journal_open();
    print("kv: %u keys, %u clients recovered\n", kv_store.key_count, kv_store.client_count);
    network_start(KV_PORT, on_datagram);
    network_print_ready();
    while (last == 0 || answered < last) {
        bool moved = network_poll(FRAMES_PER_TURN) > 0;
        moved |= journal_step();
        release();
        if (moved)
            continue;
        interrupts_disable();
        if (network_card->has_frame() || disk_has_finished())
            interrupts_enable();
        else
            interrupts_wait();
    }
    network_card->drain();
    print("kv: ok, %u operations, %u keys, %u clients\n", answered, kv_store.key_count, kv_store.client_count);
    return EXIT_OK;
}
