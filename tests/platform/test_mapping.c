#include "platform/platform.h"
#include "scratch.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { PAGE = 4096, HUGE_PAGE = 2 << 20 };

/* Writes a file as the store does, so that large pages can back its mapping. */
static void make_file(const char *path, size_t size_bytes) {
    platform_writer writer;
    tars_error err;
    CHECK_INT(platform_writer_open(path, 0600, &writer, &err), TARS_OK);
    static uint8_t block[1 << 16];
    for (size_t i = 0; i < sizeof block; i++) {
        block[i] = (uint8_t)(i * 7 + 1) | 1; /* never zero */
    }
    for (size_t done = 0; done < size_bytes; done += sizeof block) {
        size_t part = size_bytes - done < sizeof block ? size_bytes - done : sizeof block;
        CHECK_INT(platform_writer_write(&writer, block, part, &err), TARS_OK);
    }
    CHECK_INT(
        platform_writer_commit(&writer, PLATFORM_COMMIT_REPLACE | PLATFORM_COMMIT_DROP_CACHE, &err),
        TARS_OK);
}

static uint64_t sum_of(const platform_mapping *mapping) {
    uint64_t sum = 0;
    for (size_t i = 0; i < mapping->size_bytes; i += PAGE) {
        sum += mapping->bytes[i];
    }
    return sum;
}

static void maps_a_whole_file(void) {
    scratch_make();
    const char *path = scratch_path("model");
    size_t size = 8 * (size_t)HUGE_PAGE + 12345;
    make_file(path, size);
    static platform_mapping mapping;
    tars_error err;
    CHECK_INT(platform_map(path, &mapping, &err), TARS_OK);
    CHECK_INT(mapping.size_bytes, size);
    CHECK_INT((uintptr_t)mapping.bytes % HUGE_PAGE, 0);
    platform_page_report report;
    CHECK_INT(platform_mapping_pages(&mapping, &report, &err), TARS_OK);
    CHECK_STRING(report.kind, "untouched");
    CHECK_INT(platform_mapping_warm(&mapping, &err), TARS_OK);
    CHECK_INT(platform_mapping_pages(&mapping, &report, &err), TARS_OK);
    if (scratch_is_emulated()) {
        check_skip("the kinds of pages of an emulated program cannot be told");
        platform_unmap(&mapping);
        scratch_remove();
        return;
    }
    CHECK(report.resident_bytes >= size);
    bool huge = report.file_huge_bytes > report.resident_bytes / 2;
    CHECK_STRING(report.kind, huge ? "file-huge" : "small");
    printf("    pages: %s, %llu of %llu KiB in large ones\n", report.kind,
           (unsigned long long)report.file_huge_bytes >> 10,
           (unsigned long long)report.resident_bytes >> 10);
    char *bytes;
    size_t length;
    CHECK_INT(platform_file_read_all(path, size, &bytes, &length, &err), TARS_OK);
    CHECK_BYTES(mapping.bytes, bytes, size);
    free(bytes);
    CHECK_INT(platform_mapping_check(&mapping, &err), TARS_OK);
    platform_unmap(&mapping);
    CHECK(mapping.bytes == NULL);
    platform_unmap(&mapping);
    scratch_remove();
}

static void refuses_what_cannot_be_mapped(void) {
    scratch_make();
    platform_mapping mapping;
    tars_error err;
    scratch_write(scratch_path("empty"), "", 0);
    CHECK_INT(platform_map(scratch_path("empty"), &mapping, &err), TARS_CORRUPT);
    CHECK_STRING(err.message, "a file of 0 bytes cannot be a model");
    CHECK(mapping.bytes == NULL);
    CHECK_INT(platform_map(scratch_path("none"), &mapping, &err), TARS_NOT_FOUND);
    CHECK_INT(platform_map(scratch_folder, &mapping, &err), TARS_USAGE);
    scratch_remove();
}

