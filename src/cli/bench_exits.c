/* A machine of a few instructions: what it costs to leave it, and what a message through memory
 * takes that both sides look at all the time. */
#include "cli/bench_engines.h"
#include "platform/vmm.h"
#include "runtime/microvm/entry.h"
#include "runtime/microvm/machine.h"
#include "runtime/microvm/pages.h"

#include <stdlib.h>
#include <string.h>

enum {
    RAM_BYTES = 1 << 20,
    CODE_AT = 0x10000,
    RING_AT = 0x20000,
    STACK_TOP = 0x30000,
    LINE_BYTES = 64,
    RING_CODE_AT = 16
};
static const uint64_t SLICE_NS = 1000000000;
static const uint64_t ANSWER_LIMIT_NS = 1000000000;

/* Calls the host for ever; and, RING_CODE_AT bytes behind, answers what is written at RDI with the
 * same a line behind it:
 *
 *   0:  syscall             16: mov eax, [rdi]
 *       jmp 0                   cmp eax, [rdi+64]
 *                               je 16
 *                               mov [rdi+64], eax
 *                               jmp 16 */
static const uint8_t code[] = {0x0F, 0x05, 0xEB, 0xFC, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90,
                               0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x8B, 0x07, 0x3B, 0x47,
                               0x40, 0x74, 0xF9, 0x89, 0x47, 0x40, 0xEB, 0xF4};

typedef struct subject {
    const vmm_functions *vmm;
    vmm_machine *machine;
    vmm_processor *processor;
    pages pages;
    uint8_t *ram;
    tars_status status; /* of the thread that runs it */
    tars_error error;
    atomic_uint is_attached, is_ending; /* gates */
} subject;

static void end(subject *s) {
    if (s->processor) {
        s->vmm->processor_destroy(s->processor);
    }
    if (s->machine) {
        s->vmm->destroy(s->machine);
    }
    pages_destroy(&s->pages);
    if (s->ram) {
        platform_release(s->ram, RAM_BYTES);
    }
}

static tars_status begin(subject *s, tars_error *err) {
    void *ram = NULL;
    *s = (subject){.vmm = platform_vmm()};
    tars_status status = machine_probe(err);
    if (status == TARS_OK) {
        status = platform_reserve(RAM_BYTES, false, &ram, err);
        s->ram = ram;
    }
    if (status == TARS_OK) {
        memcpy(s->ram + CODE_AT, code, sizeof code);
        status = pages_create(RAM_BYTES, 1, &s->pages, err);
    }
    if (status == TARS_OK) {
        (void)pages_set(&s->pages, CODE_AT / PAGE_BYTES, 1, PAGE_READ | PAGE_EXECUTE);
        (void)pages_set(&s->pages, RING_AT / PAGE_BYTES, 1, PAGE_READ | PAGE_WRITE);
        status = s->vmm->create(&s->machine, err);
    }
    if (status == TARS_OK) {
        status = s->vmm->map(s->machine, 0, 0, s->ram, RAM_BYTES, false, err);
    }
    if (status == TARS_OK) {
        status = s->vmm->map(s->machine, 1, SYSTEM_ADDRESS, s->pages.memory, s->pages.size_bytes,
                             false, err);
    }
    return status == TARS_OK ? s->vmm->processor_create(s->machine, &s->processor, err) : status;
}

static tars_status start(subject *s, uint64_t rip, tars_error *err) {
    vmm_tables tables;
    pages_tables(&s->pages, 0, &tables);
    tars_status status = s->vmm->attach(s->processor, err);
    if (status == TARS_OK) {
        status = s->vmm->start(s->processor, &tables, rip, STACK_TOP, err);
        s->vmm->registers(s->processor)->general[VMM_RDI] = RING_AT;
    }
    return status;
}

/* ---- leaving ------------------------------------------------------------------------------- */

static tars_status one_exit(subject *s, double *out, tars_error *err) {
    vmm_exit e;
    uint64_t begin_ns = platform_clock_ns();
    tars_status status = s->vmm->run(s->processor, SLICE_NS, &e, err);
    *out = (double)(platform_clock_ns() - begin_ns) / 1e3;
    if (status == TARS_OK && (e.kind != VMM_EXIT_PORT || e.port != PORT_CALL ||
                              !entry_return(s->vmm->registers(s->processor), &e, 0))) {
        status = error_set(err, TARS_FAILED, "the machine that is measured failed");
    }
    return status;
}

