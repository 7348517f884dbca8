/* The runtime wasm: the same bits as native, and what a guest cannot do to the model's pages. */
#include "runtime/guest_answers.h"
#include "runtime/wasm/run.h"

#ifdef TESTS_HAS_WASM

#include "api/model_api.h"
#include "base/text.h"
#include "runtime/guest_answer.h"
#include "runtime/guest_import.h"
#include "runtime/wasm/clock.h"
#include "runtime/wasm/engine.h"
#include "runtime/wasm/memory.h"

/* False, and the test is skipped, when guests cannot run here. */
static bool has_wasm(void) {
    tars_error err;
    if (wasm_probe(&err) != TARS_OK) {
        check_skip("%s", err.message);
        return false;
    }
    return true;
}

static void the_result_says_where_it_came_from(void) {
    if (!has_wasm()) {
        return;
    }
    tars_request r = plain(prompt);
    r.policy.isolation = "sandbox";
    tars_job *job;
    tars_error err;
    tars_result result = {.size_bytes = sizeof result};
    CHECK_INT(tars_submit(context, &r, NULL, &job, &err), TARS_OK);
    CHECK_INT(tars_job_wait(job, &result, &err), TARS_OK);
    CHECK_STRING(result.runtime, "wasm");
    CHECK_INT(result.n_threads, 1);
    CHECK(result.usage.memory_peak_bytes > 0);
    CHECK(result.usage.start_ms > 0);
    tars_job_destroy(job);
}

static void refusals(void) {
    if (!has_wasm()) {
        return;
    }
    static outcome o;
    tars_request r = plain(prompt);
    r.policy.runtime = "wasm";
    r.policy.isolation = "microvm";
    submit(&r, &o);
    CHECK_INT(o.status, TARS_UNAVAILABLE);
    r = plain(prompt);
    r.policy.runtime = "native";
    r.policy.isolation = "sandbox";
    submit(&r, &o);
    CHECK_INT(o.status, TARS_UNAVAILABLE);
    r = plain(prompt);
    r.policy.runtime = "wasm";
    r.policy.force_isa = "avx2";
    submit(&r, &o);
    CHECK_INT(o.status, TARS_UNAVAILABLE);
    r = plain(prompt);
    r.policy.runtime = "wasm";
    r.limits.memory_bytes = 1 << 20;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_OUT_OF_MEMORY);
    uint64_t estimate = 0; /* is enough, and a little less is not */
    r = plain(prompt);
    r.policy.runtime = "wasm";
    CHECK_INT(tars_estimate(context, &r, &estimate, &o.err), TARS_OK);
    r.limits.memory_bytes = estimate;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_OK);
    r.limits.memory_bytes = estimate - 1;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_OUT_OF_MEMORY);
    r = plain(prompt);
    r.policy.runtime = "wasm";
    r.keep_logits = true;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_UNSUPPORTED);
    r = plain(prompt);
    r.policy.runtime = "wasm";
    r.kind = TARS_REQUEST_PERPLEXITY;
    submit(&r, &o);
    CHECK_INT(o.status, TARS_UNAVAILABLE);
}

/* ---- hostile programs in the engine's own setting -------------------------------------- */

typedef wasmtime_error_t *(*text_to_module)(const char *text, size_t length, wasm_byte_vec_t *out);

/* After a request, which brings the engine its turn. */
static const wasm_engine_guest *engine_of(text_to_module *to_module) {
    const wasm_engine_guest *g = NULL;
    tars_error err;
    platform_library library;
    static outcome o;
    tars_request r = plain(prompt);
    r.policy.runtime = "wasm";
    r.limits.max_tokens = 1;
    submit(&r, &o);
    CHECK_INT(wasm_engine_get(NULL, NULL, &g, &err), TARS_OK);
    CHECK_INT(platform_library_open(TESTS_BUILD_DIR "/libtars-wasmtime.so", &library, &err),
              TARS_OK);
    void *symbol = platform_library_symbol(&library, "wasmtime_wat2wasm");
    memcpy(to_module, &symbol, sizeof symbol);
    return symbol ? g : NULL;
}