/* Views of guests count as mappings do; here all of them lie at one place. */
static void many_views_reach_a_limit(void) {
    scratch_make();
    const char *path = scratch_path("model");
    make_file(path, 100);
    enum { MANY = 5000, SPACE_BYTES = 2 << 20 };
    static platform_mapping views[MANY];
    platform_mapping model;
    void *space = NULL;
    tars_error err = {.status = TARS_OK};
    CHECK_INT(platform_map(path, &model, &err), TARS_OK);
    CHECK_INT(platform_space_reserve(SPACE_BYTES, &space, &err), TARS_OK);
    int n = 0;
    while (n < MANY && platform_space_map(space, 0, &model, &views[n], &err) == TARS_OK) {
        n++;
    }
    CHECK(n >= 4000 && n < MANY);
    CHECK_INT(err.status, TARS_LIMIT);
    platform_mapping other;
    CHECK_INT(platform_map(path, &other, &err), TARS_LIMIT);
    while (n > 0) {
        platform_space_unmap(&views[--n]);
    }
    CHECK_INT(platform_map(path, &other, &err), TARS_OK);
    platform_unmap(&other);
    platform_unmap(&model);
    platform_space_release(space, SPACE_BYTES);
    scratch_remove();
}

/* What a guest sees of its address space: its own pages, the model, and nothing else. */
static void a_space_holds_a_model(void) {
    scratch_make();
    const char *path = scratch_path("model");
    make_file(path, 100000);
    enum { SPACE_BYTES = 8 << 20, MODEL_AT = 4 << 20 };
    platform_mapping model;
    platform_mapping view;
    void *space = NULL;
    tars_error err;
    CHECK_INT(platform_map(path, &model, &err), TARS_OK);
    CHECK_INT(platform_space_reserve(SPACE_BYTES, &space, &err), TARS_OK);
    CHECK_INT((uintptr_t)space % (2 << 20), 0);
    CHECK_INT(platform_space_open(space, 0, 65536, &err), TARS_OK);
    uint8_t *bytes = space;
    CHECK_INT(bytes[0] + bytes[65535], 0);
    bytes[65535] = 7;
    CHECK_INT(platform_space_map(space, MODEL_AT, &model, &view, &err), TARS_OK);
    CHECK_BYTES(bytes + MODEL_AT, model.bytes, model.size_bytes);
    platform_space_unmap(&view);
    platform_unmap(&model);
    platform_space_release(space, SPACE_BYTES);
    scratch_remove();
}

static void a_changed_file_is_noticed(void) {
    scratch_make();
    const char *path = scratch_path("model");
    make_file(path, 100000);
    platform_mapping mapping;
    tars_error err;
    CHECK_INT(platform_map(path, &mapping, &err), TARS_OK);
    platform_sleep_ns(20000000); /* the clock of file times is coarse */
    int fd = open(path, O_WRONLY);
    CHECK_INT(pwrite(fd, "x", 1, 50), 1);
    CHECK_INT(platform_mapping_check(&mapping, &err), TARS_CORRUPT);
    CHECK_STRING(err.message, "the file was written while it was in use");
    CHECK_INT(ftruncate(fd, 99999), 0); /* within the last page: no signal tells of it */
    CHECK_INT(platform_mapping_check(&mapping, &err), TARS_CORRUPT);
    CHECK_STRING(err.message, "the file had 100000 bytes when it was opened and has 99999 now");
    close(fd);
    platform_unmap(&mapping);
    /* removed or renamed: what is mapped stays whole */
    make_file(path, 100000);
    CHECK_INT(platform_map(path, &mapping, &err), TARS_OK);
    CHECK_INT(unlink(path), 0);
    CHECK_INT(platform_mapping_check(&mapping, &err), TARS_OK);
    CHECK(sum_of(&mapping) > 0);
    platform_unmap(&mapping);
    scratch_remove();
}

/* The guard changes the handling of signals, so its tests run in processes of their own. */
static int run_in_child(int (*function)(void)) {
    fflush(stdout);
    pid_t id = fork();
    if (id == 0) {
        _exit(function());
    }
    int how;
    waitpid(id, &how, 0);
    return WIFEXITED(how) ? WEXITSTATUS(how) : 1000 + WTERMSIG(how);
}

