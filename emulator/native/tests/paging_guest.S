/* paging_guest.S - a guest that looks at its page tables' Accessed and Dirty bits all the time.
 *
 * It reads, writes and executes pages at random, clears A and D bits without INVLPG as page reclaim does,
 * remaps and unmaps pages with and without INVLPG, runs code across page borders (also code that the
 * translator reads but that never executes, because a divide fault comes first), changes to user mode and
 * uses a 4 MiB page. Every few steps it folds all page tables into a hash: a walk with side effects too
 * many or too few changes all that follows. Interrupts fold their EIP and registers in, too.
 *
 *   40000000h 1024 data pages (a quarter each of read, written, remapped memory at 4 MiB)
 *   50000000h 128 code pages, each of two versions at 8 MiB and 8.5 MiB
 *   60000000h one 4 MiB page at 12 MiB
 * Flat 32-bit, loaded and entered at 1 MiB; the number of steps / 1024 stands at 0x91000. */
        .intel_syntax noprefix
        .code32
        .set    PD, 0x200000
        .set    PT, 0x201000            /* identity, 16 MiB */
        .set    DATA_PT, 0x205000
        .set    CODE_PT, 0x206000
        .set    DATA, 0x40000000
        .set    CODE, 0x50000000
        .set    LARGE, 0x60000000
        .set    HASH, 0x230000
        .set    COUNTS, 0x231000
        .text
        .globl  _start
_start: mov     esp, 0x90000
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
        mov     edi, PT
        mov     eax, 7
        mov     ecx, 4096
1:      stosd
        add     eax, 0x1000
        loop    1b
        mov     eax, 0x400007           /* edi = DATA_PT */
        mov     ecx, 1024
1:      stosd
        add     eax, 0x1000
        loop    1b
        mov     eax, 0x800007           /* edi = CODE_PT */
        mov     ecx, 256
1:      stosd
        add     eax, 0x1000
        loop    1b
        mov     dword ptr [PD], PT + 7
        mov     dword ptr [PD+4], PT + 0x1007
        mov     dword ptr [PD+8], PT + 0x2007
        mov     dword ptr [PD+12], PT + 0x3007
        mov     dword ptr [PD+0x400], DATA_PT + 7
        mov     dword ptr [PD+0x500], CODE_PT + 7
        mov     dword ptr [PD+0x600], 0xc00087
        xor     ebx, ebx                /* code pages: version A, then B */
1:      call    write_code
        inc     ebx
        cmp     ebx, 256
        jb      1b
        mov     eax, PD
        mov     cr3, eax
        mov     eax, cr4
        or      eax, 0x10               /* PSE */
        mov     cr4, eax
        mov     eax, cr0
        or      eax, 0x80010000
        mov     cr0, eax
        mov     ebp, 12345
        mov     eax, [0x91000]
        shl     eax, 10
        mov     [steps], eax
        sti
main:   call    random
        mov     ecx, eax
        and     ecx, 15
        call    random                  /* eax = the operation's random number */
        call    [operations + ecx*4]
        dec     dword ptr [steps]
        jnz     main
        call    harvest
        cli
        hlt

random: imul    ebp, ebp, 1664525
        add     ebp, 1013904223
        mov     eax, ebp
        shr     eax, 8
        ret

fold:   rol     dword ptr [HASH], 5
        add     [HASH], eax
        ret

/* edi = linear address in a random data page */
data_page:
        mov     edi, eax
        and     edi, 0x3fffff
        add     edi, DATA
        ret
op_read:
        call    data_page
        mov     eax, [edi]
        jmp     fold
op_write:
        call    data_page
        add     [edi], eax
        ret
/* Call function number eax % 127: it lies at the end of its page, see write_code. */
op_call:
        xor     edx, edx
        mov     ecx, 127
        div     ecx
        mov     eax, edx
call_function:                          /* eax = number */
        mov     edi, eax
        xor     edx, edx
        mov     ecx, 3
        div     ecx
        mov     ecx, 0xff4
        cmp     edx, 1
        jne     1f
        mov     ecx, 0xff6
1:      shl     edi, 12
        lea     edi, [edi + ecx + CODE]
        xor     ecx, ecx
        xor     edx, edx
        mov     eax, 1
        call    edi
        jmp     fold
