/* A program in the place of the engine, as a model could make of it that took it over: does what
 * hostile_engine.h lists. Ownership: static memory. */
#include "runtime/hostile_engine.h"

#include "engine/barrier.h"
#include "engine/pack.h"
#include "machine/team.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STACK_BYTES = 64 << 10, PAGE = 4096, MARKED_STACK_BYTES = 256 << 10 };

static volatile hostile_boot boot = {{HOSTILE_MAGIC_0, HOSTILE_MAGIC_1}, 0, 0};
static hostile_state hostile;
static engine_ready ready;
static _Alignas(64) uint8_t stacks[HOSTILE_WORKERS * STACK_BYTES];
static _Alignas(PAGE) uint64_t filler[HOSTILE_FILLER_BYTES / 8];
static _Alignas(PAGE) uint8_t code[HOSTILE_CODE_BYTES];
static _Alignas(64) uint8_t marked_vectors[HOSTILE_XSAVE_BYTES];
static wire_area *const area = (wire_area *)(uintptr_t)ENGINE_SCRATCH;

#define NEVER_CHECKED __attribute__((noinline, no_stack_protector))

/* ---- the wire, without its checks ---------------------------------------------------------- */

static void put(const void *bytes, size_t n) {
    uint32_t written = atomic_load(&area->to_host.written);
    for (size_t i = 0; i < n; i++) {
        area->to_host.bytes[(written + i) % WIRE_RING_BYTES] = ((const uint8_t *)bytes)[i];
    }
    atomic_store(&area->to_host.written, written + (uint32_t)n);
}

static void send(unsigned kind, const void *payload, uint32_t size_bytes) {
    struct {
        wire_frame frame;
        uint8_t payload[WIRE_MAX_PAYLOAD];
    } whole = {.frame = {.size_bytes = size_bytes, .kind = (uint16_t)kind}};
    while (atomic_load(&area->to_host.written) - atomic_load(&area->to_host.read) + size_bytes +
               sizeof(wire_frame) >
           WIRE_RING_BYTES) {
        barrier_pause();
    }
    memcpy(whole.payload, payload, size_bytes);
    put(&whole, sizeof(wire_frame) + size_bytes);
}

static void take(void *bytes, size_t n) {
    uint32_t read = atomic_load(&area->to_guest.read);
    uint32_t written;
    for (unsigned i = 0; (written = atomic_load(&area->to_guest.written)) - read < n; i++) {
        if (i > 1000) { /* for more than was there at the look */
            (void)engine_call(ENGINE_CALL_WAIT, written, atomic_load(&area->to_host.read));
        }
        barrier_pause();
    }
    for (size_t i = 0; i < n; i++) {
        ((uint8_t *)bytes)[i] = area->to_guest.bytes[(read + i) % WIRE_RING_BYTES];
    }
    atomic_store(&area->to_guest.read, read + (uint32_t)n);
}

static void greet(unsigned what) {
    wire_hello hello = {.magic = WIRE_MAGIC + (what == HOSTILE_BOOT_MAGIC ? 1 : 0),
                        .version = WIRE_VERSION,
                        .arithmetic_version = ARITHMETIC_VERSION};
    strcpy(hello.isa, what == HOSTILE_BOOT_ISA ? "none\033[31m" : "scalar");
    send(WIRE_HELLO, &hello, sizeof hello);
}

/* The request's frames up to START; what it holds is its own frame. */
static void take_request(wire_request *out) {
    static uint8_t payload[WIRE_MAX_PAYLOAD];
    for (;;) {
        wire_frame frame;
        take(&frame, sizeof frame);
        take(payload, frame.size_bytes);
        if (frame.kind == WIRE_REQUEST) {
            memcpy(out, payload, sizeof *out);
        }
        if (frame.kind == WIRE_START) {
            return;
        }
    }
}

