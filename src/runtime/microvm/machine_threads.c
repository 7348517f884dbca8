/* The processors of a machine, each with its thread of the host. */
#include "runtime/microvm/entry.h"
#include "runtime/microvm/machine_internal.h"

#include <string.h>

enum { HOST_STACK_BYTES = 256 << 10, MAX_VECTOR_BYTES = 4096 };
static const uint64_t SLICE_NS = 5000000;
static const uint64_t KICK_EVERY_NS = 2000000;
static const uint64_t SLICE_OF_OTHERS_NS = 50000000; /* row 0 looks after the time */

/* ---- the end ------------------------------------------------------------------------------- */

/* The guest is at its end, for whatever reason is noted; under the lock. */
static void finish(machine *m) {
    m->is_over = true;
    if (m->calls) {
        linux_stop(m->calls);
    }
    for (unsigned i = 0; i < m->n_threads; i++) {
        machine_thread *t = &m->threads[i];
        platform_condition_wake_all(&t->woken);
        if (t->processor) {
            m->vmm->kick(t->processor);
        }
    }
}

void machine_fail(machine *m, tars_status status, const tars_error *err) {
    if (m->status == TARS_OK) {
        m->status = status;
        if (m->error) {
            *m->error = *err;
        }
    }
    finish(m);
}

/* ---- who runs ------------------------------------------------------------------------------ */

void machine_hold(machine *m) {
    if (m->is_held) {
        return;
    }
    m->is_held = true;
    platform_mutex_lock(&m->gate_lock);
    m->is_closed = true;
    bool someone = false;
    do {
        someone = false;
        for (unsigned i = 0; i < m->n_threads; i++) {
            if (m->threads[i].runs) {
                m->vmm->kick(m->threads[i].processor);
                someone = true;
            }
        }
        if (someone) {
            (void)platform_condition_wait(&m->gate, &m->gate_lock, KICK_EVERY_NS);
        }
    } while (someone);
    platform_mutex_unlock(&m->gate_lock);
}

void machine_release(machine *m) {
    if (!m->is_held) {
        return;
    }
    m->is_held = false;
    pages_seen(&m->pages);
    platform_mutex_lock(&m->gate_lock);
    m->is_closed = false;
    platform_condition_wake_all(&m->gate);
    platform_mutex_unlock(&m->gate_lock);
}

static void begin_run(machine_thread *t) {
    machine *m = t->machine;
    platform_mutex_lock(&m->gate_lock);
    while (m->is_closed) {
        (void)platform_condition_wait(&m->gate, &m->gate_lock, PLATFORM_FOREVER);
    }
    t->runs = true;
    if (t->page_table != m->pages.table) {
        t->page_table = m->pages.table;
        m->vmm->set_page_table(t->processor, t->page_table);
    }
    platform_mutex_unlock(&m->gate_lock);
}

static void end_run(machine_thread *t) {
    machine *m = t->machine;
    platform_mutex_lock(&m->gate_lock);
    t->runs = false;
    if (m->is_closed) {
        platform_condition_wake_all(&m->gate);
    }
    platform_mutex_unlock(&m->gate_lock);
}

/* ---- what calls need of the machine --------------------------------------------------------- */

static bool set_thread_base(void *user, uint64_t address) {
    machine_thread *t = ((machine *)user)->current;
    if (address >= ENTRY_CANONICAL_END) {
        return false;
    }
    t->thread_base = address;
    t->machine->vmm->set_segment_bases(t->processor, address, 0);
    return true;
}

static uint64_t get_thread_base(void *user) {
    return ((machine *)user)->current->thread_base;
}

static uint64_t get_cpu_ns(void *user, bool of_all) {
    machine *m = user;
    machine_thread *own = m->current;
    own->cpu_ns = platform_thread_cpu_ns() - own->cpu_begin_ns;
    uint64_t sum = of_all ? 0 : own->cpu_ns - own->guest_cpu_ns;
    for (unsigned i = 0; of_all && i < m->n_threads; i++) {
        sum += m->threads[i].cpu_ns;
    }
    return sum;
}

