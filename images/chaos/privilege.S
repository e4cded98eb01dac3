/*
 * Code for privilege.c that runs in rings 3 and 1 and in virtual-8086 mode, and the gates' targets.
 */
#include "selectors.h"

        .set TRAP_USER_CALL, 0x80
        .set TRAP_USER_EXIT, 0x81
        .set UART_SCRATCH, 0x3ff

        .text
/* Calls the kernel five times: EAX = EAX * 3 + EBX each time, every other register unchanged. */
        .globl privilege_calls
privilege_calls:
        mov     $0x01010101, %ebx
        mov     $5, %ecx
        mov     $0x2222, %esi
        mov     $0x3333, %edi
        mov     $0x4444, %ebp
        mov     %esp, %edx
1:      int     $TRAP_USER_CALL
        loop    1b
        cmp     %esp, %edx
        jne     privilege_bad
        cmp     $0x2222, %esi
        jne     privilege_bad
        cmp     $0x3333, %edi
        jne     privilege_bad
        cmp     $0x4444, %ebp
        jne     privilege_bad
        int     $TRAP_USER_EXIT
privilege_bad:
        ud2

/* POPF in ring 3 changes neither IF nor IOPL, and says nothing about it. Result: the flags. */
        .globl privilege_flags
privilege_flags:
        push    $0x3ed7                         /* IOPL 3, OF, DF, IF clear, TF clear */
        andl    $~0x300, (%esp)
        popf
        pushf
        pop     %eax
        cld
        int     $TRAP_USER_EXIT

/* With IOPL 3: CLI and STI work. Result: flags after CLI in the low half, after STI in the upper. */
        .globl privilege_iopl
privilege_iopl:
        cli
        pushf
        pop     %ecx
        sti
        nop
        pushf
        pop     %eax
        shl     $16, %eax
        mov     %cx, %ax
        int     $TRAP_USER_EXIT

/* The I/O bitmap allows the UART's scratch register: write, read, and one port too far at privilege_ports_fault. */
        .globl privilege_ports, privilege_ports_fault
privilege_ports:
        mov     $UART_SCRATCH, %edx
        mov     $0x42, %al
        out     %al, %dx
        in      %dx, %al
        dec     %edx
privilege_ports_fault:
        out     %al, %dx
        ud2

/* Through a call gate with two parameters. Result: their difference plus EAX. */
        .globl privilege_gate
privilege_gate:
        mov     %esp, %ecx
        push    $1000
        push    $58
        lcall   $SEL_CALL_GATE | 3, $0
        cmp     %esp, %ecx
        jne     privilege_bad
        int     $TRAP_USER_EXIT

/* Ring 0 side of it: checks its ring and stack, takes the parameters off both stacks. */
        .globl privilege_gate_target
privilege_gate_target:
        mov     %cs, %edx
        cmp     $SEL_KERNEL_CODE, %dx
        jne     privilege_bad
        mov     %ss, %edx
        cmp     $SEL_KERNEL_DATA, %dx
        jne     privilege_bad
        sti
        add     12(%esp), %eax                  /* EIP, CS, then the parameters, last one first */
        sub     8(%esp), %eax
        lret    $8

/* To ring 1, from there to the kernel by INT and back to ring 3. */
        .globl privilege_ring1
privilege_ring1:
        lcall   $SEL_CALL_GATE1 | 3, $0
        int     $TRAP_USER_EXIT
        .globl privilege_ring1_target
privilege_ring1_target:
        mov     $7, %ebx
        int     $TRAP_USER_CALL
        mov     %cs, %ecx
        and     $3, %ecx
        add     %ecx, %eax
        lret

/* Virtual-8086 code, copied to low memory, entered with AX = a random number. INT, CLI and HLT trap to the kernel. */
        .globl privilege_v86, privilege_v86_end, privilege_v86_trap
privilege_v86:
        .code16
        mov     %ax, %bx
        rol     $4, %bx
        mov     %cs, %cx
        mov     %cx, %ds
        mov     %bx, 0x100                      /* DS:0100 */
        push    %bx
        pop     %dx
        xor     %ax, %dx
        mov     0x100, %ax
privilege_v86_trap:
        hlt
        .code32
privilege_v86_end:

/* void privilege_enter_v86(u32 ax): IRET with VM set; ends in #GP at the HLT. Segment 0x600, IP 0, SS:SP 0600:0f00. */
        .globl privilege_enter_v86
privilege_enter_v86:
        mov     4(%esp), %eax
        push    $0                              /* GS, FS, DS, ES */
        push    $0
        push    $0
        push    $0
        push    $0x600                          /* SS */
        push    $0xf00
        push    $0x20202                        /* VM, IF */
        push    $0x600                          /* CS */
        push    $0
        iret