static tars_status measure_exits(subject *s, unsigned count, double *samples, tars_error *err) {
    tars_status status = start(s, CODE_AT, err);
    double unused;
    for (unsigned i = 0; i < 3 && status == TARS_OK; i++) {
        status = one_exit(s, &unused, err);
    }
    for (unsigned i = 0; i < count && status == TARS_OK; i++) {
        status = one_exit(s, &samples[i], err);
    }
    s->vmm->detach(s->processor);
    return status;
}

/* ---- messages ------------------------------------------------------------------------------ */

static void run_ring(void *argument) {
    subject *s = argument;
    s->status = start(s, CODE_AT + RING_CODE_AT, &s->error);
    atomic_store(&s->is_attached, 1);
    platform_gate_wake_all(&s->is_attached);
    while (s->status == TARS_OK && !atomic_load(&s->is_ending)) {
        vmm_exit e;
        s->status = s->vmm->run(s->processor, SLICE_NS, &e, &s->error);
        if (s->status == TARS_OK && e.kind != VMM_EXIT_KICKED) {
            s->status = error_set(&s->error, TARS_FAILED, "the machine that is measured failed");
        }
    }
    s->vmm->detach(s->processor);
}

static tars_status one_answer(subject *s, unsigned value, double *out, tars_error *err) {
    atomic_uint *question = (atomic_uint *)(void *)(s->ram + RING_AT);
    atomic_uint *answer = (atomic_uint *)(void *)(s->ram + RING_AT + LINE_BYTES);
    uint64_t begin_ns = platform_clock_ns();
    atomic_store_explicit(question, value, memory_order_release);
    for (unsigned i = 1; atomic_load_explicit(answer, memory_order_acquire) != value; i++) {
        if (i % 4096 == 0 && platform_clock_ns() - begin_ns > ANSWER_LIMIT_NS) {
            return error_set(err, TARS_TIMEOUT, "the machine that is measured does not answer");
        }
    }
    *out = (double)(platform_clock_ns() - begin_ns) / 1e3;
    return TARS_OK;
}

static tars_status measure_messages(subject *s, unsigned count, double *samples, tars_error *err) {
    platform_thread thread;
    tars_status status = platform_thread_create("tars-bench", run_ring, s, &thread, err);
    if (status != TARS_OK) {
        return status;
    }
    while (!atomic_load(&s->is_attached)) {
        (void)platform_gate_wait(&s->is_attached, 0, PLATFORM_FOREVER);
    }
    double unused;
    for (unsigned i = 1; i <= 10 && status == TARS_OK; i++) {
        status = one_answer(s, i, &unused, err);
    }
    for (unsigned i = 0; i < count && status == TARS_OK; i++) {
        status = one_answer(s, i + 100, &samples[i], err);
    }
    atomic_store(&s->is_ending, 1);
    s->vmm->kick(s->processor);
    platform_thread_join(&thread);
    if (s->status != TARS_OK) {
        *err = s->error;
        status = s->status;
    }
    return status;
}

tars_status bench_exits(const bench_plan *plan, bench_report *out, tars_error *err) {
    double *samples = calloc(BENCH_MAX_SAMPLES, sizeof *samples);
    if (!samples) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the samples");
    }
    subject s;
    tars_status status = begin(&s, err);
    if (status == TARS_OK) {
        status = measure_exits(&s, plan->count, samples, err);
    }
    if (status == TARS_OK) {
        bench_add_result(out, "microvm_exit_us", "us", samples, plan->count, 1);
        status = platform_cpu_count() > 1
                     ? measure_messages(&s, plan->count, samples, err)
                     : error_set(err, TARS_UNAVAILABLE, "it takes two processors");
        status = status == TARS_UNAVAILABLE
                     ? bench_leave_out(out, "microvm_message_us", err)
                     : (bench_add_result(out, "microvm_message_us", "us", samples, plan->count, 1),
                        status);
    }
    end(&s);
    free(samples);
    return status;
}
