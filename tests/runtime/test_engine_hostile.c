/* What a model can do to its host that has taken over the engine in a machine: every try ends with
 * a clear error, its machine is not used again, and others go on. */
#include "runtime/hostile_fixture.h"

#include "platform/platform.h"

#include <unistd.h>

/* Statuses that a row may end with. */
#define MAY(status) ((uint64_t)1 << (status))
#define REFUSED MAY(TARS_MALFORMED)
#define ENDED MAY(TARS_CANCELLED)
#define SERVED MAY(TARS_OK)

static const uint64_t LONG_NS = 20000000000; /* for what ends by itself */

typedef struct row {
    unsigned what;
    uint64_t argument;
    uint64_t may; /* MAY(…) */
    const char *says;
} row;

static engine_snapshot *snapshot; /* of the program that becomes ready */

static bool begin(void) {
    if (!has_machines()) {
        return false;
    }
    snapshot = snapshot ? snapshot : hostile_boots_well();
    return snapshot != NULL;
}

static void check_row(const engine_machine *m, const row *r, const hostile_talk *t) {
    if ((r->may >> t->status & 1) == 0 || (r->says && !strstr(t->err.message, r->says))) {
        check_fail(__FILE__, __LINE__, "try %u, 0x%llx: status %d, \"%s\"", r->what,
                   (unsigned long long)r->argument, (int)t->status, t->err.message);
    }
    CHECK(t->status == TARS_OK || (t->err.status == t->status && t->err.message[0] != '\0'));
    if (t->took_ns >= LONG_NS) {
        check_fail(__FILE__, __LINE__, "try %u, 0x%llx took %.1f s", r->what,
                   (unsigned long long)r->argument, (double)t->took_ns / 1e9);
    }
    CHECK((t->status != TARS_OK) <= m->is_spoilt);
}

/* In a machine of its own, which is used again only when nothing was wrong. */
static void try_row(const row *r, unsigned n_workers) {
    static hostile_talk t;
    tars_error err;
    engine_usage usage;
    engine_machine *m = hostile_machine(snapshot, n_workers);
    if (!m) {
        return;
    }
    t.limit_ns = (r->may & ENDED) != 0 ? HOSTILE_LIMIT_NS : LONG_NS;
    hostile_serve(m, r->what, r->argument, &t);
    check_row(m, r, &t);
    bool is_spoilt = m->is_spoilt;
    CHECK_INT(engine_machine_reset(m, &usage, &err), is_spoilt ? TARS_CONFLICT : TARS_OK);
    t.limit_ns = LONG_NS;
    hostile_serve(m, HOSTILE_WELL, 0, &t);
    CHECK_INT(t.status, is_spoilt ? TARS_CONFLICT : TARS_OK);
    engine_machine_destroy(m);
}

/* All of the rows; afterwards another machine is as good as ever. */
static void try_rows(const row *rows, size_t n, unsigned n_workers) {
    static hostile_talk t;
    engine_machine *other = hostile_machine(snapshot, 2);
    for (size_t i = 0; i < n; i++) {
        try_row(&rows[i], n_workers);
    }
    if (other) {
        t.limit_ns = LONG_NS;
        hostile_serve(other, HOSTILE_WELL, 0, &t);
        CHECK_INT(t.status, TARS_OK);
        engine_machine_destroy(other);
    }
}
#define TRY_ROWS(rows, n_workers) try_rows(rows, sizeof(rows) / sizeof(rows)[0], n_workers)

static void calls_that_it_does_not_have(void) {
    static const uint64_t others[] = {ENGINE_CALL_READY, ENGINE_CALL_YIELD + 1, UINT64_MAX,
                                      ENGINE_CALL_WAIT | (uint64_t)1 << 32,
                                      ENGINE_CALL_PARK | (uint64_t)1 << 63};
    if (!begin()) {
        return;
    }
    enum { NUMBERS = 1024, N_OTHERS = sizeof others / sizeof others[0] };
    static row rows[NUMBERS + N_OTHERS];
    for (size_t i = 0; i < NUMBERS + N_OTHERS; i++) {
        rows[i] = (row){HOSTILE_CALL, i < NUMBERS ? i : others[i - NUMBERS], REFUSED,
                        "a call that it does not have"};
    }
    TRY_ROWS(rows, 1);
}