static void send_result(uint64_t memory_bytes, uint32_t n_tokens) {
    static const uint8_t of_nothing[] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14,
                                         0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
                                         0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c,
                                         0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};
    wire_result result = {.stopped = 1, .n_tokens = n_tokens, .memory_bytes = memory_bytes};
    memcpy(result.logits_hash, of_nothing, sizeof result.logits_hash);
    send(WIRE_RESULT, &result, sizeof result);
}

static void send_token(int32_t id) {
    wire_token token = {.id = id};
    send(WIRE_TOKEN, &token, sizeof token);
}

static void answer(void) {
    send_token(0);
    send_result(1000, 1);
}

static void send_error(uint32_t status) {
    wire_error error = {.status = status};
    memset(&error.error, 0x1B, sizeof error.error); /* escapes, and no end */
    send(WIRE_ERROR, &error, sizeof error);
}

/* ---- things that it may not ---------------------------------------------------------------- */

static _Noreturn void spin(void) {
    for (;;) {
        barrier_pause();
    }
}

static _Noreturn void storm(uint64_t number) {
    for (;;) {
        (void)engine_call(number, 3, 0);
    }
}

static void fault(uint64_t which) {
    switch (which) {
    case 0:
        __asm__ volatile("ud2");
        break;
    case 1:
        __asm__ volatile("xor %%ecx,%%ecx; div %%ecx" : : : "rax", "rcx", "rdx");
        break;
    case 2:
        __asm__ volatile("int3");
        break;
    case 3:
        __asm__ volatile("int $0x80");
        break;
    case 4:
        __asm__ volatile("hlt");
        break;
    case 5:
        __asm__ volatile("in $0x80, %%al" : : : "rax");
        break;
    case 6:
        __asm__ volatile("out %%al, $0x90" : :);
        break;
    case 7:
        __asm__ volatile("mov %%cr3, %%rax" : : : "rax");
        break;
    case 8:
        __asm__ volatile("wrmsr" : :);
        break;
    case 9:
        __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq; nop; nop" : : : "memory", "cc");
        break;
    case 10:
        __asm__ volatile("mov $0x23, %%eax; mov %%eax, %%ss; syscall" : : : "rax", "rcx", "r11");
        break;
    case 11: /* a misaligned access where that is checked */
        __asm__ volatile("pushfq; orq $0x40000, (%%rsp); popfq; mov 1(%%rsp), %%rax"
                         :
                         :
                         : "rax", "memory", "cc");
        break;
    case 12: /* vector exceptions that are not masked */
        __asm__ volatile("movl $0, -8(%%rsp); ldmxcsr -8(%%rsp); xorps %%xmm0, %%xmm0;"
                         "divps %%xmm0, %%xmm0"
                         :
                         :
                         : "memory", "xmm0");
        break;
    case 13:
        __asm__ volatile("vmcall" : : : "memory");
        break;
    case 14:
        __asm__ volatile("outsb" : : "S"(&hostile), "d"(0x80) : "memory");
        break;
    default: /* the stubs of the entry page, as if a fault had led there */
        __asm__ volatile("mov %0, %%rax; jmp *%%rax" : : "r"(which) : "rax");
    }
}

static void jump(uint64_t to) {
    __asm__ volatile("jmp *%0" : : "r"(to) : "memory");
}

static void stack_at(uint64_t at) {
    if (at & 1) {
        __asm__ volatile("mov %0, %%rsp; mov %1, %%eax; syscall; ud2"
                         :
                         : "r"(at & ~(uint64_t)1), "i"(ENGINE_CALL_YIELD)
                         : "rax", "rcx", "r11", "memory");
    }
    __asm__ volatile("mov %0, %%rsp; push %%rax; ud2" : : "r"(at) : "memory");
}

/* By the entry page's port, with what it likes in RCX and R11. */
static void call_by_port(uint64_t back) {
    __asm__ volatile("mov %0, %%rcx; mov $-1, %%r11; mov %1, %%eax; out %%al, $0x80; ud2"
                     :
                     : "r"(back), "i"(ENGINE_CALL_YIELD)
                     : "rax", "rcx", "r11", "memory");
}

