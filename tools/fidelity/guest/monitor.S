/* monitor.S - the guest that runs test sequences and writes down the state after each of their instructions.
 *
 *   next_sequence -> registers, FPU, paging of one table entry -> IRET -> the sequence runs with TF set
 *        ^                                                            |  #DB after each instruction, faults
 *        '-- its end (a #UD), a fault nobody can skip, budget used <- record: one 416-byte trace record
 *
 * Loaded at MONITOR, entered at its first byte in flat 32-bit protected mode without paging. The addresses and
 * sizes in capitals come from layout.ts, the tables they point to from program.ts. A fault is recorded and the
 * instruction skipped: the byte table LENGTHS holds each instruction's length at its first byte, 0 for bytes that
 * start none, END at the end of a sequence.
 *
 *   record: GS FS ES DS, EDI ESI EBP ESP EBX EDX ECX EAX, vector, error code, EIP CS EFLAGS, 6 more stack words
 *           (ESP SS ES DS FS GS where the processor pushed them), CR2 DR6 sequence CR0 CR4: 28 words; then FXSAVE
 *
 * Source: Intel SDM volume 3, chapters 6 (interrupts), 7 (tasks), 9.9 (modes), 17.3 (debug), 20 (virtual 8086). */
        .intel_syntax noprefix
        .code32
        .set    VECTORS, 0x30
        .set    STUB_BYTES, 16
        .set    FAULTS, 1 << 0 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 16 | 1 << 17 | 1 << 19
        .set    WITH_ERROR, 1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17
        .set    END_VECTOR, 0x100
        /* a frame after everything was pushed */
        .set    F_VECTOR, 48
        .set    F_EIP, 56
        /* a sequence's table entry */
        .set    E_KIND, 0
        .set    E_CS_BASE, 4
        .set    E_CR0, 8
        .set    E_CR3, 12
        .set    E_CR4, 16
        .set    E_FX, 20
        .set    E_SCRATCH, 24
        .set    E_TEMPLATE, 28
        .set    E_EDI, 32
        .set    E_ESI, 36
        .set    E_EBP, 40
        .set    E_EBX, 48
        .set    E_EDX, 52
        .set    E_ECX, 56
        .set    E_EAX, 60
        .set    E_EIP, 64
        .set    E_CS, 68
        .set    E_EFLAGS, 72
        .set    E_ESP, 76
        .set    E_SS, 80
        .set    E_ES, 84
        .set    E_DS, 88
        .set    E_FS, 92
        .set    E_GS, 96
        .set    KIND_RING0, 1
        .set    KIND_REAL, 2

        .text
        .globl  _start
_start:
        jmp     start
        .balign 8
        jmp     from_real                       /* MONITOR + 8: real-mode.S comes here */
        .balign 8
        /* MONITOR + 16: addresses for program.ts and the lock-step driver */
        .long   stubs, STUB_BYTES, double_fault, finish, marked
        .long   stepping, gate_target32, gate_target16, watching

start:
        mov     eax, BASE_CR0
        mov     cr0, eax
        mov     eax, MONITOR_DATA
        mov     ds, eax
        mov     es, eax
        mov     ss, eax
        mov     esp, MONITOR_STACK
        lgdt    [gdtr]
        lidt    [idtr]
        mov     eax, LDT_SELECTOR
        lldt    ax
        mov     eax, TSS_SELECTOR
        ltr     ax
        fninit
        mov     dword ptr [trace], TRACE
        mov     dword ptr [entry], SEQUENCES - SEQUENCE_BYTES
        mov     dword ptr [number], -1
        jmp     advance

/* ---- between sequences ---- */

next_sequence:
        mov     eax, MONITOR_DATA
        mov     ds, eax
        mov     es, eax
        mov     ss, eax
        mov     esp, MONITOR_STACK
        mov     eax, BASE_CR0
        mov     cr0, eax
        cld
        mov     edi, [trace]
        mov     ecx, RECORD_BYTES / 4
        xor     eax, eax
        rep     stosd
        call    digest
        mov     [edi - RECORD_BYTES + RECORD_DIGEST], edx
        mov     dword ptr [edi - RECORD_BYTES + F_VECTOR], END_VECTOR
        mov     eax, [number]
        mov     [edi - RECORD_BYTES + 100], eax
        mov     [trace], edi