/* Clear A (or A and D) bits behind the processor's back. */
op_clear_data:
        and     eax, 1023
        and     byte ptr [DATA_PT + eax*4], ~0x20
        ret
op_clear_dirty:
        and     eax, 1023
        and     byte ptr [DATA_PT + eax*4], ~0x60
        ret
op_clear_code:
        and     eax, 127
        and     byte ptr [CODE_PT + eax*4], ~0x20
        ret
op_clear_kernel:                        /* own code, stack, IDT, GDT, TSS, page tables; page directory */
        mov     ecx, eax
        and     ecx, 1023
        and     byte ptr [PT + ecx*4], ~0x20
        and     byte ptr [PT + 0x100*4], ~0x20
        and     byte ptr [PT + 0x101*4], ~0x20
        and     byte ptr [PT + 0x8f*4], ~0x60
        and     byte ptr [PT + 0x8*4], ~0x20
        shr     eax, 12
        and     eax, 0x700
        and     byte ptr [PD + eax], ~0x20
        ret
op_invlpg:
        test    eax, 0x800000
        jz      1f
        call    data_page
        invlpg  [edi]
        ret
1:      and     eax, 0x7f000
        invlpg  [eax + CODE]
        ret
op_reload:
        test    eax, 0x700
        jnz     op_invlpg
        mov     eax, cr3
        mov     cr3, eax
        ret
op_remap:                               /* a data page to other memory, a code page to its other version */
        mov     ecx, eax
        and     ecx, 1023
        test    eax, 0x10000
        jz      1f
        xor     dword ptr [DATA_PT + ecx*4], 0x10000
        ret
1:      and     ecx, 127
        xor     dword ptr [CODE_PT + ecx*4], 0x80000
        ret
/* A function that ends in a divide fault: the page after it was read by the translator but not executed.
 * Remap that page without INVLPG and go there. */
op_read_ahead:
        xor     edx, edx
        mov     ecx, 41
        div     ecx
        lea     esi, [edx + edx*2 + 2]
        mov     eax, esi
        push    esi
        call    call_function
        pop     esi
        xor     dword ptr [CODE_PT + esi*4 + 4], 0x80000
        lea     eax, [esi + 1]
        jmp     call_function
op_unmap:
        mov     ecx, eax
        and     ecx, 1023
        test    eax, 0x10000
        jz      1f
        and     byte ptr [DATA_PT + ecx*4], ~1
        ret
1:      and     ecx, 127
        and     byte ptr [CODE_PT + ecx*4], ~1
        test    eax, 0x20000
        jz      1f
        shl     ecx, 12
        invlpg  [ecx + CODE]
1:      ret
op_readonly:                            /* and a write: fault, or a stale right */
        mov     ecx, eax
        and     ecx, 1023
        and     byte ptr [DATA_PT + ecx*4], ~2
        shl     ecx, 12
        test    eax, 0x10000
        jz      1f
        invlpg  [ecx + DATA]
1:      inc     dword ptr [ecx + DATA + 8]
        ret
op_large:
        mov     ecx, eax
        and     ecx, 0x3ffffc
        add     [ecx + LARGE], eax
        test    eax, 0x3000
        jnz     1f
        and     byte ptr [PD + 0x600], ~0x60
        test    eax, 0x8000
        jz      1f
        invlpg  [LARGE + 0x234567]
1:      ret
op_modify_code:                         /* an immediate byte of a function, through the identity map */
        mov     ecx, eax
        and     ecx, 0xff000
        inc     byte ptr [ecx + 0x800ffa]
        ret
op_user:
        mov     [user_random], eax
        mov     [kernel_ebp], ebp
        push    0x23
        push    0x80000
        pushf
        push    0x1b
        push    offset user
        iretd
harvest:
        pushad
        mov     esi, PT
        mov     ecx, 4096 + 1024 + 256
        mov     ebx, [HASH]
1:      lodsd
        rol     ebx, 3
        xor     ebx, eax
        loop    1b
        mov     esi, PD
        mov     ecx, 1024
1:      lodsd
        rol     ebx, 3
        xor     ebx, eax
        loop    1b
        mov     [HASH], ebx
        popad
        ret
op_harvest:
        test    eax, 0x1f00
        jz      harvest
        ret
