/*
 * Catching traps: trap_catch saves the callee-saved registers and the stack, runs the code, and either returns
 * normally or is continued by trap_resume after an exception, like setjmp and longjmp.
 */
        .set SELECTOR_DATA, 0x10
        .set SELECTOR_USER_CODE, 0x1b
        .set SELECTOR_USER_DATA, 0x23
        .set TRAP_NONE, 0x100
        .set FLAGS_BASE, 0x202

        .text
/* u32 trap_catch(void (*code)(u32), u32 argument) */
        .globl trap_catch
trap_catch:
        mov     4(%esp), %eax
        mov     8(%esp), %edx
        push    %ebx
        push    %esi
        push    %edi
        push    %ebp
        mov     %esp, trap_stack_saved
        movl    $1, trap_armed
        push    %edx
        call    *%eax
        add     $4, %esp
        movl    $0, trap_armed
        mov     $TRAP_NONE, %eax
        jmp     leave

/* u32 trap_catch_user(const void *code, u32 argument, u32 eflags): EAX = argument in user mode */
        .globl trap_catch_user
trap_catch_user:
        mov     4(%esp), %ecx
        mov     8(%esp), %eax
        mov     12(%esp), %edx
        push    %ebx
        push    %esi
        push    %edi
        push    %ebp
        mov     %esp, trap_stack_saved
        movl    $1, trap_armed
        push    $SELECTOR_USER_DATA
        push    $trap_user_stack_top
        push    %edx
        push    $SELECTOR_USER_CODE
        push    %ecx
        mov     $SELECTOR_USER_DATA, %edx
        mov     %edx, %ds
        mov     %edx, %es
        iret

/* void trap_resume(void): continue trap_catch; trap_result is what it returns */
        .globl trap_resume
trap_resume:
        mov     $SELECTOR_DATA, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %fs
        mov     %eax, %gs
        mov     %eax, %ss
        mov     trap_stack_saved, %esp
        mov     trap_result, %eax
        push    $FLAGS_BASE
        popf
leave:  pop     %ebp
        pop     %edi
        pop     %esi
        pop     %ebx
        ret

        .bss
        .balign 4096
        .globl  trap_user_stack
trap_user_stack:
        .skip   4096
        .globl  trap_user_stack_top
trap_user_stack_top:
