#include "runtime/wasm/memory.h"

#include <stdlib.h>

#define RESERVED_BYTES ((uint64_t)4 << 30)
#define GUARD_BYTES ((uint64_t)32 << 20) /* what a static offset may add without a check */
#define MODEL_ALIGNMENT ((size_t)2 << 20)

static const wasm_library *library; /* of the only engine that is configured */
static _Thread_local guest_memory *offered;

static uint64_t round_up(uint64_t n, uint64_t unit) {
    return (n + unit - 1) / unit * unit;
}

/* Structs are kept and used again, never freed: a handler of SIGBUS on another thread may still be
 * looking at the view in one, whatever became of its guest. */
static platform_mutex free_lock;
static guest_memory *free_structs; /* under the lock */

static guest_memory *take_struct(void) {
    platform_mutex_lock(&free_lock);
    guest_memory *m = free_structs;
    free_structs = m ? m->next : NULL;
    platform_mutex_unlock(&free_lock);
    return m ? m : calloc(1, sizeof *m);
}

static void keep_struct(guest_memory *m) {
    platform_mutex_lock(&free_lock);
    m->next = free_structs;
    free_structs = m;
    platform_mutex_unlock(&free_lock);
}

tars_status guest_memory_create(size_t arena_bytes, const platform_mapping *model,
                                guest_memory **out, tars_error *err) {
    *out = NULL;
    uint64_t arena_end = round_up(arena_bytes, WASM_PAGE_BYTES);
    uint64_t model_offset = round_up(arena_end, MODEL_ALIGNMENT);
    size_t model_bytes = model ? model->size_bytes : 0;
    uint64_t end = model ? round_up(model_offset + model_bytes, WASM_PAGE_BYTES) : arena_end;
    if (arena_bytes > RESERVED_BYTES || model_bytes > RESERVED_BYTES ||
        end > RESERVED_BYTES - WASM_PAGE_BYTES) {
        return error_set(err, TARS_UNAVAILABLE,
                         "runtime wasm is unavailable: a model of %zu bytes and %zu bytes of "
                         "memory exceed the 4 GiB of wasm32",
                         model_bytes, arena_bytes);
    }
    guest_memory *m = take_struct();
    if (!m) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the state of a guest");
    }
    void *space = NULL;
    tars_status status = platform_space_reserve(RESERVED_BYTES + GUARD_BYTES, &space, err);
    if (status == TARS_OK) {
        status = platform_space_open(space, 0, (size_t)arena_end, err);
    }
    m->view = (platform_mapping){.bytes = NULL};
    if (status == TARS_OK && model) {
        status = platform_space_map(space, (size_t)model_offset, model, &m->view, err);
    }
    if (status != TARS_OK) {
        platform_space_release(space, RESERVED_BYTES + GUARD_BYTES);
        keep_struct(m);
        return status;
    }
    m->space = space;
    m->arena_bytes = (size_t)arena_end;
    m->model_offset = (size_t)model_offset;
    m->end = (size_t)end;
    m->size_bytes = 0;
    *out = m;
    return TARS_OK;
}

void guest_memory_destroy(guest_memory *m) {
    if (m) {
        platform_space_unmap(&m->view);
        platform_space_release(m->space, RESERVED_BYTES + GUARD_BYTES);
        keep_struct(m);
    }
}

guest_memory *guest_memory_offer(guest_memory *memory) {
    guest_memory *left = offered;
    offered = memory;
    return left;
}

static uint8_t *get_memory(void *env, size_t *byte_size, size_t *byte_capacity) {
    guest_memory *m = env;
    *byte_size = m->size_bytes;
    *byte_capacity = m->end;
    return m->space;
}

static wasmtime_error_t *grow_memory(void *env, size_t new_size) {
    guest_memory *m = env;
    if (new_size > m->end) {
        return library->wasmtime_error_new("a guest's memory ends behind the model");
    }
    m->size_bytes = new_size;
    return NULL;
}

static void release(void *env) {
    guest_memory_destroy(env);
}

static wasmtime_error_t *new_memory(void *env, const wasm_memorytype_t *type, size_t minimum,
                                    size_t maximum, size_t reserved, size_t guard,
                                    wasmtime_linear_memory_t *out) {
    (void)env;
    (void)type;
    (void)maximum;
    guest_memory *m = offered;
    if (!m || minimum > m->arena_bytes || reserved > RESERVED_BYTES || guard > GUARD_BYTES) {
        return library->wasmtime_error_new("no memory was offered that the module fits");
    }
    offered = NULL;
    m->size_bytes = minimum;
    *out = (wasmtime_linear_memory_t){
        .env = m, .get_memory = get_memory, .grow_memory = grow_memory, .finalizer = release};
    return NULL;
}

void guest_memory_configure(const wasm_library *w, wasm_config_t *config) {
    library = w;
    wasmtime_memory_creator_t creator = {.new_memory = new_memory};
    w->wasmtime_config_memory_reservation_set(config, RESERVED_BYTES);
    w->wasmtime_config_memory_guard_size_set(config, GUARD_BYTES);
    /* an own creator and copy-on-write images of data exclude one another: Wasmtime would abort */
    w->wasmtime_config_memory_init_cow_set(config, false);
    w->wasmtime_config_host_memory_creator_set(config, &creator);
}