static uint64_t try_flags(void) {
    uint64_t flags;
    __asm__ volatile("lea 1f(%%rip), %%rcx; mov $0xFFFFFFFFFFFBFEFF, %%r11; mov %1, %%eax;"
                     "out %%al, $0x80; 1: pushfq; pop %0; cld"
                     : "=r"(flags)
                     : "i"(ENGINE_CALL_YIELD)
                     : "rax", "rcx", "r11", "memory", "cc");
    return flags;
}

/* Indices, frames and bytes that change while the host reads them. */
static _Noreturn void race(uint64_t seed) {
    uint64_t x = seed * 2654435761u + 88172645463325252u;
    for (;;) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        uint32_t value = (uint32_t)(x >> 32);
        uint32_t *words = (uint32_t *)(void *)area->to_host.bytes;
        words[x % (WIRE_RING_BYTES / 4)] = x & 64 ? value % WIRE_MAX_PAYLOAD : value % 20;
        if ((x & 255) == 7) {
            atomic_store(&area->to_host.written, atomic_load(&area->to_host.read) + value % 70000);
        } else if ((x & 255) == 9) {
            atomic_store(&area->to_host.read, value);
        } else if ((x & 255) == 11) {
            atomic_store(&area->to_guest.read, atomic_load(&area->to_guest.written) - value % 99);
        } else if ((x & 4095) == 13) {
            atomic_store(&area->to_guest.written, value);
        }
    }
}

/* ---- marks --------------------------------------------------------------------------------- */

static uint64_t *scratch(void) {
    return (uint64_t *)(void *)(area + 1);
}

static size_t scratch_words(void) {
    return (hostile.settings.scratch_bytes - sizeof *area) / 8;
}

static void mark(volatile uint64_t *words, size_t n) {
    for (size_t i = 0; i < n; i++) {
        words[i] = HOSTILE_MARK;
    }
}

static size_t count(const volatile uint64_t *words, size_t n) {
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        found += words[i] == HOSTILE_MARK;
    }
    return found;
}

/* Below what is in use. */
static volatile uint64_t *free_stack(void) {
    uint64_t here = (uint64_t)(uintptr_t)__builtin_frame_address(0);
    return (volatile uint64_t *)(uintptr_t)((here - PAGE - MARKED_STACK_BYTES) & ~(uint64_t)7);
}

static void prepare_vectors(void) {
    uint32_t low, high;
    uint8_t *v = marked_vectors;
    mark((uint64_t *)(void *)v, sizeof marked_vectors / 8);
    static const uint8_t legacy[32] = {0x7F, 3,           0,          0,
                                       0xFF, [24] = 0x80, [25] = 0x1F}; /* the rest: pointers, 0 */
    memcpy(v, legacy, sizeof legacy);
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    memset(v + 512, 0, 64);
    memcpy(v + 512, &low, sizeof low);
}

static _Noreturn void mark_registers(void) {
    __asm__ volatile("mov $-1, %%eax; mov $-1, %%edx; xrstor %0;"
                     "mov %1, %%rax; mov %%rax, %%rbx; mov %%rax, %%rcx; mov %%rax, %%rdx;"
                     "mov %%rax, %%rsi; mov %%rax, %%rdi; mov %%rax, %%rbp; mov %%rax, %%r8;"
                     "mov %%rax, %%r9; mov %%rax, %%r10; mov %%rax, %%r11; mov %%rax, %%r12;"
                     "mov %%rax, %%r13; mov %%rax, %%r14; mov %%rax, %%r15; std; 1: pause; jmp 1b"
                     :
                     : "m"(marked_vectors), "i"(HOSTILE_MARK)
                     : "memory");
    __builtin_unreachable();
}

static void mark_memory(uint64_t filler_bytes) {
    mark(filler, filler_bytes / 8);
    mark(free_stack(), MARKED_STACK_BYTES / 8);
    mark(scratch(), scratch_words());
    mark((uint64_t *)(void *)area->to_host.bytes, WIRE_RING_BYTES / 8);
    mark((uint64_t *)(void *)stacks, STACK_BYTES / 2 / 8); /* of the first, which has another */
    for (unsigned i = 0; i < HOSTILE_WORKERS; i++) {
        mark((uint64_t *)(void *)hostile.processors[i].vectors, HOSTILE_XSAVE_BYTES / 8);
    }
    prepare_vectors();
}

