/* The guest's files: what the calls do, and that no path of a guest's leads out of what is granted.
 */
#include "support/check.h"

#if defined(__linux__) && defined(__x86_64__)

#include "runtime/linux_fixture.h"

#include <stdatomic.h>

enum { WRITE = 1, READ_WRITE = 2, CREATE = 0x40, NEW = 0x80, EMPTY = 0x200, APPEND = 0x400 };
enum { FOLDER = 0x10000, NO_LINK = 0x20000, CLOSING = 0x80000, TEMPORARY = 0x410000 };

static void begin(void) {
    tree_make();
    linux_prepare();
    linux_start();
}

static void end(void) {
    linux_finish_guest();
    CHECK_OUTSIDE();
    tree_remove();
}

/* ---- what files do ------------------------------------------------------------------------ */

static void files_are_read_and_written(void) {
    begin();
    int64_t fd = open_path("/data/file", 0);
    CHECK_INT(fd, 3);
    CHECK_STRING(read_text(fd), "hello world");
    CHECK_INT(CALL(read, 3, BUFFER, 10), 0);
    CHECK_INT(CALL(lseek, 3, 6, 0), 6);
    CHECK_STRING(read_text(fd), "world");
    CHECK_INT(CALL(lseek, 3, UINT64_MAX, 1), 10);
    CHECK_INT(CALL(lseek, 3, UINT64_MAX - 100, 1), -LINUX_EINVAL);
    CHECK_INT(CALL(lseek, 3, INT64_MAX, 1), -LINUX_EINVAL);
    CHECK_INT(CALL(lseek, 3, 0, 2), 11);
    CHECK_INT(CALL(lseek, 3, 0, 3), -LINUX_EINVAL);
    CHECK_INT(CALL(lseek, 1, 0, 0), -LINUX_ESPIPE);
    CHECK_INT(CALL(pread64, 3, BUFFER, 5, 0), 5);
    CHECK_INT(CALL(pread64, 3, BUFFER, 5, UINT64_MAX), -LINUX_EINVAL);
    CHECK_INT(CALL(pread64, 1, BUFFER, 5, 0), -LINUX_ESPIPE);
    CHECK_INT(CALL(lseek, 3, 0, 1), 11);
    CHECK_INT(write_text(fd, "x"), -LINUX_EBADF);
    CHECK_INT(open_path("made", READ_WRITE | CREATE | NEW), 4); /* in the working folder */
    CHECK_INT(write_text(4, "abcdef"), 6);
    CHECK_INT(CALL(pwrite64, 4, put_text(BUFFER, "X"), 1, 2), 1);
    CHECK_INT(CALL(lseek, 4, 0, 0), 0);
    CHECK_STRING(read_text(4), "abXdef");
    CHECK_INT(CALL(ftruncate, 4, 3), 0);
    CHECK_INT(CALL(ftruncate, 3, 3), -LINUX_EINVAL);
    CHECK_INT(CALL(ftruncate, 4, UINT64_MAX), -LINUX_EINVAL);
    CHECK_INT(CALL(fsync, 4), 0);
    CHECK_INT(CALL(fdatasync, 1), -LINUX_EINVAL);
    CHECK_INT(open_path("made", CREATE | NEW), -LINUX_EEXIST);
    CHECK_INT(open_path("made", WRITE | APPEND), 5);
    CHECK_INT(write_text(5, "end"), 3);
    CHECK_INT(CALL(pread64, 4, BUFFER, 10, 0), 6);
    CHECK_BYTES(bytes_at(BUFFER), "abXend", 6);
    CHECK_INT(CALL(truncate, put_text(PATH, "made"), 2), 0);
    CHECK_INT(CALL(fstat, 4, BUFFER), 0);
    CHECK_INT(get_u64(BUFFER + 48), 2);
    end();
}

static void dup_shares_the_position(void) {
    begin();
    CHECK_INT(open_path("file", 0), 3);
    CHECK_INT(CALL(dup, 3), 4);
    CHECK_INT(CALL(read, 3, BUFFER, 6), 6);
    CHECK_STRING(read_text(4), "world");
    CHECK_INT(CALL(close, 3), 0);
    CHECK_INT(CALL(lseek, 4, 0, 0), 0);
    CHECK_STRING(read_text(4), "hello world");
    end();
}

static void files_are_mapped_as_copies(void) {
    begin();
    CHECK_INT(open_path("file", READ_WRITE), 3);
    int64_t at = CALL(mmap, 0, 8192, 3, 2, 3, 0);
    CHECK(at > 0);
    CHECK_STRING((const char *)bytes_at((uint64_t)at), "hello world");
    CHECK_INT(*bytes_at((uint64_t)at + 4096), 0);
    *bytes_at((uint64_t)at) = 'J';
    CHECK_STRING(read_text(3), "hello world");
    at = CALL(mmap, 0, 4096, 1, 1, 3, 0); /* shared, read only */
    CHECK(at > 0 && !space_pointer(&g.space, (uint64_t)at, 1, SPACE_WRITE));
    CHECK_INT(CALL(mmap, 0, 4096, 3, 1, 3, 0), -LINUX_EOPNOTSUPP);
    CHECK_INT(CALL(mmap, 0, 4096, 7, 2, 3, 0), -LINUX_EACCES);
    CHECK_INT(CALL(mmap, 0, 4096, 1, 2, 3, 1), -LINUX_EINVAL);
    CHECK_INT(CALL(mmap, 0, 4096, 1, 2, 3, UINT64_MAX - 4095), -LINUX_EINVAL);
    CHECK_INT(CALL(mmap, 0, UINT64_MAX, 1, 2, 3, 0), -LINUX_EINVAL);
    CHECK_INT(open_path("/data", FOLDER), 4);
    CHECK_INT(CALL(mmap, 0, 4096, 1, 2, 4, 0), -LINUX_EACCES);
    end();
}

