#include "runtime/wasm/run.h"

#include "runtime/wasm/engine.h"
#include "runtime/wasm/memory.h"

#include <stdlib.h>
#include <string.h>

/* What the store's data points to. */
typedef struct guest_run {
    const wasm_library *w;
    wasmtime_store_t *store;
    wasmtime_context_t *context;
    guest_memory *memory; /* owned by the instance once there is one */
    wasmtime_instance_t instance;
    wasmtime_memory_t linear;
    guest_client client;
    tars_status status; /* of the host's turns */
    tars_error err;
} guest_run;

static wasm_trap_t *take_turn(void *store_data, bool *goes_on) {
    guest_run *r = store_data;
    r->status = guest_client_turn(&r->client, &r->err);
    *goes_on = r->status == TARS_OK && !r->client.has_ended;
    static const char text[] = "the host ended the guest";
    return r->status == TARS_OK ? NULL : r->w->wasmtime_trap_new(text, sizeof text - 1);
}

bool wasm_is_built_in(void) {
    return true;
}

tars_status wasm_probe(tars_error *err) {
    return wasm_engine_probe(err);
}

/* What a trap amounts to, unless the host's turn was the cause. */
static tars_status fail(const guest_run *r, const char *what, wasmtime_error_t *error,
                        wasm_trap_t *trap, tars_error *err) {
    wasmtime_trap_code_t code = 0;
    bool timed_out =
        trap && r->w->wasmtime_trap_code(trap, &code) && code == WASMTIME_TRAP_CODE_INTERRUPT;
    if (!timed_out) {
        return wasm_library_fail(r->w, TARS_FAILED, what, error, trap, err);
    }
    return wasm_library_fail(r->w, TARS_TIMEOUT, "the guest was stopped at the time limit", error,
                             trap, err);
}

static tars_status instantiate(guest_run *r, const wasm_engine_guest *guest, tars_error *err) {
    const wasm_library *w = r->w;
    wasm_trap_t *trap = NULL;
    r->store = w->wasmtime_store_new(guest->engine, r, NULL);
    if (!r->store) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a guest's store");
    }
    r->context = w->wasmtime_store_context(r->store);
    w->wasmtime_store_limiter(r->store, (int64_t)r->memory->end, 1000, 1, 1, 1);
    w->wasmtime_context_set_epoch_deadline(r->context, 1000);
    (void)guest_memory_offer(r->memory);
    wasmtime_error_t *error =
        w->wasmtime_instance_pre_instantiate(guest->ready, r->context, &r->instance, &trap);
    guest_memory *left = guest_memory_offer(NULL);
    if (error || trap) {
        guest_memory_destroy(left);
        r->memory = NULL;
        return fail(r, "the guest does not start", error, trap, err);
    }
    return TARS_OK;
}

static tars_status export(const guest_run *r, const char *name, wasmtime_extern_kind_t kind,
                          wasmtime_extern_t *out, tars_error *err) {
    bool found =
        r->w->wasmtime_instance_export_get(r->context, &r->instance, name, strlen(name), out);
    return found && out->kind == kind
               ? TARS_OK
               : error_set(err, TARS_FAILED, "the guest program exports no %s", name);
}

static tars_status call(guest_run *r, const char *name, const uint32_t *argument, uint32_t *result,
                        tars_error *err) {
    wasmtime_extern_t function;
    tars_status status = export(r, name, WASMTIME_EXTERN_FUNC, &function, err);
    if (status != TARS_OK) {
        return status;
    }
    wasmtime_val_t in = {.kind = WASMTIME_I32, .of.i32 = argument ? (int32_t)*argument : 0};
    wasmtime_val_t out = {.kind = WASMTIME_I32};
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error = r->w->wasmtime_func_call(r->context, &function.of.func, &in,
                                                       argument ? 1 : 0, &out, 1, &trap);
    *result = (uint32_t)out.of.i32;
    return error || trap ? fail(r, "the guest failed", error, trap, err) : TARS_OK;
}

/* Grows the memory over the model, and finds the rings. */
static tars_status find_wire(guest_run *r, wire_area **area, tars_error *err) {
    wasmtime_extern_t memory;
    tars_status status = export(r, "memory", WASMTIME_EXTERN_MEMORY, &memory, err);
    if (status != TARS_OK) {
        return status;
    }
    r->linear = memory.of.memory;
    uint64_t before = 0;
    uint64_t pages = (r->memory->end - r->memory->size_bytes) / WASM_PAGE_BYTES;
    wasmtime_error_t *error = r->w->wasmtime_memory_grow(r->context, &r->linear, pages, &before);
    if (error) {
        return fail(r, "the guest's memory does not reach over the model", error, NULL, err);
    }
    uint32_t at = 0;
    status = call(r, "tars_wire", NULL, &at, err);
    if (status == TARS_OK &&
        (at % _Alignof(wire_area) != 0 || at > r->memory->arena_bytes - sizeof(wire_area))) {
        status = error_set(err, TARS_MALFORMED, "the guest's wire lies outside of its memory");
    }
    *area = (wire_area *)(void *)(r->memory->space + at);
    return status;
}

