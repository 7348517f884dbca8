/* KVM (Documentation/virt/kvm/api.rst of the kernel), without an interrupt controller. */
#include "platform/internal.h"
#include "platform/vmm.h"

#if defined(__x86_64__)

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CPUID_ENTRIES = 256, API_VERSION = 12 };

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

struct vmm_machine {
    int system, vm, cpu;
    struct kvm_run *run;
    size_t run_bytes;
    int tick; /* the signal that ends runs, blocked but in them */
    timer_t timer;
    bool has_timer;
    bool is_masked;
    bool hides_time;
    vmm_registers registers;
    pthread_t thread;
};

/* Of this thread: while it has machines their signal is blocked. */
static _Thread_local unsigned n_machines;
static _Thread_local bool was_blocked; /* before the first */

static tars_status fail(tars_error *err, const char *what) {
    return platform_fail(err, errno, "/dev/kvm", "%s", what);
}

/* ---- being there ------------------------------------------------------------------------- */

static tars_status open_system(int *out, tars_error *err) {
    *out = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (*out < 0) {
        int number = errno;
        error_set(err, TARS_UNAVAILABLE, "runtime microvm is unavailable: %s",
                  number == ENOENT   ? "there is no /dev/kvm"
                  : number == EACCES ? "there is no permission on /dev/kvm"
                                     : "/dev/kvm cannot be opened");
        error_cause(err, "%s (errno %d)", strerror(number), number);
        return error_hint(err, number == EACCES
                                   ? "add the user to the group of /dev/kvm, usually kvm"
                                   : "switch virtualisation on in the firmware, or nested "
                                     "virtualisation on the host, and load kvm_intel or kvm_amd");
    }
    static const struct {
        int number;
        const char *name;
    } needed[] = {{KVM_CAP_USER_MEMORY, "user memory"},
                  {KVM_CAP_READONLY_MEM, "read-only memory"},
                  {KVM_CAP_IMMEDIATE_EXIT, "immediate exits"},
                  {KVM_CAP_SYNC_REGS, "registers in shared memory"},
                  {KVM_CAP_XCRS, "extended control registers"}};
    const char *lacks = ioctl(*out, KVM_GET_API_VERSION, 0) != API_VERSION ? "version 12" : NULL;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0] && !lacks; i++) {
        lacks = ioctl(*out, KVM_CHECK_EXTENSION, needed[i].number) > 0 ? NULL : needed[i].name;
    }
    if (lacks) {
        (void)close(*out);
        *out = -1;
        return error_set(err, TARS_UNAVAILABLE,
                         "runtime microvm is unavailable: this kernel's KVM lacks %s", lacks);
    }
    return TARS_OK;
}

static void kvm_destroy(vmm_machine *m) {
    if (!m) {
        return;
    }
    if (m->has_timer) {
        (void)timer_delete(m->timer);
    }
    if (m->run) {
        (void)munmap(m->run, m->run_bytes);
    }
    const int handles[] = {m->cpu, m->vm, m->system};
    for (size_t i = 0; i < sizeof handles / sizeof handles[0]; i++) {
        if (handles[i] >= 0) {
            (void)close(handles[i]);
        }
    }
    if (m->is_masked) { /* a tick that came late is taken away first */
        sigset_t tick;
        const struct timespec now = {0, 0};
        (void)sigemptyset(&tick);
        (void)sigaddset(&tick, m->tick);
        while (sigtimedwait(&tick, NULL, &now) > 0) {
        }
        if (--n_machines == 0 && !was_blocked) {
            (void)pthread_sigmask(SIG_UNBLOCK, &tick, NULL);
        }
    }
    free(m);
}

/* ---- the clock --------------------------------------------------------------------------- */

/* A signal that is blocked in this thread but while the processor runs ends a run without any
 * handler. */
static tars_status make_clock(vmm_machine *m, tars_error *err) {
    sigset_t blocked;
    m->tick = SIGRTMIN + 5;
    m->thread = pthread_self();
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, m->tick);
    sigset_t before;
    (void)pthread_sigmask(SIG_BLOCK, &blocked, &before);
    if (n_machines++ == 0) {
        was_blocked = sigismember(&before, m->tick) == 1;
    }
    m->is_masked = true;
    sigset_t open = before;
    (void)sigdelset(&open, m->tick);
    enum { MASK_BYTES = 8 }; /* as the kernel has them */
    union {
        struct kvm_signal_mask head;
        uint8_t bytes[sizeof(struct kvm_signal_mask) + MASK_BYTES];
    } mask = {.head = {.len = MASK_BYTES}};
    memcpy(mask.bytes + sizeof(struct kvm_signal_mask), &open, MASK_BYTES);
    if (ioctl(m->cpu, KVM_SET_SIGNAL_MASK, &mask) != 0) {
        return fail(err, "cannot set the signals of a virtual processor");
    }
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = m->tick};
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_MONOTONIC, &event, &m->timer) != 0) {
        return fail(err, "cannot make a timer for a virtual machine");
    }
    m->has_timer = true;
    return TARS_OK;
}