static void forged_addresses_of_calls(void) {
    static const uint64_t addresses[] = {0,
                                         1,
                                         4096,
                                         ENGINE_CODE,
                                         ENGINE_DATA - 4,
                                         ENGINE_DATA - 1,
                                         ENGINE_DATA,
                                         ENGINE_DATA + 1,
                                         ENGINE_DATA + 2,
                                         ENGINE_DATA_END - 4,
                                         ENGINE_DATA_END - 3,
                                         ENGINE_DATA_END - 1,
                                         ENGINE_DATA_END,
                                         ENGINE_SCRATCH + 64,
                                         SYSTEM_ADDRESS,
                                         ENGINE_MODEL,
                                         UINT64_MAX,
                                         UINT64_MAX - 3,
                                         (uint64_t)1 << 63,
                                         (uint64_t)1 << 47,
                                         0x7FFFFFFFE000,
                                         0xFFFF800000000000,
                                         UINT64_MAX - ENGINE_DATA,
                                         (uint64_t)1 << 32 | ENGINE_DATA};
    static const unsigned calls[] = {HOSTILE_PARK, HOSTILE_WAKE, HOSTILE_WAIT};
    if (!begin()) {
        return;
    }
    for (size_t c = 0; c < sizeof calls / sizeof calls[0]; c++) {
        for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
            row r = {calls[c], addresses[i], SERVED, NULL};
            try_row(&r, 2);
        }
    }
    static const row rows[] = {{HOSTILE_SLEEP, 0, ENDED, NULL}};
    TRY_ROWS(rows, 2);
}

static void calls_of_other_processors(void) {
    static const row rows[] = {
        {HOSTILE_WORKER_WAIT, 0, REFUSED, "another processor than its first"},
        {HOSTILE_WORKER_CALL, 0, REFUSED, "a call that it does not have"},
        {HOSTILE_WORKER_CALL, ENGINE_CALL_READY, REFUSED, "a call that it does not have"},
        {HOSTILE_WORKER_FAULT, 0, REFUSED, "exception 6"},
        {HOSTILE_WORKER_FAULT, 4, REFUSED, "exception 13"},
    };
    if (begin()) {
        TRY_ROWS(rows, 2);
        TRY_ROWS(rows, HOSTILE_WORKERS);
    }
}

