/* WASI: what its calls do, what they are refused, and that no argument of a guest harms the host.
 */
#include "runtime/wasi_fixture.h"

enum { OK = 0, AGAIN = 6, BAD_FD = 8, FAULT = 21, TOO_BIG = 22, INTERRUPTED = 27, INVALID = 28 };
enum { IS_FOLDER = 31, TOO_MANY_FILES = 33, TOO_LONG = 37, NO_CALL = 52, NOT_FOLDER = 54 };
enum { UNSUPPORTED = 58, NO_SEEK = 70, REFUSED = 76 };
enum { CREATE = 1, FOLDER = 2, NEW = 4, EMPTY = 8 };
enum { FILE_FD = 4, VECTORS = 2000, BUFFER = 32768, EVENTS = 50000, SUBSCRIPTIONS = 60000 };
static const uint64_t MS = 1000000;

/* ---- every function, every pointer ------------------------------------------------------ */

typedef struct call_row {
    const char *name;
    uint64_t arguments[WASI_MAX_ARGUMENTS];
    uint32_t expected;
    int pointers[4]; /* indices of arguments that are pointers, 0 at the end: see first */
    bool first;      /* argument 0 is a pointer, too */
} call_row;

/* With "file" open as FILE_FD; texts at PATH_A ("file") and PATH_B ("new"). */
static const call_row rows[] = {
    {"args_get", {400, 500}, OK, {1}, true},
    {"args_sizes_get", {400, 500}, OK, {1}, true},
    {"environ_get", {400, 500}, OK, {1}, true},
    {"environ_sizes_get", {400, 500}, OK, {1}, true},
    {"clock_res_get", {0, 400}, OK, {1}, false},
    {"clock_time_get", {1, 0, 400}, OK, {2}, false},
    {"fd_advise", {FILE_FD, 0, 10, 0}, OK, {0}, false},
    {"fd_allocate", {FILE_FD, 0, 10}, OK, {0}, false},
    {"fd_close", {FILE_FD}, OK, {0}, false},
    {"fd_datasync", {FILE_FD}, OK, {0}, false},
    {"fd_fdstat_get", {FILE_FD, 400}, OK, {1}, false},
    {"fd_fdstat_set_flags", {FILE_FD, 1}, OK, {0}, false},
    {"fd_fdstat_set_rights", {FILE_FD, 2, 0}, OK, {0}, false},
    {"fd_filestat_get", {FILE_FD, 400}, OK, {1}, false},
    {"fd_filestat_set_size", {FILE_FD, 5}, OK, {0}, false},
    {"fd_filestat_set_times", {FILE_FD, 1, 2, 5}, OK, {0}, false},
    {"fd_pread", {FILE_FD, VECTORS, 1, 2, 400}, OK, {1, 4}, false},
    {"fd_prestat_get", {FOLDER_FD, 400}, OK, {1}, false},
    {"fd_prestat_dir_name", {FOLDER_FD, 400, 5}, OK, {1}, false},
    {"fd_pwrite", {FILE_FD, VECTORS, 1, 2, 400}, OK, {1, 4}, false},
    {"fd_read", {FILE_FD, VECTORS, 1, 400}, OK, {1, 3}, false},
    {"fd_readdir", {FOLDER_FD, 400, 500, 0, 1000}, OK, {1, 4}, false},
    {"fd_renumber", {FILE_FD, 0}, OK, {0}, false},
    {"fd_seek", {FILE_FD, 3, 0, 400}, OK, {3}, false},
    {"fd_sync", {FILE_FD}, OK, {0}, false},
    {"fd_tell", {FILE_FD, 400}, OK, {1}, false},
    {"fd_write", {FILE_FD, VECTORS, 1, 400}, OK, {1, 3}, false},
    {"path_create_directory", {FOLDER_FD, PATH_B, 3}, OK, {1}, false},
    {"path_filestat_get", {FOLDER_FD, 0, PATH_A, 4, 400}, OK, {2, 4}, false},
    {"path_filestat_set_times", {FOLDER_FD, 0, PATH_A, 4, 1, 2, 5}, OK, {2}, false},
    {"path_link", {FOLDER_FD, 0, PATH_A, 4, FOLDER_FD, PATH_B, 3}, OK, {2, 5}, false},
    {"path_open", {FOLDER_FD, 0, PATH_A, 4, 0, 2, 0, 0, 400}, OK, {2, 8}, false},
    {"path_readlink", {FOLDER_FD, PATH_C, 4, 400, 10, 500}, OK, {1, 3, 5}, false},
    {"path_remove_directory", {FOLDER_FD, PATH_D, 5}, OK, {1}, false},
    {"path_rename", {FOLDER_FD, PATH_A, 4, FOLDER_FD, PATH_B, 3}, OK, {1, 4}, false},
    {"path_symlink", {PATH_A, 4, FOLDER_FD, PATH_B, 3}, OK, {3}, true},
    {"path_unlink_file", {FOLDER_FD, PATH_A, 4}, OK, {1}, false},
    {"poll_oneoff", {SUBSCRIPTIONS, EVENTS, 1, 400}, OK, {1, 3}, true},
    {"proc_exit", {3}, OK, {0}, false},
    {"proc_raise", {6}, NO_CALL, {0}, false},
    {"random_get", {400, 16}, OK, {0}, true},
    {"sched_yield", {0}, OK, {0}, false},
    {"sock_accept", {FILE_FD, 0, 400}, REFUSED, {0}, false},
    {"sock_recv", {FILE_FD, VECTORS, 1, 0, 400, 500}, REFUSED, {0}, false},
    {"sock_send", {FILE_FD, VECTORS, 1, 0, 400}, REFUSED, {0}, false},
    {"sock_shutdown", {FILE_FD, 3}, REFUSED, {0}, false},
};

static void begin_row(void) {
    uint32_t fd;
    tree_make();
    guest_begin();
    CHECK_INT(open_with("file", true, 0, ALL_RIGHTS, 0, &fd), OK);
    CHECK_INT(fd, FILE_FD);
    put_text(PATH_A, "file");
    put_text(PATH_B, "new");
    put_text(PATH_C, "link");
    put_text(PATH_D, "empty");
    put_u32(VECTORS, BUFFER);
    put_u32(VECTORS + 4, 16);
    put_u64(SUBSCRIPTIONS, 77); /* a clock that is due at once */
}

