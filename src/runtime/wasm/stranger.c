#include "runtime/wasm/stranger.h"

#include "base/text.h"
#include "runtime/module/module_file.h"
#include "runtime/wasm/clock.h"
#include "runtime/wasm/stranger_internal.h"
#include "runtime/wasm/stranger_memory.h"

#include <stdlib.h>
#include <string.h>

enum {
    HOST_STACK_BYTES = 256 << 10, /* of the host's functions, above the guest's stack */
    MAX_TABLES = 16,
    MAX_NAME_BYTES = 80 /* of a guest's function, in messages */
};

/* What the store's data points to. */
typedef struct stranger_run_state {
    const stranger_module *module;
    const stranger_options *options;
    stranger_result *result;
    wasi_context *wasi; /* the result's */
    stranger_memory memory;
    wasmtime_store_t *store;
    wasmtime_context_t *context;
    wasmtime_instance_t instance;
    bool is_instantiated;
    uint64_t begin_ns, deadline_ns;
    wasi_end ended; /* WASI_TIME or WASI_STOPPED: by the clock */
    bool has_trapped;
    wasmtime_trap_code_t trap_code; /* of has_trap_code */
    bool has_trap_code;
    tars_status status;
    tars_error *err;
} stranger_run_state;

/* ---- what the guest meets while it runs -------------------------------------------------- */

static wasm_trap_t *end_guest(const wasm_library *w) {
    static const char text[] = "the host ended the guest";
    return w->wasmtime_trap_new(text, sizeof text - 1);
}

wasm_trap_t *stranger_call_host(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *values,
                                size_t n_values) {
    const wasi_function *f = env;
    const wasm_library *w;
    (void)wasm_library_get(&w, NULL); /* loaded: it runs */
    stranger_run_state *r = w->wasmtime_context_get_data(w->wasmtime_caller_context(caller));
    uint64_t arguments[WASI_MAX_ARGUMENTS] = {0};
    for (size_t i = 0; f->parameters[i]; i++) {
        arguments[i] = f->parameters[i] == 'I' ? (uint64_t)values[i].i64 : (uint32_t)values[i].i32;
    }
    wasi_memory memory = {r->memory.bytes, r->memory.bytes ? r->memory.size_bytes : 0};
    uint32_t result = wasi_call(r->wasi, f, memory, arguments);
    if (f->has_result && n_values > 0) {
        values[0].i32 = (int32_t)result;
    }
    return wasi_ended(r->wasi) != WASI_RUNS ? end_guest(w) : NULL;
}

/* Called at each tick of the clock while the guest computes. */
static wasmtime_error_t *look_after(const wasmtime_context_t *context, void *data,
                                    uint64_t *deadline_delta,
                                    wasmtime_update_deadline_kind_t *kind) {
    (void)context;
    stranger_run_state *r = data;
    const wasi_options *o = &r->options->wasi;
    if (r->deadline_ns > 0 && platform_clock_ns() >= r->deadline_ns) {
        r->ended = WASI_TIME;
    } else if (o->goes_on && !o->goes_on(o->user)) {
        r->ended = WASI_STOPPED;
    }
    if (r->ended != WASI_RUNS) {
        return r->module->w->wasmtime_error_new("the host ended the guest");
    }
    *deadline_delta = 1;
    *kind = WASMTIME_UPDATE_DEADLINE_CONTINUE;
    return NULL;
}

/* ---- traps ------------------------------------------------------------------------------- */

