/*
 * 256 interrupt entries, one common path: save everything, call interrupt_dispatch(frame), restore, IRET.
 *
 * Vectors 8, 10 to 14 and 17 push an error code themselves, the others get a zero, so every frame looks the same.
 *
 * Source: Intel 64 and IA-32 SDM, volume 3A, sections 6.13 (error code) and 6.15 (exception reference).
 */
        .set SELECTOR_DATA, 0x10
        .set ENTRY_BYTES, 16

        .text
        .balign 16
        .globl interrupt_entries
interrupt_entries:
        .set vector, 0
        .rept 256
        .balign ENTRY_BYTES
        .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17
        .else
        push    $0
        .endif
        push    $vector
        jmp     interrupt_common
        .set vector, vector + 1
        .endr

interrupt_common:
        pusha
        push    %ds
        push    %es
        push    %fs
        push    %gs
        mov     $SELECTOR_DATA, %eax
        mov     %eax, %ds
        mov     %eax, %es
        cld
        mov     %esp, %eax
        push    %eax
        call    interrupt_dispatch
        add     $4, %esp
        pop     %gs
        pop     %fs
        pop     %es
        pop     %ds
        popa
        add     $8, %esp
        iret

/* segments_load(void): reload every segment register from the new GDT. */
        .globl segments_load
segments_load:
        mov     $SELECTOR_DATA, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %fs
        mov     %eax, %gs
        mov     %eax, %ss
        ljmp    $0x08, $1f
1:      ret