static int read_a_cut_file(void) {
    static platform_mapping cut, whole;
    tars_error err;
    size_t size = 4 * (size_t)HUGE_PAGE;
    if (platform_guard_install(&err) != TARS_OK || platform_guard_install(&err) != TARS_OK ||
        platform_map(scratch_path("cut"), &cut, &err) != TARS_OK ||
        platform_map(scratch_path("whole"), &whole, &err) != TARS_OK) {
        return 1;
    }
    if (cut.bytes[0] == 0 || truncate(scratch_path("cut"), HUGE_PAGE + PAGE) != 0) {
        return 2;
    }
    /* from the end to the start, so that each fault finds more of the file gone */
    volatile uint8_t seen = 0;
    for (size_t i = size; i > 0; i -= PAGE) {
        seen = cut.bytes[i - 1];
        bool gone = i - 1 >= HUGE_PAGE + PAGE;
        if ((seen == 0) != gone) {
            return 3;
        }
    }
    if (atomic_load(&cut.damaged) != 1 || atomic_load(&whole.damaged) != 0) {
        return 4;
    }
    if (platform_mapping_check(&cut, &err) != TARS_CORRUPT || err.hint[0] == '\0' ||
        platform_mapping_check(&whole, &err) != TARS_OK || sum_of(&whole) == 0) {
        return 5;
    }
    platform_unmap(&cut);
    platform_unmap(&whole);
    /* the file can be opened again as it is now */
    if (platform_map(scratch_path("cut"), &cut, &err) != TARS_OK ||
        cut.size_bytes != HUGE_PAGE + PAGE || sum_of(&cut) == 0 ||
        platform_mapping_check(&cut, &err) != TARS_OK) {
        return 6;
    }
    platform_unmap(&cut);
    return 0;
}

static void a_cut_file_reads_as_zeros(void) {
    scratch_make();
    make_file(scratch_path("cut"), 4 * (size_t)HUGE_PAGE);
    make_file(scratch_path("whole"), HUGE_PAGE);
    CHECK_INT(run_in_child(read_a_cut_file), 0);
    scratch_remove();
}

typedef struct reader {
    const platform_mapping *mapping;
    atomic_uint *started;
    uint64_t zeros;
} reader;

static void read_on(void *argument) {
    reader *r = argument;
    atomic_fetch_add(r->started, 1);
    for (int turn = 0; turn < 20; turn++) {
        for (size_t i = 0; i < r->mapping->size_bytes; i += PAGE) {
            r->zeros += r->mapping->bytes[i] == 0 ? 1 : 0;
        }
    }
}

static int cut_under_threads(void) {
    static platform_mapping mapping;
    tars_error err;
    if (platform_guard_install(&err) != TARS_OK ||
        platform_map(scratch_path("cut"), &mapping, &err) != TARS_OK) {
        return 1;
    }
    enum { N = 4 };
    platform_thread threads[N];
    reader readers[N];
    atomic_uint started = 0;
    for (int i = 0; i < N; i++) {
        readers[i] = (reader){.mapping = &mapping, .started = &started};
        if (platform_thread_create("reader", read_on, &readers[i], &threads[i], &err) != TARS_OK) {
            return 2;
        }
    }
    while (atomic_load(&started) < N) {
        platform_yield();
    }
    if (truncate(scratch_path("cut"), PAGE) != 0) {
        return 3;
    }
    for (int i = 0; i < N; i++) {
        platform_thread_join(&threads[i]);
    }
    uint8_t last = mapping.bytes[mapping.size_bytes - 1];
    return last == 0 && platform_mapping_check(&mapping, &err) == TARS_CORRUPT ? 0 : 4;
}

static void a_file_cut_under_threads(void) {
    scratch_make();
    make_file(scratch_path("cut"), 4 * (size_t)HUGE_PAGE);
    CHECK_INT(run_in_child(cut_under_threads), 0);
    scratch_remove();
}

static int fault_elsewhere(void) {
    tars_error err;
    if (platform_guard_install(&err) != TARS_OK) {
        return 1;
    }
    int fd = open(scratch_path("cut"), O_RDONLY);
    const volatile uint8_t *bytes = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    if (truncate(scratch_path("cut"), 0) != 0) {
        return 2;
    }
    return bytes[0] + 3; /* ends here */
}

static void exit_with_9(int number) {
    (void)number;
    _exit(9);
}

static int fault_elsewhere_with_handler(void) {
    signal(SIGBUS, exit_with_9);
    return fault_elsewhere();
}

