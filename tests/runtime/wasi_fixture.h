/* A guest of WASI for tests: its memory, its granted folder and what lies beside that. Ownership:
 * static memory; one guest at a time. */
#ifndef TESTS_RUNTIME_WASI_FIXTURE_H
#define TESTS_RUNTIME_WASI_FIXTURE_H

#include "runtime/grant_tree.h"
#include "runtime/wasi/wasi.h"

enum {
    MEMORY_BYTES = 128 << 10,
    FOLDER_FD = 3,
    RESULT = 4000,
    PATH_A = 9000,
    PATH_B = 20000,
    PATH_C = 26000,
    PATH_D = 26100
};
#define ALL_RIGHTS (((uint64_t)1 << 30) - 1)
#define READ_RIGHT ((uint64_t)1 << 1)
#define WRITE_RIGHT ((uint64_t)1 << 6)
#define POLL_RIGHT ((uint64_t)1 << 27)

typedef struct guest {
    wasi_context *context;
    wasi_options options;
    wasi_memory memory;
} guest;
static guest g;

static const char *const guest_arguments[] = {"program", "one", NULL};
static const char *const guest_environment[] = {"COLOUR=blue", NULL};
static wasi_folder guest_folders[2];

/* Everything allowed, one folder granted; change g.options before guest_start. */
static inline void guest_prepare(void) {
    g = (guest){.options = {.arguments = guest_arguments,
                            .environment = guest_environment,
                            .folders = guest_folders,
                            .n_folders = 1,
                            .input = PLATFORM_NO_HANDLE,
                            .allowed = ~(wasi_call_set)0,
                            .output_bytes = 1 << 20,
                            .file_bytes = 1 << 20,
                            .n_files = 8}};
    guest_folders[0] =
        (wasi_folder){.host = scratch_path("grant"), .guest = "/data", .writable = true};
}

static inline void guest_start(void) {
    tars_error err;
    g.memory = (wasi_memory){malloc(MEMORY_BYTES), MEMORY_BYTES}; /* exact: overruns are found */
    if (!g.memory.bytes || wasi_create(&g.options, &g.context, &err) != TARS_OK) {
        printf("    cannot start a guest: %s\n", err.message);
        exit(1);
    }
    memset(g.memory.bytes, 0, MEMORY_BYTES);
}

static inline void guest_end(void) {
    wasi_destroy(g.context);
    free(g.memory.bytes);
    g.memory.bytes = NULL;
    g.context = NULL;
}

static inline void guest_begin(void) {
    guest_prepare();
    guest_start();
}

static inline uint32_t guest_call(const char *name, const uint64_t *arguments) {
    const wasi_function *function = wasi_find(name);
    if (!function) {
        printf("    no function %s\n", name);
        exit(1);
    }
    return wasi_call(g.context, function, g.memory, arguments);
}
#define CALL(name, ...) guest_call(#name, (const uint64_t[WASI_MAX_ARGUMENTS]){__VA_ARGS__})

static inline void put_u32(uint32_t at, uint32_t value) {
    memcpy(g.memory.bytes + at, &value, sizeof value);
}
static inline void put_u64(uint32_t at, uint64_t value) {
    memcpy(g.memory.bytes + at, &value, sizeof value);
}
static inline uint16_t get_u16(uint32_t at) {
    uint16_t value;
    memcpy(&value, g.memory.bytes + at, sizeof value);
    return value;
}
static inline uint32_t get_u32(uint32_t at) {
    uint32_t value;
    memcpy(&value, g.memory.bytes + at, sizeof value);
    return value;
}
static inline uint64_t get_u64(uint32_t at) {
    uint64_t value;
    memcpy(&value, g.memory.bytes + at, sizeof value);
    return value;
}
/* Returns the length. */
static inline uint64_t put_text(uint32_t at, const char *text) {
    size_t length = strlen(text);
    memcpy(g.memory.bytes + at, text, length);
    return length;
}

static inline uint32_t open_with(const char *path, bool follow, uint32_t how, uint64_t rights,
                                 uint32_t flags, uint32_t *fd) {
    uint64_t length = put_text(PATH_A, path);
    uint32_t result =
        CALL(path_open, FOLDER_FD, follow, PATH_A, length, how, rights, ALL_RIGHTS, flags, RESULT);
    *fd = result == 0 ? get_u32(RESULT) : UINT32_MAX;
    return result;
}

/* One buffer at 32768. */
static inline uint32_t write_text(uint32_t fd, const char *text) {
    put_u32(2000, 32768);
    put_u32(2004, (uint32_t)put_text(32768, text));
    return CALL(fd_write, fd, 2000, 1, RESULT);
}

/* Up to 64 bytes as a text; a static buffer. */
static inline const char *read_text(uint32_t fd) {
    static char text[65];
    put_u32(2000, 32768);
    put_u32(2004, 64);
    text[0] = '\0';
    if (CALL(fd_read, fd, 2000, 1, RESULT) == 0) {
        size_t length = get_u32(RESULT);
        memcpy(text, g.memory.bytes + 32768, length);
        text[length] = '\0';
    }
    return text;
}

static inline uint64_t violations_of(const char *kind, const char *name) {
    const runtime_violations *list = wasi_violations(g.context);
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->rows[i].kind, kind) == 0 && strcmp(list->rows[i].name, name) == 0) {
            return list->rows[i].count;
        }
    }
    return 0;
}

#endif
