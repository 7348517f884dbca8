/* WASI: no path leads out of a granted folder, whoever resolves it, and whatever happens to the
 * folder meanwhile. */
#include "runtime/wasi_fixture.h"

#include <stdatomic.h>

enum { OK = 0, ACCESS = 2, BUSY = 10, EXISTS = 20, SEQUENCE = 25, INVALID = 28, IS_FOLDER = 31 };
enum { LOOP = 32, TOO_LONG = 37, MISSING = 44, NOT_FOLDER = 54, NOT_EMPTY = 55, PERMISSION = 63 };
enum { READ_ONLY = 69, OUT = 76 };
enum { CREATE = 1, FOLDER = 2, NEW = 4, EMPTY = 8 };

typedef struct path_row {
    const char *call;
    const char *path, *second; /* second: the other path, a link's target … */
    unsigned flag;             /* 1: links are followed */
    uint32_t expected;
} path_row;

/* Fresh folder and guest for each row, since most rows change something. */
static const path_row rows[] = {
    {"path_open", "file", NULL, 1, OK},
    {"path_open", "./file", NULL, 1, OK},
    {"path_open", ".//folder///inner", NULL, 1, OK},
    {"path_open", "folder/../file", NULL, 1, OK},
    {"path_open", "folder/./../folder/inner", NULL, 1, OK},
    {"path_open", "folder/up", NULL, 1, OK},
    {"path_open", "linkdir/inner", NULL, 1, OK},
    {"path_open", "linkdir/../file", NULL, 1, OK},
    {"path_open", "linkdir/up", NULL, 1, OK},
    {"path_open", "slashdir", NULL, 1, OK},
    {"path_open", "slashdir/inner", NULL, 1, OK},
    {"path_open", ".", NULL, 1, OK},
    {"path_open", "./", NULL, 1, OK},
    {"path_open", "folder/", NULL, 1, OK},
    {"path_open", "folder/..", NULL, 1, OK},
    {"path_open", "linkdir/", NULL, 0, OK},
    {"path_open", "chain-40", NULL, 1, OK},
    {"path_open", "chain-41", NULL, 1, LOOP},
    {"path_open", "link", NULL, 0, LOOP},
    {"path_open", "loop", NULL, 1, LOOP},
    {"path_open", "loop/x", NULL, 1, LOOP},
    {"path_open", "ring-a", NULL, 1, LOOP},
    {"path_open", "", NULL, 1, MISSING},
    {"path_open", "missing", NULL, 1, MISSING},
    {"path_open", "missing/..", NULL, 1, MISSING},
    {"path_open", "dangling", NULL, 1, MISSING},
    {"path_open", "file/", NULL, 1, NOT_FOLDER},
    {"path_open", "file/.", NULL, 1, NOT_FOLDER},
    {"path_open", "file/..", NULL, 1, NOT_FOLDER},
    {"path_open", "link/", NULL, 1, NOT_FOLDER},
    {"path_open", "fifo", NULL, 1, ACCESS},
    {"path_open", "socket", NULL, 1, ACCESS},
    {"path_open", "fifo", NULL, 0, ACCESS},
    {"path_open", "/", NULL, 1, OUT},
    {"path_open", "/data/file", NULL, 1, OUT},
    {"path_open", "//file", NULL, 1, OUT},
    {"path_open", "..", NULL, 1, OUT},
    {"path_open", "../", NULL, 1, OUT},
    {"path_open", "./..", NULL, 1, OUT},
    {"path_open", "../grant/file", NULL, 1, OUT},
    {"path_open", "../outside/secret", NULL, 1, OUT},
    {"path_open", "folder/../../outside/secret", NULL, 1, OUT},
    {"path_open", "folder/upup", NULL, 1, OUT},
    {"path_open", "linkdir/../../outside/secret", NULL, 1, OUT},
    {"path_open", "out", NULL, 1, OUT},
    {"path_open", "out", NULL, 0, LOOP},
    {"path_open", "outdir", NULL, 1, OUT},
    {"path_open", "outdir/", NULL, 0, OUT},
    {"path_open", "outdir/secret", NULL, 0, OUT},
    {"path_open", "outdir/../grant/file", NULL, 1, OUT},
    {"path_open", "dotdot", NULL, 1, OUT},
    {"path_open", "dotdot/outside/secret", NULL, 0, OUT},
    {"path_open", "absolute", NULL, 1, OUT},
    {"path_open", "root", NULL, 1, OUT},
    {"path_open", "root/etc/passwd", NULL, 0, OUT},
    {"path_filestat_get", "file", NULL, 1, OK},
    {"path_filestat_get", "link", NULL, 0, OK},
    {"path_filestat_get", "out", NULL, 0, OK},
    {"path_filestat_get", "out", NULL, 1, OUT},
    {"path_filestat_get", "out/", NULL, 0, OUT},
    {"path_filestat_get", "fifo", NULL, 1, OK},
    {"path_filestat_get", "file/", NULL, 0, NOT_FOLDER},
    {"path_filestat_get", "..", NULL, 0, OUT},
    {"path_filestat_get", "outdir/secret", NULL, 0, OUT},
    {"path_filestat_get", "loop", NULL, 1, LOOP},
    {"path_filestat_get", "loop", NULL, 0, OK},
    {"path_filestat_get", "chain-40", NULL, 1, OK},
    {"path_filestat_get", "chain-41", NULL, 1, LOOP},
    {"path_filestat_set_times", "link", NULL, 1, OK},
    {"path_filestat_set_times", "out", NULL, 0, OK},
    {"path_filestat_set_times", "out", NULL, 1, OUT},
    {"path_filestat_set_times", "outdir/secret", NULL, 0, OUT},
    {"path_filestat_set_times", "file/", NULL, 1, NOT_FOLDER},
    {"path_filestat_set_times", "folder/..", NULL, 0, OK},
    {"path_create_directory", "new", NULL, 0, OK},
    {"path_create_directory", "new/", NULL, 0, OK},
    {"path_create_directory", "folder/../new", NULL, 0, OK},
    {"path_create_directory", "linkdir/new", NULL, 0, OK},
    {"path_create_directory", "file", NULL, 0, EXISTS},
    {"path_create_directory", "dangling", NULL, 0, EXISTS},
    {"path_create_directory", "dangling-out", NULL, 0, EXISTS},
    {"path_create_directory", ".", NULL, 0, EXISTS},
    {"path_create_directory", "folder/..", NULL, 0, EXISTS},
    {"path_create_directory", "file/x", NULL, 0, NOT_FOLDER},
    {"path_create_directory", "missing/x", NULL, 0, MISSING},
    {"path_create_directory", "", NULL, 0, MISSING},
    {"path_create_directory", "..", NULL, 0, OUT},
    {"path_create_directory", "../x", NULL, 0, OUT},
    {"path_create_directory", "/x", NULL, 0, OUT},
    {"path_create_directory", "outdir/x", NULL, 0, OUT},
    {"path_create_directory", "dotdot/x", NULL, 0, OUT},
    {"path_unlink_file", "file", NULL, 0, OK},
    {"path_unlink_file", "out", NULL, 0, OK},
    {"path_unlink_file", "fifo", NULL, 0, OK},
    {"path_unlink_file", "file/", NULL, 0, NOT_FOLDER},
    {"path_unlink_file", "outdir/", NULL, 0, NOT_FOLDER},
    {"path_unlink_file", "empty", NULL, 0, IS_FOLDER},
    {"path_unlink_file", "empty/", NULL, 0, IS_FOLDER},
    {"path_unlink_file", ".", NULL, 0, IS_FOLDER},
    {"path_unlink_file", "missing", NULL, 0, MISSING},
    {"path_unlink_file", "..", NULL, 0, OUT},
    {"path_unlink_file", "../outside/secret", NULL, 0, OUT},
    {"path_unlink_file", "outdir/secret", NULL, 0, OUT},
    {"path_remove_directory", "empty", NULL, 0, OK},
    {"path_remove_directory", "empty/", NULL, 0, OK},
    {"path_remove_directory", "folder", NULL, 0, NOT_EMPTY},
    {"path_remove_directory", "file", NULL, 0, NOT_FOLDER},
    {"path_remove_directory", "linkdir", NULL, 0, NOT_FOLDER},
    {"path_remove_directory", "outdir/", NULL, 0, NOT_FOLDER},
    {"path_remove_directory", ".", NULL, 0, INVALID},
    {"path_remove_directory", "..", NULL, 0, OUT},
    {"path_remove_directory", "../outside", NULL, 0, OUT},
    {"path_rename", "file", "new", 0, OK},
    {"path_rename", "file", "folder/inner", 0, OK},
    {"path_rename", "out", "moved", 0, OK},
    {"path_rename", "folder", "empty", 0, OK},
    {"path_rename", "folder/", "new/", 0, OK},
    {"path_rename", "folder", "folder/sub", 0, INVALID},
    {"path_rename", "file", "folder", 0, IS_FOLDER},
    {"path_rename", "folder", "file", 0, NOT_FOLDER},
    {"path_rename", "file", "new/", 0, NOT_FOLDER},
    {"path_rename", "file/", "new", 0, NOT_FOLDER},
    {"path_rename", "outdir/", "new", 0, NOT_FOLDER},
    {"path_rename", "missing", "new", 0, MISSING},
    {"path_rename", ".", "new", 0, BUSY},
    {"path_rename", "file", ".", 0, BUSY},
    {"path_rename", "file", "..", 0, OUT},
    {"path_rename", "file", "../x", 0, OUT},
    {"path_rename", "file", "/x", 0, OUT},
    {"path_rename", "file", "outdir/x", 0, OUT},
    {"path_rename", "../outside/secret", "x", 0, OUT},
    {"path_rename", "outdir/secret", "x", 0, OUT},
    {"path_link", "file", "new", 0, OK},
    {"path_link", "link", "new", 0, OK},
    {"path_link", "link", "new", 1, OK},
    {"path_link", "out", "new", 0, OK},
    {"path_link", "out", "new", 1, OUT},
    {"path_link", "folder", "new", 0, PERMISSION},
    {"path_link", ".", "new", 0, PERMISSION},
    {"path_link", "file", "folder", 0, EXISTS},
    {"path_link", "file", "folder/", 0, EXISTS},
    {"path_link", "file", ".", 0, EXISTS},
    {"path_link", "file", "new/", 0, MISSING},
    {"path_link", "file/", "new", 0, NOT_FOLDER},
    {"path_link", "file", "../x", 0, OUT},
    {"path_link", "../outside/secret", "x", 0, OUT},
    {"path_link", "outdir/secret", "x", 0, OUT},
    {"path_link", "root/etc/passwd", "x", 1, OUT},
    {"path_symlink", "new", "file", 0, OK},
    {"path_symlink", "new", "../outside", 0, OUT},
    {"path_symlink", "new", "sub/../file", 0, OUT}, /* no link may climb: it could be moved */
    {"path_symlink", "new", "/etc", 0, OUT},
    {"path_symlink", "new", "", 0, MISSING},
    {"path_symlink", "file", "x", 0, EXISTS},
    {"path_symlink", ".", "x", 0, EXISTS},
    {"path_symlink", "new/", "x", 0, MISSING},
    {"path_symlink", "../y", "x", 0, OUT},
    {"path_symlink", "outdir/y", "x", 0, OUT},
    {"path_readlink", "link", "file", 0, OK},
    {"path_readlink", "folder/up", "../file", 0, OK},
    {"path_readlink", "out", "../outside/secret", 0, OK},
    {"path_readlink", "file", NULL, 0, INVALID},
    {"path_readlink", ".", NULL, 0, INVALID},
    {"path_readlink", "linkdir/", NULL, 0, INVALID},
    {"path_readlink", "absolute", NULL, 0, OUT}, /* a name of the host */
    {"path_readlink", "..", NULL, 0, OUT},
};

