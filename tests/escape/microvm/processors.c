/* What a program may try with threads and signals; ends with 20 when something was possible. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static const uint64_t addresses[] = {
    0,          8,          0xFFFF,     0x10000,     0x20000000,         0x40000000,
    0x7FFFFFFF, 0xF0000000, 0xF0001000, 0xF0002000,  0xF0003000,         0xF0022000,
    0xFFFFFFFC, 1ull << 47, ~0ull - 3,  ~0ull << 47, 0x7FFFFFFFFFFFFFFC, 0xFEE00000,
};
enum { N_ADDRESSES = sizeof addresses / sizeof addresses[0] };

/* ---- frames that no kernel made ------------------------------------------------------------ */

static const char *forged;
static volatile int n_handled;

static void forge(int number, siginfo_t *info, void *context) {
    ucontext_t *u = context;
    greg_t *r = u->uc_mcontext.gregs;
    uint8_t *vectors = (uint8_t *)u->uc_mcontext.fpregs;
    (void)number;
    (void)info;
    n_handled++;
    if (strcmp(forged, "flags") == 0) {
        r[REG_EFL] = ~(greg_t)0 & ~(greg_t)0x100; /* all but one that traps */
    } else if (strcmp(forged, "segments") == 0) {
        r[REG_CSGSFS] = 0x0010000000000008; /* the descriptors of ring 0 */
    } else if (strcmp(forged, "vectors") == 0) {
        memset(vectors + 512, 0xFF, 64); /* parts that there are not, another format */
        memset(vectors + 24, 0xFF, 8);   /* bits of MXCSR that there are not */
    } else if (strcmp(forged, "vectors-size") == 0) {
        memset(vectors + 464, 0xFF, 48);
    } else if (strcmp(forged, "mask") == 0) {
        memset(&u->uc_sigmask, 0xFF, 8);
    } else if (strcmp(forged, "no-vectors") == 0) {
        u->uc_mcontext.fpregs = NULL;
    } else if (strcmp(forged, "return") == 0) {
        r[REG_RIP] = (greg_t)0xFFFF800000000000;
    } else if (strcmp(forged, "return-entry") == 0) {
        r[REG_RIP] = 0xF0000002; /* behind the port, where ring 0 would return */
    } else if (strcmp(forged, "return-tables") == 0) {
        r[REG_RIP] = 0xF0002000;
    } else if (strcmp(forged, "vectors-at") == 0) {
        u->uc_mcontext.fpregs = (fpregset_t)(uintptr_t)0xF0002000;
    }
}

static uint64_t flags_now(void) {
    uint64_t flags;
    __asm__ volatile("pushfq; pop %0" : "=r"(flags));
    return flags;
}

static int try_frame(const char *part) {
    struct sigaction action = {.sa_sigaction = forge, .sa_flags = SA_SIGINFO};
    uint16_t code;
    forged = part;
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    uint64_t flags = flags_now();
    __asm__ volatile(
        "pushfq; andq $~0x40000, (%rsp); popfq; cld"); /* AC and DF, which it may set */
    __asm__ volatile("mov %%cs, %0" : "=r"(code));
    if (n_handled != 1 || (flags & 0x1B7000) != 0 || (code & 3) != 3) {
        return 20;
    }
    return 0;
}

/* A return from no handler at all, with the stack anywhere. */
static int try_return(unsigned row) {
    if (row >= N_ADDRESSES) {
        return 21;
    }
    __asm__ volatile("mov %0, %%rsp; mov $15, %%eax; syscall" : : "r"(addresses[row]) : "memory");
    return 20;
}