static void end_row(void) {
    guest_end();
    CHECK_OUTSIDE();
    tree_remove();
}

static void functions_are_complete(void) {
    CHECK_INT(wasi_function_count, 46);
    CHECK_INT(sizeof rows / sizeof rows[0], wasi_function_count);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const call_row *r = &rows[i];
        begin_row();
        CHECK_STRING(wasi_functions[i].name, r->name);
        uint32_t found = guest_call(r->name, r->arguments);
        if (found != r->expected) {
            check_fail(__FILE__, __LINE__, "%s: errno %u, expected %u", r->name, found,
                       r->expected);
        }
        CHECK_INT(wasi_ended(g.context), strcmp(r->name, "proc_exit") ? WASI_RUNS : WASI_EXITED);
        runtime_usage usage = {.n_calls = 0};
        wasi_add_usage(g.context, &usage);
        CHECK_INT(usage.n_calls, strcmp(r->name, "path_open") == 0 ? 1 : 2);
        end_row();
    }
}

static void expect_fault(const call_row *r, int index, uint32_t pointer) {
    uint64_t arguments[WASI_MAX_ARGUMENTS];
    memcpy(arguments, r->arguments, sizeof arguments);
    arguments[index] = pointer;
    uint32_t found = guest_call(r->name, arguments);
    if (found != FAULT) {
        check_fail(__FILE__, __LINE__, "%s with argument %d = 0x%x: errno %u, expected 21", r->name,
                   index, pointer, found);
    }
}

static void pointers_are_checked(void) {
    static const uint32_t bad[] = {MEMORY_BYTES - 1, MEMORY_BYTES, MEMORY_BYTES + 1, 0x7FFFFFFF,
                                   0x80000000,       0xFFFFFFF0,   0xFFFFFFFE,       0xFFFFFFFF};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const call_row *r = &rows[i];
        begin_row();
        for (size_t j = 0; j < sizeof bad / sizeof bad[0]; j++) {
            for (size_t k = 0; k < 4 && r->pointers[k] != 0; k++) {
                expect_fault(r, r->pointers[k], bad[j]);
            }
            if (r->first) {
                expect_fault(r, 0, bad[j]);
            }
        }
        end_row();
    }
}

/* Any address that is inside will do. */
static void pointers_need_no_alignment(void) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const call_row *r = &rows[i];
        uint64_t arguments[WASI_MAX_ARGUMENTS];
        begin_row();
        memcpy(arguments, r->arguments, sizeof arguments);
        for (size_t k = 0; k <= 4; k++) {
            int index = k < 4 ? r->pointers[k] : 0;
            bool is_result = index != 0 && (arguments[index] == 400 || arguments[index] == 500 ||
                                            arguments[index] == 1000);
            if (is_result || (k == 4 && r->first && arguments[0] == 400)) {
                arguments[index] += 1;
            }
        }
        CHECK_INT(guest_call(r->name, arguments), r->expected);
        end_row();
    }
}

static void memory_ends_where_it_ends(void) {
    begin_row();
    CHECK_INT(CALL(clock_time_get, 0, 0, MEMORY_BYTES - 8), OK);
    CHECK_INT(CALL(clock_time_get, 0, 0, MEMORY_BYTES - 7), FAULT);
    CHECK_INT(CALL(random_get, MEMORY_BYTES - 100, 100), OK);
    CHECK_INT(CALL(random_get, MEMORY_BYTES - 100, 101), FAULT);
    CHECK_INT(CALL(random_get, MEMORY_BYTES, 0), OK);
    CHECK_INT(CALL(random_get, 100, 0xFFFFFFFF), FAULT);
    CHECK_INT(CALL(fd_filestat_get, FILE_FD, MEMORY_BYTES - 64), OK);
    CHECK_INT(CALL(fd_filestat_get, FILE_FD, MEMORY_BYTES - 63), FAULT);
    put_u32(MEMORY_BYTES - 8, BUFFER);
    put_u32(MEMORY_BYTES - 4, 5);
    CHECK_INT(CALL(fd_read, FILE_FD, MEMORY_BYTES - 8, 1, 400), OK);
    CHECK_INT(CALL(fd_read, FILE_FD, MEMORY_BYTES - 8, 2, 400), FAULT);
    wasi_memory before = g.memory;
    g.memory = (wasi_memory){NULL, 0}; /* a module without memory */
    CHECK_INT(CALL(args_sizes_get, 0, 0), FAULT);
    CHECK_INT(CALL(random_get, 0, 0), OK);
    CHECK_INT(CALL(fd_write, 1, 0, 0, 0), FAULT);
    g.memory = before;
    /* The upper half of an i32 means nothing. */
    CHECK_INT(CALL(fd_tell, FILE_FD | UINT64_C(0xABCD00000000), 400 | UINT64_C(1) << 32), OK);
    end_row();
}

static void vectors_are_bounded(void) {
    begin_row();
    CHECK_INT(CALL(fd_write, 1, VECTORS, 0, 400), OK);
    CHECK_INT(get_u32(400), 0);
    static const uint32_t counts[] = {0xFFFFFFFF, 0x80000000, 0x20000000, 0x1FFFFFFF, 0x10000};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        CHECK_INT(CALL(fd_write, 1, VECTORS, counts[i], 400), FAULT);
        CHECK_INT(CALL(fd_read, FILE_FD, VECTORS, counts[i], 400), FAULT);
    }
    for (uint32_t i = 0; i < 2000; i++) { /* a byte each, of which 1024 are taken */
        put_u32(60000 + 8 * i, BUFFER);
        put_u32(60004 + 8 * i, 1);
    }
    CHECK_INT(CALL(fd_write, 1, 60000, 2000, 400), OK);
    CHECK_INT(get_u32(400), 1024);
    put_u32(VECTORS, MEMORY_BYTES - 4);
    put_u32(VECTORS + 4, 5);
    CHECK_INT(CALL(fd_write, 1, VECTORS, 1, 400), FAULT);
    put_u32(VECTORS + 4, 0xFFFFFFFF);
    CHECK_INT(CALL(fd_read, FILE_FD, VECTORS, 1, 400), FAULT);
    put_u32(VECTORS, 0xFFFFFFFF);
    put_u32(VECTORS + 4, 0); /* of no length: its pointer is not looked at */
    CHECK_INT(CALL(fd_read, FILE_FD, VECTORS, 1, 400), OK);
    end_row();
}

