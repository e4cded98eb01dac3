/* events_guest.S - a guest made of everything that makes counting instructions hard.
 *
 * Flat 32-bit, paging on, loaded at 1 MiB and entered there in protected mode. The loop count stands at
 * 0x91000. Faults in mid-block, REP with faults, self-modifying code, code running into a missing page,
 * IRET into one, user mode, port I/O in mid-block, STI and MOV SS shadows, FPU and SSE, debug traps. Every
 * exception and interrupt is folded into a running hash with its registers.
 *
 *   0x8000 IDT   0x9000 TSS   0x98000 page directory   0xc0000.. page tables   0x230000 results */
        .intel_syntax noprefix
        .code32
        .set    PD, 0x98000
        .set    PT, 0xc0000
        .set    RESULTS, 0x230000
        .text
        .globl  _start
_start:
        mov     esp, 0x90000
        lgdt    [gdtr]
        ljmp    8, offset reloaded
reloaded:
        mov     ax, 0x10
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     edi, 0x8000
        xor     ecx, ecx
fill_idt:
        mov     eax, ecx
        shl     eax, 4
        add     eax, offset stubs
        mov     [edi], ax
        mov     word ptr [edi+2], 8
        mov     word ptr [edi+4], 0xEE00
        shr     eax, 16
        mov     [edi+6], ax
        add     edi, 8
        inc     ecx
        cmp     ecx, 256
        jb      fill_idt
        lidt    [idtr]
        mov     dword ptr [0x9004], 0x88000
        mov     dword ptr [0x9008], 0x10
        mov     ax, 0x28
        ltr     ax
        mov     edi, PT                 /* identity map of 16 MiB, user, writable */
        mov     eax, 7
        mov     ecx, 4096
fill_tables:
        stosd
        add     eax, 0x1000
        loop    fill_tables
        mov     dword ptr [PD], PT + 7
        mov     dword ptr [PD+4], PT + 0x1007
        mov     dword ptr [PD+8], PT + 0x2007
        mov     dword ptr [PD+12], PT + 0x3007
        mov     eax, PD
        mov     cr3, eax
        mov     eax, cr4
        or      eax, 0x600              /* SSE */
        mov     cr4, eax
        mov     eax, cr0
        or      eax, 0x80010000
        mov     cr0, eax
        fninit
        sti
        mov     dword ptr [iteration], 0
main:
        mov     esi, 0x200000           /* 1. loops and REP */
        mov     edi, 0x210003
        mov     ecx, 777
        rep movsd
        mov     edi, 0x220001
        mov     ecx, 1234
        mov     eax, [iteration]
        rep stosb
        mov     esi, 0x200000
        mov     edi, 0x210003
        mov     ecx, 5000
        repe cmpsb
        mov     [0x200000+4*13], ecx
        inc     dword ptr [RESULTS]     /* 2. divide fault in mid-block: the handler skips 2 bytes */
        xor     ecx, ecx
        mov     eax, 5
        cdq
        inc     dword ptr [RESULTS+4]
        div     ecx
        inc     dword ptr [RESULTS+8]
        inc     eax                     /* 3. invalid opcode */
        ud2
        inc     eax
        int     0x40                    /* 4. software interrupt */
        and     dword ptr [PT+0x300*4], ~1      /* 5. page fault in mid-block; the handler maps it again */
        invlpg  [0x300000]
        inc     dword ptr [RESULTS+12]
        mov     eax, [0x300010]
        inc     dword ptr [RESULTS+16]
        and     dword ptr [PT+0x301*4], ~1      /* and in the middle of REP MOVSB */
        invlpg  [0x301000]
        mov     esi, 0x200000
        mov     edi, 0x300f00
        mov     ecx, 500
        rep movsb
        mov     al, [iteration]         /* 6. self-modifying code ahead in the same block, and elsewhere */
        mov     [smc+1], al
