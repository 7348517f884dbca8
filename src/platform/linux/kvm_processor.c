/* A virtual processor of KVM: made, set up, run and ended. */
#include "platform/vmm.h"

#if defined(__x86_64__)

#include "platform/linux/kvm.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_CPUID_ENTRIES = 256 };

/* Bits of control registers (AMD64 Architecture Programmer's Manual, volume 2, chapter 3). */
enum {
    CR0_PE = 1 << 0,
    CR0_MP = 1 << 1,
    CR0_ET = 1 << 4,
    CR0_NE = 1 << 5,
    CR0_WP = 1 << 16,
    CR0_AM = 1 << 18,
    CR4_TSD = 1 << 2,
    CR4_PAE = 1 << 5,
    CR4_OSFXSR = 1 << 9,
    CR4_OSXMMEXCPT = 1 << 10,
    CR4_OSXSAVE = 1 << 18,
    EFER_SCE = 1 << 0,
    EFER_LME = 1 << 8,
    EFER_LMA = 1 << 10,
    EFER_NXE = 1 << 11
};
#define CR0_PG ((uint64_t)1 << 31)
#define MSR_STAR 0xC0000081u
#define MSR_LSTAR 0xC0000082u
#define MSR_SFMASK 0xC0000084u
enum { FLAGS_CLEARED_BY_SYSCALL = 0x47700 /* TF IF DF IOPL NT AC */ };

/* ---- making it --------------------------------------------------------------------------- */

/* What processors may say of themselves is asked for once: it takes as long as making one. */
static union {
    struct kvm_cpuid2 head;
    uint8_t bytes[sizeof(struct kvm_cpuid2) + MAX_CPUID_ENTRIES * sizeof(struct kvm_cpuid_entry2)];
} features;
static uint64_t vector_states; /* bits of XCR0 */
static bool has_features;      /* under the lock */
static pthread_mutex_t features_lock = PTHREAD_MUTEX_INITIALIZER;

static bool find_features(int system) {
    (void)pthread_mutex_lock(&features_lock);
    if (!has_features) {
        features.head.nent = MAX_CPUID_ENTRIES;
        has_features = kvm_ioctl(system, KVM_GET_SUPPORTED_CPUID, &features) == 0;
        vector_states = 3; /* x87 and SSE */
        for (uint32_t i = 0; has_features && i < features.head.nent; i++) {
            struct kvm_cpuid_entry2 e;
            memcpy(&e, features.bytes + sizeof(struct kvm_cpuid2) + i * sizeof e, sizeof e);
            if (e.function == 0xD && e.index == 0) {
                vector_states = e.eax | (uint64_t)e.edx << 32;
            }
        }
    }
    bool found = has_features;
    (void)pthread_mutex_unlock(&features_lock);
    return found;
}

static tars_status set_features(const vmm_processor *p, tars_error *err) {
    if (!find_features(p->machine->system) || kvm_ioctl(p->cpu, KVM_SET_CPUID2, &features) != 0) {
        return kvm_fail(err, "cannot set the features of a virtual processor");
    }
    enum { X87_SSE_AVX_AVX512 = 0xE7 };
    struct kvm_xcrs xcrs = {.nr_xcrs = 1,
                            .xcrs = {{.xcr = 0, .value = vector_states & X87_SSE_AVX_AVX512}}};
    return kvm_ioctl(p->cpu, KVM_SET_XCRS, &xcrs) == 0
               ? TARS_OK
               : kvm_fail(err, "cannot switch vector registers on in a virtual processor");
}

static tars_status make_processor(vmm_processor *p, tars_error *err) {
    const vmm_machine *m = p->machine;
    int run_bytes = kvm_ioctl(m->system, KVM_GET_VCPU_MMAP_SIZE, NULL);
    do { /* its argument is a number */
        p->cpu = ioctl(m->vm, KVM_CREATE_VCPU, m->n_processors);
    } while (p->cpu < 0 && errno == EINTR);
    if (p->cpu < 0 || run_bytes < (int)sizeof(struct kvm_run)) {
        return kvm_fail(err, "cannot create a virtual processor");
    }
    p->run_bytes = (size_t)run_bytes;
    void *run = mmap(NULL, p->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, p->cpu, 0);
    if (run == MAP_FAILED) {
        return kvm_fail(err, "cannot map a virtual processor");
    }
    p->run = run;
    return set_features(p, err);
}