/* ---- arguments, folders, layouts -------------------------------------------------------- */

static void programs_get_their_arguments(void) {
    begin_row();
    CHECK_INT(CALL(args_sizes_get, 400, 404), OK);
    CHECK_INT(get_u32(400), 2);
    CHECK_INT(get_u32(404), 12);
    CHECK_INT(CALL(args_get, 401, 501), OK);
    CHECK_INT(get_u32(401), 501);
    CHECK_INT(get_u32(405), 509);
    CHECK_BYTES(g.memory.bytes + 501, "program\0one", 12);
    CHECK_INT(CALL(environ_sizes_get, 400, 404), OK);
    CHECK_INT(get_u32(400), 1);
    CHECK_INT(get_u32(404), 12);
    CHECK_INT(CALL(environ_get, 400, 500), OK);
    CHECK_BYTES(g.memory.bytes + 500, "COLOUR=blue", 12);
    CHECK_INT(CALL(fd_prestat_get, 3, 400), OK);
    CHECK_INT(get_u32(400), 0);
    CHECK_INT(get_u32(404), 5);
    CHECK_INT(CALL(fd_prestat_dir_name, 3, 400, 5), OK);
    CHECK_BYTES(g.memory.bytes + 400, "/data", 5);
    CHECK_INT(CALL(fd_prestat_dir_name, 3, 400, 4), TOO_LONG);
    CHECK_INT(CALL(fd_prestat_get, 4, 400), BAD_FD);
    CHECK_INT(CALL(fd_prestat_get, 5, 400), BAD_FD);
    CHECK_INT(wasi_violations(g.context)->count, 0); /* it is how programs find the last one */
    end_row();
}

static void structs_are_laid_out_as_they_must(void) {
    begin_row();
    memset(g.memory.bytes + 400, 0xFF, 200);
    CHECK_INT(CALL(fd_fdstat_get, FILE_FD, 400), OK);
    CHECK_INT(g.memory.bytes[400], 4);
    CHECK_INT(get_u16(402), 0);
    CHECK((get_u64(408) & READ_RIGHT) != 0 && (get_u64(408) & WRITE_RIGHT) != 0);
    CHECK_INT(get_u64(416), 0);
    CHECK_INT(g.memory.bytes[424], 0xFF);
    CHECK_INT(CALL(fd_fdstat_get, 3, 400), OK);
    CHECK_INT(g.memory.bytes[400], 3);
    CHECK_INT(get_u64(408) & (READ_RIGHT | WRITE_RIGHT), 0);
    CHECK_INT(get_u64(416) & (READ_RIGHT | WRITE_RIGHT), READ_RIGHT | WRITE_RIGHT);
    CHECK_INT(CALL(fd_fdstat_get, 1, 400), OK);
    CHECK_INT(g.memory.bytes[400], 0); /* no terminal */
    CHECK_INT(CALL(path_filestat_set_times, 3, 0, PATH_A, 4, 1500000000, 2500000000u, 5), OK);
    CHECK_INT(CALL(fd_filestat_get, FILE_FD, 400), OK);
    CHECK_INT(get_u64(416), 4);
    CHECK_INT(get_u64(424), 1);
    CHECK_INT(get_u64(432), 11);
    CHECK_INT(get_u64(440), 1500000000);
    CHECK_INT(get_u64(448), 2500000000u);
    CHECK_INT(CALL(path_filestat_get, 3, 0, PATH_A, 4, 500), OK);
    CHECK_BYTES(g.memory.bytes + 400, g.memory.bytes + 500, 64);
    struct stat s;
    CHECK_INT(stat(scratch_path("grant/file"), &s), 0);
    CHECK(get_u64(400) != s.st_dev && get_u64(408) != s.st_ino);
    CHECK_INT(CALL(path_filestat_get, 3, 0, PATH_C, 4, 400), OK);
    CHECK_INT(get_u64(416), 7);
    CHECK(get_u64(408) != get_u64(508) && get_u64(400) == get_u64(500));
    CHECK_INT(CALL(fd_filestat_set_times, FILE_FD, 1, 2, 3), INVALID); /* both now and then */
    CHECK_INT(CALL(fd_filestat_set_times, FILE_FD, 1, 2, 16), INVALID);
    CHECK_INT(CALL(fd_filestat_set_times, FILE_FD, UINT64_MAX, 0, 1), INVALID);
    end_row();
}

/* ---- descriptors ------------------------------------------------------------------------ */

static void descriptors_cannot_be_guessed(void) {
    static const uint64_t guesses[] = {5,          6,          1000,       65535,
                                       0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF};
    begin_row();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const call_row *r = &rows[i];
        if (strncmp(r->name, "fd_", 3) != 0 && strncmp(r->name, "path_", 5) != 0) {
            continue;
        }
        for (size_t j = 0; j < sizeof guesses / sizeof guesses[0]; j++) {
            uint64_t arguments[WASI_MAX_ARGUMENTS];
            memcpy(arguments, r->arguments, sizeof arguments);
            arguments[strcmp(r->name, "path_symlink") == 0 ? 2 : 0] = guesses[j];
            if (guest_call(r->name, arguments) != BAD_FD) {
                check_fail(__FILE__, __LINE__, "%s with descriptor %llu", r->name,
                           (unsigned long long)guesses[j]);
            }
        }
    }
    CHECK_INT(CALL(fd_close, FILE_FD), OK);
    CHECK_INT(CALL(fd_close, FILE_FD), BAD_FD);
    CHECK_INT(CALL(fd_renumber, 3, FILE_FD), BAD_FD);
    CHECK_INT(CALL(fd_renumber, 0xFFFFFFFF, 3), BAD_FD);
    end_row();
}

