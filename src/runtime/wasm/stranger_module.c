#include "runtime/module/module_file.h"
#include "runtime/wasm/compile_process.h"
#include "runtime/wasm/compiled.h"
#include "runtime/wasm/stranger_engine.h"
#include "runtime/wasm/stranger_internal.h"

#include <stdlib.h>
#include <string.h>

static const char wasi_module[] = "wasi_snapshot_preview1";
static const stranger_code all_served = {.stack_bytes = 1 << 20};

static tars_status check_length(size_t length, tars_error *err) {
    if (length > STRANGER_MAX_MODULE_BYTES) {
        return error_set(err, TARS_LIMIT, "the module has %zu bytes; at most %zu are taken", length,
                         (size_t)STRANGER_MAX_MODULE_BYTES);
    }
    return TARS_OK;
}

/* Wasmtime's words for a proposal that is off: "… support is not enabled", or the like. The last
 * line has them; names of the module's functions stand before it. */
static bool needs_a_proposal(const char *told) {
    size_t end = strlen(told);
    while (end > 0 && told[end - 1] == '\n') {
        end--;
    }
    while (end > 0 && told[end - 1] != '\n') {
        end--;
    }
    const char *cause = told + end;
    return strstr(cause, "not enabled") != NULL || strstr(cause, "not supported") != NULL ||
           strstr(cause, "must be enabled") != NULL || strstr(cause, "multiple memories") != NULL ||
           strstr(cause, "disallowed") != NULL;
}

static tars_status refuse_proposal(const stranger_code *code, const char *cause, tars_error *err) {
    char off[STRANGER_CODE_BYTES];
    text_buffer text;
    text_init(&text, off, sizeof off);
    stranger_code_write_off(code, &text);
    error_set(err, TARS_UNSUPPORTED, "the module needs a proposal that is not served");
    error_cause(err, "%s", cause);
    if (code->without != 0) {
        error_hint(err,
                   "off in this run: %s. deployment.wasm.features of the configuration switches "
                   "them, and bulk_memory is off with more than 64 MiB of memory",
                   off);
        return TARS_UNSUPPORTED;
    }
    error_hint(err, "compile it for WebAssembly 2.0 without threads, exceptions, garbage "
                    "collection, memory64 and multiple memories");
    return TARS_UNSUPPORTED;
}

tars_status stranger_refuse(const wasm_library *w, const stranger_code *code,
                            wasmtime_error_t *error, tars_error *err) {
    tars_error told = {.status = TARS_OK};
    (void)wasm_library_fail(w, TARS_MALFORMED, "", error, NULL, &told);
    if (needs_a_proposal(told.cause)) {
        return refuse_proposal(code, told.cause, err);
    }
    error_set(err, TARS_MALFORMED, "the module is not valid WebAssembly");
    error_cause(err, "%s", told.cause);
    return TARS_MALFORMED;
}

