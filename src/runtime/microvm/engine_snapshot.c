#include "runtime/microvm/engine_snapshot.h"

#include "base/text.h"
#include "engine/model.h"
#include "runtime/guest_client.h"
#include "runtime/microvm/elf.h"
#include "runtime/microvm/engine_program.h"
#include "runtime/microvm/entry.h"
#include "runtime/microvm/linux_calls.h"
#include "runtime/microvm/machine.h"

#include <stdlib.h>
#include <string.h>

enum {
    BOOT_SCRATCH_BYTES = 2 << 20,
    BOOT_STACK_BYTES = 1 << 20,
    FIXED_STATE_BYTES = 64 << 10, /* of the guest beside the model's tables */
    NUMBER_BYTES = 24
};
static const uint64_t SLICE_NS = 10000000;
static const uint64_t LIMIT_NS = 30000000000;

/* The machine in which the program starts. */
typedef struct boot {
    engine_snapshot *s;
    vmm_machine *vm;
    vmm_processor *processor;
    pages pages;
    space space;
    uint8_t *ram; /* [0, ENGINE_DATA_END) */
    void *scratch;
    linux_context *calls;
    uint64_t thread_base;
    uint64_t stack_pointer;
    const engine_boot_program *program;
    const engine_boot_check *check; /* or NULL */
    const char *isa;
    wire_port port;
    bool has_greeted; /* the guest did */
    bool is_ready;
    tars_status status; /* of what it said */
    tars_error *err;
} boot;

/* ---- memory ------------------------------------------------------------------------------ */

static unsigned rights_of(uint8_t flags) {
    return ((flags & SPACE_READ) != 0 ? PAGE_READ : 0) |
           ((flags & SPACE_WRITE) != 0 ? PAGE_WRITE : 0) |
           ((flags & SPACE_EXECUTE) != 0 ? PAGE_EXECUTE : 0);
}

static void follow_space(void *user, uint64_t first_page, uint64_t n_pages) {
    boot *b = user;
    for (uint64_t i = first_page; i < first_page + n_pages; i++) {
        (void)pages_set(&b->pages, (size_t)i, 1, rights_of(b->space.flags[i]));
    }
}

static uint64_t model_bytes(const engine_snapshot *s) {
    return s->model ? s->model->size_bytes : 0;
}

static tars_status make_memory(boot *b, tars_error *err) {
    void *ram = NULL;
    tars_status status = platform_reserve(ENGINE_DATA_END, false, &ram, err);
    b->ram = ram;
    if (status == TARS_OK) {
        status = platform_reserve(BOOT_SCRATCH_BYTES, false, &b->scratch, err);
    }
    if (status == TARS_OK) {
        status = pages_create_far(ENGINE_DATA_END, b->s->most_workers, model_bytes(b->s), &b->pages,
                                  err);
    }
    if (status == TARS_OK) {
        space_options options = {.ram = b->ram,
                                 .size_bytes = ENGINE_DATA_END,
                                 .limit_bytes = ENGINE_DATA_END,
                                 .changed = follow_space,
                                 .user = b};
        status = space_init(&b->space, &options, err);
    }
    if (status == TARS_OK) {
        /* behind the scratch that a machine has there is nothing: reaching there ends it */
        pages_set_large(&b->pages, ENGINE_SCRATCH, ENGINE_SCRATCH_END - ENGINE_SCRATCH,
                        PAGE_READ | PAGE_WRITE);
        pages_set_large(&b->pages, ENGINE_MODEL, model_bytes(b->s), PAGE_READ);
    }
    return status;
}

/* ---- loading ------------------------------------------------------------------------------- */

static const char *number(char out[NUMBER_BYTES], uint64_t value) {
    text_buffer text;
    text_init(&text, out, NUMBER_BYTES);
    text_format(&text, "%llu", (unsigned long long)value);
    return out;
}

static tars_status load(boot *b, uint64_t *entry, tars_error *err) {
    char texts[ENGINE_ARGUMENTS][NUMBER_BYTES];
    const char *arguments[ENGINE_ARGUMENTS + 1] = {
        "engine",
        number(texts[1], b->s->state_bytes),
        number(texts[2], BOOT_SCRATCH_BYTES),
        number(texts[3], model_bytes(b->s)),
        number(texts[4], b->s->most_workers),
        NULL,
    };
    const char *environment[] = {NULL};
    elf_image image;
    elf_start start = {.arguments = arguments,
                       .environment = environment,
                       .program = "/engine",
                       .stack_bytes = BOOT_STACK_BYTES};
    tars_status status = elf_read(b->program->bytes, b->program->length, "the engine", &image, err);
    if (status == TARS_OK) {
        status = elf_load(&image, &b->space, err);
    }
    if (status == TARS_OK) {
        status = elf_make_stack(&image, &b->space, &start, &b->stack_pointer, err);
    }
    *entry = image.entry;
    return status;
}