static void descriptors_are_counted(void) {
    uint32_t fd = 0;
    begin_row();
    for (uint32_t i = 1; i < 8; i++) {
        CHECK_INT(open_with("file", true, 0, READ_RIGHT, 0, &fd), OK);
        CHECK_INT(fd, FILE_FD + i);
    }
    CHECK_INT(open_with("file", true, 0, READ_RIGHT, 0, &fd), TOO_MANY_FILES);
    CHECK_INT(open_with("new", true, CREATE, WRITE_RIGHT, 0, &fd), TOO_MANY_FILES);
    CHECK(access(scratch_path("grant/new"), F_OK) != 0);
    CHECK_INT(CALL(fd_close, 6), OK);
    CHECK_INT(open_with("file", true, 0, READ_RIGHT, 0, &fd), OK);
    CHECK_INT(fd, 6);
    CHECK_INT(CALL(fd_renumber, 7, 1), OK); /* instead of standard output */
    CHECK_INT(CALL(fd_close, 7), BAD_FD);
    CHECK_STRING(read_text(1), "hello world");
    CHECK_INT(CALL(fd_renumber, 6, 6), OK);
    CHECK_INT(CALL(fd_renumber, 6, 5), OK);
    CHECK_INT(open_with("file", true, 0, READ_RIGHT, 0, &fd), OK);
    CHECK_INT(fd, 6);
    CHECK_INT(CALL(fd_close, 3), OK); /* the folder itself */
    CHECK_INT(open_with("file", true, 0, READ_RIGHT, 0, &fd), BAD_FD);
    end_row();
}

static void rights_only_narrow(void) {
    uint32_t fd;
    begin_row();
    CHECK_INT(CALL(fd_fdstat_set_rights, FILE_FD, ALL_RIGHTS, 0), REFUSED);
    CHECK_INT(CALL(fd_fdstat_set_rights, FILE_FD, READ_RIGHT, READ_RIGHT), REFUSED);
    CHECK_INT(CALL(fd_fdstat_set_rights, FILE_FD, READ_RIGHT, 0), OK);
    CHECK_INT(CALL(fd_fdstat_set_rights, FILE_FD, READ_RIGHT | WRITE_RIGHT, 0), REFUSED);
    CHECK_INT(violations_of("wasi", "fd_fdstat_set_rights"), 3);
    CHECK_STRING(read_text(FILE_FD), "hello world");
    CHECK_INT(write_text(FILE_FD, "x"), REFUSED);
    CHECK_INT(CALL(fd_tell, FILE_FD, 400), REFUSED);
    CHECK_INT(CALL(fd_seek, FILE_FD, 0, 0, 400), REFUSED);
    CHECK_INT(CALL(fd_sync, FILE_FD), REFUSED);
    CHECK_INT(CALL(fd_filestat_get, FILE_FD, 400), REFUSED);
    CHECK_INT(CALL(fd_advise, FILE_FD, 0, 0, 0), REFUSED);
    CHECK_INT(violations_of("wasi", "fd_write"), 1);
    CHECK_INT(CALL(fd_write, 0, VECTORS, 1, 400), REFUSED);
    CHECK_INT(CALL(fd_read, 1, VECTORS, 1, 400), REFUSED);
    /* What is opened has no more than what it was opened through passes on. */
    CHECK_INT(open_with("folder", true, FOLDER, ALL_RIGHTS, 0, &fd), OK);
    CHECK_INT(CALL(fd_fdstat_get, fd, 400), OK);
    uint64_t rights = get_u64(408);
    CHECK_INT(CALL(fd_fdstat_set_rights, fd, rights, READ_RIGHT), OK);
    uint64_t n = put_text(PATH_A, "inner");
    CHECK_INT(CALL(path_open, fd, 0, PATH_A, n, 0, WRITE_RIGHT, 0, 0, RESULT), REFUSED);
    CHECK_INT(CALL(path_open, fd, 0, PATH_A, n, 0, READ_RIGHT | 4, 0, 0, RESULT), OK);
    CHECK_INT(CALL(fd_fdstat_get, get_u32(RESULT), 400), OK);
    CHECK_INT(get_u64(408), READ_RIGHT);
    CHECK_INT(CALL(fd_fdstat_set_rights, fd, 0, 0), OK);
    CHECK_INT(CALL(path_open, fd, 0, PATH_A, n, 0, READ_RIGHT, 0, 0, RESULT), REFUSED);
    CHECK_INT(CALL(fd_readdir, fd, 400, 100, 0, 600), REFUSED);
    CHECK_INT(CALL(path_create_directory, fd, PATH_B, 3), REFUSED);
    CHECK_INT(CALL(path_unlink_file, fd, PATH_A, n), REFUSED);
    CHECK_INT(violations_of("path", "path_unlink_file"), 0);
    end_row();
}

static void calls_can_be_denied(void) {
    tree_make();
    guest_prepare();
    g.options.allowed = wasi_calls_strict();
    guest_start();
    CHECK_INT(CALL(path_open, 3, 0, PATH_A, 4, 0, 2, 0, 0, RESULT), REFUSED);
    CHECK_INT(CALL(poll_oneoff, 0xFFFFFFFF, 0, 0, 0), REFUSED);
    CHECK_INT(CALL(sock_send, 1, 0, 0, 0, 0), REFUSED);
    CHECK_INT(CALL(sock_send, 1, 0, 0, 0, 0), REFUSED);
    CHECK_INT(violations_of("wasi", "path_open"), 1);
    CHECK_INT(violations_of("wasi", "poll_oneoff"), 1);
    CHECK_INT(violations_of("wasi", "sock_send"), 2);
    CHECK_INT(write_text(1, "x"), OK);
    wasi_call_set set = 0;
    CHECK(wasi_calls_add(&set, "fd_prestat_*") && set != 0);
    CHECK_INT(__builtin_popcountll(set), 2);
    CHECK(wasi_calls_add(&set, "sched_yield"));
    CHECK(!wasi_calls_add(&set, "fd_") && !wasi_calls_add(&set, "") &&
          !wasi_calls_add(&set, "x*") && !wasi_calls_add(&set, "fd_read2"));
    CHECK_INT(__builtin_popcountll(set), 3);
    CHECK_INT(__builtin_popcountll(wasi_calls_strict()), 14);
    CHECK_INT(__builtin_popcountll(wasi_calls_standard()), 41);
    guest_end();
    tree_remove();
}