/* Loads and stores: what is not its own, its code, its model, tables, the entry page, beyond. */
static void memory_that_is_not_its_own(void) {
    static const uint64_t nowhere[] = {0,
                                       8,
                                       4095,
                                       0x10000,
                                       ENGINE_CODE - 1,
                                       SYSTEM_ADDRESS,
                                       SYSTEM_ADDRESS + 0x1000,
                                       SYSTEM_ADDRESS + 0x2000,
                                       SYSTEM_ADDRESS + 0x3000,
                                       SYSTEM_ADDRESS + 0x8000,
                                       SYSTEM_ADDRESS + 0x9000,
                                       SYSTEM_ADDRESS + 0x1FFFFF,
                                       0xE0000000,
                                       0xEFFFFFFF,
                                       0xFFFFFFFF,
                                       0xFEE00000 /* where a PC has its interrupt controller */,
                                       0xFEC00000,
                                       ENGINE_MODEL,
                                       ENGINE_MODEL + ENGINE_LARGE_BYTES,
                                       (uint64_t)1 << 39,
                                       ((uint64_t)1 << 47) - 1,
                                       (uint64_t)1 << 47,
                                       (uint64_t)1 << 63,
                                       0xFFFF800000000000,
                                       UINT64_MAX,
                                       0xFFFFFFFFFF600000};
    if (!begin()) {
        return;
    }
    for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++) {
        const row rows[] = {{HOSTILE_STORE, nowhere[i], REFUSED, "exception 1"},
                            {HOSTILE_LOAD, nowhere[i], REFUSED, "exception 1"},
                            {HOSTILE_JUMP, nowhere[i], REFUSED, "exception 1"}};
        bool is_entry = nowhere[i] >= SYSTEM_ADDRESS && nowhere[i] < SYSTEM_ADDRESS + 0x1000;
        try_row(&rows[0], 1);
        if (!is_entry) { /* which it may read and run */
            try_row(&rows[1], 1);
            try_row(&rows[2], 1);
        }
    }
    const uint64_t scratch_end = ENGINE_SCRATCH + HOSTILE_MEMORY_BYTES + ENGINE_LARGE_BYTES;
    const row rows[] = {
        {HOSTILE_STORE, ENGINE_CODE, REFUSED, "exception 14"},
        {HOSTILE_STORE, ENGINE_CODE + ENGINE_LARGE_BYTES - 1, REFUSED, "exception 14"},
        {HOSTILE_STORE, SYSTEM_ADDRESS, REFUSED, "exception 14"},
        {HOSTILE_STORE, scratch_end - 1, SERVED, NULL},
        {HOSTILE_STORE, scratch_end, REFUSED, "memory that is not there"},
        {HOSTILE_LOAD, scratch_end, REFUSED, "memory that is not there"},
        {HOSTILE_STORE, 0xDFFFFFFF, REFUSED, "memory that is not there"},
        {HOSTILE_JUMP, ENGINE_SCRATCH + 4096, REFUSED, "exception 14"},
        {HOSTILE_JUMP_STACK, 0, REFUSED, "exception 14"},
        {HOSTILE_STACK_AT, 8, REFUSED, "exception 14"},
        {HOSTILE_STACK_AT, (uint64_t)1 << 63, REFUSED, "exception 1"},
        {HOSTILE_STACK_AT, SYSTEM_ADDRESS + 0x9000, REFUSED, "exception 14"},
        {HOSTILE_STACK_AT, 1, REFUSED, "exception 6"}, /* calls need no stack */
        {HOSTILE_STACK_AT, ((uint64_t)1 << 63) + 1, REFUSED, "exception 6"},
        {HOSTILE_STACK_AT, SYSTEM_ADDRESS + 0x9001, REFUSED, "exception 6"},
    };
    TRY_ROWS(rows, 1);
}

static void faults_and_returns(void) {
    static const row rows[] = {
        {HOSTILE_FAULT, 0, REFUSED, "exception 6"},
        {HOSTILE_FAULT, 1, REFUSED, "exception 0"},
        {HOSTILE_FAULT, 2, REFUSED, "exception 3"},
        {HOSTILE_FAULT, 3, REFUSED, "exception"} /* 6 or 13, by the host */,
        {HOSTILE_FAULT, 4, REFUSED, "exception 13"},
        {HOSTILE_FAULT, 5, REFUSED, NULL} /* the port of calls may be read, to no avail */,
        {HOSTILE_FAULT, 6, REFUSED, "exception 13"},
        {HOSTILE_FAULT, 7, REFUSED, "exception 13"},
        {HOSTILE_FAULT, 8, REFUSED, "exception 13"},
        {HOSTILE_FAULT, 9, REFUSED, "exception 1"},
        {HOSTILE_FAULT, 10, REFUSED, NULL},
        {HOSTILE_FAULT, 11, REFUSED, "exception 17"},
        {HOSTILE_FAULT, 12, REFUSED, "exception 19"},
        {HOSTILE_FAULT, 13, REFUSED | SERVED | MAY(TARS_FAILED) | MAY(TARS_IO), NULL},
        {HOSTILE_FAULT, 14, REFUSED, "a call that it does not have"},
        {HOSTILE_FAULT, SYSTEM_ADDRESS + 0x100, REFUSED, "exception 13"},
        {HOSTILE_FAULT, SYSTEM_ADDRESS + 0x1E0, REFUSED, "exception 13"},
        {HOSTILE_FAULT, SYSTEM_ADDRESS + 0xFFF, REFUSED, "exception"},
        {HOSTILE_RETURN, (uint64_t)1 << 47, REFUSED, "to no address"},
        {HOSTILE_RETURN, UINT64_MAX, REFUSED, "to no address"},
        {HOSTILE_RETURN, 0, REFUSED, "exception"},
        {HOSTILE_RETURN, ((uint64_t)1 << 47) - 1, REFUSED, "exception"},
        {HOSTILE_FLAGS, 0, SERVED, NULL},
    };
    if (begin()) {
        TRY_ROWS(rows, 1);
    }
}

