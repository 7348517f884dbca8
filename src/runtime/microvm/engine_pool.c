#include "runtime/microvm/engine_pool.h"

#include "runtime/guest_text.h"
#include "runtime/microvm/engine_internal.h"

#include <stdlib.h>

enum { MOST_BURIED = 100 };
static const uint64_t WARM_LIMIT_NS = 1000000000;
static const uint64_t RETRY_NS = 1000000000; /* after one could not be made */

const engine_pool_options engine_pool_defaults = {
    .n_patient = 2, /* a prompt's tokens and an answer */
    .n_target = 10,
    .n_most = 100,
    .idle_ns = UINT64_C(10) * 1000000000,
    .rest_ns = UINT64_C(60) * 1000000000,
    .warms = true,
};

/* Of machines with the same number of processors. */
typedef struct shelf {
    engine_machine *ready;
    unsigned n_ready, n_target;
    bool is_filling;       /* from low water until the target is reached */
    bool was_full;         /* since the target was set */
    uint64_t memory_bytes; /* that the last request asked for */
    uint64_t last_asked_ns;
} shelf;

struct engine_pool {
    const engine_snapshot *snapshot;
    engine_pool_options options;
    platform_mutex lock;     /* of the rest */
    platform_condition news; /* of the thread */
    platform_thread thread;
    bool has_thread, is_closing;
    shelf shelves[ENGINE_MAX_WORKERS]; /* of one processor, of two … */
    engine_machine *buried;
    uint64_t retry_at_ns;
    engine_pool_counts counts;
};

/* ---- making one --------------------------------------------------------------------------- */

static tars_status take_text(void *user, const char *bytes, size_t length, tars_error *err) {
    (void)user;
    (void)bytes;
    (void)length;
    (void)err;
    return TARS_OK;
}

static tars_status check_time(void *user, tars_error *err) {
    const uint64_t *deadline_ns = user;
    return platform_clock_ns() < *deadline_ns
               ? TARS_OK
               : error_set(err, TARS_TIMEOUT, "a machine did not come to be ready in time");
}

/* A small request, after which it has the pages that any request needs: what it costs to touch them
 * first, several hundred times as much as afterwards, no request pays. */
static tars_status warm_up(engine_machine *m, uint64_t memory_bytes, tars_error *err) {
    static const int32_t id = 0;
    const guest_decode_request request = {.wire = {.n_ids = 1}, .ids = &id};
    uint64_t deadline_ns = platform_clock_ns() + WARM_LIMIT_NS;
    const guest_decode_sink sink = {.user = &deadline_ns, .text = take_text, .check = check_time};
    guest_decode *d = malloc(sizeof *d);
    if (!d) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a machine's first request");
    }
    engine_usage usage;
    guest_decode_init(d, &request, &sink);
    tars_status status = engine_machine_serve(m, memory_bytes, &d->client, &usage, err);
    free(d);
    if (status == TARS_OK) {
        status = engine_machine_reset(m, &usage, err);
    }
    return status == TARS_OK ? engine_machine_shed(m, err) : status;
}

static tars_status make(const engine_pool *pool, unsigned n_workers, uint64_t memory_bytes,
                        engine_machine **out, tars_error *err) {
    tars_status status = engine_machine_create(pool->snapshot, n_workers, memory_bytes, out, err);
    if (status == TARS_OK && pool->options.warms && pool->snapshot->model) {
        status = warm_up(*out, memory_bytes, err);
    }
    if (status != TARS_OK) {
        engine_machine_destroy(*out);
        *out = NULL;
    }
    return status;
}

/* ---- what is to be done; under the lock ----------------------------------------------------- */

static void push(engine_machine **list, engine_machine *m) {
    m->next = *list;
    *list = m;
}

static engine_machine *pop(engine_machine **list) {
    engine_machine *m = *list;
    if (m) {
        *list = m->next;
        m->next = NULL;
    }
    return m;
}

static void bury(engine_pool *pool, engine_machine *m) {
    push(&pool->buried, m);
    pool->counts.n_buried++;
}

static engine_machine *take_ready(engine_pool *pool, shelf *s) {
    engine_machine *m = pop(&s->ready);
    if (m) {
        s->n_ready--;
        pool->counts.n_ready--;
    }
    return m;
}