/* ---- files ------------------------------------------------------------------------------ */

static void files_are_read_and_written(void) {
    uint32_t fd;
    begin_row();
    CHECK_STRING(read_text(FILE_FD), "hello world");
    CHECK_STRING(read_text(FILE_FD), "");
    CHECK_INT(CALL(fd_seek, FILE_FD, (uint64_t)-5, 2, 400), OK);
    CHECK_INT(get_u64(400), 6);
    CHECK_STRING(read_text(FILE_FD), "world");
    CHECK_INT(CALL(fd_seek, FILE_FD, (uint64_t)-12, 1, 400), INVALID);
    CHECK_INT(CALL(fd_seek, FILE_FD, INT64_MAX, 1, 400), INVALID);
    CHECK_INT(CALL(fd_seek, FILE_FD, 0, 3, 400), INVALID);
    CHECK_INT(CALL(fd_tell, FILE_FD, 400), OK);
    CHECK_INT(get_u64(400), 11);
    CHECK_INT(write_text(FILE_FD, "!"), OK);
    put_u32(VECTORS, BUFFER);
    put_u32(VECTORS + 4, 1);
    put_u32(VECTORS + 8, BUFFER + 1);
    put_u32(VECTORS + 12, 2);
    put_text(BUFFER, "HEY");
    CHECK_INT(CALL(fd_pwrite, FILE_FD, VECTORS, 2, 0, 400), OK);
    CHECK_INT(get_u32(400), 3);
    CHECK_INT(CALL(fd_pread, FILE_FD, VECTORS, 2, 9, 400), OK);
    CHECK_INT(get_u32(400), 3);
    CHECK_BYTES(g.memory.bytes + BUFFER, "ld!", 3);
    CHECK_INT(CALL(fd_pread, FILE_FD, VECTORS, 2, 12, 400), OK);
    CHECK_INT(get_u32(400), 0);
    CHECK_INT(CALL(fd_pread, FILE_FD, VECTORS, 2, UINT64_MAX, 400), INVALID);
    CHECK_INT(CALL(fd_tell, FILE_FD, 400), OK);
    CHECK_INT(get_u64(400), 12);
    CHECK_INT(CALL(fd_seek, FILE_FD, 0, 0, 400), OK);
    CHECK_STRING(read_text(FILE_FD), "HEYlo world!");
    CHECK_INT(CALL(fd_filestat_set_size, FILE_FD, 3), OK);
    CHECK_INT(CALL(fd_allocate, FILE_FD, 0, 2), OK); /* never shortens */
    CHECK_INT(open_with("file", true, 0, WRITE_RIGHT | READ_RIGHT | 4, 1, &fd), OK);
    CHECK_INT(write_text(fd, "-end"), OK);
    CHECK_INT(CALL(fd_seek, fd, 0, 0, 400), OK);
    CHECK_STRING(read_text(fd), "HEY-end");
    CHECK_INT(CALL(fd_fdstat_set_flags, fd, 0), REFUSED); /* it did not ask for that right */
    CHECK_INT(CALL(fd_fdstat_set_flags, FILE_FD, 1), OK);
    CHECK_INT(CALL(fd_seek, FILE_FD, 0, 0, 400), OK);
    CHECK_INT(write_text(FILE_FD, "."), OK);
    CHECK_INT(CALL(fd_tell, FILE_FD, 400), OK);
    CHECK_INT(get_u64(400), 8);
    CHECK_INT(CALL(fd_fdstat_set_flags, FILE_FD, 2), UNSUPPORTED);
    CHECK_INT(CALL(fd_fdstat_set_flags, FILE_FD, 32), INVALID);
    CHECK_INT(CALL(fd_advise, FILE_FD, 0, 0, 6), INVALID);
    CHECK_INT(CALL(fd_allocate, FILE_FD, 0, 0), INVALID);
    CHECK_INT(CALL(fd_allocate, FILE_FD, UINT64_MAX, 2), TOO_BIG);
    CHECK_INT(wasi_ended(g.context), WASI_RUNS);
    end_row();
}

static void kinds_are_told_apart(void) {
    begin_row();
    put_u32(VECTORS, BUFFER);
    put_u32(VECTORS + 4, 4);
    CHECK_INT(CALL(fd_read, 3, VECTORS, 1, 400), IS_FOLDER);
    CHECK_INT(CALL(fd_write, 3, VECTORS, 1, 400), IS_FOLDER);
    CHECK_INT(CALL(fd_seek, 3, 0, 0, 400), IS_FOLDER);
    CHECK_INT(CALL(fd_readdir, FILE_FD, 400, 100, 0, 600), NOT_FOLDER);
    CHECK_INT(CALL(path_unlink_file, FILE_FD, PATH_A, 4), NOT_FOLDER);
    CHECK_INT(CALL(fd_seek, 1, 0, 1, 400), NO_SEEK); /* as programs try their streams */
    CHECK_INT(CALL(fd_tell, 0, 400), NO_SEEK);
    CHECK_INT(CALL(fd_pread, 0, VECTORS, 1, 0, 400), NO_SEEK);
    CHECK_INT(CALL(fd_sync, 3), OK);
    CHECK_INT(wasi_violations(g.context)->count, 0);
    end_row();
}

/* Reads a folder through a buffer of a size; returns how many entries there were. */
static unsigned list(uint32_t fd, uint32_t room, unsigned *n_folders) {
    uint64_t cookie = 0;
    unsigned n = 0;
    *n_folders = 0;
    for (;;) {
        CHECK_INT(CALL(fd_readdir, fd, BUFFER, room, cookie, 400), OK);
        uint32_t used = get_u32(400);
        uint32_t at = 0;
        CHECK(used <= room);
        while (at + 24 <= used && at + 24 + get_u32(BUFFER + at + 16) <= used) {
            cookie = get_u64(BUFFER + at);
            *n_folders += g.memory.bytes[BUFFER + at + 20] == 3;
            CHECK(get_u64(BUFFER + at + 8) != 0);
            at += 24 + get_u32(BUFFER + at + 16);
            n++;
        }
        if (used < room) {
            return n;
        }
    }
}

