/*
 * Frames in, frames out. Whatever is malformed, addressed to someone else or not understood is dropped silently.
 *
 * Source: RFC 826 (ARP), RFC 791 (IPv4), RFC 792 (ICMP echo), RFC 768 (UDP), RFC 1071 (checksum).
 */
#include "network.h"
#include "console.h"
#include "memory.h"
#include "network-card.h"
#include "options.h"
#include "runtime.h"

#define ETHERNET_BYTES 14
#define ETHERTYPE_ARP 0x0806
#define ETHERTYPE_IPV4 0x0800
#define FRAME_BYTES_LEAST 60 /* shorter frames are padded; the card adds the CRC */
#define ARP_BYTES 28
#define ARP_ETHERNET_IPV4 0x00010800u
#define ARP_LENGTHS 0x0604
#define ARP_REQUEST 1
#define ARP_REPLY 2
#define IP_BYTES 20
#define IP_VERSION_AND_LENGTH 0x45
#define IP_TTL 64
#define IP_FRAGMENT_MASK 0x3fff /* more-fragments flag and offset */
#define IP_DONT_FRAGMENT 0x4000
#define PROTOCOL_ICMP 1
#define PROTOCOL_UDP 17
#define ICMP_BYTES 8
#define ICMP_ECHO 8
#define ICMP_ECHO_REPLY 0
#define UDP_BYTES 8

static const uint8_t broadcast[MAC_BYTES] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static uint8_t frame_out[FRAME_BYTES_MAX] __attribute__((aligned(4)));
static uint32_t own_address;
static uint16_t own_port;
static udp_receiver receive_datagram;
const struct network_card *network_card;

/* The one's complement sum of RFC 1071, continued from `sum`; an odd last byte counts as the high one. */
static uint32_t add_checksum(uint32_t sum, const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i + 1 < count; i += 2)
        sum += load_be16(bytes + i);
    if (count & 1)
        sum += (uint32_t)bytes[count - 1] << 8;
    return sum;
}