tars_status engine_map_slots(const vmm_functions *vmm, vmm_machine *vm, const engine_slot *slots,
                             size_t n, tars_error *err) {
    tars_status status = TARS_OK;
    for (size_t i = 0; i < n && status == TARS_OK; i++) {
        if (slots[i].size_bytes > 0) {
            status = vmm->map(vm, slots[i].slot, slots[i].address, slots[i].host,
                              slots[i].size_bytes, slots[i].read_only, err);
        }
    }
    return status;
}

static tars_status map_all(boot *b, tars_error *err) {
    engine_snapshot *s = b->s;
    const engine_slot rows[] = {
        {ENGINE_SLOT_DATA, 0, b->ram, ENGINE_DATA_END, false},
        {ENGINE_SLOT_SYSTEM, SYSTEM_ADDRESS, b->pages.memory, b->pages.size_bytes, false},
        {ENGINE_SLOT_SCRATCH, ENGINE_SCRATCH, b->scratch, BOOT_SCRATCH_BYTES, false},
        {ENGINE_SLOT_MODEL, ENGINE_MODEL, s->model ? (void *)(uintptr_t)s->model->bytes : NULL,
         engine_model_slot_bytes(s->model), true},
    };
    return engine_map_slots(s->vmm, b->vm, rows, sizeof rows / sizeof rows[0], err);
}

static tars_status start(boot *b, tars_error *err) {
    const vmm_functions *vmm = b->s->vmm;
    uint64_t entry = 0;
    vmm_tables tables;
    tars_status status = load(b, &entry, err);
    if (status == TARS_OK) {
        status = vmm->create(&b->vm, err);
    }
    if (status == TARS_OK) {
        status = map_all(b, err);
    }
    if (status == TARS_OK) {
        status = vmm->processor_create(b->vm, &b->processor, err);
    }
    if (status == TARS_OK) {
        status = vmm->attach(b->processor, err);
    }
    if (status == TARS_OK) {
        pages_tables(&b->pages, 0, &tables);
        status = vmm->start(b->processor, &tables, entry, b->stack_pointer, err);
    }
    return status;
}

/* ---- greeting ------------------------------------------------------------------------------ */

static bool nobody_waits(void *context) {
    (void)context;
    return false;
}

static tars_status greet(boot *b, tars_error *err) {
    wire_area *area = b->scratch;
    wire_hello hello;
    memset(&hello, 0, sizeof hello);
    hello.magic = WIRE_MAGIC;
    hello.version = WIRE_VERSION;
    hello.arithmetic_version = ARITHMETIC_VERSION;
    hello.model_offset = b->s->model ? ENGINE_MODEL : 0;
    hello.model_bytes = model_bytes(b->s);
    text_buffer isa;
    text_init(&isa, hello.isa, sizeof hello.isa);
    text_append_string(&isa, b->isa);
    b->port = (wire_port){.in = &area->to_host, .out = &area->to_guest, .wait = nobody_waits};
    return wire_send(&b->port, WIRE_HELLO, &hello, sizeof hello, NULL, 0, err);
}

static tars_status take_hello(boot *b, const wire_message *message) {
    wire_hello hello;
    memcpy(&hello, message->payload, sizeof hello);
    hello.isa[sizeof hello.isa - 1] = '\0';
    bool fits = hello.magic == WIRE_MAGIC && hello.version == WIRE_VERSION &&
                hello.arithmetic_version == ARITHMETIC_VERSION && !b->has_greeted;
    if (!fits || (b->isa[0] && strcmp(b->isa, hello.isa) != 0)) {
        return error_set(b->err, TARS_MALFORMED, "the engine greeted wrongly or twice");
    }
    if (guest_client_known_isa(hello.isa)[0] == '\0') {
        return error_set(b->err, TARS_MALFORMED, "the engine computes with unknown kernels");
    }
    memcpy(b->s->isa, hello.isa, sizeof b->s->isa);
    b->has_greeted = true;
    return TARS_OK;
}

