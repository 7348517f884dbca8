#include "platform/platform.h"
#include "scratch.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* ---- reading ----------------------------------------------------------------------------- */

static void reads_exactly(void) {
    scratch_make();
    const char *path = scratch_path("file");
    scratch_write(path, "0123456789", 10);
    platform_file file;
    tars_error err;
    CHECK_INT(platform_file_open(path, &file, &err), TARS_OK);
    platform_file_info info;
    CHECK_INT(platform_file_get_info(&file, &info, &err), TARS_OK);
    CHECK_INT(info.size_bytes, 10);
    CHECK_INT(info.mode, 0600);
    CHECK(info.inode != 0 && info.mtime_ns > INT64_C(1600000000) * 1000000000);
    CHECK_INT(fcntl((int)file.handle, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    char buffer[16] = "";
    CHECK_INT(platform_file_read_at(&file, 3, buffer, 4, &err), TARS_OK);
    CHECK_BYTES(buffer, "3456", 4);
    CHECK_INT(platform_file_read_at(&file, 8, buffer, 4, &err), TARS_CORRUPT);
    CHECK_STRING(err.message, "the file ends at byte 10, expected 2 more");
    CHECK_INT(platform_file_read_at(&file, UINT64_MAX - 1, buffer, 4, &err), TARS_CORRUPT);
    byte_source source;
    CHECK_INT(platform_file_source(&file, &source, &err), TARS_OK);
    CHECK_INT(source.size_bytes, 10);
    CHECK_INT(source.read_at(source.context, 0, buffer, 10, &err), TARS_OK);
    CHECK_BYTES(buffer, "0123456789", 10);
    platform_file_drop_cache(&file);
    platform_file_close(&file);
    scratch_remove();
}

static void reads_whole_files(void) {
    scratch_make();
    const char *path = scratch_path("file");
    scratch_write(path, "hello\0world", 11);
    char *bytes;
    size_t length;
    tars_error err;
    CHECK_INT(platform_file_read_all(path, 11, &bytes, &length, &err), TARS_OK);
    CHECK_INT(length, 11);
    CHECK_BYTES(bytes, "hello\0world\0", 12);
    free(bytes);
    CHECK_INT(platform_file_read_all(path, 10, &bytes, &length, &err), TARS_LIMIT);
    CHECK(bytes == NULL);
    CHECK_STRING(err.message, "the file has 11 bytes, at most 10 are allowed");
    scratch_write(path, "", 0);
    CHECK_INT(platform_file_read_all(path, 0, &bytes, &length, &err), TARS_OK);
    CHECK_INT(length, 0);
    CHECK_STRING(bytes, "");
    free(bytes);
    /* files of /proc say 0 bytes and have more */
    CHECK_INT(platform_file_read_all("/proc/self/status", 1 << 20, &bytes, &length, &err), TARS_OK);
    CHECK(length > 100);
    free(bytes);
    CHECK_INT(platform_file_read_all("/proc/self/status", 50, &bytes, &length, &err), TARS_LIMIT);
    scratch_remove();
}

static void refuses_what_is_no_regular_file(void) {
    scratch_make();
    const char *fifo = scratch_path("fifo");
    CHECK_INT(mkfifo(fifo, 0600), 0);
    const char *link = scratch_path("link");
    CHECK_INT(symlink("nowhere", link), 0);
    const struct {
        const char *path;
        tars_status status;
        const char *message;
    } cases[] = {
        {scratch_folder, TARS_USAGE, "found a folder where a regular file was expected"},
        {fifo, TARS_USAGE, "found a fifo where a regular file was expected"},
        {"/dev/null", TARS_USAGE, "found a character device where a regular file was expected"},
        {"/nonexistent/x", TARS_NOT_FOUND, "cannot open the file: No such file or directory"},
        {link, TARS_NOT_FOUND, "cannot open the file: No such file or directory"},
        {"/dev/null/x", TARS_NOT_FOUND, "cannot open the file: Not a directory"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        platform_file file;
        tars_error err;
        CHECK_INT(platform_file_open(cases[i].path, &file, &err), cases[i].status);
        CHECK_STRING(err.message, cases[i].message);
        CHECK(err.hint[0] != '\0');
        CHECK(strstr(err.where, strrchr(cases[i].path, '/')) != NULL);
        CHECK(file.handle == PLATFORM_NO_HANDLE);
        CHECK_INT(platform_file_open(cases[i].path, &file, NULL), cases[i].status);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    platform_file file;
    tars_error err;
    CHECK_INT(platform_file_adopt(fd, "descriptor", &file, &err), TARS_USAGE);
    CHECK_STRING(err.message, "found a socket where a regular file was expected");
    close(fd);
    CHECK_INT(platform_file_adopt(fd, "descriptor", &file, &err), TARS_IO);
    scratch_remove();
}

static void follows_links_when_reading_only(void) {
    scratch_make();
    const char *path = scratch_path("file");
    const char *link = scratch_path("link");
    scratch_write(path, "x", 1);
    CHECK_INT(symlink("file", link), 0);
    platform_file file;
    tars_error err;
    CHECK_INT(platform_file_open(link, &file, &err), TARS_OK);
    platform_file_close(&file);
    CHECK_INT(platform_file_open_append(link, 0600, &file, &err), TARS_USAGE);
    CHECK_STRING(err.message, "found a symbolic link where a regular file was expected");
    scratch_remove();
}

static void long_paths_are_cut_in_messages(void) {
    char path[3000] = "/nonexistent";
    while (strlen(path) < 2900) {
        strcat(path, "/abcdefghi\xC3\xA9");
    }
    platform_file file;
    tars_error err;
    CHECK_INT(platform_file_open(path, &file, &err), TARS_NOT_FOUND);
    CHECK(strncmp(err.where, "...", 3) == 0);
    CHECK(strlen(err.where) <= sizeof err.where - 1 && strlen(err.where) > 150);
    CHECK(strcmp(path + strlen(path) - 10, err.where + strlen(err.where) - 10) == 0);
    memset(path, 'a', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    CHECK_INT(platform_file_open(path, &file, &err), TARS_USAGE);
}

/* Runs a function in a child process; its checks' failures come back as the exit status. */
static int run_in_child(int (*function)(void)) {
    fflush(stdout);
    pid_t id = fork();
    if (id == 0) {
        _exit(function());
    }
    int how;
    waitpid(id, &how, 0);
    return WIFEXITED(how) ? WEXITSTATUS(how) : 1000 + how;
}

enum { CHILD_SKIPS = 77 };

static int open_unreadable(void) {
    tars_error err;
    if (platform_is_root() && platform_drop_privileges(65534, 65534, &err) != TARS_OK) {
        return CHILD_SKIPS;
    }
    platform_file file;
    if (platform_file_open(scratch_path("secret"), &file, &err) != TARS_UNAVAILABLE) {
        return 1;
    }
    bool good = strcmp(err.message, "cannot open the file: Permission denied") == 0 &&
                strstr(err.hint, "permissions") != NULL;
    platform_writer writer;
    good = good && platform_writer_open(scratch_path("closed/new"), 0600, &writer, &err) ==
                       TARS_UNAVAILABLE;
    good = good && !platform_is_root();
    return good ? 0 : 2;
}

static void unreadable_files(void) {
    scratch_make();
    CHECK_INT(chmod(scratch_folder, 0755), 0);
    scratch_write(scratch_path("secret"), "x", 1);
    CHECK_INT(chmod(scratch_path("secret"), 0), 0);
    CHECK_INT(mkdir(scratch_path("closed"), 0500), 0);
    int result = run_in_child(open_unreadable);
    if (result == CHILD_SKIPS) {
        check_skip("cannot become an unprivileged user here");
    } else {
        CHECK_INT(result, 0);
    }
    scratch_remove();
}

/* ---- appending --------------------------------------------------------------------------- */

static void appends_and_resumes(void) {
    scratch_make();
    const char *path = scratch_path("part");
    platform_file file;
    tars_error err;
    CHECK_INT(platform_file_open_append(path, 0640, &file, &err), TARS_OK);
    CHECK_INT(platform_file_write(&file, "abc", 3, &err), TARS_OK);
    platform_file_close(&file);
    CHECK_INT(platform_file_open_append(path, 0640, &file, &err), TARS_OK);
    CHECK_INT(platform_file_write(&file, "def", 3, &err), TARS_OK);
    char buffer[8];
    CHECK_INT(platform_file_read_at(&file, 1, buffer, 5, &err), TARS_OK);
    CHECK_BYTES(buffer, "bcdef", 5);
    CHECK_INT(platform_file_truncate(&file, 2, &err), TARS_OK);
    CHECK_INT(platform_file_write(&file, "X", 1, &err), TARS_OK);
    CHECK_INT(platform_file_sync(&file, &err), TARS_OK);
    CHECK_INT(platform_file_truncate(&file, UINT64_MAX, &err), TARS_LIMIT);
    platform_file_close(&file);
    char *bytes;
    size_t length;
    CHECK_INT(platform_file_read_all(path, 100, &bytes, &length, &err), TARS_OK);
    CHECK_STRING(bytes, "abX");
    free(bytes);
    scratch_remove();
}

static void writes_over_what_is_there(void) {
    scratch_make();
    const char *path = scratch_path("f");
    platform_file file;
    tars_error err;
    char *bytes;
    size_t length;
    CHECK_INT(platform_file_open_update(path, 0600, &file, &err), TARS_OK);
    CHECK_INT(platform_file_write_at(&file, 0, "abcdef", 6, &err), TARS_OK);
    CHECK_INT(platform_file_write_at(&file, 2, "XY", 2, &err), TARS_OK);
    platform_file_close(&file);
    CHECK_INT(platform_file_open_update(path, 0600, &file, &err), TARS_OK); /* keeps it */
    CHECK_INT(platform_file_write_at(&file, 8, "z", 1, &err), TARS_OK);
    CHECK(platform_file_write_at(&file, UINT64_MAX, "z", 1, &err) != TARS_OK);
    platform_file_close(&file);
    CHECK_INT(platform_file_read_all(path, 100, &bytes, &length, &err), TARS_OK);
    CHECK_INT(length, 9);
    CHECK_BYTES(bytes, "abXYef\0\0z", 9);
    free(bytes);
    CHECK_INT(platform_file_open_update(scratch_folder, 0600, &file, &err), TARS_USAGE);
    scratch_remove();
}

/* ---- writer ------------------------------------------------------------------------------ */

static void check_contents(const char *path, const char *expected) {
    char *bytes;
    size_t length;
    tars_error err;
    CHECK_INT(platform_file_read_all(path, 1 << 20, &bytes, &length, &err), TARS_OK);
    if (bytes) {
        CHECK_STRING(bytes, expected);
    }
    free(bytes);
}

static void writes_whole_or_not_at_all(void) {
    scratch_make();
    const char *path = scratch_path("model");
    platform_writer writer;
    tars_error err;
    platform_kind kind;
    CHECK_INT(platform_writer_open(path, 0644, &writer, &err), TARS_OK);
    CHECK_INT(platform_writer_reserve(&writer, 1000, &err), TARS_OK);
    CHECK_INT(platform_writer_reserve(&writer, UINT64_MAX / 2, &err), TARS_DISK_FULL);
    byte_sink sink = platform_writer_sink(&writer);
    CHECK_INT(sink.write(sink.context, "new ", 4, &err), TARS_OK);
    CHECK_INT(platform_writer_write(&writer, "text", 4, &err), TARS_OK);
    CHECK_INT(writer.written_bytes, 8);
    CHECK_INT(platform_path_kind(path, &kind, NULL, &err), TARS_OK);
    CHECK_INT(kind, PLATFORM_KIND_MISSING);
    CHECK_INT(platform_writer_commit(&writer, PLATFORM_COMMIT_DROP_CACHE, &err), TARS_OK);
    check_contents(path, "new text");
    platform_file_info info;
    CHECK_INT(platform_path_kind(path, &kind, &info, &err), TARS_OK);
    CHECK_INT(info.mode, 0644);
    CHECK_INT(scratch_count(scratch_folder), 1);

    /* the name is taken */
    CHECK_INT(platform_writer_open(path, 0600, &writer, &err), TARS_OK);
    CHECK_INT(platform_writer_write(&writer, "other", 5, &err), TARS_OK);
    CHECK_INT(platform_writer_commit(&writer, 0, &err), TARS_CONFLICT);
    check_contents(path, "new text");
    CHECK_INT(scratch_count(scratch_folder), 1);

    /* abandoned: the old file stays, nothing else is there */
    CHECK_INT(platform_writer_open(path, 0600, &writer, &err), TARS_OK);
    CHECK_INT(platform_writer_write(&writer, "half", 4, &err), TARS_OK);
    platform_writer_abandon(&writer);
    platform_writer_abandon(&writer);
    check_contents(path, "new text");
    CHECK_INT(scratch_count(scratch_folder), 1);

    /* replaced */
    CHECK_INT(platform_writer_open(path, 0600, &writer, &err), TARS_OK);
    CHECK_INT(platform_writer_write(&writer, "second", 6, &err), TARS_OK);
    CHECK_INT(platform_writer_commit(&writer, PLATFORM_COMMIT_REPLACE, &err), TARS_OK);
    check_contents(path, "second");
    platform_writer_abandon(&writer);
    check_contents(path, "second");
    CHECK_INT(scratch_count(scratch_folder), 1);
    platform_writer zeroed;
    memset(&zeroed, 0, sizeof zeroed);
    platform_writer_abandon(&zeroed);
    CHECK(fcntl(0, F_GETFD) >= 0 || errno == EBADF);
    scratch_remove();
}

/* The way for systems without unnamed files: /proc out of reach makes the writer take it. */
static int write_with_names(void) {
    tars_error err;
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
        return CHILD_SKIPS;
    }
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", "/proc", "tmpfs", 0, NULL) != 0) {
        return CHILD_SKIPS;
    }
    const char *path = scratch_path("model");
    platform_writer writer;
    if (platform_writer_open(path, 0600, &writer, &err) != TARS_OK || !writer.named ||
        !platform_writer_is_leftover(writer.temporary) || scratch_count(scratch_folder) != 1 ||
        platform_writer_write(&writer, "text", 4, &err) != TARS_OK ||
        platform_writer_commit(&writer, 0, &err) != TARS_OK || scratch_count(scratch_folder) != 1) {
        return 1;
    }
    if (platform_writer_open(path, 0600, &writer, &err) != TARS_OK ||
        platform_writer_commit(&writer, 0, &err) != TARS_CONFLICT ||
        scratch_count(scratch_folder) != 1) {
        return 2;
    }
    if (platform_writer_open(path, 0600, &writer, &err) != TARS_OK ||
        platform_writer_write(&writer, "more", 4, &err) != TARS_OK ||
        platform_writer_commit(&writer, PLATFORM_COMMIT_REPLACE, &err) != TARS_OK ||
        scratch_count(scratch_folder) != 1) {
        return 3;
    }
    if (platform_writer_open(path, 0600, &writer, &err) != TARS_OK) {
        return 4;
    }
    platform_writer_abandon(&writer);
    return scratch_count(scratch_folder) == 1 ? 0 : 5;
}

static void writes_without_unnamed_files(void) {
    scratch_make();
    int result = run_in_child(write_with_names);
    if (result == CHILD_SKIPS) {
        check_skip("no mount namespace of its own to be had");
    } else {
        CHECK_INT(result, 0);
        check_contents(scratch_path("model"), "more");
    }
    scratch_remove();
}

static int write_and_die(void) {
    platform_writer writer;
    tars_error err;
    if (platform_writer_open(scratch_path("model"), 0600, &writer, &err) == TARS_OK &&
        platform_writer_write(&writer, "half", 4, &err) == TARS_OK) {
        kill(getpid(), SIGKILL);
    }
    return 1;
}

static void a_killed_writer_leaves_no_model(void) {
    scratch_make();
    CHECK_INT(run_in_child(write_and_die), 1000 + SIGKILL);
    platform_kind kind;
    tars_error err;
    CHECK_INT(platform_path_kind(scratch_path("model"), &kind, NULL, &err), TARS_OK);
    CHECK_INT(kind, PLATFORM_KIND_MISSING);
    scratch_remove();
}

static void writer_refusals(void) {
    scratch_make();
    platform_writer writer;
    tars_error err;
    CHECK_INT(platform_writer_open(scratch_path("no/such/folder"), 0600, &writer, &err),
              TARS_NOT_FOUND);
    CHECK_INT(platform_writer_open(scratch_path("folder/"), 0600, &writer, &err), TARS_USAGE);
    CHECK_INT(mkdir(scratch_path("taken"), 0700), 0);
    CHECK_INT(platform_writer_open(scratch_path("taken"), 0600, &writer, &err), TARS_USAGE);
    CHECK_INT(platform_writer_open("/dev/null", 0600, &writer, &err), TARS_USAGE);
    CHECK_STRING(err.message,
                 "found a device, fifo or socket where a regular file is to be written");
    /* a folder that comes meanwhile is not replaced either */
    CHECK_INT(platform_writer_open(scratch_path("late"), 0600, &writer, &err), TARS_OK);
    CHECK_INT(mkdir(scratch_path("late"), 0700), 0);
    CHECK(platform_writer_commit(&writer, PLATFORM_COMMIT_REPLACE, &err) != TARS_OK);
    CHECK_INT(rmdir(scratch_path("late")), 0);
    /* a link gives way, what it led to stays */
    scratch_write(scratch_path("taken/file"), "old", 3);
    CHECK_INT(symlink("taken/file", scratch_path("link")), 0);
    CHECK_INT(platform_writer_open(scratch_path("link"), 0600, &writer, &err), TARS_OK);
    CHECK_INT(platform_writer_commit(&writer, PLATFORM_COMMIT_REPLACE, &err), TARS_OK);
    check_contents(scratch_path("taken/file"), "old");
    CHECK_INT(platform_remove(scratch_path("link"), &err), TARS_OK);
    CHECK_INT(scratch_count(scratch_folder), 1);
    CHECK(!platform_writer_is_leftover("model.part") && !platform_writer_is_leftover(".tars-"));
    CHECK(platform_writer_is_leftover(".tars-0123456789abcdef.part"));
    scratch_remove();
}

static int fill_small_disk(void) {
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
        return CHILD_SKIPS;
    }
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", scratch_folder, "tmpfs", 0, "size=1m") != 0) {
        return CHILD_SKIPS;
    }
    static char bytes[256 << 10];
    platform_writer writer;
    tars_error err;
    uint64_t free_bytes;
    if (platform_disk_free(scratch_folder, &free_bytes, &err) != TARS_OK || free_bytes > 1 << 20) {
        return 1;
    }
    if (platform_writer_open(scratch_path("model"), 0600, &writer, &err) != TARS_OK ||
        platform_writer_reserve(&writer, 2 << 20, &err) != TARS_DISK_FULL || err.hint[0] == '\0') {
        return 2;
    }
    tars_status status = TARS_OK;
    for (int i = 0; i < 8 && status == TARS_OK; i++) {
        status = platform_writer_write(&writer, bytes, sizeof bytes, &err);
    }
    if (status != TARS_DISK_FULL || err.status != TARS_DISK_FULL || err.hint[0] == '\0') {
        return 3;
    }
    platform_writer_abandon(&writer);
    if (scratch_count(scratch_folder) != 0) {
        return 4;
    }
    return platform_disk_free(scratch_folder, &free_bytes, &err) == TARS_OK &&
                   free_bytes > 900 << 10
               ? 0
               : 5;
}

static void a_full_disk(void) {
    scratch_make();
    int result = run_in_child(fill_small_disk);
    scratch_remove();
    if (result == CHILD_SKIPS) {
        check_skip("no mount namespace of its own to be had");
        return;
    }
    CHECK_INT(result, 0);
    int fd = open("/dev/full", O_WRONLY);
    tars_error err;
    CHECK_INT(platform_handle_write(fd, "x", 1, &err), TARS_DISK_FULL);
    close(fd);
}

static int write_beyond_limit(void) {
    struct rlimit limit = {4096, 4096};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    static char bytes[8192];
    platform_writer writer;
    tars_error err;
    if (platform_writer_open(scratch_path("model"), 0600, &writer, &err) != TARS_OK) {
        return 1;
    }
    if (platform_writer_write(&writer, bytes, sizeof bytes, &err) != TARS_LIMIT) {
        return 2;
    }
    platform_writer_abandon(&writer);
    return scratch_count(scratch_folder) == 0 ? 0 : 3;
}

static void a_limit_of_file_sizes(void) {
    scratch_make();
    CHECK_INT(run_in_child(write_beyond_limit), 0);
    scratch_remove();
}

/* ---- folders ----------------------------------------------------------------------------- */

static bool note_entry(void *user, const char *name, platform_kind kind) {
    char *seen = user;
    seen[(unsigned char)name[0]] = (char)('0' + (int)kind);
    return true;
}

static bool stop_at_once(void *user, const char *name, platform_kind kind) {
    (void)name;
    (void)kind;
    ++*(int *)user;
    return false;
}

static void folders(void) {
    scratch_make();
    tars_error err;
    CHECK_INT(platform_make_folders(scratch_path("a/b//c/"), &err), TARS_OK);
    CHECK_INT(platform_make_folders(scratch_path("a/b/c"), &err), TARS_OK);
    struct stat s;
    CHECK_INT(stat(scratch_path("a/b/c"), &s), 0);
    CHECK_INT(s.st_mode & 07777, 0700);
    scratch_write(scratch_path("f"), "x", 1);
    CHECK_INT(symlink("f", scratch_path("l")), 0);
    CHECK_INT(mkfifo(scratch_path("p"), 0600), 0);
    CHECK_INT(platform_make_folders(scratch_path("f/x"), &err), TARS_NOT_FOUND);
    CHECK_INT(platform_make_folders(scratch_path("f"), &err), TARS_NOT_FOUND);
    CHECK_INT(platform_make_folders("", &err), TARS_NOT_FOUND);
    char seen[256] = {0};
    CHECK_INT(platform_list_folder(scratch_folder, note_entry, seen, &err), TARS_OK);
    CHECK_INT(seen['a'], '0' + PLATFORM_KIND_FOLDER);
    CHECK_INT(seen['f'], '0' + PLATFORM_KIND_FILE);
    CHECK_INT(seen['l'], '0' + PLATFORM_KIND_LINK);
    CHECK_INT(seen['p'], '0' + PLATFORM_KIND_OTHER);
    CHECK_INT(seen['.'], 0);
    int count = 0;
    CHECK_INT(platform_list_folder(scratch_folder, stop_at_once, &count, &err), TARS_OK);
    CHECK_INT(count, 1);
    CHECK_INT(platform_list_folder(scratch_path("none"), note_entry, seen, &err), TARS_NOT_FOUND);
    CHECK_INT(platform_list_folder(scratch_path("f"), note_entry, seen, &err), TARS_NOT_FOUND);

    CHECK_INT(platform_remove(scratch_path("a"), &err), TARS_CONFLICT);
    CHECK_INT(platform_remove(scratch_path("a/b/c"), &err), TARS_OK);
    CHECK_INT(platform_remove(scratch_path("l"), &err), TARS_OK);
    CHECK_INT(platform_remove(scratch_path("l"), &err), TARS_NOT_FOUND);
    CHECK_INT(platform_rename(scratch_path("f"), scratch_path("g"), &err), TARS_OK);
    CHECK_INT(platform_rename(scratch_path("f"), scratch_path("g"), &err), TARS_NOT_FOUND);
    check_contents(scratch_path("g"), "x");
    uint64_t free_bytes = 0;
    CHECK_INT(platform_disk_free(scratch_folder, &free_bytes, &err), TARS_OK);
    CHECK(free_bytes > 0);
    CHECK_INT(platform_disk_free(scratch_path("none"), &free_bytes, &err), TARS_NOT_FOUND);
    scratch_remove();
}

/* ---- locks ------------------------------------------------------------------------------- */

static int lock_and_wait(void) {
    platform_lock lock;
    if (platform_lock_take(scratch_path("lock"), 0, &lock, NULL) != TARS_OK) {
        return 1;
    }
    scratch_write(scratch_path("locked"), "", 0);
    while (access(scratch_path("release"), F_OK) != 0) {
        platform_sleep_ns(1000000);
    }
    platform_sleep_ns(50000000); /* now the other one waits, or will find the lock free */
    platform_lock_release(&lock);
    return 0;
}

static void locks(void) {
    scratch_make();
    char path[1024];
    snprintf(path, sizeof path, "%s", scratch_path("lock"));
    platform_lock lock, second;
    tars_error err;
    CHECK_INT(platform_lock_take(path, 0, &lock, &err), TARS_OK);
    char expected[64];
    snprintf(expected, sizeof expected, "locked by somebody else: process %d", (int)getpid());
    CHECK_INT(platform_lock_take(path, 0, &second, &err), TARS_CONFLICT);
    CHECK_STRING(err.message, expected);
    uint64_t before = platform_clock_ns();
    CHECK_INT(platform_lock_take(path, 50000000, &second, &err), TARS_CONFLICT);
    CHECK(platform_clock_ns() - before >= 50000000);
    platform_lock_release(&lock);
    CHECK_INT(platform_lock_take(path, 0, &lock, &err), TARS_OK);
    platform_lock_release(&lock);
    CHECK_INT(platform_lock_take(scratch_path("no/lock"), 0, &lock, &err), TARS_NOT_FOUND);

    fflush(stdout);
    pid_t id = fork();
    if (id == 0) {
        _exit(lock_and_wait());
    }
    while (access(scratch_path("locked"), F_OK) != 0) {
        platform_sleep_ns(1000000);
    }
    CHECK_INT(platform_lock_take(path, 0, &lock, &err), TARS_CONFLICT);
    snprintf(expected, sizeof expected, "locked by somebody else: process %d", (int)id);
    CHECK_STRING(err.message, expected);
    scratch_write(scratch_path("release"), "", 0);
    CHECK_INT(platform_lock_take(path, UINT64_C(60000000000), &lock, &err), TARS_OK);
    platform_lock_release(&lock);
    int how;
    waitpid(id, &how, 0);
    CHECK_INT(how, 0);
    scratch_remove();
}

static const check_test tests[] = {
    {"reads exactly", reads_exactly},
    {"reads whole files", reads_whole_files},
    {"refuses what is no regular file", refuses_what_is_no_regular_file},
    {"follows links when reading only", follows_links_when_reading_only},
    {"long paths are cut in messages", long_paths_are_cut_in_messages},
    {"unreadable files", unreadable_files},
    {"appends and resumes", appends_and_resumes},
    {"writes over what is there", writes_over_what_is_there},
    {"writes whole or not at all", writes_whole_or_not_at_all},
    {"writes without unnamed files", writes_without_unnamed_files},
    {"a killed writer leaves no model", a_killed_writer_leaves_no_model},
    {"writer refusals", writer_refusals},
    {"a full disk", a_full_disk},
    {"a limit of file sizes", a_limit_of_file_sizes},
    {"folders", folders},
    {"locks", locks},
};
CHECK_MAIN(tests)
