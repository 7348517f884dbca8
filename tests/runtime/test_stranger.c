/* Strangers' modules: each limit met exactly, and by how much it was overrun; nothing left of one
 * request for the next; requests that are cancelled. */
#include "runtime/registry.h"
#include "support/check.h"

#ifdef TESTS_HAS_WASM

#include "runtime/wasm/library.h"
#include "runtime/wasm/stranger.h"

#include <stdio.h>
#include <string.h>

typedef wasmtime_error_t *(*text_to_module)(const char *text, size_t length, wasm_byte_vec_t *out);

static const char imports[] =
    "(import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result "
    "i32)))"
    "(import \"wasi_snapshot_preview1\" \"fd_read\" (func $read (param i32 i32 i32 i32) (result "
    "i32)))"
    "(import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))";

static bool has_wasm(void) {
    tars_error err;
    if (runtime_find("wasm")->probe(&err) != TARS_OK) {
        check_skip("%s", err.message);
        return false;
    }
    return true;
}

static void free_bytes(wasm_byte_vec_t *bytes) {
    const wasm_library *w;
    if (wasm_library_get(&w, NULL) == TARS_OK) {
        w->wasm_byte_vec_delete(bytes);
    }
}

static text_to_module converter(void) {
    static text_to_module found;
    platform_library library;
    tars_error err;
    if (!found &&
        platform_library_open(TESTS_BUILD_DIR "/libtars-wasmtime.so", &library, &err) == TARS_OK) {
        void *symbol = platform_library_symbol(&library, "wasmtime_wat2wasm");
        memcpy(&found, &symbol, sizeof found);
    }
    return found;
}

/* (module IMPORTS FIELDS), opened; NULL after a failure that was told. */
static stranger_module *open_module(const char *fields, const stranger_code *code) {
    char text[4096];
    wasm_byte_vec_t bytes;
    stranger_module *m = NULL;
    tars_error err = {.message = ""};
    int n = snprintf(text, sizeof text, "(module %s %s)", imports, fields);
    if (!converter() || converter()(text, (size_t)n, &bytes) != NULL) {
        check_fail(__FILE__, __LINE__, "no module text: %s", fields);
        return NULL;
    }
    if (stranger_open((const uint8_t *)bytes.data, bytes.size, code, NULL, &m, &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s: %s", err.message, err.cause);
    }
    free_bytes(&bytes);
    return m;
}

static const char *const nothing[] = {"program", NULL};
static const stranger_code plain = {.stack_bytes = 1 << 20};
static const stranger_code counted = {.fuel = true, .stack_bytes = 1 << 20};
static const stranger_limits wide = {.memory_bytes = 32 << 20,
                                     .table_elements = 1000,
                                     .timeout_ns = UINT64_C(20000000000),
                                     .output_bytes = 1 << 20,
                                     .file_bytes = 1 << 20,
                                     .n_files = 8};

static stranger_options options_of(const stranger_limits *limits) {
    return (stranger_options){.limits = *limits,
                              .wasi = {.arguments = nothing,
                                       .environment = nothing + 1,
                                       .input = PLATFORM_NO_HANDLE,
                                       .allowed = wasi_calls_standard()}};
}

/* The result of fields under limits; to be given back. */
static stranger_result run(const char *fields, const stranger_code *code,
                           const stranger_limits *limits) {
    stranger_result result = {.exit_code = -77};
    stranger_options options = options_of(limits);
    tars_error err = {.message = ""};
    stranger_module *m = open_module(fields, code);
    if (m && stranger_run(m, &options, &result, &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s: %s", err.message, err.cause);
    }
    stranger_close(m);
    return result;
}

static const char *limit_of(const stranger_result *r) {
    return r->limit ? r->limit : "none";
}

/* ---- limits ------------------------------------------------------------------------------ */

#define MEMORY "(memory (export \"memory\") 1)"
#define START "(func (export \"_start\")"

static void memory_is_exact(void) {
    if (!has_wasm()) {
        return;
    }
    /* grows as far as it goes and ends with the pages that it has */
    static const char grow[] =
        MEMORY START "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))"
                     "(call $exit (memory.size)))";
    static const uint32_t pages[] = {1, 2, 7, 512};
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        for (uint64_t extra = 0; extra < 65536; extra += 65535) { /* parts of pages count not */
            stranger_limits limits = wide;
            limits.memory_bytes = (uint64_t)pages[i] * 65536 + extra;
            stranger_result r = run(grow, &plain, &limits);
            CHECK_INT(r.exit_code, pages[i]);
            CHECK_INT(r.usage.memory_peak_bytes, pages[i] * 65536);
            CHECK_STRING(limit_of(&r), "memory");
            stranger_result_free(&r);
        }
    }
    printf("    memory: 0 bytes over\n");
    stranger_limits none = wide;
    none.memory_bytes = 65535;
    stranger_result r = run(grow, &plain, &none);
    CHECK_INT(r.status, STRANGER_LIMIT);
    CHECK_STRING(limit_of(&r), "memory");
    CHECK_INT(r.usage.memory_peak_bytes, 0);
    stranger_result_free(&r);
}

static void tables_are_exact(void) {
    if (!has_wasm()) {
        return;
    }
    static const char grow[] =
        MEMORY "(table $t 1 funcref)" START
               "(loop $l (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 1)) "
               "(i32.const -1))))"
               "(call $exit (table.size $t)))";
    static const uint32_t elements[] = {1, 10, 1000, 4096};
    for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++) {
        stranger_limits limits = wide;
        limits.table_elements = elements[i];
        stranger_result r = run(grow, &plain, &limits);
        CHECK_INT(r.exit_code, elements[i]);
        stranger_result_free(&r);
    }
    printf("    table: 0 elements over\n");
}

