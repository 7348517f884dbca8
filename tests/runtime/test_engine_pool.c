/* Machines made ahead: how many there are when, that each serves one tenant alone, and that none is
 * left behind however the pool is closed. */
#include "api/model_api.h"
#include "runtime/guest_text.h"
#include "runtime/microvm/engine_internal.h"
#include "runtime/microvm/engine_pool.h"
#include "runtime/registry.h"
#include "support/check.h"
#include "support/tiny_model.h"

#include <string.h>

enum { MS = 1000 * 1000, N_THREADS = 6, N_REQUESTS = 20, TEXT_BYTES = 256 };

static const engine_wish wish = {.n_workers = 1, .memory_bytes = 1 << 20};
static engine_snapshot *snapshot; /* made once */

static bool has_machines(void) {
    tars_error err = {.message = ""};
    set_up();
    tars_status status =
        snapshot ? TARS_OK : engine_snapshot_create(&tiny->mapping, "", 2, NULL, &snapshot, &err);
    if (status == TARS_UNAVAILABLE) {
        check_skip("%s", err.message);
    } else if (status != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s: %s", err.message, err.cause);
    }
    return status == TARS_OK;
}

static engine_pool *begin(engine_pool_options options) {
    engine_pool *pool = NULL;
    tars_error err = {.message = ""};
    if (has_machines() && engine_pool_create(snapshot, &options, &pool, &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s", err.message);
    }
    return pool;
}

static engine_pool_options few(void) {
    engine_pool_options options = engine_pool_defaults;
    options.n_patient = 0;
    options.n_target = 2;
    options.n_most = 8;
    options.warms = false;
    return options;
}

/* ---- requests ------------------------------------------------------------------------------- */

typedef struct asked {
    guest_decode decode;
    guest_decode_request request;
    int32_t id;
    char text[TEXT_BYTES];
    size_t length;
    bool is_refused; /* by its check */
} asked;

static tars_status take_text(void *user, const char *bytes, size_t length, tars_error *err) {
    asked *a = user;
    (void)err;
    if (length < sizeof a->text - a->length) {
        memcpy(a->text + a->length, bytes, length);
        a->length += length;
    }
    return TARS_OK;
}

static tars_status check_request(void *user, tars_error *err) {
    const asked *a = user;
    return a->is_refused ? error_set(err, TARS_TIMEOUT, "no time for it") : TARS_OK;
}

static tars_status serve(engine_machine *m, asked *a, int32_t id, bool is_refused) {
    engine_usage usage;
    tars_error err = {.message = ""};
    a->id = id;
    a->length = 0;
    a->is_refused = is_refused;
    a->request = (guest_decode_request){.wire = {.flags = TOKENIZER_SHOW_SPECIAL, .n_ids = 1},
                                        .ids = &a->id};
    const guest_decode_sink sink = {.user = a, .text = take_text, .check = check_request};
    guest_decode_init(&a->decode, &a->request, &sink);
    tars_status status =
        engine_machine_serve(m, wish.memory_bytes, &a->decode.client, &usage, &err);
    a->text[a->length] = '\0';
    return status;
}

/* What the same request says in a machine of its own. */
static void expect_text(int32_t id, char out[TEXT_BYTES]) {
    static asked a;
    engine_machine *m = NULL;
    tars_error err;
    CHECK_INT(engine_machine_create(snapshot, &wish, &m, &err), TARS_OK);
    CHECK_INT(serve(m, &a, id, false), TARS_OK);
    memcpy(out, a.text, TEXT_BYTES);
    engine_machine_destroy(m);
}

static engine_machine *take(engine_pool *pool) {
    engine_machine *m = NULL;
    tars_error err = {.message = ""};
    if (engine_pool_take(pool, &wish, &m, &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s: %s", err.message, err.cause);
        return NULL;
    }
    CHECK(!m->was_used && !m->is_spoilt);
    return m;
}

/* Waits until `is_so`, generously. */
static engine_pool_counts
wait_until(engine_pool *pool, bool (*is_so)(const engine_pool_counts *c, unsigned n), unsigned n) {
    engine_pool_counts counts = {0};
    for (int i = 0; i < 30000; i++) {
        engine_pool_count(pool, &counts);
        if (is_so(&counts, n)) {
            return counts;
        }
        platform_sleep_ns(MS);
    }
    check_fail(__FILE__, __LINE__, "it does not come to %u; %u are ready, %u buried", n,
               counts.n_ready, counts.n_buried);
    return counts;
}

static bool are_ready(const engine_pool_counts *c, unsigned n) {
    return c->n_ready >= n;
}

static bool are_left(const engine_pool_counts *c, unsigned n) {
    return c->n_ready <= n && c->n_buried == 0;
}

static bool are_buried(const engine_pool_counts *c, unsigned n) {
    return c->n_destroyed >= n && c->n_buried == 0;
}

static bool are_warm(const engine_pool_counts *c, unsigned n) {
    return c->n_ready >= n && c->n_cold == 0;
}

/* ---- how many there are --------------------------------------------------------------------- */

static void one_question_makes_none_ahead(void) {
    engine_pool_counts counts;
    engine_pool *pool = begin(engine_pool_defaults);
    if (!pool) {
        return;
    }
    for (unsigned i = 0; i < engine_pool_defaults.n_patient; i++) {
        engine_pool_give_up(pool, take(pool));
    }
    platform_sleep_ns(50 * MS);
    engine_pool_count(pool, &counts);
    CHECK_INT(counts.n_made, 0);
    CHECK_INT(counts.n_ready, 0);
    engine_pool_give_up(pool, take(pool));
    counts = wait_until(pool, are_ready, engine_pool_defaults.n_target);
    CHECK_INT(counts.n_ready, engine_pool_defaults.n_target);
    CHECK_INT(counts.n_taken, engine_pool_defaults.n_patient + 1);
    CHECK_INT(counts.n_found, 0);
    engine_pool_give_up(pool, take(pool));
    engine_pool_count(pool, &counts);
    CHECK_INT(counts.n_found, 1);
    engine_pool_destroy(pool);
}

static void more_are_kept_when_too_few_were(void) {
    engine_machine *held[64] = {NULL};
    unsigned n = 0;
    engine_pool_counts counts;
    tars_error err;
    engine_pool *pool = begin(few());
    if (!pool) {
        return;
    }
    CHECK_INT(engine_pool_warm(pool, &wish, 1, &err), TARS_OK);
    wait_until(pool, are_ready, 2);
    do { /* quicker than they are made */
        held[n++] = take(pool);
        engine_pool_count(pool, &counts);
        CHECK(counts.n_ready <= 8);
    } while (n < 64 && counts.n_found == counts.n_taken);
    CHECK(counts.n_found < counts.n_taken);
    counts = wait_until(pool, are_ready, 4);
    CHECK(counts.n_ready <= 8);
    for (unsigned i = 0; i < n; i++) {
        engine_pool_give_up(pool, held[i]);
    }
    engine_pool_destroy(pool);
}

/* Asks again and again meanwhile. */
static void ask_until_ready(engine_pool *pool, unsigned n) {
    engine_pool_counts counts = {0};
    for (int i = 0; i < 30000 && counts.n_ready < n; i++) {
        CHECK_INT(engine_pool_warm(pool, &wish, n, NULL), TARS_OK);
        platform_sleep_ns(MS);
        engine_pool_count(pool, &counts);
    }
    CHECK_INT(counts.n_ready, n);
}

static void none_are_kept_when_nobody_asks(void) {
    engine_pool_options options = few();
    options.idle_ns = UINT64_C(500) * MS;
    options.rest_ns = UINT64_C(1500) * MS;
    engine_pool *pool = begin(options);
    if (!pool) {
        return;
    }
    ask_until_ready(pool, 6);
    engine_pool_counts counts = wait_until(pool, are_left, 2);
    CHECK(counts.n_destroyed >= 4);
    counts = wait_until(pool, are_left, 0);
    CHECK_INT(counts.n_destroyed, counts.n_made);
    ask_until_ready(pool, 2); /* and it begins again */
    engine_pool_destroy(pool);
}

static void more_than_the_most_are_not_kept(void) {
    tars_error err;
    engine_pool *pool = begin(few());
    if (!pool) {
        return;
    }
    CHECK_INT(engine_pool_warm(pool, &wish, 1000, &err), TARS_OK);
    wait_until(pool, are_ready, 8);
    const engine_wish two = {.n_workers = 2, .memory_bytes = 1 << 20};
    CHECK_INT(engine_pool_warm(pool, &two, 8, &err), TARS_OK);
    platform_sleep_ns(50 * MS);
    engine_pool_counts counts;
    engine_pool_count(pool, &counts);
    CHECK_INT(counts.n_ready, 8);
    engine_pool_destroy(pool);
}

/* ---- whom they serve ------------------------------------------------------------------------- */

static void a_machine_is_given_out_once(void) {
    static asked a;
    engine_pool *pool = begin(few());
    if (!pool) {
        return;
    }
    for (int i = 0; i < 20; i++) {
        char expected[TEXT_BYTES];
        expect_text(i % 5 + 3, expected);
        engine_machine *m = take(pool);
        if (!m) {
            break;
        }
        CHECK_INT(serve(m, &a, i % 5 + 3, false), TARS_OK);
        CHECK_STRING(a.text, expected);
        CHECK(m->was_used);
        engine_pool_give_up(pool, m);
    }
    engine_pool_counts counts = wait_until(pool, are_buried, 20);
    CHECK_INT(counts.n_taken, 20);
    CHECK_INT(counts.n_destroyed, 20);
    engine_pool_destroy(pool);
}

static void a_machine_that_failed_is_destroyed(void) {
    static asked a;
    engine_usage usage;
    tars_error err;
    engine_pool *pool = begin(few());
    if (!pool) {
        return;
    }
    engine_machine *m = take(pool);
    CHECK_INT(serve(m, &a, 5, true), TARS_TIMEOUT);
    CHECK_INT(engine_machine_reset(m, &usage, &err), TARS_CONFLICT);
    engine_pool_give_up(pool, m);
    engine_machine *next = take(pool);
    CHECK_INT(serve(next, &a, 5, false), TARS_OK);
    CHECK_INT(engine_machine_reset(next, &usage, &err), TARS_OK); /* of the same tenant */
    CHECK_INT(serve(next, &a, 6, false), TARS_OK);
    engine_pool_give_up(pool, next);
    engine_pool_counts counts = wait_until(pool, are_buried, 2);
    CHECK_INT(counts.n_destroyed, 2);
    engine_pool_destroy(pool);
}

/* A machine that served the pool's own request has nothing of it. */
static void a_warm_machine_is_as_a_new_one(void) {
    static asked a;
    char expected[TEXT_BYTES];
    tars_error err;
    engine_pool_options options = few();
    options.warms = true;
    engine_pool *pool = begin(options);
    if (!pool) {
        return;
    }
    const engine_wish both[] = {wish, {.n_workers = 1, .computes = true, .memory_bytes = 32 << 20}};
    expect_text(7, expected);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_INT(engine_pool_warm(pool, &both[i], 2, &err), TARS_OK);
        engine_pool_counts counts = wait_until(pool, are_warm, 2);
        CHECK(counts.n_warmed >= 2);
        CHECK_INT(counts.n_failed, 0);
        engine_machine *m = take(pool);
        CHECK_INT(m->warmth, i == 0 ? 1 : 2);
        const uint8_t *kept = snapshot->data.bytes;
        CHECK(memcmp(m->data, kept, snapshot->data.size_bytes) == 0);
        const uint8_t *scratch = m->scratch;
        CHECK(scratch[0] == 0 && memcmp(scratch, scratch + 1, ENGINE_LARGE_BYTES - 1) == 0);
        CHECK_INT(serve(m, &a, 7, false), TARS_OK);
        CHECK_STRING(a.text, expected);
        engine_pool_give_up(pool, m);
    }
    engine_pool_destroy(pool);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void a_pool_is_closed_while_machines_are_made(void) {
    static const uint64_t moments_ns[] = {0, 100000, MS, 5 * MS, 20 * MS};
    for (size_t i = 0; i < 2 * sizeof moments_ns / sizeof moments_ns[0]; i++) {
        tars_error err;
        engine_pool_options options = few();
        options.warms = i % 2 == 0;
        options.n_most = 50;
        engine_pool *pool = begin(options);
        if (!pool) {
            return;
        }
        const engine_wish two = {.n_workers = 2, .computes = true, .memory_bytes = 32 << 20};
        CHECK_INT(engine_pool_warm(pool, &two, 50, &err), TARS_OK);
        engine_pool_give_up(pool, take(pool));
        platform_sleep_ns(moments_ns[i / 2]);
        engine_pool_destroy(pool);
    }
}

typedef struct tenant {
    engine_pool *pool;
    const char (*expected)[TEXT_BYTES];
    unsigned number;
    unsigned n_right, n_refused;
    asked asked;
} tenant;

static void ask_often(void *argument) {
    tenant *t = argument;
    for (unsigned i = 0; i < N_REQUESTS; i++) {
        bool is_refused = (i + t->number) % 7 == 0;
        unsigned which = (i + t->number) % 5;
        engine_machine *m = take(t->pool);
        tars_status status = m ? serve(m, &t->asked, (int32_t)which + 3, is_refused) : TARS_FAILED;
        t->n_refused += status == TARS_TIMEOUT;
        t->n_right += status == TARS_OK && strcmp(t->asked.text, t->expected[which]) == 0;
        engine_pool_give_up(t->pool, m);
    }
}

static void many_tenants_ask_at_once(void) {
    static char expected[5][TEXT_BYTES];
    static tenant tenants[N_THREADS];
    platform_thread threads[N_THREADS];
    tars_error err;
    engine_pool_options options = few();
    options.warms = true;
    engine_pool *pool = begin(options);
    if (!pool) {
        return;
    }
    for (int32_t i = 0; i < 5; i++) {
        expect_text(i + 3, expected[i]);
    }
    for (unsigned i = 0; i < N_THREADS; i++) {
        tenants[i] =
            (tenant){.pool = pool, .expected = (const char(*)[TEXT_BYTES])expected, .number = i};
        CHECK_INT(platform_thread_create("tenant", ask_often, &tenants[i], &threads[i], &err),
                  TARS_OK);
    }
    unsigned n_right = 0, n_refused = 0;
    for (unsigned i = 0; i < N_THREADS; i++) {
        platform_thread_join(&threads[i]);
        n_right += tenants[i].n_right;
        n_refused += tenants[i].n_refused;
    }
    CHECK_INT(n_right + n_refused, N_THREADS * N_REQUESTS);
    CHECK(n_refused > 0 && n_right > n_refused);
    engine_pool_destroy(pool); /* with all that were given up in the end */
}

/* ---- through the interface of runtimes ---------------------------------------------------------
 */

static void images_can_be_asked_to_warm(void) {
    static const char *const names[] = {"native", "microvm"};
    if (!has_machines()) {
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const runtime_model what = {.mapping = &tiny->mapping,
                                    .engine = &tiny->engine,
                                    .tokenizer = &tiny->tokenizer,
                                    .kernels = kernel_by_name("scalar")};
        const runtime_source source = {.kind = RUNTIME_MODEL, .path = "tiny", .model = &what};
        runtime_image *image = NULL;
        tars_error err = {.message = ""};
        CHECK_INT(runtime_open(runtime_find(names[i]), &source, &image, &err), TARS_OK);
        CHECK_STRING(err.message, "");
        if (image) {
            CHECK_INT(runtime_warm(image, NULL, 3, &err), TARS_OK);
            const runtime_limits too_many = {.n_threads = 64, .memory_bytes = UINT64_MAX};
            CHECK(runtime_warm(image, &too_many, 3, &err) != TARS_OK);
        }
        runtime_close(image);
    }
}

static void give_back(void) {
    engine_snapshot_destroy(snapshot);
    snapshot = NULL;
    if (tiny) {
        tear_down();
    }
}

static const check_test tests[] = {
    {"one question makes none ahead", one_question_makes_none_ahead},
    {"more are kept when too few were", more_are_kept_when_too_few_were},
    {"none are kept when nobody asks", none_are_kept_when_nobody_asks},
    {"more than the most are not kept", more_than_the_most_are_not_kept},
    {"a machine is given out once", a_machine_is_given_out_once},
    {"a machine that failed is destroyed", a_machine_that_failed_is_destroyed},
    {"a warm machine is as a new one", a_warm_machine_is_as_a_new_one},
    {"a pool is closed while machines are made", a_pool_is_closed_while_machines_are_made},
    {"many tenants ask at once", many_tenants_ask_at_once},
    {"images can be asked to warm", images_can_be_asked_to_warm},
    {"all is given back", give_back},
};
CHECK_MAIN(tests)
