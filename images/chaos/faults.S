/*
 * Instructions that fault, one entry each: what runs, where it must stop, with which vector, error code and CR2.
 *
 * faults_table: { name, code, address of the fault, vector, error code, CR2 or 0, ring }
 * Code is entered with EAX = a random number and may change EAX, ECX, EDX only.
 */
#include "selectors.h"

        .set DE, 0
        .set BP, 3
        .set OF, 4
        .set BR, 5
        .set UD, 6
        .set NM, 7
        .set NP, 11
        .set SS, 12
        .set GP, 13
        .set PF, 14
        .set WINDOW, 0x40000000
        .set PAGE_MISSING, WINDOW + 30 * 4096           /* see chaos_faults */
        .set PAGE_READ_ONLY, WINDOW + 31 * 4096
        .set PAGE_SYSTEM, WINDOW + 34 * 4096
        .set NOWHERE, 0x60000000                        /* not even a page table */

        .macro CASE name, vector, error, address, ring
        .section .rodata.faults_names, "a"
8:      .asciz  "\name"
        .section .rodata.faults, "a"
        .long   8b, 6f, 7f, \vector, \error, \address, \ring
        .text
6:
        .endm

        .section .rodata.faults, "a"
        .balign 4
        .globl faults_table
faults_table:

/* ---- ring 0 ---- */
        CASE "DIV by zero", DE, 0, 0, 0
        xor     %ecx, %ecx
7:      div     %ecx
        CASE "DIV overflow", DE, 0, 0, 0
        mov     $5, %edx
        mov     $5, %ecx
7:      div     %ecx
        CASE "DIV of a byte", DE, 0, 0, 0
        mov     $0xffff, %eax
        mov     $3, %cl
7:      div     %cl
        CASE "IDIV of the lowest number by -1", DE, 0, 0, 0
        mov     $0x80000000, %eax
        cltd
        mov     $-1, %ecx
7:      idiv    %ecx
        CASE "AAM by zero", DE, 0, 0, 0
7:      .byte   0xd4, 0x00
        CASE "INT3", BP, 0, 0, 0
        int3
7:      ud2
        CASE "INTO", OF, 0, 0, 0
        mov     $0x7fffffff, %eax
        inc     %eax
        into
7:      ud2
        CASE "INTO without overflow, then UD2", UD, 0, 0, 0
        xor     %eax, %eax
        into
7:      ud2
        CASE "BOUND below", BR, 0, 0, 0
        mov     $-4, %eax
7:      bound   %eax, faults_bounds
        CASE "BOUND above", BR, 0, 0, 0
        mov     $11, %eax
7:      bound   %eax, faults_bounds
        CASE "UD2", UD, 0, 0, 0
        incl    faults_scratch
7:      ud2
        CASE "LOCK NOP", UD, 0, 0, 0
7:      .byte   0xf0, 0x90
        CASE "LEA of a register", UD, 0, 0, 0
7:      .byte   0x8d, 0xc0
        CASE "MOV to CS", UD, 0, 0, 0
7:      .byte   0x8e, 0xc8
        CASE "FF FF", UD, 0, 0, 0
7:      .byte   0xff, 0xff
        CASE "x87 with CR0.TS", NM, 0, 0, 0
        mov     %cr0, %eax
        or      $8, %eax
        mov     %eax, %cr0
7:      fldz
        CASE "SSE with CR0.TS", NM, 0, 0, 0
        mov     %cr0, %eax
        or      $8, %eax
        mov     %eax, %cr0
7:      xorps   %xmm0, %xmm0
        CASE "absent data segment", NP, SEL_ABSENT_DATA, 0, 0
        mov     $SEL_ABSENT_DATA, %ecx
7:      mov     %ecx, %ds
        CASE "absent data segment in FS", NP, SEL_ABSENT_DATA, 0, 0
        mov     $SEL_ABSENT_DATA, %ecx