static const char *const trap_texts[] = {
    [WASMTIME_TRAP_CODE_STACK_OVERFLOW] = "its stack is used up",
    [WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS] = "it reached outside of its memory",
    [WASMTIME_TRAP_CODE_HEAP_MISALIGNED] = "an atomic access was not aligned",
    [WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS] = "it reached outside of a table",
    [WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL] = "it called an empty element of a table",
    [WASMTIME_TRAP_CODE_BAD_SIGNATURE] = "it called a function of another type",
    [WASMTIME_TRAP_CODE_INTEGER_OVERFLOW] = "an integer overflowed",
    [WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO] = "it divided by zero",
    [WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER] = "a number does not fit an integer",
    [WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED] = "it reached code marked unreachable",
    [WASMTIME_TRAP_CODE_INTERRUPT] = "it was interrupted",
    [WASMTIME_TRAP_CODE_OUT_OF_FUEL] = "its fuel is used up",
};
enum { N_TRAP_TEXTS = sizeof trap_texts / sizeof trap_texts[0] };

/* " in NAME (function 7, offset 0x1a2)" for the function that was running, if it is known. */
static void append_place(const wasm_library *w, const wasm_trap_t *trap, text_buffer *text) {
    wasm_frame_vec_t frames = {0, NULL};
    w->wasm_trap_trace(trap, &frames);
    if (frames.size > 0) {
        const wasm_frame_t *f = frames.data[0];
        const wasm_name_t *name = w->wasmtime_frame_func_name(f);
        bool is_named = name && name->size > 0;
        text_append_string(text, is_named ? " in " : " in a function");
        if (is_named) {
            size_t length = name->size < MAX_NAME_BYTES ? name->size : MAX_NAME_BYTES;
            module_text_write((module_text){name->data, (uint32_t)length}, text);
        }
        text_format(text, " (function %u, offset 0x%zx)", (unsigned)w->wasm_frame_func_index(f),
                    w->wasm_frame_module_offset(f));
    }
    w->wasm_frame_vec_delete(&frames);
}

/* Keeps what a trap or an error tells, and gives it back. */
static void take_failure(stranger_run_state *r, wasmtime_error_t *error, wasm_trap_t *trap) {
    const wasm_library *w = r->module->w;
    text_buffer text;
    text_init(&text, r->result->message, sizeof r->result->message);
    r->has_trapped = true;
    r->has_trap_code = trap && w->wasmtime_trap_code(trap, &r->trap_code);
    const char *known = r->has_trap_code && (unsigned)r->trap_code < N_TRAP_TEXTS
                            ? trap_texts[(unsigned)r->trap_code]
                            : NULL;
    if (known) {
        text_append_string(&text, known);
        append_place(w, trap, &text);
        w->wasm_trap_delete(trap);
        return;
    }
    tars_error told = {.status = TARS_OK};
    (void)wasm_library_fail(w, TARS_FAILED, "", error, trap, &told);
    text_append_string(&text, told.cause);
}

/* ---- running ----------------------------------------------------------------------------- */

static void make_store(stranger_run_state *r) {
    const stranger_module *m = r->module;
    const wasm_library *w = m->w;
    const stranger_limits *l = &r->options->limits;
    r->store = w->wasmtime_store_new(m->engine, r, NULL);
    r->context = w->wasmtime_store_context(r->store);
    /* memory is limited where its pages come from, which counts refusals */
    w->wasmtime_store_limiter(r->store, -1, l->table_elements, 1, MAX_TABLES, 1);
    w->wasmtime_store_epoch_deadline_callback(r->store, look_after, r, NULL);
    w->wasmtime_context_set_epoch_deadline(r->context, 1);
    if (m->code.fuel) {
        wasmtime_error_t *error = w->wasmtime_context_set_fuel(r->context, l->fuel);
        if (error) { /* only without the setting that the engine was made with */
            w->wasmtime_error_delete(error);
        }
    }
}

static void instantiate(stranger_run_state *r) {
    const wasm_library *w = r->module->w;
    wasm_trap_t *trap = NULL;
    make_store(r);
    stranger_memory_offer(&r->memory);
    wasmtime_error_t *error =
        w->wasmtime_instance_pre_instantiate(r->module->ready, r->context, &r->instance, &trap);
    stranger_memory_offer(NULL);
    r->is_instantiated = !error && !trap;
    if (!r->is_instantiated) {
        take_failure(r, error, trap);
    }
}