/* A module with a page of memory and f(address), whose body is given; NULL when it is refused. */
static wasmtime_module_t *compile(const wasm_engine_guest *g, text_to_module to_module,
                                  const char *body) {
    char text[1024];
    int n = snprintf(text, sizeof text,
                     "(module (memory (export \"memory\") 1)"
                     " (func $f (export \"f\") (param i32) (result i32) %s))",
                     body);
    wasm_byte_vec_t bytes;
    wasmtime_error_t *error = to_module(text, (size_t)n, &bytes);
    if (error) {
        g->wasmtime->wasmtime_error_delete(error);
        check_fail(__FILE__, __LINE__, "no module text: %s", body);
        return NULL;
    }
    wasmtime_module_t *module = NULL;
    error = g->wasmtime->wasmtime_module_new(g->engine, (const uint8_t *)bytes.data, bytes.size,
                                             &module);
    g->wasmtime->wasm_byte_vec_delete(&bytes);
    if (error) {
        g->wasmtime->wasmtime_error_delete(error);
    }
    return module;
}

enum { TRAPPED = -1000, REFUSED = -1001 };

/* f(address) in a fresh instance whose memory reaches over the tiny model: its result, TRAPPED
 * with *code, or REFUSED. */
static int32_t call_once(const wasm_engine_guest *g, text_to_module to_module, const char *body,
                         uint32_t address, wasmtime_trap_code_t *code) {
    const wasm_library *w = g->wasmtime;
    wasmtime_module_t *module = compile(g, to_module, body);
    if (!module) {
        return REFUSED;
    }
    guest_memory *memory;
    tars_error err;
    CHECK_INT(guest_memory_create(1 << 20, &tiny->mapping, &memory, &err), TARS_OK);
    wasmtime_linker_t *linker = w->wasmtime_linker_new(g->engine);
    wasmtime_instance_pre_t *ready = NULL;
    wasmtime_error_t *error = w->wasmtime_linker_instantiate_pre(linker, module, &ready);
    CHECK(error == NULL);
    wasmtime_store_t *store = w->wasmtime_store_new(g->engine, NULL, NULL);
    wasmtime_context_t *c = w->wasmtime_store_context(store);
    w->wasmtime_context_set_epoch_deadline(c, 10);
    wasmtime_instance_t instance;
    wasm_trap_t *trap = NULL;
    (void)guest_memory_offer(memory);
    error = w->wasmtime_instance_pre_instantiate(ready, c, &instance, &trap);
    CHECK(error == NULL && trap == NULL);
    wasmtime_extern_t linear;
    wasmtime_extern_t function;
    CHECK(w->wasmtime_instance_export_get(c, &instance, "memory", 6, &linear));
    CHECK(w->wasmtime_instance_export_get(c, &instance, "f", 1, &function));
    uint64_t before;
    uint64_t pages = memory->end / WASM_PAGE_BYTES - 1;
    CHECK(w->wasmtime_memory_grow(c, &linear.of.memory, pages, &before) == NULL);
    wasmtime_val_t in = {.kind = WASMTIME_I32, .of.i32 = (int32_t)address};
    wasmtime_val_t out = {.kind = WASMTIME_I32};
    wasm_clock_begin();
    error = w->wasmtime_func_call(c, &function.of.func, &in, 1, &out, 1, &trap);
    wasm_clock_end();
    CHECK(error == NULL);
    int32_t result = trap ? TRAPPED : out.of.i32;
    if (trap) {
        CHECK(w->wasmtime_trap_code(trap, code));
        w->wasm_trap_delete(trap);
    }
    w->wasmtime_store_delete(store);
    w->wasmtime_instance_pre_delete(ready);
    w->wasmtime_linker_delete(linker);
    w->wasmtime_module_delete(module);
    return result;
}

static void answers_equal_native(void) {
    if (has_wasm()) {
        check_answers_equal_native("wasm");
    }
}

static void sessions_are_served(void) {
    if (has_wasm()) {
        check_sessions("wasm");
    }
}

static void cancelling_and_deadlines_end_a_guest(void) {
    if (has_wasm()) {
        check_cancelling("wasm");
    }
}