static void folders_are_listed(void) {
    uint32_t fd;
    unsigned n_folders;
    begin_row();
    CHECK_INT(open_with("folder", true, FOLDER, ALL_RIGHTS, 0, &fd), OK);
    for (unsigned i = 0; i < 300; i++) {
        char name[64];
        snprintf(name, sizeof name, "grant/folder/number-%u", i);
        grant_write(name, "");
    }
    for (uint32_t room = 48; room < 12000; room = room * 3 / 2) {
        CHECK_INT(list(fd, room, &n_folders), 305);
        CHECK_INT(n_folders, 2);
    }
    CHECK_INT(CALL(fd_readdir, fd, BUFFER, 24 + 1 + 24 + 2, 0, 400), OK);
    CHECK_INT(get_u64(BUFFER), 1);
    CHECK_INT(get_u32(BUFFER + 16), 1);
    CHECK_BYTES(g.memory.bytes + BUFFER + 24, ".", 1);
    CHECK_INT(get_u64(BUFFER + 25), 2);
    CHECK_BYTES(g.memory.bytes + BUFFER + 49, "..", 2);
    CHECK_INT(CALL(fd_readdir, fd, BUFFER, 10, 0, 400), OK); /* less than a head */
    CHECK_INT(get_u32(400), 10);
    CHECK_INT(CALL(fd_readdir, fd, BUFFER, 0, 0, 400), OK);
    CHECK_INT(get_u32(400), 0);
    CHECK_INT(CALL(fd_readdir, fd, BUFFER, 100, UINT64_MAX, 400), OK);
    CHECK_INT(get_u32(400), 0);
    CHECK_INT(CALL(fd_readdir, fd, BUFFER, 100, 304, 400), OK); /* back */
    CHECK(get_u32(400) > 24 && get_u32(400) < 100);
    end_row();
}

/* ---- limits ----------------------------------------------------------------------------- */

static void output_is_bounded(void) {
    tree_make();
    guest_prepare();
    g.options.output_bytes = 10;
    guest_start();
    CHECK_INT(write_text(1, "12345"), OK);
    CHECK_INT(write_text(2, "67"), OK);
    CHECK_INT(write_text(1, "890"), OK);
    CHECK_INT(wasi_ended(g.context), WASI_RUNS);
    CHECK_INT(write_text(1, ""), OK);
    CHECK_INT(wasi_ended(g.context), WASI_RUNS);
    (void)write_text(2, "more");
    CHECK_INT(wasi_ended(g.context), WASI_OUTPUT);
    CHECK_INT(write_text(1, "x"), INTERRUPTED);
    CHECK_STRING(wasi_output(g.context).data, "12345890");
    CHECK_STRING(wasi_errors(g.context).data, "67");
    CHECK_INT(wasi_output(g.context).length, 8);
    guest_end();
    guest_prepare();
    g.options.output_bytes = 12345678;
    guest_start();
    put_u32(VECTORS, 0);
    put_u32(VECTORS + 4, MEMORY_BYTES);
    for (unsigned i = 0; i < 1000 && wasi_ended(g.context) == WASI_RUNS; i++) {
        (void)CALL(fd_write, 1, VECTORS, 1, 400);
    }
    CHECK_INT(wasi_ended(g.context), WASI_OUTPUT);
    CHECK_INT(wasi_output(g.context).length, 12345678);
    guest_end();
    tree_remove();
}

static void start_with_file_limit(uint32_t *fd) {
    guest_prepare();
    g.options.file_bytes = 1000;
    guest_start();
    CHECK_INT(open_with("file", true, 0, ALL_RIGHTS, 0, fd), OK);
    CHECK_INT(CALL(fd_filestat_set_size, *fd, 1000), OK);
    CHECK_INT(wasi_ended(g.context), WASI_RUNS);
}

static void end_with_file_limit(void) {
    struct stat s;
    CHECK_INT(wasi_ended(g.context), WASI_FILE_SIZE);
    CHECK_INT(stat(scratch_path("grant/file"), &s), 0);
    CHECK_INT(s.st_size, 1000);
    guest_end();
}

static void files_are_bounded(void) {
    uint32_t fd;
    tree_make();
    start_with_file_limit(&fd);
    CHECK_INT(CALL(fd_filestat_set_size, fd, 1001), TOO_BIG);
    end_with_file_limit();
    start_with_file_limit(&fd);
    CHECK_INT(CALL(fd_allocate, fd, 500, 501), TOO_BIG);
    end_with_file_limit();
    start_with_file_limit(&fd);
    CHECK_INT(CALL(fd_seek, fd, 999, 0, 400), OK);
    CHECK_INT(write_text(fd, "x"), OK);
    CHECK_INT(write_text(fd, "x"), TOO_BIG);
    end_with_file_limit();
    start_with_file_limit(&fd);
    CHECK_INT(CALL(fd_fdstat_set_flags, fd, 1), OK);
    CHECK_INT(write_text(fd, "x"), TOO_BIG);
    end_with_file_limit();
    start_with_file_limit(&fd);
    put_u32(VECTORS, BUFFER);
    put_u32(VECTORS + 4, 1);
    CHECK_INT(CALL(fd_pwrite, fd, VECTORS, 1, (uint64_t)1 << 40, 400), TOO_BIG);
    end_with_file_limit();
    start_with_file_limit(&fd);
    CHECK_INT(CALL(fd_pwrite, fd, VECTORS, 1, UINT64_MAX, 400), TOO_BIG); /* of no bytes */
    CHECK_INT(wasi_ended(g.context), WASI_RUNS);
    guest_end();
    tree_remove();
}

static bool says_no(void *user) {
    unsigned *n = user;
    ++*n;
    return false;
}

static uint64_t run_to_end(const char *name, const uint64_t *arguments) {
    uint64_t before = platform_clock_ns();
    (void)guest_call(name, arguments);
    return (platform_clock_ns() - before) / MS;
}

