#include "fixture.h"

#include <time.h>

static void names_are_checked(void) {
    static const char *const good[] = {"a", "smollm2", "qwen2.5-0.5b_q4", "0"};
    static const char *const bad[] = {"",     ".",   "..",  "../x", "a/b", "-a", ".hidden",
                                      "Name", "a b", "a\n", "ä",    "a@b", "_x", "a\\b"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        CHECK(store_name_valid(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tars_error err = {0};
        CHECK(!store_name_valid(bad[i]));
        CHECK_INT(store_name_check(bad[i], &err), TARS_USAGE);
        CHECK(err.hint[0] != '\0');
    }
    char longest[200];
    memset(longest, 'a', sizeof longest);
    longest[127] = '\0';
    CHECK(store_name_valid(longest));
    longest[127] = 'a';
    longest[128] = '\0';
    CHECK(!store_name_valid(longest));
}

static void names_come_from_paths(void) {
    static const char *const cases[][2] = {
        {"/x/SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2-135m-instruct.q4_1"},
        {"model dir/", "model-dir"},
        {"a/b/ÄÖ model!!.gguf", "model"},
        {".gguf", "gguf"},
        {"///", "model"},
        {"", "model"},
        {"..", "model"},
        {"--x--", "x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[STORE_NAME_BYTES];
        store_name_from_path(cases[i][0], name);
        CHECK_STRING(name, cases[i][1]);
        CHECK(store_name_valid(name));
    }
    char path[600];
    char name[STORE_NAME_BYTES];
    memset(path, 'Q', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    store_name_from_path(path, name);
    CHECK(store_name_valid(name));
}

static void empty_store_is_readable(void) {
    fixture f;
    fixture_begin(&f);
    store *s = NULL;
    store_entry *entries = NULL;
    store_entry entry;
    size_t count = 7;
    tars_error err = {0};
    CHECK_INT(store_open(f.home, STORE_READ, &s, &err), TARS_OK);
    CHECK_INT(store_list(s, &entries, &count, &err), TARS_OK);
    CHECK_INT(count, 0);
    CHECK_INT(store_find(s, "smollm2", &entry, &err), TARS_NOT_FOUND);
    CHECK_STRING(err.message, "no model named \"smollm2\"");
    CHECK(strstr(err.hint, "tars pull") != NULL);
    CHECK(!fixture_exists(f.home)); /* looking makes nothing */
    store_close(s);
    fixture_end(&f);
}

static void models_are_found_by_name_and_digest(void) {
    fixture f;
    fixture_begin(&f);
    store *s = fixture_open(&f);
    tars_error err = {0};
    CHECK_INT(fixture_put(s, "beta", "packed beta", &err), TARS_OK);
    CHECK_INT(fixture_put(s, "alpha", "packed alpha", &err), TARS_OK);
    store_entry *entries = NULL;
    size_t count = 0;
    CHECK_INT(store_list(s, &entries, &count, &err), TARS_OK);
    CHECK_INT(count, 2);
    if (count == 2) {
        CHECK_STRING(entries[0].model.name, "alpha");
        CHECK_STRING(entries[1].model.name, "beta");
        char reference[256];
        char path[STORE_PATH_BYTES];
        store_entry entry;
        snprintf(reference, sizeof reference, "beta@%.12s", entries[1].model.sha256);
        CHECK_INT(store_locate(s, reference, &entry, path, sizeof path, &err), TARS_OK);
        CHECK_INT(entry.model.packed_bytes, 11);
        CHECK_INT(entry.model.context_length, 2048);
        snprintf(reference, sizeof reference, "beta@%.4s", entries[1].model.packed_sha256);
        CHECK_INT(store_locate(s, reference, &entry, path, sizeof path, &err), TARS_OK);
        snprintf(reference, sizeof reference, "beta@%.12s", entries[0].model.sha256);
        CHECK_INT(store_find(s, reference, &entry, &err), TARS_NOT_FOUND);
        CHECK_INT(store_find(s, "beta@123", &entry, &err), TARS_USAGE);
        CHECK_INT(store_find(s, "beta@XYZW", &entry, &err), TARS_USAGE);
        CHECK_INT(store_find(s, "../beta", &entry, &err), TARS_USAGE);
    }
    store_entry entry;
    CHECK_INT(store_find(s, "alhpa", &entry, &err), TARS_NOT_FOUND);
    CHECK_STRING(err.hint, "did you mean alpha?");
    struct stat facts;
    CHECK(stat(f.home, &facts) == 0 && (facts.st_mode & 0777) == 0700);
    CHECK(stat(fixture_path(&f, "models/blobs"), &facts) == 0 && (facts.st_mode & 0777) == 0700);
    CHECK(stat(fixture_path(&f, "models/index.sqlite"), &facts) == 0 &&
          (facts.st_mode & 0777) == 0600);
    free(entries);
    store_close(s);
    fixture_end(&f);
}

static void removing_keeps_what_others_use(void) {
    fixture f;
    fixture_begin(&f);
    store *s = fixture_open(&f);
    tars_error err = {0};
    fixture_put(s, "one", "the same bytes", &err);
    fixture_put(s, "two", "the same bytes", &err);
    CHECK_INT(fixture_count(fixture_path(&f, "models/blobs")), 1);
    CHECK_INT(store_remove(s, "one", &err), TARS_OK);
    CHECK_INT(fixture_count(fixture_path(&f, "models/blobs")), 1);
    CHECK_INT(store_remove(s, "one", &err), TARS_NOT_FOUND);
    CHECK_INT(store_remove(s, "two", &err), TARS_OK);
    CHECK_INT(fixture_count(fixture_path(&f, "models/blobs")), 0);
    /* a name that moves to other bytes takes the old ones with it */
    fixture_put(s, "name", "first", &err);
    fixture_put(s, "name", "second", &err);
    CHECK_INT(fixture_count(fixture_path(&f, "models/blobs")), 1);
    CHECK_INT(fixture_count(fixture_path(&f, "models/tmp")), 0);
    store_close(s);
    fixture_end(&f);
}

static char *blob_path_of(store *s, const char *name, char path[STORE_PATH_BYTES]) {
    store_entry entry;
    tars_error err = {0};
    CHECK_INT(store_locate(s, name, &entry, path, STORE_PATH_BYTES, &err), TARS_OK);
    return path;
}

static void changed_files_are_noticed(void) {
    fixture f;
    fixture_begin(&f);
    store *s = fixture_open(&f);
    tars_error err = {0};
    char path[STORE_PATH_BYTES];
    store_entry entry;
    fixture_put(s, "m", "sixteen bytes ok", &err);
    blob_path_of(s, "m", path);
    /* touched: the digest is right, the index learns the new times */
    chmod(path, 0644);
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    utimensat(AT_FDCWD, path, times, 0);
    CHECK_INT(store_locate(s, "m", &entry, path, sizeof path, &err), TARS_OK);
    CHECK_INT(entry.mtime_ns, 1000000000);
    store_entry again;
    CHECK_INT(store_find(s, "m", &again, &err), TARS_OK);
    CHECK_INT(again.mtime_ns, 1000000000);
    CHECK_INT(again.ctime_ns, entry.ctime_ns);
    /* one byte changed, same size */
    fixture_write(path, "sixteen bytes OK", 16);
    CHECK_INT(store_locate(s, "m", &entry, path, sizeof path, &err), TARS_CORRUPT);
    CHECK(strstr(err.hint, "tars rm m") != NULL && err.where[0] != '\0');
    /* cut */
    fixture_write(path, "sixteen", 7);
    CHECK_INT(store_locate(s, "m", &entry, path, sizeof path, &err), TARS_CORRUPT);
    CHECK_STRING(err.cause, "found 7 bytes, expected 16");
    /* gone, and something else in its place */
    unlink(path);
    CHECK_INT(store_locate(s, "m", &entry, path, sizeof path, &err), TARS_CORRUPT);
    CHECK(strstr(err.message, "missing") != NULL);
    mkdir(path, 0700);
    CHECK_INT(store_locate(s, "m", &entry, path, sizeof path, &err), TARS_CORRUPT);
    rmdir(path);
    CHECK_INT(store_remove(s, "m", &err), TARS_OK);
    store_close(s);
    fixture_end(&f);
}

static void damaged_index_is_told(void) {
    fixture f;
    fixture_begin(&f);
    store *s = fixture_open(&f);
    tars_error err = {0};
    fixture_put(s, "m", "bytes", &err);
    store_close(s);
    static const char garbage[4096] = "this is no database at all, only text";
    fixture_write(fixture_path(&f, "models/index.sqlite"), garbage, sizeof garbage);
    for (int mode = STORE_READ; mode <= STORE_WRITE; mode++) {
        s = NULL;
        CHECK_INT(store_open(f.home, (store_mode)mode, &s, &err), TARS_CORRUPT);
        CHECK(s == NULL);
        CHECK(strstr(err.hint, "tars doctor") != NULL);
        CHECK(strstr(err.where, "index.sqlite") != NULL);
    }
    /* another program's database */
    char command[600];
    snprintf(command, sizeof command,
             "rm %s && python3 -c \"import sqlite3; c = sqlite3.connect('%s');"
             "c.execute('create table t(x)'); c.execute('pragma user_version = 3'); c.commit()\"",
             fixture_path(&f, "models/index.sqlite"), fixture_path(&f, "models/index.sqlite"));
    fixture_run(command);
    CHECK_INT(store_open(f.home, STORE_WRITE, &s, &err), TARS_CORRUPT);
    fixture_end(&f);
}

static void hostile_rows_are_refused(void) {
    static const char *const changes[] = {
        "update blob set packed_sha256 = '../../../../etc/passwd'",
        "update blob set packed_sha256 = upper(packed_sha256)",
        "update model set name = '../x'",
        "update blob set packed_bytes = 'many'",
        "update blob set context_length = 99999999999",
        "update blob set architecture = printf('%0500d', 1)",
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        fixture f;
        fixture_begin(&f);
        store *s = fixture_open(&f);
        tars_error err = {0};
        fixture_put(s, "m", "bytes", &err);
        store_close(s);
        char command[1024];
        snprintf(command, sizeof command,
                 "python3 -c \"import sqlite3; c = sqlite3.connect('%s');"
                 "c.execute(\\\"%s\\\"); c.execute('update model set packed_sha256 ="
                 " (select packed_sha256 from blob)'); c.commit()\"",
                 fixture_path(&f, "models/index.sqlite"), changes[i]);
        fixture_run(command);
        s = fixture_open(&f);
        store_entry *entries = NULL;
        size_t count = 5;
        CHECK_INT(store_list(s, &entries, &count, &err), TARS_CORRUPT);
        CHECK(entries == NULL && count == 0);
        store_close(s);
        fixture_end(&f);
    }
}

static void newer_index_is_refused(void) {
    fixture f;
    fixture_begin(&f);
    store_close(fixture_open(&f));
    char command[600];
    snprintf(command, sizeof command,
             "python3 -c \"import sqlite3; c = sqlite3.connect('%s');"
             "c.execute('pragma user_version = 99'); c.commit()\"",
             fixture_path(&f, "models/index.sqlite"));
    fixture_run(command);
    store *s = NULL;
    tars_error err = {0};
    CHECK_INT(store_open(f.home, STORE_WRITE, &s, &err), TARS_UNSUPPORTED);
    CHECK(strstr(err.message, "99") != NULL);
    fixture_end(&f);
}

static void leftovers_are_swept(void) {
    fixture f;
    fixture_begin(&f);
    store *s = fixture_open(&f);
    tars_error err = {0};
    char path[STORE_PATH_BYTES];
    char relative[160];
    fixture_put(s, "kept", "kept bytes", &err);
    store_entry kept;
    CHECK_INT(store_find(s, "kept", &kept, &err), TARS_OK);
    /* killed while writing; killed between the rename and the index; killed after the index */
    fixture_write(fixture_path(&f, "models/tmp/import.tars"), "half", 4);
    static const char *const parts[] = {"models/tmp/.tars-0123456789abcdef.part",
                                        "models/blobs/.tars-0123456789abcdef.part",
                                        "models/.tars-0123456789abcdef.part"};
    for (size_t i = 0; i < 3; i++) {
        fixture_write(fixture_path(&f, parts[i]), "half", 4);
    }
    char orphan[65];
    memset(orphan, 'a', 64);
    orphan[64] = '\0';
    snprintf(relative, sizeof relative, "models/blobs/%s.tars", orphan);
    fixture_write(fixture_path(&f, relative), "orphan", 6);
    snprintf(relative, sizeof relative, "models/tmp/%s.pending", orphan);
    fixture_write(fixture_path(&f, relative), "", 0);
    snprintf(relative, sizeof relative, "models/tmp/%s.pending", kept.model.packed_sha256);
    fixture_write(fixture_path(&f, relative), "", 0);
    /* a packed file that nothing says is half done stays: the index may be the one that is wrong */
    char unknown[65];
    memset(unknown, 'b', 64);
    unknown[64] = '\0';
    snprintf(relative, sizeof relative, "models/blobs/%s.tars", unknown);
    fixture_write(fixture_path(&f, relative), "unknown", 7);
    CHECK_INT(store_sweep(s, &err), TARS_OK);
    CHECK_INT(fixture_count(fixture_path(&f, "models/tmp")), 0);
    CHECK_INT(fixture_count(fixture_path(&f, "models/blobs")), 2);
    CHECK(!fixture_exists(fixture_path(&f, parts[2])));
    CHECK(fixture_exists(fixture_path(&f, relative)));
    blob_path_of(s, "kept", path);
    CHECK(fixture_exists(path));
    store_close(s);
    fixture_end(&f);
}

static int use_read_only_store(void *argument) {
    const fixture *f = argument;
    store *s;
    store_entry *entries;
    store_entry entry;
    size_t count;
    char path[STORE_PATH_BYTES];
    tars_error err = {0};
    if (store_open(f->home, STORE_READ, &s, &err) != TARS_OK) {
        printf("    open: %s (%s)\n", err.message, err.cause);
        return 1;
    }
    if (store_list(s, &entries, &count, &err) != TARS_OK || count != 1) {
        return 2;
    }
    free(entries);
    if (store_locate(s, "m", &entry, path, sizeof path, &err) != TARS_OK) {
        return 3;
    }
    store_close(s);
    if (store_open(f->home, STORE_WRITE, &s, &err) != TARS_UNAVAILABLE || err.hint[0] == '\0') {
        printf("    open to write: %s: %s\n", tars_status_code(err.status), err.message);
        return 4;
    }
    return 0;
}

static int use_unreadable_store(void *argument) {
    const fixture *f = argument;
    store *s;
    tars_error err = {0};
    tars_status status = store_open(f->home, STORE_READ, &s, &err);
    if (status == TARS_OK) { /* the folder cannot be looked into: that is not "no models" */
        return 1;
    }
    return status == TARS_UNAVAILABLE && err.hint[0] != '\0' ? 0 : 2;
}

static void read_only_store_can_be_read(void) {
    fixture f;
    fixture_begin(&f);
    store *s = fixture_open(&f);
    tars_error err = {0};
    fixture_put(s, "m", "bytes", &err);
    store_close(s);
    char command[400];
    snprintf(command, sizeof command, "chmod -R a+rX,a-w %.*s && chmod a+rx %.*s",
             (int)strlen(f.home) - 5, f.home, (int)strlen(f.home) - 5, f.home);
    fixture_run(command);
    CHECK_INT(fixture_as_nobody(use_read_only_store, &f), 0);
    snprintf(command, sizeof command, "chmod u+w %s && chmod 0700 %s", f.home,
             fixture_path(&f, "models"));
    fixture_run(command);
    if (platform_is_root()) {
        CHECK_INT(fixture_as_nobody(use_unreadable_store, &f), 0);
    }
    fixture_end(&f);
}

static void home_that_is_no_folder(void) {
    fixture f;
    fixture_begin(&f);
    fixture_write(f.home, "a file", 6);
    store *s = NULL;
    tars_error err = {0};
    CHECK(store_open(f.home, STORE_WRITE, &s, &err) != TARS_OK);
    CHECK(s == NULL && err.message[0] != '\0');
    CHECK_INT(store_open("", STORE_WRITE, &s, &err), TARS_USAGE);
    fixture_end(&f);
}

static const check_test tests[] = {
    {"store names are checked", names_are_checked},
    {"store names come from paths", names_come_from_paths},
    {"an empty store is readable", empty_store_is_readable},
    {"models are found by name and digest", models_are_found_by_name_and_digest},
    {"removing keeps what others use", removing_keeps_what_others_use},
    {"changed packed files are noticed", changed_files_are_noticed},
    {"a damaged index is told", damaged_index_is_told},
    {"hostile index rows are refused", hostile_rows_are_refused},
    {"a newer index is refused", newer_index_is_refused},
    {"leftovers are swept", leftovers_are_swept},
    {"a read-only store can be read", read_only_store_can_be_read},
    {"a home that is no folder", home_that_is_no_folder},
};
CHECK_MAIN(tests)
