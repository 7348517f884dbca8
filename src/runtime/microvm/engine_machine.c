#include "runtime/microvm/engine_internal.h"

#include "runtime/microvm/elf.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(wire_area) < ENGINE_LARGE_BYTES, "the rings and more lie in one page");

enum { GRACE_MS = 8 };
/* How long who serves sleeps until it looks at the rings again: first briefly, as starts and
 * questions are answered within microseconds, then as long as tokens take. */
static const uint64_t LEAST_SLEEP_NS = 20000;
static const uint64_t MOST_SLEEP_NS = 500000;

wire_area *engine_machine_area(const engine_machine *m) {
    return m->scratch;
}

void engine_machine_ring(engine_machine *m) {
    atomic_fetch_add(&m->bell, 1);
    platform_gate_wake_all(&m->bell);
}

void engine_machine_fail(engine_machine *m, const tars_error *error) {
    platform_mutex_lock(&m->lock);
    if (m->status == TARS_OK) {
        m->status = error->status;
        m->error = *error;
    }
    platform_mutex_unlock(&m->lock);
    engine_machine_ring(m);
}

uint64_t engine_machine_most_bytes(void) {
    return ENGINE_SCRATCH_END - ENGINE_SCRATCH - ENGINE_LARGE_BYTES; /* the rings lie there too */
}

bool engine_machine_computes(wire_kind request) {
    return request == WIRE_REQUEST || request == WIRE_EMBED || request == WIRE_IMPORT;
}

/* ---- memory for requests -------------------------------------------------------------------- */

static tars_status make_scratch(engine_machine *m, tars_error *err) {
    tars_status status = platform_reserve(ENGINE_LARGE_BYTES, false, &m->scratch, err);
    if (status == TARS_OK) {
        platform_prefer_small_pages(m->scratch, ENGINE_LARGE_BYTES);
        status = m->vmm->map(m->vm, ENGINE_SLOT_SCRATCH, ENGINE_SCRATCH, m->scratch,
                             ENGINE_LARGE_BYTES, false, err);
    }
    return status;
}

static tars_status drop_more(engine_machine *m, tars_error *err) {
    if (!m->more) {
        return TARS_OK;
    }
    tars_status status = m->vmm->map(m->vm, ENGINE_SLOT_MORE, ENGINE_SCRATCH + ENGINE_LARGE_BYTES,
                                     m->more, 0, false, err);
    if (status == TARS_OK) {
        platform_release(m->more, m->more_bytes);
        m->more = NULL;
        m->more_bytes = 0;
    }
    return status;
}

/* Of a request that computes: behind the first large page, so that it has none but large ones. */
static size_t memory_at(bool computes) {
    return computes ? ENGINE_LARGE_BYTES : sizeof(wire_area);
}

/* As much as a request may have and no more. What is there is kept when it fits. */
static tars_status have_memory(engine_machine *m, uint64_t memory_bytes, bool computes,
                               tars_error *err) {
    uint64_t most = engine_machine_most_bytes();
    if (memory_bytes > most) {
        return error_set(err, TARS_UNAVAILABLE,
                         "runtime microvm is unavailable: %llu bytes of memory, a machine has up "
                         "to %llu",
                         (unsigned long long)memory_bytes, (unsigned long long)most);
    }
    uint64_t n_large =
        (memory_at(computes) + memory_bytes + ENGINE_LARGE_BYTES - 1) / ENGINE_LARGE_BYTES;
    size_t more_bytes = (size_t)(n_large - 1) * ENGINE_LARGE_BYTES;
    m->given_bytes = memory_at(computes) + (size_t)memory_bytes;
    if (m->more_bytes == more_bytes) {
        return TARS_OK;
    }
    tars_status status = drop_more(m, err);
    if (status == TARS_OK && more_bytes > 0) {
        status = platform_reserve(more_bytes, true, &m->more, err);
    }
    if (status == TARS_OK && more_bytes > 0) {
        m->more_bytes = more_bytes;
        status = m->vmm->map(m->vm, ENGINE_SLOT_MORE, ENGINE_SCRATCH + ENGINE_LARGE_BYTES, m->more,
                             more_bytes, false, err);
    }
    return status;
}

static tars_status clean_scratch(engine_machine *m, tars_error *err) {
    tars_status status = platform_zero(m->scratch, ENGINE_LARGE_BYTES, err);
    if (status == TARS_OK && m->more && !platform_discard(m->more, m->more_bytes)) {
        status = error_set(err, TARS_FAILED, "cannot give a machine's memory back");
    }
    return status;
}

