#include "runtime/microvm/engine_pool.h"

#include "runtime/microvm/engine_internal.h"

#include <stdlib.h>

enum { MOST_BURIED = 16 };
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
    engine_machine *ready[ENGINE_WARMTHS];
    unsigned n_ready, n_target;
    bool is_filling;     /* from low water until the target is reached */
    bool was_full;       /* since the target was set */
    unsigned warmth;     /* that its machines shall have */
    engine_wish wish;    /* of the last request */
    uint64_t pass_bytes; /* that the last one asked for which computes */
    uint64_t last_asked_ns;
} shelf;

struct engine_pool {
    const engine_snapshot *snapshot;
    engine_pool_options options;
    unsigned n_cpus;
    platform_mutex lock;     /* of the rest */
    platform_condition news; /* of the thread */
    platform_thread thread;
    bool has_thread;
    atomic_uint is_closing;            /* also read without the lock */
    shelf shelves[ENGINE_MAX_WORKERS]; /* of one processor, of two … */
    engine_machine *buried;
    unsigned n_busy;       /* processors of machines that are given out */
    engine_warmth warmest; /* that machines can be with this model */
    uint64_t retry_at_ns;
    engine_pool_counts counts;
};

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

static void put_ready(engine_pool *pool, shelf *s, engine_machine *m) {
    push(&s->ready[m->warmth], m);
    s->n_ready++;
    pool->counts.n_ready++;
    s->is_filling = s->is_filling && s->n_ready < s->n_target;
    s->was_full = s->was_full || s->n_ready >= s->n_target;
}

/* The warmest below a warmth; NULL: there is none. */
static engine_machine *take_ready(engine_pool *pool, shelf *s, unsigned below) {
    for (unsigned warmth = below; warmth-- > 0;) {
        engine_machine *m = pop(&s->ready[warmth]);
        if (m) {
            s->n_ready--;
            pool->counts.n_ready--;
            return m;
        }
    }
    return NULL;
}

