#include "runtime/microvm/machine.h"

#include "base/text.h"
#include "platform/vmm.h"
#include "runtime/microvm/elf.h"
#include "runtime/microvm/pages.h"

#include <string.h>

/* Flags that a program may set itself (SYSRET restores them from R11): all but those that would
 * give it ports or another mode. */
#define USER_FLAGS ((uint64_t)0x240DD5)
#define FIXED_FLAGS ((uint64_t)2)
#define CANONICAL_END ((uint64_t)1 << 47)
#define LEAST_RAM_BYTES ((uint64_t)1 << 30) /* addresses; memory is taken as it is touched */

/* What the program sees as its own path: the host's is nothing of its business. */
#define GUEST_NAME "/program"

enum { SLOT_RAM, SLOT_SYSTEM };
static const uint64_t SLICE_NS = 5000000;

typedef struct machine {
    const vmm_functions *vmm;
    vmm_machine *vm;
    vmm_processor *processor; /* attached to the thread that runs the machine */
    pages pages;
    space space;
    uint8_t *ram;
    uint64_t ram_bytes;
    uint64_t thread_base;
    bool is_stale; /* the processor may know rights that changed */
    const machine_limits *limits;
    const linux_options *options;
    linux_context *calls;
    machine_result *result;
} machine;

/* ---- memory ------------------------------------------------------------------------------ */

static unsigned rights_of(uint8_t flags) {
    return ((flags & SPACE_READ) != 0 ? PAGE_READ : 0) |
           ((flags & SPACE_WRITE) != 0 ? PAGE_WRITE : 0) |
           ((flags & SPACE_EXECUTE) != 0 ? PAGE_EXECUTE : 0);
}

/* Neighbours with equal rights are set at once. */
static void follow_space(void *user, uint64_t first_page, uint64_t n_pages) {
    machine *m = user;
    for (uint64_t i = first_page; i < first_page + n_pages;) {
        uint64_t end = i + 1;
        unsigned rights = rights_of(m->space.flags[i]);
        while (end < first_page + n_pages && rights_of(m->space.flags[end]) == rights) {
            end++;
        }
        bool changed = pages_set(&m->pages, (size_t)i, (size_t)(end - i), rights);
        m->is_stale = m->is_stale || changed;
        i = end;
    }
}

static bool give_back(void *user, uint64_t first_page, uint64_t n_pages) {
    const machine *m = user;
    return platform_discard(m->ram + first_page * PAGE_BYTES, (size_t)n_pages * PAGE_BYTES);
}

static tars_status map_system(machine *m, tars_error *err) {
    return m->vmm->map(m->vm, SLOT_SYSTEM, SYSTEM_ADDRESS, m->pages.memory, m->pages.size_bytes,
                       false, err);
}

/* Takes the tables away and gives them again, upon which all that was known of them goes. */
static tars_status forget(machine *m, tars_error *err) {
    m->is_stale = false;
    tars_status status =
        m->vmm->map(m->vm, SLOT_SYSTEM, SYSTEM_ADDRESS, m->pages.memory, 0, false, err);
    return status == TARS_OK ? map_system(m, err) : status;
}

/* Addresses for reservations beside what may be used. */
static tars_status make_memory(machine *m, tars_error *err) {
    uint64_t limit = m->limits->memory_bytes;
    if (limit > PAGES_MAX_RAM_BYTES / 2) {
        return error_set(err, TARS_USAGE,
                         "a memory of %llu bytes; runtime microvm has up to %llu in this version",
                         (unsigned long long)limit, (unsigned long long)(PAGES_MAX_RAM_BYTES / 2));
    }
    m->ram_bytes = limit * 2 < LEAST_RAM_BYTES ? LEAST_RAM_BYTES : limit * 2;
    m->ram_bytes -= m->ram_bytes % PAGE_BYTES;
    void *ram = NULL;
    tars_status status = platform_reserve((size_t)m->ram_bytes, false, &ram, err);
    m->ram = ram;
    if (status == TARS_OK) {
        status = pages_create(m->ram_bytes, 1, &m->pages, err);
    }
    if (status == TARS_OK) {
        space_options options = {.ram = m->ram,
                                 .size_bytes = m->ram_bytes,
                                 .limit_bytes = m->limits->memory_bytes,
                                 .changed = follow_space,
                                 .discard = give_back,
                                 .user = m};
        status = space_init(&m->space, &options, err);
    }
    return status;
}

/* ---- what calls need of the machine ------------------------------------------------------- */

static bool set_thread_base(void *user, uint64_t address) {
    machine *m = user;
    if (address >= CANONICAL_END) {
        return false;
    }
    m->thread_base = address;
    m->vmm->set_segment_bases(m->processor, address, 0);
    return true;
}

static uint64_t get_thread_base(void *user) {
    return ((machine *)user)->thread_base;
}

/* ---- running ----------------------------------------------------------------------------- */

typedef struct fault_row {
    int signal;
    const char *text;
} fault_row;