/* ---- making it ----------------------------------------------------------------------------- */

static void *data_at(const engine_machine *m, uint64_t address) {
    return m->data + (address - ENGINE_DATA);
}

static tars_status map_fixed(engine_machine *m, tars_error *err) {
    const engine_snapshot *s = m->snapshot;
    const engine_slot rows[] = {
        {ENGINE_SLOT_CODE, ENGINE_CODE, s->code, ENGINE_LARGE_BYTES, true},
        {ENGINE_SLOT_DATA, ENGINE_DATA, m->data, ENGINE_DATA_BYTES, false},
        {ENGINE_SLOT_SYSTEM, SYSTEM_ADDRESS, m->data + ENGINE_DATA_BYTES, s->layout.size_bytes,
         false},
        {ENGINE_SLOT_MODEL, ENGINE_MODEL, s->model ? (void *)(uintptr_t)s->model->bytes : NULL,
         engine_model_slot_bytes(s->model), true},
    };
    return engine_map_slots(m->vmm, m->vm, rows, sizeof rows / sizeof rows[0], err);
}

static tars_status make_memory(engine_machine *m, tars_error *err) {
    void *data = NULL;
    tars_status status = platform_snapshot_copy(&m->snapshot->data, &data, err);
    m->data = data;
    if (status == TARS_OK) {
        pages_move(&m->snapshot->layout, m->data + ENGINE_DATA_BYTES, &m->pages);
        status = m->vmm->create(&m->vm, err);
    }
    if (status == TARS_OK) {
        m->vmm->keep_others(m->vm);
        status = map_fixed(m, err);
    }
    return status == TARS_OK ? make_scratch(m, err) : status;
}

/* As the snapshot has them: the first behind READY, the others at the beginning. */
static tars_status set_processors(engine_machine *m, tars_error *err) {
    const engine_ready *r = &m->snapshot->ready;
    tars_status status = m->vmm->load(m->processors[0].processor, m->snapshot->state, err);
    for (unsigned i = 1; i < m->n_workers && status == TARS_OK; i++) {
        vmm_processor *p = m->processors[i].processor;
        vmm_tables tables;
        pages_tables(&m->pages, i, &tables);
        status = m->vmm->start(p, &tables, r->worker_entry, r->stacks + i * r->stack_bytes, err);
        if (status == TARS_OK) {
            m->vmm->registers(p)->general[VMM_RDI] = i;
            m->vmm->set_segment_bases(p, r->threads + i * r->thread_bytes, 0);
        }
    }
    return status;
}

static tars_status make_processors(engine_machine *m, tars_error *err) {
    m->processors = calloc(m->n_workers, sizeof *m->processors);
    if (!m->processors) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the processors of a machine");
    }
    tars_status status = TARS_OK;
    for (unsigned i = 0; i < m->n_workers && status == TARS_OK; i++) {
        engine_processor *p = &m->processors[i];
        p->machine = m;
        p->number = i;
        status = m->vmm->processor_create(m->vm, &p->processor, err);
    }
    for (unsigned i = 0; i < m->n_workers && status == TARS_OK; i++) {
        engine_processor *p = &m->processors[i];
        status = platform_thread_create("tars-vcpu", engine_processor_main, p, &p->thread, err);
        p->has_thread = status == TARS_OK;
    }
    return status == TARS_OK ? set_processors(m, err) : status;
}

unsigned engine_machine_workers(const engine_snapshot *snapshot, const engine_wish *wish) {
    unsigned most = snapshot->most_workers;
    return wish->n_workers < 1 ? 1 : wish->n_workers > most ? most : wish->n_workers;
}

bool engine_machine_suits(const engine_machine *m, const engine_wish *wish) {
    return m->n_workers == engine_machine_workers(m->snapshot, wish);
}

tars_status engine_machine_create(const engine_snapshot *snapshot, const engine_wish *wish,
                                  engine_machine **out, tars_error *err) {
    engine_machine *m = calloc(1, sizeof *m);
    *out = NULL;
    if (!m) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a machine");
    }
    m->snapshot = snapshot;
    m->vmm = snapshot->vmm;
    m->n_workers = engine_machine_workers(snapshot, wish);
    tars_status status = make_memory(m, err);
    if (status == TARS_OK) {
        status = make_processors(m, err);
    }
    if (status == TARS_OK) {
        status = have_memory(m, wish->memory_bytes, wish->computes, err);
    }
    if (status != TARS_OK) {
        engine_machine_destroy(m);
        m = NULL;
    }
    *out = m;
    return status;
}