/* No flag gives it ports, or another mode. */
static void flags_stay_its_own(void) {
    static hostile_talk t;
    if (!begin()) {
        return;
    }
    engine_machine *m = hostile_machine(snapshot, 1);
    if (m) {
        t.limit_ns = LONG_NS;
        hostile_serve(m, HOSTILE_FLAGS, 0, &t);
        CHECK_INT(t.status, TARS_OK);
        CHECK_INT(hostile_state_of(m)->flags & 0x1F3200 & ~(uint64_t)0x200, 0);
        engine_machine_destroy(m);
    }
}

static void indices_of_rings(void) {
    static const uint32_t indices[] = {1,
                                       7,
                                       8,
                                       WIRE_RING_BYTES - 1,
                                       WIRE_RING_BYTES,
                                       WIRE_RING_BYTES + 1,
                                       WIRE_RING_BYTES + 4464,
                                       0x7FFFFFFF,
                                       0x80000000,
                                       0xFFFFFFFF,
                                       2 * WIRE_RING_BYTES,
                                       2 * WIRE_RING_BYTES + 1,
                                       0xFFFF0000};
    static const unsigned whose[] = {HOSTILE_INDEX, HOSTILE_READ, HOSTILE_TO_GUEST};
    if (!begin()) {
        return;
    }
    for (size_t k = 0; k < sizeof whose / sizeof whose[0]; k++) {
        for (size_t i = 0; i < sizeof indices / sizeof indices[0]; i++) {
            row r = {whose[k], indices[i], REFUSED | ENDED, NULL};
            try_row(&r, 1);
        }
    }
    static const row rows[] = {
        {HOSTILE_INDEX, WIRE_RING_BYTES + 4464, REFUSED, "the indices of the wire's ring"},
        {HOSTILE_READ, 12345678, REFUSED, "read more than it was sent"}};
    TRY_ROWS(rows, 1);
}

/* Every kind with sizes that it cannot have, also before its turn. */
static void frames_that_are_none(void) {
    static const uint64_t sizes[] = {0, 1, 16384, 16385, 65528, 65529, 0x7FFFFFFF, 0xFFFFFFFF};
    if (!begin()) {
        return;
    }
    for (uint64_t kind = 0; kind <= WIRE_KIND_COUNT; kind++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            row r = {HOSTILE_FRAME, kind | sizes[i] << 32, REFUSED, NULL};
            try_row(&r, 1);
        }
    }
    static const row rows[] = {{HOSTILE_FRAME, WIRE_LOG | 1 << 16, REFUSED, "unknown kind"},
                               {HOSTILE_FRAME, 0xFFFF, REFUSED, "unknown kind"}};
    TRY_ROWS(rows, 1);
}

static void answers_that_cannot_be(void) {
    static const row rows[] = {
        {HOSTILE_RESULT_MEMORY, UINT64_MAX, REFUSED, "used more than it had"},
        {HOSTILE_RESULT_MEMORY, (uint64_t)1 << 40, REFUSED, "used more than it had"},
        {HOSTILE_RESULT_MEMORY, 1, SERVED, NULL},
        {HOSTILE_RESULT_TOKENS, 0, REFUSED, "does not fit"},
        {HOSTILE_RESULT_TOKENS, 2, REFUSED, "does not fit"},
        {HOSTILE_RESULT_TOKENS, UINT32_MAX, REFUSED, "does not fit"},
        {HOSTILE_TOKEN, 10, REFUSED, "impossible token"},
        {HOSTILE_TOKEN, UINT32_MAX, REFUSED, "impossible token"},
        {HOSTILE_TOKEN, 0x7FFFFFFF, REFUSED, "impossible token"},
        {HOSTILE_TEXT, 5, REFUSED, "text that its tokens cannot have"},
        {HOSTILE_PROGRESS, 4, REFUSED, "impossible progress"},
        {HOSTILE_PROGRESS, UINT64_MAX, REFUSED, "impossible progress"},
        {HOSTILE_LOG, 0, REFUSED, "fills the log"},
    };
    if (begin()) {
        TRY_ROWS(rows, 1);
    }
}

