/* Calls that are not made as they should be; ends with 20 when something was possible. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long call(long number, long a, long b, long c) {
    register long r10 __asm__("r10") = 0;
    register long r8 __asm__("r8") = 0;
    register long r9 __asm__("r9") = 0;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

/* Flags that would give ports: set before a call, and as what the call restores. */
static int try_flags(void) {
    uint64_t flags = 0;
    __asm__ volatile("pushfq; orq $0x3000, (%%rsp); popfq;"
                     "mov $39, %%eax; syscall;"
                     "pushfq; pop %0"
                     : "=r"(flags)
                     :
                     : "rax", "rcx", "r11", "memory");
    if ((flags & 0x3000) != 0) {
        return 20;
    }
    /* by the port itself, with what it likes in RCX and R11 */
    __asm__ volatile("lea 1f(%%rip), %%rcx; mov $0x3202, %%r11; mov $39, %%eax; out %%al, $0x80;"
                     "1: pushfq; pop %0"
                     : "=r"(flags)
                     :
                     : "rax", "rcx", "r11", "memory");
    return (flags & 0x3000) != 0 ? 20 : 0;
}

/* The port is the call: nothing more can be had by it. */
static int try_port(void) {
    long result;
    __asm__ volatile("lea 1f(%%rip), %%rcx; pushfq; pop %%r11; mov $41, %%eax; mov $2, %%edi;"
                     "mov $1, %%esi; xor %%edx, %%edx; out %%al, $0x80; 1:"
                     : "=a"(result)
                     :
                     : "rcx", "r11", "rdi", "rsi", "rdx", "memory");
    return result < 0 ? 0 : 20;
}

/* All but those that would end or stop it. */
static int try_numbers(void) {
    static const int left_out[] = {0,   7,   15,  23,  24,  34,  35,  60, 61,
                                   202, 230, 231, 232, 247, 270, 271, 281};
    for (long n = 0; n < 1100; n++) {
        int skip = 0;
        for (unsigned i = 0; i < sizeof left_out / sizeof left_out[0]; i++) {
            skip = skip || left_out[i] == n;
        }
        if (!skip) {
            (void)call(n, -1, -1, -1);
        }
    }
    (void)call(-1, 0, 0, 0);
    (void)call(0x40000001, 0, 0, 0); /* the x32 way */
    return 0;
}

/* Nothing but calls: it is never found computing. */
static int try_storm(long number) {
    for (;;) {
        (void)call(number, 2, 1, 0);
    }
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    int result = strcmp(what, "flags") == 0     ? try_flags()
                 : strcmp(what, "port") == 0    ? try_port()
                 : strcmp(what, "numbers") == 0 ? try_numbers()
                 : strcmp(what, "storm") == 0 ? try_storm(argc > 2 ? strtol(argv[2], NULL, 10) : 39)
                                              : 21;
    puts("done");
    return result;
}