static uint32_t call_row(const path_row *r, bool *ends_well) {
    uint64_t a = put_text(PATH_A, r->path);
    uint64_t b = r->second ? put_text(PATH_B, r->second) : 0;
    *ends_well = true;
    if (strcmp(r->call, "path_open") == 0) {
        return CALL(path_open, FOLDER_FD, r->flag, PATH_A, a, 0, READ_RIGHT, 0, 0, RESULT);
    }
    if (strcmp(r->call, "path_filestat_get") == 0) {
        return CALL(path_filestat_get, FOLDER_FD, r->flag, PATH_A, a, RESULT);
    }
    if (strcmp(r->call, "path_filestat_set_times") == 0) {
        return CALL(path_filestat_set_times, FOLDER_FD, r->flag, PATH_A, a, 1000, 2000, 5);
    }
    if (strcmp(r->call, "path_rename") == 0) {
        return CALL(path_rename, FOLDER_FD, PATH_A, a, FOLDER_FD, PATH_B, b);
    }
    if (strcmp(r->call, "path_link") == 0) {
        return CALL(path_link, FOLDER_FD, r->flag, PATH_A, a, FOLDER_FD, PATH_B, b);
    }
    if (strcmp(r->call, "path_symlink") == 0) {
        return CALL(path_symlink, PATH_B, b, FOLDER_FD, PATH_A, a);
    }
    if (strcmp(r->call, "path_readlink") == 0) {
        uint32_t result = CALL(path_readlink, FOLDER_FD, PATH_A, a, 40000, 200, RESULT);
        *ends_well =
            result != 0 || !r->second ||
            (get_u32(RESULT) == b && memcmp(g.memory.bytes + 40000, r->second, (size_t)b) == 0);
        return result;
    }
    return guest_call(r->call, (const uint64_t[WASI_MAX_ARGUMENTS]){FOLDER_FD, PATH_A, a});
}