static void file_size_is_limited(void) {
    begin();
    linux_finish_guest();
    for (unsigned i = 0; i < 4; i++) {
        linux_prepare();
        g.options.file_bytes = 10;
        linux_start();
        CHECK_INT(open_path("limited", WRITE | CREATE | EMPTY), 3);
        CHECK_INT(write_text(3, "0123456789"), 10);
        CHECK_INT(linux_ended(g.context), LINUX_RUNS);
        (void)(i == 0   ? write_text(3, "x")
               : i == 1 ? CALL(pwrite64, 3, BUFFER, 1, 10)
               : i == 2 ? CALL(ftruncate, 3, 11)
                        : CALL(truncate, put_text(PATH, "limited"), 11));
        CHECK_INT(linux_ended(g.context), LINUX_FILE_SIZE);
        struct stat s;
        CHECK_INT(stat(scratch_path("grant/limited"), &s), 0);
        CHECK_INT(s.st_size, 10);
        linux_finish_guest();
    }
    linux_prepare();
    linux_start();
    end();
}

static void n_files_is_exact(void) {
    begin();
    for (int64_t i = 3; i < 11; i++) {
        CHECK_INT(open_path("file", 0), i);
    }
    CHECK_INT(open_path("file", 0), -LINUX_EMFILE);
    CHECK_INT(open_path("new", WRITE | CREATE), -LINUX_EMFILE);
    CHECK(access(scratch_path("grant/new"), F_OK) != 0); /* nothing was made */
    CHECK_INT(CALL(pipe, BUFFER), -LINUX_EMFILE);
    CHECK_INT(CALL(close, 10), 0);
    CHECK_INT(CALL(pipe, BUFFER), -LINUX_EMFILE);
    CHECK_INT(open_path("file", CLOSING), 10);
    CHECK_INT(CALL(fcntl, 10, 1), 1);
    CHECK_INT(CALL(close_range, 3, UINT64_MAX, 0), 0);
    CHECK_INT(open_path("file", 0), 3);
    CHECK_INT(CALL(close_range, 5, 3, 0), -LINUX_EINVAL);
    end();
}

static void structures_are_laid_out_as_they_must(void) {
    struct stat s;
    begin();
    CHECK_INT(stat(scratch_path("grant/file"), &s), 0);
    CHECK_INT(CALL(stat, put_text(PATH, "/data/file"), BUFFER), 0);
    CHECK_INT(get_u64(BUFFER + 16), 1);
    CHECK_INT(get_u32(BUFFER + 24), 0x8000 | (s.st_mode & 0777));
    CHECK_INT(get_u32(BUFFER + 28), 65534);
    CHECK_INT(get_u64(BUFFER + 48), 11);
    CHECK_INT(get_u64(BUFFER + 88), s.st_mtim.tv_sec);
    CHECK_INT(get_u64(BUFFER + 96), s.st_mtim.tv_nsec);
    CHECK(get_u64(BUFFER) != s.st_dev && get_u64(BUFFER + 8) != s.st_ino);
    uint64_t inode = get_u64(BUFFER + 8);
    CHECK_INT(CALL(lstat, put_text(PATH, "/data/link"), BUFFER), 0);
    CHECK_INT(get_u32(BUFFER + 24) & 0xF000, 0xA000);
    CHECK(get_u64(BUFFER + 8) != inode);
    CHECK_INT(CALL(stat, PATH, BUFFER), 0);
    CHECK_INT(get_u64(BUFFER + 8), inode);
    CHECK_INT(CALL(newfstatat, HERE, PATH, BUFFER, 0x100), 0);
    CHECK_INT(get_u32(BUFFER + 24) & 0xF000, 0xA000);
    CHECK_INT(CALL(newfstatat, HERE, PATH, BUFFER, 0x10000), -LINUX_EINVAL);
    CHECK_INT(CALL(statx, HERE, PATH, 0, 0x7FF, BUFFER), 0);
    CHECK_INT(get_u64(BUFFER + 32), inode);
    CHECK_INT(get_u64(BUFFER + 40), 11);
    CHECK_INT(get_u64(BUFFER + 112), s.st_mtim.tv_sec);
    CHECK_INT(CALL(stat, put_text(PATH, "/data"), BUFFER), 0);
    CHECK_INT(get_u32(BUFFER + 24) & 0xF000, 0x4000);
    end();
}

/* All names in a folder, sorted by nobody, as "name name …" with a slash behind folders. */
static const char *list(int64_t fd, uint64_t room) {
    static char names[4000];
    names[0] = '\0';
    for (;;) {
        int64_t n = CALL(getdents64, (uint64_t)fd, BUFFER, room);
        if (n <= 0) {
            CHECK_INT(n, 0);
            return names;
        }
        for (uint64_t at = BUFFER; at < BUFFER + (uint64_t)n;) {
            uint16_t length;
            memcpy(&length, bytes_at(at + 16), sizeof length);
            size_t used = strlen(names);
            snprintf(names + used, sizeof names - used, "%s%s ", (const char *)bytes_at(at + 19),
                     *bytes_at(at + 18) == 4 ? "/" : "");
            CHECK(length % 8 == 0 && length >= 24);
            at += length;
        }
    }
}