static void fuel_is_bounded(void) {
    if (!has_wasm()) {
        return;
    }
    static const char endless[] = MEMORY START "(loop $l (br $l)))";
    static const uint64_t fuels[] = {1, 10, 1000, 1000000, 10000000};
    for (size_t i = 0; i < sizeof fuels / sizeof fuels[0]; i++) {
        stranger_limits limits = wide;
        limits.fuel = fuels[i];
        stranger_result r = run(endless, &counted, &limits);
        CHECK_INT(r.status, STRANGER_LIMIT);
        CHECK_STRING(limit_of(&r), "fuel");
        CHECK(r.usage.has_fuel && r.usage.fuel <= fuels[i]);
        stranger_result_free(&r);
    }
    printf("    fuel: 0 over for loops\n");
    /* checked at entries and loop heads: what lies between is done in any case */
    static char straight[3000] = MEMORY START;
    for (int i = 0; i < 80; i++) {
        strcat(straight, "(drop (i32.add (i32.const 1) (i32.const 2)))");
        if (strlen(straight) > sizeof straight - 100) {
            break;
        }
    }
    strcat(straight, ")");
    stranger_limits enough = wide;
    enough.fuel = 1000;
    stranger_result r = run(straight, &counted, &enough);
    CHECK_INT(r.status, STRANGER_OK);
    uint64_t taken = r.usage.fuel;
    stranger_result_free(&r);
    CHECK(taken > 100);
    enough.fuel = 2;
    r = run(straight, &counted, &enough);
    printf("    fuel: %llu over for a block of %llu instructions\n",
           (unsigned long long)(r.status == STRANGER_OK ? taken - 2 : 0),
           (unsigned long long)taken);
    stranger_result_free(&r);
    r = run(straight, &plain, &wide);
    CHECK(!r.usage.has_fuel);
    stranger_result_free(&r);
}

/* How long after its time a guest ended. The bound here is wide, since machines are busy; what is
 * promised is 10 ms and one bulk operation, and the figure is printed. */
static void time_is_kept(void) {
    if (!has_wasm()) {
        return;
    }
    static const struct {
        const char *name, *fields;
    } rows[] = {
        {"a loop", MEMORY START "(loop $l (br $l)))"},
        {"a loop in start", MEMORY "(func $s (loop $l (br $l))) (start $s)" START ")"},
        {"calls", MEMORY "(func $f (param i32) (if (local.get 0) (then"
                         " (call $f (i32.sub (local.get 0) (i32.const 1)))"
                         " (call $f (i32.sub (local.get 0) (i32.const 1))))))" START
                         "(call $f (i32.const 60)))"},
        {"filling 32 MiB at once",
         "(memory (export \"memory\") 512)" START
         "(loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 33554432)) (br $l)))"},
        {"writing nothing", MEMORY START
         "(loop $l (drop (call $write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 8)))"
         " (br $l)))"},
    };
    enum { LIMIT_MS = 50 };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        stranger_limits limits = wide;
        limits.timeout_ns = (uint64_t)LIMIT_MS * 1000000;
        stranger_result r = run(rows[i].fields, &plain, &limits);
        CHECK_INT(r.status, STRANGER_LIMIT);
        CHECK_STRING(limit_of(&r), "time");
        double over_ms = (double)r.usage.wall_ns / 1e6 - (double)LIMIT_MS;
        CHECK(over_ms >= 0 && over_ms < 2000);
        printf("    time: %.1f ms over for %s\n", over_ms, rows[i].name);
        stranger_result_free(&r);
    }
}