advance:
        inc     dword ptr [number]
        mov     eax, [number]
        cmp     eax, [SEQUENCE_COUNT]
        je      finished
        /* A copy, because the table is not mapped while a sequence runs. */
        mov     esi, [entry]
        add     esi, SEQUENCE_BYTES
        mov     [entry], esi
        mov     ebx, offset current
        mov     edi, ebx
        mov     ecx, SEQUENCE_BYTES / 4
        cld
        rep     movsd
        cmp     dword ptr [trace], TRACE_LIMIT
        jae     finished
        call    map_trace
        mov     dword ptr [budget], RECORDS_MAX
        mov     eax, BASE_CR4
        mov     cr4, eax
        mov     eax, 0x400
        mov     dr7, eax
        xor     eax, eax
        mov     cr2, eax
        mov     eax, LDT_SELECTOR
        lldt    ax
        mov     eax, [ebx + E_FX]
        fxrstor [eax]
        mov     esi, [ebx + E_TEMPLATE]
        mov     edi, [ebx + E_SCRATCH]
        mov     ecx, SCRATCH_BYTES / 4
        rep     movsd
        mov     eax, [ebx + E_CR4]
        mov     cr4, eax
        mov     eax, [ebx + E_CR3]
        mov     cr3, eax
        mov     eax, [ebx + E_CR0]
        mov     cr0, eax
        jmp     1f
1:      cmp     dword ptr [ebx + E_KIND], KIND_REAL
        je      start_real
        cmp     dword ptr [ebx + E_KIND], KIND_RING0
        jne     1f
        lss     esp, [ebx + E_ESP]
        jmp     2f
1:      push    dword ptr [ebx + E_GS]          /* only taken off when VM is set */
        push    dword ptr [ebx + E_FS]
        push    dword ptr [ebx + E_DS]
        push    dword ptr [ebx + E_ES]
        push    dword ptr [ebx + E_SS]
        push    dword ptr [ebx + E_ESP]
2:      push    dword ptr [ebx + E_EFLAGS]
        push    dword ptr [ebx + E_CS]
        push    dword ptr [ebx + E_EIP]
        test    dword ptr [ebx + E_EFLAGS], 0x20000
        jnz     1f
        mov     gs, [ebx + E_GS]
        mov     fs, [ebx + E_FS]
        mov     es, [ebx + E_ES]
1:      mov     edi, [ebx + E_EDI]
        mov     esi, [ebx + E_ESI]
        mov     ebp, [ebx + E_EBP]
        mov     edx, [ebx + E_EDX]
        mov     ecx, [ebx + E_ECX]
        mov     eax, [ebx + E_EAX]
        push    dword ptr [ebx + E_DS]
        push    dword ptr [ebx + E_EBX]
        pop     ebx
        cmp     dword ptr [stepping], 0
        je      2f
        call    mark
2:      test    dword ptr ss:[esp + 12], 0x20000
        jz      1f
        add     esp, 4
        iretd
1:      pop     ds
        iretd

/* ---- exceptions ---- */

        .balign STUB_BYTES
stubs:
        .set    vector, 0
        .rept   VECTORS
        .balign STUB_BYTES
        .if     vector >= 32 || !(WITH_ERROR >> vector & 1)
        push    0
        .endif
        push    vector
        jmp     record
        .set    vector, vector + 1
        .endr

record:
        pushad
        push    ds
        push    es
        push    fs
        push    gs
        mov     eax, MONITOR_DATA
        mov     ds, eax
        mov     es, eax
record_frame:
        and     dword ptr ss:[esp + F_EIP + 8], ~0x10000 /* RF of EFLAGS: QEMU pushes none */
        cld
        mov     edi, [trace]
        mov     esi, esp
        mov     ecx, 23
        rep     movs dword ptr es:[edi], dword ptr ss:[esi]
        call    record_rest
        dec     dword ptr [budget]
        jz      next_sequence
        mov     eax, ss:[esp + F_VECTOR]
        cmp     eax, 32
        jae     resume
        mov     edx, FAULTS
        bt      edx, eax
        jnc     resume
        cmp     eax, 16
        jne     1f
        fnclex