static vmm_registers *get_registers(void *user) {
    const machine_thread *t = ((machine *)user)->current;
    return t->machine->vmm->registers(t->processor);
}

static size_t get_vectors(void *user, uint8_t *out, size_t capacity) {
    const machine_thread *t = ((machine *)user)->current;
    return t->machine->vmm->get_vectors(t->processor, out, capacity);
}

static bool set_vectors(void *user, const uint8_t *bytes, size_t length) {
    const machine_thread *t = ((machine *)user)->current;
    return t->machine->vmm->set_vectors(t->processor, bytes, length);
}

static void sleep_without_lock(void *user, uint64_t duration_ns) {
    machine *m = user;
    machine_thread *t = m->current;
    machine_release(m);
    if (duration_ns == 0) {
        platform_mutex_unlock(&m->lock);
        platform_yield();
        platform_mutex_lock(&m->lock);
    } else if (!m->is_over) {
        t->is_asleep = true;
        (void)platform_condition_wait(&t->woken, &m->lock, duration_ns);
        t->is_asleep = false;
    }
    m->current = t;
}

static void wake(void *user, unsigned row) {
    machine *m = user;
    machine_thread *t = &m->threads[row];
    if (t->is_asleep) {
        platform_condition_wake_all(&t->woken);
    } else if (t != m->current && t->processor) {
        m->vmm->kick(t->processor);
    }
}

/* ---- threads ------------------------------------------------------------------------------- */

static void serve(void *argument);

/* A copy of the calling thread's registers; its own are where it has them until it runs. */
static tars_status copy_registers(machine_thread *to, const machine_thread *from,
                                  const linux_clone *wanted, tars_error *err) {
    machine *m = to->machine;
    uint8_t vectors[MAX_VECTOR_BYTES];
    const vmm_registers *r = m->vmm->registers(from->processor);
    size_t length = m->vmm->get_vectors(from->processor, vectors, sizeof vectors);
    to->tables.page_table = m->pages.table;
    tars_status status =
        m->vmm->start(to->processor, &to->tables, r->rip, r->general[VMM_RSP], err);
    if (status != TARS_OK) {
        return status;
    }
    if (length == 0 || !m->vmm->set_vectors(to->processor, vectors, length)) {
        return error_set(err, TARS_IO, "cannot copy the registers of a virtual processor");
    }
    vmm_registers *own = m->vmm->registers(to->processor);
    *own = *r;
    own->general[VMM_RAX] = 0;
    if (wanted->stack_pointer != 0) {
        own->general[VMM_RSP] = wanted->stack_pointer;
    }
    to->thread_base = wanted->has_thread_base ? wanted->thread_base : from->thread_base;
    m->vmm->set_segment_bases(to->processor, to->thread_base, 0);
    to->page_table = to->tables.page_table;
    return TARS_OK;
}

static int64_t clone_thread(void *user, unsigned row, const linux_clone *wanted) {
    enum { TRY_AGAIN = -11, NOT_PERMITTED = -1 };
    machine *m = user;
    machine_thread *t = &m->threads[row];
    tars_error ignored;
    if (wanted->has_thread_base && wanted->thread_base >= ENTRY_CANONICAL_END) {
        return NOT_PERMITTED;
    }
    tars_status status = t->processor ? TARS_OK : machine_add_processor(m, row, &ignored);
    if (status == TARS_OK) {
        status = copy_registers(t, m->current, wanted, &ignored);
    }
    if (status == TARS_OK && row > 0 && !t->has_host) {
        status = platform_thread_create_small("tars-guest", HOST_STACK_BYTES, serve, t, &t->host,
                                              &ignored);
        t->has_host = status == TARS_OK;
    }
    if (status != TARS_OK) {
        return TRY_AGAIN;
    }
    t->has_guest = true;
    t->guest_cpu_ns = t->cpu_ns;
    platform_condition_wake_all(&t->woken);
    return 0;
}