tars_status kvm_processor_create(vmm_machine *m, vmm_processor **out, tars_error *err) {
    *out = NULL;
    if (m->n_processors == VMM_MAX_PROCESSORS) {
        return error_set(err, TARS_LIMIT, "a virtual machine of more than %d processors",
                         (int)VMM_MAX_PROCESSORS);
    }
    vmm_processor *p = calloc(1, sizeof *p);
    if (!p) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a virtual processor");
    }
    (void)pthread_mutex_init(&p->lock, NULL);
    p->machine = m;
    p->cpu = -1;
    tars_status status = make_processor(p, err);
    if (status != TARS_OK) {
        kvm_processor_destroy(p);
        return status;
    }
    m->n_processors++;
    *out = p;
    return TARS_OK;
}

void kvm_processor_destroy(vmm_processor *p) {
    if (!p) {
        return;
    }
    if (p->run) {
        (void)munmap(p->run, p->run_bytes);
    }
    if (p->cpu >= 0) {
        (void)close(p->cpu);
    }
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}

/* ---- setting it up ----------------------------------------------------------------------- */

static struct kvm_segment segment(uint16_t selector, uint8_t type, uint8_t privilege,
                                  bool is_code) {
    return (struct kvm_segment){.limit = 0xFFFFFFFF,
                                .selector = selector,
                                .type = type,
                                .present = 1,
                                .dpl = privilege,
                                .db = !is_code,
                                .s = 1,
                                .l = is_code,
                                .g = 1};
}

enum { SEGMENT_CODE = 11, SEGMENT_DATA = 3, SEGMENT_BUSY_TASK = 11 };

static void set_user_segments(struct kvm_sregs *s, const vmm_tables *t) {
    s->cs = segment(t->user_code, SEGMENT_CODE, 3, true);
    s->ss = segment(t->user_data, SEGMENT_DATA, 3, false);
}

static void set_system(struct kvm_sregs *s, const vmm_tables *t) {
    set_user_segments(s, t);
    s->ds = s->es = s->fs = s->gs = s->ss;
    s->tr = (struct kvm_segment){.base = t->tss,
                                 .limit = t->tss_bytes - 1,
                                 .selector = t->task,
                                 .type = SEGMENT_BUSY_TASK,
                                 .present = 1};
    /* a processor begins with a local table of 64 KiB at address 0, which would be the guest's */
    s->ldt = (struct kvm_segment){.unusable = 1};
    s->gdt = (struct kvm_dtable){.base = t->gdt, .limit = (uint16_t)(t->gdt_bytes - 1)};
    s->idt = (struct kvm_dtable){.base = t->idt, .limit = (uint16_t)(t->idt_bytes - 1)};
    s->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
    s->cr3 = t->page_table;
    s->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | (t->hides_time ? CR4_TSD : 0);
    s->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
}

static tars_status set_call_entry(const vmm_processor *p, const vmm_tables *t, tars_error *err) {
    enum { N_MSRS = 3 };
    union {
        struct kvm_msrs head;
        uint8_t bytes[sizeof(struct kvm_msrs) + N_MSRS * sizeof(struct kvm_msr_entry)];
    } msrs = {.head = {.nmsrs = N_MSRS}};
    /* SYSRET takes its selectors from the same register, 16 and 8 above this base */
    uint64_t star = (uint64_t)t->kernel_code << 32 | (uint64_t)(uint16_t)(t->user_code - 16) << 48;
    const struct kvm_msr_entry entries[N_MSRS] = {
        {.index = MSR_STAR, .data = star},
        {.index = MSR_LSTAR, .data = t->call_entry},
        {.index = MSR_SFMASK, .data = FLAGS_CLEARED_BY_SYSCALL},
    };
    memcpy(msrs.bytes + sizeof(struct kvm_msrs), entries, sizeof entries);
    return kvm_ioctl(p->cpu, KVM_SET_MSRS, &msrs) == N_MSRS
               ? TARS_OK
               : kvm_fail(err, "cannot set where SYSCALL leads");
}