static void check_rows(void) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const path_row *r = &rows[i];
        bool ends_well;
        tree_make();
        guest_begin();
        uint32_t found = call_row(r, &ends_well);
        uint64_t told = violations_of("path", r->call);
        if (found != r->expected || told != (r->expected == OUT ? 1 : 0) || !ends_well) {
            check_fail(__FILE__, __LINE__,
                       "row %zu, %s(\"%s\", \"%s\", %u): errno %u with %u violations, expected %u",
                       i, r->call, r->path, r->second ? r->second : "-", r->flag, found,
                       (unsigned)told, r->expected);
        }
        guest_end();
        CHECK_OUTSIDE();
        tree_remove();
    }
}

/* Whoever resolves the paths. */
static void twice(void (*check)(void)) {
    for (int walk = 0; walk < 2; walk++) {
        platform_beneath_walk_only(walk != 0);
        check();
    }
    platform_beneath_walk_only(false);
}

static void paths_stay_inside(void) {
    twice(check_rows);
}

/* ---- opening with more ------------------------------------------------------------------ */

typedef struct open_row {
    const char *path;
    uint32_t how;
    uint64_t rights;
    uint32_t expected;
} open_row;

static const open_row open_rows[] = {
    {"new", CREATE, WRITE_RIGHT, OK},
    {"new", CREATE | NEW, WRITE_RIGHT, OK},
    {"file", CREATE, WRITE_RIGHT, OK},
    {"file", CREATE | NEW, WRITE_RIGHT, EXISTS},
    {"link", CREATE | NEW, WRITE_RIGHT, EXISTS},
    {"dangling", CREATE | NEW, WRITE_RIGHT, EXISTS},
    {"dangling", CREATE, WRITE_RIGHT, OK},
    {"dangling-out", CREATE, WRITE_RIGHT, OUT},
    {"dangling-out", CREATE | NEW, WRITE_RIGHT, EXISTS},
    {"../x", CREATE, WRITE_RIGHT, OUT},
    {"outdir/x", CREATE, WRITE_RIGHT, OUT},
    {"outdir/x", CREATE | NEW, WRITE_RIGHT, OUT},
    {"absolute", CREATE | EMPTY, WRITE_RIGHT, OUT},
    {"out", EMPTY, WRITE_RIGHT, OUT},
    {"file", EMPTY, WRITE_RIGHT, OK},
    {"folder", 0, WRITE_RIGHT, IS_FOLDER},
    {"folder", FOLDER, ALL_RIGHTS, OK},
    {"file", FOLDER, READ_RIGHT, NOT_FOLDER},
    {"link", FOLDER, READ_RIGHT, NOT_FOLDER},
    {"new", CREATE | FOLDER, READ_RIGHT, INVALID},
    {"new/", CREATE, WRITE_RIGHT, IS_FOLDER},
    {"fifo", CREATE, WRITE_RIGHT, ACCESS},
    {"fifo", EMPTY, WRITE_RIGHT, ACCESS},
    {"socket", 0, WRITE_RIGHT, ACCESS},
    {"file", 64, READ_RIGHT, INVALID},
};

