/* Writers that are killed at any moment leave a log that is valid up to the last acknowledged
 * record, and the next writer goes on. TARS_AUDIT_KILLS=1000 for more of them. */
#include "audit_fixture.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { ROUNDS = 50, WRITERS = 2, LONGEST_US = 4000 };

static uint64_t rounds_wanted(void) {
    const char *text = getenv("TARS_AUDIT_KILLS");
    char *end = NULL;
    unsigned long long n = text ? strtoull(text, &end, 10) : 0;
    return n > 0 && n <= 1000000 ? n : ROUNDS;
}

/* Until it is killed. */
static void write_on(const audit_fixture *f, atomic_uint_least64_t *acknowledged) {
    tars_error err = {.message = ""};
    audit_log *log = audit_fixture_open(f, (audit_options){.rotate_bytes = 20000,
                                                           .checkpoint_records = 7,
                                                           .refuses = true,
                                                           .sync = AUDIT_SYNC_NEVER});
    for (uint64_t i = 0;; i++) {
        if (audit_fixture_write(log, i, &err) != TARS_OK) {
            printf("    %s (%s)\n", err.message, err.cause);
            fflush(stdout);
            _exit(1);
        }
        atomic_fetch_add(acknowledged, 1);
    }
}

static bool count(void *user, const char *line, size_t length, const audit_scan *scan) {
    uint64_t *found = user;
    (void)line;
    (void)length;
    found[0] += audit_scan_is(scan, AUDIT_SYSCALL);
    found[1] += audit_scan_is(scan, AUDIT_LOG_RECOVERED);
    return true;
}

/* Starts writers and kills them one after the other. */
static void kill_writers(const audit_fixture *f, uint64_t *state,
                         atomic_uint_least64_t *acknowledged) {
    pid_t children[WRITERS];
    fflush(stdout);
    for (int i = 0; i < WRITERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            write_on(f, acknowledged);
        }
    }
    for (int i = 0; i < WRITERS; i++) {
        int status = 0;
        platform_sleep_ns(check_random(state) % LONGEST_US * 1000 + 200000);
        kill(children[i], SIGKILL);
        waitpid(children[i], &status, 0);
        CHECK(WIFSIGNALED(status));
    }
}

/* So many rounds over one log; `sums` are acknowledged, found and recovered. */
static void run_rounds(uint64_t n_rounds, uint64_t *state, atomic_uint_least64_t *acknowledged,
                       uint64_t sums[3]) {
    audit_fixture f;
    uint64_t found[2] = {0};
    audit_fixture_begin(&f, (audit_options){.refuses = true});
    CHECK_INT(audit_fixture_write(f.log, 0, NULL), TARS_OK);
    atomic_store(acknowledged, 1);
    for (uint64_t round = 0; round < n_rounds; round++) {
        kill_writers(&f, state, acknowledged);
        memset(found, 0, sizeof found);
        audit_verify_options options = {.visit = count, .user = found};
        audit_verdict v = audit_fixture_verify(&f, options);
        CHECK_STRING(v.reason, "");
        CHECK(v.is_valid);
        if (found[0] < atomic_load(acknowledged)) {
            check_fail(__FILE__, __LINE__, "round %llu: %llu acknowledged, %llu in the log",
                       (unsigned long long)round, (unsigned long long)atomic_load(acknowledged),
                       (unsigned long long)found[0]);
        }
        if (!v.is_valid) {
            break;
        }
    }
    /* whatever the last one left is kept or told by the next */
    CHECK_INT(audit_fixture_write(f.log, 0, NULL), TARS_OK);
    audit_verdict v = audit_fixture_verify(&f, (audit_verify_options){.path = NULL});
    CHECK(v.is_valid && v.n_unsigned_bytes == 0);
    sums[0] += atomic_load(acknowledged);
    sums[1] += found[0];
    sums[2] += found[1];
    audit_fixture_end(&f);
}

static void killed_writers_leave_a_valid_log(void) {
    uint64_t state = (uint64_t)platform_clock_ns() | 1;
    uint64_t sums[3] = {0};
    uint64_t n_rounds = rounds_wanted();
    atomic_uint_least64_t *acknowledged =
        mmap(NULL, sizeof *acknowledged, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(acknowledged != MAP_FAILED);
    for (uint64_t done = 0; done < n_rounds; done += ROUNDS) {
        run_rounds(n_rounds - done < ROUNDS ? n_rounds - done : ROUNDS, &state, acknowledged, sums);
    }
    printf("    %llu kills, %llu records acknowledged, %llu in the logs, recovered %llu times\n",
           (unsigned long long)(n_rounds * WRITERS), (unsigned long long)sums[0],
           (unsigned long long)sums[1], (unsigned long long)sums[2]);
    munmap(acknowledged, sizeof *acknowledged);
}

static const check_test tests[] = {
    {"killed_writers_leave_a_valid_log", killed_writers_leave_a_valid_log},
};
CHECK_MAIN(tests)
