/*
 * badring: a hostile driver. Programs a virtio disk (and a network card, if there is one) with rings outside RAM,
 * loops, lengths that overflow, indices out of range, and random register writes, and after each mischief resets the
 * device and expects it to work again.
 *
 *   for each mischief: set up queue 0 by hand -> mischief -> doorbell -> reset -> normal read of sector 0 succeeds
 *
 * For tests: none of this may harm the host, and the machine must stay alive. Needs a disk; sector 0 is only read.
 * Options: rounds=3.
 */
#include "console.h"
#include "memory.h"
#include "options.h"
#include "port.h"
#include "runtime.h"
#include "virtio-blk.h"

#define FAR_ABOVE_RAM 0xf0000000u
#define VIRTQ_INDIRECT 4
#define RANDOM_WRITES 200u
#define QUEUE_BYTES_MOST 65536u

static struct virtio_device device;
static uint8_t *memory;      /* the queue's pages */
static uint32_t queue_size;
static uint32_t data[128];

static struct virtq_descriptor *descriptors(void) { return (struct virtq_descriptor *)memory; }

static volatile uint16_t *available(void) { return (volatile uint16_t *)(memory + queue_size * 16); }

static void describe(uint32_t slot, uint64_t address, uint32_t length, uint16_t flags, uint16_t next)
{
    descriptors()[slot] = (struct virtq_descriptor){ address, length, flags, next };
}

static void offer(uint16_t head, uint16_t index)
{
    available()[2] = head;
    memory_barrier();
    available()[1] = index;
    memory_barrier();
    out16(device.port + VIRTIO_DOORBELL, 0);
}

/* A proper read request in slots 0 to 2; the mischief then spoils a part of it. */
static void describe_read(void)
{
    static struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header;
    static uint8_t status;
    memset(memory, 0, QUEUE_BYTES_MOST);
    describe(0, (uint32_t)&header, sizeof header, VIRTQ_NEXT, 1);
    describe(1, (uint32_t)data, sizeof data, VIRTQ_NEXT | VIRTQ_DEVICE_WRITES, 2);
    describe(2, (uint32_t)&status, 1, VIRTQ_DEVICE_WRITES, 0);
}

static void ring_outside_ram(void)
{
    out32(device.port + VIRTIO_QUEUE_PAGE, FAR_ABOVE_RAM / PAGE_BYTES);
    offer(0, 1);
    out32(device.port + VIRTIO_QUEUE_PAGE, 0xffffffff);
    offer(0, 2);
}

static void data_outside_ram(void)
{
    descriptors()[1].address = FAR_ABOVE_RAM;
    offer(0, 1);
}

static void header_above_4g(void)
{
    descriptors()[0].address = 0x123400000000ull;
    offer(0, 1);
}

static void address_that_wraps(void)
{
    describe(1, ~0ull - 16, 512, VIRTQ_NEXT | VIRTQ_DEVICE_WRITES, 2);
    offer(0, 1);
}

static void length_of_4g(void)
{
    descriptors()[1].length = 0xffffffff;
    offer(0, 1);
}

static void many_lengths_of_4g(void)
{
    for (uint32_t i = 1; i + 1 < queue_size; i++)
        describe(i, (uint32_t)data, 0xfffffe00, VIRTQ_NEXT | VIRTQ_DEVICE_WRITES, (uint16_t)(i + 1));
    describe(queue_size - 1, (uint32_t)data, 1, VIRTQ_DEVICE_WRITES, 0);
    offer(0, 1);
}

static void loop_of_one(void)
{
    describe(0, (uint32_t)data, 16, VIRTQ_NEXT, 0);
    offer(0, 1);
}

static void loop_of_three(void)
{
    descriptors()[2].flags |= VIRTQ_NEXT;
    offer(0, 1);
}

static void next_out_of_range(void)
{
    descriptors()[1].next = 0xffff;
    offer(0, 1);
}

static void head_out_of_range(void) { offer((uint16_t)queue_size, 1); }

static void index_far_ahead(void) { offer(0, 30000); }

static void no_status_byte(void)
{
    descriptors()[1].flags = VIRTQ_DEVICE_WRITES;
    descriptors()[1].length = 0;
    offer(0, 1);
}

static void nothing_to_write(void)
{
    describe(0, (uint32_t)data, 16, 0, 0);
    offer(0, 1);
}

static void short_header(void)
{
    descriptors()[0].length = 3;
    offer(0, 1);
}

