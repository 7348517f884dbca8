/* Writing a filter of system calls, instruction by instruction. Ownership: the caller's plain
 * memory; a program longer than its room is cut and `truncated` is set. */
#ifndef PLATFORM_LINUX_FILTER_CODE_H
#define PLATFORM_LINUX_FILTER_CODE_H

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#define FILTER_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define FILTER_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

enum { FILTER_MAX_INSTRUCTIONS = 1024 };

typedef struct filter_code {
    struct sock_filter code[FILTER_MAX_INSTRUCTIONS];
    unsigned short length;
    bool truncated;
} filter_code;

static inline void filter_emit(filter_code *p, uint16_t code, uint32_t value, uint8_t if_true,
                               uint8_t if_false) {
    if (p->length == FILTER_MAX_INSTRUCTIONS) {
        p->truncated = true;
        return;
    }
    p->code[p->length++] = (struct sock_filter){code, if_true, if_false, value};
}

static inline void filter_load(filter_code *p, size_t offset) {
    filter_emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

/* The low half of an argument, on little-endian machines. */
static inline void filter_load_argument(filter_code *p, unsigned index) {
    filter_load(p, offsetof(struct seccomp_data, args) + index * sizeof(uint64_t));
}

static inline void filter_answer(filter_code *p, uint32_t action) {
    filter_emit(p, BPF_RET | BPF_K, action, 0, 0);
}

#if defined(FILTER_ARCHITECTURE)
/* Ends a process that uses the numbers of another kind of machine; leaves the number loaded. */
static inline void filter_begin(filter_code *p) {
    p->length = 0;
    p->truncated = false;
    filter_load(p, offsetof(struct seccomp_data, arch));
    filter_emit(p, BPF_JMP | BPF_JEQ | BPF_K, FILTER_ARCHITECTURE, 1, 0);
    filter_answer(p, SECCOMP_RET_KILL_PROCESS);
    filter_load(p, offsetof(struct seccomp_data, nr));
#if defined(__x86_64__)
    filter_emit(p, BPF_JMP | BPF_JGE | BPF_K, 0x40000000u, 0, 1); /* the x32 form of the calls */
    filter_answer(p, SECCOMP_RET_KILL_PROCESS);
#endif
}
#endif

#endif