/* Of the statuses a guest may claim some; none of its texts reaches a terminal as it is. */
static void errors_that_it_tells(void) {
    static hostile_talk t;
    if (!begin()) {
        return;
    }
    for (uint64_t status = 0; status < 40; status++) {
        engine_machine *m = hostile_machine(snapshot, 1);
        if (!m) {
            return;
        }
        t.limit_ns = LONG_NS;
        hostile_serve(m, HOSTILE_ERROR, status, &t);
        CHECK(t.status != TARS_OK && t.status < TARS_STATUS_COUNT);
        CHECK(t.status != TARS_CANCELLED && t.status != TARS_TIMEOUT && t.status != TARS_DENIED &&
              t.status != TARS_CONFLICT);
        const char *texts[] = {t.err.message, t.err.hint, t.err.where, t.err.cause};
        for (size_t i = 0; i < 4; i++) {
            CHECK(strchr(texts[i], 0x1B) == NULL);
        }
        CHECK(m->is_spoilt);
        engine_machine_destroy(m);
    }
}

/* What it told before counts, whichever is seen first; the machine is spoilt all the same. */
static void faults_behind_an_answer(void) {
    static hostile_talk t;
    if (!begin()) {
        return;
    }
    for (int i = 0; i < 100; i++) {
        engine_machine *m = hostile_machine(snapshot, 1);
        if (!m) {
            return;
        }
        t.limit_ns = LONG_NS;
        hostile_serve(m, i % 2 ? HOSTILE_ERROR_FAULT : HOSTILE_ANSWER_FAULT, TARS_OUT_OF_MEMORY,
                      &t);
        CHECK_INT(t.status, i % 2 ? TARS_OUT_OF_MEMORY : TARS_OK);
        CHECK(m->is_spoilt || i % 2 == 0);
        engine_machine_destroy(m);
    }
}

static void rings_that_change_meanwhile(void) {
    static hostile_talk t;
    if (!begin()) {
        return;
    }
    for (int i = 0; i < 30; i++) {
        engine_machine *m = hostile_machine(snapshot, i % 2 ? HOSTILE_WORKERS : 2);
        if (!m) {
            return;
        }
        t.limit_ns = HOSTILE_LIMIT_NS;
        hostile_serve(m, HOSTILE_RACE, (uint64_t)i, &t);
        CHECK(t.status < TARS_STATUS_COUNT);
        CHECK((t.status != TARS_OK) <= m->is_spoilt);
        engine_machine_destroy(m);
    }
}

/* With calls and without; the request ends soon after its time, on as many processors as it has. */
static void time_without_end(void) {
    static const row rows[] = {{HOSTILE_SPIN, 0, ENDED, "had enough"},
                               {HOSTILE_STORM, ENGINE_CALL_YIELD, ENDED, NULL},
                               {HOSTILE_STORM, ENGINE_CALL_PARK, ENDED, NULL},
                               {HOSTILE_STORM, ENGINE_CALL_WAKE, ENDED, NULL}};
    static hostile_talk t;
    if (!begin()) {
        return;
    }
    TRY_ROWS(rows, 1);
    TRY_ROWS(rows, HOSTILE_WORKERS);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        engine_machine *m = hostile_machine(snapshot, 2);
        if (m) {
            t.limit_ns = HOSTILE_LIMIT_NS;
            hostile_serve(m, rows[i].what, rows[i].argument, &t);
            printf("    ended %.1f ms after its time, %llu exits\n",
                   ((double)t.took_ns - (double)t.limit_ns) / 1e6,
                   (unsigned long long)t.usage.n_exits);
            engine_machine_destroy(m);
        }
    }
}

static void storm_beside(void *argument) {
    static hostile_talk t;
    engine_machine *m = argument;
    t.limit_ns = 1500000000;
    hostile_serve(m, HOSTILE_STORM, ENGINE_CALL_YIELD, &t);
}