/* Lets go what was not asked for lately. Returns when the next of these moments is. */
static uint64_t age(engine_pool *pool, uint64_t now_ns) {
    const engine_pool_options *o = &pool->options;
    uint64_t next_ns = PLATFORM_FOREVER;
    for (unsigned i = 0; i < ENGINE_MAX_WORKERS; i++) {
        shelf *s = &pool->shelves[i];
        uint64_t since_ns = now_ns - s->last_asked_ns;
        if (s->n_target == 0) {
            continue;
        }
        if (since_ns >= o->rest_ns) {
            s->n_target = 0;
            s->warmth = ENGINE_COLD;
        } else if (since_ns >= o->idle_ns && s->n_target > o->n_target) {
            s->n_target = o->n_target;
        }
        while (s->n_ready > s->n_target) {
            bury(pool, take_ready(pool, s, ENGINE_WARMTHS));
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
static shelf *find_hungry(engine_pool *pool, uint64_t now_ns) {
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

static engine_warmth wanted_warmth(const engine_pool *pool, const shelf *s) {
    return s->warmth < pool->warmest ? s->warmth : pool->warmest;
}

static unsigned n_colder(const engine_pool *pool, const shelf *s) {
    unsigned n = 0;
    for (unsigned warmth = ENGINE_COLD; warmth < wanted_warmth(pool, s); warmth++) {
        for (const engine_machine *m = s->ready[warmth]; m; m = m->next) {
            n++;
        }
    }
    return n;
}

/* A shelf with a machine that is to be warmed while processors have time; NULL: none. */
static shelf *find_cold(engine_pool *pool) {
    for (unsigned i = 0; pool->n_busy < pool->n_cpus && i < ENGINE_MAX_WORKERS; i++) {
        if (n_colder(pool, &pool->shelves[i]) > 0) {
            return &pool->shelves[i];
        }
    }
    return NULL;
}

/* ---- the thread; enters and leaves with the lock ----------------------------------------------
 */

static void fill(engine_pool *pool, shelf *s) {
    const engine_wish wish = s->wish;
    engine_machine *m = NULL;
    platform_mutex_unlock(&pool->lock);
    tars_status status = engine_machine_create(pool->snapshot, &wish, &m, NULL);
    platform_mutex_lock(&pool->lock);
    if (status == TARS_OK) {
        pool->counts.n_made++;
        put_ready(pool, s, m);
    } else { /* requests will tell why */
        pool->counts.n_failed++;
        pool->retry_at_ns = platform_clock_ns() + RETRY_NS;
    }
}

static void warm(engine_pool *pool, shelf *s) {
    engine_warmth warmth = wanted_warmth(pool, s);
    engine_machine *m = take_ready(pool, s, warmth);
    uint64_t memory_bytes = warmth == ENGINE_WARM_FOR_PASS ? s->pass_bytes : s->wish.memory_bytes;
    platform_mutex_unlock(&pool->lock);
    tars_status status =
        engine_warm_up(m, pool->snapshot, warmth, memory_bytes, &pool->is_closing, NULL);
    platform_mutex_lock(&pool->lock);
    if (status == TARS_OK) {
        pool->counts.n_warmed++;
        m->warmth = warmth;
        put_ready(pool, s, m);
    } else { /* as with a model of another kind: the others stay as they are */
        pool->counts.n_failed++;
        pool->warmest = warmth == ENGINE_WARM_FOR_PASS ? ENGINE_WARM_FOR_TEXT : ENGINE_COLD;
        bury(pool, m);
    }
}

static void destroy_one(engine_pool *pool) {
    engine_machine *m = pop(&pool->buried);
    platform_mutex_unlock(&pool->lock);
    engine_machine_destroy(m);
    platform_mutex_lock(&pool->lock);
    pool->counts.n_buried--;
    pool->counts.n_destroyed++;
}

static void rest(engine_pool *pool, uint64_t now_ns, uint64_t wait_ns) {
    if (now_ns < pool->retry_at_ns && pool->retry_at_ns - now_ns < wait_ns) {
        wait_ns = pool->retry_at_ns - now_ns;
    }
    (void)platform_condition_wait(&pool->news, &pool->lock, wait_ns);
}

/* What a request may be waiting for comes first, what only makes the next ones quicker last. */
static void work(void *argument) {
    engine_pool *pool = argument;
    platform_mutex_lock(&pool->lock);
    while (!atomic_load(&pool->is_closing)) {
        uint64_t now_ns = platform_clock_ns();
        uint64_t wait_ns = age(pool, now_ns);
        shelf *hungry = find_hungry(pool, now_ns);
        bool is_urgent = hungry && hungry->n_ready == 0 && pool->counts.n_buried < MOST_BURIED / 2;
        shelf *cold = find_cold(pool);
        if (pool->buried && !is_urgent) {
            destroy_one(pool);
        } else if (hungry) {
            fill(pool, hungry);
        } else if (cold) {
            warm(pool, cold);
        } else {
            rest(pool, now_ns, wait_ns);
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
    pool->n_cpus = platform_cpu_count();
    pool->warmest = options->warms && snapshot->model ? ENGINE_WARM_FOR_PASS : ENGINE_COLD;
    return TARS_OK;
}

void engine_pool_destroy(engine_pool *pool) {
    if (!pool) {
        return;
    }
    platform_mutex_lock(&pool->lock);
    atomic_store(&pool->is_closing, 1);
    platform_condition_wake_all(&pool->news);
    platform_mutex_unlock(&pool->lock);
    if (pool->has_thread) {
        platform_thread_join(&pool->thread);
    }
    for (unsigned i = 0; i < ENGINE_MAX_WORKERS; i++) {
        for (engine_machine *m; (m = take_ready(pool, &pool->shelves[i], ENGINE_WARMTHS));) {
            engine_machine_destroy(m);
        }
    }
    for (engine_machine *m; (m = pop(&pool->buried));) {
        engine_machine_destroy(m);
    }
    free(pool);
}

static shelf *shelf_for(engine_pool *pool, const engine_wish *wish) {
    return &pool->shelves[engine_machine_workers(pool->snapshot, wish) - 1];
}

/* A request came for the shelf; under the lock. */
static void ask(engine_pool *pool, shelf *s, const engine_wish *wish) {
    s->last_asked_ns = platform_clock_ns();
    s->wish = *wish;
    if (wish->computes) {
        s->pass_bytes = wish->memory_bytes;
    }
    s->warmth = wish->computes || s->warmth == ENGINE_WARM_FOR_PASS ? ENGINE_WARM_FOR_PASS
                                                                    : ENGINE_WARM_FOR_TEXT;
    if (s->n_target == 0) {
        s->n_target = pool->options.n_target;
    }
}

static engine_machine *find(engine_pool *pool, const engine_wish *wish) {
    shelf *s = shelf_for(pool, wish);
    ask(pool, s, wish);
    engine_machine *m = take_ready(pool, s, ENGINE_WARMTHS);
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

static void count_busy(engine_pool *pool, const engine_machine *m, bool is_given) {
    unsigned n = m->n_workers;
    pool->n_busy = is_given ? pool->n_busy + n : pool->n_busy - n;
}

tars_status engine_pool_take(engine_pool *pool, const engine_wish *wish, engine_machine **out,
                             tars_error *err) {
    platform_mutex_lock(&pool->lock);
    *out = find(pool, wish);
    platform_mutex_unlock(&pool->lock);
    tars_status status = *out ? TARS_OK : engine_machine_create(pool->snapshot, wish, out, err);
    if (status == TARS_OK) {
        platform_mutex_lock(&pool->lock);
        count_busy(pool, *out, true);
        platform_mutex_unlock(&pool->lock);
    }
    return status;
}

void engine_pool_give_up(engine_pool *pool, engine_machine *m) {
    if (!m) {
        return;
    }
    platform_mutex_lock(&pool->lock);
    count_busy(pool, m, false);
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

tars_status engine_pool_warm(engine_pool *pool, const engine_wish *wish, unsigned count,
                             tars_error *err) {
    platform_mutex_lock(&pool->lock);
    shelf *s = shelf_for(pool, wish);
    ask(pool, s, wish);
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
    for (unsigned i = 0; i < ENGINE_MAX_WORKERS; i++) {
        out->n_cold += n_colder(pool, &pool->shelves[i]);
    }
    platform_mutex_unlock(&pool->lock);
}
