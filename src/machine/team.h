/* The processors of the guest's machine, computing together. Ownership: one team, of the program's
 * static memory; the first processor alone calls run. */
#ifndef MACHINE_TEAM_H
#define MACHINE_TEAM_H

#include "guest/machine.h"
#include "guest/serve.h"

/* A call of the host. */
static inline uint64_t engine_call(uint64_t number, uint64_t first, uint64_t second) {
    uint64_t result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second)
                     : "rcx", "r11", "memory");
    return result;
}

extern engine_settings engine_own;

/* In a new machine: what the compiler's and the library's checks compare with becomes its own. In
 * functions that never return, and that check nothing themselves. */
#define ENGINE_UNCHECKED __attribute__((noinline, no_stack_protector))
static inline __attribute__((always_inline)) void engine_renew_checks(void) {
    uint64_t canary, guard;
    __builtin_memcpy(&canary, engine_own.random, sizeof canary);
    __builtin_memcpy(&guard, engine_own.random + 8, sizeof guard);
    canary &= ~(uint64_t)0xFF; /* ends texts, as the library's does */
    __asm__ volatile("movq %0, %%fs:0x28\n\tmovq %1, %%fs:0x30" : : "r"(canary), "r"(guard));
}

/* Makes room for up to n_workers processors and fills in where the others start; false without it.
 */
bool engine_team_open(unsigned n_workers, engine_ready *ready);
/* One worker until it starts: the others are there in new machines only. */
const serve_team *engine_team(void);
void engine_team_start(unsigned n_workers, uint64_t ticks_per_ms);

#endif
