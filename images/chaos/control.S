/*
 * Code for control.c that C cannot write: interrupt shadows, 16-bit code, frames, far transfers.
 */
#include "selectors.h"

/* The next instruction is in the interrupt shadow of the one before: list its address. */
        .macro SHADOWED
9:      .pushsection .rodata.shadowed, "a"
        .long   9b
        .popsection
        .endm

        .section .rodata.shadowed, "a"
        .globl control_shadowed
control_shadowed:

        .text
/* u32 control_shadows(u32 rounds): open and close the interrupt window in every way; returns rounds * 7 */
        .globl control_shadows
control_shadows:
        mov     4(%esp), %ecx
        xor     %eax, %eax
        mov     %ss, %edx
1:      cli
        inc     %eax
        sti
        SHADOWED
        inc     %eax
        cli
        inc     %eax
        sti
        SHADOWED
        mov     %edx, %ss
        inc     %eax
        mov     %edx, %ss
        SHADOWED
        inc     %eax
        push    %ss
        pop     %ss
        SHADOWED
        inc     %eax
        pushf
        cli
        nop
        popf
        inc     %eax
        dec     %ecx
        jnz     1b
        ret

/* u32 control_frames(u32 a, u32 b): ENTER with two levels, PUSHA and POPA, RET n; returns a * 2 + b */
        .globl control_frames
control_frames:
        push    8(%esp)                         /* b */
        push    8(%esp)                         /* a: the stack has moved by one word */
        call    2f                              /* takes its two parameters off the stack */
        ret
2:      enter   $16, $0
        mov     8(%ebp), %eax
        mov     %eax, -4(%ebp)
        enter   $8, $2
        pusha
        mov     $0x11111111, %eax
        mov     %eax, %ebx
        mov     %eax, %ecx
        mov     %eax, %esi
        mov     %eax, %edi
        popa
        add     %eax, %eax
        leave
        add     12(%ebp), %eax
        leave
        ret     $8

/* u32 control_far(u32 a): far call and far return within ring 0; returns a ^ 0x5a5a5a5a */
        .globl control_far
control_far:
        mov     4(%esp), %eax
        lcall   $SEL_KERNEL_CODE, $3f
        ret
3:      xor     $0x5a5a5a5a, %eax
        lret

/* u32 control_jump(u32 index, u32 a): through a table; a + 1, a << 1, ~a, -a */
        .globl control_jump
control_jump:
        mov     4(%esp), %ecx
        mov     8(%esp), %eax
        and     $3, %ecx
        jmp     *4f(,%ecx,4)
        .section .rodata
        .balign 4
4:      .long   5f, 6f, 7f, 8f
        .text
5:      inc     %eax
        ret
6:      shl     %eax
        ret
7:      not     %eax
        ret
8:      neg     %eax
        ret

/* u32 control_16(u32 a, u32 *memory): call 16-bit code at SEL_CODE16:0; see there for what it does */
        .globl control_16
control_16:
        push    %ebx
        mov     8(%esp), %eax
        mov     12(%esp), %ebx
        lcall   $SEL_CODE16, $0
        pop     %ebx
        ret

        .balign 16
        .globl control_code16
control_code16:
        .code16
        add     $0x1234, %ax                    /* the upper half of EAX must stay */
        mov     $5, %cx
1:      rol     $3, %ax
        loop    1b
        addl    %eax, (%ebx)                    /* operand and address size prefixes */
        push    %ax
        pop     %dx
        cmp     %ax, %dx
        jne     2f
        xorl    $0x00010001, %eax
2:      lretl
        .code32

        .section .rodata.shadowed, "a"
        .globl control_shadowed_end
control_shadowed_end:
