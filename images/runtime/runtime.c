/*
 * Start-up of every Multiboot guest, in this order: console, memory, options, descriptor tables, PIC, then the guest.
 *
 * Source: Multiboot Specification 0.6.96, section 3.3 (boot information): flags at 0, mem_upper (KiB above 1 MiB)
 * at 8 if flags bit 0, cmdline at 16 if flags bit 2.
 */
#include "runtime.h"
#include "console.h"
#include "interrupts.h"
#include "memory.h"
#include "options.h"
#include "port.h"

#define MULTIBOOT_LOADER_MAGIC 0x2badb002u
#define MULTIBOOT_HAS_MEMORY 0x1u
#define MULTIBOOT_HAS_COMMAND_LINE 0x4u
#define DEBUG_EXIT_PORT 0xf4
#define RAM_END_UNKNOWN (4u << 20)

const char guest_name[] = GUEST_NAME;

void runtime_start(uint32_t magic, const uint32_t *information);

void finish(int code)
{
    out8(DEBUG_EXIT_PORT, (uint8_t)code);
    for (;;)
        __asm__ volatile("cli; hlt");
}

void fail(int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print("%s: ", guest_name);
    print_list(format, arguments);
    print("\n");
    va_end(arguments);
    finish(code);
}

void runtime_start(uint32_t magic, const uint32_t *information)
{
    console_start();
    if (magic != MULTIBOOT_LOADER_MAGIC)
        fail(EXIT_NEEDS, "not started by a Multiboot loader (EAX was 0x%x)", magic);
    uint32_t flags = information[0];
    memory_start(flags & MULTIBOOT_HAS_MEMORY ? (1u << 20) + information[2] * 1024 : RAM_END_UNKNOWN);
    options_start(flags & MULTIBOOT_HAS_COMMAND_LINE ? (const char *)information[4] : "");
    interrupts_start();
    interrupts_enable();
    finish(guest_main());
}
