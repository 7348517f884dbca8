/* Files below a folder: what the port itself promises. Paths that try to get out are the tests of
 * the guests that have them. */
#include "platform/platform.h"
#include "scratch.h"

static platform_handle folder;

static void begin(void) {
    tars_error err;
    scratch_make();
    scratch_write(scratch_path("file"), "0123456789", 10);
    CHECK_INT(symlink("file", scratch_path("link")), 0);
    CHECK_INT(mkdir(scratch_path("sub"), 0700), 0);
    CHECK_INT(platform_beneath_root(scratch_folder, &folder, &err), TARS_OK);
}

static void end(void) {
    platform_handle_close(folder);
    scratch_remove();
}

/* Whoever resolves. */
static void twice(void (*check)(void)) {
    for (int walk = 0; walk < 2; walk++) {
        platform_beneath_walk_only(walk != 0);
        begin();
        check();
        end();
    }
    platform_beneath_walk_only(false);
}

static platform_fault open_one(const char *path, unsigned flags, platform_handle *out) {
    platform_entry entry;
    return platform_beneath_open(folder, path, flags, 0640, out, &entry);
}

static void check_opening(void) {
    platform_handle h;
    platform_entry entry;
    CHECK_INT(platform_beneath_open(folder, "link", PLATFORM_OPEN_READ, 0, &h, &entry), 0);
    CHECK(entry.kind == PLATFORM_KIND_FILE && entry.size_bytes == 10 && entry.n_links == 1);
    CHECK_INT(fcntl((int)h, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    CHECK_INT(fcntl((int)h, F_GETFL) & O_ACCMODE, O_RDONLY);
    platform_handle_close(h);
    CHECK_INT(open_one("file", 0, &h), PLATFORM_FAULT_NONE); /* neither: for reading */
    platform_handle_close(h);
    CHECK_INT(open_one("link", PLATFORM_OPEN_NO_LINK, &h), PLATFORM_FAULT_LOOP);
    CHECK(h == PLATFORM_NO_HANDLE);
    CHECK_INT(open_one("sub", PLATFORM_OPEN_FOLDER, &h), PLATFORM_FAULT_NONE);
    platform_handle_close(h);
    CHECK_INT(open_one("sub", PLATFORM_OPEN_FOLDER | PLATFORM_OPEN_CREATE, &h),
              PLATFORM_FAULT_INVALID);
    CHECK_INT(open_one("new", PLATFORM_OPEN_WRITE | PLATFORM_OPEN_NEW, &h), PLATFORM_FAULT_INVALID);
    mode_t before = umask(022);
    CHECK_INT(open_one("new", PLATFORM_OPEN_WRITE | PLATFORM_OPEN_CREATE | PLATFORM_OPEN_SYNC, &h),
              PLATFORM_FAULT_NONE);
    (void)umask(before);
    CHECK_INT(fcntl((int)h, F_GETFL) & O_ACCMODE, O_WRONLY);
    CHECK_INT(platform_beneath_get_entry(h, &entry), PLATFORM_FAULT_NONE);
    CHECK_INT(entry.mode, 0640);
    platform_handle_close(h);
    CHECK_INT(open_one("file", PLATFORM_OPEN_WRITE | PLATFORM_OPEN_EMPTY, &h), PLATFORM_FAULT_NONE);
    CHECK_INT(platform_beneath_get_entry(h, &entry), PLATFORM_FAULT_NONE);
    CHECK_INT(entry.size_bytes, 0);
    platform_handle_close(h);
}

static void opens_as_asked(void) {
    twice(check_opening);
}

static void check_moving(void) {
    platform_handle h;
    platform_entry entry;
    char buffer[16];
    size_t done;
    uint64_t end_at;
    CHECK_INT(open_one("file", PLATFORM_OPEN_READ | PLATFORM_OPEN_WRITE, &h), PLATFORM_FAULT_NONE);
    CHECK_INT(platform_beneath_read(h, 7, buffer, 10, &done), PLATFORM_FAULT_NONE);
    CHECK_INT(done, 3);
    CHECK_BYTES(buffer, "789", 3);
    CHECK_INT(platform_beneath_read(h, 10, buffer, 10, &done), PLATFORM_FAULT_NONE);
    CHECK_INT(done, 0);
    CHECK_INT(platform_beneath_read(h, UINT64_MAX, buffer, 10, &done), PLATFORM_FAULT_INVALID);
    CHECK_INT(platform_beneath_write(h, 8, "abcd", 4, &done), PLATFORM_FAULT_NONE);
    CHECK_INT(done, 4);
    CHECK_INT(platform_beneath_write(h, INT64_MAX, "abcd", 4, &done), PLATFORM_FAULT_TOO_BIG);
    CHECK_INT(platform_beneath_set_append(h, true), PLATFORM_FAULT_NONE);
    CHECK_INT(platform_beneath_append(h, "!", 1, &done, &end_at), PLATFORM_FAULT_NONE);
    CHECK_INT(end_at, 13);
    CHECK_INT(platform_beneath_set_append(h, false), PLATFORM_FAULT_NONE);
    CHECK_INT(platform_beneath_allocate(h, 0, 5), PLATFORM_FAULT_NONE);
    CHECK_INT(platform_beneath_get_entry(h, &entry), PLATFORM_FAULT_NONE);
    CHECK_INT(entry.size_bytes, 13);
    CHECK_INT(platform_beneath_allocate(h, 10, 10), PLATFORM_FAULT_NONE);
    CHECK_INT(platform_beneath_get_entry(h, &entry), PLATFORM_FAULT_NONE);
    CHECK_INT(entry.size_bytes, 20);
    CHECK_INT(platform_beneath_allocate(h, 10, 0), PLATFORM_FAULT_INVALID);
    CHECK_INT(platform_beneath_allocate(h, UINT64_MAX, 1), PLATFORM_FAULT_TOO_BIG);
    CHECK_INT(platform_beneath_resize(h, 2), PLATFORM_FAULT_NONE);
    CHECK_INT(platform_beneath_resize(h, UINT64_MAX), PLATFORM_FAULT_TOO_BIG);
    CHECK_INT(platform_beneath_sync(h, true), PLATFORM_FAULT_NONE);
    CHECK_INT(platform_beneath_sync(h, false), PLATFORM_FAULT_NONE);
    CHECK_INT(platform_beneath_sync(folder, false), PLATFORM_FAULT_NONE);
    CHECK_INT(platform_beneath_get_entry(h, &entry), PLATFORM_FAULT_NONE);
    CHECK_INT(entry.size_bytes, 2);
    platform_handle_close(h);
}

static void moves_bytes(void) {
    twice(check_moving);
}

static void check_times(void) {
    static const platform_time keep = {.how = PLATFORM_TIME_KEEP};
    static const platform_time now = {.how = PLATFORM_TIME_NOW};
    static const platform_time early = {.how = PLATFORM_TIME_SET, .ns = 1500000001};
    static const platform_time before_1970 = {.how = PLATFORM_TIME_SET, .ns = -1};
    platform_entry entry, link;
    CHECK_INT(platform_beneath_set_times(folder, "link", true, early, before_1970), 0);
    CHECK_INT(platform_beneath_look(folder, "file", false, &entry), 0);
    CHECK_INT(entry.atime_ns, 1500000001);
    CHECK_INT(entry.mtime_ns, -1);
    CHECK_INT(platform_beneath_look(folder, "link", false, &link), 0);
    CHECK(link.kind == PLATFORM_KIND_LINK && link.mtime_ns > 1500000001);
    CHECK_INT(platform_beneath_set_times(folder, "file", false, keep, now), 0);
    CHECK_INT(platform_beneath_look(folder, "file", false, &entry), 0);
    CHECK_INT(entry.atime_ns, 1500000001);
    CHECK(entry.mtime_ns > INT64_C(1600000000) * 1000000000);
    CHECK_INT(platform_beneath_set_entry_times(folder, early, early), 0);
    CHECK_INT(platform_beneath_look(folder, ".", false, &entry), 0);
    CHECK(entry.kind == PLATFORM_KIND_FOLDER && entry.mtime_ns == 1500000001);
}

static void sets_times(void) {
    twice(check_times);
}

static void check_modes(void) {
    platform_entry entry;
    platform_handle h;
    CHECK_INT(platform_beneath_set_mode(folder, "link", true, 07701), 0);
    CHECK_INT(platform_beneath_look(folder, "file", false, &entry), 0);
    CHECK_INT(entry.mode, 0701); /* no more than permissions */
    CHECK_INT(platform_beneath_set_mode(folder, "link", false, 0700), PLATFORM_FAULT_UNSUPPORTED);
    CHECK_INT(platform_beneath_set_mode(folder, "file/", true, 0700), PLATFORM_FAULT_NOT_FOLDER);
    CHECK_INT(platform_beneath_set_mode(folder, "../x", true, 0700), PLATFORM_FAULT_OUTSIDE);
    CHECK_INT(platform_beneath_open(folder, "file", 0, 0, &h, &entry), 0);
    CHECK_INT(platform_beneath_set_entry_mode(h, 07640), 0);
    CHECK_INT(platform_beneath_get_entry(h, &entry), 0);
    CHECK_INT(entry.mode, 0640);
    platform_handle_close(h);
    CHECK_INT(platform_beneath_look(folder, ".", false, &entry), 0);
    CHECK_INT(platform_beneath_set_mode(folder, ".", false, entry.mode), 0);
    CHECK_INT(platform_beneath_set_mode(folder, ".", false, 0777), PLATFORM_FAULT_OUTSIDE);
    CHECK_INT(platform_beneath_set_mode(folder, "./.", true, 0777), PLATFORM_FAULT_OUTSIDE);
}

static void sets_modes(void) {
    twice(check_modes);
}

static void lists_names(void) {
    platform_listing listing, other;
    const char *name;
    platform_kind kind;
    uint64_t inode;
    begin();
    CHECK_INT(platform_listing_open(folder, &listing), PLATFORM_FAULT_NONE);
    CHECK_INT(platform_listing_open(folder, &other), PLATFORM_FAULT_NONE);
    for (int round = 0; round < 2; round++) {
        unsigned n = 0;
        while (platform_listing_next(&listing, &name, &kind, &inode) == 0 && name) {
            platform_entry entry;
            CHECK_INT(platform_beneath_look(folder, name, false, &entry), PLATFORM_FAULT_NONE);
            CHECK(entry.kind == kind && entry.inode == inode);
            n++;
        }
        CHECK_INT(n, 3);
        platform_listing_rewind(&listing);
    }
    CHECK_INT(platform_listing_next(&other, &name, &kind, &inode), PLATFORM_FAULT_NONE);
    CHECK(name != NULL); /* it has a place of its own */
    platform_listing_close(&listing);
    platform_listing_close(&listing);
    platform_listing_close(&other);
    CHECK_INT(platform_listing_open(PLATFORM_NO_HANDLE, &other) == PLATFORM_FAULT_NONE, 0);
    end();
}

static void check_process(void) {
#if defined(__linux__)
    platform_handle process, h;
    tars_error err;
    if (platform_beneath_root("/proc", &process, &err) != TARS_OK) {
        check_skip("no /proc here");
        return;
    }
    platform_entry entry;
    CHECK_INT(platform_beneath_open(process, "self/mem", PLATFORM_OPEN_READ, 0, &h, &entry),
              PLATFORM_FAULT_KIND);
    CHECK_INT(platform_beneath_open(process, "self/environ", PLATFORM_OPEN_READ, 0, &h, &entry),
              PLATFORM_FAULT_KIND);
    CHECK(platform_beneath_open(process, "self/exe", PLATFORM_OPEN_READ, 0, &h, &entry) != 0);
    CHECK(platform_beneath_open(process, "self/root/etc/passwd", PLATFORM_OPEN_READ, 0, &h,
                                &entry) != 0);
    platform_handle_close(process);
#else
    check_skip("no /proc on this system");
#endif
}

static void shows_no_process(void) {
    twice(check_process);
}

/* A walk is bounded by what it holds open at once, and by what is left of a path with its links. */
static void check_bounds(void) {
    static char path[4096];
    platform_entry entry;
    size_t length = 0;
    for (unsigned i = 0; i < 200; i++) {
        path[length++] = 'd';
        path[length] = '\0';
        platform_fault fault = platform_beneath_make_folder(folder, path, 0700);
        CHECK(fault == PLATFORM_FAULT_NONE || (fault == PLATFORM_FAULT_NAME_TOO_LONG && i >= 127));
        if (fault != PLATFORM_FAULT_NONE) {
            break;
        }
        path[length++] = '/';
    }
    memset(path, 'a', sizeof path - 1);
    for (size_t i = 1; i < sizeof path - 1; i += 2) {
        path[i] = '/';
    }
    CHECK_INT(symlink(path, scratch_path("long")), 0);
    platform_fault fault = platform_beneath_look(folder, "long/x", true, &entry);
    CHECK(fault == PLATFORM_FAULT_NAME_TOO_LONG || fault == PLATFORM_FAULT_MISSING);
}

static void paths_are_bounded(void) {
    twice(check_bounds);
}

static void refuses_roots(void) {
    tars_error err;
    platform_handle h;
    begin();
    CHECK_INT(platform_beneath_root(scratch_path("missing"), &h, &err), TARS_NOT_FOUND);
    CHECK(h == PLATFORM_NO_HANDLE && err.message[0] != '\0');
    CHECK(platform_beneath_root(scratch_path("file"), &h, NULL) != TARS_OK);
    end();
}

static const check_test table[] = {
    {"opens as asked", opens_as_asked},
    {"moves bytes", moves_bytes},
    {"sets times", sets_times},
    {"sets modes", sets_modes},
    {"lists names", lists_names},
    {"shows no process", shows_no_process},
    {"paths are bounded", paths_are_bounded},
    {"refuses roots", refuses_roots},
};

CHECK_MAIN(table)
