/* One thing each that a program in ring 3 must not get through; ends with 20 when it does. */
#include <stdint.h>
#include <string.h>

#define TRY(name, text)                                                                            \
    static void try_##name(void) {                                                                 \
        __asm__ volatile(text); /* what it changes does not matter: it must not come back */       \
    }

TRY(hlt, "hlt")
TRY(cli, "cli")
TRY(in, "in $0x60, %al")
TRY(out, "out %al, $0x81")
TRY(outs, "lea (%rsp), %rsi; mov $1, %ecx; mov $0x3f8, %edx; rep outsb")
TRY(cr0, "mov %cr0, %rax")
TRY(cr3, "mov %rax, %cr3")
TRY(cr4, "mov %cr4, %rax; mov %rax, %cr4")
TRY(wrmsr, "mov $0xc0000082, %ecx; wrmsr")
TRY(rdmsr, "mov $0xc0000082, %ecx; rdmsr")
TRY(lgdt, "lgdt (%rsp)")
TRY(lidt, "lidt (%rsp)")
TRY(ltr, "mov $0x28, %eax; ltr %ax")
TRY(invlpg, "invlpg (%rsp)")
TRY(swapgs, "swapgs")
TRY(wbinvd, "wbinvd")
TRY(clts, "clts")
TRY(xsetbv, "xor %ecx, %ecx; xor %edx, %edx; mov $7, %eax; xsetbv")
TRY(sysret, "lea 1f(%rip), %rcx; mov $2, %r11; sysretq; 1:")
TRY(iret_kernel,
    "push $0x10; push %rsp; push $2; push $0x08; lea 1f(%rip), %rax; push %rax; iretq; 1:")
TRY(far_jump, "push $0x08; lea 1f(%rip), %rax; push %rax; lretq; 1:")
TRY(ud2, "ud2")
TRY(int, "int $0x0d")
TRY(debug, "mov %rax, %dr7")
TRY(rdpmc, "xor %ecx, %ecx; rdpmc")
TRY(rdtsc, "rdtsc")
TRY(rdtscp, "rdtscp")

static void touch(uint64_t address) {
    *(volatile uint64_t *)address = 1;
}
/* Of the first processor and of the second. */
static void try_descriptors(void) {
    touch(0xF0002000);
}
static void try_descriptors_2(void) {
    touch(0xF0004000);
}
static void try_fault_stack(void) {
    touch(0xF0003000);
}
static void try_fault_stack_2(void) {
    touch(0xF0005000);
}
static void try_entry_page(void) {
    touch(0xF0000000);
}
static void try_page_tables(void) {
    touch(0xF0001000);
}
static void try_first_table(void) {
    touch(0xF0022000);
}
static void try_host_half(void) {
    touch(0xFFFF800000000000);
}
static void try_page_zero(void) {
    touch(8);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(void);
    } rows[] = {
        {"hlt", try_hlt},
        {"cli", try_cli},
        {"in", try_in},
        {"out", try_out},
        {"outs", try_outs},
        {"cr0", try_cr0},
        {"cr3", try_cr3},
        {"cr4", try_cr4},
        {"wrmsr", try_wrmsr},
        {"rdmsr", try_rdmsr},
        {"lgdt", try_lgdt},
        {"lidt", try_lidt},
        {"ltr", try_ltr},
        {"invlpg", try_invlpg},
        {"swapgs", try_swapgs},
        {"wbinvd", try_wbinvd},
        {"clts", try_clts},
        {"xsetbv", try_xsetbv},
        {"sysret", try_sysret},
        {"iret-kernel", try_iret_kernel},
        {"far-jump", try_far_jump},
        {"ud2", try_ud2},
        {"int", try_int},
        {"debug", try_debug},
        {"rdpmc", try_rdpmc},
        {"rdtsc", try_rdtsc},
        {"rdtscp", try_rdtscp},
        {"page-tables", try_page_tables},
        {"first-table", try_first_table},
        {"descriptors", try_descriptors},
        {"descriptors-2", try_descriptors_2},
        {"fault-stack", try_fault_stack},
        {"fault-stack-2", try_fault_stack_2},
        {"entry-page", try_entry_page},
        {"host-half", try_host_half},
        {"page-zero", try_page_zero},
    };
    for (unsigned i = 0; argc > 1 && i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, argv[1]) == 0) {
            rows[i].run();
            return 20;
        }
    }
    return 21;
}