tars_status stranger_validate(const uint8_t *bytes, size_t length, tars_error *err) {
    const wasm_library *w;
    wasm_engine_t *engine;
    tars_status status = check_length(length, err);
    if (status == TARS_OK) {
        status = stranger_engine_get(&all_served, &w, &engine, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    wasmtime_error_t *error = w->wasmtime_module_validate(engine, bytes, length);
    return error ? stranger_refuse(w, &all_served, error, err) : TARS_OK;
}

/* ---- imports ----------------------------------------------------------------------------- */

static bool name_is(const wasm_name_t *name, const char *text) {
    return name->size == strlen(text) && memcmp(name->data, text, name->size) == 0;
}

static bool is_wasi(const wasm_name_t *name) {
    for (size_t i = 0; i < wasi_function_count; i++) {
        if (name_is(name, wasi_functions[i].name)) {
            return true;
        }
    }
    return false;
}

enum { SHOWN_BYTES = 100 };

/* A name of the module for messages, whatever it is made of. */
static const char *shown(const wasm_name_t *name, char out[SHOWN_BYTES]) {
    text_buffer text;
    text_init(&text, out, SHOWN_BYTES);
    module_text_write((module_text){name->data, (uint32_t)name->size}, &text);
    return out;
}

static tars_status check_import(const wasm_library *w, const wasm_importtype_t *import,
                                tars_error *err) {
    static const char *const kinds[] = {"function", "global", "table", "memory", "tag"};
    const wasm_name_t *module = w->wasm_importtype_module(import);
    const wasm_name_t *name = w->wasm_importtype_name(import);
    wasm_externkind_t kind = w->wasm_externtype_kind(w->wasm_importtype_type(import));
    if (name_is(module, wasi_module) && kind == WASM_EXTERN_FUNC && is_wasi(name)) {
        return TARS_OK;
    }
    char name_text[SHOWN_BYTES];
    char module_name[SHOWN_BYTES];
    error_set(err, TARS_UNSUPPORTED,
              "the module imports the %s \"%s\" of \"%s\", which is not there",
              kind < sizeof kinds / sizeof kinds[0] ? kinds[kind] : "thing", shown(name, name_text),
              shown(module, module_name));
    error_hint(err, "only functions of %s are offered", wasi_module);
    return TARS_UNSUPPORTED;
}

static tars_status check_imports(const wasm_library *w, const wasmtime_module_t *module,
                                 tars_error *err) {
    wasm_importtype_vec_t imports;
    w->wasmtime_module_imports(module, &imports);
    tars_status status = TARS_OK;
    for (size_t i = 0; i < imports.size && status == TARS_OK; i++) {
        status = check_import(w, imports.data[i], err);
    }
    w->wasm_importtype_vec_delete(&imports);
    return status;
}

static wasm_functype_t *function_type(const wasm_library *w, const wasi_function *f) {
    wasm_valtype_t *types[WASI_MAX_ARGUMENTS];
    wasm_valtype_t *errno_type = w->wasm_valtype_new(WASM_I32);
    wasm_valtype_vec_t parameters;
    wasm_valtype_vec_t results = {0, NULL};
    size_t n = strlen(f->parameters);
    for (size_t i = 0; i < n; i++) {
        types[i] = w->wasm_valtype_new(f->parameters[i] == 'I' ? WASM_I64 : WASM_I32);
    }
    w->wasm_valtype_vec_new(&parameters, n, types);
    w->wasm_valtype_vec_new(&results, f->has_result ? 1 : 0, &errno_type);
    if (!f->has_result) {
        w->wasm_valtype_delete(errno_type);
    }
    return w->wasm_functype_new(&parameters, &results);
}

static wasmtime_error_t *define_wasi(const wasm_library *w, wasmtime_linker_t *linker) {
    wasmtime_error_t *error = NULL;
    for (size_t i = 0; i < wasi_function_count && !error; i++) {
        const wasi_function *f = &wasi_functions[i];
        wasm_functype_t *type = function_type(w, f);
        error = w->wasmtime_linker_define_func_unchecked(
            linker, wasi_module, sizeof wasi_module - 1, f->name, strlen(f->name), type,
            stranger_call_host, (void *)(uintptr_t)f, NULL);
        w->wasm_functype_delete(type);
    }
    return error;
}

static tars_status resolve(stranger_module *m, tars_error *err) {
    const wasm_library *w = m->w;
    wasmtime_linker_t *linker = w->wasmtime_linker_new(m->engine);
    wasmtime_error_t *error = define_wasi(w, linker);
    if (!error) {
        error = w->wasmtime_linker_instantiate_pre(linker, m->module, &m->ready);
    }
    w->wasmtime_linker_delete(linker);
    if (!error) {
        return TARS_OK;
    }
    (void)wasm_library_fail(w, TARS_UNSUPPORTED, "an import of the module has another type here",
                            error, NULL, err);
    return TARS_UNSUPPORTED;
}

/* ---- opening ----------------------------------------------------------------------------- */

/* Has the code made by a process that can be killed, and keeps it. */
static tars_status compile_apart(stranger_module *m, const char *how, const uint8_t *bytes,
                                 size_t length, const wasm_artifacts *artifacts, tars_error *err) {
    uint8_t key[SHA256_DIGEST_BYTES];
    uint8_t *code = NULL;
    size_t code_length = 0;
    wasm_compiled_key(how, bytes, length, key);
    m->module = wasm_compiled_load(m->w, m->engine, artifacts, key);
    if (m->module) {
        return TARS_OK;
    }
    tars_status status = compile_process_run(artifacts->program_path, &m->code, bytes, length, 0,
                                             &code, &code_length, err);
    if (status != TARS_OK) {
        return status;
    }
    wasmtime_error_t *error =
        m->w->wasmtime_module_deserialize(m->engine, code, code_length, &m->module);
    if (!error) {
        artifacts->save(artifacts->user, key, code, code_length);
    }
    free(code);
    return error ? wasm_library_fail(m->w, TARS_FAILED,
                                     "the compiled code does not fit; is the program that compiles "
                                     "another version?",
                                     error, NULL, err)
                 : TARS_OK;
}

static tars_status compile(stranger_module *m, const uint8_t *bytes, size_t length,
                           const wasm_artifacts *artifacts, tars_error *err) {
    tars_status status = stranger_engine_get(&m->code, &m->w, &m->engine, err);
    if (status != TARS_OK || !m->w) { /* there is one when the status is good */
        return status != TARS_OK ? status : TARS_UNAVAILABLE;
    }
    char how[STRANGER_CODE_BYTES];
    text_buffer text;
    text_init(&text, how, sizeof how);
    stranger_code_write(&m->code, &text);
    if (artifacts && artifacts->program_path) {
        return compile_apart(m, how, bytes, length, artifacts, err);
    }
    wasmtime_error_t *error =
        wasm_compiled_get(m->w, m->engine, how, bytes, length, artifacts, &m->module);
    return error ? stranger_refuse(m->w, &m->code, error, err) : TARS_OK;
}

tars_status stranger_open(const uint8_t *bytes, size_t length, const stranger_code *code,
                          const wasm_artifacts *artifacts, stranger_module **out, tars_error *err) {
    *out = NULL;
    tars_status status = check_length(length, err);
    if (status != TARS_OK) {
        return status;
    }
    stranger_module *m = calloc(1, sizeof *m);
    if (!m) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a module");
    }
    m->code = *code;
    m->code.stack_bytes = stranger_engine_stack(code->stack_bytes);
    status = compile(m, bytes, length, artifacts, err);
    if (status == TARS_OK) {
        status = check_imports(m->w, m->module, err);
    }
    if (status == TARS_OK) {
        status = resolve(m, err);
    }
    if (status != TARS_OK) {
        stranger_close(m);
        m = NULL;
    }
    *out = m;
    return status;
}

void stranger_close(stranger_module *m) {
    if (!m) {
        return;
    }
    if (m->ready) {
        m->w->wasmtime_instance_pre_delete(m->ready);
    }
    if (m->module) {
        m->w->wasmtime_module_delete(m->module);
    }
    free(m);
}
