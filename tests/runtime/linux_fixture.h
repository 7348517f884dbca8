/* A guest of Linux's system calls for tests: its memory on the heap, its granted folders, no
 * machine. Ownership: static memory; one guest at a time. */
#ifndef TESTS_RUNTIME_LINUX_FIXTURE_H
#define TESTS_RUNTIME_LINUX_FIXTURE_H

#include "runtime/grant_tree.h"
#include "runtime/microvm/linux_internal.h"

/* Calls are told by name here; their numbers are the table's. */
enum {
    SPACE_BYTES = 8 << 20,
    DATA = 0x20000, /* readable and writable, DATA_BYTES */
    DATA_BYTES = 256 << 10,
    READ_ONLY = 0x80000, /* a page, as all below */
    NO_ACCESS = 0x90000,
    ABSENT_PAGE = 0xA0000,
    PATH = DATA,
    PATH_2 = DATA + 0x2000,
    BUFFER = DATA + 0x4000,
    VECTORS = DATA + 0x10000
};
static const uint64_t HERE = (uint64_t)LINUX_AT_CWD;

typedef struct linux_guest {
    space space;
    linux_options options;
    linux_context *context;
    uint64_t thread_base;
} linux_guest;
static linux_guest g;
static linux_folder guest_folders[2];

static inline bool set_thread_base(void *user, uint64_t address) {
    (void)user;
    g.thread_base = address;
    return true;
}

static inline uint64_t get_thread_base(void *user) {
    (void)user;
    return g.thread_base;
}

static const linux_machine guest_machine = {.set_thread_base = set_thread_base,
                                            .get_thread_base = get_thread_base};

static inline void must(bool condition, const char *what) {
    if (!condition) {
        printf("    cannot %s\n", what);
        exit(1);
    }
}

/* Exactly so large that sanitizers find what goes beyond. */
static inline void space_begin(space *s, uint64_t size_bytes, uint64_t limit_bytes) {
    uint8_t *ram = aligned_alloc(SPACE_PAGE_BYTES, size_bytes);
    must(ram != NULL, "get memory");
    memset(ram, 0, size_bytes);
    const space_options options = {
        .ram = ram, .size_bytes = size_bytes, .limit_bytes = limit_bytes};
    must(space_init(s, &options, NULL) == TARS_OK, "make a space");
}

static inline void space_end(space *s) {
    free(s->options.ram);
    space_free(s);
}

/* Everything allowed, one folder granted; change g.options before linux_start. */
static inline void linux_prepare(void) {
    g = (linux_guest){.thread_base = 0};
    g.options = (linux_options){.space = &g.space,
                                .machine = &guest_machine,
                                .program = "/data/program",
                                .folders = guest_folders,
                                .n_folders = 1,
                                .files = true,
                                .input = PLATFORM_NO_HANDLE,
                                .output_bytes = 1 << 20,
                                .file_bytes = 1 << 20,
                                .n_files = 8,
                                .stack_bytes = 1 << 20};
    guest_folders[0] =
        (linux_folder){.host = scratch_path("grant"), .guest = "/data", .writable = true};
}

static inline void linux_start(void) {
    tars_error err = {.message = ""};
    uint64_t at;
    space_begin(&g.space, SPACE_BYTES, SPACE_BYTES / 2);
    must(space_map(&g.space, DATA, SPACE_VACANT, DATA_BYTES, SPACE_READ | SPACE_WRITE, &at) ==
                 SPACE_OK &&
             space_map(&g.space, READ_ONLY, SPACE_VACANT, SPACE_PAGE_BYTES, SPACE_READ, &at) ==
                 SPACE_OK &&
             space_map(&g.space, NO_ACCESS, SPACE_VACANT, SPACE_PAGE_BYTES, 0, &at) == SPACE_OK,
         "map the guest's memory");
    space_set_break(&g.space, 0x200000);
    if (linux_create(&g.options, &g.context, &err) != TARS_OK) {
        printf("    cannot start a guest: %s\n", err.message);
        exit(1);
    }
}

static inline void linux_finish_guest(void) {
    linux_destroy(g.context);
    space_end(&g.space);
}

/* Without files: no tree is needed. */
static inline void linux_begin_base(void) {
    linux_prepare();
    g.options.files = false;
    g.options.n_folders = 0;
    linux_start();
}

static inline uint64_t number_of(const char *name) {
    for (uint64_t i = 0; i < LINUX_NUMBERS; i++) {
        const linux_row *row = linux_find(i);
        if (row && strcmp(row->name, name) == 0) {
            return i;
        }
    }
    printf("    no call %s\n", name);
    exit(1);
}

static inline int64_t guest_call(const char *name, const uint64_t *arguments) {
    return linux_call(g.context, number_of(name), arguments);
}
#define CALL(name, ...) guest_call(#name, (const uint64_t[6]){__VA_ARGS__})

static inline uint8_t *bytes_at(uint64_t address) {
    return g.space.options.ram + address;
}
static inline void put_u64(uint64_t address, uint64_t value) {
    memcpy(bytes_at(address), &value, sizeof value);
}
static inline uint64_t get_u64(uint64_t address) {
    uint64_t value;
    memcpy(&value, bytes_at(address), sizeof value);
    return value;
}
static inline uint32_t get_u32(uint64_t address) {
    uint32_t value;
    memcpy(&value, bytes_at(address), sizeof value);
    return value;
}
/* With its NUL; returns the address. */
static inline uint64_t put_text(uint64_t address, const char *text) {
    memcpy(bytes_at(address), text, strlen(text) + 1);
    return address;
}

static inline int64_t open_path(const char *path, uint64_t flags) {
    return CALL(openat, HERE, put_text(PATH, path), flags, 0644);
}

static inline int64_t write_text(int64_t fd, const char *text) {
    return CALL(write, (uint64_t)fd, put_text(BUFFER, text), strlen(text));
}

/* Up to 64 bytes as a text; a static buffer. */
static inline const char *read_text(int64_t fd) {
    static char text[65];
    int64_t n = CALL(read, (uint64_t)fd, BUFFER, 64);
    snprintf(text, sizeof text, "%.*s", n > 0 ? (int)n : 0, (const char *)bytes_at(BUFFER));
    return text;
}

static inline uint64_t violations_of(const char *kind, const char *name) {
    const runtime_violations *list = linux_violations(g.context);
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->rows[i].kind, kind) == 0 && strcmp(list->rows[i].name, name) == 0) {
            return list->rows[i].count;
        }
    }
    return 0;
}

#endif