const linux_machine machine_calls = {.set_thread_base = set_thread_base,
                                     .get_thread_base = get_thread_base,
                                     .clone = clone_thread,
                                     .sleep = sleep_without_lock,
                                     .wake = wake,
                                     .cpu_ns = get_cpu_ns,
                                     .registers = get_registers,
                                     .get_vectors = get_vectors,
                                     .set_vectors = set_vectors};

/* One run of the guest's thread, and what it wanted; the lock is held before and after. */
static void step(machine_thread *t) {
    machine *m = t->machine;
    tars_error err;
    vmm_exit e;
    uint64_t now = platform_clock_ns();
    uint64_t slice = t->row == 0 ? SLICE_NS : SLICE_OF_OTHERS_NS;
    uint64_t deadline = m->limits->deadline_ns;
    if (deadline > 0) {
        uint64_t left = deadline > now ? deadline - now : 0;
        slice = left < slice ? left : slice;
    }
    platform_mutex_unlock(&m->lock);
    begin_run(t);
    tars_status status = m->vmm->run(t->processor, slice, &e, &err);
    end_run(t);
    platform_mutex_lock(&m->lock);
    t->cpu_ns = platform_thread_cpu_ns() - t->cpu_begin_ns;
    if (m->is_over) {
        return;
    }
    if (status != TARS_OK) {
        machine_fail(m, status, &err);
        return;
    }
    m->current = t;
    linux_enter(m->calls, t->row);
    bool goes_on = machine_take_exit(t, &e);
    if (!m->is_over && !goes_on) {
        finish(m);
    }
    machine_release(m);
}

/* Row 0 looks after the time also when its thread of the guest has ended. */
static void wait_for_guest(machine_thread *t) {
    machine *m = t->machine;
    (void)platform_condition_wait(&t->woken, &m->lock, t->row == 0 ? SLICE_NS : PLATFORM_FOREVER);
    if (t->row == 0 && !m->is_over) {
        linux_enter(m->calls, 0);
        if (!machine_look_after(m)) {
            finish(m);
        }
    }
}

static void serve(void *argument) {
    machine_thread *t = argument;
    machine *m = t->machine;
    tars_error err;
    t->cpu_begin_ns = platform_thread_cpu_ns();
    tars_status status = m->vmm->attach(t->processor, &err);
    platform_mutex_lock(&m->lock);
    if (status != TARS_OK) {
        machine_fail(m, status, &err);
    }
    while (!m->is_over) {
        if (t->has_guest) {
            step(t);
        } else {
            wait_for_guest(t);
        }
    }
    platform_mutex_unlock(&m->lock);
    if (status == TARS_OK) {
        m->vmm->detach(t->processor);
    }
    platform_mutex_lock(&m->lock);
    t->cpu_ns = platform_thread_cpu_ns() - t->cpu_begin_ns;
    platform_mutex_unlock(&m->lock);
}

tars_status machine_add_processor(machine *m, unsigned row, tars_error *err) {
    machine_thread *t = &m->threads[row];
    pages_tables(&m->pages, row, &t->tables);
    t->tables.hides_time = m->options->clock_resolution_ns > 0;
    return m->vmm->processor_create(m->vm, &t->processor, err);
}

tars_status machine_run_threads(machine *m, tars_error *err) {
    m->error = err;
    m->threads[0].has_guest = true;
    serve(&m->threads[0]);
    for (unsigned i = 1; i < m->n_threads; i++) {
        if (m->threads[i].has_host) {
            platform_thread_join(&m->threads[i].host);
            m->result->others_cpu_ns += m->threads[i].cpu_ns;
        }
    }
    return m->status;
}
