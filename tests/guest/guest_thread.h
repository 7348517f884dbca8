/* A guest on a thread of its own, which shares the rings with its host side: the engine's guest
 * without a sandbox. */
#ifndef TESTS_GUEST_THREAD_H
#define TESTS_GUEST_THREAD_H

#include "api/model_api.h"
#include "guest/serve.h"
#include "runtime/guest_client.h"
#include "support/check.h"
#include "support/tiny_model.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

enum { GUEST_MEMORY_BYTES = 32 << 20 };

typedef struct guest_thread {
    wire_area *area;
    atomic_uint host_is_gone;
    size_t memory_bytes;
    tars_status status;
    tars_error err;
} guest_thread;

static bool guest_waits(void *user) {
    sched_yield();
    return atomic_load(&((guest_thread *)user)->host_is_gone) == 0;
}

static const void *guest_model_at(uint64_t offset, uint64_t size_bytes) {
    bool fits = offset == 1 && size_bytes == tiny->pack.size_bytes;
    return fits ? tiny->pack.base : NULL;
}

static const kernel_table *guest_kernels(const char *name) {
    return name[0] ? kernel_by_name(name) : &kernel_scalar;
}

static void *guest_main(void *argument) {
    guest_thread *g = argument;
    wire_port port = {
        .in = &g->area->to_guest, .out = &g->area->to_host, .wait = guest_waits, .context = g};
    void *memory = malloc(g->memory_bytes);
    arena a;
    arena_init(&a, memory, g->memory_bytes);
    serve_place place = {.port = &port,
                         .model_at = guest_model_at,
                         .state = &a,
                         .memory = &a,
                         .kernels = guest_kernels};
    g->status = serve(&place, &g->err);
    free(memory);
    return NULL;
}

/* Serves the client's request to its end. */
static inline tars_status guest_talk(guest_thread *g, guest_client *c, uint64_t model_offset,
                                     uint64_t model_bytes, size_t memory_bytes, tars_error *err) {
    static wire_area area;
    wire_area_clear(&area);
    *g = (guest_thread){.area = &area, .memory_bytes = memory_bytes};
    guest_client_connect(c, &area, model_offset, model_bytes, memory_bytes);
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, guest_main, g), 0);
    tars_status status = TARS_OK;
    while (status == TARS_OK && !c->has_ended) {
        status = guest_client_turn(c, err);
        sched_yield();
    }
    atomic_store(&g->host_is_gone, 1);
    pthread_join(thread, NULL);
    return status == TARS_OK ? guest_client_status(c, err) : status;
}

/* What the other side wrote, said by hand. */
typedef struct said {
    wire_kind kind;
    const void *payload;
    size_t size_bytes;
} said;

static bool nobody(void *user) {
    (void)user;
    return false;
}

/* What the client makes of frames that a guest might send. */
static inline tars_status guest_says(guest_client *c, const said *frames, size_t n,
                                     tars_error *err) {
    static wire_area area;
    wire_area_clear(&area);
    guest_client_connect(c, &area, 1, tiny ? tiny->pack.size_bytes : 0, GUEST_MEMORY_BYTES);
    wire_port port = {.in = &area.to_guest, .out = &area.to_host, .wait = nobody};
    for (size_t i = 0; i < n; i++) {
        CHECK_INT(
            wire_send(&port, frames[i].kind, frames[i].payload, frames[i].size_bytes, NULL, 0, err),
            TARS_OK);
    }
    return guest_client_turn(c, err);
}

static const wire_hello guest_hello = {.magic = WIRE_MAGIC,
                                       .version = WIRE_VERSION,
                                       .arithmetic_version = ARITHMETIC_VERSION,
                                       .isa = "scalar"};
#define GREETING {WIRE_HELLO, &guest_hello, sizeof guest_hello}

#endif
