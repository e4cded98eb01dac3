/* The guest's options: words of the form name=value on the Multiboot command line. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Keep a copy of the command line, for the boot information may be overwritten later. */
void options_start(const char *command_line);

/* A decimal number between lowest and highest (inclusive), or `otherwise` when the option is absent.
 * Stops the guest with EXIT_NEEDS and a message when it is anything else. */
uint32_t option_number(const char *name, uint32_t otherwise, uint32_t lowest, uint32_t highest);

/* on or off (also yes, no, 1, 0). */
bool option_switch(const char *name, bool otherwise);

/* A dotted IPv4 address, in host order: 10.86.0.2 is 0x0a560002. */
uint32_t option_address(const char *name, uint32_t otherwise);
