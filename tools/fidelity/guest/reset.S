/* reset.S - a 64 KiB ROM: from the reset vector into the monitor. RAM holds everything else already.
 * Source: Intel SDM volume 3, section 9.1.4 (first instruction executed). */
        .intel_syntax noprefix
        .code16
        .text
        .globl  _start
_start:
        cli
        mov     al, 0xff                        /* no interrupt from outside */
        out     0x21, al
        out     0xa1, al
        lgdtd   cs:[gdtr]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        .byte   0x66, 0xea                      /* JMP ptr16:32 */
        .long   MONITOR
        .word   MONITOR_CODE
        .balign 8
gdtr:   .word   GDT_BYTES - 1
        .long   GDT
        .org    0xfff0
        ljmp    0xf000, 0
        .org    0x10000
