/*
 * Configuration mechanism 1, bus 0 only: all the machines these guests run on have a single bus.
 *
 * Source: PCI Local Bus Specification 3.0, sections 3.2.2.3.2 (mechanism 1), 6.1 (header), 6.2.5.1 (base addresses).
 */
#include "pci.h"
#include "port.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA 0xcfc
#define CONFIG_ENABLE 0x80000000u
#define OFFSET_ID 0x00
#define OFFSET_COMMAND 0x04
#define OFFSET_HEADER 0x0c
#define OFFSET_BAR_0 0x10
#define OFFSET_INTERRUPT 0x3c
#define COMMAND_IO_MEMORY_MASTER 0x7u
#define HEADER_MULTI_FUNCTION 0x800000u
#define BAR_IS_IO 0x1u
#define DEVICES 32
#define FUNCTIONS 8

uint32_t pci_read(pci_address address, uint32_t offset)
{
    out32(CONFIG_ADDRESS, address | offset);
    return in32(CONFIG_DATA);
}

void pci_write(pci_address address, uint32_t offset, uint32_t value)
{
    out32(CONFIG_ADDRESS, address | offset);
    out32(CONFIG_DATA, value);
}

bool pci_find(uint16_t vendor, uint16_t device, pci_address *found)
{
    uint32_t wanted = (uint32_t)device << 16 | vendor;
    for (uint32_t slot = 0; slot < DEVICES; slot++) {
        for (uint32_t function = 0; function < FUNCTIONS; function++) {
            pci_address address = CONFIG_ENABLE | slot << 11 | function << 8;
            uint32_t id = pci_read(address, OFFSET_ID);
            if (id == wanted) {
                *found = address;
                return true;
            }
            bool absent = id == 0xffffffffu;
            if (function == 0 && (absent || (pci_read(address, OFFSET_HEADER) & HEADER_MULTI_FUNCTION) == 0))
                break;
        }
    }
    return false;
}

uint16_t pci_io_base(pci_address address, uint32_t bar)
{
    uint32_t value = pci_read(address, OFFSET_BAR_0 + bar * 4);
    return value & BAR_IS_IO ? (uint16_t)(value & ~3u) : 0;
}

uint8_t pci_interrupt_line(pci_address address) { return (uint8_t)pci_read(address, OFFSET_INTERRUPT); }

void pci_enable(pci_address address)
{
    /* The status half is write-one-to-clear: write zeros there. */
    pci_write(address, OFFSET_COMMAND, (pci_read(address, OFFSET_COMMAND) & 0xffff) | COMMAND_IO_MEMORY_MASTER);
}
