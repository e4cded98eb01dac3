/* speed_guest.S - the CPU loop of the benchmarks: 17.5 instructions an iteration on average, with branches,
 * a call, a store and a load within 16 KiB. Iterations stand at 0x91000; a non-zero word after them asks
 * for random reads and writes over 8 MiB instead. */
        .intel_syntax noprefix
        .code32
        .text
        .globl  _start
_start: mov     esp, 0x200000
        mov     ecx, [0x91000]
        cmp     dword ptr [0x91004], 0
        jne     memory
1:      mov     eax, ecx
        imul    eax, eax, 1103515245
        add     eax, 12345
        mov     edx, eax
        shr     edx, 16
        and     edx, 0x3ffc
        mov     [0x300000+edx], eax
        call    f
        add     ebx, eax
        dec     ecx
        jnz     1b
        hlt
f:      push    esi
        mov     esi, [0x300000+edx]
        test    esi, 1
        jz      2f
        xor     eax, esi
2:      pop     esi
        ret
memory: mov     eax, 12345
1:      imul    eax, eax, 1664525
        add     eax, 1013904223
        mov     edx, eax
        and     edx, 0x7ffffc
        add     dword ptr [0x800000+edx], 1
        dec     ecx
        jnz     1b
        hlt