smc:    mov     bl, 0x55
        add     [RESULTS+20], bl
        mov     [smc_function+1], al
        call    smc_function
        mov     dx, 0x123               /* 7. I/O and TSC in mid-block */
        in      al, dx
        add     [RESULTS+32], eax
        out     dx, al
        mov     eax, [0xb8000]          /* a device in the hole, 8 bytes wide too */
        mov     [0xb8004], eax
        movq    xmm1, qword ptr [0xb8010]
        movq    qword ptr [0xb8018], xmm1
        rdtsc
        add     [RESULTS+36], eax
        xor     [RESULTS+40], edx
        cli                             /* 8. interrupt windows and shadows */
        nop
        nop
        sti
        nop
        mov     ax, 0x10
        mov     ss, ax
        mov     eax, esp
        pushf
        popf
        mov     edi, 0x240000           /* 9. string I/O */
        mov     ecx, 7
        mov     dx, 0x124
        rep insd
        mov     esi, 0x240000
        mov     ecx, 5
        rep outsb
        mov     dword ptr [0x350ff8], 0x41414141    /* 10. code into a missing page: INC ECX x 7, then */
        mov     dword ptr [0x350ffc], 0xb8414141    /* MOV EAX,imm32 across the border */
        mov     dword ptr [0x351000], 0x11223344
        mov     byte ptr [0x351004], 0xc3
        and     dword ptr [PT+0x351*4], ~1
        invlpg  [0x351000]
        mov     eax, 0x350ff8
        call    eax
        add     [RESULTS+48], eax
        fild    dword ptr [iteration]   /* 11. FPU and SSE */
        fadd    qword ptr [sum]
        fst     qword ptr [sum]
        fistp   dword ptr [RESULTS+52]
        cvtsi2sd xmm0, dword ptr [iteration]
        sqrtsd  xmm0, xmm0
        addsd   xmm0, qword ptr [sum2]
        movsd   qword ptr [sum2], xmm0
        pushfd                          /* 12. single step over two instructions */
        or      dword ptr [esp], 0x100
        popfd
        inc     dword ptr [RESULTS+60]
        pushfd
        and     dword ptr [esp], ~0x100
        popfd
        mov     eax, offset breakpoint_here     /* 13. an instruction breakpoint (a fault) */
        mov     dr0, eax
        mov     eax, 0x401
        mov     dr7, eax
        inc     dword ptr [RESULTS+64]
        inc     dword ptr [RESULTS+64]
breakpoint_here:
        inc     dword ptr [RESULTS+68]
        mov     eax, 0x400
        mov     dr7, eax
        and     dword ptr [PT+0x352*4], ~1      /* 14. user mode by IRET, into a missing page */
        invlpg  [0x352000]
        mov     byte ptr [user_jump], 0xe9
        mov     eax, offset user - 0x352005
        mov     [user_jump+1], eax
        mov     esi, offset user_jump
        or      dword ptr [PT+0x352*4], 1
        mov     edi, 0x352000
        mov     ecx, 5
        rep movsb
        and     dword ptr [PT+0x352*4], ~1
        invlpg  [0x352000]
        cli
        push    0x23
        push    0x80000
        pushf
        or      dword ptr [esp], 0x200
        push    0x1b
        push    0x352000
        iretd
user:   mov     eax, [iteration]
        mov     [RESULTS+56], eax
        inc     dword ptr [RESULTS+44]
        cli                             /* #GP: the handler skips 1 byte */
        int     0x41                    /* back to the kernel */
back:   mov     ax, 0x10
        mov     ds, ax
        mov     es, ax
        mov     esp, 0x90000
        sti
        inc     dword ptr [iteration]
        mov     eax, [iteration]
        cmp     eax, [0x91000]
        jb      main
        hlt
        jmp     .
        .balign 16
smc_function:
        mov     al, 0
        add     [RESULTS+24], al
        ret
iteration: .long 0
user_jump: .byte 0, 0, 0, 0, 0
        .balign 16
sum:    .double 0.1
sum2:   .double 0.7
gdt:    .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00cffa000000ffff, 0x00cff2000000ffff, 0x0000890090000067
gdtr:   .word gdtr - gdt - 1
        .long gdt
idtr:   .word 256*8 - 1
        .long 0x8000
        .balign 16
stubs:
        .set    n, 0
        .rept   256
        .balign 16
        .if     (n == 8) || ((n >= 10) && (n <= 14))
        nop
        nop
        .else
        push    0
        .endif
        push    n
        jmp     common
        .set    n, n+1
        .endr
common: pusha
        mov     eax, [esp+32]           /* vector, EIP, error code */
        mov     ebx, [esp+40]
        mov     ecx, [esp+36]
        mov     edx, [RESULTS+0x100]
        rol     edx, 5
        xor     edx, eax
        add     edx, ebx
        rol     edx, 7
        add     edx, ecx
        xor     edx, [esp+28]
        rol     edx, 3
        add     edx, [esp+24]
        add     edx, [esp+4]
        add     edx, [esp+0]
        mov     [RESULTS+0x100], edx
        inc     dword ptr [RESULTS+0x1000+eax*4]
        test    eax, eax
        jz      skip2
        cmp     eax, 1
        je      debug_trap
        cmp     eax, 6
        je      skip2
        cmp     eax, 13
        je      skip1
        cmp     eax, 14
        je      page_fault
        cmp     eax, 0x41
        je      to_back
        jmp     leave
debug_trap:
        or      dword ptr [esp+48], 0x10000     /* RF, so that a breakpoint does not come back */
        xor     eax, eax
        mov     dr6, eax
        jmp     leave
skip2:  add     dword ptr [esp+40], 2
        jmp     leave
skip1:  add     dword ptr [esp+40], 1
        jmp     leave
page_fault:
        mov     eax, cr2
        add     [RESULTS+0x104], eax
        shr     eax, 12
        or      dword ptr [PT+eax*4], 1
        jmp     leave
to_back:
        mov     esp, 0x90000
        jmp     back
leave:  popa
        add     esp, 8
        iretd
