/*
 * counter: one number in RAM that clients increment over UDP port 8087. Nothing is on disk: what clients were told
 * survives only because the other replica holds the same RAM.
 *
 *   request -> seen before? stored reply : apply, store the reply -> answer
 *
 * Shows: the lecture's counter. Format: service.h. Op 1 increments and answers the new value (u64), op 2 reads.
 * Options: ip=10.86.0.2, count=0 (stop after so many applied operations; 0: never).
 */
#include "console.h"
#include "memory.h"
#include "network-card.h"
#include "network.h"
#include "options.h"
#include "port.h"
#include "runtime.h"
#include "service.h"

#define COUNTER_PORT 8087
#define OP_INCREMENT 1
#define OP_READ 2
#define CLIENTS_MAX 256
#define REPORT_EVERY 1000
#define FRAMES_PER_TURN 32

static struct {
    uint32_t id, sequence;
    struct service_reply reply;
} clients[CLIENTS_MAX];
static uint32_t client_count, applied, last;
static uint64_t counter;

static void answer(const struct network_peer *to, const struct service_request *request,
                   const struct service_reply *reply)
{
    uint8_t out[SERVICE_HEADER_BYTES + SERVICE_VALUE_BYTES_MAX];
    network_reply(to, out, service_encode(out, request->client, request->sequence, reply));
}

static void answer_status(const struct network_peer *to, const struct service_request *request, uint8_t status)
{
    struct service_reply reply = { .status = status };
    answer(to, request, &reply);
}

static uint32_t find_client(uint32_t id)
{
    uint32_t i = 0;
    while (i < client_count && clients[i].id != id)
        i++;
    return i;
}

static void apply(uint32_t client, const struct service_request *request)
{
    if (request->op == OP_INCREMENT)
        counter++;
    clients[client].id = request->client;
    clients[client].sequence = request->sequence;
    clients[client].reply.status = SERVICE_OK;
    clients[client].reply.value_bytes = sizeof counter;
    store_be64(clients[client].reply.value, counter);
    if (client == client_count)
        client_count++;
    if (++applied % REPORT_EVERY == 0)
        print("counter %llu\n", counter);
}

static bool is_well_formed(const struct service_request *request)
{
    bool known = request->op == OP_INCREMENT || request->op == OP_READ;
    return known && request->sequence != 0 && request->key_bytes == 0 && request->value_bytes == 0;
}

static void on_datagram(const struct network_peer *from, const uint8_t *payload, uint32_t bytes)
{
    struct service_request request;
    if (last != 0 && applied >= last)
        return;
    enum service_parse parse = service_decode(payload, bytes, &request);
    if (parse == SERVICE_FOREIGN)
        return;
    if (parse == SERVICE_PARSED && request.sequence == 0 && request.op == SERVICE_OP_HELLO)
        return answer_status(from, &request, SERVICE_OK);
    if (parse == SERVICE_MALFORMED || !is_well_formed(&request))
        return answer_status(from, &request, SERVICE_BAD_REQUEST);
    uint32_t client = find_client(request.client);
    if (client == CLIENTS_MAX)
        return answer_status(from, &request, SERVICE_FULL);
    if (client < client_count && request.sequence < clients[client].sequence)
        return answer_status(from, &request, SERVICE_STALE);
    if (client == client_count || request.sequence > clients[client].sequence)
        apply(client, &request);
    answer(from, &request, &clients[client].reply);
}

int guest_main(void)
{
    last = option_number("count", 0, 0, 0xffffffffu);
    network_start(COUNTER_PORT, on_datagram);
    network_print_ready();
    while (last == 0 || applied < last) {
        if (network_poll(FRAMES_PER_TURN) > 0)
            continue;
        interrupts_disable();
        if (network_card->has_frame())
            interrupts_enable();
        else
            interrupts_wait();
    }
    network_card->drain();
    print("counter: ok, %u operations, counter %llu\n", applied, counter);
    return EXIT_OK;
}