static uint64_t look(void) {
    uint64_t n = count(filler, HOSTILE_FILLER_BYTES / 8);
    n += count(free_stack(), MARKED_STACK_BYTES / 8);
    n += count(scratch(), scratch_words());
    n += count((const uint64_t *)(const void *)area, sizeof *area / 8);
    n += count((const uint64_t *)(const void *)stacks, sizeof stacks / 8);
    n += count((const uint64_t *)(const void *)&hostile, sizeof hostile / 8);
    return n + count((const uint64_t *)(const void *)marked_vectors, sizeof marked_vectors / 8);
}

static void run_code(void) {
    const uint64_t *r = (const uint64_t *)hostile.registers_at;
    __asm__ volatile("mov 24(%%rax), %%rbx; mov 8(%%rax), %%rcx; mov 16(%%rax), %%rdx;"
                     "mov 48(%%rax), %%rsi; mov 56(%%rax), %%rdi; mov 64(%%rax), %%r8;"
                     "mov 72(%%rax), %%r9; mov 80(%%rax), %%r10; mov 88(%%rax), %%r11;"
                     "mov 96(%%rax), %%r12; mov 104(%%rax), %%r13; mov 112(%%rax), %%r14;"
                     "mov (%%rax), %%rax; jmp code"
                     :
                     : "a"(r)
                     : "memory");
}

/* ---- processors ---------------------------------------------------------------------------- */

__attribute__((used, noinline, no_stack_protector)) static _Noreturn void
worker_main(uint64_t number) {
    unsigned order;
    while ((order = atomic_load(&hostile.order)) == 0) {
        barrier_pause();
    }
    atomic_store(&hostile.is_done[number], 1);
    switch (order) {
    case HOSTILE_WORKER_WAIT:
        (void)engine_call(ENGINE_CALL_WAIT, 0, 0);
        break;
    case HOSTILE_WORKER_CALL:
        (void)engine_call(hostile.argument, 0, 0);
        break;
    case HOSTILE_WORKER_FAULT:
        fault(hostile.argument);
        break;
    case HOSTILE_STORM:
        storm(hostile.argument);
    case HOSTILE_RACE:
        race(number);
    case HOSTILE_MARK_ALL:
        mark_registers();
    case HOSTILE_RUN:
        run_code();
        break;
    default:
        break;
    }
    spin();
}

#define KEPT(member) "i"(offsetof(hostile_processor, member))

/* Keeps what the registers are, by FS; then worker_main. */
__attribute__((naked, used)) static void worker_start(void) {
    __asm__ volatile("mov %%rax, %%fs:%c0+0; mov %%rcx, %%fs:%c0+8; mov %%rdx, %%fs:%c0+16;"
                     "mov %%rbx, %%fs:%c0+24; mov %%rsp, %%fs:%c0+32; mov %%rbp, %%fs:%c0+40;"
                     "mov %%rsi, %%fs:%c0+48; mov %%rdi, %%fs:%c0+56; mov %%r8, %%fs:%c0+64;"
                     "mov %%r9, %%fs:%c0+72; mov %%r10, %%fs:%c0+80; mov %%r11, %%fs:%c0+88;"
                     "mov %%r12, %%fs:%c0+96; mov %%r13, %%fs:%c0+104; mov %%r14, %%fs:%c0+112;"
                     "mov %%r15, %%fs:%c0+120; pushfq; pop %%rax; mov %%rax, %%fs:%c1;"
                     "mov $-1, %%eax; mov $-1, %%edx; xsave %%fs:%c2; cld; jmp worker_main"
                     :
                     : KEPT(general), KEPT(flags), KEPT(vectors));
}