static void folders_are_listed(void) {
    begin();
    CHECK_INT(open_path("/data/folder", FOLDER), 3);
    CHECK_INT(CALL(getdents64, 3, BUFFER, 23), -LINUX_EINVAL);
    const char *names = list(3, 1000);
    CHECK(strstr(names, "./ ../ ") == names);
    CHECK(strstr(names, "inner ") && strstr(names, "up ") && strstr(names, "upup "));
    CHECK_INT(strlen(names), strlen("./ ../ inner up upup "));
    CHECK_INT(CALL(getdents64, 3, BUFFER, 1000), 0);
    CHECK_INT(CALL(lseek, 3, 0, 0), 0);
    CHECK_INT(strlen(list(3, 32)), strlen("./ ../ inner up upup ")); /* one by one */
    CHECK_INT(CALL(lseek, 3, 2, 0), 2);
    CHECK_INT(strlen(list(3, 1000)), strlen("inner up upup "));
    CHECK_INT(CALL(lseek, 3, INT64_MAX, 0), INT64_MAX);
    CHECK_INT(CALL(getdents64, 3, BUFFER, 1000), 0);
    CHECK_INT(open_path("/", FOLDER), 4); /* above what is granted */
    CHECK_STRING(list(4, 1000), "./ ../ data/ ");
    CHECK_INT(CALL(fstat, 4, BUFFER), 0);
    CHECK_INT(get_u32(BUFFER + 24), 0x4000 | 0555);
    CHECK_INT(CALL(getdents64, 1, BUFFER, 1000), -LINUX_ENOTDIR);
    CHECK_INT(CALL(read, 3, BUFFER, 10), -LINUX_EISDIR);
    end();
}

static void names_are_changed(void) {
    begin();
    CHECK_INT(CALL(mkdir, put_text(PATH, "/data/one"), 0700), 0);
    CHECK_INT(CALL(mkdir, PATH, 0700), -LINUX_EEXIST);
    CHECK_INT(CALL(mkdir, put_text(PATH_2, "/data/one/two/"), 0700), 0);
    CHECK_INT(CALL(rmdir, PATH), -LINUX_ENOTEMPTY);
    CHECK_INT(CALL(rename, put_text(PATH_2, "/data/one/two"), put_text(PATH, "/data/three")), 0);
    CHECK_INT(CALL(renameat, HERE, put_text(PATH, "three"), HERE, put_text(PATH_2, "four")), 0);
    CHECK_INT(CALL(renameat2, HERE, PATH_2, HERE, PATH, 1), -LINUX_EINVAL);
    CHECK_INT(CALL(renameat2, HERE, PATH_2, HERE, PATH, 0), 0);
    CHECK_INT(CALL(unlink, PATH), -LINUX_EISDIR);
    CHECK_INT(CALL(unlinkat, HERE, PATH, 0x200), 0);
    CHECK_INT(CALL(unlinkat, HERE, PATH, 0), -LINUX_ENOENT);
    CHECK_INT(CALL(unlinkat, HERE, PATH, 1), -LINUX_EINVAL);
    CHECK_INT(CALL(unlink, put_text(PATH, "link")), 0);
    CHECK_INT(CALL(access, put_text(PATH, "file"), 0), 0);
    CHECK_INT(CALL(access, PATH, 2), 0);
    CHECK_INT(CALL(access, PATH, 1), -LINUX_EACCES);
    CHECK_INT(CALL(access, PATH, 8), -LINUX_EINVAL);
    CHECK_INT(CALL(umask, 077), 022);
    CHECK_INT(open_path("private", WRITE | CREATE), 3);
    struct stat s;
    CHECK_INT(stat(scratch_path("grant/private"), &s), 0);
    CHECK_INT(s.st_mode & 0777, 0600);
    end();
}