/* What a program may have left in registers that are not set by each start. */
static tars_status forget(const vmm_processor *p, tars_error *err) {
    /* legacy state as FNINIT and the manuals' reset leave it; no bits for the rest: all zero */
    static struct kvm_xsave vectors = {
        .region = {[0] = 0x037F, [6] = 0x1F80, [128] = 3 /* x87 and SSE */}};
    static struct kvm_debugregs debug = {.dr6 = 0xFFFF0FF0, .dr7 = 0x400};
    static struct kvm_vcpu_events events = {.flags = KVM_VCPUEVENT_VALID_NMI_PENDING |
                                                     KVM_VCPUEVENT_VALID_SHADOW};
    bool done = kvm_ioctl(p->cpu, KVM_SET_XSAVE, &vectors) == 0 &&
                kvm_ioctl(p->cpu, KVM_SET_DEBUGREGS, &debug) == 0 &&
                kvm_ioctl(p->cpu, KVM_SET_VCPU_EVENTS, &events) == 0;
    return done ? TARS_OK : kvm_fail(err, "cannot clear a virtual processor");
}

tars_status kvm_start(vmm_processor *p, const vmm_tables *tables, uint64_t rip, uint64_t rsp,
                      tars_error *err) {
    struct kvm_sregs *system = &p->run->s.regs.sregs;
    tars_status status = kvm_settle(p, err);
    if (status != TARS_OK) {
        return status;
    }
    if (kvm_ioctl(p->cpu, KVM_GET_SREGS, system) != 0) {
        return kvm_fail(err, "cannot read a virtual processor");
    }
    set_system(system, tables);
    if (kvm_ioctl(p->cpu, KVM_SET_SREGS, system) != 0) {
        return kvm_fail(err, "cannot set up a virtual processor");
    }
    status = set_call_entry(p, tables, err);
    if (status == TARS_OK && p->was_started) {
        status = forget(p, err);
    }
    p->was_started = true;
    p->hides_time = tables->hides_time;
    p->call_entry = tables->call_entry;
    p->registers = (vmm_registers){.rip = rip, .rflags = 2};
    p->registers.general[VMM_RSP] = rsp;
    p->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
    p->dirty = 0;
    return status;
}

vmm_registers *kvm_registers(vmm_processor *p) {
    return &p->registers;
}

/* Ours are in the order of instructions, the kernel's are not. */
void kvm_move_registers(vmm_registers *own, struct kvm_regs *theirs, bool to_kernel) {
    __u64 *const order[VMM_GENERAL] = {&theirs->rax, &theirs->rcx, &theirs->rdx, &theirs->rbx,
                                       &theirs->rsp, &theirs->rbp, &theirs->rsi, &theirs->rdi,
                                       &theirs->r8,  &theirs->r9,  &theirs->r10, &theirs->r11,
                                       &theirs->r12, &theirs->r13, &theirs->r14, &theirs->r15};
    for (int i = 0; i < VMM_GENERAL; i++) {
        if (to_kernel) {
            *order[i] = own->general[i];
        } else {
            own->general[i] = *order[i];
        }
    }
    if (to_kernel) {
        theirs->rip = own->rip;
        theirs->rflags = own->rflags;
    } else {
        own->rip = theirs->rip;
        own->rflags = theirs->rflags;
    }
}

/* The system registers that lie in shared memory are as of the last exit. */
void kvm_set_segment_bases(vmm_processor *p, uint64_t fs, uint64_t gs) {
    p->run->s.regs.sregs.fs.base = fs;
    p->run->s.regs.sregs.gs.base = gs;
    p->dirty |= KVM_SYNC_X86_SREGS;
}

void kvm_to_user(vmm_processor *p, const vmm_tables *tables) {
    set_user_segments(&p->run->s.regs.sregs, tables);
    p->dirty |= KVM_SYNC_X86_SREGS;
}

void kvm_set_page_table(vmm_processor *p, uint64_t page_table) {
    p->run->s.regs.sregs.cr3 = page_table;
    p->dirty |= KVM_SYNC_X86_SREGS;
}

/* ---- vector registers --------------------------------------------------------------------- */

/* Where the last part ends that a guest has (AMD64 Architecture Programmer's Manual, volume 2,
 * section 11.5, and what Intel's processors have in place of it: the larger of both). */
static size_t vector_bytes(void) {
    enum { AVX = 4, AVX512 = 0xE0, LEGACY_BYTES = 576, AVX_BYTES = 832, AVX512_BYTES = 2688 };
    return (vector_states & AVX512) != 0 ? AVX512_BYTES
           : (vector_states & AVX) != 0  ? AVX_BYTES
                                         : LEGACY_BYTES;
}