static void give_order(engine_machine *m, unsigned order) {
    atomic_store(&m->order, order);
    atomic_fetch_add(&m->orders, 1);
    platform_gate_wake_all(&m->orders);
}

void engine_machine_destroy(engine_machine *m) {
    if (!m) {
        return;
    }
    give_order(m, ENGINE_ORDER_QUIT);
    for (unsigned i = 0; m->processors && i < m->n_workers; i++) {
        engine_processor *p = &m->processors[i];
        if (p->has_thread) {
            platform_thread_join(&p->thread);
        }
        if (p->processor) {
            m->vmm->processor_destroy(p->processor);
        }
    }
    free(m->processors);
    if (m->vm) {
        m->vmm->destroy(m->vm);
    }
    if (m->data) {
        platform_release(m->data, m->snapshot->data.size_bytes);
    }
    if (m->scratch) {
        platform_release(m->scratch, ENGINE_LARGE_BYTES);
    }
    if (m->more) {
        platform_release(m->more, m->more_bytes);
    }
    free(m);
}

/* ---- serving ------------------------------------------------------------------------------- */

/* What is each machine's own. */
static tars_status write_settings(engine_machine *m, bool computes, tars_error *err) {
    engine_settings settings = {.scratch_bytes = m->given_bytes,
                                .memory_at = memory_at(computes),
                                .n_workers = m->n_workers,
                                .ticks_per_ms = m->snapshot->ticks_per_ms};
    uint8_t random[ELF_RANDOM_BYTES];
    tars_status status = platform_random(settings.random, sizeof settings.random, err);
    if (status == TARS_OK) {
        status = platform_random(random, sizeof random, err);
    }
    if (status == TARS_OK) {
        memcpy(data_at(m, m->snapshot->ready.settings), &settings, sizeof settings);
        memcpy(data_at(m, m->snapshot->random_at), random, sizeof random);
    }
    return status;
}

static tars_status prepare(engine_machine *m, uint64_t memory_bytes, bool computes,
                           tars_error *err) {
    m->is_spoilt = true;
    tars_status status = have_memory(m, memory_bytes, computes, err);
    if (status == TARS_OK) {
        status = write_settings(m, computes, err);
    }
    m->is_prepared = status == TARS_OK;
    return status;
}

tars_status engine_machine_prepare(engine_machine *m, const engine_wish *wish, tars_error *err) {
    for (unsigned n; (n = atomic_load(&m->n_begun)) < m->n_workers;) {
        (void)platform_gate_wait(&m->n_begun, n, PLATFORM_FOREVER);
    }
    return prepare(m, wish->memory_bytes, wish->computes, err);
}

/* Tells the guest what was written and read, if it waits for that. */
static void tell_news(engine_machine *m) {
    atomic_fetch_add(&m->news, 1);
    if (atomic_load(&m->is_waiting)) {
        platform_gate_wake_all(&m->news);
    }
}

static tars_status first_failure(engine_machine *m, tars_error *err) {
    platform_mutex_lock(&m->lock);
    tars_status status = m->status;
    if (status != TARS_OK && err) {
        *err = m->error;
    }
    platform_mutex_unlock(&m->lock);
    return status;
}

/* True when a guest that goes on must be stopped: it was to end its answer a while ago. */
static bool is_overdue(guest_client *client, uint64_t *refused_at_ns) {
    if (guest_client_goes_on(client)) {
        return false;
    }
    uint64_t now_ns = platform_clock_ns();
    *refused_at_ns = *refused_at_ns > 0 ? *refused_at_ns : now_ns;
    return now_ns - *refused_at_ns > (uint64_t)GRACE_MS * 1000 * 1000;
}