/* READY; what the registers are when it returns in a new machine is kept. */
NEVER_CHECKED static void be_ready(uint64_t address) {
    hostile_processor *first = hostile.processors;
    __asm__ volatile("syscall;"
                     "mov %%rax, %c2+0; mov %%rcx, %c2+8; mov %%rdx, %c2+16; mov %%rbx, %c2+24;"
                     "mov %%rsp, %c2+32; mov %%rbp, %c2+40; mov %%rsi, %c2+48; mov %%rdi, %c2+56;"
                     "mov %%r8, %c2+64; mov %%r9, %c2+72; mov %%r10, %c2+80; mov %%r11, %c2+88;"
                     "mov %%r12, %c2+96; mov %%r13, %c2+104; mov %%r14, %c2+112;"
                     "mov %%r15, %c2+120; pushfq; pop %%rax; mov %%rax, %c3;"
                     "mov $-1, %%eax; mov $-1, %%edx; xsave %c4"
                     :
                     : "a"((uint64_t)ENGINE_CALL_READY), "D"(address),
                       "i"(&hostile.processors[0].general), "i"(&hostile.processors[0].flags),
                       "i"(&hostile.processors[0].vectors)
                     : "rdx", "rcx", "r11", "memory");
    __asm__ volatile("movq %%fs:0x28, %0" : "=r"(hostile.canary));
    memcpy(hostile.random, (const void *)(uintptr_t)first->number, sizeof hostile.random);
}

/* ---- requests ------------------------------------------------------------------------------ */

static void order(unsigned what, uint64_t argument) {
    hostile.argument = argument;
    atomic_store(&hostile.order, what);
}

static void wait_for_workers(void) {
    for (uint64_t i = 1; i < hostile.settings.n_workers; i++) {
        while (atomic_load(&hostile.is_done[i]) == 0) {
            barrier_pause();
        }
    }
}

static void serve_ring(unsigned what, uint64_t a) {
    switch (what) {
    case HOSTILE_INDEX:
        atomic_store(&area->to_host.written, (unsigned)a);
        break;
    case HOSTILE_READ:
        atomic_store(&area->to_guest.read, (unsigned)a);
        break;
    case HOSTILE_TO_GUEST:
        atomic_store(&area->to_guest.written, (unsigned)a);
        break;
    case HOSTILE_FRAME: {
        wire_frame frame = {.size_bytes = (uint32_t)(a >> 32), .kind = (uint16_t)a};
        frame.reserved = (uint16_t)(a >> 16);
        put(&frame, sizeof frame);
        put(filler, 60000);
        break;
    }
    case HOSTILE_RESULT_MEMORY:
        send_token(0);
        send_result(a, 1);
        break;
    case HOSTILE_RESULT_TOKENS:
        send_token(0);
        send_result(0, (uint32_t)a);
        break;
    case HOSTILE_TOKEN:
        send_token((int32_t)a);
        break;
    case HOSTILE_TEXT:
        send(WIRE_TEXT, "\xff\xfe text", (uint32_t)a);
        break;
    case HOSTILE_LOG:
        for (;;) {
            send(WIRE_LOG, "log", 3);
        }
    case HOSTILE_PROGRESS: {
        wire_progress progress = {a, a};
        send(WIRE_PROGRESS, &progress, sizeof progress);
        break;
    }
    case HOSTILE_ERROR:
        send_error((uint32_t)a);
        break;
    case HOSTILE_ERROR_FAULT:
        send_error((uint32_t)a);
        fault(0);
        break;
    case HOSTILE_ANSWER_FAULT:
        answer();
        fault(0);
        break;
    case HOSTILE_RACE:
        order(what, 0);
        race(99);
    default:
        return;
    }
    for (;;) { /* the host knows what to do */
        (void)engine_call(ENGINE_CALL_WAIT, atomic_load(&area->to_guest.written),
                          atomic_load(&area->to_host.read));
    }
}