static void stacks_are_bounded(void) {
    if (!has_wasm()) {
        return;
    }
    /* the global counts how deep it came; standard output tells */
    static const char deep[] = MEMORY
        "(func $f (i32.store (i32.const 32) (i32.add (i32.load (i32.const 32)) (i32.const "
        "1)))"
        " (call $say) (call $f) (call $say))"
        "(func $say (if (i32.eqz (i32.rem_u (i32.load (i32.const 32)) (i32.const 256)))"
        " (then (i32.store (i32.const 16) (i32.const 32))"
        " (i32.store (i32.const 20) (i32.const 1))"
        " (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 8))))))" START
        "(call $f))";
    size_t before = 0;
    for (uint64_t stack = 64 << 10; stack <= 16 << 20; stack *= 2) {
        stranger_code code = plain;
        code.stack_bytes = stack + stack / 3; /* rounded down */
        stranger_result r = run(deep, &code, &wide);
        CHECK_INT(r.status, STRANGER_LIMIT);
        CHECK_STRING(limit_of(&r), "stack");
        CHECK(before == 0 || (r.output.length > before && r.output.length < 3 * before));
        before = r.output.length;
        stranger_result_free(&r);
    }
}

static void output_is_exact(void) {
    if (!has_wasm()) {
        return;
    }
    static const char flood[] =
        MEMORY "(data (i32.const 16) \"\\40\\00\\00\\00\\64\\00\\00\\00\")" START
               "(loop $l (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const "
               "8))) (drop (call $write (i32.const 2) (i32.const 16) (i32.const 1) (i32.const 8)))"
               " (br $l)))";
    static const uint64_t sizes[] = {1, 99, 100, 101, 12345};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        stranger_limits limits = wide;
        limits.output_bytes = sizes[i];
        stranger_result r = run(flood, &plain, &limits);
        CHECK_INT(r.status, STRANGER_LIMIT);
        CHECK_STRING(limit_of(&r), "output");
        CHECK_INT(r.output.length + r.errors.length, sizes[i]);
        stranger_result_free(&r);
    }
    printf("    output: 0 bytes over\n");
}

static void one_memory_and_few_tables(void) {
    if (!has_wasm()) {
        return;
    }
    static char tables[1200] = MEMORY START ")";
    for (int i = 0; i < 17; i++) {
        strcat(tables, "(table 1 funcref)");
    }
    stranger_result r = run(tables, &plain, &wide);
    CHECK_INT(r.status, STRANGER_LIMIT);
    CHECK_STRING(limit_of(&r), "table");
    stranger_result_free(&r);
}

/* ---- requests ---------------------------------------------------------------------------- */

/* A program that fails when it finds anything in its memory, table or global, and then leaves
 * something in each. */
static const char canary[] =
    "(memory (export \"memory\") 4) (table $t 4 funcref) (elem declare func $f)"
    "(global $g (mut i32) (i32.const 0)) (func $f)" START "(local $i i32)"
    "(if (global.get $g) (then (unreachable)))"
    "(if (i32.eqz (ref.is_null (table.get $t (i32.const 2)))) (then (unreachable)))"
    "(loop $l (if (i32.load (local.get $i)) (then (unreachable)))"
    " (i32.store (local.get $i) (i32.const 0x5ec2e7))"
    " (local.set $i (i32.add (local.get $i) (i32.const 4)))"
    " (br_if $l (i32.lt_u (local.get $i) (i32.const 262144))))"
    "(table.set $t (i32.const 2) (ref.func $f)) (global.set $g (i32.const 1)))";

static void nothing_is_left_for_the_next(void) {
    if (!has_wasm()) {
        return;
    }
    stranger_module *m = open_module(canary, &plain);
    stranger_options options = options_of(&wide);
    for (int i = 0; m && i < 50; i++) {
        stranger_result r;
        tars_error err;
        CHECK_INT(stranger_run(m, &options, &r, &err), TARS_OK);
        CHECK_INT(r.status, STRANGER_OK);
        stranger_result_free(&r);
    }
    stranger_close(m);
}

typedef struct crowd {
    const stranger_module *module;
    atomic_uint n_failed;
} crowd;

static void run_often(void *argument) {
    crowd *c = argument;
    stranger_options options = options_of(&wide);
    for (int i = 0; i < 100; i++) {
        stranger_result r = {.exit_code = 0};
        bool well = stranger_run(c->module, &options, &r, NULL) == TARS_OK;
        if (!well || r.status != STRANGER_OK || r.exit_code != 0) {
            atomic_fetch_add(&c->n_failed, 1);
        }
        stranger_result_free(&r);
    }
}