static void guests_do_not_disturb_one_another(void) {
    if (has_wasm()) {
        check_disturbance("wasm");
    }
}

static void hostile_programs(void) {
    text_to_module to_module;
    if (!has_wasm()) {
        return;
    }
    set_up();
    const wasm_engine_guest *g = engine_of(&to_module);
    const uint32_t arena_end = 1 << 20;
    const uint32_t model_at = 2 << 20;
    const uint32_t memory_end =
        (uint32_t)((model_at + tiny->mapping.size_bytes + WASM_PAGE_BYTES - 1) / WASM_PAGE_BYTES *
                   WASM_PAGE_BYTES);
    const wasmtime_trap_code_t bounds = WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS;
    const struct {
        const char *body;
        uint32_t address;
        int32_t expected;
        wasmtime_trap_code_t code;
    } cases[] = {
        {"(i32.load8_u (local.get 0))", model_at, 'T', 0},
        {"(i32.store8 (local.get 0) (i32.const 1)) (i32.const 7)", arena_end - 1, 7, 0},
        {"(i32.store8 (local.get 0) (i32.const 1)) (i32.const 7)", model_at, TRAPPED, bounds},
        {"(i32.store (local.get 0) (i32.const 1)) (i32.const 7)", model_at + 4096, TRAPPED, bounds},
        {"(i64.store (local.get 0) (i64.const 1)) (i32.const 7)", arena_end - 4, TRAPPED, bounds},
        {"(f64.store (local.get 0) (f64.const 1)) (i32.const 7)", memory_end - 8, TRAPPED, bounds},
        {"(v128.store (local.get 0) (v128.const i64x2 1 1)) (i32.const 7)", model_at - 1, TRAPPED,
         bounds},
        {"(i32.load8_u (local.get 0))", arena_end, TRAPPED, bounds},
        {"(i32.load8_u (local.get 0))", memory_end, TRAPPED, bounds},
        {"(i32.load (local.get 0))", memory_end - 3, TRAPPED, bounds},
        {"(i32.load (local.get 0))", UINT32_MAX, TRAPPED, bounds},
        {"(i32.load offset=0xffffffff (local.get 0))", UINT32_MAX, TRAPPED, bounds},
        {"(i32.load offset=0xffffffff (local.get 0))", 1, TRAPPED, bounds},
        {"(memory.grow (i32.const 1))", 0, -1, 0},
        {"(memory.grow (i32.const 65535))", 0, -1, 0},
        {"(loop (br 0)) (i32.const 7)", 0, TRAPPED, WASMTIME_TRAP_CODE_INTERRUPT},
        {"(call $f (local.get 0))", 0, TRAPPED, WASMTIME_TRAP_CODE_STACK_OVERFLOW},
        {"unreachable", 0, TRAPPED, WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED},
        {"(memory.fill (local.get 0) (i32.const 0) (i32.const 9)) (i32.const 7)", model_at, REFUSED,
         0},
        {"(memory.copy (local.get 0) (i32.const 0) (i32.const 9)) (i32.const 7)", model_at, REFUSED,
         0},
        {"(drop (ref.null func)) (i32.const 7)", 0, REFUSED, 0},
        {"(return_call $f (local.get 0))", 0, REFUSED, 0},
        {"(i32.atomic.rmw.add (local.get 0) (i32.const 1))", 0, REFUSED, 0},
    };
    uint8_t before[SHA256_DIGEST_BYTES];
    uint8_t after[SHA256_DIGEST_BYTES];
    sha256(tiny->mapping.bytes, tiny->mapping.size_bytes, before);
    for (size_t i = 0; g && i < sizeof cases / sizeof cases[0]; i++) {
        wasmtime_trap_code_t code = 0;
        int32_t found = call_once(g, to_module, cases[i].body, cases[i].address, &code);
        if (found != cases[i].expected || code != cases[i].code) {
            check_fail(__FILE__, __LINE__, "%s at %u: %d (trap code %d), expected %d (%d)",
                       cases[i].body, (unsigned)cases[i].address, (int)found, (int)code,
                       (int)cases[i].expected, (int)cases[i].code);
        }
    }
    sha256(tiny->mapping.bytes, tiny->mapping.size_bytes, after);
    CHECK_BYTES(after, before, sizeof before);
}