static void serve_processor(unsigned what, uint64_t a) {
    switch (what) {
    case HOSTILE_STORE:
        *(volatile uint8_t *)(uintptr_t)a = 1;
        break;
    case HOSTILE_LOAD:
        (void)*(volatile uint8_t *)(uintptr_t)a;
        break;
    case HOSTILE_JUMP:
        jump(a);
        break;
    case HOSTILE_JUMP_STACK: {
        volatile uint8_t returns[16] = {0xC3, 0xC3};
        jump((uint64_t)(uintptr_t)returns);
        break;
    }
    case HOSTILE_STACK_AT:
        stack_at(a);
        break;
    case HOSTILE_FAULT:
        fault(a);
        break;
    case HOSTILE_SPIN:
        order(what, 0);
        spin();
    case HOSTILE_STORM:
        order(what, a);
        storm(a);
    case HOSTILE_RETURN:
        call_by_port(a);
        break;
    case HOSTILE_FLAGS:
        hostile.flags = try_flags();
        break;
    case HOSTILE_MARK_ALL:
        mark_memory(a);
        order(what, 0);
        wait_for_workers();
        answer();
        mark_registers();
    case HOSTILE_MEET:
        order(what, 0);
        wait_for_workers();
        break;
    case HOSTILE_LOOK:
        hostile.marks = look();
        break;
    case HOSTILE_RUN:
        if ((a & 1) != 0) {
            order(what, 0);
        }
        run_code();
        break;
    default:
        break;
    }
}

static void serve_call(unsigned what, uint64_t a) {
    switch (what) {
    case HOSTILE_CALL:
        (void)engine_call(a, 0x1234, 0x5678);
        break;
    case HOSTILE_PARK:
        (void)engine_call(ENGINE_CALL_PARK, a, 0xFEDCBA98);
        break;
    case HOSTILE_SLEEP:
        (void)engine_call(ENGINE_CALL_PARK, (uint64_t)(uintptr_t)&hostile.order, 0);
        break;
    case HOSTILE_WAKE:
        (void)engine_call(ENGINE_CALL_WAKE, a, ~(uint64_t)0);
        break;
    case HOSTILE_WAIT:
        (void)engine_call(ENGINE_CALL_WAIT, a, ~(uint64_t)0);
        break;
    case HOSTILE_WORKER_WAIT:
    case HOSTILE_WORKER_CALL:
    case HOSTILE_WORKER_FAULT:
        order(what, a);
        spin();
    default:
        break;
    }
}

NEVER_CHECKED static _Noreturn void serve_all(void) {
    wire_request request = {.kind = 0};
    for (;;) {
        take_request(&request);
        uint64_t argument = request.top_k | (uint64_t)request.n_context << 32;
        serve_call((unsigned)request.seed, argument);
        serve_ring((unsigned)request.seed, argument);
        serve_processor((unsigned)request.seed, argument);
        answer();
    }
}

/* ---- before it is ready -------------------------------------------------------------------- */

static void forge_vector(char **arguments, bool is_whole) {
    uint64_t *word = (uint64_t *)(void *)arguments;
    for (unsigned n = 0; n < 2; word++) {
        n += *word == 0;
    }
    for (; word[0] != 0; word += 2) {
        if (is_whole) {
            word[0] = 1;
        } else if (word[0] == AT_RANDOM) {
            word[1] = boot.argument;
        }
    }
}

static void try_all_calls(void) {
    for (long n = 0; n < 1024; n++) {
        if (n != SYS_exit && n != SYS_exit_group && n != SYS_nanosleep && n != SYS_pause &&
            n != SYS_clock_nanosleep && n != SYS_kill && n != SYS_tkill && n != SYS_tgkill &&
            n != SYS_futex && n != SYS_poll && n != SYS_ppoll && n != SYS_select &&
            n != SYS_pselect6 && n != SYS_rt_sigreturn && n != SYS_arch_prctl &&
            n != SYS_rt_sigtimedwait && n != SYS_rt_sigsuspend && n != SYS_munmap &&
            n != SYS_mprotect && n != SYS_epoll_wait && n != SYS_epoll_pwait && n != SYS_brk) {
            (void)syscall(n, -1, -1, -1, -1, -1, -1);
        }
    }
}