static int fault_without_guard(void) {
    static platform_mapping mapping;
    signal(SIGBUS, SIG_DFL);
    if (platform_map(scratch_path("cut"), &mapping, NULL) != TARS_OK ||
        truncate(scratch_path("cut"), 0) != 0) {
        return 1;
    }
    volatile uint8_t seen = mapping.bytes[0];
    return seen + 2;
}

static int fault_elsewhere_by_default(void) {
    signal(SIGBUS, SIG_DFL); /* a sanitizer's own handler would report it */
    return fault_elsewhere();
}

static void other_faults_are_passed_on(void) {
    scratch_make();
    make_file(scratch_path("cut"), PAGE);
    CHECK_INT(run_in_child(fault_elsewhere_by_default), 1000 + SIGBUS);
    make_file(scratch_path("cut"), PAGE);
    CHECK_INT(run_in_child(fault_elsewhere_with_handler), 9);
    make_file(scratch_path("cut"), PAGE);
    CHECK_INT(run_in_child(fault_without_guard), 1000 + SIGBUS);
    scratch_remove();
}

static void reserves_memory(void) {
    tars_error err;
    static const size_t sizes[] = {1, PAGE, PAGE + 1, HUGE_PAGE, 3 * (size_t)HUGE_PAGE + 5};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        void *memory;
        CHECK_INT(platform_reserve(sizes[i], i % 2 == 0, &memory, &err), TARS_OK);
        CHECK_INT((uintptr_t)memory % (sizes[i] >= HUGE_PAGE ? HUGE_PAGE : PAGE), 0);
        uint8_t *bytes = memory;
        CHECK(bytes[0] == 0 && bytes[sizes[i] - 1] == 0);
        memset(bytes, 0x5A, sizes[i]);
        platform_release(memory, sizes[i]);
    }
    void *memory = &err;
    CHECK_INT(platform_reserve(SIZE_MAX - 5, false, &memory, &err), TARS_OUT_OF_MEMORY);
    CHECK(memory == NULL);
    CHECK_INT(platform_reserve((size_t)1 << 60, true, &memory, &err), TARS_OUT_OF_MEMORY);
    CHECK_INT(platform_reserve(0, false, &memory, &err), TARS_OUT_OF_MEMORY);
    platform_release(NULL, 100);
}

/* Two processes that map one file hold its pages once. */
static int count_private(void) {
    static platform_mapping mapping;
    platform_memory_usage before, after;
    tars_error err;
    if (platform_map(scratch_path("model"), &mapping, &err) != TARS_OK ||
        platform_memory_used(&before, &err) != TARS_OK || sum_of(&mapping) == 0 ||
        platform_memory_used(&after, &err) != TARS_OK) {
        return 1;
    }
    uint64_t grown = after.private_bytes - before.private_bytes;
    return after.resident_bytes >= before.resident_bytes + mapping.size_bytes &&
                   grown < mapping.size_bytes / 4
               ? 0
               : 2;
}

static void pages_are_shared(void) {
    if (SCRATCH_MEMORY_IS_SHADOWED) {
        check_skip("the thread sanitizer's own memory hides the program's");
        return;
    }
    if (scratch_is_emulated()) {
        check_skip("the memory of what emulates it counts as the program's own");
        return;
    }
    scratch_make();
    make_file(scratch_path("model"), 16 * (size_t)HUGE_PAGE);
    platform_mapping mapping;
    tars_error err;
    CHECK_INT(platform_map(scratch_path("model"), &mapping, &err), TARS_OK);
    CHECK(sum_of(&mapping) > 0);
    CHECK_INT(run_in_child(count_private), 0);
    platform_unmap(&mapping);
    scratch_remove();
}

static const check_test tests[] = {
    {"maps a whole file", maps_a_whole_file},
    {"refuses what cannot be mapped", refuses_what_cannot_be_mapped},
    {"many views reach a limit", many_views_reach_a_limit},
    {"a space holds a model", a_space_holds_a_model},
    {"a changed file is noticed", a_changed_file_is_noticed},
    {"a cut file reads as zeros", a_cut_file_reads_as_zeros},
    {"a file cut under threads", a_file_cut_under_threads},
    {"other faults are passed on", other_faults_are_passed_on},
    {"reserves memory", reserves_memory},
    {"pages are shared", pages_are_shared},
};
CHECK_MAIN(tests)
