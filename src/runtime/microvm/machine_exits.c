#include "base/text.h"
#include "runtime/microvm/entry.h"
#include "runtime/microvm/machine_internal.h"

/* ---- exceptions ---------------------------------------------------------------------------- */

typedef struct fault_row {
    int signal, code; /* si_code */
    const char *text;
} fault_row;

enum { SIGNAL_ILLEGAL = 4, SIGNAL_TRAP = 5, SIGNAL_BUS = 7, SIGNAL_FLOAT = 8, SIGNAL_SEGMENT = 11 };
enum { CODE_KERNEL = 0x80, PAGE_FAULT = 14 };

/* By exception (AMD64 Architecture Programmer's Manual, volume 2, section 8.2). */
static const fault_row faults[N_FAULTS] = {
    [0] = {SIGNAL_FLOAT, 1, "a division by zero or overflow"},
    [1] = {SIGNAL_TRAP, 1, "a debug exception"},
    [3] = {SIGNAL_TRAP, CODE_KERNEL, "a breakpoint"},
    [4] = {SIGNAL_SEGMENT, CODE_KERNEL, "an overflow"},
    [5] = {SIGNAL_SEGMENT, CODE_KERNEL, "a bound exceeded"},
    [6] = {SIGNAL_ILLEGAL, 2, "an instruction that there is not"},
    [7] = {SIGNAL_FLOAT, 7, "a floating-point unit that is not there"},
    [11] = {SIGNAL_BUS, CODE_KERNEL, "a segment that is not there"},
    [12] = {SIGNAL_BUS, CODE_KERNEL, "a stack outside of its segment"},
    [13] = {SIGNAL_SEGMENT, CODE_KERNEL, "an instruction that it may not use"},
    [PAGE_FAULT] = {SIGNAL_SEGMENT, 1, "memory that it may not use"},
    [16] = {SIGNAL_FLOAT, 7, "a floating-point exception"},
    [17] = {SIGNAL_BUS, 1, "an access that is not aligned"},
    [19] = {SIGNAL_FLOAT, 7, "a floating-point exception"},
};

/* What ended it first is told. */
static void set_end(machine *m, machine_end end, int signal) {
    if (!m->is_over) {
        m->result->end = end;
        m->result->signal = signal;
    }
}

static void tell_fault(machine *m, unsigned exception, const page_fault_frame *frame,
                       uint64_t address) {
    text_buffer text;
    if (m->is_over) {
        return;
    }
    const fault_row *row = &faults[exception];
    set_end(m, MACHINE_FAULT, row->signal > 0 ? row->signal : SIGNAL_SEGMENT);
    text_init(&text, m->result->message, sizeof m->result->message);
    text_format(&text, "%s at 0x%llx", row->text ? row->text : "an exception",
                (unsigned long long)frame->rip);
    text_format(&text, " (exception %u", exception);
    if (frame->has_error) {
        text_format(&text, ", error 0x%llx", (unsigned long long)frame->error);
    }
    if (exception == PAGE_FAULT) {
        text_format(&text, ", address 0x%llx", (unsigned long long)address);
    }
    text_format(&text, ")");
}

static void take_other(machine *m, const char *what, uint64_t number) {
    text_buffer text;
    if (m->is_over) {
        return;
    }
    set_end(m, MACHINE_FAULT, SIGNAL_SEGMENT);
    text_init(&text, m->result->message, sizeof m->result->message);
    text_format(&text, "%s (0x%llx)", what, (unsigned long long)number);
}

/* The next run begins where the registers say, in ring 3, with flags that it may have. */
static bool return_to(machine_thread *t) {
    machine *m = t->machine;
    vmm_registers *r = m->vmm->registers(t->processor);
    if (r->rip >= ENTRY_CANONICAL_END) {
        take_other(m, "a call returns to no address", r->rip);
        return false;
    }
    r->rflags = (r->rflags & ENTRY_USER_FLAGS) | ENTRY_FIXED_FLAGS;
    m->vmm->to_user(t->processor, &t->tables);
    return true;
}

