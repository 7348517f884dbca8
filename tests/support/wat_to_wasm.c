/* wat_to_wasm IN.wat OUT.wasm: a module's text made binary, by Wasmtime's library. For tests; it
 * does not check the module, so that what is not valid can be made too. */
#include "platform/platform.h"

#include <stdio.h>
#include <string.h>
#include <wasmtime.h>

static int fail(const char *what, const tars_error *err) {
    fprintf(stderr, "wat_to_wasm: %s%s%s\n", what, err ? ": " : "", err ? err->message : "");
    return 1;
}

int main(int argc, char **argv) {
    wasmtime_error_t *(*to_module)(const char *, size_t, wasm_byte_vec_t *);
    platform_library library;
    platform_writer writer;
    tars_error err;
    char *text;
    size_t length;
    if (argc != 3) {
        return fail("two files are expected", NULL);
    }
    if (platform_library_open(TESTS_BUILD_DIR "/libtars-wasmtime.so", &library, &err) != TARS_OK) {
        return fail("no library", &err);
    }
    void *symbol = platform_library_symbol(&library, "wasmtime_wat2wasm");
    memcpy(&to_module, &symbol, sizeof to_module);
    if (!symbol || platform_file_read_all(argv[1], 1 << 20, &text, &length, &err) != TARS_OK) {
        return fail("no text", symbol ? &err : NULL);
    }
    wasm_byte_vec_t bytes = {0, NULL};
    if (to_module(text, length, &bytes) != NULL) {
        return fail("the text is no module", NULL);
    }
    if (platform_writer_open(argv[2], 0644, &writer, &err) != TARS_OK ||
        platform_writer_write(&writer, bytes.data, bytes.size, &err) != TARS_OK ||
        platform_writer_commit(&writer, PLATFORM_COMMIT_REPLACE, &err) != TARS_OK) {
        return fail("nothing is written", &err);
    }
    return 0;
}
