#include "runtime/wasm/stranger_memory.h"

#include "platform/platform.h"

#define RESERVED_BYTES ((uint64_t)4 << 30)
#define GUARD_BYTES ((uint64_t)32 << 20) /* what a static offset may add without a check */

static _Atomic(const wasm_library *) library; /* the one of all engines */
static _Thread_local stranger_memory *offered;

void stranger_memory_offer(stranger_memory *memory) {
    offered = memory;
}

static wasmtime_error_t *fail(const char *why) {
    return atomic_load_explicit(&library, memory_order_acquire)->wasmtime_error_new(why);
}

static uint8_t *get_memory(void *env, size_t *byte_size, size_t *byte_capacity) {
    const stranger_memory *m = env;
    *byte_size = m->size_bytes;
    *byte_capacity = RESERVED_BYTES;
    return m->bytes;
}

static wasmtime_error_t *grow_memory(void *env, size_t new_size) {
    stranger_memory *m = env;
    if (new_size > m->limit_bytes ||
        platform_space_open(m->bytes, m->size_bytes, new_size - m->size_bytes, NULL) != TARS_OK) {
        m->n_refused++;
        return fail("the memory may not grow so far");
    }
    m->size_bytes = new_size;
    return NULL;
}

static void release(void *env) {
    stranger_memory *m = env;
    platform_space_release(m->bytes, RESERVED_BYTES + GUARD_BYTES);
    m->bytes = NULL; /* its size stays, for the account */
}

static wasmtime_error_t *new_memory(void *env, const wasm_memorytype_t *type, size_t minimum,
                                    size_t maximum, size_t reserved, size_t guard,
                                    wasmtime_linear_memory_t *out) {
    (void)env;
    (void)type;
    (void)maximum;
    stranger_memory *m = offered;
    if (!m || m->bytes || reserved > RESERVED_BYTES || guard > GUARD_BYTES) {
        return fail("no memory was offered");
    }
    if (minimum > m->limit_bytes) {
        m->n_refused++;
        return fail("the module begins with more memory than it may have");
    }
    void *space = NULL;
    if (platform_space_reserve(RESERVED_BYTES + GUARD_BYTES, &space, NULL) != TARS_OK) {
        return fail("no address space for a guest's memory");
    }
    if (minimum > 0 && platform_space_open(space, 0, minimum, NULL) != TARS_OK) {
        platform_space_release(space, RESERVED_BYTES + GUARD_BYTES);
        return fail("no memory for a guest");
    }
    m->bytes = space;
    m->size_bytes = minimum;
    *out = (wasmtime_linear_memory_t){
        .env = m, .get_memory = get_memory, .grow_memory = grow_memory, .finalizer = release};
    return NULL;
}

void stranger_memory_configure(const wasm_library *w, wasm_config_t *config) {
    atomic_store_explicit(&library, w, memory_order_release);
    wasmtime_memory_creator_t creator = {.new_memory = new_memory};
    w->wasmtime_config_memory_reservation_set(config, RESERVED_BYTES);
    w->wasmtime_config_memory_guard_size_set(config, GUARD_BYTES);
    /* an own creator and copy-on-write images of data exclude one another: Wasmtime would abort */
    w->wasmtime_config_memory_init_cow_set(config, false);
    w->wasmtime_config_host_memory_creator_set(config, &creator);
}
