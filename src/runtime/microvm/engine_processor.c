/* The thread of one processor of the engine's machine. */
#include "runtime/microvm/engine_internal.h"

#include "runtime/microvm/entry.h"

#include <string.h>

static const uint64_t SLICE_NS = 1000000000; /* kicks end it */
static const uint64_t WAIT_NS = 100000000;   /* between two looks at what is to be done */

static bool is_ending(engine_machine *m) {
    return atomic_load(&m->is_ending) != 0;
}

/* ---- calls --------------------------------------------------------------------------------- */

/* Until the host wrote to the guest or read what it wrote. */
static void wait_for_host(engine_machine *m, uint32_t written, uint32_t read) {
    wire_area *area = engine_machine_area(m);
    engine_machine_ring(m);
    atomic_store(&m->is_waiting, 1);
    for (;;) {
        unsigned seen = atomic_load(&m->news);
        if (is_ending(m) || atomic_load(&area->to_guest.written) != written ||
            atomic_load(&area->to_host.read) != read) {
            break;
        }
        (void)platform_gate_wait(&m->news, seen, WAIT_NS);
    }
    atomic_store(&m->is_waiting, 0);
}

/* A word of the guest's variables; NULL: it does not lie there. */
static atomic_uint *word_at(const engine_machine *m, uint64_t address) {
    bool fits = address >= ENGINE_DATA && address <= ENGINE_DATA_END - sizeof(atomic_uint) &&
                address % sizeof(atomic_uint) == 0;
    return fits ? (atomic_uint *)(void *)(m->data + (address - ENGINE_DATA)) : NULL;
}

static void park(engine_processor *p, uint64_t address, uint32_t expected) {
    engine_machine *m = p->machine;
    atomic_uint *word = word_at(m, address);
    if (!word) {
        return; /* its own loss: it comes again */
    }
    atomic_store(&p->parked_at, address);
    for (;;) {
        unsigned seen = atomic_load(&p->wake);
        if (is_ending(m) || atomic_load(word) != expected) {
            break;
        }
        (void)platform_gate_wait(&p->wake, seen, WAIT_NS);
    }
    atomic_store(&p->parked_at, 0);
}

static void wake(engine_machine *m, uint64_t address) {
    for (unsigned i = 0; i < m->n_workers; i++) {
        engine_processor *p = &m->processors[i];
        if (address != 0 && atomic_load(&p->parked_at) == address) {
            atomic_fetch_add(&p->wake, 1);
            platform_gate_wake_all(&p->wake);
        }
    }
}

/* ---- exits --------------------------------------------------------------------------------- */

static void fail(const engine_processor *p, const char *what, uint64_t number) {
    tars_error error;
    error_set(&error, TARS_MALFORMED, "the guest %s (0x%llx) and was ended", what,
              (unsigned long long)number);
    engine_machine_fail(p->machine, &error);
}

/* False: the guest is at its end. */
static bool answer_call(engine_processor *p, const vmm_exit *e) {
    engine_machine *m = p->machine;
    vmm_registers *r = m->vmm->registers(p->processor);
    const uint64_t first = r->general[VMM_RDI];
    const uint64_t second = r->general[VMM_RSI];
    switch (r->general[VMM_RAX]) {
    case ENGINE_CALL_WAIT:
        if (p->number != 0) {
            fail(p, "waited with another processor than its first", p->number);
            return false;
        }
        wait_for_host(m, (uint32_t)first, (uint32_t)second);
        break;
    case ENGINE_CALL_PARK:
        park(p, first, (uint32_t)second);
        break;
    case ENGINE_CALL_WAKE:
        wake(m, first);
        break;
    case ENGINE_CALL_YIELD:
        platform_yield();
        break;
    default:
        fail(p, "made a call that it does not have", r->general[VMM_RAX]);
        return false;
    }
    if (!entry_return(r, e, 1)) {
        fail(p, "returns from a call to no address", r->general[VMM_RCX]);
        return false;
    }
    return true;
}

static bool take_exit(engine_processor *p, const vmm_exit *e) {
    if (e->kind == VMM_EXIT_KICKED) {
        return true;
    }
    p->n_exits++;
    if (e->kind == VMM_EXIT_PORT && e->port == PORT_CALL) {
        return answer_call(p, e);
    }
    if (e->kind == VMM_EXIT_PORT && e->port >= PORT_FAULT && e->port < PORT_FAULT + N_FAULTS) {
        page_fault_frame frame;
        unsigned exception = e->port - (unsigned)PORT_FAULT;
        pages_read_fault(&p->machine->pages, p->number, exception, &frame);
        tars_error error;
        error_set(&error, TARS_MALFORMED, "the guest failed at 0x%llx (exception %u, error 0x%llx)",
                  (unsigned long long)frame.rip, exception, (unsigned long long)frame.error);
        engine_machine_fail(p->machine, &error);
        return false;
    }
    if (e->kind == VMM_EXIT_MEMORY) {
        fail(p, "touched memory that is not there", e->address);
    } else {
        fail(p, "left its machine in another way than by a call",
             e->kind == VMM_EXIT_PORT ? e->port : e->detail);
    }
    return false;
}

static void run(engine_processor *p) {
    engine_machine *m = p->machine;
    bool goes_on = true;
    while (goes_on && !is_ending(m)) {
        vmm_exit e;
        tars_error error = {.status = TARS_OK};
        if (m->vmm->run(p->processor, SLICE_NS, &e, &error) != TARS_OK) {
            engine_machine_fail(m, &error);
            return;
        }
        goes_on = take_exit(p, &e);
    }
}

void engine_processor_main(void *processor) {
    engine_processor *p = processor;
    engine_machine *m = p->machine;
    tars_error error = {.status = TARS_OK};
    unsigned seen = 0;
    bool is_attached = m->vmm->attach(p->processor, &error) == TARS_OK;
    atomic_fetch_add(&m->n_begun, 1);
    platform_gate_wake_all(&m->n_begun);
    for (;;) {
        unsigned now;
        while ((now = atomic_load(&m->orders)) == seen) {
            (void)platform_gate_wait(&m->orders, seen, PLATFORM_FOREVER);
        }
        seen = now;
        if (atomic_load(&m->order) == ENGINE_ORDER_QUIT) {
            break;
        }
        uint64_t before_ns = platform_thread_cpu_ns();
        if (is_attached) {
            run(p);
        } else {
            engine_machine_fail(m, &error);
        }
        p->cpu_ns += platform_thread_cpu_ns() - before_ns;
        engine_machine_ring(m);
        if (atomic_fetch_sub(&m->n_running, 1) == 1) {
            platform_gate_wake_all(&m->n_running);
        }
    }
    if (is_attached) {
        m->vmm->detach(p->processor);
    }
}
