#include "runtime/wasm/run.h"

#include "runtime/wasm/clock.h"
#include "runtime/wasm/engine.h"
#include "runtime/wasm/memory.h"

#include <stdlib.h>
#include <string.h>

/* What the store's data points to. */
struct wasm_guest {
    const wasm_library *w;
    wasmtime_store_t *store;
    wasmtime_context_t *context;
    guest_memory *memory; /* owned by the instance once there is one */
    wasmtime_instance_t instance;
    wasmtime_memory_t linear;
    wire_area *area;
    guest_client *client;   /* of the request that is served, or NULL */
    uint64_t refused_at_ns; /* when the sink first said that it is enough; 0: not yet */
    tars_status status;     /* of the host's turns */
    tars_error err;
};

enum { GRACE_MS = 100, LOOK_TICKS = 2 };

/* True when a guest that goes on must be killed: it was to end its answer a while ago. */
static bool is_overdue(wasm_guest *r) {
    if (guest_client_goes_on(r->client)) {
        return false;
    }
    uint64_t now_ns = platform_clock_ns();
    r->refused_at_ns = r->refused_at_ns > 0 ? r->refused_at_ns : now_ns;
    return now_ns - r->refused_at_ns > (uint64_t)GRACE_MS * 1000 * 1000;
}

/* Called every few ticks of the clock while a guest computes, whatever it does. A guest that has
 * told its result has nothing left to compute. */
static wasmtime_error_t *look_after(const wasmtime_context_t *context, void *data,
                                    uint64_t *deadline_delta,
                                    wasmtime_update_deadline_kind_t *kind) {
    (void)context;
    wasm_guest *r = data;
    if (r->client && (r->client->has_ended || is_overdue(r))) {
        return r->w->wasmtime_error_new("the host ended the guest");
    }
    *deadline_delta = LOOK_TICKS;
    *kind = WASMTIME_UPDATE_DEADLINE_CONTINUE;
    return NULL;
}

/* Told that its host is gone, a guest ends by itself; one that comes again is ended. */
static wasm_trap_t *take_turn(void *store_data, bool *goes_on) {
    wasm_guest *r = store_data;
    static const char text[] = "the host ended the guest";
    if (!r->client) { /* it was not asked to serve */
        return r->w->wasmtime_trap_new(text, sizeof text - 1);
    }
    bool had_ended = r->client->has_ended;
    if (!had_ended) {
        r->status = guest_client_turn(r->client, &r->err);
    }
    *goes_on = r->status == TARS_OK && !r->client->has_ended;
    bool is_killed = had_ended || r->status != TARS_OK || (*goes_on && is_overdue(r));
    return is_killed ? r->w->wasmtime_trap_new(text, sizeof text - 1) : NULL;
}

bool wasm_is_built_in(void) {
    return true;
}

const char *wasm_library_version(void) {
    return WASMTIME_VERSION;
}

tars_status wasm_probe(tars_error *err) {
    return wasm_engine_probe(err);
}

static tars_status fail(const wasm_guest *r, const char *what, wasmtime_error_t *error,
                        wasm_trap_t *trap, tars_error *err) {
    return wasm_library_fail(r->w, TARS_FAILED, what, error, trap, err);
}

static tars_status instantiate(wasm_guest *r, const wasm_engine_guest *guest, tars_error *err) {
    const wasm_library *w = r->w;
    wasm_trap_t *trap = NULL;
    r->store = w->wasmtime_store_new(guest->engine, r, NULL);
    if (!r->store) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a guest's store");
    }
    r->context = w->wasmtime_store_context(r->store);
    w->wasmtime_store_limiter(r->store, (int64_t)r->memory->end, 1000, 1, 1, 1);
    if (guest->metering.epochs) {
        w->wasmtime_store_epoch_deadline_callback(r->store, look_after, r, NULL);
        w->wasmtime_context_set_epoch_deadline(r->context, LOOK_TICKS);
    }
    if (guest->metering.fuel) {
        wasmtime_error_t *error = w->wasmtime_context_set_fuel(r->context, UINT64_MAX);
        if (error) { /* only without the setting that the engine was made with */
            w->wasmtime_error_delete(error);
        }
    }
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

static tars_status export(const wasm_guest *r, const char *name, wasmtime_extern_kind_t kind,
                          wasmtime_extern_t *out, tars_error *err) {
    bool found =
        r->w->wasmtime_instance_export_get(r->context, &r->instance, name, strlen(name), out);
    return found && out->kind == kind
               ? TARS_OK
               : error_set(err, TARS_FAILED, "the guest program exports no %s", name);
}