static void links_and_times_are_set(void) {
    enum { NOW = 0x3FFFFFFF, KEEP = 0x3FFFFFFE };
    struct stat s;
    begin();
    CHECK_INT(CALL(link, put_text(PATH, "file"), put_text(PATH_2, "second")), 0);
    CHECK_INT(CALL(link, PATH, PATH_2), -LINUX_EEXIST);
    CHECK_INT(CALL(linkat, HERE, PATH, HERE, PATH_2, 1), -LINUX_EINVAL);
    CHECK_INT(CALL(symlink, put_text(PATH, "folder/inner"), put_text(PATH_2, "third")), 0);
    CHECK_STRING(read_text(open_path("third", 0)), "inside");
    CHECK_INT(CALL(symlink, put_text(PATH, "/etc/passwd"), put_text(PATH_2, "out2")),
              -LINUX_EACCES);
    CHECK_INT(CALL(symlink, put_text(PATH, "../outside"), PATH_2), -LINUX_EACCES);
    CHECK_INT(CALL(symlink, put_text(PATH, ""), PATH_2), -LINUX_ENOENT);
    CHECK_INT(violations_of("path", "symlink"), 2);
    put_u64(BUFFER, 1500000000);
    put_u64(BUFFER + 8, 5);
    put_u64(BUFFER + 16, 1600000000);
    put_u64(BUFFER + 24, 6);
    CHECK_INT(CALL(utimensat, HERE, put_text(PATH, "link"), BUFFER, 0), 0);
    CHECK_INT(stat(scratch_path("grant/file"), &s), 0);
    CHECK_INT(s.st_atim.tv_sec, 1500000000);
    CHECK_INT(s.st_mtim.tv_nsec, 6);
    put_u64(BUFFER + 8, KEEP);
    put_u64(BUFFER + 24, NOW);
    CHECK_INT(CALL(utimensat, 3, 0, BUFFER, 0), 0);
    put_u64(BUFFER + 8, 1000000000);
    CHECK_INT(CALL(utimensat, HERE, PATH, BUFFER, 0), -LINUX_EINVAL);
    put_u64(BUFFER, INT64_MAX);
    put_u64(BUFFER + 8, 0);
    CHECK_INT(CALL(utimensat, HERE, PATH, BUFFER, 0), -LINUX_EINVAL);
    CHECK_INT(CALL(utimensat, HERE, PATH, 0, 1), -LINUX_EINVAL);
    CHECK_INT(open_path("new", WRITE | CREATE), 4);
    CHECK_INT(CALL(fallocate, 4, 0, 0, 1000), 0);
    CHECK_INT(CALL(fallocate, 4, 0, 0, 0), -LINUX_EINVAL);
    CHECK_INT(CALL(fallocate, 4, 1, 0, 1000), -LINUX_EOPNOTSUPP);
    CHECK_INT(CALL(fallocate, 3, 0, 0, 1000), -LINUX_EBADF);
    CHECK_INT(CALL(fallocate, 4, 0, INT64_MAX, 1000), -LINUX_EFBIG);
    CHECK_INT(linux_ended(g.context), LINUX_RUNS);
    CHECK_INT(CALL(flock, 4, 2), 0);
    CHECK_INT(CALL(fadvise64, 4, 0, 0, 3), 0);
    CHECK_INT(CALL(sendfile, 4, 3, 0, 100), -LINUX_EINVAL);
    (void)CALL(fallocate, 4, 0, 0, (1 << 20) + 1);
    CHECK_INT(linux_ended(g.context), LINUX_FILE_SIZE);
    end();
}

static uint32_t mode_of(const char *name) {
    struct stat s;
    CHECK_INT(lstat(scratch_path(name), &s), 0);
    return (uint32_t)s.st_mode & 07777;
}

static void permissions_are_set(void) {
    enum { NO_FOLLOW = 0x100, LINK_KIND = 0120000 };
    begin();
    CHECK_INT(CALL(chmod, put_text(PATH, "link"), 0751), 0);
    CHECK_INT(mode_of("grant/file"), 0751);
    CHECK_INT(CALL(chmod, put_text(PATH, "file"), LINK_KIND | 0600), 0); /* kinds mean nothing */
    CHECK_INT(mode_of("grant/file"), 0600);
    CHECK_INT(CALL(fchmodat, HERE, put_text(PATH, "folder/"), 0711), 0);
    CHECK_INT(mode_of("grant/folder"), 0711);
    CHECK_INT(CALL(fchmodat2, HERE, put_text(PATH, "file"), 0640, NO_FOLLOW), 0);
    CHECK_INT(CALL(fchmodat2, HERE, put_text(PATH, "link"), 0777, NO_FOLLOW), -LINUX_EOPNOTSUPP);
    CHECK_INT(CALL(fchmodat2, HERE, PATH, 0777, 0x1000), -LINUX_EINVAL);
    CHECK_INT(open_path("file", 0), 3);
    CHECK_INT(CALL(fchmod, 3, 0604), 0);
    CHECK_INT(mode_of("grant/file"), 0604);
    CHECK_INT(CALL(fchmod, 1, 0600), -LINUX_ESPIPE);
    CHECK_INT(CALL(fchmod, 9, 0600), -LINUX_EBADF);
    CHECK_INT(CALL(chmod, put_text(PATH, "file/"), 0600), -LINUX_ENOTDIR);
    CHECK_INT(CALL(chmod, put_text(PATH, "nowhere"), 0600), -LINUX_ENOENT);
    CHECK_INT(CALL(chmod, put_text(PATH, "fifo"), 0600), -LINUX_EACCES);
    CHECK_INT(linux_violations(g.context)->count, 0);
    end();
}

static void permissions_give_no_rights(void) {
    static const uint64_t rights[] = {04000, 02000, 01000, 06777, 07777};
    static const char *const out[] = {"out", "outdir", "outdir/secret", "folder/upup", "absolute"};
    begin();
    const uint32_t before = mode_of("outside/secret");
    CHECK_INT(open_path("file", READ_WRITE), 3);
    for (uint64_t i = 0; i < sizeof rights / sizeof rights[0]; i++) {
        CHECK_INT(CALL(chmod, put_text(PATH, "file"), rights[i]), -LINUX_EPERM);
        CHECK_INT(CALL(fchmod, 3, rights[i]), -LINUX_EPERM);
        CHECK_INT(violations_of("syscall", "chmod"), i + 1);
        CHECK_INT(violations_of("syscall", "fchmod"), i + 1);
    }
    CHECK_INT(mode_of("grant/file") & 07000, 0);
    for (uint64_t i = 0; i < sizeof out / sizeof out[0]; i++) {
        CHECK_INT(CALL(chmod, put_text(PATH, out[i]), 0777), -LINUX_EACCES);
        CHECK_INT(CALL(chown, PATH, LINUX_USER_ID, LINUX_USER_ID), -LINUX_EACCES);
        CHECK_INT(violations_of("path", "chmod"), i + 1);
        CHECK_INT(violations_of("path", "chown"), i + 1);
    }
    CHECK_INT(mode_of("outside/secret"), before);
    end();
}

