/*
 * Rings: system calls and back, call gates with parameters, ring 1, IOPL, the I/O permission bitmap, POPF without
 * rights, and a trip to virtual-8086 mode.
 *
 * Source: Intel SDM volume 3A, sections 5.8 (transfers between rings), 20.2 (virtual-8086 mode); volume 1, 19.5
 * (I/O permission bitmap); volume 2, POPF.
 */
#include "chaos.h"
#include "memory.h"
#include "selectors.h"

extern const uint8_t privilege_calls[], privilege_flags[], privilege_iopl[], privilege_ports[], privilege_ports_fault[];
extern const uint8_t privilege_gate[], privilege_gate_target[], privilege_ring1[], privilege_ring1_target[];
extern const uint8_t privilege_v86[], privilege_v86_end[], privilege_v86_trap[];
void privilege_enter_v86(uint32_t ax);

#define IOPL_3 0x3000u
#define VM 0x20000u
#define UART_SCRATCH 0x3ffu
#define GATE_CALL_32_USER 0xec00u
#define ACCESS_CODE1 0xba
#define ACCESS_DATA1 0xb2
#define FLAGS_4G 0xc
#define V86_SEGMENT 0x600u

static uint8_t ring1_stack[2048] __attribute__((aligned(16)));

static void call_gate(uint32_t selector, uint32_t code_selector, const void *target, uint32_t parameters)
{
    uint32_t address = (uint32_t)target;
    segment_set_raw(selector, code_selector << 16 | (address & 0xffff),
                    (address & 0xffff0000u) | GATE_CALL_32_USER | parameters);
}

static uint32_t user_result(const char *name, const void *code, uint32_t argument, uint32_t eflags)
{
    uint32_t vector = trap_catch_user(code, argument, eflags);
    if (vector != TRAP_USER_EXIT)
        fail(EXIT_CHECK, "%s ended with vector %u error %x at %08x", name, vector, trap_last.error, trap_last.eip);
    chaos_equal(name, trap_last.cs & 3, 3);
    return trap_last.eax;
}

static void system_calls(void)
{
    uint32_t a = chaos_random(), wanted = a;
    for (int i = 0; i < 5; i++)
        wanted = wanted * 3 + 0x01010101;
    chaos_equal("system calls", user_result("system calls", privilege_calls, a, FLAGS_BASE), wanted);
}

static void flags(void)
{
    uint32_t result = user_result("user POPF", privilege_flags, 0, FLAGS_BASE);
    chaos_equal("user POPF", result & (IOPL_3 | IF | DF | OF), IF | DF | OF);
    result = user_result("user CLI with IOPL 3", privilege_iopl, 0, FLAGS_BASE | IOPL_3);
    chaos_equal("user CLI and STI with IOPL 3", result & (IF << 16 | IF), IF << 16);
}

static void ports(void)
{
    interrupts_tss.bitmap[UART_SCRATCH / 8] = (uint8_t)~(1u << UART_SCRATCH % 8);
    uint32_t vector = trap_catch_user(privilege_ports, 0, FLAGS_BASE);
    chaos_equal("a port beside the allowed one", vector, VECTOR_GP);
    chaos_equal("where it stopped", trap_last.eip - (uint32_t)privilege_ports_fault, 0);
    interrupts_tss.bitmap[UART_SCRATCH / 8] = 0xff;
    vector = trap_catch_user(privilege_ports, 0, FLAGS_BASE);
    chaos_equal("a forbidden port", vector, VECTOR_GP);
    check(trap_last.eip < (uint32_t)privilege_ports_fault, "the I/O bitmap was not looked at again");
}

static void gates(void)
{
    uint32_t a = chaos_random();
    call_gate(SEL_CALL_GATE, SEL_KERNEL_CODE, privilege_gate_target, 2);
    chaos_equal("a call gate", user_result("a call gate", privilege_gate, a, FLAGS_BASE), a + 1000 - 58);
    segment_set(SEL_CODE1, 0, 0xfffff, ACCESS_CODE1, FLAGS_4G);
    segment_set(SEL_DATA1, 0, 0xfffff, ACCESS_DATA1, FLAGS_4G);
    call_gate(SEL_CALL_GATE1, SEL_CODE1 | 1, privilege_ring1_target, 0);
    interrupts_tss.esp1 = (uint32_t)(ring1_stack + sizeof ring1_stack);
    interrupts_tss.ss1 = SEL_DATA1 | 1;
    chaos_equal("ring 1", user_result("ring 1", privilege_ring1, a, FLAGS_BASE), a * 3 + 7 + 1);
}

static void virtual_8086(void)
{
    uint32_t a = chaos_random() & 0xffff, rotated = (a << 4 | a >> 12) & 0xffff;
    uint8_t *linear = chaos_pointer(V86_SEGMENT * 16);
    memcpy(linear, privilege_v86, (uint32_t)(privilege_v86_end - privilege_v86));
    chaos_equal("virtual 8086", trap_catch(privilege_enter_v86, a), VECTOR_GP);
    chaos_equal("its flags", trap_last.eflags & (VM | IF), VM | IF);
    chaos_equal("its IP", trap_last.eip, (uint32_t)(privilege_v86_trap - privilege_v86));
    chaos_equal("its CS", trap_last.cs & 0xffff, V86_SEGMENT);
    chaos_equal("its SP", trap_last.esp & 0xffff, 0xf00);
    chaos_equal("its AX", trap_last.eax & 0xffff, rotated);
    chaos_equal("its DX", trap_last.edx & 0xffff, rotated ^ a);
    chaos_equal("its store", *(volatile uint16_t *)(linear + 0x100), rotated);
}

void chaos_privilege(void)
{
    for (uint32_t i = 0; i < 4; i++) {
        system_calls();
        flags();
        ports();
        gates();
        virtual_8086();
    }
}