/* Its handler goes on, when it has one. */
static bool take_fault(machine_thread *t, unsigned exception, const vmm_exit *e) {
    machine *m = t->machine;
    page_fault_frame frame;
    const fault_row *row = &faults[exception];
    pages_read_fault(&m->pages, t->row, exception, &frame);
    vmm_registers *r = m->vmm->registers(t->processor);
    vmm_registers before = *r;
    r->rip = frame.rip;
    r->rflags = frame.rflags;
    r->general[VMM_RSP] = frame.rsp;
    bool is_page_fault = exception == PAGE_FAULT;
    bool is_present = is_page_fault && (frame.error & 1) != 0;
    const linux_exception told = {.number = exception,
                                  .error = (uint32_t)frame.error,
                                  .address = is_page_fault ? e->faulted : 0,
                                  .signal =
                                      (uint32_t)(row->signal > 0 ? row->signal : SIGNAL_SEGMENT),
                                  .code = is_present ? 2 : row->code};
    if (linux_raise(m->calls, &told)) {
        return return_to(t);
    }
    if (linux_ended(m->calls) != LINUX_RUNS) {
        set_end(m, MACHINE_ENDED, 0);
        return false;
    }
    *r = before;
    tell_fault(m, exception, &frame, e->faulted);
    return false;
}

/* ---- calls --------------------------------------------------------------------------------- */

/* To calls, registers are as they will be behind the call. */
static bool answer_call(machine_thread *t, const vmm_exit *e) {
    machine *m = t->machine;
    vmm_registers *r = m->vmm->registers(t->processor);
    const vmm_registers at_exit = *r;
    const uint64_t number = r->general[VMM_RAX];
    const uint64_t arguments[6] = {r->general[VMM_RDI], r->general[VMM_RSI], r->general[VMM_RDX],
                                   r->general[VMM_R10], r->general[VMM_R8],  r->general[VMM_R9]};
    const uint64_t rip = r->general[VMM_RCX];
    const uint64_t rflags = (r->general[VMM_R11] & ENTRY_USER_FLAGS) | ENTRY_FIXED_FLAGS;
    r->rip = rip;
    r->rflags = rflags;
    int64_t result = linux_call(m->calls, number, arguments);
    r->general[VMM_RAX] = (uint64_t)result;
    if (linux_ended(m->calls) == LINUX_RUNS && linux_thread_ended(m->calls)) {
        t->has_guest = false;
        return true;
    }
    linux_deliver(m->calls, true, number);
    if (linux_ended(m->calls) != LINUX_RUNS) {
        set_end(m, MACHINE_ENDED, 0);
        return false;
    }
    bool is_plain = e->in_supervisor && r->rip == rip && r->rflags == rflags &&
                    r->general[VMM_RCX] == rip && r->rip < ENTRY_CANONICAL_END;
    if (is_plain) { /* the entry page returns */
        r->general[VMM_R11] = rflags;
        r->rip = at_exit.rip;
        r->rflags = at_exit.rflags;
        return true;
    }
    if (e->in_supervisor) {
        return return_to(t);
    }
    if (r->rip >= ENTRY_CANONICAL_END) {
        take_other(m, "a call returns to no address", r->rip);
        return false;
    }
    r->rflags = (r->rflags & ENTRY_USER_FLAGS) | ENTRY_FIXED_FLAGS;
    return true;
}

/* ---- anything ------------------------------------------------------------------------------ */

bool machine_look_after(machine *m) {
    if (m->limits->deadline_ns > 0 && platform_clock_ns() >= m->limits->deadline_ns) {
        set_end(m, MACHINE_TIME, 0);
        return false;
    }
    if (!linux_look_after(m->calls)) {
        set_end(m, MACHINE_ENDED, 0);
        return false;
    }
    return true;
}

/* In the entry page it is on its way to a call. */
static bool take_kick(machine_thread *t, const vmm_exit *e) {
    machine *m = t->machine;
    vmm_registers *r = m->vmm->registers(t->processor);
    if (!machine_look_after(m)) {
        return false;
    }
    if (e->in_supervisor || pages_is_entry(r->rip)) {
        return true;
    }
    linux_deliver(m->calls, false, 0);
    if (linux_ended(m->calls) != LINUX_RUNS) {
        set_end(m, MACHINE_ENDED, 0);
        return false;
    }
    return true;
}

bool machine_take_exit(machine_thread *t, const vmm_exit *e) {
    machine *m = t->machine;
    switch (e->kind) {
    case VMM_EXIT_PORT:
        if (e->port == PORT_CALL) {
            return answer_call(t, e);
        }
        if (e->port >= PORT_FAULT && e->port < PORT_FAULT + N_FAULTS) {
            return take_fault(t, e->port - PORT_FAULT, e);
        }
        take_other(m, "a port that is not its own", e->port);
        return false;
    case VMM_EXIT_KICKED:
        return take_kick(t, e);
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