size_t kvm_get_vectors(vmm_processor *p, uint8_t *out, size_t capacity) {
    struct kvm_xsave vectors;
    size_t length = vector_bytes();
    if (capacity < length || kvm_ioctl(p->cpu, KVM_GET_XSAVE, &vectors) != 0) {
        return 0;
    }
    memcpy(out, vectors.region, length);
    return length;
}

bool kvm_set_vectors(vmm_processor *p, const uint8_t *bytes, size_t length) {
    struct kvm_xsave vectors;
    if (length > sizeof vectors.region) {
        return false;
    }
    memset(&vectors, 0, sizeof vectors);
    memcpy(vectors.region, bytes, length);
    return kvm_ioctl(p->cpu, KVM_SET_XSAVE, &vectors) == 0;
}

/* ---- the clock --------------------------------------------------------------------------- */

/* Of this thread: while processors are attached to it, their signal is blocked. */
static _Thread_local unsigned n_attached;
static _Thread_local bool was_blocked; /* before the first */

static void tick_set(sigset_t *out) {
    (void)sigemptyset(out);
    (void)sigaddset(out, kvm_tick_signal());
}

/* While it runs, the signals of `before` are blocked, but for the tick. */
static bool set_run_mask(const vmm_processor *p, const sigset_t *before) {
    sigset_t open = *before;
    (void)sigdelset(&open, kvm_tick_signal());
    enum { MASK_BYTES = 8 }; /* as the kernel has them */
    union {
        struct kvm_signal_mask head;
        uint8_t bytes[sizeof(struct kvm_signal_mask) + MASK_BYTES];
    } mask = {.head = {.len = MASK_BYTES}};
    memcpy(mask.bytes + sizeof(struct kvm_signal_mask), &open, MASK_BYTES);
    return kvm_ioctl(p->cpu, KVM_SET_SIGNAL_MASK, &mask) == 0;
}

static void unblock_tick(void) {
    sigset_t tick;
    tick_set(&tick);
    if (--n_attached == 0 && !was_blocked) {
        (void)pthread_sigmask(SIG_UNBLOCK, &tick, NULL);
    }
}

/* A signal that is blocked in this thread but while the processor runs ends a run without any
 * handler. */
tars_status kvm_attach(vmm_processor *p, tars_error *err) {
    sigset_t tick, before;
    tick_set(&tick);
    (void)pthread_sigmask(SIG_BLOCK, &tick, &before);
    if (n_attached++ == 0) {
        was_blocked = sigismember(&before, kvm_tick_signal()) == 1;
    }
    if (!set_run_mask(p, &before)) {
        unblock_tick();
        return kvm_fail(err, "cannot set the signals of a virtual processor");
    }
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = kvm_tick_signal()};
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) {
        unblock_tick();
        return kvm_fail(err, "cannot make a timer for a virtual machine");
    }
    (void)pthread_mutex_lock(&p->lock);
    p->timer = timer;
    p->thread = pthread_self();
    p->is_attached = true;
    (void)pthread_mutex_unlock(&p->lock);
    return TARS_OK;
}

/* Takes ticks away that came late. */
static void drain_ticks(void) {
    sigset_t tick;
    const struct timespec now = {0, 0};
    tick_set(&tick);
    while (sigtimedwait(&tick, NULL, &now) > 0) {
    }
}

void kvm_detach(vmm_processor *p) {
    (void)pthread_mutex_lock(&p->lock);
    bool was_attached = p->is_attached;
    p->is_attached = false;
    (void)pthread_mutex_unlock(&p->lock);
    if (was_attached) {
        (void)timer_delete(p->timer);
        drain_ticks();
        unblock_tick();
    }
}

static void set_clock(const vmm_processor *p, uint64_t slice_ns) {
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(slice_ns / 1000000000),
                                           .tv_nsec = (long)(slice_ns % 1000000000)}};
    (void)timer_settime(p->timer, 0, &when, NULL);
}

/* ---- running ----------------------------------------------------------------------------- */

static bool in_supervisor(const vmm_processor *p) {
    return (p->run->s.regs.sregs.cs.selector & 3) == 0;
}