static void call_start(stranger_run_state *r) {
    const wasm_library *w = r->module->w;
    wasmtime_extern_t start;
    wasm_trap_t *trap = NULL;
    if (!w->wasmtime_instance_export_get(r->context, &r->instance, "_start", 6, &start) ||
        start.kind != WASMTIME_EXTERN_FUNC) {
        error_set(r->err, TARS_UNSUPPORTED, "the module exports no function _start");
        error_hint(r->err, "link it as a WASI command: a program with main");
        r->status = TARS_UNSUPPORTED;
        return;
    }
    wasmtime_error_t *error =
        w->wasmtime_func_call(r->context, &start.of.func, NULL, 0, NULL, 0, &trap);
    if (error && r->ended == WASI_RUNS &&
        wasi_ended(r->wasi) == WASI_RUNS) { /* it was not called */
        r->status =
            wasm_library_fail(w, TARS_UNSUPPORTED, "the module's _start takes or returns values",
                              error, NULL, r->err);
    } else if (error) {
        take_failure(r, error, NULL);
    } else if (trap) {
        take_failure(r, NULL, trap);
    }
}

/* On the thread that the guest runs on, whose processor time its clocks tell. */
static void run_instance(void *argument) {
    stranger_run_state *r = argument;
    const wasm_library *w = r->module->w;
    r->status = wasi_create(&r->result->wasi_options, &r->result->wasi, r->err);
    r->wasi = r->result->wasi;
    if (r->status != TARS_OK) {
        return;
    }
    uint64_t cpu_ns = platform_thread_cpu_ns();
    instantiate(r);
    r->result->usage.start_ns = platform_clock_ns() - r->begin_ns;
    if (r->is_instantiated) {
        call_start(r);
    }
    uint64_t left = 0;
    if (r->module->code.fuel && !w->wasmtime_context_get_fuel(r->context, &left)) {
        r->result->usage.fuel = r->options->limits.fuel - left;
        r->result->usage.has_fuel = true;
    }
    w->wasmtime_store_delete(r->store);
    r->result->usage.cpu_ns = platform_thread_cpu_ns() - cpu_ns;
    r->result->usage.memory_peak_bytes = r->memory.size_bytes;
}

/* ---- the end ----------------------------------------------------------------------------- */

/* The limit that ended it, or NULL. */
static const char *limit_of(const stranger_run_state *r) {
    static const char *const ends[] = {[WASI_OUTPUT] = "output",
                                       [WASI_FILE_SIZE] = "file_size",
                                       [WASI_TIME] = "time",
                                       [WASI_NO_MEMORY] = NULL};
    wasi_end end = wasi_ended(r->wasi);
    if (end != WASI_RUNS) {
        return ends[end];
    }
    if (r->ended == WASI_TIME) {
        return "time";
    }
    if (r->has_trap_code && r->trap_code == WASMTIME_TRAP_CODE_STACK_OVERFLOW) {
        return "stack";
    }
    if (r->has_trap_code && r->trap_code == WASMTIME_TRAP_CODE_OUT_OF_FUEL) {
        return "fuel";
    }
    if (r->has_trapped && !r->is_instantiated && r->memory.n_refused == 0 &&
        strstr(r->result->message, "table") && !r->has_trap_code) {
        return "table";
    }
    /* who is refused memory often gives up by abort, which is this trap */
    bool gave_up =
        r->has_trapped &&
        (!r->is_instantiated ||
         (r->has_trap_code && r->trap_code == WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED));
    return r->memory.n_refused > 0 && gave_up ? "memory" : NULL;
}

