/* PCI configuration space through ports 0xcf8 and 0xcfc: find a device on bus 0 and read what the firmware gave it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Bus, device and function as they stand in CONFIG_ADDRESS, with the enable bit. */
typedef uint32_t pci_address;

uint32_t pci_read(pci_address address, uint32_t offset);
void pci_write(pci_address address, uint32_t offset, uint32_t value);

/* The first function with this vendor and device id, or false. */
bool pci_find(uint16_t vendor, uint16_t device, pci_address *found);

/* The base of an I/O BAR (0 to 5); 0 when it is a memory BAR or has no address. */
uint16_t pci_io_base(pci_address address, uint32_t bar);

/* The IRQ line that the firmware wrote down (register 0x3c). */
uint8_t pci_interrupt_line(pci_address address);

/* Let the function answer I/O and memory accesses and do DMA. */
void pci_enable(pci_address address);