7:      mov     %ecx, %fs
        CASE "absent code segment", NP, SEL_ABSENT_CODE, 0, 0
7:      ljmp    $SEL_ABSENT_CODE, $0
        CASE "absent stack segment", SS, SEL_ABSENT_DATA, 0, 0
        mov     $SEL_ABSENT_DATA, %ecx
7:      mov     %ecx, %ss
        CASE "segment beyond the GDT", GP, SEL_BEYOND, 0, 0
        mov     $SEL_BEYOND, %ecx
7:      mov     %ecx, %es
        CASE "null stack segment", GP, 0, 0, 0
        xor     %ecx, %ecx
7:      mov     %ecx, %ss
        CASE "user stack segment in ring 0", GP, 0x20, 0, 0
        mov     $SEL_USER_DATA, %ecx
7:      mov     %ecx, %ss
        CASE "code that cannot be read in ES", GP, SEL_EXECUTE_ONLY, 0, 0
        mov     $SEL_EXECUTE_ONLY, %ecx
7:      mov     %ecx, %es
        CASE "read-only stack", GP, SEL_READ_ONLY, 0, 0
        mov     $SEL_READ_ONLY, %ecx
7:      mov     %ecx, %ss
        CASE "jump to data", GP, SEL_KERNEL_DATA, 0, 0
7:      ljmp    $SEL_KERNEL_DATA, $0
        CASE "jump to the null selector", GP, 0, 0, 0
7:      ljmp    $0, $0
        CASE "jump to user code", GP, 0x18, 0, 0
7:      ljmp    $SEL_USER_CODE, $0
        CASE "load of a busy TSS", GP, 0x28, 0, 0
        mov     $0x28, %ecx
7:      ltr     %cx
        CASE "load of missing page", PF, 0, (PAGE_MISSING+8), 0
        incl    faults_scratch
7:      mov     PAGE_MISSING + 8, %eax
        CASE "store to missing page", PF, 2, (PAGE_MISSING+0xffc), 0
7:      mov     %eax, PAGE_MISSING + 0xffc
        CASE "store to read-only page", PF, 3, (PAGE_READ_ONLY+4), 0
        mov     PAGE_READ_ONLY + 4, %ecx
7:      mov     %eax, PAGE_READ_ONLY + 4
        CASE "read-modify-write of read-only page", PF, 3, (PAGE_READ_ONLY+16), 0
7:      lock addl $1, PAGE_READ_ONLY + 16
        CASE "store across into a missing page", PF, 2, PAGE_MISSING, 0
7:      mov     %eax, PAGE_MISSING - 2                  /* page 29 is writable */
        CASE "load across into a missing page", PF, 0, PAGE_MISSING, 0
7:      mov     PAGE_MISSING - 1, %eax
        CASE "no page table", PF, 2, (NOWHERE+4), 0
7:      movl    $1, NOWHERE + 4
        CASE "XCHG with read-only page", PF, 3, (PAGE_READ_ONLY+64), 0
7:      xchg    %eax, PAGE_READ_ONLY + 64
        CASE "CMPS of missing page", PF, 0, PAGE_MISSING, 0
        push    %esi
        push    %edi
        mov     $PAGE_MISSING - 3, %esi
        mov     $PAGE_MISSING - 3, %edi
        mov     $10, %ecx
7:      repe cmpsb

/* ---- ring 3: everything that only the system may do ---- */
        CASE "user HLT", GP, 0, 0, 3
7:      hlt
        CASE "user CLI", GP, 0, 0, 3
7:      cli
        CASE "user STI", GP, 0, 0, 3
7:      sti
        CASE "user CLTS", GP, 0, 0, 3
7:      clts
        CASE "user IN", GP, 0, 0, 3
7:      in      $0x60, %al
        CASE "user OUT", GP, 0, 0, 3
        mov     $0x3f8, %edx
7:      out     %eax, %dx
        CASE "user OUTS", GP, 0, 0, 3
        mov     $0xcfc, %edx