enum { SIGNAL_ILLEGAL = 4, SIGNAL_TRAP = 5, SIGNAL_BUS = 7, SIGNAL_FLOAT = 8, SIGNAL_SEGMENT = 11 };

/* By exception (AMD64 Architecture Programmer's Manual, volume 2, section 8.2). */
static const fault_row faults[N_FAULTS] = {
    [0] = {SIGNAL_FLOAT, "a division by zero or overflow"},
    [1] = {SIGNAL_TRAP, "a debug exception"},
    [3] = {SIGNAL_TRAP, "a breakpoint"},
    [4] = {SIGNAL_SEGMENT, "an overflow"},
    [5] = {SIGNAL_SEGMENT, "a bound exceeded"},
    [6] = {SIGNAL_ILLEGAL, "an instruction that there is not"},
    [7] = {SIGNAL_FLOAT, "a floating-point unit that is not there"},
    [11] = {SIGNAL_BUS, "a segment that is not there"},
    [12] = {SIGNAL_BUS, "a stack outside of its segment"},
    [13] = {SIGNAL_SEGMENT, "an instruction that it may not use"},
    [14] = {SIGNAL_SEGMENT, "memory that it may not use"},
    [16] = {SIGNAL_FLOAT, "a floating-point exception"},
    [17] = {SIGNAL_BUS, "an access that is not aligned"},
    [19] = {SIGNAL_FLOAT, "a floating-point exception"},
};

static void take_fault(machine *m, unsigned exception) {
    page_fault_frame frame;
    text_buffer text;
    pages_read_fault(&m->pages, 0, exception, &frame);
    const fault_row *row = &faults[exception];
    m->result->end = MACHINE_FAULT;
    m->result->signal = row->signal > 0 ? row->signal : SIGNAL_SEGMENT;
    text_init(&text, m->result->message, sizeof m->result->message);
    text_format(&text, "%s at 0x%llx", row->text ? row->text : "an exception",
                (unsigned long long)frame.rip);
    if (frame.has_error) {
        text_format(&text, " (exception %u, error 0x%llx)", exception,
                    (unsigned long long)frame.error);
    } else {
        text_format(&text, " (exception %u)", exception);
    }
}

static void take_other(machine *m, const char *what, uint64_t number) {
    text_buffer text;
    m->result->end = MACHINE_FAULT;
    m->result->signal = SIGNAL_SEGMENT;
    text_init(&text, m->result->message, sizeof m->result->message);
    text_format(&text, "%s (0x%llx)", what, (unsigned long long)number);
}

/* False: the guest is at its end. */
static bool answer_call(machine *m, const vmm_exit *e) {
    vmm_registers *r = m->vmm->registers(m->processor);
    const uint64_t arguments[6] = {r->general[VMM_RDI], r->general[VMM_RSI], r->general[VMM_RDX],
                                   r->general[VMM_R10], r->general[VMM_R8],  r->general[VMM_R9]};
    int64_t result = linux_call(m->calls, r->general[VMM_RAX], arguments);
    if (linux_ended(m->calls) != LINUX_RUNS) {
        m->result->end = MACHINE_ENDED;
        return false;
    }
    r->general[VMM_RAX] = (uint64_t)result;
    uint64_t back = r->general[VMM_RCX];
    if (back >= CANONICAL_END) {
        take_other(m, "a call returns to no address", back);
        return false;
    }
    if (e->in_supervisor) { /* the entry page returns; with flags that it may have */
        r->general[VMM_R11] = (r->general[VMM_R11] & USER_FLAGS) | FIXED_FLAGS;
        return true;
    }
    r->rip = back;
    r->rflags = (r->general[VMM_R11] & USER_FLAGS) | FIXED_FLAGS;
    return true;
}

/* False: its time is over, or nobody wants it any more. */
static bool look_after(machine *m) {
    const linux_options *o = m->options;
    if (m->limits->deadline_ns > 0 && platform_clock_ns() >= m->limits->deadline_ns) {
        m->result->end = MACHINE_TIME;
        return false;
    }
    if (o->goes_on && !o->goes_on(o->user)) {
        m->result->end = MACHINE_STOPPED;
        return false;
    }
    return true;
}

static bool take_exit(machine *m, const vmm_exit *e) {
    switch (e->kind) {
    case VMM_EXIT_PORT:
        if (e->port == PORT_CALL) {
            return answer_call(m, e);
        }
        if (e->port >= PORT_FAULT && e->port < PORT_FAULT + N_FAULTS) {
            take_fault(m, e->port - PORT_FAULT);
        } else {
            take_other(m, "a port that is not its own", e->port);
        }
        return false;
    case VMM_EXIT_KICKED:
        return look_after(m);
    case VMM_EXIT_MEMORY:
        take_other(m, "memory that is not there", e->address);
        return false;
    case VMM_EXIT_SHUTDOWN:
        take_other(m, "a fault within a fault", 0);
        return false;
    case VMM_EXIT_OTHER:
        break;
    }
    take_other(m, "the virtual machine ended", e->detail);
    return false;
}