static void misbehave(char **arguments) {
    switch (boot.what) {
    case HOSTILE_BOOT_ERROR:
        send_error((uint32_t)boot.argument);
        break;
    case HOSTILE_BOOT_FRAME:
        send((unsigned)boot.argument, filler, 1000);
        break;
    case HOSTILE_BOOT_RANDOM:
    case HOSTILE_BOOT_NO_VECTOR:
        forge_vector(arguments, boot.what == HOSTILE_BOOT_NO_VECTOR);
        break;
    case HOSTILE_BOOT_EXIT:
        _exit((int)boot.argument);
    case HOSTILE_BOOT_FAULT:
        fault(boot.argument);
        break;
    case HOSTILE_BOOT_NEVER:
        spin();
    case HOSTILE_BOOT_WAITS:
        storm(ENGINE_CALL_WAIT);
    case HOSTILE_BOOT_SLEEPS:
        (void)sleep(1000);
        break;
    case HOSTILE_BOOT_CALLS:
        try_all_calls();
        break;
    case HOSTILE_BOOT_LOW:
        (void)mmap((void *)0x200000, PAGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        break;
    case HOSTILE_BOOT_RETURN:
        call_by_port(boot.argument);
        break;
    default:
        break;
    }
}

static void forge_ready(void) {
    uint64_t *const members[] = {[HOSTILE_BOOT_SETTINGS] = &ready.settings,
                                 [HOSTILE_BOOT_STACKS] = &ready.stacks,
                                 [HOSTILE_BOOT_STACK_BYTES] = &ready.stack_bytes,
                                 [HOSTILE_BOOT_THREADS] = &ready.threads,
                                 [HOSTILE_BOOT_THREAD_BYTES] = &ready.thread_bytes,
                                 [HOSTILE_BOOT_ENTRY] = &ready.worker_entry};
    if (boot.what < sizeof members / sizeof members[0] && members[boot.what]) {
        *members[boot.what] = boot.argument;
    }
}

NEVER_CHECKED int main(int n_arguments, char **arguments) {
    (void)n_arguments;
    ready = (engine_ready){.settings = (uint64_t)(uintptr_t)&hostile.settings,
                           .worker_entry = (uint64_t)(uintptr_t)worker_start,
                           .stacks = (uint64_t)(uintptr_t)stacks + STACK_BYTES - 8,
                           .stack_bytes = STACK_BYTES / 2,
                           .threads = (uint64_t)(uintptr_t)hostile.processors,
                           .thread_bytes = sizeof(hostile_processor)};
    hostile.processors[0].number = getauxval(AT_RANDOM);
    hostile.code_at = (uint64_t)(uintptr_t)code;
    hostile.registers_at = (uint64_t)(uintptr_t)filler;
    (void)mprotect(code, sizeof code, PROT_READ | PROT_EXEC);
    misbehave(arguments);
    if (boot.what != HOSTILE_BOOT_SILENT) {
        greet((unsigned)boot.what);
    }
    if (boot.what == HOSTILE_BOOT_TWICE) {
        greet(0);
    } else if (boot.what == HOSTILE_BOOT_INDEX) {
        atomic_store(&area->to_host.written, (unsigned)boot.argument);
    } else if (boot.what == HOSTILE_BOOT_READ) {
        atomic_store(&area->to_host.read, (unsigned)boot.argument);
    }
    while (boot.what != HOSTILE_BOOT_SILENT && engine_call(ENGINE_CALL_WAIT, 0, 0) != 0) {
    }
    if (boot.what == HOSTILE_BOOT_UNMAP) {
        (void)munmap((void *)((uintptr_t)&hostile & ~(uintptr_t)(PAGE - 1)), PAGE);
    }
    forge_ready();
    be_ready(boot.what == HOSTILE_BOOT_READY_AT ? boot.argument : (uint64_t)(uintptr_t)&ready);
    serve_all();
}
