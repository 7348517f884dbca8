/* Everything of one kind, one after another: a fault leads to the handler, which goes on behind the
 * instruction. Ends with 20 when one was possible that must not be. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <ucontext.h>
#include <unistd.h>

static volatile int n_faults;
static volatile int skips_bytes; /* of the instruction that may fault */

static void go_on(int number, siginfo_t *info, void *context) {
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    (void)number;
    (void)info;
    n_faults++;
    r[REG_RIP] += skips_bytes;
    r[REG_EFL] &= ~(greg_t)0x100;
}

static void take_faults(void) {
    struct sigaction action = {.sa_sigaction = go_on, .sa_flags = SA_SIGINFO | SA_NODEFER};
    const int numbers[] = {SIGSEGV, SIGILL, SIGBUS, SIGFPE, SIGTRAP};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        sigaction(numbers[i], &action, NULL);
    }
}

static long n_possible, n_tried;

static void check(const char *what, uint64_t number, int before) {
    n_tried++;
    if (n_faults == before) {
        printf("possible: %s 0x%llx\n", what, (unsigned long long)number);
        n_possible++;
    }
}

/* One instruction of so many bytes, with its registers. */
#define TRY(what, number, bytes, instruction, ...)                                                 \
    do {                                                                                           \
        int before = n_faults;                                                                     \
        skips_bytes = bytes;                                                                       \
        __asm__ volatile(instruction : : __VA_ARGS__ : "memory", "cc");                            \
        check(what, number, before);                                                               \
    } while (0)

static uint8_t buffer[64];

/* Ports, in each width and as strings. A byte can go to the one that is open, which is a call; what
 * else is done there ends the program. */
static void try_ports(uint32_t first, uint32_t last, uint32_t step) {
    enum { OPEN = 0x80 };
    for (uint32_t port = first; port <= last; port += step) {
        if (port != OPEN) {
            TRY("out of 8 bits", port, 1, "out %%al, %%dx", "d"(port), "a"(39));
            TRY("outs of 8 bits", port, 1, "outsb", "d"(port), "S"(buffer));
            TRY("in of 8 bits", port, 1, "in %%dx, %%al", "d"(port), "a"(0));
            TRY("ins, repeated", port, 2, "rep insb", "d"(port), "D"(buffer), "c"(4));
        }
        TRY("in of 16 bits", port, 2, "in %%dx, %%ax", "d"(port), "a"(0));
        TRY("in of 32 bits", port, 1, "in %%dx, %%eax", "d"(port), "a"(0));
        TRY("out of 16 bits", port, 2, "out %%ax, %%dx", "d"(port), "a"(39));
        TRY("out of 32 bits", port, 1, "out %%eax, %%dx", "d"(port), "a"(39));
        TRY("ins of 32 bits", port, 1, "insl", "d"(port), "D"(buffer));
        TRY("outs, repeated", port, 2, "rep outsl", "d"(port), "S"(buffer), "c"(4));
    }
}

static void try_open_port(const char *how) {
    if (strcmp(how, "in") == 0) {
        __asm__ volatile("in $0x80, %%al" : : "a"(0));
    } else if (strcmp(how, "ins") == 0) {
        __asm__ volatile("rep insb" : : "d"(0x80), "D"(buffer), "c"(4) : "memory");
    }
    n_possible++;
}

static void try_registers(uint32_t first, uint32_t last, uint32_t step) {
    for (uint64_t i = first; i <= last; i += step) {
        TRY("rdmsr", i, 2, "rdmsr", "c"((uint32_t)i), "a"(0), "d"(0));
        TRY("wrmsr", i, 2, "wrmsr", "c"((uint32_t)i), "a"(0), "d"(0));
    }
}

/* Reading, writing and running at the edges of what there is. */
static void try_edges(void) {
    static const uint64_t edges[] = {0x0,        0x10000,     0x80000000,  0xC0000000,
                                     0xF0000000, 0xF0001000,  0xF0002000,  0xF0003000,
                                     0xF0022000, 0xF0022000,  0xF0100000,  0xFEC00000,
                                     0xFEE00000, 0x100000000, 0x200000000, 0x4000000000};
    static const int64_t steps[] = {-4096, -8, 0, 8, 4088, 4096};
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++) {
            uint64_t at = edges[i] + (uint64_t)steps[k];
            if (at >= 0x7F000000 && at < 0x80000000) {
                continue; /* its stack ends there */
            }
            int is_entry = at >= 0xF0000000 && at < 0xF0001000; /* which it may read */
            if (!is_entry) {
                TRY("a load at", at, 2, "movb (%%rdi), %%al", "D"(at), "a"(0));
            }
            TRY("a store at", at, 2, "movb %%al, (%%rdi)", "D"(at), "a"(0));
        }
    }
    for (uint64_t gib = 2; gib < 512; gib++) {
        uint64_t at = (gib << 30) + 0x1000;
        TRY("a load at", at, 2, "movb (%%rdi), %%al", "D"(at), "a"(0));
    }
}