static uint16_t fold_checksum(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* The pseudo header of UDP. */
static uint32_t start_udp_checksum(uint32_t source, uint32_t destination, uint32_t bytes)
{
    return (source >> 16) + (source & 0xffff) + (destination >> 16) + (destination & 0xffff) + PROTOCOL_UDP + bytes;
}

static void send_frame(const uint8_t *destination, uint16_t type, uint32_t payload_bytes)
{
    uint32_t bytes = ETHERNET_BYTES + payload_bytes;
    memcpy(frame_out, destination, MAC_BYTES);
    memcpy(frame_out + MAC_BYTES, network_card->mac(), MAC_BYTES);
    store_be16(frame_out + 2 * MAC_BYTES, type);
    if (bytes < FRAME_BYTES_LEAST) {
        memset(frame_out + bytes, 0, FRAME_BYTES_LEAST - bytes);
        bytes = FRAME_BYTES_LEAST;
    }
    network_card->send(frame_out, bytes);
}

static void send_arp(uint16_t operation, const uint8_t *to, const uint8_t *target_mac, uint32_t target)
{
    uint8_t *arp = frame_out + ETHERNET_BYTES;
    store_be32(arp, ARP_ETHERNET_IPV4);
    store_be16(arp + 4, ARP_LENGTHS);
    store_be16(arp + 6, operation);
    memcpy(arp + 8, network_card->mac(), MAC_BYTES);
    store_be32(arp + 14, own_address);
    memcpy(arp + 18, target_mac, MAC_BYTES);
    store_be32(arp + 24, target);
    send_frame(to, ETHERTYPE_ARP, ARP_BYTES);
}

static void receive_arp(const uint8_t *arp, uint32_t bytes)
{
    bool understood = bytes >= ARP_BYTES && load_be32(arp) == ARP_ETHERNET_IPV4 && load_be16(arp + 4) == ARP_LENGTHS;
    if (understood && load_be16(arp + 6) == ARP_REQUEST && load_be32(arp + 24) == own_address)
        send_arp(ARP_REPLY, arp + 8, arp + 8, load_be32(arp + 14));
}

/* Write the IPv4 header in front of `bytes` of payload already in place, and send. */
static void send_ip(const struct network_peer *to, uint8_t protocol, uint32_t bytes)
{
    static uint16_t identification;
    uint8_t *ip = frame_out + ETHERNET_BYTES;
    ip[0] = IP_VERSION_AND_LENGTH;
    ip[1] = 0;
    store_be16(ip + 2, IP_BYTES + bytes);
    store_be16(ip + 4, ++identification);
    store_be16(ip + 6, IP_DONT_FRAGMENT);
    ip[8] = IP_TTL;
    ip[9] = protocol;
    store_be16(ip + 10, 0);
    store_be32(ip + 12, own_address);
    store_be32(ip + 16, to->address);
    store_be16(ip + 10, fold_checksum(add_checksum(0, ip, IP_BYTES)));
    send_frame(to->mac, ETHERTYPE_IPV4, IP_BYTES + bytes);
}

static void receive_icmp(const struct network_peer *from, const uint8_t *icmp, uint32_t bytes)
{
    if (bytes < ICMP_BYTES || icmp[0] != ICMP_ECHO || fold_checksum(add_checksum(0, icmp, bytes)) != 0)
        return;
    uint8_t *reply = frame_out + ETHERNET_BYTES + IP_BYTES;
    memcpy(reply, icmp, bytes);
    reply[0] = ICMP_ECHO_REPLY;
    store_be16(reply + 2, 0);
    store_be16(reply + 2, fold_checksum(add_checksum(0, reply, bytes)));
    send_ip(from, PROTOCOL_ICMP, bytes);
}

static void receive_udp(struct network_peer *from, const uint8_t *udp, uint32_t bytes)
{
    if (bytes < UDP_BYTES || load_be16(udp + 2) != own_port)
        return;
    uint32_t length = load_be16(udp + 4);
    if (length < UDP_BYTES || length > bytes)
        return;
    uint32_t sum = add_checksum(start_udp_checksum(from->address, own_address, length), udp, length);
    if (load_be16(udp + 6) != 0 && fold_checksum(sum) != 0)
        return;
    from->port = load_be16(udp);
    receive_datagram(from, udp + UDP_BYTES, length - UDP_BYTES);
}

static void receive_ip(const uint8_t *frame, uint32_t bytes)
{
    const uint8_t *ip = frame + ETHERNET_BYTES;
    if (bytes < IP_BYTES || ip[0] != IP_VERSION_AND_LENGTH || load_be32(ip + 16) != own_address)
        return;
    uint32_t total = load_be16(ip + 2);
    bool whole = total >= IP_BYTES && total <= bytes && (load_be16(ip + 6) & IP_FRAGMENT_MASK) == 0;
    if (!whole || fold_checksum(add_checksum(0, ip, IP_BYTES)) != 0)
        return;
    struct network_peer from = { .address = load_be32(ip + 12) };
    memcpy(from.mac, frame + MAC_BYTES, MAC_BYTES);
    if (ip[9] == PROTOCOL_ICMP)
        receive_icmp(&from, ip + IP_BYTES, total - IP_BYTES);
    else if (ip[9] == PROTOCOL_UDP)
        receive_udp(&from, ip + IP_BYTES, total - IP_BYTES);
}

void network_start(uint16_t port, udp_receiver receiver)
{
    own_port = port;
    receive_datagram = receiver;
    own_address = option_address("ip", NETWORK_ADDRESS_DEFAULT);
    const struct network_card *const cards[] = { &virtio_net_card, &ne2k_card };
    for (uint32_t i = 0; i < sizeof cards / sizeof cards[0] && network_card == 0; i++)
        if (cards[i]->open())
            network_card = cards[i];
    if (network_card == 0)
        fail(EXIT_NEEDS, "this machine has no network card (virtio, or NE2000 on PCI)");
    static const uint8_t unknown[MAC_BYTES];
    send_arp(ARP_REQUEST, broadcast, unknown, own_address);
}

uint32_t network_poll(uint32_t frames_max)
{
    uint32_t bytes, count = 0;
    for (; count < frames_max; count++) {
        const uint8_t *frame = network_card->receive(&bytes);
        if (frame == 0)
            break;
        if (bytes >= ETHERNET_BYTES && bytes <= FRAME_BYTES_MAX) {
            uint16_t type = load_be16(frame + 2 * MAC_BYTES);
            if (type == ETHERTYPE_ARP)
                receive_arp(frame + ETHERNET_BYTES, bytes - ETHERNET_BYTES);
            else if (type == ETHERTYPE_IPV4)
                receive_ip(frame, bytes - ETHERNET_BYTES);
        }
        network_card->release();
    }
    if (count > 0)
        network_card->refill();
    return count;
}

void network_reply(const struct network_peer *to, const void *payload, uint32_t bytes)
{
    uint8_t *udp = frame_out + ETHERNET_BYTES + IP_BYTES;
    uint32_t length = UDP_BYTES + bytes;
    check(bytes <= UDP_PAYLOAD_BYTES_MAX, "a reply of %u bytes", bytes);
    memcpy(udp + UDP_BYTES, payload, bytes);
    store_be16(udp, own_port);
    store_be16(udp + 2, to->port);
    store_be16(udp + 4, length);
    store_be16(udp + 6, 0);
    uint16_t sum = fold_checksum(add_checksum(start_udp_checksum(own_address, to->address, length), udp, length));
    store_be16(udp + 6, sum == 0 ? 0xffff : sum);
    send_ip(to, PROTOCOL_UDP, length);
}

void network_print_ready(void)
{
    print("%s: %u.%u.%u.%u ready on port %u\n", guest_name, own_address >> 24, own_address >> 16 & 0xff,
          own_address >> 8 & 0xff, own_address & 0xff, own_port);
}
