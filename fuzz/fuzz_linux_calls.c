/* A guest that makes whatever system calls it likes: the input is a list of calls with their
 * arguments, and of bytes to put into the guest's memory. It has a folder with links in it; nothing
 * beside that folder may change, and its space keeps the rules, whatever it does. */
#include "fuzz_grant.h"
#include "runtime/microvm/linux_calls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    SPACE_BYTES = 1 << 20,
    LIMIT_BYTES = 512 << 10,
    DATA = 0x20000,
    DATA_BYTES = 64 << 10,
    SLOT_BYTES = 64, /* of a path, from DATA on */
    SCRATCH_AT = DATA + (32 << 10),
    MAX_CALLS = 64,
    OUTPUT_BYTES = 4096
};

static const char *const paths[] = {"/data/file",
                                    "folder",
                                    "/data/folder/new",
                                    "/data/link",
                                    "linkdir/up",
                                    "dotdot/outside",
                                    "out/secret",
                                    "/data/out",
                                    "absolute/tmp",
                                    "loop",
                                    "../outside/x",
                                    "fifo",
                                    "folder/../..",
                                    "new",
                                    "/data/folder/../file/",
                                    ".",
                                    "/",
                                    "/read/file",
                                    "/read/out",
                                    "/proc/self/exe"};
enum { N_PATHS = sizeof paths / sizeof paths[0] };

static const uint64_t odd_numbers[] = {0,
                                       1,
                                       SPACE_BYTES,
                                       SPACE_BYTES - 1,
                                       0x7FFFFFFF,
                                       0x80000000,
                                       0xFFFFFFFF,
                                       (uint64_t)-100,
                                       INT64_MAX,
                                       UINT64_MAX,
                                       4096,
                                       0xFFFF800000000000,
                                       0x0000800000000000,
                                       UINT64_MAX - 4095,
                                       0x22,
                                       0x32};

static uint64_t next_argument(input *in) {
    uint8_t kind = next_byte(in);
    if (kind < 64) {
        return kind;
    }
    if (kind < 128) {
        return DATA + (uint64_t)(kind % N_PATHS) * SLOT_BYTES;
    }
    if (kind < 160) {
        return SCRATCH_AT + (uint64_t)(kind - 128) * 256;
    }
    if (kind < 176) {
        return odd_numbers[kind - 160];
    }
    if (kind < 200) {
        return next_number(in, 1) * SPACE_PAGE_BYTES;
    }
    return next_number(in, kind < 220 ? 2 : 8);
}

static void check_space(const space *s) {
    uint64_t n_counted = 0;
    for (uint64_t i = 0; i < s->n_pages; i++) {
        uint8_t flags = s->flags[i];
        fuzz_require((flags & SPACE_WRITE) == 0 || (flags & SPACE_EXECUTE) == 0);
        fuzz_require((flags & SPACE_MAPPED) == 0 || i * SPACE_PAGE_BYTES >= SPACE_LOWEST);
        fuzz_require((flags & SPACE_ACCESS) == 0 || (flags & SPACE_COUNTED) != 0);
        n_counted += (flags & SPACE_COUNTED) != 0 ? 1 : 0;
    }
    fuzz_require(n_counted == s->n_counted && n_counted <= s->n_limit && n_counted <= s->n_peak);
}

static void poke(space *s, input *in) {
    uint64_t at = next_argument(in);
    size_t n = next_byte(in);
    for (size_t i = 0; i < n; i++) {
        uint8_t byte = next_byte(in);
        (void)space_put(s, at + i, &byte, 1);
    }
}

static bool goes_on(void *user) {
    (void)user;
    return true;
}

static void run(linux_context *context, space *s, input *in) {
    for (unsigned i = 0; i < MAX_CALLS && in->left > 0 && linux_ended(context) == LINUX_RUNS; i++) {
        uint64_t number = next_number(in, 2);
        if (number >= 0x8000) {
            poke(s, in);
            continue;
        }
        uint64_t arguments[6];
        for (size_t k = 0; k < 6; k++) {
            arguments[k] = next_argument(in);
        }
        fuzz_require(linux_call(context, number % 600, arguments) >= -4095);
    }
    fuzz_require(linux_output(context).length + linux_errors(context).length <= OUTPUT_BYTES);
    check_space(s);
}

static uint8_t *begin_space(space *s) {
    uint64_t at;
    uint8_t *ram = aligned_alloc(SPACE_PAGE_BYTES, SPACE_BYTES);
    fuzz_require(ram != NULL);
    memset(ram, 0, SPACE_BYTES);
    const space_options options = {
        .ram = ram, .size_bytes = SPACE_BYTES, .limit_bytes = LIMIT_BYTES};
    fuzz_require(space_init(s, &options, NULL) == TARS_OK &&
                 space_map(s, DATA, SPACE_VACANT, DATA_BYTES, SPACE_READ | SPACE_WRITE, &at) ==
                     SPACE_OK);
    space_set_break(s, 0x60000);
    for (size_t i = 0; i < N_PATHS; i++) {
        fuzz_require(space_put(s, DATA + i * SLOT_BYTES, paths[i], strlen(paths[i]) + 1));
    }
    return ram;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char hosts[2][80];
    static const linux_folder folders[] = {{.host = hosts[0], .guest = "/data", .writable = true},
                                           {.host = hosts[1], .guest = "/read"}};
    input in = {data, size};
    if (root[0] == '\0') {
        begin();
        snprintf(hosts[0], sizeof hosts[0], "%s/grant", root);
        snprintf(hosts[1], sizeof hosts[1], "%s/grant-to-read", root);
    }
    fill_folder();
    uint8_t flags = next_byte(&in);
    platform_beneath_walk_only((flags & 1) != 0);
    space s;
    uint8_t *ram = begin_space(&s);
    const linux_options options = {.space = &s,
                                   .program = "/data/program",
                                   .folders = folders,
                                   .n_folders = 2,
                                   .files = (flags & 4) == 0,
                                   .input = PLATFORM_NO_HANDLE,
                                   .output_bytes = OUTPUT_BYTES,
                                   .file_bytes = 1 << 20,
                                   .n_files = 6,
                                   .clock_resolution_ns = (flags & 2) != 0 ? 1000000 : 0,
                                   .deadline_ns = platform_clock_ns() + 5000000,
                                   .goes_on = goes_on};
    linux_context *context;
    fuzz_require(linux_create(&options, &context, NULL) == TARS_OK);
    run(context, &s, &in);
    linux_destroy(context);
    space_free(&s);
    free(ram);
    check_outside();
    return 0;
}