/* Who may come in is not the guest's to say, however it names the folder. */
static void permissions_of_the_granted_folder_stay(void) {
    static const char *const names[] = {"/data",        ".",    "folder/..",
                                        "dotdot/grant", "self", "linkself/"};
    begin();
    make_link(".", "grant/self");
    make_link("folder/..", "grant/linkself");
    CHECK_INT(chmod(scratch_path("grant"), 0750), 0);
    uint64_t n = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], "dotdot/grant") != 0) { /* by names this leads out at once */
            CHECK_INT(CALL(chmod, put_text(PATH, names[i]), 0750), 0);
        }
        CHECK_INT(CALL(chmod, put_text(PATH, names[i]), 0777), -LINUX_EACCES);
        CHECK_INT(violations_of("path", "chmod"), ++n);
        int64_t fd = open_path(names[i], FOLDER);
        if (fd >= 0) {
            CHECK_INT(CALL(fchmod, (uint64_t)fd, 0750), 0);
            CHECK_INT(CALL(fchmod, (uint64_t)fd, 0777), -LINUX_EACCES);
            CHECK_INT(CALL(close, (uint64_t)fd), 0);
        }
        CHECK_INT(mode_of("grant"), 0750);
    }
    CHECK_INT(violations_of("path", "fchmod"), n - 1);
    end();
}

static void owners_stay(void) {
    enum { NO_FOLLOW = 0x100 };
    static const uint64_t same = LINUX_USER_ID, any = UINT64_MAX;
    begin();
    CHECK_INT(CALL(chown, put_text(PATH, "file"), same, same), 0);
    CHECK_INT(CALL(chown, PATH, same, any), 0);
    CHECK_INT(CALL(chown, put_text(PATH, "dangling"), any, any), -LINUX_ENOENT);
    CHECK_INT(CALL(lchown, PATH, any, UINT32_MAX), 0);
    CHECK_INT(CALL(fchownat, HERE, PATH, same, same, NO_FOLLOW), 0);
    CHECK_INT(CALL(fchownat, HERE, PATH, same, same, 0x1000), -LINUX_EINVAL);
    CHECK_INT(open_path("folder", FOLDER), 3);
    CHECK_INT(CALL(fchown, 3, same, any), 0);
    CHECK_INT(linux_violations(g.context)->count, 0);
    CHECK_INT(CALL(fchown, 3, 0, any), -LINUX_EPERM);
    CHECK_INT(CALL(chown, put_text(PATH, "file"), same, 0), -LINUX_EPERM);
    CHECK_INT(CALL(chown, PATH, 0, same), -LINUX_EPERM);
    CHECK_INT(violations_of("syscall", "chown"), 2);
    CHECK_INT(violations_of("syscall", "fchown"), 1);
    end();
}

static void devices_are_its_own(void) {
    enum { KIND_DEVICE = 0020000 };
    static const char *const names[] = {"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"};
    static const uint32_t minors[] = {3, 5, 8, 9};
    static const uint8_t zeros[100000];
    begin();
    uint8_t *bytes = bytes_at(BUFFER);
    for (size_t i = 0; i < 4; i++) {
        CHECK_INT(open_path(names[i], READ_WRITE | CREATE | EMPTY | APPEND), 3);
        memset(bytes, 7, sizeof zeros);
        CHECK_INT(CALL(write, 3, BUFFER, sizeof zeros), sizeof zeros);
        CHECK_INT(CALL(lseek, 3, UINT64_MAX, 1), 0);
        CHECK_INT(CALL(read, 3, BUFFER, sizeof zeros), i == 0 ? 0 : (int64_t)sizeof zeros);
        CHECK_INT(CALL(pread64, 3, BUFFER, 10, INT64_MAX), i == 0 ? 0 : 10);
        CHECK_INT(memcmp(bytes, zeros, sizeof zeros) == 0, i == 1);
        CHECK(i > 0 || (bytes[0] == 7 && bytes[sizeof zeros - 1] == 7));
        CHECK_INT(CALL(fstat, 3, BUFFER), 0);
        CHECK_INT(get_u32(BUFFER + 24), KIND_DEVICE | 0666);
        CHECK_INT(CALL(stat, put_text(PATH, names[i]), BUFFER), 0);
        CHECK_INT(get_u32(BUFFER + 24), KIND_DEVICE | 0666);
        CHECK_INT(get_u64(BUFFER + 40) >> 8, 1);
        CHECK(i == 2 || (get_u64(BUFFER + 40) & 0xFF) == minors[i]); /* both are /dev/urandom */
        CHECK_INT(CALL(access, PATH, 6), 0);
        CHECK_INT(CALL(access, PATH, 1), -LINUX_EACCES);
        CHECK_INT(CALL(ftruncate, 3, 0), -LINUX_EINVAL);
        CHECK_INT(CALL(ioctl, 3, 0x5401, BUFFER), -LINUX_ENOTTY);
        CHECK_INT(CALL(fchmod, 3, 0600), -LINUX_ESPIPE);
        CHECK(CALL(mmap, 0, 4096, 1, 2, 3, 0) < 0);
        CHECK_INT(CALL(close, 3), 0);
        CHECK_INT(open_path(names[i], WRITE), 3);
        CHECK_INT(CALL(read, 3, BUFFER, 1), -LINUX_EBADF);
        CHECK_INT(CALL(close, 3), 0);
        CHECK_INT(open_path(names[i], FOLDER), -LINUX_ENOTDIR);
        CHECK_INT(open_path(names[i], WRITE | CREATE | NEW), -LINUX_EEXIST);
        CHECK_INT(CALL(chdir, PATH), -LINUX_ENOTDIR);
        CHECK_INT(linux_violations(g.context)->count, 0);
    }
    CHECK_INT(open_path("/dev/null/", 0), -LINUX_ENOTDIR);
    CHECK_INT(open_path("/dev/tty", 0), -LINUX_ENOENT);
    CHECK_INT(open_path("/dev", FOLDER), -LINUX_ENOENT);
    CHECK_INT(CALL(unlink, put_text(PATH, "/dev/null")), -LINUX_EROFS);
    CHECK_INT(CALL(chmod, PATH, 0600), -LINUX_EROFS);
    CHECK_INT(violations_of("path", "unlink"), 1);
    CHECK_INT(linux_ended(g.context), LINUX_RUNS);
    end();
}