7:      outsl
        CASE "user INS with REP", GP, 0, 0, 3
        mov     $0x20, %edx
        mov     $3, %ecx
7:      rep insb
        CASE "user MOV from CR0", GP, 0, 0, 3
7:      mov     %cr0, %eax
        CASE "user MOV to CR3", GP, 0, 0, 3
7:      mov     %eax, %cr3
        CASE "user MOV to DR7", GP, 0, 0, 3
7:      mov     %eax, %dr7
        CASE "user LGDT", GP, 0, 0, 3
7:      lgdt    faults_bounds
        CASE "user LIDT", GP, 0, 0, 3
7:      lidt    faults_bounds
        CASE "user LLDT", GP, 0, 0, 3
7:      lldt    %ax
        CASE "user LTR", GP, 0, 0, 3
7:      ltr     %ax
        CASE "user LMSW", GP, 0, 0, 3
7:      lmsw    %ax
        CASE "user INVLPG", GP, 0, 0, 3
7:      invlpg  faults_bounds
        CASE "user WBINVD", GP, 0, 0, 3
7:      wbinvd
        CASE "user RDMSR", GP, 0, 0, 3
7:      rdmsr
        CASE "user INT of a system gate", GP, (0x82*8+2), 0, 3
7:      int     $0x82
        CASE "user INT of an exception gate", GP, (13*8+2), 0, 3
7:      int     $13
        CASE "user INT3", BP, 0, 0, 3
        int3
7:      ud2
        CASE "user jump to system code", GP, SEL_KERNEL_CODE, 0, 3
7:      ljmp    $SEL_KERNEL_CODE, $0
        CASE "user load of system data", GP, SEL_KERNEL_DATA, 0, 3
        mov     $SEL_KERNEL_DATA, %ecx
7:      mov     %ecx, %ds
        CASE "user load of a system stack", GP, SEL_KERNEL_DATA, 0, 3
        mov     $SEL_KERNEL_DATA|3, %ecx
7:      mov     %ecx, %ss
        CASE "user IRET to the system", GP, SEL_KERNEL_CODE, 0, 3
        pushf
        push    $SEL_KERNEL_CODE
        push    $0
7:      iret
        CASE "user DIV by zero", DE, 0, 0, 3
        xor     %ecx, %ecx
7:      div     %ecx
        CASE "user UD2", UD, 0, 0, 3
7:      ud2
        CASE "user load of system page", PF, 5, (PAGE_SYSTEM+12), 3
7:      mov     PAGE_SYSTEM + 12, %eax
        CASE "user store to system page", PF, 7, (PAGE_SYSTEM+12), 3
7:      mov     %eax, PAGE_SYSTEM + 12
        CASE "user load of missing page", PF, 4, (PAGE_MISSING+1), 3
7:      movb    PAGE_MISSING + 1, %al
        CASE "user store to missing page", PF, 6, (PAGE_MISSING+1), 3
7:      movb    %al, PAGE_MISSING + 1
        CASE "user store to read-only page", PF, 7, (PAGE_READ_ONLY+2), 3
7:      movw    %ax, PAGE_READ_ONLY + 2
        CASE "user PUSH on a missing page", PF, 6, (PAGE_MISSING+0xffc), 3
        mov     $PAGE_MISSING + 0x1000, %esp
7:      push    %eax
        CASE "user CALL on a missing page", PF, 6, (PAGE_MISSING+0xffc), 3
        mov     $PAGE_MISSING + 0x1000, %esp
7:      call    faults_end
        CASE "user POPA from a missing page", PF, 4, PAGE_MISSING, 3
        mov     $PAGE_MISSING - 16, %esp
7:      popa
        .section .rodata.faults, "a"
        .globl faults_end
faults_end:

        .section .rodata
        .balign 8
        .globl faults_bounds
faults_bounds:
        .long   -3, 10
        .data
        .globl faults_scratch
faults_scratch:
        .long   0