static void judge(stranger_run_state *r) {
    stranger_result *out = r->result;
    bool refused = out->violations.count > 0;
    out->limit = limit_of(r);
    bool exited = wasi_ended(r->wasi) == WASI_EXITED || !r->has_trapped;
    out->exit_code = exited ? (int)wasi_exit_code(r->wasi) : -1;
    if (!out->limit && exited && out->exit_code != 0 && r->memory.n_refused > 0) {
        out->limit = "memory"; /* it was told so and gave up */
    }
    if (out->limit) {
        out->status = STRANGER_LIMIT;
    } else if (out->exit_code != 0 && refused) {
        out->status = STRANGER_DENIED;
    } else {
        out->status = exited ? STRANGER_OK : STRANGER_TRAP;
    }
    if (r->memory.n_refused > 0) {
        runtime_violations_add(&out->violations, "limit", "memory", r->memory.n_refused);
    }
    if (out->limit && (strcmp(out->limit, "memory") != 0 || r->memory.n_refused == 0)) {
        runtime_violations_add(&out->violations, "limit", out->limit, 1);
    }
    bool told_by_limit = out->limit && !r->has_trap_code; /* then the host ended it */
    if (exited || told_by_limit) {
        out->message[0] = '\0';
    }
}

static tars_status finish(stranger_run_state *r) {
    stranger_result *out = r->result;
    out->usage.wall_ns = platform_clock_ns() - r->begin_ns;
    wasi_add_usage(r->wasi, &out->usage);
    out->violations = *wasi_violations(r->wasi);
    out->output = wasi_output(r->wasi);
    out->errors = wasi_errors(r->wasi);
    wasi_end end = wasi_ended(r->wasi);
    if (end == WASI_NO_MEMORY) {
        return error_set(r->err, TARS_OUT_OF_MEMORY, "no memory for what the program asked for");
    }
    if (end == WASI_STOPPED || r->ended == WASI_STOPPED) {
        return error_set(r->err, TARS_CANCELLED, "the program was ended: cancelled");
    }
    if (r->status == TARS_OK) {
        judge(r);
    }
    return r->status;
}

static tars_status check_limits(const stranger_options *o, const stranger_code *code,
                                tars_error *err) {
    if ((code->without & PROPOSAL_BULK_MEMORY) == 0 &&
        o->limits.memory_bytes > STRANGER_BULK_MEMORY_BYTES) {
        return error_set(err, TARS_USAGE,
                         "a memory of %llu bytes is too large for operations that fill at once",
                         (unsigned long long)o->limits.memory_bytes);
    }
    return TARS_OK;
}

tars_status stranger_run(const stranger_module *module, const stranger_options *options,
                         stranger_result *out, tars_error *err) {
    *out = (stranger_result){.exit_code = -1};
    tars_status status = check_limits(options, &module->code, err);
    if (status != TARS_OK) {
        return status;
    }
    const stranger_limits *l = &options->limits;
    stranger_run_state r = {.module = module,
                            .options = options,
                            .result = out,
                            .memory = {.limit_bytes = l->memory_bytes},
                            .begin_ns = platform_clock_ns(),
                            .err = err};
    r.deadline_ns = l->timeout_ns > 0 ? r.begin_ns + l->timeout_ns : 0;
    out->wasi_options = options->wasi;
    out->wasi_options.output_bytes = l->output_bytes;
    out->wasi_options.file_bytes = l->file_bytes;
    out->wasi_options.n_files = l->n_files;
    out->wasi_options.deadline_ns = r.deadline_ns;
    wasm_clock_begin();
    status = platform_call_with_stack((size_t)module->code.stack_bytes + HOST_STACK_BYTES,
                                      run_instance, &r, err);
    wasm_clock_end();
    status = status == TARS_OK && !r.wasi ? r.status : status;
    return status == TARS_OK ? finish(&r) : status;
}

void stranger_result_free(stranger_result *result) {
    if (result->wasi) {
        wasi_destroy(result->wasi);
        result->wasi = NULL;
        result->output = result->errors = (wasi_bytes){NULL, 0};
    }
}

const char *stranger_status_name(stranger_status status) {
    static const char *const names[STRANGER_STATUS_COUNT] = {"ok", "trap", "limit", "denied"};
    return names[status];
}
