/* One thing each that a program in ring 3 must not get through; ends with 20 when it does. */
#include <stdint.h>
#include <stdlib.h>
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
TRY(int_call, "mov $39, %eax; int $0x80")
TRY(icebp, ".byte 0xf1")
TRY(sysenter, "mov $39, %eax; sysenter")
TRY(local_table, "mov $0x0f, %eax; mov %eax, %ds")
TRY(gate, "push $0x0f; lcall *-4(%rsp)")
TRY(task, "push $0x28; lcall *-4(%rsp)")
TRY(step, "pushfq; orq $0x100, (%rsp); mov $39, %eax; popfq; syscall")
TRY(step_stack, "mov %ss, %edx; pushfq; orq $0x100, (%rsp); mov $39, %eax; popfq; mov %edx, %ss;"
                "syscall")
TRY(entry_return, "mov $0xf0000002, %eax; lea 1f(%rip), %rcx; mov $2, %r11; jmp *%rax; 1:")
TRY(no_return, "mov $1, %ecx; shl $47, %rcx; mov $2, %r11; mov $39, %eax; out %al, $0x80")
TRY(entry_fault, "mov $0xf0000100, %eax; jmp *%rax")
TRY(debug, "mov %rax, %dr7")
TRY(rdpmc, "xor %ecx, %ecx; rdpmc")
TRY(rdtsc, "rdtsc")
TRY(rdtscp, "rdtscp")

static void touch(uint64_t address) {
    *(volatile uint64_t *)address = 1;
}
static long number; /* the second argument */
/* What its machine is made of, wherever in these pages it lies. */
static void try_system_page(void) {
    touch(0xF0000000 + (uint64_t)number * 4096);
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
        {"int-call", try_int_call},
        {"icebp", try_icebp},
        {"sysenter", try_sysenter},
        {"local-table", try_local_table},
        {"gate", try_gate},
        {"task", try_task},
        {"step", try_step},
        {"step-stack", try_step_stack},
        {"entry-return", try_entry_return},
        {"no-return", try_no_return},
        {"entry-fault", try_entry_fault},
        {"debug", try_debug},
        {"rdpmc", try_rdpmc},
        {"rdtsc", try_rdtsc},
        {"rdtscp", try_rdtscp},
        {"system-page", try_system_page},
        {"host-half", try_host_half},
        {"page-zero", try_page_zero},
    };
    number = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
    for (unsigned i = 0; argc > 1 && i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, argv[1]) == 0) {
            rows[i].run();
            return 20;
        }
    }
    return 21;
}
