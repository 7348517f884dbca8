/* A machine of the engine that a model took over: the input is what its processors run. The first
 * byte says what is tried: a page of any code with any registers, or one of the tries of
 * tests/runtime/hostile_engine.h with any argument. No bytes may do more than end the request with
 * an error, and after a reset the machine is as it was. Needs /dev/kvm. */
#include "fuzz_model.h"
#include "runtime/hostile_engine.h"
#include "runtime/hostile_request.h"
#include "runtime/microvm/engine_internal.h"

#include <stdio.h>

/* Says which, as what fails may not fail again. */
#define REQUIRE(condition)                                                                         \
    ((condition) ? (void)0 : (fprintf(stderr, "line %d: %s\n", __LINE__, #condition), abort()))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { N_WORKERS = 2, MEMORY_BYTES = 1 << 20, REGISTER_BYTES = 16 * 8, CHECKED_EVERY = 256 };
static const uint64_t TIME_NS = 1500000; /* of an input */

static engine_snapshot *snapshot;
static engine_machine *machine;
static unsigned n_inputs;

typedef struct talk {
    uint64_t begin_ns;
    engine_machine *machine;
    guest_answer told;
} talk;

static tars_status hear_token(void *user, int32_t id, const uint8_t *digest, tars_error *err) {
    (void)user;
    (void)digest;
    (void)err;
    REQUIRE(id >= 0 && id < HOSTILE_VOCABULARY);
    return TARS_OK;
}

static tars_status hear_text(void *user, const char *bytes, size_t length, tars_error *err) {
    (void)user;
    (void)err;
    REQUIRE(bytes && length > 0);
    return TARS_OK;
}

static void hear_progress(void *user, uint64_t done, uint64_t total) {
    (void)user;
    REQUIRE(done <= total);
}

/* Ends what does not end, without the time that guests are given after a refusal. */
static tars_status look_at_time(void *user, tars_error *err) {
    talk *t = user;
    (void)err;
    if (t->begin_ns > 0 && platform_clock_ns() - t->begin_ns > TIME_NS) {
        tars_error ended;
        error_set(&ended, TARS_TIMEOUT, "its time is over");
        engine_machine_fail(t->machine, &ended);
    }
    return TARS_OK;
}

static tars_status serve(unsigned what, uint64_t argument, bool is_limited, tars_error *err) {
    static talk t;
    engine_usage usage;
    const guest_answer_request request = hostile_request(what, argument);
    guest_answer_sink sink = {.user = &t,
                              .token = hear_token,
                              .text = hear_text,
                              .progress = hear_progress,
                              .check = look_at_time};
    t.begin_ns = is_limited ? platform_clock_ns() : 0;
    t.machine = machine;
    guest_answer_init(&t.told, &request, &sink);
    tars_status status = engine_machine_serve(machine, MEMORY_BYTES, &t.told.client, &usage, err);
    REQUIRE(status < TARS_STATUS_COUNT && (status == TARS_OK || err->message[0] != '\0'));
    REQUIRE(status == TARS_OK || machine->is_spoilt);
    return status;
}

static const engine_wish wish = {
    .n_workers = N_WORKERS, .computes = true, .memory_bytes = MEMORY_BYTES};

/* A real host would make a new one; this tries what a reset does. */
static void renew(tars_status status) {
    tars_error err;
    engine_usage usage;
    if (status != TARS_OK && status != TARS_MALFORMED && status != TARS_TIMEOUT) {
        engine_machine_destroy(machine);
        REQUIRE(engine_machine_create(snapshot, &wish, &machine, &err) == TARS_OK);
        return;
    }
    machine->is_spoilt = false;
    machine->status = TARS_OK;
    REQUIRE(engine_machine_reset(machine, &usage, &err) == TARS_OK);
}

static void check_machine(void) {
    const platform_snapshot *kept = &snapshot->data;
    for (size_t at = 0; at < kept->size_bytes; at += PAGE_BYTES) {
        if (memcmp(machine->data + at, (const uint8_t *)kept->bytes + at, PAGE_BYTES) != 0) {
            fprintf(stderr, "page %zu of the data is not as at first\n", at / PAGE_BYTES);
            abort();
        }
    }
    tars_error err = {.message = ""};
    tars_status status = serve(HOSTILE_WELL, 0, false, &err);
    if (status != TARS_OK) {
        fprintf(stderr, "a good request fails: %s: %s\n", err.message, err.cause);
        abort();
    }
    renew(TARS_OK);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    static uint8_t program[4 << 20];
    tars_error err = {.message = ""};
    FILE *file = fopen(FUZZ_BUILD_DIR "/tests/hostile-engine.elf", "rb");
    (void)argc;
    (void)argv;
    REQUIRE(file != NULL);
    size_t length = fread(program, 1, sizeof program, file);
    fclose(file);
    const engine_boot_program from = {program, length, 30000000000};
    tars_status status =
        engine_snapshot_create_from(&from, NULL, "", N_WORKERS, NULL, &snapshot, &err);
    if (status == TARS_OK) {
        status = engine_machine_create(snapshot, &wish, &machine, &err);
    }
    if (status != TARS_OK) {
        fprintf(stderr, "%s: %s\n", err.message, err.cause);
        REQUIRE(status == TARS_UNAVAILABLE);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t argument = 0;
    unsigned what = HOSTILE_RUN;
    if (size == 0 || !machine) {
        return 0;
    }
    uint8_t first = *data++;
    size--;
    if (first % 4 == 0) {
        memcpy(&argument, data, size < sizeof argument ? size : sizeof argument);
        what = first / 4 % HOSTILE_RUN;
    } else {
        const hostile_state *state =
            (const hostile_state *)(const void *)(machine->data +
                                                  (snapshot->ready.settings - ENGINE_DATA));
        size_t n = size < REGISTER_BYTES ? size : REGISTER_BYTES;
        memcpy(machine->data + (state->registers_at - ENGINE_DATA), data, n);
        size_t n_code = size - n < HOSTILE_CODE_BYTES ? size - n : HOSTILE_CODE_BYTES;
        memcpy(machine->data + (state->code_at - ENGINE_DATA), data + n, n_code);
        argument = first / 4 % 2;
    }
    tars_error err = {.message = ""};
    renew(serve(what, argument, true, &err));
    if (++n_inputs % CHECKED_EVERY == 0) {
        check_machine();
    }
    return 0;
}
