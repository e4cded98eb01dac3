/*
 * The NE2000 driver (RTL8029AS on PCI), by words through the data port.
 *
 *   card memory, pages of 256 bytes   0x40 transmit | 0x46 ring of received frames ... 0x80 end
 *   interrupt: acknowledged, no more; the ring says what came      transmit: done when the command register says so
 *
 * Invariant: registers are in pages and transfers take many accesses, so both happen with interrupts off.
 * Source: NS DP8390D/NS32490D data sheet, sections 7, 8, 9 and 10; Realtek RTL8029AS specification.
 */
#include "interrupts.h"
#include "memory.h"
#include "network-card.h"
#include "pci.h"
#include "port.h"
#include "runtime.h"

#define REALTEK 0x10ec
#define RTL8029 0x8029

/* Page 0. */
#define COMMAND 0x00
#define PAGE_START 0x01
#define PAGE_STOP 0x02
#define BOUNDARY 0x03
#define TRANSMIT_PAGE 0x04
#define TRANSMIT_BYTES_LOW 0x05
#define TRANSMIT_BYTES_HIGH 0x06
#define INTERRUPT_STATUS 0x07
#define REMOTE_ADDRESS_LOW 0x08
#define REMOTE_ADDRESS_HIGH 0x09
#define REMOTE_BYTES_LOW 0x0a
#define REMOTE_BYTES_HIGH 0x0b
#define RECEIVE_CONFIG 0x0c
#define TRANSMIT_CONFIG 0x0d
#define DATA_CONFIG 0x0e
#define INTERRUPT_MASK 0x0f
/* Page 1. */
#define STATION_ADDRESS 0x01
#define CURRENT_PAGE 0x07

#define DATA_PORT 0x10
#define RESET_PORT 0x1f

#define STOP_PAGE_0 0x21
#define STOP_PAGE_1 0x61
#define START_PAGE_0 0x22
#define START_PAGE_1 0x62
#define REMOTE_READ 0x0a
#define REMOTE_WRITE 0x12
#define TRANSMIT 0x26
#define TRANSMITTING 0x04
#define STATUS_RECEIVED 0x01
#define DATA_WORDS 0x49
#define RECEIVE_NOTHING 0x20
#define RECEIVE_BROADCAST 0x04
#define LOOPBACK 0x02

#define SEND_PAGE 0x40u
#define RING_START 0x46u
#define RING_STOP 0x80u
#define RING_HEADER_BYTES 4u
#define CHECK_BYTES 4u
#define EFLAGS_INTERRUPTS 0x200u

static uint16_t port;
static uint8_t mac[MAC_BYTES], next_page;
static uint8_t frame_in[2048] __attribute__((aligned(4)));

static uint32_t lock(void)
{
    uint32_t flags;
    __asm__ volatile("pushfl; popl %0; cli" : "=r"(flags) : : "memory");
    return flags;
}

static void unlock(uint32_t flags)
{
    if (flags & EFLAGS_INTERRUPTS)
        interrupts_enable();
}

static void set(uint16_t reg, uint32_t value) { out8((uint16_t)(port + reg), (uint8_t)value); }
static uint8_t get(uint16_t reg) { return in8((uint16_t)(port + reg)); }

/* Outside lock() the registers show page 0 and no transfer is under way. */
static void on_interrupt(void *context)
{
    (void)context;
    set(INTERRUPT_STATUS, STATUS_RECEIVED);
}

static void start_transfer(uint32_t address, uint32_t bytes, uint8_t command)
{
    set(REMOTE_BYTES_LOW, bytes);
    set(REMOTE_BYTES_HIGH, bytes >> 8);
    set(REMOTE_ADDRESS_LOW, address);
    set(REMOTE_ADDRESS_HIGH, address >> 8);
    set(COMMAND, command);
}

/* An even number of bytes; the card goes on at the ring's start behind its end. */
static void read_memory(void *to, uint32_t address, uint32_t bytes)
{
    uint32_t words = bytes / 2;
    start_transfer(address, bytes, REMOTE_READ);
    __asm__ volatile("rep insw" : "+D"(to), "+c"(words) : "d"((uint16_t)(port + DATA_PORT)) : "memory");
    set(COMMAND, START_PAGE_0);
}