static void the_working_folder_is_kept(void) {
    begin();
    CHECK_INT(CALL(getcwd, BUFFER, 100), 6);
    CHECK_STRING((const char *)bytes_at(BUFFER), "/data");
    CHECK_INT(CALL(getcwd, BUFFER, 5), -LINUX_ERANGE);
    CHECK_INT(CALL(chdir, put_text(PATH, "folder//.")), 0);
    CHECK_INT(CALL(getcwd, BUFFER, 100), 13);
    CHECK_STRING((const char *)bytes_at(BUFFER), "/data/folder");
    CHECK_INT(open_path("inner", 0), 3);
    CHECK_INT(open_path("../file", 0), 4);
    CHECK_INT(CALL(chdir, put_text(PATH, "inner")), -LINUX_ENOTDIR);
    CHECK_INT(CALL(chdir, put_text(PATH, "nowhere")), -LINUX_ENOENT);
    CHECK_INT(CALL(chdir, put_text(PATH, "../../../..")), 0);
    CHECK_INT(CALL(getcwd, BUFFER, 100), 2);
    CHECK_INT(open_path("data/file", 0), 5);
    CHECK_INT(open_path("/data/folder", FOLDER), 6);
    CHECK_INT(CALL(fchdir, 6), 0);
    CHECK_INT(CALL(fchdir, 5), -LINUX_ENOTDIR);
    CHECK_INT(open_path("inner", 0), 7);
    CHECK_INT(CALL(openat, 6, put_text(PATH, "inner"), 0), 8);
    CHECK_INT(CALL(openat, 5, PATH, 0), -LINUX_ENOTDIR);
    CHECK_INT(CALL(openat, 99, PATH, 0), -LINUX_EBADF);
    CHECK_INT(CALL(openat, 99, put_text(PATH, "/data/file"), 0), 9);
    end();
}

/* ---- where paths lead --------------------------------------------------------------------- */

typedef struct path_row {
    const char *path;
    int64_t expected; /* of opening for reading: 0, or a negative errno */
    bool violates;
} path_row;

static const path_row paths[] = {
    {"/data/file", 0, false},
    {"/data//./folder/../file", 0, false},
    {"//data/file", 0, false},
    {"/../../data/file", 0, false}, /* what is above / is / */
    {"/data/../data/file", 0, false},
    {"/data/link", 0, false},
    {"/data/linkdir/inner", 0, false},
    {"/data/slashdir/inner", 0, false},
    {"/data/folder/up", 0, false},
    {"/data", 0, false},
    {"/data/", 0, false},
    {"/data/.", 0, false},
    {"/", 0, false},
    {"file", 0, false},
    {"./file", 0, false},
    {"../data/file", 0, false},
    {"/data/chain-40", 0, false},
    {"/data/chain-41", -LINUX_ELOOP, false},
    {"", -LINUX_ENOENT, false},
    {"/data/file/", -LINUX_ENOTDIR, false},
    {"/data/file/.", -LINUX_ENOTDIR, false},
    {"/data/file/x", -LINUX_ENOTDIR, false},
    {"/data/missing", -LINUX_ENOENT, false},
    {"/data/dangling", -LINUX_ENOENT, false},
    {"/data/loop", -LINUX_ELOOP, false},
    {"/data/ring-a", -LINUX_ELOOP, false},
    {"/data/fifo", -LINUX_EACCES, false},
    /* what lies in no granted folder does not exist */
    {"/data/../outside/secret", -LINUX_ENOENT, false},
    {"../outside/secret", -LINUX_ENOENT, false},
    {"/etc/passwd", -LINUX_ENOENT, false},
    {"/proc/self/mem", -LINUX_ENOENT, false},
    {"/proc/self/exe", -LINUX_ENOENT, false},
    {"/dev/kvm", -LINUX_ENOENT, false},
    {"/dat", -LINUX_ENOENT, false},
    {"/data2/file", -LINUX_ENOENT, false},
    {"/datafile", -LINUX_ENOENT, false},
    {"/data\\..\\outside", -LINUX_ENOENT, false},
    /* links that lead out */
    {"/data/out", -LINUX_EACCES, true},
    {"/data/outdir/secret", -LINUX_EACCES, true},
    {"/data/outdir", -LINUX_EACCES, true},
    {"/data/dotdot/outside/secret", -LINUX_EACCES, true},
    {"/data/dotdot", -LINUX_EACCES, true},
    {"/data/absolute", -LINUX_EACCES, true},
    {"/data/root/etc/passwd", -LINUX_EACCES, true},
    {"/data/folder/upup", -LINUX_EACCES, true},
    {"/data/linkdir/upup", -LINUX_EACCES, true},
};