/* ---- hostile programs in the place of the guest ---------------------------------------- */

static tars_status no_token(void *user, int32_t id, const uint8_t *digest, tars_error *err) {
    (void)user;
    (void)id;
    (void)digest;
    return error_set(err, TARS_FAILED, "no token was expected");
}

static tars_status no_text(void *user, const char *bytes, size_t length, tars_error *err) {
    (void)user;
    (void)bytes;
    (void)length;
    return error_set(err, TARS_FAILED, "no text was expected");
}

static void no_progress(void *user, uint64_t done, uint64_t total) {
    (void)user;
    (void)done;
    (void)total;
}

/* The user has had enough after some looks at the clock. */
static tars_status enough(void *user, tars_error *err) {
    unsigned *n = user;
    return ++*n > 3 ? error_set(err, TARS_CANCELLED, "enough") : TARS_OK;
}

/* Where the rings lie when the wire is at 0: see wire.h. */
#define READ_OF_TO_GUEST "64"
#define WRITTEN_OF_TO_HOST "262272"
#define BYTES_OF_TO_HOST "262400"

static tars_status run_program(const wasm_engine_guest *like, text_to_module to_module,
                               const char *data, const char *body, const platform_mapping *weights,
                               guest_client *client) {
    static char text[16384];
    int n = snprintf(text, sizeof text,
                     "(module (import \"tars\" \"turn\" (func $turn (result i32)))"
                     " (memory (export \"memory\") 12) %s"
                     " (func (export \"tars_wire\") (result i32) (i32.const 0))"
                     " (func (export \"tars_serve\") (param i32) (result i32) %s))",
                     data, body);
    wasm_byte_vec_t bytes;
    CHECK(to_module(text, (size_t)n, &bytes) == NULL);
    wasm_engine_guest program;
    tars_error err = {.status = TARS_OK};
    CHECK_INT(wasm_engine_program(like, (const uint8_t *)bytes.data, bytes.size, &program, &err),
              TARS_OK);
    tars_status status = wasm_run_program(&program, weights, 1 << 20, client, &err);
    like->wasmtime->wasm_byte_vec_delete(&bytes);
    like->wasmtime->wasmtime_instance_pre_delete(program.ready);
    like->wasmtime->wasmtime_module_delete(program.module);
    return status;
}

static tars_status run_guest(const wasm_engine_guest *like, text_to_module to_module,
                             const char *data, const char *body) {
    static const int32_t ids[] = {1, 2, 3};
    unsigned n_looks = 0;
    guest_answer_request request = {.n_vocab = 10, .prompt = ids};
    request.wire = (wire_request){.max_tokens = 4, .n_prompt = 3};
    guest_answer_sink sink = {.user = &n_looks,
                              .token = no_token,
                              .text = no_text,
                              .progress = no_progress,
                              .check = enough};
    static guest_answer told;
    guest_answer_init(&told, &request, &sink);
    return run_program(like, to_module, data, body, &tiny->mapping, &told.client);
}