static tars_status run_loop(machine *m, tars_error *err) {
    bool goes_on = true;
    while (goes_on) {
        vmm_exit e;
        tars_status status = m->is_stale ? forget(m, err) : TARS_OK;
        if (status == TARS_OK) {
            status = m->vmm->run(m->processor, SLICE_NS, &e, err);
        }
        if (status != TARS_OK) {
            return status;
        }
        goes_on = take_exit(m, &e);
    }
    return TARS_OK;
}

/* ---- from a file to its end ---------------------------------------------------------------- */

static tars_status load(machine *m, const machine_program *program, uint64_t *entry,
                        uint64_t *stack_pointer, tars_error *err) {
    elf_image image;
    uint64_t stack_bytes = m->limits->stack_bytes; /* more than the memory is refused as memory */
    stack_bytes = stack_bytes < m->ram_bytes ? stack_bytes : m->ram_bytes;
    elf_start start = {.arguments = program->arguments,
                       .environment = program->environment,
                       .program = GUEST_NAME,
                       .stack_bytes = (stack_bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES};
    tars_status status = elf_read(program->bytes, program->length, program->name, &image, err);
    if (status == TARS_OK) {
        status = elf_load(&image, &m->space, err);
    }
    if (status == TARS_OK) {
        status = elf_make_stack(&image, &m->space, &start, stack_pointer, err);
    }
    *entry = image.entry;
    return status;
}

static tars_status start(machine *m, const machine_program *program, tars_error *err) {
    uint64_t entry = 0;
    uint64_t stack_pointer = 0;
    vmm_tables tables;
    tars_status status = load(m, program, &entry, &stack_pointer, err);
    if (status == TARS_OK) {
        status = m->vmm->create(&m->vm, err);
    }
    if (status == TARS_OK) {
        status = m->vmm->map(m->vm, SLOT_RAM, 0, m->ram, (size_t)m->ram_bytes, false, err);
    }
    if (status == TARS_OK) {
        status = map_system(m, err);
    }
    if (status == TARS_OK) {
        status = m->vmm->processor_create(m->vm, &m->processor, err);
    }
    if (status == TARS_OK) {
        status = m->vmm->attach(m->processor, err);
    }
    if (status == TARS_OK) {
        pages_tables(&m->pages, 0, &tables);
        tables.hides_time = m->options->clock_resolution_ns > 0;
        status = m->vmm->start(m->processor, &tables, entry, stack_pointer, err);
    }
    m->is_stale = false; /* it knows nothing yet */
    return status;
}

static void finish(machine *m) {
    m->result->memory_peak_bytes = space_peak_bytes(&m->space);
    m->result->n_memory_refused = m->space.n_refused;
    if (m->processor) {
        m->vmm->detach(m->processor);
        m->vmm->processor_destroy(m->processor);
    }
    if (m->vm) {
        m->vmm->destroy(m->vm);
    }
    space_free(&m->space);
    pages_destroy(&m->pages);
    if (m->ram) {
        platform_release(m->ram, (size_t)m->ram_bytes);
    }
}

tars_status machine_run(const machine_program *program, const machine_limits *limits,
                        linux_options *options, linux_context **context, machine_result *out,
                        tars_error *err) {
    uint64_t begin_ns = platform_clock_ns();
    *context = NULL;
    *out = (machine_result){.end = MACHINE_ENDED};
    machine m = {.vmm = platform_vmm(), .limits = limits, .options = options, .result = out};
    const linux_machine own = {
        .user = &m, .set_thread_base = set_thread_base, .get_thread_base = get_thread_base};
    options->space = &m.space;
    options->machine = &own;
    options->program = GUEST_NAME;
    options->stack_bytes = limits->stack_bytes;
    options->deadline_ns = limits->deadline_ns;
    tars_status status = m.vmm ? TARS_OK : machine_probe(err);
    if (status == TARS_OK) {
        status = make_memory(&m, err);
    }
    if (status == TARS_OK) {
        status = linux_create(options, context, err);
        m.calls = *context;
    }
    if (status == TARS_OK) {
        status = start(&m, program, err);
        if (status == TARS_LIMIT) { /* the program needs more than it may have */
            out->end = MACHINE_MEMORY;
            finish(&m);
            return TARS_OK;
        }
    }
    out->start_ns = platform_clock_ns() - begin_ns;
    if (status == TARS_OK) {
        status = run_loop(&m, err);
    }
    finish(&m);
    return status;
}

tars_status machine_check(const machine_program *program, tars_error *err) {
    elf_image image;
    return elf_read(program->bytes, program->length, program->name, &image, err);
}

tars_status machine_probe(tars_error *err) {
    const vmm_functions *vmm = platform_vmm();
    if (!vmm) {
        error_set(err, TARS_UNAVAILABLE,
                  "runtime microvm is unavailable: this system has no virtual machines that this "
                  "version could use");
        return error_hint(err, "use --runtime wasm for isolation");
    }
    return vmm->probe(err);
}