static void try_path(const path_row *row) {
    begin();
    int64_t result = open_path(row->path, 0);
    if (row->expected == 0 ? result < 0 : result != row->expected) {
        check_fail(__FILE__, __LINE__, "\"%s\": %lld", row->path, (long long)result);
    }
    if ((violations_of("path", "openat") > 0) != row->violates) {
        check_fail(__FILE__, __LINE__, "\"%s\": %llu violations", row->path,
                   (unsigned long long)violations_of("path", "openat"));
    }
    if (row->violates) { /* no other call goes there either */
        (void)put_text(PATH, row->path);
        CHECK_INT(CALL(stat, PATH, BUFFER), -LINUX_EACCES);
        CHECK_INT(CALL(access, PATH, 0), -LINUX_EACCES);
        CHECK_INT(CALL(chdir, PATH), -LINUX_EACCES);
        CHECK(open_path(row->path, WRITE | CREATE | EMPTY) < 0);
        CHECK(CALL(truncate, put_text(PATH, row->path), 0) < 0);
    }
    end();
}

static void paths_stay_inside(void) {
    for (unsigned walk = 0; walk < 2; walk++) {
        platform_beneath_walk_only(walk == 1);
        for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
            try_path(&paths[i]);
        }
    }
    platform_beneath_walk_only(false);
}

static void long_paths_are_refused(void) {
    begin();
    memset(bytes_at(PATH), 'x', 5000);
    *bytes_at(PATH) = '/';
    CHECK_INT(CALL(openat, HERE, PATH, 0), -LINUX_ENAMETOOLONG);
    *bytes_at(PATH + 4095) = '\0';
    CHECK_INT(CALL(openat, HERE, PATH, 0), -LINUX_ENOENT);
    *bytes_at(PATH) = 'x'; /* and the working folder before it */
    CHECK_INT(CALL(openat, HERE, PATH, 0), -LINUX_ENAMETOOLONG);
    for (unsigned i = 0; i < 4095; i++) {
        *bytes_at(PATH + i) = i % 2 == 0 ? '.' : '/';
    }
    CHECK(CALL(openat, HERE, PATH, 0) >= 0);
    end();
}

static void mounts_are_found_by_the_longest_name(void) {
    begin();
    linux_finish_guest();
    linux_prepare();
    g.options.n_folders = 2;
    guest_folders[0] =
        (linux_folder){.host = scratch_path("grant"), .guest = "/a", .writable = false};
    guest_folders[1] =
        (linux_folder){.host = scratch_path("grant/folder"), .guest = "/a/b/", .writable = true};
    linux_start();
    CHECK_INT(open_path("/a/b/inner", READ_WRITE), 3);
    CHECK_INT(open_path("/a/folder/inner", 0), 4);
    CHECK_INT(open_path("/a/folder/inner", WRITE), -LINUX_EROFS);
    CHECK_INT(violations_of("path", "openat"), 1);
    CHECK_INT(open_path("/a/b", FOLDER), 5);
    CHECK_INT(CALL(openat, 5, put_text(PATH, "../file"), 0), 6); /* by names, as mounts are */
    CHECK_INT(CALL(rename, put_text(PATH, "/a/b/inner"), put_text(PATH_2, "/a/inner")),
              -LINUX_EROFS);
    CHECK_INT(open_path("/", FOLDER), 7);
    CHECK_STRING(list(7, 1000), "./ ../ a/ ");
    linux_finish_guest();
    linux_prepare();
    guest_folders[0] =
        (linux_folder){.host = scratch_path("grant"), .guest = "/", .writable = true};
    linux_start();
    CHECK_INT(open_path("/file", 0), 3);
    CHECK_INT(open_path("file", 0), 4);
    CHECK_INT(CALL(getcwd, BUFFER, 10), 2);
    CHECK_INT(open_path("/../outside/secret", 0), -LINUX_ENOENT);
    end();
}

static void names_of_mounts_are_plain(void) {
    static const char *const bad[] = {"",       "data", "./data", "/a/..", "/../a",
                                      "/a/./b", "//a",  "/a//b",  "/a//"};
    tree_make();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        linux_context *context;
        tars_error err = {.message = ""};
        linux_prepare();
        guest_folders[0].guest = bad[i];
        CHECK_INT(linux_create(&g.options, &context, &err), TARS_USAGE);
        CHECK(context == NULL && strstr(err.message, "absolute path") != NULL);
    }
    linux_prepare();
    guest_folders[0].host = scratch_path("nowhere");
    linux_context *context;
    CHECK_INT(linux_create(&g.options, &context, NULL), TARS_NOT_FOUND);
    tree_remove();
}