/* Lets go what was not asked for lately. Returns when the next of these moments is. */
static uint64_t age(engine_pool *pool, uint64_t now_ns) {
    const engine_pool_options *o = &pool->options;
    uint64_t next_ns = UINT64_MAX;
    for (unsigned i = 0; i < ENGINE_MAX_WORKERS; i++) {
        shelf *s = &pool->shelves[i];
        uint64_t since_ns = now_ns - s->last_asked_ns;
        if (s->n_target == 0) {
            continue;
        }
        if (since_ns >= o->rest_ns) {
            s->n_target = 0;
        } else if (since_ns >= o->idle_ns && s->n_target > o->n_target) {
            s->n_target = o->n_target;
        }
        while (s->n_ready > s->n_target) {
            bury(pool, take_ready(pool, s));
        }
        s->is_filling = s->is_filling && s->n_ready < s->n_target;
        if (s->n_target > 0) {
            uint64_t left_ns = (s->n_target > o->n_target ? o->idle_ns : o->rest_ns) - since_ns;
            next_ns = left_ns < next_ns ? left_ns : next_ns;
        }
    }
    return next_ns;
}

/* The shelf that lacks most; NULL: none is to be filled. */
static shelf *hungriest(engine_pool *pool, uint64_t now_ns) {
    shelf *found = NULL;
    if (pool->counts.n_ready >= pool->options.n_most || now_ns < pool->retry_at_ns) {
        return NULL;
    }
    for (unsigned i = 0; i < ENGINE_MAX_WORKERS; i++) {
        shelf *s = &pool->shelves[i];
        if (s->is_filling && (!found || s->n_ready < found->n_ready)) {
            found = s;
        }
    }
    return found;
}

/* ---- the thread; enters and leaves with the lock ----------------------------------------------
 */

static void fill(engine_pool *pool, shelf *s) {
    unsigned n_workers = (unsigned)(s - pool->shelves) + 1;
    uint64_t memory_bytes = s->memory_bytes;
    engine_machine *m = NULL;
    platform_mutex_unlock(&pool->lock);
    tars_status status = make(pool, n_workers, memory_bytes, &m, NULL);
    platform_mutex_lock(&pool->lock);
    if (status != TARS_OK) { /* requests will tell why */
        pool->counts.n_failed++;
        pool->retry_at_ns = platform_clock_ns() + RETRY_NS;
        return;
    }
    push(&s->ready, m);
    pool->counts.n_made++;
    pool->counts.n_ready++;
    s->is_filling = ++s->n_ready < s->n_target;
    s->was_full = s->was_full || !s->is_filling;
}

static void destroy_one(engine_pool *pool) {
    engine_machine *m = pop(&pool->buried);
    platform_mutex_unlock(&pool->lock);
    engine_machine_destroy(m);
    platform_mutex_lock(&pool->lock);
    pool->counts.n_buried--;
    pool->counts.n_destroyed++;
}

static void work(void *argument) {
    engine_pool *pool = argument;
    platform_mutex_lock(&pool->lock);
    while (!pool->is_closing) {
        uint64_t now_ns = platform_clock_ns();
        uint64_t wait_ns = age(pool, now_ns);
        shelf *s = hungriest(pool, now_ns);
        bool is_urgent = s && s->n_ready == 0;
        if (pool->buried && (!is_urgent || pool->counts.n_buried > MOST_BURIED / 2)) {
            destroy_one(pool);
        } else if (s) {
            fill(pool, s);
        } else {
            if (now_ns < pool->retry_at_ns && pool->retry_at_ns - now_ns < wait_ns) {
                wait_ns = pool->retry_at_ns - now_ns;
            }
            (void)platform_condition_wait(&pool->news, &pool->lock, wait_ns);
        }
    }
    platform_mutex_unlock(&pool->lock);
}

/* Without a thread machines are made when they are asked for: slower, and nothing else. */
static void start_thread(engine_pool *pool) {
    if (!pool->has_thread) {
        pool->has_thread =
            platform_thread_create("tars-pool", work, pool, &pool->thread, NULL) == TARS_OK;
    }
}

/* ---- the interface ----------------------------------------------------------------------------
 */

