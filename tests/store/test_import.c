#include "import_fixture.h"

#include "engine/tiny_bert.h"
#include "store/import_process.h"

static tars_status import_as(const fixture *f, const char *path, const char *name, bool replace,
                             tars_model_entry *out, tars_error *err) {
    importer_options options = import_options_of(f, name);
    options.replace = replace;
    error_clear(err);
    return importer_run(path, &options, out, err);
}

static void a_model_is_imported(void) {
    fixture f;
    fixture_begin(&f);
    tars_model_entry entry = {0};
    tars_error err;
    CHECK_INT(import_as(&f, check_data_path(TINY_MODEL), NULL, false, &entry, &err), TARS_OK);
    CHECK_STRING(err.message, "");
    CHECK_STRING(entry.name, "tiny");
    CHECK_STRING(entry.architecture, "llama");
    CHECK(entry.parameters > 1000 && entry.context_length > 0 && entry.quantization[0] != '\0');
    size_t length;
    void *source = check_read_file(TINY_MODEL, &length);
    uint8_t digest[SHA256_DIGEST_BYTES];
    char hex[SHA256_HEX_BYTES];
    sha256(source, length, digest);
    hex_encode(digest, sizeof digest, hex);
    free(source);
    CHECK_STRING(entry.sha256, hex);
    store *s = fixture_open(&f);
    char path[STORE_PATH_BYTES];
    store_entry located;
    struct stat facts = {0};
    CHECK_INT(store_locate(s, "tiny", &located, path, sizeof path, &err), TARS_OK);
    CHECK_INT(store_verify(s, &located, NULL, NULL, &err), TARS_OK);
    CHECK_INT(located.source_bytes, length);
    CHECK(stat(path, &facts) == 0);
    CHECK_INT(facts.st_mode & 0777, 0444);
    CHECK_INT(facts.st_size, entry.packed_bytes);
    store_close(s);
    import_check_clean(&f, 1);
    fixture_end(&f);
}

static void importing_again_changes_nothing(void) {
    fixture f;
    fixture_begin(&f);
    tars_model_entry first = {0};
    tars_model_entry again = {0};
    tars_error err;
    const char *tiny = check_data_path(TINY_MODEL);
    CHECK_INT(import_as(&f, tiny, "a", false, &first, &err), TARS_OK);
    store *s = fixture_open(&f);
    store_entry before;
    store_entry after;
    CHECK_INT(store_find(s, "a", &before, &err), TARS_OK);
    CHECK_INT(import_as(&f, tiny, "a", false, &again, &err), TARS_OK);
    CHECK_INT(store_find(s, "a", &after, &err), TARS_OK);
    CHECK(memcmp(&before, &after, sizeof before) == 0);
    CHECK_STRING(again.packed_sha256, first.packed_sha256);
    CHECK_INT(import_as(&f, tiny, "b", false, &again, &err), TARS_OK);
    CHECK_STRING(again.name, "b");
    CHECK_STRING(again.packed_sha256, first.packed_sha256);
    import_check_clean(&f, 1);
    /* a damaged packed file is packed again */
    char path[STORE_PATH_BYTES];
    CHECK_INT(store_locate(s, "a", &after, path, sizeof path, &err), TARS_OK);
    CHECK(chmod(path, 0600) == 0 && truncate(path, 1000) == 0);
    CHECK_INT(store_locate(s, "a", &after, path, sizeof path, &err), TARS_CORRUPT);
    CHECK_INT(import_as(&f, tiny, "a", false, &again, &err), TARS_OK);
    CHECK_STRING(again.packed_sha256, first.packed_sha256);
    CHECK_INT(store_locate(s, "a", &after, path, sizeof path, &err), TARS_OK);
    CHECK_INT(store_locate(s, "b", &after, path, sizeof path, &err), TARS_OK);
    import_check_clean(&f, 1);
    store_close(s);
    fixture_end(&f);
}