static void waiting_ends(void) {
    static const uint64_t clock_wait[WASI_MAX_ARGUMENTS] = {SUBSCRIPTIONS, EVENTS, 1, 400};
    static const uint64_t input_wait[WASI_MAX_ARGUMENTS] = {0, VECTORS, 1, 400};
    platform_handle read_end, write_end;
    unsigned n_asked = 0;
    tree_make();
    CHECK_INT(platform_pipe(&read_end, &write_end, NULL), TARS_OK);
    for (int i = 0; i < 4; i++) {
        guest_prepare();
        g.options.input = read_end;
        g.options.deadline_ns = i < 2 ? platform_clock_ns() + 50 * MS : 0;
        g.options.goes_on = i < 2 ? NULL : says_no;
        g.options.user = &n_asked;
        guest_start();
        put_u64(SUBSCRIPTIONS + 24, 3600000 * MS);
        put_u32(VECTORS, BUFFER);
        put_u32(VECTORS + 4, 10);
        uint64_t ms =
            i % 2 == 0 ? run_to_end("poll_oneoff", clock_wait) : run_to_end("fd_read", input_wait);
        CHECK_INT(wasi_ended(g.context), i < 2 ? WASI_TIME : WASI_STOPPED);
        CHECK(ms < 1000 && (i >= 2 || ms >= 40));
        guest_end();
    }
    CHECK_INT(n_asked, 2);
    platform_handle_close(read_end);
    platform_handle_close(write_end);
    tree_remove();
}

static void long_calls_end(void) {
    uint64_t size_bytes = (uint64_t)4 << 30;
    void *big;
    tree_make();
    guest_prepare();
    g.options.deadline_ns = platform_clock_ns() + 50 * MS;
    guest_start();
    if (sizeof size_bytes > sizeof(size_t) ||
        platform_reserve((size_t)size_bytes, false, &big, NULL) != TARS_OK) {
        check_skip("no room for a memory of 4 GiB");
    } else {
        uint8_t *small = g.memory.bytes;
        g.memory = (wasi_memory){big, (size_t)size_bytes};
        CHECK(run_to_end("random_get", (const uint64_t[WASI_MAX_ARGUMENTS]){0, 0xFFFFFFFF}) < 500);
        CHECK_INT(wasi_ended(g.context), WASI_TIME);
        g.memory = (wasi_memory){small, MEMORY_BYTES};
        platform_release(big, (size_t)size_bytes);
    }
    guest_end();
    tree_remove();
}

/* ---- clocks, waiting, input ------------------------------------------------------------- */

static uint64_t time_of(uint32_t clock) {
    CHECK_INT(CALL(clock_time_get, clock, 0, 400), OK);
    return get_u64(400);
}

static void clocks_are_coarse(void) {
    tree_make();
    guest_prepare();
    g.options.clock_resolution_ns = 20 * MS;
    guest_start();
    for (uint32_t clock = 0; clock < 4; clock++) {
        CHECK_INT(CALL(clock_res_get, clock, 400), OK);
        CHECK_INT(get_u64(400), 20 * MS);
        CHECK_INT(time_of(clock) % (20 * MS), 0);
    }
    CHECK(time_of(1) < 10000 * MS); /* not the host's */
    int64_t wall = platform_wall_clock_ns() - (int64_t)time_of(0);
    CHECK(wall >= 0 && wall < (int64_t)(1000 * MS));
    CHECK_INT(CALL(clock_time_get, 4, 0, 400), INVALID);
    CHECK_INT(CALL(clock_res_get, 0xFFFFFFFF, 400), INVALID);
    uint32_t fd;
    CHECK_INT(open_with("new", true, CREATE, ALL_RIGHTS, 0, &fd), OK); /* a file is a clock, too */
    CHECK_INT(CALL(fd_filestat_get, fd, 400), OK);
    CHECK_INT(get_u64(440) % (20 * MS), 0);
    CHECK_INT(get_u64(448) % (20 * MS), 0);
    CHECK_INT(get_u64(456) % (20 * MS), 0);
    guest_end();
    tree_remove();
}

static void put_subscription(unsigned index, uint64_t user, uint8_t type, uint32_t which,
                             uint64_t timeout_ns, uint16_t flags) {
    uint32_t at = SUBSCRIPTIONS + 48 * index;
    memset(g.memory.bytes + at, 0, 48);
    put_u64(at, user);
    g.memory.bytes[at + 8] = type;
    put_u32(at + 16, which);
    put_u64(at + 24, timeout_ns);
    memcpy(g.memory.bytes + at + 40, &flags, sizeof flags);
}