static void try_debug_registers(void) {
    TRY("mov to dr0", 0, 3, "mov %%rax, %%dr0", "a"(0x400000));
    TRY("mov to dr1", 1, 3, "mov %%rax, %%dr1", "a"(0x400000));
    TRY("mov to dr2", 2, 3, "mov %%rax, %%dr2", "a"(0x400000));
    TRY("mov to dr3", 3, 3, "mov %%rax, %%dr3", "a"(0x400000));
    TRY("mov to dr6", 6, 3, "mov %%rax, %%dr6", "a"(0));
    TRY("mov to dr7", 7, 3, "mov %%rax, %%dr7", "a"(0x401));
    TRY("mov from dr0", 0, 3, "mov %%dr0, %%rax", "d"(0));
    TRY("mov from dr6", 6, 3, "mov %%dr6, %%rax", "d"(0));
    TRY("mov from dr7", 7, 3, "mov %%dr7, %%rax", "d"(0));
}

/* What a paravirtual host answers to a call of this kind is an error or a fault. */
static void try_hypercalls(void) {
    for (uint64_t number = 0; number < 64; number++) {
        uint64_t result = number;
        skips_bytes = 3;
        __asm__ volatile("vmcall" : "+a"(result) : "b"(0), "c"(0), "d"(0), "S"(0) : "memory");
        n_possible += result != number && (int64_t)result >= 0;
        result = number;
        __asm__ volatile("vmmcall" : "+a"(result) : "b"(0), "c"(0), "d"(0), "S"(0) : "memory");
        n_possible += result != number && (int64_t)result >= 0;
        n_tried += 2;
    }
}

/* Leaves of CPUID do no harm; it has no virtual machines to make. */
static void try_cpuid(void) {
    static const uint32_t bases[] = {0, 0x40000000, 0x80000000, 0xC0000000, 0x20000000};
    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        for (uint32_t leaf = 0; leaf < 0x40; leaf++) {
            for (uint32_t sub = 0; sub < 4; sub++) {
                unsigned a, b, c, d;
                __cpuid_count(bases[i] + leaf, sub, a, b, c, d);
                n_tried++;
            }
        }
    }
    unsigned a, b, c, d;
    __cpuid_count(1, 0, a, b, c, d);
    if ((c >> 5 & 1) != 0) {
        printf("possible: machines in the machine (vmx)\n");
        n_possible++;
    }
    __cpuid_count(0x80000001, 0, a, b, c, d);
    if ((c >> 2 & 1) != 0) {
        printf("possible: machines in the machine (svm)\n");
        n_possible++;
    }
}

/* Numbers of descriptors that are none: there are three, and nothing of the host's. */
static void try_descriptors(void) {
    struct stat about;
    for (uint64_t i = 3; i < (uint64_t)1 << 33; i = i < 4096 ? i + 1 : i * 2 + 1) {
        long results[] = {fcntl((int)i, F_GETFD),  fstat((int)i, &about),
                          close((int)i),           dup2((int)i, 100),
                          read((int)i, buffer, 1), write((int)i, buffer, 1)};
        for (size_t k = 0; k < sizeof results / sizeof results[0]; k++) {
            n_tried++;
            if (results[k] != -1) {
                printf("possible: descriptor %llu, %zu\n", (unsigned long long)i, k);
                n_possible++;
            }
        }
    }
}

int main(int argc, char **argv) {
    uint32_t range[3] = {0, 0, 1};
    const char *what = argc > 1 ? argv[1] : "";
    for (int i = 0; i < 3 && i + 2 < argc; i++) {
        range[i] = (uint32_t)strtoul(argv[i + 2], NULL, 0);
    }
    take_faults();
    if (strcmp(what, "open-port") == 0) {
        try_open_port(argc > 2 ? argv[2] : "");
    } else if (strcmp(what, "ports") == 0) {
        try_ports(range[0], range[1], range[2]);
    } else if (strcmp(what, "registers") == 0) {
        try_registers(range[0], range[1], range[2]);
    } else if (strcmp(what, "edges") == 0) {
        try_edges();
    } else if (strcmp(what, "debug") == 0) {
        try_debug_registers();
    } else if (strcmp(what, "hypercalls") == 0) {
        try_hypercalls();
    } else if (strcmp(what, "cpuid") == 0) {
        try_cpuid();
    } else if (strcmp(what, "descriptors") == 0) {
        try_descriptors();
    } else {
        return 2;
    }
    printf("%ld tried, %d faults\n", n_tried, n_faults);
    return n_possible > 0 ? 20 : 0;
}
