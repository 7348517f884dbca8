/* Machines of the program that stands in for the engine, and requests to them. */
#ifndef TESTS_HOSTILE_FIXTURE_H
#define TESTS_HOSTILE_FIXTURE_H

#include "runtime/hostile_engine.h"
#include "runtime/hostile_request.h"
#include "runtime/microvm/engine_internal.h"
#include "runtime/microvm/machine.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef TESTS_BUILD_DIR
#define TESTS_BUILD_DIR "."
#endif

enum { HOSTILE_MEMORY_BYTES = 4 << 20 };
#define HOSTILE_LIMIT_NS ((uint64_t)30000000) /* of a request */

/* False, and the test is skipped, where there are no machines. */
static inline bool has_machines(void) {
    tars_error err = {.message = ""};
    FILE *program = fopen(TESTS_BUILD_DIR "/tests/hostile-engine.elf", "rb");
    if (!program) {
        check_skip("this build has no program for machines");
        return false;
    }
    fclose(program);
    if (machine_probe(&err) != TARS_OK) {
        check_skip("%s", err.message);
        return false;
    }
    return true;
}

static const platform_mapping *hostile_model;       /* that it is prepared with, or NULL */
static const engine_boot_check *hostile_boot_check; /* the same */

/* Of the program that does this before it is ready. NULL: refused, with the error. */
static inline engine_snapshot *hostile_boots(uint64_t what, uint64_t argument, unsigned n_workers,
                                             uint64_t limit_ns, tars_error *err) {
    size_t length;
    uint8_t *bytes = check_read_file(TESTS_BUILD_DIR "/tests/hostile-engine.elf", &length);
    hostile_boot wanted = {{HOSTILE_MAGIC_0, HOSTILE_MAGIC_1}, what, argument};
    size_t n_found = 0;
    for (size_t i = 0; i + sizeof wanted <= length; i += 8) {
        if (memcmp(bytes + i, wanted.magic, sizeof wanted.magic) == 0) {
            memcpy(bytes + i, &wanted, sizeof wanted);
            n_found++;
        }
    }
    CHECK_INT(n_found, 1);
    const engine_boot_program program = {bytes, length, limit_ns};
    engine_snapshot *s = NULL;
    *err = (tars_error){.message = ""};
    tars_status status = engine_snapshot_create_from(&program, hostile_model, "", n_workers,
                                                     hostile_boot_check, &s, err);
    CHECK((status == TARS_OK) == (s != NULL));
    CHECK(status == TARS_OK || (err->status == status && err->message[0] != '\0'));
    free(bytes);
    return s;
}

static inline engine_snapshot *hostile_boots_well(void) {
    tars_error err;
    engine_snapshot *s =
        hostile_boots(HOSTILE_BOOT_WELL, 0, HOSTILE_WORKERS, (uint64_t)30000000000, &err);
    if (!s) {
        check_fail(__FILE__, __LINE__, "%s: %s", err.message, err.cause);
    }
    return s;
}

/* A request and what came of it. */
typedef struct hostile_talk {
    tars_status status;
    tars_error err;
    engine_usage usage;
    uint64_t limit_ns; /* after which the user has had enough */
    uint64_t begin_ns, took_ns;
    unsigned n_tokens, n_texts;
    guest_answer told;
} hostile_talk;

static tars_status hostile_token(void *user, int32_t id, const uint8_t *digest, tars_error *err) {
    (void)id;
    (void)digest;
    (void)err;
    ((hostile_talk *)user)->n_tokens++;
    return TARS_OK;
}

static tars_status hostile_text(void *user, const char *bytes, size_t length, tars_error *err) {
    (void)bytes;
    (void)length;
    (void)err;
    ((hostile_talk *)user)->n_texts++;
    return TARS_OK;
}

static void hostile_progress(void *user, uint64_t done, uint64_t total) {
    (void)user;
    (void)done;
    (void)total;
}

static tars_status hostile_check(void *user, tars_error *err) {
    const hostile_talk *t = user;
    return platform_clock_ns() - t->begin_ns > t->limit_ns
               ? error_set(err, TARS_CANCELLED, "the user has had enough")
               : TARS_OK;
}

static inline void hostile_serve(engine_machine *m, unsigned what, uint64_t argument,
                                 hostile_talk *t) {
    const guest_answer_request request = hostile_request(what, argument);
    guest_answer_sink sink = {.user = t,
                              .token = hostile_token,
                              .text = hostile_text,
                              .progress = hostile_progress,
                              .check = hostile_check};
    uint64_t limit_ns = t->limit_ns > 0 ? t->limit_ns : HOSTILE_LIMIT_NS;
    *t = (hostile_talk){.limit_ns = limit_ns, .begin_ns = platform_clock_ns()};
    guest_answer_init(&t->told, &request, &sink);
    t->status = engine_machine_serve(m, HOSTILE_MEMORY_BYTES, &t->told.client, &t->usage, &t->err);
    t->took_ns = platform_clock_ns() - t->begin_ns;
}

/* A new machine. NULL: the test has failed. */
static inline engine_machine *hostile_machine(const engine_snapshot *s, unsigned n_workers) {
    engine_machine *m = NULL;
    tars_error err = {.message = ""};
    const engine_wish wish = {
        .n_workers = n_workers, .computes = true, .memory_bytes = HOSTILE_MEMORY_BYTES};
    if (engine_machine_create(s, &wish, &m, &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "no machine: %s: %s", err.message, err.cause);
    }
    return m;
}

/* What the program saw, in the machine's memory. */
static inline const hostile_state *hostile_state_of(const engine_machine *m) {
    return (const hostile_state *)(const void *)(m->data +
                                                 (m->snapshot->ready.settings - ENGINE_DATA));
}

#endif
