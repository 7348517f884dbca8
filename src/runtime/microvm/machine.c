#include "runtime/microvm/machine_internal.h"

#include "runtime/microvm/elf.h"

#include <stdlib.h>
#include <string.h>

#define LEAST_RAM_BYTES ((uint64_t)2 << 30) /* addresses; memory is taken as it is touched */

/* What the program sees as its own path: the host's is nothing of its business. */
#define GUEST_NAME "/program"

enum { SLOT_RAM, SLOT_SYSTEM };

/* ---- memory ------------------------------------------------------------------------------ */

static unsigned rights_of(uint8_t flags) {
    return ((flags & SPACE_READ) != 0 ? PAGE_READ : 0) |
           ((flags & SPACE_WRITE) != 0 ? PAGE_WRITE : 0) |
           ((flags & SPACE_EXECUTE) != 0 ? PAGE_EXECUTE : 0);
}

static tars_status map_system(machine *m, tars_error *err) {
    return m->vmm->map(m->vm, SLOT_SYSTEM, SYSTEM_ADDRESS, m->pages.memory, m->pages.size_bytes,
                       false, err);
}

/* Takes the tables away and gives them again, upon which all that was known of them goes. */
static void forget(machine *m) {
    tars_error err;
    tars_status status = TARS_OK;
    if (m->vm) {
        status = m->vmm->map(m->vm, SLOT_SYSTEM, SYSTEM_ADDRESS, m->pages.memory, 0, false, &err);
        status = status == TARS_OK ? map_system(m, &err) : status;
    }
    if (status != TARS_OK) {
        machine_fail(m, status, &err);
    }
    pages_forgotten(&m->pages);
}

static void set_pages(machine *m, uint64_t first, uint64_t count, unsigned rights) {
    if (!pages_set(&m->pages, (size_t)first, (size_t)count, rights)) {
        machine_hold(m);
        forget(m);
        (void)pages_set(&m->pages, (size_t)first, (size_t)count, rights); /* has room */
    }
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
        set_pages(m, i, end - i, rights);
        i = end;
    }
}

static void hold(void *user) {
    machine_hold(user);
}

static bool give_back(void *user, uint64_t first_page, uint64_t n_pages) {
    const machine *m = user;
    return platform_discard(m->ram + first_page * PAGE_BYTES, (size_t)n_pages * PAGE_BYTES);
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
        status = pages_create(m->ram_bytes, m->n_threads, &m->pages, err);
    }
    if (status == TARS_OK) {
        space_options options = {.ram = m->ram,
                                 .size_bytes = m->ram_bytes,
                                 .limit_bytes = m->limits->memory_bytes,
                                 .changing = hold,
                                 .changed = follow_space,
                                 .discard = give_back,
                                 .user = m};
        status = space_init(&m->space, &options, err);
    }
    return status;
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
    machine_thread *first = &m->threads[0];
    tars_status status = m->vmm->create(&m->vm, err);
    if (status == TARS_OK) {
        status = m->vmm->map(m->vm, SLOT_RAM, 0, m->ram, (size_t)m->ram_bytes, false, err);
    }
    if (status == TARS_OK) {
        status = map_system(m, err);
    }
    if (status == TARS_OK) {
        status = machine_add_processor(m, 0, err);
    }
    if (status == TARS_OK && m->limits->made) {
        status = m->limits->made(m->limits->user, err);
    }
    if (status == TARS_OK) {
        status = load(m, program, &entry, &stack_pointer, err);
    }
    if (status == TARS_OK) {
        status = m->vmm->start(first->processor, &first->tables, entry, stack_pointer, err);
        first->page_table = first->tables.page_table;
    }
    pages_seen(&m->pages);
    machine_release(m);
    return status;
}

static void finish(machine *m) {
    m->result->memory_peak_bytes = space_peak_bytes(&m->space);
    m->result->n_memory_refused = m->space.n_refused;
    for (unsigned i = 0; i < m->n_threads; i++) {
        if (m->threads[i].processor) {
            m->vmm->processor_destroy(m->threads[i].processor);
        }
    }
    if (m->vm) {
        m->vmm->destroy(m->vm);
    }
    space_free(&m->space);
    pages_destroy(&m->pages);
    if (m->ram) {
        platform_release(m->ram, (size_t)m->ram_bytes);
    }
    free(m);
}

static machine *create(const machine_limits *limits, linux_options *options, machine_result *out) {
    machine *m = calloc(1, sizeof *m);
    if (!m) {
        return NULL;
    }
    m->vmm = platform_vmm();
    m->limits = limits;
    m->options = options;
    m->result = out;
    uint32_t wanted = options->n_threads;
    m->n_threads = wanted == 0 ? 1 : wanted < VMM_MAX_PROCESSORS ? wanted : VMM_MAX_PROCESSORS;
    for (unsigned i = 0; i < m->n_threads; i++) {
        m->threads[i].machine = m;
        m->threads[i].row = i;
    }
    return m;
}

tars_status machine_run(const machine_program *program, const machine_limits *limits,
                        linux_options *options, linux_context **context, machine_result *out,
                        tars_error *err) {
    uint64_t begin_ns = platform_clock_ns();
    *context = NULL;
    *out = (machine_result){.end = MACHINE_ENDED};
    machine *m = create(limits, options, out);
    if (!m) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a machine");
    }
    linux_machine own = machine_calls;
    own.user = m;
    options->space = &m->space;
    options->machine = &own;
    options->program = GUEST_NAME;
    options->stack_bytes = limits->stack_bytes;
    options->deadline_ns = limits->deadline_ns;
    tars_status status = m->vmm ? TARS_OK : machine_probe(err);
    if (status == TARS_OK) {
        status = make_memory(m, err);
    }
    if (status == TARS_OK) {
        status = linux_create(options, context, err);
        m->calls = *context;
    }
    if (status == TARS_OK) {
        status = start(m, program, err);
        if (status == TARS_LIMIT) { /* the program needs more than it may have */
            out->end = MACHINE_MEMORY;
            finish(m);
            return TARS_OK;
        }
    }
    out->start_ns = platform_clock_ns() - begin_ns;
    if (status == TARS_OK) {
        status = machine_run_threads(m, err);
    }
    finish(m);
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