tars_status engine_pool_create(const engine_snapshot *snapshot, const engine_pool_options *options,
                               engine_pool **out, tars_error *err) {
    engine_pool *pool = calloc(1, sizeof *pool);
    *out = pool;
    if (!pool) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a pool of machines");
    }
    pool->snapshot = snapshot;
    pool->options = *options;
    return TARS_OK;
}

void engine_pool_destroy(engine_pool *pool) {
    if (!pool) {
        return;
    }
    platform_mutex_lock(&pool->lock);
    pool->is_closing = true;
    platform_condition_wake_all(&pool->news);
    platform_mutex_unlock(&pool->lock);
    if (pool->has_thread) {
        platform_thread_join(&pool->thread);
    }
    for (unsigned i = 0; i < ENGINE_MAX_WORKERS; i++) {
        for (engine_machine *m; (m = take_ready(pool, &pool->shelves[i]));) {
            engine_machine_destroy(m);
        }
    }
    for (engine_machine *m; (m = pop(&pool->buried));) {
        engine_machine_destroy(m);
    }
    free(pool);
}

static shelf *shelf_for(engine_pool *pool, unsigned n_workers) {
    unsigned most = pool->snapshot->most_workers;
    unsigned n = n_workers < 1 ? 1 : n_workers > most ? most : n_workers;
    return &pool->shelves[n - 1];
}

/* A request came for the shelf; under the lock. */
static void ask(engine_pool *pool, shelf *s, uint64_t memory_bytes) {
    s->last_asked_ns = platform_clock_ns();
    s->memory_bytes = memory_bytes;
    if (s->n_target == 0) {
        s->n_target = pool->options.n_target;
    }
}

static engine_machine *find(engine_pool *pool, shelf *s, uint64_t memory_bytes) {
    ask(pool, s, memory_bytes);
    engine_machine *m = take_ready(pool, s);
    pool->counts.n_taken++;
    pool->counts.n_found += m != NULL;
    if (pool->counts.n_taken <= pool->options.n_patient && !pool->has_thread) {
        return m;
    }
    if (!m && s->was_full) { /* that many were too few */
        unsigned more = 2 * s->n_target;
        s->n_target = more < pool->options.n_most ? more : pool->options.n_most;
        s->was_full = false;
    }
    start_thread(pool);
    if (s->n_ready <= s->n_target / 2 && s->n_ready < s->n_target && !s->is_filling) {
        s->is_filling = true;
        platform_condition_wake_all(&pool->news);
    }
    return m;
}

tars_status engine_pool_take(engine_pool *pool, unsigned n_workers, uint64_t memory_bytes,
                             engine_machine **out, tars_error *err) {
    platform_mutex_lock(&pool->lock);
    *out = find(pool, shelf_for(pool, n_workers), memory_bytes);
    platform_mutex_unlock(&pool->lock);
    return *out ? TARS_OK
                : engine_machine_create(pool->snapshot, n_workers, memory_bytes, out, err);
}

void engine_pool_give_up(engine_pool *pool, engine_machine *m) {
    if (!m) {
        return;
    }
    platform_mutex_lock(&pool->lock);
    bool is_taken = pool->has_thread && pool->counts.n_buried < MOST_BURIED;
    if (is_taken) {
        bury(pool, m);
        platform_condition_wake_all(&pool->news);
    }
    platform_mutex_unlock(&pool->lock);
    if (!is_taken) {
        engine_machine_destroy(m);
    }
}

tars_status engine_pool_warm(engine_pool *pool, unsigned n_workers, uint64_t memory_bytes,
                             unsigned count, tars_error *err) {
    platform_mutex_lock(&pool->lock);
    shelf *s = shelf_for(pool, n_workers);
    ask(pool, s, memory_bytes);
    count = count < pool->options.n_most ? count : pool->options.n_most;
    s->n_target = count > s->n_target ? count : s->n_target;
    s->is_filling = s->n_ready < s->n_target;
    start_thread(pool);
    platform_condition_wake_all(&pool->news);
    bool has_thread = pool->has_thread;
    platform_mutex_unlock(&pool->lock);
    return has_thread ? TARS_OK
                      : error_set(err, TARS_UNAVAILABLE, "the pool of machines has no thread");
}

void engine_pool_count(engine_pool *pool, engine_pool_counts *out) {
    platform_mutex_lock(&pool->lock);
    *out = pool->counts;
    platform_mutex_unlock(&pool->lock);
}