user:   mov     eax, [user_random]
        mov     edi, eax
        and     edi, 0x3fffff
        mov     ecx, [edi + DATA]
        mov     [edi + DATA + 4], ecx
        and     eax, 0x3f000
        xor     ecx, ecx
        xor     edx, edx
        mov     ebx, [user_functions]
        lea     edi, [eax + CODE + 0xff4]
        test    eax, 0x1000
        jnz     1f
        int     0x42                    /* a system call, for the stack switch */
1:      nop
        int     0x41

        .balign 16
operations:
        .long   op_read, op_read, op_write, op_call, op_call, op_call, op_clear_data, op_clear_dirty, op_clear_code
        .long   op_clear_kernel, op_reload, op_remap, op_unmap, op_large, op_user, op_harvest2
op_harvest2:                            /* the rarer ones share a number */
        test    eax, 3
        jz      op_harvest
        test    eax, 4
        jz      op_read_ahead
        test    eax, 1
        jz      op_readonly
        jmp     op_modify_code

/* Write functions of code page ebx (0..255; 128.. are version B) into physical memory. At its end:
 *   page % 3 == 0   FF4h: ADD x 3, the third across the border, one more, RET
 *   page % 3 == 1   FF6h: ADD x 2 up to the border, one more, RET
 *   page % 3 == 2   FF4h: DIV by zero (the handler returns to the caller), ADD x 2 across the border */
write_code:
        mov     edi, ebx
        shl     edi, 12
        add     edi, 0x800ff4
        mov     eax, ebx
        and     eax, 127
        xor     edx, edx
        mov     ecx, 3
        div     ecx
        mov     ecx, 4
        cmp     edx, 1
        jb      2f
        ja      1f
        add     edi, 2
        mov     ecx, 3
        jmp     2f
1:      mov     word ptr [edi], 0xf1f7
        add     edi, 2
        mov     ecx, 3
2:      cmp     edi, 0x900000 - 8       /* the last page has no page after it */
        ja      3f
        mov     byte ptr [edi], 0x05
        imul    eax, ebx, 0x01010101
        add     eax, ecx
        mov     [edi+1], eax
        add     edi, 5
        loop    2b
        mov     byte ptr [edi], 0xc3
3:      ret

steps:  .long   0
user_random: .long 0
user_functions: .long 0
kernel_ebp: .long 0
gdt:    .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00cffa000000ffff, 0x00cff2000000ffff, 0x0000890090000067
gdtr:   .word gdtr - gdt - 1
        .long gdt
idtr:   .word 256*8 - 1
        .long 0x8000
        .balign 4096
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
        mov     eax, [esp+32]
        inc     dword ptr [COUNTS + eax*4]
        cmp     eax, 14
        je      page_fault
        test    eax, eax
        jz      divide
        cmp     eax, 0x41
        je      to_kernel
        mov     edx, [esp+40]           /* EIP and registers of whatever was interrupted */
        add     edx, [esp+28]
        rol     edx, 7
        add     edx, [esp]
        rol     dword ptr [HASH], 1
        add     [HASH], edx
        jmp     leave
divide: mov     eax, [esp+52]           /* no stack change: the return address of the function */
        mov     [esp+40], eax           /* return to the caller, and take its address off the stack */
        mov     eax, [esp+48]
        mov     [divide_flags], eax
        mov     eax, [esp+40]
        mov     [divide_eip], eax
        popa
        add     esp, 24
        inc     eax
        push    dword ptr [divide_flags]
        push    8
        push    dword ptr [divide_eip]
        iretd
page_fault:
        mov     eax, cr2
        add     [HASH], eax
        rol     dword ptr [HASH], 1
        mov     ecx, eax
        shr     ecx, 22
        mov     edx, [PD + ecx*4]
        and     edx, ~0xfff
        shr     eax, 12
        and     eax, 1023
        or      dword ptr [edx + eax*4], 3
        jmp     leave
to_kernel:
        mov     eax, [esp]              /* the user's EDI */
        add     [HASH], eax
        mov     ax, 0x10
        mov     ds, ax
        mov     es, ax
        mov     ebp, [kernel_ebp]
        mov     esp, 0x90000 - 4        /* the frame of main's call of op_user */
        sti
        ret
leave:  popa
        add     esp, 8
        iretd
divide_flags: .long 0
divide_eip: .long 0