static void written_before_read(void)
{
    descriptors()[0].flags |= VIRTQ_DEVICE_WRITES;
    descriptors()[1].flags &= (uint16_t)~VIRTQ_DEVICE_WRITES;
    offer(0, 1);
}

static void indirect_unasked(void)
{
    describe(0, (uint32_t)memory, 64, VIRTQ_INDIRECT, 0);
    offer(0, 1);
}

/* Random values to random registers (not the debug exit, not other devices), every width. */
static void random_registers(void)
{
    for (uint32_t i = 0; i < RANDOM_WRITES; i++) {
        uint32_t random = memory_mix(i), value = memory_mix(random);
        uint16_t port = (uint16_t)(device.port + random % VIRTIO_CONFIG);
        if (random >> 16 & 1)
            out8(port, (uint8_t)value);
        else if (random >> 17 & 1)
            out16(port & ~1u, (uint16_t)value);
        else
            out32(port & ~3u, value);
        (void)in8(port);
        (void)in32(port & ~3u);
    }
}

static void queues_that_are_not_there(void)
{
    for (uint32_t queue = 1; queue < 0x10000; queue = queue * 5 + 1) {
        out16(device.port + VIRTIO_QUEUE_SELECT, (uint16_t)queue);
        out32(device.port + VIRTIO_QUEUE_PAGE, (uint32_t)memory / PAGE_BYTES);
        out16(device.port + VIRTIO_DOORBELL, (uint16_t)queue);
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} mischiefs[] = {
    { "ring outside RAM", ring_outside_ram },
    { "data outside RAM", data_outside_ram },
    { "header above 4 GiB", header_above_4g },
    { "address that wraps", address_that_wraps },
    { "length of 4 GiB", length_of_4g },
    { "many lengths of 4 GiB", many_lengths_of_4g },
    { "loop of one", loop_of_one },
    { "loop of three", loop_of_three },
    { "next out of range", next_out_of_range },
    { "head out of range", head_out_of_range },
    { "index far ahead", index_far_ahead },
    { "no status byte", no_status_byte },
    { "nothing to write", nothing_to_write },
    { "short header", short_header },
    { "written before read", written_before_read },
    { "indirect unasked", indirect_unasked },
    { "random registers", random_registers },
    { "queues that are not there", queues_that_are_not_there },
};

/* Queue 0 of the device, set up by hand with our own memory. */
static void set_up(uint16_t device_id)
{
    virtio_open(&device, device_id, 0);
    out16(device.port + VIRTIO_QUEUE_SELECT, 0);
    queue_size = in16(device.port + VIRTIO_QUEUE_SIZE);
    check(queue_size >= 4 && queue_size <= 1024, "virtqueue 0 has %u entries", queue_size);
    describe_read();
    out32(device.port + VIRTIO_QUEUE_PAGE, (uint32_t)memory / PAGE_BYTES);
    virtio_ready(&device);
}

static void disk_must_work(const char *after)
{
    static uint8_t sector[SECTOR_BYTES];
    struct virtio_buffer buffer = { sector, sizeof sector };
    if (!disk_open())
        fail(EXIT_NEEDS, "this machine has no virtio disk");
    uint8_t status = disk_do(DISK_READ, 0, &buffer, 1);
    check(status == DISK_OK, "after %s a read was answered %u", after, status);
}

static void torment(uint16_t device_id)
{
    for (uint32_t i = 0; i < sizeof mischiefs / sizeof mischiefs[0]; i++) {
        set_up(device_id);
        mischiefs[i].run();
        out8(device.port + VIRTIO_STATUS, 0);
        disk_must_work(mischiefs[i].name);
    }
}

int guest_main(void)
{
    uint32_t rounds = option_number("rounds", 3, 1, 100000), count = sizeof mischiefs / sizeof mischiefs[0];
    memory = memory_pages(QUEUE_BYTES_MOST / PAGE_BYTES);
    disk_must_work("start");
    for (uint32_t round = 0; round < rounds; round++)
        torment(VIRTIO_DEVICE_BLK);
    print("badring: disk survived %u kinds of mischief\n", count);
    device.port = 0;
    if (virtio_open(&device, VIRTIO_DEVICE_NET, 0)) {
        for (uint32_t round = 0; round < rounds; round++)
            torment(VIRTIO_DEVICE_NET);
        print("badring: network card survived %u kinds of mischief\n", count);
    }
    print("badring: ok\n");
    return EXIT_OK;
}
