/* A guest of WASI that calls whatever it likes: the input is a list of calls with their arguments,
 * and of bytes to put into the guest's memory. It has a folder with links in it; nothing beside
 * that folder may change, whatever it does. */
#include "fuzz_grant.h"
#include "runtime/wasi/wasi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    MEMORY_BYTES = 64 << 10,
    SLOT_BYTES = 64, /* of a path in the guest's memory, from 0 on */
    SCRATCH_AT = 32 << 10,
    MAX_CALLS = 64,
    OUTPUT_BYTES = 4096
};

static const char *const paths[] = {
    "file",         "folder", "folder/new",      "link", "linkdir/up",   "dotdot/outside",
    "out/secret",   "out",    "absolute/tmp",    "loop", "../outside/x", "fifo",
    "folder/../..", "new",    "folder/../file/", "."};
enum { N_PATHS = sizeof paths / sizeof paths[0] };

static const uint64_t odd_numbers[] = {0,          1,          MEMORY_BYTES,   MEMORY_BYTES - 1,
                                       0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,     0xFFFFFFFE,
                                       INT64_MAX,  UINT64_MAX, 1 << 20,        4096,
                                       0x1FFFFFFF, 0xFFFF,     UINT32_MAX / 8, (1 << 30) - 1};

/* An argument of one of the kinds that lead somewhere; a path takes two. */
static unsigned next_arguments(input *in, uint64_t *out) {
    uint8_t kind = next_byte(in);
    if (kind < 64) {
        out[0] = kind;
    } else if (kind < 128) {
        out[0] = (uint64_t)(kind % N_PATHS) * SLOT_BYTES;
        out[1] = strlen(paths[kind % N_PATHS]);
        return 2;
    } else if (kind < 160) {
        out[0] = SCRATCH_AT + (uint64_t)(kind - 128) * 256;
    } else if (kind < 176) {
        out[0] = odd_numbers[kind - 160];
    } else {
        out[0] = next_number(in, kind < 200 ? 2 : 8);
    }
    return 1;
}

static void call_one(wasi_context *context, wasi_memory memory, input *in, uint8_t row) {
    const wasi_function *function = &wasi_functions[row % wasi_function_count];
    uint64_t arguments[WASI_MAX_ARGUMENTS + 1] = {0}; /* a path may begin at the last */
    size_t n = strlen(function->parameters);
    for (size_t i = 0; i < n;) {
        i += next_arguments(in, arguments + i);
    }
    fuzz_require(wasi_call(context, function, memory, arguments) <= 76);
}

static void poke(wasi_memory memory, input *in) {
    size_t at = next_number(in, 2) % memory.size_bytes;
    size_t n = next_byte(in);
    for (size_t i = 0; i < n && at + i < memory.size_bytes; i++) {
        memory.bytes[at + i] = next_byte(in);
    }
}

static bool goes_on(void *user) {
    (void)user;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const arguments[] = {"program", "argument", NULL};
    static const char *const environment[] = {"NAME=value", NULL};
    static char hosts[2][80];
    static const wasi_folder folders[] = {{hosts[0], "/data", true}, {hosts[1], "/read", false}};
    input in = {data, size};
    if (root[0] == '\0') {
        begin();
        snprintf(hosts[0], sizeof hosts[0], "%s/grant", root);
        snprintf(hosts[1], sizeof hosts[1], "%s/grant-to-read", root);
    }
    fill_folder();
    uint8_t flags = next_byte(&in);
    platform_beneath_walk_only((flags & 1) != 0);
    wasi_options options = {.arguments = arguments,
                            .environment = environment,
                            .folders = folders,
                            .n_folders = 2,
                            .input = PLATFORM_NO_HANDLE,
                            .allowed = ~(wasi_call_set)0,
                            .output_bytes = OUTPUT_BYTES,
                            .file_bytes = 1 << 20,
                            .n_files = 6,
                            .clock_resolution_ns = (flags & 2) != 0 ? 1000000 : 0,
                            .deadline_ns = platform_clock_ns() + 5000000,
                            .goes_on = goes_on};
    wasi_memory memory = {calloc(1, MEMORY_BYTES), MEMORY_BYTES};
    wasi_context *context;
    fuzz_require(memory.bytes && wasi_create(&options, &context, NULL) == TARS_OK);
    for (size_t i = 0; i < N_PATHS; i++) {
        memcpy(memory.bytes + i * SLOT_BYTES, paths[i], strlen(paths[i]));
    }
    for (unsigned i = 0; i < MAX_CALLS && in.left > 0 && wasi_ended(context) == WASI_RUNS; i++) {
        uint8_t row = next_byte(&in);
        if (row >= 224) {
            poke(memory, &in);
        } else {
            call_one(context, memory, &in, row);
        }
    }
    fuzz_require(wasi_output(context).length + wasi_errors(context).length <= OUTPUT_BYTES);
    wasi_destroy(context);
    free(memory.bytes);
    check_outside();
    return 0;
}