static tars_status take_error(boot *b, const wire_message *message) {
    tars_error failure = {.status = TARS_FAILED};
    wire_read_error(message, &failure);
    failure.status =
        guest_client_may_fail_with(failure.status) ? failure.status : (tars_status)TARS_FAILED;
    *b->err = failure;
    return failure.status;
}

/* What the guest has said since. */
static tars_status listen(boot *b) {
    wire_message *message = malloc(sizeof *message);
    bool found = true;
    tars_status status = TARS_OK;
    if (!message) {
        error_set(b->err, TARS_OUT_OF_MEMORY, "no memory for what an engine says");
        return TARS_OUT_OF_MEMORY;
    }
    while (status == TARS_OK && found) {
        status = wire_poll(&b->port, message, &found, b->err);
        if (status == TARS_OK && found) {
            status = message->kind == WIRE_HELLO   ? take_hello(b, message)
                     : message->kind == WIRE_ERROR ? take_error(b, message)
                                                   : error_set(b->err, TARS_MALFORMED,
                                                               "the engine said something else "
                                                               "than a greeting");
        }
    }
    free(message);
    return status;
}

/* ---- running to the point where it is ready -------------------------------------------------- */

static bool set_thread_base(void *user, uint64_t address) {
    boot *b = user;
    if (address >= ENTRY_CANONICAL_END) {
        return false;
    }
    b->thread_base = address;
    b->s->vmm->set_segment_bases(b->processor, address, 0);
    return true;
}

static uint64_t get_thread_base(void *user) {
    return ((boot *)user)->thread_base;
}

static bool lies_in_data(uint64_t address, uint64_t size_bytes) {
    return address >= ENGINE_DATA && address <= ENGINE_DATA_END &&
           size_bytes <= ENGINE_DATA_END - address;
}

/* The program has read the model, which may be hostile: nothing of what it says is believed. */
static tars_status take_ready(boot *b, uint64_t address) {
    engine_ready *r = &b->s->ready;
    tars_status status = listen(b); /* it may have told why it is not */
    if (status != TARS_OK) {
        return status;
    }
    bool fits = space_get(&b->space, address, r, sizeof *r) &&
                lies_in_data(r->settings, sizeof(engine_settings)) && b->has_greeted;
    if (fits && b->s->most_workers > 1) {
        uint64_t n = b->s->most_workers;
        fits = r->stack_bytes <= ENGINE_DATA_BYTES && r->thread_bytes <= ENGINE_DATA_BYTES &&
               lies_in_data(r->stacks, n * r->stack_bytes) &&
               lies_in_data(r->threads, n * r->thread_bytes) && r->worker_entry >= ENGINE_CODE &&
               r->worker_entry < ENGINE_CODE + ENGINE_LARGE_BYTES;
    }
    b->is_ready = fits;
    return fits ? TARS_OK
                : error_set(b->err, TARS_MALFORMED, "the engine says that it lies where it cannot");
}

static tars_status answer_call(boot *b, const vmm_exit *e) {
    vmm_registers *r = b->s->vmm->registers(b->processor);
    const uint64_t arguments[6] = {r->general[VMM_RDI], r->general[VMM_RSI], r->general[VMM_RDX],
                                   r->general[VMM_R10], r->general[VMM_R8],  r->general[VMM_R9]};
    uint64_t number_of_call = r->general[VMM_RAX];
    uint64_t result = 0;
    tars_status status = TARS_OK;
    if (number_of_call == ENGINE_CALL_WAIT) {
        status = listen(b);
        result = b->has_greeted ? 0 : 1;
    } else if (number_of_call == ENGINE_CALL_READY) {
        status = take_ready(b, arguments[0]);
    } else {
        result = (uint64_t)linux_call(b->calls, number_of_call, arguments);
        if (linux_ended(b->calls) != LINUX_RUNS) {
            status = listen(b);
            status = status != TARS_OK ? status
                                       : error_set(b->err, TARS_FAILED,
                                                   "the engine ended before it was ready (%u)",
                                                   (unsigned)linux_code(b->calls));
        }
    }
    if (status == TARS_OK && !entry_return(r, e, result)) {
        status = error_set(b->err, TARS_FAILED, "a call of the engine returns to no address");
    }
    return status;
}