static void threads_share_a_module(void) {
    if (!has_wasm()) {
        return;
    }
    crowd c = {.module = open_module(canary, &plain)};
    platform_thread threads[4];
    for (int i = 0; c.module && i < 4; i++) {
        tars_error err;
        CHECK_INT(platform_thread_create("crowd", run_often, &c, &threads[i], &err), TARS_OK);
    }
    for (int i = 0; c.module && i < 4; i++) {
        platform_thread_join(&threads[i]);
    }
    CHECK_INT(atomic_load(&c.n_failed), 0);
    stranger_close((stranger_module *)(uintptr_t)c.module);
}

static void cancel_soon(void *argument) {
    platform_sleep_ns(30000000);
    runtime_cancel(argument);
}

/* Through the interface: a computing guest, and one that waits for input that never comes. */
static void cancelled_guests_end(void) {
    if (!has_wasm()) {
        return;
    }
    static const char *const bodies[] = {
        "(loop $l (br $l))",
        "(drop (call $read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 8)))"};
    for (size_t i = 0; i < 2; i++) {
        char text[1024];
        wasm_byte_vec_t bytes;
        int n = snprintf(text, sizeof text,
                         "(module %s " MEMORY
                         "(data (i32.const 16) \"\\40\\00\\00\\00\\08\\00\\00\\00\")" START "%s))",
                         imports, bodies[i]);
        if (!converter() || converter()(text, (size_t)n, &bytes) != NULL) {
            check_fail(__FILE__, __LINE__, "no module text");
            return;
        }
        runtime_source source = {.kind = RUNTIME_PROGRAM,
                                 .path = "guest",
                                 .bytes = (const uint8_t *)bytes.data,
                                 .length = bytes.size};
        platform_handle input;
        platform_handle hold;
        runtime_image *image = NULL;
        runtime_instance *instance = NULL;
        runtime_outcome out;
        platform_thread thread;
        tars_error err = {.message = ""};
        CHECK_INT(platform_pipe(&input, &hold, &err), TARS_OK);
        runtime_request request = {
            .arguments = nothing, .environment = nothing + 1, .input = input};
        CHECK_INT(runtime_open(runtime_find("wasm"), &source, &image, &err), TARS_OK);
        free_bytes(&bytes);
        CHECK_INT(runtime_spawn(image, NULL, runtime_profile_find("strict"), &instance, &err),
                  TARS_OK);
        CHECK_INT(runtime_submit(instance, &request, NULL, NULL, &err), TARS_OK);
        CHECK_INT(platform_thread_create("cancel", cancel_soon, instance, &thread, &err), TARS_OK);
        uint64_t begin_ns = platform_clock_ns();
        CHECK_INT(runtime_poll(instance, &out, &err), TARS_CANCELLED);
        double after_ms = (double)(platform_clock_ns() - begin_ns) / 1e6 - 30;
        printf("    cancelled: ended %.1f ms later\n", after_ms);
        CHECK(after_ms < 2000);
        platform_thread_join(&thread);
        runtime_outcome_free(&out);
        CHECK_INT(runtime_kill(instance, &err), TARS_OK);
        runtime_close(image);
        platform_handle_close(input);
        platform_handle_close(hold);
    }
}

static void calls_are_counted(void) {
    if (!has_wasm()) {
        return;
    }
    static const char three[] =
        MEMORY "(data (i32.const 16) \"\\40\\00\\00\\00\\02\\00\\00\\00\")" START
               "(drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 8)))"
               "(drop (call $write (i32.const 2) (i32.const 16) (i32.const 1) (i32.const 8)))"
               "(drop (call $read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 8)))"
               "(call $exit (i32.const 0)))";
    stranger_result r = run(three, &plain, &wide);
    CHECK_INT(r.status, STRANGER_OK);
    CHECK_INT(r.usage.n_calls, 3);
    CHECK_INT(r.usage.bytes_out, 4);
    CHECK_INT(r.usage.bytes_in, 0);
    CHECK_INT(r.violations.count, 0);
    CHECK(r.usage.wall_ns > 0 && r.usage.start_ns > 0 && r.usage.start_ns <= r.usage.wall_ns);
    stranger_result_free(&r);
}

static const check_test table[] = {
    {"memory is exact", memory_is_exact},
    {"tables are exact", tables_are_exact},
    {"fuel is bounded", fuel_is_bounded},
    {"time is kept", time_is_kept},
    {"stacks are bounded", stacks_are_bounded},
    {"output is exact", output_is_exact},
    {"one memory and few tables", one_memory_and_few_tables},
    {"nothing is left for the next", nothing_is_left_for_the_next},
    {"threads share a module", threads_share_a_module},
    {"cancelled guests end", cancelled_guests_end},
    {"calls are counted", calls_are_counted},
};

#else

static void is_not_here(void) {
    check_skip("this build has no runtime wasm");
}
static const check_test table[] = {{"is not here", is_not_here}};

#endif

CHECK_MAIN(table)
