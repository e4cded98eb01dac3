/*
 * bench_loop(n): the CPU loop of bench-cpu and bench-timer, 17.5 instructions an iteration on average: integer
 * arithmetic, a branch, call and return, push and pop, one store and one load in 16 KiB.
 *
 *   u32 bench_loop(u32 n, u32 *table)   table: 16 KiB; returns the checksum
 *
 * 11 instructions in the loop, 6 or 7 in the function (7 when bit 0 of what was stored is set: every second time).
 */
        .text
        .balign 4096
        .globl bench_loop
bench_loop:
        push    %ebx
        push    %edi
        mov     12(%esp), %ecx
        mov     16(%esp), %edi
        xor     %ebx, %ebx
        .balign 16
1:      mov     %ecx, %eax
        imul    $1103515245, %eax, %eax
        add     $12345, %eax
        mov     %eax, %edx
        shr     $16, %edx
        and     $0x3ffc, %edx
        mov     %eax, (%edi,%edx)
        call    bench_function
        add     %eax, %ebx
        dec     %ecx
        jnz     1b
        mov     %ebx, %eax
        pop     %edi
        pop     %ebx
        ret

        .balign 16
bench_function:
        push    %esi
        mov     (%edi,%edx), %esi
        test    $1, %esi
        jz      1f
        ror     $7, %eax
1:      pop     %esi
        ret
        .balign 4096
