/* A guest of WASI that calls whatever it likes: the input is a list of calls with their arguments,
 * and of bytes to put into the guest's memory. It has a folder with links in it; nothing beside
 * that folder may change, whatever it does. */
#include "fuzz_model.h"
#include "runtime/wasi/wasi.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    MEMORY_BYTES = 64 << 10,
    SLOT_BYTES = 64, /* of a path in the guest's memory, from 0 on */
    SCRATCH_AT = 32 << 10,
    MAX_CALLS = 64,
    OUTPUT_BYTES = 4096,
    N_OUTSIDE = 3
};

static char root[64];
static struct stat before[N_OUTSIDE];
static const char *const outside_names[N_OUTSIDE] = {"", "/outside", "/outside/secret"};

static const char *path_of(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s%s", root, name);
    return path;
}

/* ---- the folder and what is beside it --------------------------------------------------- */

static int remove_one(const char *path, const struct stat *s, int flag, struct FTW *ftw) {
    (void)s;
    (void)flag;
    return ftw->level > 0 ? remove(path) : 0;
}

static int remove_any(const char *path, const struct stat *s, int flag, struct FTW *ftw) {
    (void)s;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void end(void) {
    (void)nftw(root, remove_any, 16, FTW_DEPTH | FTW_PHYS);
}

static void write_file(const char *name, const char *text) {
    FILE *file = fopen(path_of(name), "wb");
    fuzz_require(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void begin(void) {
    snprintf(root, sizeof root, "/tmp/tars-fuzz-wasi-XXXXXX");
    fuzz_require(mkdtemp(root) != NULL);
    atexit(end);
    fuzz_require(mkdir(path_of("/grant"), 0700) == 0);
    fuzz_require(mkdir(path_of("/grant-to-read"), 0700) == 0);
    fuzz_require(mkdir(path_of("/outside"), 0700) == 0);
    write_file("/outside/secret", "outside");
    write_file("/grant-to-read/file", "read me");
    fuzz_require(symlink("../outside/secret", path_of("/grant-to-read/out")) == 0);
    for (size_t i = 0; i < N_OUTSIDE; i++) {
        fuzz_require(lstat(path_of(outside_names[i]), &before[i]) == 0);
    }
}

static void fill_folder(void) {
    static const char *const links[][2] = {
        {"file", "/grant/link"},        {"folder", "/grant/linkdir"}, {"..", "/grant/dotdot"},
        {"../outside", "/grant/out"},   {"/", "/grant/absolute"},     {"loop", "/grant/loop"},
        {"../file", "/grant/folder/up"}};
    (void)nftw(path_of("/grant"), remove_one, 16, FTW_DEPTH | FTW_PHYS);
    fuzz_require(mkdir(path_of("/grant/folder"), 0700) == 0);
    write_file("/grant/file", "hello");
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
        fuzz_require(symlink(links[i][0], path_of(links[i][1])) == 0);
    }
    fuzz_require(mkfifo(path_of("/grant/fifo"), 0600) == 0);
}

static unsigned count_entries(const char *name) {
    unsigned n = 0;
    DIR *folder = opendir(path_of(name));
    fuzz_require(folder != NULL);
    while (readdir(folder)) {
        n++;
    }
    closedir(folder);
    return n;
}

static void check_outside(void) {
    for (size_t i = 0; i < N_OUTSIDE; i++) {
        struct stat now;
        const struct stat *then = &before[i];
        fuzz_require(lstat(path_of(outside_names[i]), &now) == 0);
        fuzz_require(now.st_ino == then->st_ino && now.st_size == then->st_size &&
                     now.st_nlink == then->st_nlink && now.st_mode == then->st_mode &&
                     now.st_ctim.tv_sec == then->st_ctim.tv_sec &&
                     now.st_ctim.tv_nsec == then->st_ctim.tv_nsec);
    }
    fuzz_require(count_entries("/outside") == 3 && count_entries("/grant-to-read") == 4);
}

/* ---- the input -------------------------------------------------------------------------- */

typedef struct input {
    const uint8_t *bytes;
    size_t left;
} input;

static uint8_t next_byte(input *in) {
    if (in->left == 0) {
        return 0;
    }
    in->left--;
    return *in->bytes++;
}

static uint64_t next_number(input *in, unsigned n_bytes) {
    uint64_t value = 0;
    for (unsigned i = 0; i < n_bytes; i++) {
        value |= (uint64_t)next_byte(in) << (8 * i);
    }
    return value;
}

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