static void set_clock(const vmm_machine *m, uint64_t slice_ns) {
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(slice_ns / 1000000000),
                                           .tv_nsec = (long)(slice_ns % 1000000000)}};
    (void)timer_settime(m->timer, 0, &when, NULL);
}

/* ---- making it --------------------------------------------------------------------------- */

static tars_status set_features(vmm_machine *m, tars_error *err) {
    size_t bytes = sizeof(struct kvm_cpuid2) + MAX_CPUID_ENTRIES * sizeof(struct kvm_cpuid_entry2);
    struct kvm_cpuid2 *cpuid = calloc(1, bytes);
    if (!cpuid) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the features of a processor");
    }
    cpuid->nent = MAX_CPUID_ENTRIES;
    uint64_t states = 3; /* x87 and SSE */
    bool well = ioctl(m->system, KVM_GET_SUPPORTED_CPUID, cpuid) == 0;
    for (uint32_t i = 0; well && i < cpuid->nent; i++) {
        const struct kvm_cpuid_entry2 *e = &cpuid->entries[i];
        if (e->function == 0xD && e->index == 0) {
            states = e->eax | (uint64_t)e->edx << 32;
        }
    }
    well = well && ioctl(m->cpu, KVM_SET_CPUID2, cpuid) == 0;
    free(cpuid);
    if (!well) {
        return fail(err, "cannot set the features of a virtual processor");
    }
    enum { X87_SSE_AVX_AVX512 = 0xE7 };
    struct kvm_xcrs xcrs = {.nr_xcrs = 1,
                            .xcrs = {{.xcr = 0, .value = states & X87_SSE_AVX_AVX512}}};
    return ioctl(m->cpu, KVM_SET_XCRS, &xcrs) == 0
               ? TARS_OK
               : fail(err, "cannot switch vector registers on in a virtual processor");
}

static tars_status make_processor(vmm_machine *m, tars_error *err) {
    m->vm = ioctl(m->system, KVM_CREATE_VM, 0);
    if (m->vm < 0) {
        return fail(err, "cannot create a virtual machine");
    }
    int run_bytes = ioctl(m->system, KVM_GET_VCPU_MMAP_SIZE, 0);
    m->cpu = ioctl(m->vm, KVM_CREATE_VCPU, 0);
    if (m->cpu < 0 || run_bytes < (int)sizeof(struct kvm_run)) {
        return fail(err, "cannot create a virtual processor");
    }
    m->run_bytes = (size_t)run_bytes;
    void *run = mmap(NULL, m->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->cpu, 0);
    if (run == MAP_FAILED) {
        return fail(err, "cannot map a virtual processor");
    }
    m->run = run;
    return TARS_OK;
}

static tars_status kvm_create(vmm_machine **out, tars_error *err) {
    *out = NULL;
    vmm_machine *m = calloc(1, sizeof *m);
    if (!m) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a virtual machine");
    }
    m->vm = m->cpu = -1;
    tars_status status = open_system(&m->system, err);
    if (status == TARS_OK) {
        status = make_processor(m, err);
    }
    if (status == TARS_OK) {
        status = set_features(m, err);
    }
    if (status == TARS_OK) {
        status = make_clock(m, err);
    }
    if (status != TARS_OK) {
        kvm_destroy(m);
        m = NULL;
    }
    *out = m;
    return status;
}

static tars_status kvm_probe(tars_error *err) {
    vmm_machine *m;
    tars_status status = kvm_create(&m, err);
    kvm_destroy(m);
    return status;
}

static tars_status kvm_map(vmm_machine *m, unsigned slot, uint64_t guest_address, void *host,
                           size_t size_bytes, bool read_only, tars_error *err) {
    struct kvm_userspace_memory_region region = {.slot = slot,
                                                 .flags = read_only ? KVM_MEM_READONLY : 0,
                                                 .guest_phys_addr = guest_address,
                                                 .memory_size = size_bytes,
                                                 .userspace_addr = (uint64_t)(uintptr_t)host};
    return ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &region) == 0
               ? TARS_OK
               : fail(err, "cannot give memory to a virtual machine");
}

/* ---- the processor ----------------------------------------------------------------------- */

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