static void write_memory(uint32_t address, const void *from, uint32_t bytes)
{
    uint32_t words = bytes / 2;
    start_transfer(address, bytes, REMOTE_WRITE);
    __asm__ volatile("rep outsw" : "+S"(from), "+c"(words) : "d"((uint16_t)(port + DATA_PORT)) : "memory");
    set(COMMAND, START_PAGE_0);
}

static void set_up(void)
{
    uint8_t prom[2 * MAC_BYTES];
    get(RESET_PORT);
    set(COMMAND, STOP_PAGE_0);
    set(DATA_CONFIG, DATA_WORDS);
    set(RECEIVE_CONFIG, RECEIVE_NOTHING);
    set(TRANSMIT_CONFIG, LOOPBACK);
    set(PAGE_START, RING_START);
    set(PAGE_STOP, RING_STOP);
    read_memory(prom, 0, sizeof prom);
    set(COMMAND, STOP_PAGE_1);
    for (uint16_t i = 0; i < MAC_BYTES; i++) {
        mac[i] = prom[2 * i]; /* the PROM shows each byte twice */
        set(STATION_ADDRESS + i, mac[i]);
    }
    next_page = RING_START;
    set(CURRENT_PAGE, next_page);
    set(COMMAND, STOP_PAGE_0);
    set(BOUNDARY, RING_STOP - 1);
    set(INTERRUPT_STATUS, 0xff);
    set(INTERRUPT_MASK, STATUS_RECEIVED);
    set(COMMAND, START_PAGE_0);
    set(TRANSMIT_CONFIG, 0);
    set(RECEIVE_CONFIG, RECEIVE_BROADCAST);
}

static bool card_open(void)
{
    pci_address address;
    if (!pci_find(REALTEK, RTL8029, &address))
        return false;
    pci_enable(address);
    port = pci_io_base(address, 0);
    uint8_t line = pci_interrupt_line(address);
    if (port == 0 || line >= IRQ_LINES)
        fail(EXIT_NEEDS, "the NE2000 has no registers or no interrupt line");
    uint32_t flags = lock();
    set_up();
    unlock(flags);
    irq_handle(line, on_interrupt, 0);
    return true;
}

static const uint8_t *card_mac(void) { return mac; }

static bool card_has_frame(void)
{
    uint32_t flags = lock();
    set(COMMAND, START_PAGE_1);
    uint8_t current = get(CURRENT_PAGE);
    set(COMMAND, START_PAGE_0);
    unlock(flags);
    return current != next_page;
}

static uint8_t *card_receive(uint32_t *bytes)
{
    uint8_t header[RING_HEADER_BYTES];
    if (!card_has_frame())
        return 0;
    uint32_t flags = lock();
    read_memory(header, next_page * 256u, sizeof header);
    uint32_t written = header[2] | (uint32_t)header[3] << 8;
    bool fits = written > CHECK_BYTES && written <= sizeof frame_in && header[1] >= RING_START && header[1] < RING_STOP;
    check(fits, "a received frame of %u bytes, the next one on page %x", written, header[1]);
    *bytes = written - CHECK_BYTES;
    read_memory(frame_in, next_page * 256u + RING_HEADER_BYTES, (*bytes + 1) & ~1u);
    next_page = header[1];
    set(BOUNDARY, next_page == RING_START ? RING_STOP - 1 : next_page - 1u);
    unlock(flags);
    return frame_in;
}

/* The frame left the ring when it was taken. */
static void card_release(void) {}

static void card_refill(void) {}

static void card_drain(void)
{
    while (get(COMMAND) & TRANSMITTING)
        __asm__ volatile("pause");
}

static void card_send(const void *frame, uint32_t bytes)
{
    card_drain();
    uint32_t flags = lock();
    write_memory(SEND_PAGE * 256u, frame, (bytes + 1) & ~1u);
    set(TRANSMIT_PAGE, SEND_PAGE);
    set(TRANSMIT_BYTES_LOW, bytes);
    set(TRANSMIT_BYTES_HIGH, bytes >> 8);
    set(COMMAND, TRANSMIT);
    unlock(flags);
}

const struct network_card ne2k_card = {
    card_open, card_mac, card_receive, card_release, card_refill, card_has_frame, card_send, card_drain,
};