/* A handler whose stack is nothing that it may write. */
static int try_stack(unsigned row) {
    struct sigaction action = {.sa_sigaction = forge, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    if (row >= N_ADDRESSES) {
        return 21;
    }
    stack_t stack = {.ss_sp = (void *)(uintptr_t)addresses[row], .ss_size = 65536};
    forged = "";
    if (sigaltstack(&stack, NULL) != 0) {
        return 21;
    }
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    return 20;
}

/* ---- threads ------------------------------------------------------------------------------- */

/* Every bit that makes a process, a namespace or something unknown, alone and with those of a
 * thread; then pointers and bases that are none. */
static int try_clone(void) {
    const uint64_t of_threads = 0x10F00;
    for (int bit = 8; bit < 32; bit++) {
        uint64_t flag = (uint64_t)1 << bit;
        int known = (flag & 0x17D0F00) != 0;
        if (syscall(SYS_clone, flag, 0, 0, 0, 0, 0) >= 0 ||
            (!known && syscall(SYS_clone, of_threads | flag, 0, 0, 0, 0, 0) >= 0) ||
            ((of_threads & flag) != 0 &&
             syscall(SYS_clone, of_threads & ~flag, 0, 0, 0, 0, 0) >= 0)) {
            return 20;
        }
    }
    for (unsigned i = 0; i < N_ADDRESSES; i++) {
        uint64_t arguments[11] = {of_threads | 1ull << 33, 0, 0, 0, 0, 4096, 4096, 0};
        if (addresses[i] >= 1ull << 47 &&
            syscall(SYS_clone, of_threads | 0x80000, 0, 0, 0, addresses[i], 0) >= 0) {
            return 20;
        }
        if (syscall(SYS_clone, of_threads | 0x100000, 0, addresses[i], 0, 0, 0) >= 0 ||
            syscall(SYS_clone, of_threads | 0x1000000, 0, 0, addresses[i], 0, 0) >= 0 ||
            syscall(SYS_clone3, addresses[i], 88, 0, 0, 0, 0) >= 0 ||
            syscall(SYS_clone3, (uintptr_t)arguments, 8 * (uint64_t)i, 0, 0, 0, 0) >= 0) {
            return 20;
        }
    }
    return 0;
}

static void *spin(void *argument) {
    for (;;) {
        atomic_fetch_add((atomic_int *)argument, 1);
    }
    return NULL;
}

/* Threads without end, each of which makes more of them. */
static void *multiply(void *argument) {
    pthread_t t;
    for (;;) {
        if (pthread_create(&t, NULL, multiply, argument) == 0) {
            pthread_detach(t);
        } else {
            sched_yield();
        }
    }
    return NULL;
}

static int try_bomb(void) {
    multiply(NULL);
    return 20;
}

/* A thread whose stack, and first instruction, are nothing. */
static int try_wild(unsigned row) {
    if (row >= N_ADDRESSES) {
        return 21;
    }
    if (syscall(SYS_clone, 0x10F00, addresses[row], 0, 0, 0, 0) < 0) {
        return 21;
    }
    sleep(20); /* the child has no stack to return by */
    return 20;
}

/* Pages that are written by one processor while they are made code by another. */
static atomic_int n_writes;
static void *write_on(void *argument) {
    volatile uint8_t *p = argument;
    for (;;) {
        p[64]++;
        n_writes++;
    }
    return NULL;
}

static int try_code(void) {
    uint8_t *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_t t;
    pthread_create(&t, NULL, write_on, p);
    while (n_writes < 1000) {
        sched_yield();
    }
    if (mprotect(p, 4096, PROT_READ | PROT_EXEC) != 0) {
        return 21;
    }
    uint8_t seen = p[64];
    for (int i = 0; i < 10000000; i++) {
        if (*(volatile uint8_t *)(p + 64) != seen) {
            return 20;
        }
    }
    sleep(20);
    return 20;
}

/* ---- words --------------------------------------------------------------------------------- */

static int try_words(void) {
    for (unsigned i = 0; i < N_ADDRESSES; i++) {
        for (uint64_t command = 0; command < 16; command++) {
            for (uint64_t kind = 0; kind < 2; kind++) {
                uint64_t how = command | (kind != 0 ? 128 : 0);
                if (syscall(SYS_futex, addresses[i], how, 1, addresses[i], addresses[i], 1) >= 0) {
                    return 20;
                }
            }
        }
        (void)syscall(SYS_set_robust_list, addresses[i], 24, 0, 0, 0, 0);
        (void)syscall(SYS_set_tid_address, addresses[i], 0, 0, 0, 0, 0);
    }
    return 0;
}

static void *end_with_list(void *argument) {
    (void)syscall(SYS_set_robust_list, (uint64_t)(uintptr_t)argument, 24, 0, 0, 0, 0);
    return NULL;
}

/* Lists of locks that go round, that lead to nowhere, and that name words of the machine's. */
static int try_lists(void) {
    static uint64_t head[3], entry[2];
    for (unsigned i = 0; i < N_ADDRESSES; i++) {
        pthread_t t;
        entry[0] = i % 2 == 0 ? (uint64_t)(uintptr_t)entry : addresses[i];
        head[0] = (uint64_t)(uintptr_t)entry;
        head[1] = addresses[i] - (uint64_t)(uintptr_t)entry;
        head[2] = addresses[i];
        if (pthread_create(&t, NULL, end_with_list, head) != 0 || pthread_join(t, NULL) != 0) {
            return 21;
        }
    }
    return 0;
}

int main(int argc, char **argv) {
    const char *first = argc > 1 ? argv[1] : "";
    unsigned row = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    static atomic_int counter;
    pthread_t t;
    if (strcmp(first, "frame") == 0) {
        return try_frame(argc > 2 ? argv[2] : "");
    }
    if (strcmp(first, "spin") == 0) {
        for (int i = 0; i < 3; i++) {
            pthread_create(&t, NULL, spin, &counter);
        }
        spin(&counter);
    }
    return strcmp(first, "return") == 0  ? try_return(row)
           : strcmp(first, "stack") == 0 ? try_stack(row)
           : strcmp(first, "clone") == 0 ? try_clone()
           : strcmp(first, "bomb") == 0  ? try_bomb()
           : strcmp(first, "wild") == 0  ? try_wild(row)
           : strcmp(first, "code") == 0  ? try_code()
           : strcmp(first, "words") == 0 ? try_words()
           : strcmp(first, "lists") == 0 ? try_lists()
                                         : 21;
}