static tars_status talk(engine_machine *m, guest_client *client, tars_error *err) {
    wire_area *area = engine_machine_area(m);
    uint64_t sleep_ns = LEAST_SLEEP_NS;
    uint64_t refused_at_ns = 0;
    for (;;) {
        unsigned seen = atomic_load(&m->bell);
        unsigned written = atomic_load(&area->to_guest.written);
        unsigned read = atomic_load(&area->to_host.read);
        tars_status status = guest_client_turn(client, err);
        bool has_news = written != atomic_load(&area->to_guest.written) ||
                        read != atomic_load(&area->to_host.read);
        if (has_news) {
            tell_news(m);
        }
        if (status != TARS_OK || client->has_ended) {
            return status;
        }
        status = first_failure(m, err);
        if (status != TARS_OK) { /* what it said before may have been its result, or an error */
            tars_error told;
            tars_status last = guest_client_turn(client, &told);
            if (client->has_ended && last != TARS_OK && err) {
                *err = told;
            }
            return client->has_ended ? last : status;
        }
        if (is_overdue(client, &refused_at_ns)) {
            return TARS_OK;
        }
        uint64_t longer_ns = sleep_ns + sleep_ns / 2;
        sleep_ns = has_news                    ? LEAST_SLEEP_NS
                   : longer_ns < MOST_SLEEP_NS ? longer_ns
                                               : MOST_SLEEP_NS;
        (void)platform_gate_wait(&m->bell, seen, sleep_ns);
    }
}

/* Wherever its processors are. */
static void stop(engine_machine *m) {
    atomic_store(&m->is_ending, 1);
    for (unsigned i = 0; i < m->n_workers; i++) {
        engine_processor *p = &m->processors[i];
        m->vmm->kick(p->processor);
        atomic_fetch_add(&p->wake, 1);
        platform_gate_wake_all(&p->wake);
    }
    atomic_fetch_add(&m->news, 1);
    platform_gate_wake_all(&m->news);
    for (unsigned n; (n = atomic_load(&m->n_running)) > 0;) {
        (void)platform_gate_wait(&m->n_running, n, PLATFORM_FOREVER);
    }
}

/* What came of the guest, in order of what is to be believed. */
static tars_status judge(engine_machine *m, tars_status status, const guest_client *client,
                         tars_error *err) {
    const platform_mapping *model = m->snapshot->model;
    tars_error damage;
    if (model && platform_mapping_check(model, &damage) != TARS_OK) {
        if (err) {
            *err = damage;
        }
        error_hint(err, "the model's file changed while it was in use: import it again");
        return damage.status;
    }
    if (status == TARS_OK && (client->has_ended || client->check != TARS_OK)) {
        return guest_client_status(client, err);
    }
    return status != TARS_OK ? status
                             : error_set(err, TARS_FAILED, "the guest ended without a result");
}

tars_status engine_machine_serve(engine_machine *m, uint64_t memory_bytes, guest_client *client,
                                 engine_usage *usage, tars_error *err) {
    uint64_t begin_ns = platform_clock_ns();
    *usage = (engine_usage){.start_ns = 0};
    if (m->was_used) {
        return error_set(err, TARS_CONFLICT, "a machine serves one request before it is reset");
    }
    m->was_used = true;
    m->is_spoilt = true;
    bool computes = engine_machine_computes(client->kind->request);
    tars_status status = m->is_prepared ? TARS_OK : prepare(m, memory_bytes, computes, err);
    if (status != TARS_OK) {
        return status;
    }
    guest_client_connect_greeted(client, engine_machine_area(m), m->snapshot->isa,
                                 m->given_bytes + m->snapshot->state_bytes);
    for (unsigned i = 0; i < m->n_workers; i++) {
        m->processors[i].cpu_ns = m->processors[i].n_exits = 0;
    }
    atomic_store(&m->is_ending, 0);
    atomic_store(&m->n_running, m->n_workers);
    give_order(m, ENGINE_ORDER_RUN);
    usage->start_ns = platform_clock_ns() - begin_ns;
    status = talk(m, client, err);
    stop(m);
    for (unsigned i = 0; i < m->n_workers; i++) {
        usage->cpu_ns += m->processors[i].cpu_ns;
        usage->n_exits += m->processors[i].n_exits;
    }
    status = judge(m, status, client, err);
    m->is_spoilt = status != TARS_OK || !client->has_ended || m->status != TARS_OK;
    return status;
}

tars_status engine_machine_reset(engine_machine *m, engine_usage *usage, tars_error *err) {
    size_t n_pages = 0;
    if (m->is_spoilt) {
        return error_set(err, TARS_CONFLICT, "a machine whose request failed is not used again");
    }
    tars_status status = clean_scratch(m, err);
    if (status == TARS_OK) {
        status = platform_snapshot_restore(&m->snapshot->data, m->data, &n_pages, err);
    }
    if (status == TARS_OK) {
        status = set_processors(m, err);
    }
    usage->touched_bytes = n_pages * PAGE_BYTES;
    m->is_prepared = false;
    m->was_used = status != TARS_OK;
    m->is_spoilt = status != TARS_OK;
    return status;
}