static void set_system(struct kvm_sregs *s, const vmm_tables *t) {
    enum { CODE = 11, DATA = 3, BUSY_TASK = 11 };
    s->cs = segment(t->user_code, CODE, 3, true);
    s->ss = s->ds = s->es = s->fs = s->gs = segment(t->user_data, DATA, 3, false);
    s->tr = (struct kvm_segment){.base = t->tss,
                                 .limit = t->tss_bytes - 1,
                                 .selector = t->task,
                                 .type = BUSY_TASK,
                                 .present = 1};
    s->gdt = (struct kvm_dtable){.base = t->gdt, .limit = (uint16_t)(t->gdt_bytes - 1)};
    s->idt = (struct kvm_dtable){.base = t->idt, .limit = (uint16_t)(t->idt_bytes - 1)};
    s->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
    s->cr3 = t->page_table;
    s->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | (t->hides_time ? CR4_TSD : 0);
    s->efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
}

static tars_status set_call_entry(const vmm_machine *m, const vmm_tables *t, tars_error *err) {
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
    return ioctl(m->cpu, KVM_SET_MSRS, &msrs) == N_MSRS
               ? TARS_OK
               : fail(err, "cannot set where SYSCALL leads");
}

static tars_status kvm_start(vmm_machine *m, const vmm_tables *tables, uint64_t rip, uint64_t rsp,
                             tars_error *err) {
    struct kvm_sregs system;
    if (ioctl(m->cpu, KVM_GET_SREGS, &system) != 0) {
        return fail(err, "cannot read a virtual processor");
    }
    set_system(&system, tables);
    if (ioctl(m->cpu, KVM_SET_SREGS, &system) != 0) {
        return fail(err, "cannot set up a virtual processor");
    }
    tars_status status = set_call_entry(m, tables, err);
    m->hides_time = tables->hides_time;
    m->registers = (vmm_registers){.rip = rip, .rflags = 2};
    m->registers.general[VMM_RSP] = rsp;
    m->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
    return status;
}

static vmm_registers *kvm_registers(vmm_machine *m) {
    return &m->registers;
}

/* Ours are in the order of instructions, the kernel's are not. */
static void move_registers(vmm_registers *own, struct kvm_regs *theirs, bool to_kernel) {
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

static tars_status kvm_set_segment_bases(vmm_machine *m, uint64_t fs, uint64_t gs,
                                         tars_error *err) {
    struct kvm_sregs system;
    if (ioctl(m->cpu, KVM_GET_SREGS, &system) != 0) {
        return fail(err, "cannot read a virtual processor");
    }
    system.fs.base = fs;
    system.gs.base = gs;
    return ioctl(m->cpu, KVM_SET_SREGS, &system) == 0
               ? TARS_OK
               : fail(err, "cannot set the segments of a virtual processor");
}

static void take_exit(const vmm_machine *m, vmm_exit *out) {
    const struct kvm_run *run = m->run;
    *out = (vmm_exit){.kind = VMM_EXIT_OTHER,
                      .in_supervisor = (run->s.regs.sregs.cs.selector & 3) == 0,
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

static void take_tick(const vmm_machine *m) {
    sigset_t tick;
    const struct timespec now = {0, 0};
    (void)sigemptyset(&tick);
    (void)sigaddset(&tick, m->tick);
    (void)sigtimedwait(&tick, NULL, &now);
}

static tars_status kvm_run(vmm_machine *m, uint64_t slice_ns, vmm_exit *out, tars_error *err) {
    move_registers(&m->registers, &m->run->s.regs.regs, true);
    m->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
    set_clock(m, slice_ns > 0 ? slice_ns : 1); /* 0 would be no clock */
    if (m->hides_time) { /* where the guest's CR4 is not the processor's, the thread's is */
        (void)prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0);
    }
    int result = ioctl(m->cpu, KVM_RUN, 0);
    int number = errno;
    if (m->hides_time) {
        (void)prctl(PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0);
    }
    set_clock(m, 0);
    if (result != 0 && number != EINTR && number != EAGAIN) {
        errno = number;
        return fail(err, "a virtual processor does not run");
    }
    move_registers(&m->registers, &m->run->s.regs.regs, false);
    if (result == 0) {
        take_exit(m, out);
    } else {
        take_tick(m);
        __atomic_store_n(&m->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
        *out = (vmm_exit){.kind = VMM_EXIT_KICKED};
    }
    return TARS_OK;
}

static void kvm_kick(vmm_machine *m) {
    __atomic_store_n(&m->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    (void)pthread_kill(m->thread, m->tick);
}

static const vmm_functions functions = {
    .name = "kvm",
    .probe = kvm_probe,
    .create = kvm_create,
    .destroy = kvm_destroy,
    .map = kvm_map,
    .start = kvm_start,
    .run = kvm_run,
    .registers = kvm_registers,
    .set_segment_bases = kvm_set_segment_bases,
    .kick = kvm_kick,
};

const vmm_functions *platform_vmm(void) {
    return &functions;
}

#else

const vmm_functions *platform_vmm(void) {
    return NULL; /* ARM: not in this version */
}

#endif