static int by_time(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Of requests to one machine, in milliseconds; all must be answered. */
static double median_of_requests(engine_machine *m) {
    enum { N = 41 };
    static hostile_talk t;
    uint64_t took_ns[N];
    for (int i = 0; i < N; i++) {
        tars_error err;
        engine_usage usage;
        t.limit_ns = LONG_NS;
        hostile_serve(m, HOSTILE_WELL, 0, &t);
        CHECK_INT(t.status, TARS_OK);
        CHECK_INT(engine_machine_reset(m, &usage, &err), TARS_OK);
        took_ns[i] = t.took_ns;
    }
    qsort(took_ns, N, sizeof took_ns[0], by_time);
    return (double)took_ns[N / 2] / 1e6;
}

/* A machine that does nothing but call takes a processor of the host, as one that computes does. */
static void storms_leave_others_their_time(void) {
    if (!begin()) {
        return;
    }
    platform_thread thread;
    tars_error err;
    engine_machine *m = hostile_machine(snapshot, 1);
    engine_machine *other = hostile_machine(snapshot, 1);
    if (m && other) {
        double alone_ms = median_of_requests(m);
        CHECK_INT(platform_thread_create("storm", storm_beside, other, &thread, &err), TARS_OK);
        double beside_ms = median_of_requests(m);
        platform_thread_join(&thread);
        printf("    a request takes %.2f ms alone, %.2f ms beside a storm of calls\n", alone_ms,
               beside_ms);
    }
    engine_machine_destroy(m);
    engine_machine_destroy(other);
}

/* ---- before it is ready -------------------------------------------------------------------- */

typedef struct boot_row {
    uint64_t what, argument;
    uint64_t may;
    const char *says;
} boot_row;

/* When it became ready all the same, its machines do no harm either. */
static void try_boot(const boot_row *r, uint64_t limit_ns) {
    static hostile_talk t;
    tars_error err;
    engine_snapshot *s = hostile_boots(r->what, r->argument, 2, limit_ns, &err);
    tars_status status = s ? TARS_OK : err.status;
    if ((r->may >> status & 1) == 0 || (r->says && !strstr(err.message, r->says))) {
        check_fail(__FILE__, __LINE__, "boot %llu, 0x%llx: status %d, \"%s\"",
                   (unsigned long long)r->what, (unsigned long long)r->argument, (int)status,
                   err.message);
    }
    const char *texts[] = {err.message, err.hint, err.where, err.cause};
    for (size_t i = 0; i < 4 && !s; i++) {
        CHECK(strchr(texts[i], 0x1B) == NULL);
    }
    engine_machine *m = s ? hostile_machine(s, 2) : NULL;
    if (m) {
        t.limit_ns = LONG_NS;
        hostile_serve(m, HOSTILE_WELL, 0, &t);
        CHECK(t.status == TARS_OK || m->is_spoilt);
    }
    engine_machine_destroy(m);
    engine_snapshot_destroy(s);
}

static void forged_greetings(void) {
    static const boot_row rows[] = {
        {HOSTILE_BOOT_WELL, 0, SERVED, NULL},
        {HOSTILE_BOOT_SILENT, 0, REFUSED, "lies where it cannot"},
        {HOSTILE_BOOT_TWICE, 0, REFUSED, "greeted wrongly or twice"},
        {HOSTILE_BOOT_MAGIC, 0, REFUSED, "greeted wrongly"},
        {HOSTILE_BOOT_ISA, 0, REFUSED, "kernels"},
        {HOSTILE_BOOT_ERROR, TARS_OK, MAY(TARS_FAILED), NULL},
        {HOSTILE_BOOT_ERROR, TARS_CORRUPT, MAY(TARS_CORRUPT), NULL},
        {HOSTILE_BOOT_ERROR, 12345, MAY(TARS_FAILED), NULL},
        {HOSTILE_BOOT_ERROR, TARS_CANCELLED, MAY(TARS_FAILED), NULL},
        {HOSTILE_BOOT_FRAME, WIRE_LOG, REFUSED, "something else than a greeting"},
        {HOSTILE_BOOT_FRAME, WIRE_TOKEN, REFUSED, NULL},
        {HOSTILE_BOOT_FRAME, 0, REFUSED, NULL},
        {HOSTILE_BOOT_FRAME, 99, REFUSED, NULL},
        {HOSTILE_BOOT_INDEX, 70000, REFUSED, NULL},
        {HOSTILE_BOOT_INDEX, UINT32_MAX, REFUSED, NULL},
        {HOSTILE_BOOT_READ, 70000, REFUSED, NULL},
    };
    if (!begin()) {
        return;
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        try_boot(&rows[i], LONG_NS);
    }
}

static void forged_addresses_of_ready(void) {
    static const uint64_t addresses[] = {0,
                                         ENGINE_CODE,
                                         ENGINE_DATA - 8,
                                         ENGINE_DATA_END - 8,
                                         ENGINE_DATA_END,
                                         ENGINE_SCRATCH,
                                         SYSTEM_ADDRESS,
                                         ENGINE_MODEL,
                                         (uint64_t)1 << 47,
                                         (uint64_t)1 << 63,
                                         UINT64_MAX,
                                         UINT64_MAX - 7,
                                         0xFFFF800000000000};
    static const uint64_t members[] = {HOSTILE_BOOT_READY_AT, HOSTILE_BOOT_SETTINGS,
                                       HOSTILE_BOOT_STACKS, HOSTILE_BOOT_THREADS,
                                       HOSTILE_BOOT_ENTRY};
    static const boot_row rows[] = {
        {HOSTILE_BOOT_STACK_BYTES, UINT64_MAX, REFUSED, NULL},
        {HOSTILE_BOOT_STACK_BYTES, (uint64_t)1 << 63, REFUSED, NULL},
        {HOSTILE_BOOT_STACK_BYTES, ENGINE_DATA_BYTES, REFUSED, NULL},
        {HOSTILE_BOOT_STACK_BYTES, 0, SERVED, NULL},
        {HOSTILE_BOOT_THREAD_BYTES, UINT64_MAX, REFUSED, NULL},
        {HOSTILE_BOOT_THREAD_BYTES, (uint64_t)1 << 63, REFUSED, NULL},
        {HOSTILE_BOOT_THREAD_BYTES, 0, SERVED, NULL},
        {HOSTILE_BOOT_RANDOM, 0, MAY(TARS_FAILED), NULL},
        {HOSTILE_BOOT_RANDOM, ENGINE_CODE, MAY(TARS_FAILED), NULL},
        {HOSTILE_BOOT_RANDOM, ENGINE_DATA_END - 15, MAY(TARS_FAILED), NULL},
        {HOSTILE_BOOT_RANDOM, UINT64_MAX, MAY(TARS_FAILED), NULL},
        {HOSTILE_BOOT_RANDOM, UINT64_MAX - 15, MAY(TARS_FAILED), NULL},
        {HOSTILE_BOOT_RANDOM, ENGINE_DATA_END - 16, SERVED, NULL},
        {HOSTILE_BOOT_NO_VECTOR, 0, MAY(TARS_FAILED), NULL},
        {HOSTILE_BOOT_LOW, 0, SERVED, NULL},
        {HOSTILE_BOOT_UNMAP, 0, SERVED | REFUSED | MAY(TARS_FAILED), NULL},
    };
    if (!begin()) {
        return;
    }
    for (size_t k = 0; k < sizeof members / sizeof members[0]; k++) {
        for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
            bool is_code = members[k] == HOSTILE_BOOT_ENTRY && addresses[i] >= ENGINE_CODE &&
                           addresses[i] < ENGINE_CODE + ENGINE_LARGE_BYTES;
            const boot_row r = {members[k], addresses[i], is_code ? SERVED : REFUSED,
                                is_code ? NULL : "lies where it cannot"};
            try_boot(&r, LONG_NS);
        }
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        try_boot(&rows[i], LONG_NS);
    }
}