static void check_open_rows(void) {
    for (size_t i = 0; i < sizeof open_rows / sizeof open_rows[0]; i++) {
        const open_row *r = &open_rows[i];
        uint32_t fd;
        tree_make();
        guest_begin();
        uint32_t found = open_with(r->path, true, r->how, r->rights, 0, &fd);
        if (found != r->expected) {
            check_fail(__FILE__, __LINE__, "row %zu, \"%s\" opened with %u: errno %u, expected %u",
                       i, r->path, r->how, found, r->expected);
        }
        guest_end();
        CHECK_OUTSIDE();
        tree_remove();
    }
}

static void opening_makes_nothing_outside(void) {
    twice(check_open_rows);
}

static uint32_t open_bytes(const char *bytes, size_t length) {
    memcpy(g.memory.bytes + PATH_A, bytes, length);
    return CALL(path_open, FOLDER_FD, 1, PATH_A, length, 0, READ_RIGHT, 0, 0, RESULT);
}

static void check_text(void) {
    static char text[8192];
    tree_make();
    guest_begin();
    CHECK_INT(open_bytes("fi\0e", 4), SEQUENCE);
    CHECK_INT(open_bytes("file\0", 5), SEQUENCE);
    CHECK_INT(open_bytes("\xff\xfe", 2), SEQUENCE);
    CHECK_INT(open_bytes("\xc0\xaf", 2), SEQUENCE); /* an overlong slash */
    CHECK_INT(open_bytes("\xed\xa0\x80", 3), SEQUENCE);
    CHECK_INT(open_bytes("\xc3\xa9", 2), MISSING);
    memset(text, 'a', sizeof text);
    CHECK_INT(open_bytes(text, 256), TOO_LONG);
    CHECK_INT(open_bytes(text, 4095), TOO_LONG);
    CHECK_INT(open_bytes(text, 4096), TOO_LONG);
    CHECK_INT(open_bytes(text, 8192), TOO_LONG);
    for (size_t i = 0; i + 1 < sizeof text; i += 2) {
        text[i] = '.';
        text[i + 1] = '/';
    }
    snprintf(text + 4090, 5, "file");
    CHECK_INT(open_bytes(text, 4094), OK);
    memset(text, '/', 4090);
    text[0] = '.';
    CHECK_INT(open_bytes(text, 4094), OK);
    guest_end();
    tree_remove();
}