static void polling_waits(void) {
    platform_handle read_end, write_end;
    tree_make();
    CHECK_INT(platform_pipe(&read_end, &write_end, NULL), TARS_OK);
    guest_prepare();
    g.options.input = read_end;
    guest_start();
    put_subscription(0, 11, 0, 1, 30 * MS, 0);
    put_subscription(1, 12, 1, 0, 0, 0);
    uint64_t before = platform_clock_ns();
    CHECK_INT(CALL(poll_oneoff, SUBSCRIPTIONS, EVENTS, 2, 400), OK);
    CHECK(platform_clock_ns() - before >= 30 * MS);
    CHECK_INT(get_u32(400), 1);
    CHECK_INT(get_u64(EVENTS), 11);
    CHECK_INT(get_u16(EVENTS + 8), 0);
    CHECK_INT(g.memory.bytes[EVENTS + 10], 0);
    put_subscription(0, 11, 0, 1, 3600000 * MS, 0);
    CHECK_INT(platform_handle_write(write_end, "hey", 3, NULL), TARS_OK);
    CHECK_INT(CALL(poll_oneoff, SUBSCRIPTIONS, EVENTS, 2, 400), OK);
    CHECK_INT(get_u32(400), 1);
    CHECK_INT(get_u64(EVENTS), 12);
    CHECK_INT(g.memory.bytes[EVENTS + 10], 1);
    CHECK_STRING(read_text(0), "hey");
    CHECK_INT(CALL(fd_fdstat_set_flags, 0, 4), OK);
    put_u32(VECTORS, BUFFER);
    put_u32(VECTORS + 4, 10);
    CHECK_INT(CALL(fd_read, 0, VECTORS, 1, 400), AGAIN);
    platform_handle_close(write_end);
    CHECK_INT(CALL(fd_read, 0, VECTORS, 1, 400), OK);
    CHECK_INT(get_u32(400), 0);
    put_subscription(0, 21, 0, 1, time_of(1) + 20 * MS, 1);
    before = platform_clock_ns();
    CHECK_INT(CALL(poll_oneoff, SUBSCRIPTIONS, EVENTS, 1, 400), OK);
    CHECK(platform_clock_ns() - before >= 15 * MS);
    put_subscription(0, 22, 0, 0, 1, 1); /* long ago */
    put_subscription(1, 23, 2, 1, 0, 0);
    put_subscription(2, 24, 1, 99, 0, 0);
    put_subscription(3, 25, 0, 2, 0, 0); /* nobody waits for processor time */
    put_subscription(4, 26, 9, 0, 0, 0);
    CHECK_INT(CALL(poll_oneoff, SUBSCRIPTIONS, EVENTS, 5, 400), OK);
    CHECK_INT(get_u32(400), 5);
    CHECK_INT(get_u16(EVENTS + 32 * 2 + 8), BAD_FD);
    CHECK_INT(get_u16(EVENTS + 32 * 3 + 8), INVALID);
    CHECK_INT(get_u16(EVENTS + 32 * 4 + 8), INVALID);
    uint32_t fd;
    CHECK_INT(open_with("file", true, 0, READ_RIGHT | POLL_RIGHT, 0, &fd), OK);
    put_subscription(0, 31, 1, fd, 0, 0);
    put_subscription(1, 32, 2, fd, 0, 0);
    put_subscription(2, 33, 1, 3, 0, 0);
    CHECK_INT(CALL(poll_oneoff, SUBSCRIPTIONS, EVENTS, 3, 400), OK);
    CHECK_INT(get_u32(400), 3);
    CHECK_INT(get_u64(EVENTS + 16), 11);
    CHECK_INT(get_u16(EVENTS + 32 + 8), BAD_FD); /* it is not open for writing */
    CHECK_INT(get_u16(EVENTS + 64 + 8), IS_FOLDER);
    CHECK_INT(CALL(poll_oneoff, SUBSCRIPTIONS, EVENTS, 0, 400), INVALID);
    CHECK_INT(CALL(poll_oneoff, SUBSCRIPTIONS, EVENTS, 1 << 20, 400), INVALID);
    CHECK_INT(CALL(poll_oneoff, SUBSCRIPTIONS, EVENTS, 0xFFFFFFFF, 400), INVALID);
    CHECK_INT(CALL(poll_oneoff, SUBSCRIPTIONS, EVENTS, 4096, 400), FAULT);
    CHECK_INT(CALL(poll_oneoff, SUBSCRIPTIONS, SUBSCRIPTIONS, 5, 400), OK); /* onto each other */
    guest_end();
    platform_handle_close(read_end);
    tree_remove();
}

static void programs_end(void) {
    begin_row();
    CHECK_STRING(read_text(0), ""); /* there is no input */
    CHECK_INT(CALL(proc_exit, 0xFFFFFFFF), OK);
    CHECK_INT(wasi_ended(g.context), WASI_EXITED);
    CHECK_INT(wasi_exit_code(g.context), 0xFFFFFFFF);
    CHECK_INT(write_text(1, "x"), INTERRUPTED);
    CHECK_INT(wasi_output(g.context).length, 0);
    runtime_usage usage = {.n_calls = 0};
    wasi_add_usage(g.context, &usage);
    CHECK_INT(usage.n_calls, 3); /* path_open, fd_read, proc_exit */
    end_row();
    begin_row();
    CHECK_STRING(read_text(FILE_FD), "hello world");
    CHECK_INT(write_text(FILE_FD, "12"), OK);
    CHECK_INT(write_text(2, "345"), OK);
    usage = (runtime_usage){.n_calls = 0};
    wasi_add_usage(g.context, &usage);
    CHECK_INT(usage.bytes_in, 11);
    CHECK_INT(usage.bytes_out, 5);
    end_row();
}

static void bad_grants_are_told(void) {
    tars_error err;
    tree_make();
    guest_prepare();
    guest_folders[0].host = scratch_path("grant/nowhere");
    CHECK_INT(wasi_create(&g.options, &g.context, &err), TARS_NOT_FOUND);
    CHECK(g.context == NULL && err.message[0] != '\0');
    guest_folders[0].host = scratch_path("grant/file");
    CHECK(wasi_create(&g.options, &g.context, &err) != TARS_OK);
    guest_folders[0] = (wasi_folder){.host = scratch_path("grant"), .guest = "data"};
    CHECK_INT(wasi_create(&g.options, &g.context, &err), TARS_USAGE);
    tree_remove();
}

static const check_test table[] = {
    {"functions are complete", functions_are_complete},
    {"pointers are checked", pointers_are_checked},
    {"pointers need no alignment", pointers_need_no_alignment},
    {"memory ends where it ends", memory_ends_where_it_ends},
    {"vectors are bounded", vectors_are_bounded},
    {"programs get their arguments", programs_get_their_arguments},
    {"structs are laid out as they must", structs_are_laid_out_as_they_must},
    {"descriptors cannot be guessed", descriptors_cannot_be_guessed},
    {"descriptors are counted", descriptors_are_counted},
    {"rights only narrow", rights_only_narrow},
    {"calls can be denied", calls_can_be_denied},
    {"files are read and written", files_are_read_and_written},
    {"kinds are told apart", kinds_are_told_apart},
    {"folders are listed", folders_are_listed},
    {"output is bounded", output_is_bounded},
    {"files are bounded", files_are_bounded},
    {"waiting ends", waiting_ends},
    {"long calls end", long_calls_end},
    {"clocks are coarse", clocks_are_coarse},
    {"polling waits", polling_waits},
    {"programs end", programs_end},
    {"bad grants are told", bad_grants_are_told},
};

CHECK_MAIN(table)