static tars_status serve(guest_run *r, guest_client_request *request, const guest_client_sink *sink,
                         uint64_t kill_after_ms, tars_error *err) {
    wire_area *area = NULL;
    tars_status status = find_wire(r, &area, err);
    if (status != TARS_OK) {
        return status;
    }
    request->model_offset = r->memory->model_offset;
    guest_client_init(&r->client, area, request, sink);
    uint64_t ticks = kill_after_ms > 0 ? kill_after_ms / WASM_TICK_MS + 1 : UINT64_MAX / 4;
    r->w->wasmtime_context_set_epoch_deadline(r->context, ticks);
    uint32_t arena_end = (uint32_t)r->memory->arena_bytes;
    uint32_t guest_status = 0;
    tars_error failure;
    status = call(r, "tars_serve", &arena_end, &guest_status, &failure);
    if (status == TARS_OK && r->status == TARS_OK && !r->client.has_ended) {
        r->status = guest_client_turn(&r->client, &r->err); /* what it said last */
    }
    if (r->status != TARS_OK) {
        return error_set(err, r->status, "%s", r->err.message);
    }
    if (status == TARS_OK && !r->client.has_ended) {
        return error_set(err, TARS_FAILED, "the guest ended (status %u) without a result",
                         guest_status);
    }
    if (status != TARS_OK && !r->client.has_ended) {
        if (err) {
            *err = failure;
        }
        return status;
    }
    return guest_client_status(&r->client, err);
}

static void end(guest_run *r) {
    if (!r) {
        return;
    }
    if (r->store) {
        r->w->wasmtime_store_delete(r->store);
    } else {
        guest_memory_destroy(r->memory);
    }
    wasm_clock_end();
    free(r);
}

/* A fresh instance over the model, in *out; to be given back with end(). */
static tars_status begin(const wasm_engine_guest *guest, const platform_mapping *model,
                         size_t arena_bytes, guest_run **out, tars_error *err) {
    guest_run *r = calloc(1, sizeof *r);
    *out = NULL;
    if (!r) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the state of a guest");
    }
    r->w = guest->library;
    wasm_clock_begin();
    tars_status status = guest_memory_create(arena_bytes, model, &r->memory, err);
    if (status == TARS_OK) {
        status = instantiate(r, guest, err);
    }
    if (status == TARS_OK) {
        *out = r;
    } else {
        end(r);
    }
    return status;
}

tars_status wasm_run(const platform_mapping *model, size_t arena_bytes,
                     guest_client_request *request, const guest_client_sink *sink,
                     uint64_t kill_after_ms, const wasm_artifacts *artifacts, wasm_outcome *outcome,
                     tars_error *err) {
    const wasm_engine_guest *guest;
    guest_run *r = NULL;
    uint64_t begin_ns = platform_clock_ns();
    tars_status status = wasm_engine_get(take_turn, artifacts, &guest, err);
    if (status == TARS_OK) {
        status = begin(guest, model, arena_bytes, &r, err);
    }
    if (status == TARS_OK) {
        outcome->start_ns = platform_clock_ns() - begin_ns;
        status = serve(r, request, sink, kill_after_ms, err);
        outcome->result = r->client.result;
        memcpy(outcome->isa, r->client.isa, sizeof outcome->isa);
    }
    end(r);
    return status;
}

tars_status wasm_start(const platform_mapping *model, size_t arena_bytes,
                       const wasm_artifacts *artifacts, uint64_t *start_ns, tars_error *err) {
    const wasm_engine_guest *guest;
    guest_run *r = NULL;
    tars_status status = wasm_engine_get(take_turn, artifacts, &guest, err);
    uint64_t begin_ns = platform_clock_ns();
    if (status == TARS_OK) {
        status = begin(guest, model, arena_bytes, &r, err);
    }
    if (status == TARS_OK) {
        wire_area *area;
        status = find_wire(r, &area, err);
        *start_ns = platform_clock_ns() - begin_ns;
    }
    end(r);
    return status;
}
