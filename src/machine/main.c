/* The guest as a program in a virtual machine of its own (machine.h). */
#include "guest/machine.h"

#include "engine/barrier.h"
#include "guest/serve.h"
#include "machine/team.h"
#include "platform/platform.h"
#include "runtime/native/features.h"

#include <stdlib.h>
#include <string.h>

enum { SPINS_BEFORE_WAITING = 1000 /* some ten microseconds */ };

engine_settings engine_own;
static uint64_t model_bytes;

/* What platform/cpu.c asks of a system; there is none here. */
void platform_os_cpu(platform_cpu_info *info) {
    (void)info;
}

static const void *model_at(uint64_t offset, uint64_t size_bytes) {
    bool fits = offset == ENGINE_MODEL && size_bytes == model_bytes && model_bytes > 0;
    return fits ? (const void *)(uintptr_t)offset : NULL;
}

static const kernel_table *kernels_named(const char *name) {
    const platform_cpu_info cpu = platform_cpu();
    unsigned features = native_kernel_features(&cpu);
    const kernel_table *named = name[0] ? kernel_by_name(name) : kernel_best(features);
    return named && kernel_usable(named, features) ? named : NULL;
}

/* What was seen of the rings at the end of the last wait. */
static unsigned seen_written, seen_read;

/* The host is beside, on another processor: mostly it is quick. What was seen before tells whether
 * there is news, so that none is missed. */
static bool wait_for_host(void *context) {
    const wire_port *port = context;
    for (unsigned i = 0;; i++) {
        unsigned written = atomic_load_explicit(&port->in->written, memory_order_acquire);
        unsigned read = atomic_load_explicit(&port->out->read, memory_order_acquire);
        if (written != seen_written || read != seen_read) {
            seen_written = written;
            seen_read = read;
            return true;
        }
        if (i < SPINS_BEFORE_WAITING) {
            barrier_pause();
        } else if (engine_call(ENGINE_CALL_WAIT, written, read) == 0) {
            return false;
        }
    }
}

static size_t number(const char *text) {
    return (size_t)strtoull(text, NULL, 10);
}

ENGINE_UNCHECKED int main(int n_arguments, char **arguments) {
    if (n_arguments != ENGINE_ARGUMENTS) {
        return TARS_USAGE;
    }
    size_t state_bytes = number(arguments[ENGINE_ARGUMENT_STATE]);
    size_t scratch_bytes = number(arguments[ENGINE_ARGUMENT_SCRATCH]);
    model_bytes = number(arguments[ENGINE_ARGUMENT_MODEL]);
    wire_area *area = (wire_area *)(uintptr_t)ENGINE_SCRATCH;
    void *state_memory = malloc(state_bytes);
    engine_ready ready = {.settings = (uint64_t)(uintptr_t)&engine_own};
    arena state, memory;
    if (!state_memory || scratch_bytes < sizeof *area ||
        !engine_team_open((unsigned)number(arguments[ENGINE_ARGUMENT_WORKERS]), &ready)) {
        return TARS_OUT_OF_MEMORY;
    }
    arena_init(&state, state_memory, state_bytes);
    arena_init(&memory, area + 1, scratch_bytes - sizeof *area);
    wire_port port = {.in = &area->to_guest, .out = &area->to_host, .wait = wait_for_host};
    port.context = &port;
    serve_place place = {.port = &port,
                         .model_at = model_at,
                         .state = &state,
                         .memory = &memory,
                         .kernels = kernels_named,
                         .host_is_beside = true,
                         .team = engine_team()};
    guest *g;
    tars_error err = {.status = TARS_OK};
    tars_status status = serve_open(&place, &g, &err);
    if (status != TARS_OK) {
        return (int)status; /* the host was told */
    }
    status = serve_requests(g, &err); /* of the host that prepares the machine */
    if (status != TARS_UNAVAILABLE) {
        return (int)status;
    }
    (void)engine_call(ENGINE_CALL_READY, (uint64_t)(uintptr_t)&ready, 0);
    engine_renew_checks();
    seen_written = seen_read = 0; /* the rings are new too */
    arena_init(&memory, (uint8_t *)area + engine_own.memory_at,
               (size_t)(engine_own.scratch_bytes - engine_own.memory_at));
    engine_team_start((unsigned)engine_own.n_workers, engine_own.ticks_per_ms);
    (void)serve_requests(g, &err);
    __builtin_trap(); /* a machine is ended by its host */
}