static void take_exit(const vmm_processor *p, vmm_exit *out) {
    const struct kvm_run *run = p->run;
    *out = (vmm_exit){.kind = VMM_EXIT_OTHER,
                      .in_supervisor = in_supervisor(p),
                      .faulted = run->s.regs.sregs.cr2,
                      .detail = run->exit_reason};
    if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_OUT &&
        run->io.count == 1 && run->io.size == 1) {
        out->kind = VMM_EXIT_PORT;
        out->port = run->io.port;
    } else if (run->exit_reason == KVM_EXIT_MMIO) {
        out->kind = VMM_EXIT_MEMORY;
        out->address = run->mmio.phys_addr;
    } else if (run->exit_reason == KVM_EXIT_SHUTDOWN) {
        out->kind = VMM_EXIT_SHUTDOWN;
    }
}

/* One run that goes no further than the instruction of the last exit. False: the kernel asks for
 * more of it. */
static bool end_instruction(vmm_processor *p) {
    kvm_move_registers(&p->registers, &p->run->s.regs.regs, true);
    p->run->kvm_dirty_regs = KVM_SYNC_X86_REGS | p->dirty;
    p->dirty = 0;
    (void)pthread_mutex_lock(&p->lock); /* a kick stays one */
    uint8_t was_kicked = __atomic_exchange_n(&p->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    int result = ioctl(p->cpu, KVM_RUN, 0);
    int number = errno;
    __atomic_store_n(&p->run->immediate_exit, was_kicked, __ATOMIC_SEQ_CST);
    (void)pthread_mutex_unlock(&p->lock);
    kvm_move_registers(&p->registers, &p->run->s.regs.regs, false);
    return result != 0 && number == EINTR;
}

/* The kernel goes beyond the instruction of an exit only when it runs again, and only if the
 * instruction pointer is still there. */
tars_status kvm_settle(vmm_processor *p, tars_error *err) {
    enum { MAX_PARTS = 16 }; /* what an instruction loads, changes and stores again, by pages */
    for (unsigned i = 0; p->is_unfinished && i < MAX_PARTS; i++) {
        p->is_unfinished = !end_instruction(p);
    }
    return p->is_unfinished
               ? error_set(err, TARS_FAILED, "a virtual processor does not end its instruction")
               : TARS_OK;
}

tars_status kvm_run(vmm_processor *p, uint64_t slice_ns, vmm_exit *out, tars_error *err) {
    enum { PAGE_SHIFT = 12 };
    if (in_supervisor(p) && p->registers.rip >> PAGE_SHIFT != p->call_entry >> PAGE_SHIFT) {
        return error_set(err, TARS_FAILED, "a virtual processor would run 0x%llx in ring 0",
                         (unsigned long long)p->registers.rip);
    }
    kvm_move_registers(&p->registers, &p->run->s.regs.regs, true);
    p->run->kvm_dirty_regs = KVM_SYNC_X86_REGS | p->dirty;
    p->dirty = 0;
    set_clock(p, slice_ns > 0 ? slice_ns : 1); /* 0 would be no clock */
    if (p->hides_time) { /* where the guest's CR4 is not the processor's, the thread's is */
        (void)prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0);
    }
    int result = ioctl(p->cpu, KVM_RUN, 0);
    int number = errno;
    if (p->hides_time) {
        (void)prctl(PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0);
    }
    set_clock(p, 0);
    if (result != 0 && number != EINTR && number != EAGAIN) {
        errno = number;
        return kvm_fail(err, "a virtual processor does not run");
    }
    kvm_move_registers(&p->registers, &p->run->s.regs.regs, false);
    p->is_unfinished = result == 0;
    if (result == 0) {
        take_exit(p, out);
    } else {
        drain_ticks();
        __atomic_store_n(&p->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
        *out = (vmm_exit){.kind = VMM_EXIT_KICKED, .in_supervisor = in_supervisor(p)};
    }
    return TARS_OK;
}

uint64_t kvm_ticks_per_ms(const vmm_processor *p) {
    int khz = kvm_ioctl(p->cpu, KVM_GET_TSC_KHZ, NULL);
    return khz > 0 ? (uint64_t)khz : 0;
}

void kvm_kick(vmm_processor *p) {
    (void)pthread_mutex_lock(&p->lock);
    __atomic_store_n(&p->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    if (p->is_attached) {
        (void)pthread_kill(p->thread, kvm_tick_signal());
    }
    (void)pthread_mutex_unlock(&p->lock);
}

#endif