static void packing_is_deterministic(void) {
    char digests[2][SHA256_HEX_BYTES];
    for (int i = 0; i < 2; i++) {
        fixture f;
        fixture_begin(&f);
        tars_model_entry entry = {0};
        tars_error err;
        CHECK_INT(import_as(&f, check_data_path(TINY_MODEL), "x", false, &entry, &err), TARS_OK);
        memcpy(digests[i], entry.packed_sha256, SHA256_HEX_BYTES);
        fixture_end(&f);
    }
    CHECK_STRING(digests[0], digests[1]);
}

/* The tiny model with one byte of its last tensor changed: another model of the same form. */
static const char *write_other_model(const fixture *f) {
    size_t length;
    unsigned char *bytes = check_read_file(TINY_MODEL, &length);
    bytes[length - 40] ^= 1;
    const char *path = fixture_path(f, "other.gguf");
    platform_make_folders(f->home, NULL);
    fixture_write(path, bytes, length);
    free(bytes);
    return path;
}

static void a_name_is_not_taken_over_silently(void) {
    fixture f;
    fixture_begin(&f);
    tars_model_entry first = {0};
    tars_model_entry entry = {0};
    tars_error err;
    const char *other = write_other_model(&f);
    CHECK_INT(import_as(&f, check_data_path(TINY_MODEL), "m", false, &first, &err), TARS_OK);
    CHECK_INT(import_as(&f, other, "m", false, &entry, &err), TARS_CONFLICT);
    CHECK(strstr(err.hint, "--name") != NULL);
    import_check_clean(&f, 1);
    CHECK_INT(import_as(&f, other, "m", true, &entry, &err), TARS_OK);
    CHECK(strcmp(entry.packed_sha256, first.packed_sha256) != 0);
    import_check_clean(&f, 1);
    fixture_end(&f);
}

typedef struct bad_source {
    const char *path; /* absolute, or below the test data, or below the home with a leading '~' */
    tars_status status;
} bad_source;