/* None of these ends by itself, and no request has a deadline. */
static void guests_that_do_not_end_are_killed(void) {
    text_to_module to_module;
    if (!has_wasm()) {
        return;
    }
    set_up();
    CHECK_INT(offsetof(wire_area, to_guest.read), 64);
    CHECK_INT(offsetof(wire_area, to_host.written), 262272);
    CHECK_INT(offsetof(wire_area, to_host.bytes), 262400);
    CHECK_INT(sizeof(wire_error), 1004);
    const wasm_engine_guest *g = engine_of(&to_module);
    /* 1012 bytes: an ERROR frame with the status out_of_memory */
    static const char error_data[] =
        "(data (i32.const " WRITTEN_OF_TO_HOST ") \"\\f4\\03\")"
        "(data (i32.const " BYTES_OF_TO_HOST ") \"\\ec\\03\\00\\00\\0a\\00\\00\\00\\0b\")";
    const struct {
        const char *data, *body;
        tars_status expected;
    } cases[] = {
        {"", "(loop (br 0)) (i32.const 0)", TARS_CANCELLED},
        {"", "(loop (drop (call $turn)) (br 0)) (i32.const 0)", TARS_CANCELLED},
        {"",
         "(loop (i32.store (i32.const " READ_OF_TO_GUEST ") (i32.const 12345678))"
         " (drop (call $turn)) (br 0)) (i32.const 0)",
         TARS_MALFORMED},
        {error_data, "(drop (call $turn)) (loop (br 0)) (i32.const 0)", TARS_OUT_OF_MEMORY},
        {error_data, "(loop (drop (call $turn)) (br 0)) (i32.const 0)", TARS_OUT_OF_MEMORY},
        {"", "(i32.const 0)", TARS_FAILED}, /* ends without a result */
        {"", "unreachable", TARS_FAILED},
        {"(data (i32.const " WRITTEN_OF_TO_HOST ") \"\\ff\\ff\\ff\\ff\")", "(call $turn)",
         TARS_MALFORMED},
    };
    for (size_t i = 0; g && i < sizeof cases / sizeof cases[0]; i++) {
        tars_status found = run_guest(g, to_module, cases[i].data, cases[i].body);
        if (found != cases[i].expected) {
            check_fail(__FILE__, __LINE__, "case %zu: status %d, expected %d", i, (int)found,
                       (int)cases[i].expected);
        }
    }
}

/* ---- in the place of the guest that imports -------------------------------------------- */

static tars_status keep_packed(void *user, const void *bytes, size_t length, tars_error *err) {
    (void)err;
    text_buffer *packed = user;
    text_append(packed, bytes, length);
    return TARS_OK;
}

static tars_status read_letters(void *user, uint64_t offset, void *buffer, size_t length,
                                tars_error *err) {
    (void)err;
    CHECK(offset <= 1000 && length <= 1000 - offset);
    *(unsigned *)user += 1;
    memset(buffer, 'x', length);
    return TARS_OK;
}

/* Frames as bytes of a ring, in the text form of a module. */
typedef struct frames {
    uint8_t bytes[2048];
    size_t length;
} frames;

static void add_frame(frames *f, wire_kind kind, const void *payload, size_t size_bytes) {
    wire_frame head = {.size_bytes = (uint32_t)size_bytes, .kind = (uint16_t)kind};
    memcpy(f->bytes + f->length, &head, sizeof head);
    memcpy(f->bytes + f->length + sizeof head, payload, size_bytes);
    f->length += sizeof head + size_bytes;
}

static const char *data_of(const frames *f) {
    static char text[8192];
    text_buffer t;
    text_init(&t, text, sizeof text);
    uint32_t written = (uint32_t)f->length;
    text_format(&t,
                "(data (i32.const " WRITTEN_OF_TO_HOST ") \"\\%02x\\%02x\")"
                "(data (i32.const " BYTES_OF_TO_HOST ") \"",
                (unsigned)(written & 255), (unsigned)(written >> 8));
    for (size_t i = 0; i < f->length; i++) {
        text_format(&t, "\\%02x", (unsigned)f->bytes[i]);
    }
    text_append_string(&t, "\")");
    return text;
}

