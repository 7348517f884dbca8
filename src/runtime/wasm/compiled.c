#include "runtime/wasm/compiled.h"

#include "platform/platform.h"

#include <stdlib.h>
#include <string.h>

/* Everything that compiled code depends on. Wasmtime checks the CPU once more when it loads. */
void wasm_compiled_key(const char *how, const uint8_t *program, size_t length,
                       uint8_t key[SHA256_DIGEST_BYTES]) {
    static const char version[] = "compiled 2, Wasmtime " WASMTIME_VERSION;
    platform_cpu_info cpu = platform_cpu();
    const uint8_t features[] = {cpu.sse41,       cpu.avx2,     cpu.fma, cpu.f16c, cpu.avx512,
                                cpu.avx512_vnni, cpu.avx_vnni, cpu.sha, cpu.neon, cpu.dotprod};
    sha256_context hash;
    sha256_init(&hash);
    sha256_update(&hash, version, sizeof version);
    sha256_update(&hash, how, strlen(how) + 1);
    sha256_update(&hash, cpu.brand, sizeof cpu.brand);
    sha256_update(&hash, features, sizeof features);
    sha256_update(&hash, program, length);
    sha256_final(&hash, key);
}

wasmtime_module_t *wasm_compiled_load(const wasm_library *w, wasm_engine_t *engine,
                                      const wasm_artifacts *artifacts,
                                      const uint8_t key[SHA256_DIGEST_BYTES]) {
    uint8_t *bytes = NULL;
    size_t n = 0;
    wasmtime_module_t *module = NULL;
    if (!artifacts || !artifacts->load(artifacts->user, key, &bytes, &n)) {
        return NULL;
    }
    wasmtime_error_t *error = w->wasmtime_module_deserialize(engine, bytes, n, &module);
    free(bytes);
    if (error) { /* of another CPU or version after all: compile */
        w->wasmtime_error_delete(error);
        return NULL;
    }
    return module;
}

static void save(const wasm_library *w, const wasmtime_module_t *module,
                 const wasm_artifacts *artifacts, const uint8_t key[SHA256_DIGEST_BYTES]) {
    wasm_byte_vec_t bytes = {0, NULL};
    wasmtime_error_t *error = artifacts ? w->wasmtime_module_serialize(module, &bytes) : NULL;
    if (error) {
        w->wasmtime_error_delete(error);
    } else if (artifacts) {
        artifacts->save(artifacts->user, key, bytes.data, bytes.size);
        w->wasm_byte_vec_delete(&bytes);
    }
}

wasmtime_error_t *wasm_compiled_get(const wasm_library *w, wasm_engine_t *engine, const char *how,
                                    const uint8_t *program, size_t length,
                                    const wasm_artifacts *artifacts, wasmtime_module_t **out) {
    uint8_t key[SHA256_DIGEST_BYTES];
    wasm_compiled_key(how, program, length, key);
    *out = wasm_compiled_load(w, engine, artifacts, key);
    if (*out) {
        return NULL;
    }
    wasmtime_error_t *error = w->wasmtime_module_new(engine, program, length, out);
    if (!error) {
        save(w, *out, artifacts, key);
    }
    return error;
}