static void bad_sources_leave_nothing(void) {
    fixture f;
    fixture_begin(&f);
    platform_make_folders(fixture_path(&f, "empty"), NULL);
    fixture_write(fixture_path(&f, "nothing.gguf"), "", 0);
    fixture_write(fixture_path(&f, "text.gguf"), "GGUF? no, a text.", 17);
    CHECK(mkfifo(fixture_path(&f, "pipe.gguf"), 0600) == 0);
    static const bad_source cases[] = {
        {"/nonexistent/model.gguf", TARS_NOT_FOUND},
        {"/dev/zero", TARS_USAGE},
        {"/dev/random", TARS_USAGE},
        {"~pipe.gguf", TARS_USAGE},
        {"~nothing.gguf", TARS_MALFORMED},
        {"~text.gguf", TARS_UNSUPPORTED}, /* it claims to be GGUF of an odd version */
        {"~empty", TARS_NOT_FOUND},
        {"hostile/bad-magic.gguf", TARS_MALFORMED},
        {"hostile/big-endian.gguf", TARS_UNSUPPORTED},
        {"hostile/alignment-0.gguf", TARS_MALFORMED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tars_error err;
        const char *path = cases[i].path;
        path = path[0] == '/'   ? path
               : path[0] == '~' ? fixture_path(&f, path + 1)
                                : check_data_path(path);
        tars_status status = import_as(&f, path, "m", false, NULL, &err);
        if (status != cases[i].status) {
            check_fail(__FILE__, __LINE__, "%s gives %s: %s (%s)", cases[i].path,
                       tars_status_code(status), err.message, err.cause);
        }
        CHECK(err.message[0] != '\0');
        CHECK_INT(err.status, status);
    }
    CHECK_INT(fixture_count(fixture_path(&f, "models/tmp")), 0);
    CHECK_INT(fixture_count(fixture_path(&f, "models/blobs")), 0);
    fixture_end(&f);
}

static void cut_sources_are_refused(void) {
    fixture f;
    fixture_begin(&f);
    size_t length;
    char *bytes = check_read_file(TINY_MODEL, &length);
    platform_make_folders(f.home, NULL);
    const char *path = fixture_path(&f, "cut.gguf");
    for (int i = 0; i < 12; i++) {
        tars_error err;
        fixture_write(path, bytes, length * (size_t)i / 12 + 1);
        tars_status status = import_as(&f, path, "m", false, NULL, &err);
        CHECK(status == TARS_MALFORMED || status == TARS_CORRUPT);
        CHECK(err.message[0] != '\0');
    }
    import_check_clean(&f, 0);
    free(bytes);
    fixture_end(&f);
}

static void digests_names_and_sandboxes_are_checked(void) {
    fixture f;
    fixture_begin(&f);
    tars_error err = {0};
    importer_options options = import_options_of(&f, "m");
    options.sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
    const char *tiny = check_data_path(TINY_MODEL);
    CHECK_INT(importer_run(tiny, &options, NULL, &err), TARS_MISMATCH);
    options.sha256 = NULL;
    options.name = "../../x";
    CHECK_INT(importer_run(tiny, &options, NULL, &err), TARS_USAGE);
    options.name = "m";
    options.sandbox = "rubber";
    CHECK_INT(importer_run(tiny, &options, NULL, &err), TARS_USAGE);
    CHECK(!fixture_exists(f.home));
    options.sandbox = "native";
    CHECK_INT(importer_run(tiny, &options, NULL, &err), TARS_OK);
    fixture_end(&f);
}

static void a_folder_is_imported(void) {
    fixture f;
    fixture_begin(&f);
    uint8_t weights[TINY_BERT_BYTES];
    size_t length = tiny_bert_weights("F32", "", weights);
    const char *folder = fixture_path(&f, "bert");
    platform_make_folders(folder, NULL);
    fixture_write(fixture_path(&f, "bert/model.safetensors"), weights, length);
    fixture_write(fixture_path(&f, "bert/config.json"), tiny_bert_config,
                  sizeof tiny_bert_config - 1);
    tars_model_entry entry = {0};
    tars_error err;
    CHECK(import_as(&f, folder, NULL, false, &entry, &err) != TARS_OK); /* no vocabulary */
    CHECK(err.message[0] != '\0');
    import_check_clean(&f, 0);
    fixture_write(fixture_path(&f, "bert/vocab.txt"), tiny_bert_vocabulary,
                  sizeof tiny_bert_vocabulary - 1);
    CHECK_INT(import_as(&f, folder, NULL, false, &entry, &err), TARS_OK);
    CHECK_STRING(err.message, "");
    CHECK_STRING(entry.name, "bert");
    CHECK_STRING(entry.architecture, "bert");
    uint8_t digest[SHA256_DIGEST_BYTES];
    char hex[SHA256_HEX_BYTES];
    sha256(weights, length, digest);
    hex_encode(digest, sizeof digest, hex);
    CHECK_STRING(entry.sha256, hex); /* of model.safetensors, as the catalogue has it */
    /* the same weights with other files beside them are packed again */
    CHECK_INT(import_as(&f, folder, "second", false, &entry, &err), TARS_OK);
    import_check_clean(&f, 1);
    unlink(fixture_path(&f, "bert/config.json"));
    CHECK_INT(import_as(&f, folder, NULL, false, &entry, &err), TARS_NOT_FOUND);
    CHECK(strstr(err.message, "config.json") != NULL);
    fixture_end(&f);
}

/* A child that does not do what it should, and what the parent makes of it. */
typedef struct bad_child {
    const char *script;
    tars_status status;
    const char *words; /* in message or cause */
} bad_child;

static const bad_child bad_children[] = {
    {"kill -SEGV $$", TARS_FAILED, "signal 11"},
    {"kill -KILL $$", TARS_OUT_OF_MEMORY, "signal 9"},
    {"kill -XCPU $$", TARS_TIMEOUT, "signal 24"},
    {"kill -SYS $$", TARS_FAILED, "signal 31"},
    {"exit 0", TARS_FAILED, "exited"},
    {"echo boom >&2; exit 3", TARS_FAILED, "boom"},
    {"exec /bin/sleep 100", TARS_TIMEOUT, "did nothing"},
    {"echo no json >&4", TARS_MALFORMED, "no frame"},
    {"exec /bin/cat /dev/zero >&4", TARS_MALFORMED, "more than"},
    {"while :; do echo '{\"progress\":{\"done\":1,\"total\":0}}{}' >&4; done", TARS_MALFORMED,
     "no frame"},
    {"echo abc; echo '{\"result\":{\"bytes\":4,\"source_sha256\":\"' >&4", TARS_MALFORMED, "frame"},
    {"echo '{\"error\":{\"code\":\"unsupported\",\"message\":\"no such type\",\"hint\":\"h\"}}' "
     ">&4;"
     "exit 1",
     TARS_UNSUPPORTED, "no such type"},
    {"echo '{\"error\":{\"code\":\"io\",\"message\":\"first\"}}' >&4;"
     "echo '{\"error\":{\"code\":\"io\",\"message\":\"second\"}}' >&4",
     TARS_MALFORMED, "went on"},
    /* says that it wrote what it did not */
    {"echo abc; echo '{\"result\":{\"bytes\":4,\"source_sha256\":"
     "\"b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53\",\"stream_sha256\":"
     "\"b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53\"}}' >&4",
     TARS_MISMATCH, "digest"},
    /* tells the truth about a stream that is no packed model */
    {"printf abc; echo '{\"result\":{\"bytes\":3,\"source_sha256\":"
     "\"b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53\",\"stream_sha256\":"
     "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}}' >&4",
     TARS_CORRUPT, ""},
    /* the result frame, and then it crashes */
    {"printf abc; echo '{\"result\":{\"bytes\":3,\"source_sha256\":"
     "\"b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53\",\"stream_sha256\":"
     "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}}' >&4; kill -ABRT $$",
     TARS_FAILED, "signal 6"},
};

static void bad_children_are_survived(void) {
    fixture f;
    fixture_begin(&f);
    for (size_t i = 0; i < sizeof bad_children / sizeof bad_children[0]; i++) {
        const bad_child *bad = &bad_children[i];
        importer_options options = import_options_of(&f, "m");
        options.program_path = import_script(&f, bad->script);
        options.stall_timeout_ms = 600;
        tars_error err = {0};
        tars_status status = importer_run(check_data_path(TINY_MODEL), &options, NULL, &err);
        if (status != bad->status ||
            (!strstr(err.message, bad->words) && !strstr(err.cause, bad->words))) {
            check_fail(__FILE__, __LINE__, "%s\n    gives %s: %s (%s)", bad->script,
                       tars_status_code(status), err.message, err.cause);
        }
        import_check_clean(&f, 0);
    }
    importer_options options = import_options_of(&f, "m");
    tars_error err = {0};
    options.program_path = "/nonexistent/tars";
    CHECK_INT(importer_run(check_data_path(TINY_MODEL), &options, NULL, &err), TARS_NOT_FOUND);
    CHECK(strstr(err.hint, "child process") != NULL);
    import_check_clean(&f, 0);
    fixture_end(&f);
}

static void a_child_writes_no_more_than_it_may(void) {
    char script[] = "/tmp/tars-test-script-XXXXXX";
    int fd = mkstemp(script);
    static const char text[] = "#!/bin/sh\nexec /bin/cat /dev/zero\n";
    CHECK(write(fd, text, sizeof text - 1) == (ssize_t)sizeof text - 1);
    CHECK(fchmod(fd, 0700) == 0);
    close(fd);
    static const char *const arguments[] = {"gguf", NULL};
    uint64_t received = 0;
    import_process_options options = {
        .program_path = script, .arguments = arguments, .max_stream_bytes = 1000000};
    struct stat facts = {0};
    platform_file null;
    CHECK_INT(platform_file_open(script, &null, NULL), TARS_OK);
    options.sources = &null.handle;
    options.n_sources = 1;
    byte_sink sink = {.context = &received};
    tars_error err = {0};
    import_process_result result;
    char sunk[] = "/tmp/tars-test-sunk-XXXXXX";
    close(mkstemp(sunk));
    platform_writer *writer = calloc(1, sizeof *writer);
    CHECK_INT(platform_writer_open(sunk, 0600, writer, &err), TARS_OK);
    sink = platform_writer_sink(writer);
    options.sink = sink;
    CHECK_INT(import_process_run(&options, &result, &err), TARS_LIMIT);
    CHECK(writer->written_bytes <= 1000000);
    platform_writer_abandon(writer);
    CHECK(stat(sunk, &facts) == 0 && facts.st_size == 0);
    free(writer);
    platform_file_close(&null);
    unlink(sunk);
    unlink(script);
}

/* A file system of a few megabytes as the home; needs root. */
static bool mount_small(const fixture *f, int size_mib) {
    platform_make_folders(f->home, NULL);
    char command[400];
    snprintf(command, sizeof command, "mount -t tmpfs -o size=%dm,mode=0700 none %s 2>/dev/null",
             size_mib, f->home);
    if (!platform_is_root() || system(command) != 0) {
        check_skip("only root can mount a small disk");
        return false;
    }
    return true;
}

static void unmount_small(const fixture *f) {
    char command[400];
    snprintf(command, sizeof command, "umount %s", f->home);
    fixture_run(command);
}

static void a_full_disk_is_told(void) {
    fixture f;
    fixture_begin(&f);
    tars_error err = {0};
    const char *tiny = check_data_path(TINY_MODEL);
    if (!mount_small(&f, 8)) {
        fixture_end(&f);
        return;
    }
    /* seen before anything is written */
    CHECK_INT(import_as(&f, tiny, "m", false, NULL, &err), TARS_DISK_FULL);
    CHECK(strstr(err.message, "MiB are free") != NULL && err.hint[0] != '\0');
    import_check_clean(&f, 0);
    unmount_small(&f);
    /* and in the middle of the stream */
    CHECK(mount_small(&f, 40));
    importer_options options = import_options_of(&f, "m");
    options.program_path = import_script(&f, "exec /bin/cat /dev/zero");
    CHECK_INT(importer_run(tiny, &options, NULL, &err), TARS_DISK_FULL);
    CHECK(err.message[0] != '\0' && err.hint[0] != '\0');
    import_check_clean(&f, 0);
    CHECK_INT(import_as(&f, tiny, "m", false, NULL, &err), TARS_OK);
    import_check_clean(&f, 1);
    unmount_small(&f);
    fixture_end(&f);
}

/* No byte left for the index: the names stay as they were. */
static void a_full_index_changes_nothing(void) {
    fixture f;
    fixture_begin(&f);
    tars_error err = {0};
    if (!mount_small(&f, 2)) {
        fixture_end(&f);
        return;
    }
    store *s = fixture_open(&f);
    CHECK_INT(fixture_put(s, "m", "bytes", &err), TARS_OK);
    char command[400];
    snprintf(command, sizeof command, "cat /dev/zero > %s/filler 2>/dev/null; true", f.home);
    fixture_run(command);
    int failures = 0;
    for (int i = 0; i < 64; i++) { /* each takes a page or two, whatever was left over */
        char name[16];
        char contents[5000];
        snprintf(name, sizeof name, "m%d", i);
        memset(contents, 'a' + i % 26, sizeof contents - 1);
        contents[sizeof contents - 1] = '\0';
        tars_status status = fixture_put(s, name, contents, &err);
        CHECK(status == TARS_OK || status == TARS_DISK_FULL);
        failures += status != TARS_OK;
    }
    CHECK(failures > 0);
    store_close(s);
    unlink(fixture_path(&f, "filler"));
    s = fixture_open(&f);
    store_entry *entries = NULL;
    size_t count = 0;
    CHECK_INT(store_list(s, &entries, &count, &err), TARS_OK);
    for (size_t i = 0; i < count; i++) {
        CHECK_INT(store_verify(s, &entries[i], NULL, NULL, &err), TARS_OK);
    }
    CHECK_INT(store_sweep(s, &err), TARS_OK);
    import_check_clean(&f, count);
    free(entries);
    store_close(s);
    unmount_small(&f);
    fixture_end(&f);
}

static bool stop_at_import(void *user, const char *step, uint64_t done, uint64_t total) {
    (void)done;
    (void)total;
    return strcmp(step, user) != 0;
}

static void imports_can_be_cancelled(void) {
    static const char *const steps[] = {"digest", "import"};
    for (size_t i = 0; i < 2; i++) {
        fixture f;
        fixture_begin(&f);
        importer_options options = import_options_of(&f, "m");
        tars_error err = {0};
        options.progress = stop_at_import;
        options.user = (void *)(uintptr_t)steps[i];
        CHECK_INT(importer_run(check_data_path(TINY_MODEL), &options, NULL, &err), TARS_CANCELLED);
        CHECK_INT(err.status, TARS_CANCELLED);
        if (fixture_exists(f.home)) {
            import_check_clean(&f, 0);
        }
        fixture_end(&f);
    }
}

static void imports_wait_for_each_other(void) {
    enum { PROCESSES = 6 };
    fixture f;
    fixture_begin(&f);
    const char *other = write_other_model(&f);
    const char *tiny = check_data_path(TINY_MODEL);
    for (int i = 0; i < PROCESSES; i++) {
        fflush(stdout);
        if (fork() == 0) {
            char name[16];
            tars_error err = {0};
            snprintf(name, sizeof name, "m%d", i / 2);
            _exit((int)import_as(&f, i % 4 < 2 ? tiny : other, name, false, NULL, &err));
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = 0;
        wait(&status);
        CHECK(WIFEXITED(status));
        CHECK_INT(WEXITSTATUS(status), TARS_OK);
    }
    import_check_clean(&f, 2);
    /* with the lock held and no patience */
    store *s = fixture_open(&f);
    platform_lock lock;
    tars_error err = {0};
    CHECK_INT(store_lock(s, 0, NULL, NULL, &lock, &err), TARS_OK);
    importer_options options = import_options_of(&f, "late");
    options.lock_wait_ms = 150;
    CHECK_INT(importer_run(tiny, &options, NULL, &err), TARS_CONFLICT);
    CHECK(err.hint[0] != '\0');
    platform_lock_release(&lock);
    store_close(s);
    fixture_end(&f);
}

static void a_lost_index_is_rebuilt(void) {
    fixture f;
    fixture_begin(&f);
    tars_model_entry first = {0};
    tars_model_entry second = {0};
    tars_error err;
    store_rebuild_report report = {0};
    import_as(&f, check_data_path(TINY_MODEL), "one", false, &first, &err);
    import_as(&f, check_data_path(TINY_MODEL), "also-one", false, &first, &err);
    import_as(&f, write_other_model(&f), "two", false, &second, &err);
    static const char garbage[5000] = "damaged";
    fixture_write(fixture_path(&f, "models/index.sqlite"), garbage, sizeof garbage);
    CHECK_INT(import_as(&f, check_data_path(TINY_MODEL), "x", false, NULL, &err), TARS_CORRUPT);
    CHECK_INT(store_rebuild(f.home, &report, &err), TARS_OK);
    CHECK_INT(report.kept, 2);
    CHECK_INT(report.named, 0);
    CHECK_INT(report.damaged, 0);
    store *s = fixture_open(&f);
    store_entry *entries = NULL;
    store_entry entry;
    char path[STORE_PATH_BYTES];
    size_t count = 0;
    CHECK_INT(store_list(s, &entries, &count, &err), TARS_OK);
    CHECK_INT(count, 3);
    free(entries);
    CHECK_INT(store_locate(s, "also-one", &entry, path, sizeof path, &err), TARS_OK);
    CHECK_STRING(entry.model.packed_sha256, first.packed_sha256);
    CHECK_STRING(entry.model.sha256, first.sha256);
    CHECK_INT(entry.model.imported_unix_s, first.imported_unix_s);
    /* now one packed file is damaged, and neither index nor backup can be read */
    CHECK_INT(store_locate(s, "two", &entry, path, sizeof path, &err), TARS_OK);
    store_close(s);
    CHECK(chmod(path, 0600) == 0);
    int fd = open(path, O_WRONLY);
    CHECK(pwrite(fd, "X", 1, (off_t)second.packed_bytes / 2) == 1);
    close(fd);
    fixture_write(fixture_path(&f, "models/index.sqlite"), garbage, sizeof garbage);
    fixture_write(fixture_path(&f, "models/index.backup"), garbage, sizeof garbage);
    CHECK_INT(store_rebuild(f.home, &report, &err), TARS_OK);
    CHECK_INT(report.kept, 1);
    CHECK_INT(report.named, 1);
    CHECK_INT(report.damaged, 1);
    s = fixture_open(&f);
    CHECK_INT(store_list(s, &entries, &count, &err), TARS_OK);
    CHECK_INT(count, 1);
    if (count == 1) {
        CHECK(strncmp(entries[0].model.name, "llama-", 6) == 0);
        CHECK_STRING(entries[0].model.sha256, first.sha256);
    }
    free(entries);
    CHECK_INT(import_as(&f, check_data_path(TINY_MODEL), "one", false, NULL, &err), TARS_OK);
    store_close(s);
    fixture_end(&f);
}

static void the_child_is_not_for_hands(void) {
    char *const calls[][4] = {{"internal-import", NULL},
                              {"internal-import", "gguf", "x", NULL},
                              {"internal-import", "unpack", NULL},
                              {"internal-import", "everything", NULL},
                              {"internal-import", "wasm", "/nowhere", NULL},
                              {"internal-import", "wasm", "gguf", NULL}};
    static const int counts[] = {1, 3, 2, 2, 3, 3};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            close(2);
            _exit(import_child_main(counts[i], (char **)(uintptr_t)calls[i]));
        }
        int status = 0;
        waitpid(child, &status, 0);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 2);
    }
}

static const check_test tests[] = {
    {"a model is imported", a_model_is_imported},
    {"importing again changes nothing", importing_again_changes_nothing},
    {"packing is deterministic", packing_is_deterministic},
    {"a name is not taken over silently", a_name_is_not_taken_over_silently},
    {"bad sources leave nothing", bad_sources_leave_nothing},
    {"cut sources are refused", cut_sources_are_refused},
    {"digests, names and sandboxes are checked", digests_names_and_sandboxes_are_checked},
    {"a folder is imported", a_folder_is_imported},
    {"bad children are survived", bad_children_are_survived},
    {"a child writes no more than it may", a_child_writes_no_more_than_it_may},
    {"a full disk is told", a_full_disk_is_told},
    {"a full index changes nothing", a_full_index_changes_nothing},
    {"imports can be cancelled", imports_can_be_cancelled},
    {"imports wait for each other", imports_wait_for_each_other},
    {"a lost index is rebuilt", a_lost_index_is_rebuilt},
    {"the import child is not for hands", the_child_is_not_for_hands},
};
IMPORT_CHECK_MAIN(tests)