static tars_status take_exit(boot *b, const vmm_exit *e) {
    if (e->kind == VMM_EXIT_PORT && e->port == PORT_CALL) {
        return answer_call(b, e);
    }
    if (e->kind == VMM_EXIT_KICKED) {
        return TARS_OK;
    }
    error_set(b->err, TARS_FAILED, "the engine failed before it was ready (exit %d, port 0x%x)",
              (int)e->kind, (unsigned)e->port);
    if (e->kind == VMM_EXIT_PORT && e->port >= PORT_FAULT && e->port < PORT_FAULT + N_FAULTS) {
        page_fault_frame frame;
        pages_read_fault(&b->pages, 0, e->port - (unsigned)PORT_FAULT, &frame);
        error_cause(b->err, "at 0x%llx", (unsigned long long)frame.rip);
    }
    return TARS_FAILED;
}

static tars_status ask(const boot *b, tars_error *err) {
    return b->check ? b->check->ask(b->check->user, err) : TARS_OK;
}

static bool goes_on(void *user) {
    return ask(user, NULL) == TARS_OK;
}

/* What ends it counts more than what came of ending it. */
static tars_status look_at_time(const boot *b, uint64_t begin_ns, tars_status status,
                                tars_error *err) {
    tars_error refusal;
    if (ask(b, &refusal) != TARS_OK) {
        if (err) {
            *err = refusal;
        }
        return refusal.status;
    }
    if (status == TARS_OK && platform_clock_ns() - begin_ns > b->program->limit_ns) {
        return error_set(err, TARS_TIMEOUT, "the engine did not become ready in %llu ms",
                         (unsigned long long)(b->program->limit_ns / 1000000));
    }
    return status;
}

static tars_status run(boot *b, tars_error *err) {
    uint64_t begin_ns = platform_clock_ns();
    tars_status status = greet(b, err);
    while (status == TARS_OK && !b->is_ready) {
        vmm_exit e;
        status = b->s->vmm->run(b->processor, SLICE_NS, &e, err);
        if (status == TARS_OK) {
            status = take_exit(b, &e);
        }
        status = look_at_time(b, begin_ns, status, err);
    }
    return status;
}

/* ---- keeping it ---------------------------------------------------------------------------- */

static tars_status keep_code(boot *b, tars_error *err) {
    void *code = NULL;
    tars_status status = platform_reserve(ENGINE_LARGE_BYTES, true, &code, err);
    b->s->code = code;
    if (status == TARS_OK) {
        memcpy(code, b->ram + ENGINE_CODE, ENGINE_LARGE_BYTES);
        status = platform_freeze(code, ENGINE_LARGE_BYTES, err);
    }
    return status;
}

static tars_status keep_data(boot *b, tars_error *err) {
    static const uint8_t zeros[PAGE_BYTES];
    platform_snapshot *data = &b->s->data;
    pages_set_large(&b->pages, ENGINE_CODE, ENGINE_LARGE_BYTES, PAGE_READ | PAGE_EXECUTE);
    tars_status status =
        platform_snapshot_begin(ENGINE_DATA_BYTES + b->pages.size_bytes, data, err);
    for (size_t i = ENGINE_DATA / PAGE_BYTES; i < ENGINE_DATA_END / PAGE_BYTES; i++) {
        size_t at = i * PAGE_BYTES;
        bool is_used = (b->space.flags[i] & SPACE_USED) != 0;
        if (status == TARS_OK && is_used && memcmp(b->ram + at, zeros, PAGE_BYTES) != 0) {
            status = platform_snapshot_put(data, at - ENGINE_DATA, b->ram + at, PAGE_BYTES, err);
        }
    }
    if (status == TARS_OK) {
        status = platform_snapshot_put(data, ENGINE_DATA_BYTES, b->pages.memory,
                                       b->pages.size_bytes, err);
    }
    pages_move(&b->pages, NULL, &b->s->layout);
    return status == TARS_OK ? platform_snapshot_seal(data, err) : status;
}

static tars_status keep(boot *b, tars_error *err) {
    tars_status status = elf_find_random(&b->space, b->stack_pointer, &b->s->random_at, err);
    if (status == TARS_OK && !lies_in_data(b->s->random_at, ELF_RANDOM_BYTES)) {
        status = error_set(err, TARS_FAILED, "the engine's random bytes lie where they cannot");
    }
    if (status == TARS_OK) {
        b->s->ticks_per_ms = b->s->vmm->ticks_per_ms(b->processor);
        status = b->s->vmm->save(b->processor, &b->s->state, err);
    }
    if (status == TARS_OK) {
        status = keep_code(b, err);
    }
    return status == TARS_OK ? keep_data(b, err) : status;
}

