/*
 * hello: a boot sector that greets on COM1 and stops the machine.
 *
 *   firmware or loader -> 0000:7c00 (real mode, 16 bit) -> COM1 by polling -> debug exit with 0 -> else halt
 *
 * Shows: real mode, port I/O, the smallest thing that can be called a guest.
 * Source: PC16550D data sheet, section 8 (line status register bit 5: holding register empty).
 */
        .set COM1, 0x3f8
        .set COM1_LCR, COM1 + 3
        .set COM1_LSR, COM1 + 5
        .set LCR_8N1, 0x03
        .set LCR_DLAB, 0x80
        .set LSR_THRE, 0x20
        .set DEBUG_EXIT_PORT, 0xf4
        .set SECTOR_BYTES, 512

        .code16
        .text
        .globl _start
_start:
        ljmp    $0, $1f                         /* some firmware starts at 07c0:0000 */
1:      cli
        cld
        xor     %ax, %ax
        mov     %ax, %ds
        mov     %ax, %ss
        mov     $_start, %sp                    /* the stack grows down from the sector */

        mov     $COM1_LCR, %dx                  /* 115200 baud, 8N1 */
        mov     $LCR_DLAB, %al
        out     %al, %dx
        mov     $COM1, %dx
        mov     $1, %al
        out     %al, %dx
        inc     %dx
        xor     %al, %al
        out     %al, %dx
        mov     $COM1_LCR, %dx
        mov     $LCR_8N1, %al
        out     %al, %dx

        mov     $greeting, %si
next:   lodsb
        test    %al, %al
        jz      done
        mov     %al, %ah
        mov     $COM1_LSR, %dx
wait:   in      %dx, %al
        test    $LSR_THRE, %al
        jz      wait
        mov     %ah, %al
        mov     $COM1, %dx
        out     %al, %dx
        jmp     next

done:   xor     %al, %al
        out     %al, $DEBUG_EXIT_PORT
halt:   cli
        hlt
        jmp     halt

greeting:
        .asciz  "hello: a boot sector greets you from real mode\r\n"

        .org    SECTOR_BYTES - 2
        .word   0xaa55