static void lying_importers_are_ended(void) {
    text_to_module to_module;
    if (!has_wasm()) {
        return;
    }
    set_up();
    const wasm_engine_guest *g = engine_of(&to_module);
    const wire_hello hello = {.magic = WIRE_MAGIC,
                              .version = WIRE_VERSION,
                              .arithmetic_version = ARITHMETIC_VERSION,
                              .isa = "wasm"};
    const wire_read within = {.offset = 900, .length = 100};
    const wire_read beyond = {.offset = 900, .length = 101};
    const wire_result good = {.n_bytes = 3};
    const wire_result forged = {.n_bytes = 3, .source_sha256 = {1}};
    static const char turns[] = "(loop (drop (call $turn)) (br 0)) (i32.const 0)";
    static const char loops[] = "(drop (call $turn)) (loop (br 0)) (i32.const 0)";
    const struct {
        wire_kind kind;
        const void *payload;
        size_t size_bytes;
        const char *body;
        tars_status expected;
        unsigned n_reads;
    } cases[] = {
        {WIRE_READ, &beyond, sizeof beyond, turns, TARS_MALFORMED, 0},
        {WIRE_READ, &within, sizeof within, turns, TARS_CANCELLED, 1}, /* and then nothing */
        {WIRE_READ, &within, sizeof within, loops, TARS_CANCELLED, 1},
        {WIRE_RESULT, &forged, sizeof forged, turns, TARS_MALFORMED, 0},
        {WIRE_RESULT, &good, sizeof good, loops, TARS_OK, 0},
    };
    for (size_t i = 0; g && i < sizeof cases / sizeof cases[0]; i++) {
        static guest_import im;
        char packed[64];
        text_buffer kept;
        text_init(&kept, packed, sizeof packed);
        frames f = {.length = 0};
        unsigned n_looks = 0;
        unsigned n_reads = 0;
        byte_source source = {&n_reads, 1000, read_letters};
        guest_import_request request = {.form = WIRE_GGUF, .sources = {&source}};
        guest_import_sink sink = {{&kept, keep_packed}, &n_looks, no_progress, enough};
        guest_import_init(&im, &request, &sink);
        add_frame(&f, WIRE_HELLO, &hello, sizeof hello);
        add_frame(&f, WIRE_BYTES, "abc", 3);
        add_frame(&f, cases[i].kind, cases[i].payload, cases[i].size_bytes);
        tars_status found = run_program(g, to_module, data_of(&f), cases[i].body, NULL, &im.client);
        CHECK_INT(n_reads, cases[i].n_reads);
        CHECK_STRING(packed, "abc");
        if (found != cases[i].expected) {
            check_fail(__FILE__, __LINE__, "case %zu: status %d, expected %d", i, (int)found,
                       (int)cases[i].expected);
        }
        if (found == TARS_OK) { /* what came is checked as any packed file is */
            pack_view view;
            tars_error err;
            CHECK_INT(pack_open(packed, im.n_packed, &view, &err), TARS_CORRUPT);
        }
    }
}

/* What a guest wrote is not there for the next one. */
static void memory_begins_at_zero(void) {
    text_to_module to_module;
    if (!has_wasm()) {
        return;
    }
    const wasm_engine_guest *g = engine_of(&to_module);
    static const char body[] = "(i32.load8_u (local.get 0))"
                               " (i32.store8 (local.get 0) (i32.const 99))";
    for (uint32_t i = 0; g && i < 50; i++) {
        wasmtime_trap_code_t code;
        CHECK_INT(call_once(g, to_module, body, 4096 * (i % 4), &code), 0);
    }
}

static void a_cut_file_fails_the_request(void) {
    if (!has_wasm()) {
        return;
    }
    tars_request r = plain(prompt);
    r.policy.runtime = "wasm";
    check_cut_file(&r);
}

static const check_test tests[] = {
    {"a cut file fails the request", a_cut_file_fails_the_request},
    {"answers equal native", answers_equal_native},
    {"sessions are served", sessions_are_served},
    {"the result says where it came from", the_result_says_where_it_came_from},
    {"refusals", refusals},
    {"cancelling and deadlines end a guest", cancelling_and_deadlines_end_a_guest},
    {"guests do not disturb one another", guests_do_not_disturb_one_another},
    {"hostile programs", hostile_programs},
    {"guests that do not end are killed", guests_that_do_not_end_are_killed},
    {"lying importers are ended", lying_importers_are_ended},
    {"memory begins at zero", memory_begins_at_zero},
    {"tear down", tear_down},
};

#else

static void says_why_it_is_absent(void) {
    tars_error err;
    CHECK_INT(wasm_probe(&err), TARS_UNAVAILABLE);
    static outcome o;
    tars_request r = plain("");
    r.policy.runtime = "wasm";
    submit(&r, &o);
    CHECK_INT(o.status, TARS_UNAVAILABLE);
    check_skip("%s", err.message);
}

static const check_test tests[] = {
    {"says why it is absent", says_why_it_is_absent},
    {"tear down", tear_down},
};

#endif
CHECK_MAIN(tests)
