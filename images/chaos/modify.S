/*
 * Code that changes itself, on pages of its own so that nothing else pays for it.
 */
        .section .text.modify, "ax"
        .balign 4096
        .globl modify_page
modify_page:

/* u32 modify_next(u32 byte): change the immediate of the very next instruction; returns byte */
        .globl modify_next
modify_next:
        mov     4(%esp), %eax
        movb    %al, 1f + 1
1:      mov     $0x55, %cl
        movzbl  %cl, %eax
        ret

/* u32 modify_alias(u32 byte, u8 *alias): the same through another virtual address of this page */
        .globl modify_alias
modify_alias:
        mov     4(%esp), %eax
        mov     8(%esp), %edx
        movb    %al, 1f + 1 - modify_page(%edx)
1:      mov     $0x55, %cl
        movzbl  %cl, %eax
        ret

/* u32 modify_loop(u32 count): a loop that increments its own immediate; returns the sum of 0 .. count - 1 */
        .globl modify_loop
modify_loop:
        mov     4(%esp), %ecx
        xor     %eax, %eax
        movl    $0, 1f + 1
1:      add     $0x12345678, %eax
        incl    1b + 1
        loop    1b
        ret

/* u32 modify_opcode(u32 a, u32 b): turn ADD into SUB just ahead, and back; returns a + b and a - b in turns */
        .globl modify_opcode
modify_opcode:
        mov     4(%esp), %eax
        mov     8(%esp), %edx
        movb    $0x01, 1f                       /* add %edx, %eax */
        jmp     1f
1:      add     %edx, %eax
        movb    $0x29, 2f                       /* sub %edx, %eax */
2:      add     %edx, %eax
        xorb    $0x28, 2b
        xorb    $0x28, 3f
3:      sub     %edx, %eax                      /* add the first time, then sub, and so on */
        ret

/* u32 modify_string(void): REP STOSB over the UD2s right behind it; returns 7 */
        .globl modify_string
modify_string:
        push    %edi
        mov     $1f, %edi
        mov     $8, %ecx
        mov     $0x90, %al
        rep stosb
1:      ud2
        ud2
        ud2
        ud2
        mov     $7, %eax
        movl    $0x0b0f0b0f, 1b
        movl    $0x0b0f0b0f, 1b + 4
        pop     %edi
        ret

/* u32 modify_jump(u32 a): the next instruction becomes a jump over the trap; returns a */
        .globl modify_jump
modify_jump:
        mov     4(%esp), %eax
        movw    $0x02eb, 1f                     /* jmp .+2 */
1:      nop
        nop
        ud2
        movw    $0x9090, 1b
        ret

/* u32 modify_stack(u32 immediate): PUSH writes the code that runs next; returns the immediate */
        .globl modify_stack
modify_stack:
        mov     4(%esp), %eax
        mov     %esp, %edx
        cli                                     /* interrupts would push here too */
        mov     $1f + 5, %esp
        push    %eax                            /* the immediate below */
        mov     %edx, %esp
        jmp     1f
1:      mov     $0x11223344, %ecx
        sti
        mov     %ecx, %eax
        ret
        .balign 4096