1:      mov     edx, ss:[esp + F_EIP]
        add     edx, [ebx + E_CS_BASE]
        sub     edx, CODE
        cmp     edx, CODE_BYTES
        jae     next_sequence
        movzx   edx, byte ptr [edx + LENGTHS]
        lea     eax, [edx - 1]
        cmp     eax, 15
        jae     next_sequence
        add     ss:[esp + F_EIP], edx
resume:
        cmp     dword ptr [stepping], 0
        je      1f
        call    mark
1:      cmp     dword ptr [ebx + E_KIND], KIND_REAL
        je      resume_real
        pop     gs
        pop     fs
        pop     es
        pop     ds
        popad
        add     esp, 8
        iretd

/* The 28 words' last five, the FPU and perhaps the digest at EDI; the trace moves on. Gives EBX = current. */
record_rest:
        mov     eax, cr2
        stosd
        xor     eax, eax
        mov     cr2, eax                        /* records without a page fault have none */
        mov     eax, dr6
        stosd
        mov     eax, [number]
        stosd
        mov     eax, cr0
        stosd
        mov     edx, eax
        mov     eax, cr4
        stosd
        mov     eax, edx
        and     eax, ~0xc                       /* EM, TS */
        cmp     eax, edx
        je      1f
        mov     cr0, eax
1:      test    byte ptr [edi - 4 + 1], 2       /* CR4.OSFXSR, or there are no XMM registers in it */
        jnz     1f
        mov     eax, cr4
        or      eax, 0x200
        mov     cr4, eax
        fxsave  [edi]
        and     eax, ~0x200
        mov     cr4, eax
        jmp     2f
1:      fxsave  [edi]
2:      mov     cr0, edx
        xor     edx, edx
        cmp     dword ptr [watching], 0
        je      3f
        call    digest
3:      mov     [edi + RECORD_DIGEST - 112], edx
        add     edi, RECORD_BYTES - 112
        mov     [trace], edi
        mov     eax, 0xffff0ff0
        mov     dr6, eax
        mov     ebx, offset current
        ret

/* In every address space only the 8 MiB that this sequence's records may lie in are there: a wild store of ring 0
 * seldom hits the trace then. Changes EAX, ECX, EDX, ESI, EDI, EBP. */
map_trace:
        mov     edx, [trace]
        shr     edx, 22
        mov     edi, SPACES
        mov     ecx, SPACE_COUNT
1:      mov     eax, TRACE >> 22
2:      mov     esi, eax
        shl     esi, 22
        or      esi, 0x83                       /* present, writable, 4 MiB */
        mov     ebp, eax
        sub     ebp, edx
        cmp     ebp, 1
        jbe     3f
        xor     esi, esi
3:      mov     [edi + 4 * eax], esi
        inc     eax
        cmp     eax, RAM_BYTES >> 22
        jb      2b
        add     edi, SPACE_BYTES
        dec     ecx
        jnz     1b
        ret

/* EDX = digest of the scratch memory. Changes EAX, ECX, ESI. */
digest: mov     esi, [current + E_SCRATCH]
        mov     eax, cr0
        push    eax
        and     eax, 0x7fffffff                 /* not through the sequence's page tables */
        mov     cr0, eax
        mov     ecx, SCRATCH_BYTES / 16
        xor     edx, edx
1:      rol     edx, 5
        add     edx, [esi]
        rol     edx, 5
        add     edx, [esi + 4]
        rol     edx, 5
        add     edx, [esi + 8]
        rol     edx, 5
        add     edx, [esi + 12]
        add     esi, 16
        dec     ecx
        jnz     1b
        pop     eax
        mov     cr0, eax
        ret

/* #DF comes through a task gate: the stack it would need is what went wrong. */
double_fault:
        cld
        mov     edi, [trace]
        mov     esi, TSS + 0x28                 /* EAX ECX EDX EBX ESP EBP ESI EDI ES CS SS DS */
        mov     ecx, 12
        rep     movsd
        mov     eax, 8
        stosd
        pop     eax
        stosd
        mov     eax, [TSS + 0x20]
        stosd
        mov     eax, [TSS + 0x4c]
        stosd
        mov     eax, [TSS + 0x24]
        stosd
        mov     esi, TSS + 0x54
        mov     ecx, 6
        rep     movsd
        call    record_rest
        and     byte ptr [GDT + TSS_SELECTOR + 5], 0xfd
        and     byte ptr [GDT + DF_SELECTOR + 5], 0xfd
        mov     eax, TSS_SELECTOR
        ltr     ax
        pushfd
        and     dword ptr [esp], ~0x4000        /* NT */
        popfd
        clts
        jmp     next_sequence