static void starts_that_lead_nowhere(void) {
    static const boot_row rows[] = {
        {HOSTILE_BOOT_EXIT, 0, MAY(TARS_FAILED), "ended before it was ready"},
        {HOSTILE_BOOT_EXIT, 77, MAY(TARS_FAILED), "ended before it was ready"},
        {HOSTILE_BOOT_FAULT, 0, MAY(TARS_FAILED), "failed before it was ready"},
        {HOSTILE_BOOT_FAULT, 4, MAY(TARS_FAILED), "failed before it was ready"},
        {HOSTILE_BOOT_FAULT, 6, MAY(TARS_FAILED), "failed before it was ready"},
        {HOSTILE_BOOT_FAULT, SYSTEM_ADDRESS + 0x1F0, MAY(TARS_FAILED), NULL},
        {HOSTILE_BOOT_NEVER, 0, MAY(TARS_TIMEOUT), "did not become ready"},
        {HOSTILE_BOOT_WAITS, 0, MAY(TARS_TIMEOUT), "did not become ready"},
        {HOSTILE_BOOT_SLEEPS, 0, MAY(TARS_TIMEOUT) | MAY(TARS_FAILED), NULL},
        {HOSTILE_BOOT_CALLS, 0, SERVED | MAY(TARS_FAILED), NULL},
        {HOSTILE_BOOT_RETURN, (uint64_t)1 << 47, MAY(TARS_FAILED), "to no address"},
        {HOSTILE_BOOT_RETURN, UINT64_MAX, MAY(TARS_FAILED), "to no address"},
    };
    if (!begin()) {
        return;
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t begin_ns = platform_clock_ns();
        bool is_endless = rows[i].what == HOSTILE_BOOT_NEVER ||
                          rows[i].what == HOSTILE_BOOT_WAITS || rows[i].what == HOSTILE_BOOT_SLEEPS;
        try_boot(&rows[i], is_endless ? 300000000 : LONG_NS);
        CHECK(platform_clock_ns() - begin_ns < LONG_NS);
    }
}

