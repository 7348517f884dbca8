#include "cli/wasm_source.h"

#include "platform/platform.h"

tars_status wasm_source_open(const char *path, wasm_source *out, tars_error *err) {
    *out = (wasm_source){0};
    tars_status status = input_read_file(path, "FILE", &out->input, err);
    if (status != TARS_OK) {
        return status;
    }
    out->bytes = (const uint8_t *)out->input.bytes;
    out->length = out->input.length;
    status = module_file_detect(out->bytes, out->length, err);
    if (status == TARS_OK) {
        out->memory_bytes = module_file_arena_bytes(out->length);
        status = platform_reserve(out->memory_bytes, false, &out->memory, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    uint8_t digest[SHA256_DIGEST_BYTES];
    sha256(out->bytes, out->length, digest);
    sha256_hex(digest, out->sha256);
    arena memory;
    arena_init(&memory, out->memory, out->memory_bytes);
    if (module_file_read(out->bytes, out->length, &memory, &out->module, &out->failure) ==
        TARS_OK) {
        error_clear(&out->failure);
    }
    return TARS_OK;
}

void wasm_source_close(wasm_source *source) {
    if (source->memory) {
        platform_release(source->memory, source->memory_bytes);
    }
    input_free(&source->input);
    *source = (wasm_source){0};
}