static void finish(boot *b) {
    const vmm_functions *vmm = b->s->vmm;
    if (b->processor) {
        vmm->detach(b->processor);
        vmm->processor_destroy(b->processor);
    }
    if (b->vm) {
        vmm->destroy(b->vm);
    }
    if (b->calls) {
        linux_destroy(b->calls);
    }
    space_free(&b->space);
    pages_destroy(&b->pages);
    if (b->ram) {
        platform_release(b->ram, ENGINE_DATA_END);
    }
    if (b->scratch) {
        platform_release(b->scratch, BOOT_SCRATCH_BYTES);
    }
}

static tars_status prepare(engine_snapshot *s, const engine_boot_program *program, const char *isa,
                           const engine_boot_check *check, tars_error *err) {
    boot b = {.s = s, .program = program, .check = check, .isa = isa, .err = err};
    const linux_machine own = {
        .user = &b, .set_thread_base = set_thread_base, .get_thread_base = get_thread_base};
    const linux_options options = {.space = &b.space,
                                   .machine = &own,
                                   .program = "/engine",
                                   .input = PLATFORM_NO_HANDLE,
                                   .output_bytes = PAGE_BYTES,
                                   .stack_bytes = BOOT_STACK_BYTES,
                                   .deadline_ns = platform_clock_ns() + program->limit_ns,
                                   .goes_on = goes_on,
                                   .user = &b};
    tars_status status = make_memory(&b, err);
    if (status == TARS_OK) {
        status = linux_create(&options, &b.calls, err);
    }
    if (status == TARS_OK) {
        status = start(&b, err);
    }
    if (status == TARS_OK) {
        status = run(&b, err);
    }
    if (status == TARS_OK) {
        status = keep(&b, err);
    }
    finish(&b);
    return status;
}

/* Bytes for what the guest keeps of a model; the packed file is checked before. */
static tars_status size_state(engine_snapshot *s, tars_error *err) {
    s->state_bytes = FIXED_STATE_BYTES;
    if (!s->model) {
        return TARS_OK;
    }
    pack_view view;
    tars_status status = pack_open_again(s->model->bytes, s->model->size_bytes, &view, err);
    if (status == TARS_OK) {
        s->n_vocab = view.hparams->n_vocab;
        s->state_bytes += model_memory_bytes(&view);
        if (s->state_bytes > ENGINE_DATA_BYTES / 4) {
            status = error_set(err, TARS_UNAVAILABLE,
                               "runtime microvm is unavailable: the tables of this model take %llu "
                               "bytes, %d are there",
                               (unsigned long long)s->state_bytes, (int)ENGINE_DATA_BYTES / 4);
        }
    }
    return status;
}

tars_status engine_snapshot_create(const platform_mapping *mapping, const char *isa,
                                   unsigned most_workers, const engine_boot_check *check,
                                   engine_snapshot **out, tars_error *err) {
    const engine_boot_program engine = {engine_program, (size_t)engine_program_bytes, LIMIT_NS};
    *out = NULL;
    tars_status status = engine_program_check(err);
    return status == TARS_OK
               ? engine_snapshot_create_from(&engine, mapping, isa, most_workers, check, out, err)
               : status;
}

tars_status engine_snapshot_create_from(const engine_boot_program *program,
                                        const platform_mapping *mapping, const char *isa,
                                        unsigned most_workers, const engine_boot_check *check,
                                        engine_snapshot **out, tars_error *err) {
    uint64_t begin_ns = platform_clock_ns();
    *out = NULL;
    tars_status status = machine_probe(err);
    if (status != TARS_OK) {
        return status;
    }
    engine_snapshot *s = calloc(1, sizeof *s);
    if (!s) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a snapshot");
    }
    s->vmm = platform_vmm();
    s->model = mapping;
    s->most_workers = most_workers < 1                    ? 1
                      : most_workers > ENGINE_MAX_WORKERS ? ENGINE_MAX_WORKERS
                                                          : most_workers;
    s->data.handle = PLATFORM_NO_HANDLE;
    status = size_state(s, err);
    if (status == TARS_OK) {
        status = prepare(s, program, isa, check, err);
    }
    s->boot_ns = platform_clock_ns() - begin_ns;
    if (status != TARS_OK) {
        engine_snapshot_destroy(s);
        s = NULL;
    }
    *out = s;
    return status;
}

void engine_snapshot_destroy(engine_snapshot *s) {
    if (!s) {
        return;
    }
    if (s->state) {
        s->vmm->state_destroy(s->state);
    }
    if (s->code) {
        platform_release(s->code, ENGINE_LARGE_BYTES);
    }
    platform_snapshot_destroy(&s->data);
    free(s);
}