static void paths_are_text(void) {
    twice(check_text);
}

static void check_depth(void) {
    static char path[4096];
    size_t length = 0;
    uint32_t fd = 0;
    tree_make();
    guest_begin();
    for (unsigned i = 0; i < 100; i++) {
        memcpy(path + length, "d/", 3);
        length += 2;
        uint64_t n = put_text(PATH_A, path);
        CHECK_INT(CALL(path_create_directory, FOLDER_FD, PATH_A, n), OK);
    }
    for (unsigned i = 0; i < 100; i++) { /* down and up again, as often as a path is long */
        memcpy(path + length, "../", 4);
        length += 3;
    }
    memcpy(path + length, "file", 5);
    CHECK_INT(open_with(path, true, 0, READ_RIGHT, 0, &fd), OK);
    CHECK_STRING(read_text(fd), "hello world");
    memcpy(path + length, "../", 4);
    CHECK_INT(open_with(path, true, 0, READ_RIGHT, 0, &fd), OUT);
    guest_end();
    CHECK_OUTSIDE();
    tree_remove();
}

static void deep_paths_come_back(void) {
    twice(check_depth);
}

/* ---- a folder below the grant is a grant of its own ------------------------------------- */

static void check_below(void) {
    uint32_t fd, inner;
    tree_make();
    guest_begin();
    CHECK_INT(open_with("folder", true, FOLDER, ALL_RIGHTS, 0, &fd), OK);
    uint64_t n = put_text(PATH_A, "inner");
    CHECK_INT(CALL(path_open, fd, 1, PATH_A, n, 0, READ_RIGHT, 0, 0, RESULT), OK);
    inner = get_u32(RESULT);
    CHECK_STRING(read_text(inner), "inside");
    n = put_text(PATH_A, "../file");
    CHECK_INT(CALL(path_open, fd, 1, PATH_A, n, 0, READ_RIGHT, 0, 0, RESULT), OUT);
    n = put_text(PATH_A, "up"); /* leads to ../file: out of this one */
    CHECK_INT(CALL(path_open, fd, 1, PATH_A, n, 0, READ_RIGHT, 0, 0, RESULT), OUT);
    CHECK_INT(CALL(path_open, inner, 1, PATH_A, n, 0, READ_RIGHT, 0, 0, RESULT), NOT_FOLDER);
    CHECK_INT(violations_of("path", "path_open"), 2);
    guest_end();
    tree_remove();
}