/* Where the call gates lead. */
gate_target32:
        nop
        retf    8
        .balign 16
gate_target16:
        nop
        .byte   0x66
        retf    4

/* ---- real mode: the same record, with the frame that V86 mode would have pushed ---- */

/* The stack of the interrupted code: words GS FS ES DS, PUSHAD, word vector, IP CS FLAGS. */
from_real:
        mov     eax, MONITOR_DATA
        mov     ds, eax
        mov     es, eax
        mov     ecx, ss
        movzx   edx, sp
        mov     [real_sp], dx
        mov     [real_ss], cx
        mov     esi, ecx
        shl     esi, 4
        add     esi, edx
        mov     ss, eax
        mov     esp, MONITOR_STACK
        mov     [real_frame], esi
        movzx   eax, word ptr [esi]
        push    eax
        movzx   eax, word ptr [esi + 2]
        push    eax
        movzx   eax, word ptr [esi + 6]
        push    eax
        movzx   eax, word ptr [esi + 4]
        push    eax
        push    ecx
        add     edx, 48
        push    edx
        movzx   eax, word ptr [esi + 46]
        push    eax
        movzx   eax, word ptr [esi + 44]
        push    eax
        movzx   eax, word ptr [esi + 42]
        push    eax
        push    0
        movzx   eax, word ptr [esi + 40]
        push    eax
        mov     ecx, 8
1:      push    dword ptr [esi + 4 + 4 * ecx]
        loop    1b
        push    0
        push    0
        push    0
        push    0
        jmp     record_frame

resume_real:
        mov     esi, [real_frame]
        mov     eax, [esp + F_EIP]
        mov     [esi + 42], ax
to_real:
        mov     eax, REAL_DATA
        mov     ds, eax
        mov     es, eax
        mov     fs, eax
        mov     gs, eax
        mov     ss, eax
        ljmp    REAL_CODE, REAL_RETURN

start_real:
        mov     eax, [ebx + E_SS]
        mov     [real_ss], ax
        mov     esi, eax
        shl     esi, 4
        mov     eax, [ebx + E_ESP]
        sub     eax, 48
        mov     [real_sp], ax
        add     esi, eax
        mov     ax, [ebx + E_GS]
        mov     [esi], ax
        mov     ax, [ebx + E_FS]
        mov     [esi + 2], ax
        mov     ax, [ebx + E_ES]
        mov     [esi + 4], ax
        mov     ax, [ebx + E_DS]
        mov     [esi + 6], ax
        mov     ecx, 8
1:      mov     eax, [ebx + E_EDI - 4 + 4 * ecx]
        mov     [esi + 4 + 4 * ecx], eax
        loop    1b
        mov     ax, [ebx + E_EIP]
        mov     [esi + 42], ax
        mov     ax, [ebx + E_CS]
        mov     [esi + 44], ax
        mov     ax, [ebx + E_EFLAGS]
        mov     [esi + 46], ax
        cmp     dword ptr [stepping], 0
        je      to_real
        call    mark
        jmp     to_real

        /* The host stops here, at the ports of one emulator and at breakpoints of the other. QEMU runs a page with a
         * breakpoint one instruction at a time, so they have a page to themselves. */
        .balign 4096
mark:   out     MARK_PORT, al
marked: ret
finished:
        out     FINISH_PORT, al
finish:
        hlt
        jmp     finish

        .balign 4096
gdtr:   .word   GDT_BYTES - 1
        .long   GDT
idtr:   .word   8 * VECTORS - 1
        .long   IDT
        .set    real_ss, REAL_STACK + 2
        .set    real_sp, REAL_STACK
        .balign 4
current: .skip  SEQUENCE_BYTES
trace:  .long   0
entry:  .long   0
number: .long   0
budget: .long   0
stepping: .long 0
watching: .long 0
real_frame: .long 0
