/* real-mode.S - the part of the monitor below 64 KiB: interrupt stubs for real mode and the way back to it.
 * Loaded at REAL_MONITOR, the interrupt table points at its stubs. See monitor.S.
 * Source: Intel SDM volume 3, sections 9.9.1 and 9.9.2 (switching modes), 20.1.4 (interrupts in real mode). */
        .intel_syntax noprefix
        .code16
        .set    VECTORS, 0x30
        .set    STUB_BYTES, 8

        .text
        .globl  _start
_start:
        .set    vector, 0
        .rept   VECTORS
        .balign STUB_BYTES
        push    vector
        jmp     to_protected
        .set    vector, vector + 1
        .endr

        .org    0x200
        jmp     back                            /* REAL_RETURN: in 16-bit protected mode */

to_protected:
        pushad
        push    ds
        push    es
        push    fs
        push    gs
        lidtd   cs:[protected_idtr]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        .byte   0x66, 0xea                      /* JMP ptr16:32 */
        .long   MONITOR + 8
        .word   MONITOR_CODE

back:
        mov     eax, cr0
        and     al, 0xfe
        mov     cr0, eax
        ljmp    0, offset 1f
1:      lidtd   cs:[real_idtr]
        lss     sp, cs:[REAL_STACK]
        pop     gs
        pop     fs
        pop     es
        pop     ds
        popad
        add     sp, 2
        iret

        .balign 4
real_idtr:
        .word   0x3ff
        .long   0
protected_idtr:
        .word   8 * VECTORS - 1
        .long   IDT