static void folders_confine_by_themselves(void) {
    twice(check_below);
}

/* ---- read-only -------------------------------------------------------------------------- */

static void check_read_only(void) {
    uint32_t fd;
    tree_make();
    make_folder("grant/second");
    guest_prepare();
    guest_folders[0].writable = false;
    guest_folders[1] =
        (wasi_folder){.host = scratch_path("grant/second"), .guest = "/second", .writable = true};
    g.options.n_folders = 2;
    guest_start();
    CHECK_INT(open_with("new", true, CREATE, WRITE_RIGHT, 0, &fd), READ_ONLY);
    CHECK_INT(open_with("file", true, 0, WRITE_RIGHT, 0, &fd), READ_ONLY);
    CHECK_INT(open_with("file", true, EMPTY, READ_RIGHT, 0, &fd), READ_ONLY);
    CHECK_INT(violations_of("path", "path_open"), 3);
    uint64_t a = put_text(PATH_A, "file");
    uint64_t b = put_text(PATH_B, "new");
    CHECK_INT(CALL(path_create_directory, 3, PATH_B, b), READ_ONLY);
    CHECK_INT(CALL(path_unlink_file, 3, PATH_A, a), READ_ONLY);
    CHECK_INT(CALL(path_remove_directory, 3, PATH_A, a), READ_ONLY);
    CHECK_INT(CALL(path_rename, 3, PATH_A, a, 3, PATH_B, b), READ_ONLY);
    CHECK_INT(CALL(path_rename, 3, PATH_A, a, 4, PATH_B, b), READ_ONLY);
    CHECK_INT(CALL(path_link, 3, 0, PATH_A, a, 4, PATH_B, b), READ_ONLY); /* written by that name */
    CHECK_INT(CALL(path_symlink, PATH_A, a, 3, PATH_B, b), READ_ONLY);
    CHECK_INT(CALL(path_filestat_set_times, 3, 0, PATH_A, a, 0, 0, 2), READ_ONLY);
    CHECK_INT(CALL(fd_filestat_set_times, 3, 0, 0, 2), READ_ONLY);
    CHECK_INT(violations_of("path", "path_rename"), 2);
    CHECK_INT(open_with("file", true, 0, ALL_RIGHTS & ~WRITE_RIGHT, 0, &fd), OK);
    CHECK_STRING(read_text(fd), "hello world");
    CHECK_INT(write_text(fd, "x"), OUT);
    CHECK_INT(CALL(fd_filestat_set_size, fd, 0), OUT);
    CHECK_INT(CALL(fd_allocate, fd, 0, 100), OUT);
    CHECK_INT(CALL(fd_filestat_set_times, fd, 0, 0, 2), OUT);
    CHECK_INT(violations_of("wasi", "fd_write"), 1);
    CHECK_INT(CALL(path_create_directory, 4, PATH_B, b), OK);
    guest_end();
    CHECK_INT(scratch_count(scratch_path("grant/second")), 1);
    tree_remove();
}