static tars_status enough(void *user, tars_error *err) {
    const uint64_t *end_ns = user;
    return platform_clock_ns() > *end_ns ? error_set(err, TARS_CANCELLED, "enough") : TARS_OK;
}

/* Who waits for an engine to start can stop waiting. */
static void starts_are_cancelled(void) {
    static const uint64_t endless[] = {HOSTILE_BOOT_NEVER, HOSTILE_BOOT_WAITS, HOSTILE_BOOT_SLEEPS};
    if (!begin()) {
        return;
    }
    for (size_t i = 0; i < sizeof endless / sizeof endless[0]; i++) {
        tars_error err;
        uint64_t begin_ns = platform_clock_ns();
        uint64_t end_ns = begin_ns + HOSTILE_LIMIT_NS;
        const engine_boot_check check = {enough, &end_ns};
        hostile_boot_check = &check;
        CHECK(hostile_boots(endless[i], 0, 2, LONG_NS, &err) == NULL);
        hostile_boot_check = NULL;
        CHECK_INT(err.status, TARS_CANCELLED);
        CHECK_STRING(err.message, "enough");
        CHECK(platform_clock_ns() - begin_ns < LONG_NS / 2);
    }
}

static void tear_down(void) {
    engine_snapshot_destroy(snapshot);
    snapshot = NULL;
}

static const check_test tests[] = {
    {"calls that it does not have", calls_that_it_does_not_have},
    {"forged addresses of calls", forged_addresses_of_calls},
    {"calls of other processors", calls_of_other_processors},
    {"memory that is not its own", memory_that_is_not_its_own},
    {"faults and returns", faults_and_returns},
    {"flags stay its own", flags_stay_its_own},
    {"indices of rings", indices_of_rings},
    {"frames that are none", frames_that_are_none},
    {"answers that cannot be", answers_that_cannot_be},
    {"errors that it tells", errors_that_it_tells},
    {"faults behind an answer", faults_behind_an_answer},
    {"rings that change meanwhile", rings_that_change_meanwhile},
    {"time without end", time_without_end},
    {"storms leave others their time", storms_leave_others_their_time},
    {"forged greetings", forged_greetings},
    {"forged addresses of ready", forged_addresses_of_ready},
    {"starts that lead nowhere", starts_that_lead_nowhere},
    {"starts are cancelled", starts_are_cancelled},
    {"tear down", tear_down},
};

CHECK_MAIN(tests)