static void read_only_means_it(void) {
    begin();
    linux_finish_guest();
    linux_prepare();
    guest_folders[0].writable = false;
    linux_start();
    static const struct {
        const char *name;
        uint64_t arguments[6];
    } changes[] = {{"open", {PATH, WRITE}},   {"open", {PATH, READ_WRITE}},
                   {"open", {PATH, EMPTY}},   {"open", {PATH_2, CREATE}},
                   {"creat", {PATH_2, 0600}}, {"mkdir", {PATH_2, 0700}},
                   {"unlink", {PATH}},        {"rmdir", {PATH}},
                   {"truncate", {PATH, 0}},   {"rename", {PATH, PATH_2}},
                   {"chmod", {PATH, 0600}},   {"chown", {PATH, UINT32_MAX, UINT32_MAX}}};
    (void)put_text(PATH, "/data/file");
    (void)put_text(PATH_2, "/data/new");
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        if (guest_call(changes[i].name, changes[i].arguments) != -LINUX_EROFS) {
            check_fail(__FILE__, __LINE__, "row %zu, %s is not refused", i, changes[i].name);
        }
        CHECK(violations_of("path", changes[i].name) > 0);
    }
    CHECK_INT(CALL(access, PATH, 2), -LINUX_EROFS);
    CHECK_INT(violations_of("path", "access"), 0);
    CHECK_INT(open_path("/data/file", 0), 3);
    CHECK_INT(CALL(utimensat, 3, 0, 0, 0), -LINUX_EROFS);
    CHECK_INT(CALL(fchmod, 3, 0600), -LINUX_EROFS);
    CHECK_INT(CALL(fchown, 3, UINT32_MAX, UINT32_MAX), -LINUX_EROFS);
    CHECK_INT(violations_of("path", "fchmod"), 1);
    CHECK_STRING(read_text(3), "hello world");
    CHECK_INT(open_path("/data/file", TEMPORARY | WRITE), -LINUX_EOPNOTSUPP);
    CHECK_INT(open_path("/data/file", 3), -LINUX_EINVAL);
    CHECK_INT(open_path("/data/link", NO_LINK), -LINUX_ELOOP);
    CHECK_INT(CALL(readlink, put_text(PATH, "/data/link"), BUFFER, 100), 4);
    CHECK_INT(CALL(readlink, put_text(PATH, "/data/absolute"), BUFFER, 100), -LINUX_EACCES);
    CHECK_INT(CALL(readlink, put_text(PATH, "/data/file"), BUFFER, 100), -LINUX_EINVAL);
    CHECK_INT(CALL(readlink, put_text(PATH, "/"), BUFFER, 100), -LINUX_EINVAL);
    end();
}

/* ---- races ---------------------------------------------------------------------------------- */

static atomic_bool racing;

/* What was a folder becomes a link that leads out, and a folder again. */
static void flip(void *unused) {
    char link[1024], folder[1024], flipped[1024];
    (void)unused;
    snprintf(link, sizeof link, "%s", scratch_path("grant/flip-link"));
    snprintf(folder, sizeof folder, "%s", scratch_path("grant/flip-folder"));
    snprintf(flipped, sizeof flipped, "%s", scratch_path("grant/flip"));
    while (atomic_load(&racing)) {
        (void)rename(folder, flipped);
        (void)rename(flipped, folder);
        (void)rename(link, flipped);
        (void)rename(flipped, link);
    }
}

static void races_do_not_lead_out(void) {
    begin();
    make_folder("grant/flip-folder");
    grant_write("grant/flip-folder/secret", "inside");
    make_link("../outside", "grant/flip-link");
    platform_thread thread;
    unsigned n_opened = 0;
    atomic_store(&racing, true);
    CHECK_INT(platform_thread_create("flip", flip, NULL, &thread, NULL), TARS_OK);
    uint64_t until = platform_clock_ns() + 500000000;
    while (platform_clock_ns() < until) {
        int64_t fd = open_path("/data/flip/secret", 0);
        if (fd >= 0) {
            n_opened++;
            CHECK_STRING(read_text(fd), "inside");
            CHECK_INT(CALL(close, (uint64_t)fd), 0);
        }
        (void)CALL(mkdir, put_text(PATH, "/data/flip/made"), 0700);
        (void)CALL(rmdir, PATH);
        (void)CALL(unlink, put_text(PATH, "/data/flip/victim"));
        (void)CALL(chmod, put_text(PATH, "/data/flip/secret"), 0641);
    }
    atomic_store(&racing, false);
    platform_thread_join(&thread);
    CHECK(n_opened > 0);
    CHECK(mode_of("outside/secret") != 0641);
    end();
}

static const check_test table[] = {
    {"files are read and written", files_are_read_and_written},
    {"dup shares the position", dup_shares_the_position},
    {"files are mapped as copies", files_are_mapped_as_copies},
    {"file size is limited", file_size_is_limited},
    {"n_files is exact", n_files_is_exact},
    {"structures are laid out as they must", structures_are_laid_out_as_they_must},
    {"folders are listed", folders_are_listed},
    {"names are changed", names_are_changed},
    {"links and times are set", links_and_times_are_set},
    {"permissions are set", permissions_are_set},
    {"permissions give no rights", permissions_give_no_rights},
    {"permissions of the granted folder stay", permissions_of_the_granted_folder_stay},
    {"owners stay", owners_stay},
    {"devices are its own", devices_are_its_own},
    {"the working folder is kept", the_working_folder_is_kept},
    {"paths stay inside", paths_stay_inside},
    {"long paths are refused", long_paths_are_refused},
    {"mounts are found by the longest name", mounts_are_found_by_the_longest_name},
    {"names of mounts are plain", names_of_mounts_are_plain},
    {"read-only means it", read_only_means_it},
    {"races do not lead out", races_do_not_lead_out},
};

#else

static void is_not_here(void) {
    check_skip("micro-VMs are x86-64 Linux's");
}
static const check_test table[] = {{"is not here", is_not_here}};

#endif

CHECK_MAIN(table)