static void read_only_means_it(void) {
    twice(check_read_only);
}

/* ---- races ------------------------------------------------------------------------------ */

static atomic_bool racing;

/* Swaps what two names below the scratch folder mean, over and over: a link that leads inside for
 * one that leads out, and a folder inside for a place outside. */
static void flip(void *unused) {
    char here[1024], there[1024], inside[1024], outside[1024], spare[1024];
    (void)unused;
    snprintf(here, sizeof here, "%s", scratch_path("grant/flip"));
    snprintf(there, sizeof there, "%s", scratch_path("grant/flop"));
    snprintf(spare, sizeof spare, "%s", scratch_path("grant/spare"));
    snprintf(inside, sizeof inside, "%s", scratch_path("grant/a/b"));
    snprintf(outside, sizeof outside, "%s", scratch_path("outside/b"));
    while (atomic_load(&racing)) {
        (void)rename(here, spare);
        (void)rename(there, here);
        (void)rename(spare, there);
        (void)rename(inside, outside);
        (void)rename(outside, inside);
    }
}

static void try_one(const char *path, bool may_open, unsigned *n_opened) {
    uint32_t fd;
    if (open_with(path, true, 0, READ_RIGHT, 0, &fd) != OK) {
        return;
    }
    ++*n_opened;
    const char *text = read_text(fd);
    if (!may_open || strcmp(text, "inside") != 0) {
        check_fail(__FILE__, __LINE__, "\"%s\" led to \"%s\"", path, text);
    }
    CALL(fd_close, fd);
}

static void check_races(void) {
    platform_thread thread;
    unsigned n_opened = 0;
    unsigned n_other = 0;
    tree_make();
    make_folder("grant/a");
    make_folder("grant/a/b");
    make_link("folder", "grant/flip");
    make_link("../outside", "grant/flop");
    grant_write("grant/folder/secret", "inside");
    guest_begin();
    atomic_store(&racing, true);
    CHECK_INT(platform_thread_create("flip", flip, NULL, &thread, NULL), TARS_OK);
    uint64_t end = platform_clock_ns() + 1000000000;
    while (platform_clock_ns() < end) {
        try_one("flip/secret", true, &n_opened);
        try_one("a/b/../secret", false, &n_other); /* outside/b/.. is outside */
        try_one("a/b/../../secret", false, &n_other);
        uint64_t n = put_text(PATH_A, "flip/made");
        (void)CALL(path_create_directory, FOLDER_FD, PATH_A, n);
        (void)CALL(path_remove_directory, FOLDER_FD, PATH_A, n);
        n = put_text(PATH_A, "a/b/../made");
        (void)CALL(path_create_directory, FOLDER_FD, PATH_A, n);
        (void)CALL(path_remove_directory, FOLDER_FD, PATH_A, n);
        n = put_text(PATH_A, "flip/victim");
        (void)CALL(path_unlink_file, FOLDER_FD, PATH_A, n);
    }
    atomic_store(&racing, false);
    platform_thread_join(&thread);
    guest_end();
    CHECK(n_opened > 0);
    CHECK_OUTSIDE();
    tree_remove();
}

static void races_do_not_lead_out(void) {
    twice(check_races);
}

static const check_test table[] = {
    {"paths stay inside", paths_stay_inside},
    {"opening makes nothing outside", opening_makes_nothing_outside},
    {"paths are text", paths_are_text},
    {"deep paths come back", deep_paths_come_back},
    {"folders confine by themselves", folders_confine_by_themselves},
    {"read-only means it", read_only_means_it},
    {"races do not lead out", races_do_not_lead_out},
};

CHECK_MAIN(table)