static tars_status call(wasm_guest *r, const char *name, const uint32_t *argument, uint32_t *result,
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
static tars_status find_wire(wasm_guest *r, tars_error *err) {
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
        (at % _Alignof(wire_area) != 0 || r->memory->arena_bytes < sizeof(wire_area) ||
         at > r->memory->arena_bytes - sizeof(wire_area))) {
        status = error_set(err, TARS_MALFORMED, "the guest's wire lies outside of its memory");
    }
    r->area = (wire_area *)(void *)(r->memory->space + at);
    return status;
}

/* What came of the guest, in order of what is to be believed. */
static tars_status judge(const wasm_guest *r, tars_status guest, const tars_error *failure,
                         tars_error *err) {
    if (atomic_load(&r->memory->view.damaged)) {
        error_set(err, TARS_CORRUPT, "pages of the model could not be read");
        error_hint(err, "the model's file changed while it was in use: import it again");
        return TARS_CORRUPT;
    }
    if (r->status == TARS_OK && (r->client->has_ended || r->client->check != TARS_OK)) {
        return guest_client_status(r->client, err);
    }
    if (r->status == TARS_OK && guest == TARS_OK) {
        return error_set(err, TARS_FAILED, "the guest ended without a result");
    }
    if (err) {
        *err = r->status != TARS_OK ? r->err : *failure;
    }
    return r->status != TARS_OK ? r->status : guest;
}

tars_status wasm_guest_serve(wasm_guest *r, guest_client *client, tars_error *err) {
    const guest_memory *m = r->memory;
    guest_client_connect(client, r->area, m->model_offset, m->view.size_bytes, m->arena_bytes);
    r->client = client;
    uint32_t arena_end = (uint32_t)m->arena_bytes;
    uint32_t guest_status = 0;
    tars_error failure = {.status = TARS_OK};
    tars_status status = call(r, "tars_serve", &arena_end, &guest_status, &failure);
    if (status == TARS_OK && r->status == TARS_OK && !client->has_ended) {
        r->status = guest_client_turn(client, &r->err); /* what it said last */
    }
    return judge(r, status, &failure, err);
}

void wasm_guest_end(wasm_guest *r) {
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

/* A fresh instance over the model, its rings found. */
static tars_status begin(const wasm_engine_guest *guest, const platform_mapping *model,
                         size_t arena_bytes, wasm_guest **out, tars_error *err) {
    wasm_guest *r = calloc(1, sizeof *r);
    *out = NULL;
    if (!r) {
        error_set(err, TARS_OUT_OF_MEMORY, "no memory for the state of a guest");
        return TARS_OUT_OF_MEMORY;
    }
    r->w = guest->wasmtime;
    wasm_clock_begin();
    tars_status status = guest_memory_create(arena_bytes, model, &r->memory, err);
    if (status == TARS_OK) {
        status = instantiate(r, guest, err);
    }
    if (status == TARS_OK) {
        status = find_wire(r, err);
    }
    if (status == TARS_OK) {
        *out = r;
    } else {
        wasm_guest_end(r);
    }
    return status;
}

tars_status wasm_run_program(const wasm_engine_guest *guest, const platform_mapping *model,
                             size_t arena_bytes, guest_client *client, tars_error *err) {
    wasm_guest *r = NULL;
    tars_status status = begin(guest, model, arena_bytes, &r, err);
    if (status == TARS_OK) {
        status = wasm_guest_serve(r, client, err);
    }
    wasm_guest_end(r);
    return status;
}

tars_status wasm_guest_start(const platform_mapping *model, size_t arena_bytes,
                             const wasm_artifacts *artifacts, wasm_guest **out, tars_error *err) {
    const wasm_engine_guest *guest;
    *out = NULL;
    tars_status status = wasm_engine_get(take_turn, artifacts, &guest, err);
    return status == TARS_OK ? begin(guest, model, arena_bytes, out, err) : status;
}

tars_status wasm_run(const platform_mapping *model, size_t arena_bytes, guest_client *client,
                     const wasm_artifacts *artifacts, uint64_t *start_ns, tars_error *err) {
    wasm_guest *r = NULL;
    uint64_t begin_ns = platform_clock_ns();
    tars_status status = wasm_guest_start(model, arena_bytes, artifacts, &r, err);
    *start_ns = platform_clock_ns() - begin_ns;
    if (status == TARS_OK) {
        status = wasm_guest_serve(r, client, err);
    }
    wasm_guest_end(r);
    return status;
}

tars_status wasm_start(const platform_mapping *model, size_t arena_bytes,
                       const wasm_artifacts *artifacts, uint64_t *start_ns, tars_error *err) {
    const wasm_engine_guest *guest;
    wasm_guest *r = NULL;
    tars_status status = wasm_engine_get(take_turn, artifacts, &guest, err);
    uint64_t begin_ns = platform_clock_ns();
    if (status == TARS_OK) {
        status = begin(guest, model, arena_bytes, &r, err);
        *start_ns = platform_clock_ns() - begin_ns;
    }
    wasm_guest_end(r);
    return status;
}
