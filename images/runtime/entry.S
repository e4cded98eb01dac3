/*
 * Multiboot header and entry point: a stack, flat segments of our own, then runtime_start() in C.
 *
 *   loader -> _start (EAX = magic, EBX = information, paging off, IF=0) -> runtime_start(magic, information)
 *
 * Source: Multiboot Specification 0.6.96, sections 3.1 (header) and 3.2 (machine state).
 */
        .set MULTIBOOT_MAGIC, 0x1BADB002
        .set MULTIBOOT_FLAGS, 0x00000003        /* bit 0: page-aligned modules, bit 1: memory information */
        .set STACK_BYTES, 32768

        .section .multiboot, "ax"
        .balign 4
        .long MULTIBOOT_MAGIC
        .long MULTIBOOT_FLAGS
        .long -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

        .text
        .globl _start
_start:
        cli
        cld
        mov     $stack_top, %esp
        push    $0                              /* EFLAGS: everything off */
        popf
        xor     %ebp, %ebp
        push    %ebx
        push    %eax
        call    runtime_start
1:      cli
        hlt
        jmp     1b

        .bss
        .balign 4096
        .skip   STACK_BYTES
        .globl stack_top
stack_top:
