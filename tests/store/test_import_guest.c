/* Imports whose foreign file is read by a guest: the same results as in the plain child, good and
 * bad, and nothing left behind by an end in the middle. */
#include "import_fixture.h"

#include "engine/tiny_bert.h"
#include "store/import_guest.h"

#include <signal.h>

/* Where guests can run here, the strongest first. */
static const char *places[2];
static size_t n_places;

static void find_places(void) {
    static const char *const names[] = {"microvm", "wasm"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        tars_error err;
        if (import_place_probe(import_place_named(names[i]), &err) == TARS_OK) {
            places[n_places++] = names[i];
        } else {
            printf("    left out: %s\n", err.message);
        }
    }
}

static tars_status import_in(const fixture *f, const char *sandbox, const char *path,
                             tars_model_entry *out, tars_error *err) {
    importer_options options = import_options_of(f, "m");
    options.sandbox = sandbox;
    error_clear(err);
    tars_status status = importer_run(path, &options, out, err);
    if (status == TARS_OK) { /* so that the next import packs again */
        store *s = fixture_open(f);
        tars_error ignored;
        CHECK_INT(store_remove(s, "m", &ignored), TARS_OK);
        store_close(s);
    }
    import_check_clean(f, 0);
    return status;
}

/* One home for all, so that the guest is compiled once. */
static fixture shared;

/* False, and the test is skipped, where there are no guests. */
static bool begin(void) {
    if (shared.home[0] == '\0') {
        fixture_begin(&shared);
        platform_make_folders(shared.home, NULL);
        find_places();
    }
    if (n_places == 0) {
        check_skip("neither virtual machines nor WebAssembly");
    }
    return n_places > 0;
}

typedef struct outcome {
    tars_status status;
    tars_model_entry entry;
    tars_error err;
} outcome;

static void import_once(const char *sandbox, const char *path, outcome *out) {
    memset(out, 0, sizeof *out);
    out->status = import_in(&shared, sandbox, path, &out->entry, &out->err);
}

static void check_same(const char *path) {
    outcome native, guest;
    import_once("native", path, &native);
    for (size_t i = 0; i < n_places; i++) {
        import_once(places[i], path, &guest);
        bool same = native.status == guest.status &&
                    strcmp(native.err.message, guest.err.message) == 0 &&
                    strcmp(native.err.hint, guest.err.hint) == 0 &&
                    strcmp(native.err.where, guest.err.where) == 0 &&
                    strcmp(native.entry.packed_sha256, guest.entry.packed_sha256) == 0 &&
                    strcmp(native.entry.sha256, guest.entry.sha256) == 0;
        if (!same) {
            check_fail(__FILE__, __LINE__, "%s\n    native %s: %s [%s] %s\n    %s %s: %s [%s] %s",
                       path, tars_status_code(native.status), native.err.message, native.err.where,
                       native.entry.packed_sha256, places[i], tars_status_code(guest.status),
                       guest.err.message, guest.err.where, guest.entry.packed_sha256);
        }
        if (guest.status == TARS_OK) {
            CHECK_STRING(guest.entry.sandbox, places[i]);
        }
    }
}

typedef struct folder_walk {
    const char *folder;
    size_t count;
} folder_walk;

static bool check_one(void *user, const char *name, platform_kind kind) {
    folder_walk *walk = user;
    size_t length = strlen(name);
    if (kind == PLATFORM_KIND_FILE && length > 5 && strcmp(name + length - 5, ".gguf") == 0) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", walk->folder, name);
        check_same(path);
        walk->count++;
    }
    return true;
}

static size_t check_folder(const char *relative) {
    char folder[256];
    snprintf(folder, sizeof folder, "%s", check_data_path(relative));
    folder_walk walk = {folder, 0};
    tars_error err;
    CHECK_INT(platform_list_folder(folder, check_one, &walk, &err), TARS_OK);
    return walk.count;
}

static void models_are_packed_alike(void) {
    if (begin()) {
        CHECK(check_folder("models") >= 1);
        CHECK(check_folder("models/arch") >= 4);
    }
}

static void hostile_files_are_refused_alike(void) {
    if (begin()) {
        CHECK_INT(check_folder("hostile"), 156);
    }
}

static void folders_are_packed_alike(void) {
    if (!begin()) {
        return;
    }
    uint8_t weights[TINY_BERT_BYTES];
    size_t length = tiny_bert_weights("F32", "", weights);
    const char *folder = fixture_path(&shared, "bert");
    platform_make_folders(folder, NULL);
    fixture_write(fixture_path(&shared, "bert/model.safetensors"), weights, length);
    fixture_write(fixture_path(&shared, "bert/config.json"), tiny_bert_config,
                  sizeof tiny_bert_config - 1);
    check_same(folder); /* refused: no vocabulary */
    fixture_write(fixture_path(&shared, "bert/vocab.txt"), tiny_bert_vocabulary,
                  sizeof tiny_bert_vocabulary - 1);
    check_same(folder);
    fixture_write(fixture_path(&shared, "bert/tokenizer.json"), tiny_bert_tokenizer,
                  sizeof tiny_bert_tokenizer - 1);
    check_same(folder);
    fixture_write(fixture_path(&shared, "bert/config.json"), "{\"model_type\":[", 15);
    check_same(folder);
    weights[9] ^= 0x20; /* in the JSON header */
    fixture_write(fixture_path(&shared, "bert/model.safetensors"), weights, length);
    check_same(folder);
}

static bool has(const char *place) {
    for (size_t i = 0; i < n_places; i++) {
        if (strcmp(places[i], place) == 0) {
            return true;
        }
    }
    return false;
}

static void the_strongest_is_taken(void) {
    if (!begin()) {
        return;
    }
    tars_model_entry entry;
    tars_error err;
    const char *tiny = check_data_path(TINY_MODEL);
    const char *const open_wishes[] = {NULL, "auto"};
    for (size_t i = 0; i < sizeof open_wishes / sizeof open_wishes[0]; i++) {
        CHECK_INT(import_in(&shared, open_wishes[i], tiny, &entry, &err), TARS_OK);
        CHECK_STRING(entry.sandbox, places[0]);
    }
    CHECK_INT(import_in(&shared, "native", tiny, &entry, &err), TARS_OK);
    CHECK_STRING(entry.sandbox, "native");
    if (!has("microvm")) {
        CHECK_INT(import_in(&shared, "microvm", tiny, &entry, &err), TARS_UNAVAILABLE);
        CHECK(strstr(err.message, "microvm is unavailable"));
    }
    /* what is there already is not read again */
    importer_options options = import_options_of(&shared, "m");
    CHECK_INT(importer_run(tiny, &options, &entry, &err), TARS_OK);
    CHECK_STRING(entry.sandbox, "native");
    CHECK_INT(importer_run(tiny, &options, &entry, &err), TARS_OK);
    CHECK_STRING(entry.sandbox, "");
    store *s = fixture_open(&shared);
    CHECK_INT(store_remove(s, "m", &err), TARS_OK);
    store_close(s);
}

/* A child that behaves as the script says in a machine, and is this program elsewhere. */
static tars_status import_by(const char *sandbox, const char *in_machine, tars_model_entry *entry,
                             tars_error *err) {
    char body[PLATFORM_PATH_BYTES + 512];
    snprintf(body, sizeof body, "if [ \"$2\" = microvm ]; then %s; exit 1; fi\nexec %s \"$@\"",
             in_machine, import_self());
    importer_options options = import_options_of(&shared, "m");
    options.sandbox = sandbox;
    options.program_path = import_script(&shared, body);
    memset(entry, 0, sizeof *entry);
    error_clear(err);
    tars_status status = importer_run(check_data_path(TINY_MODEL), &options, entry, err);
    if (status == TARS_OK) {
        store *s = fixture_open(&shared);
        tars_error ignored;
        CHECK_INT(store_remove(s, "m", &ignored), TARS_OK);
        store_close(s);
    }
    import_check_clean(&shared, 0);
    return status;
}

/* Only a child that has read nothing of the file may choose the weaker place. */
static void machines_that_cannot_be_made_give_way(void) {
    if (!begin() || !has("microvm")) {
        check_skip("no virtual machines");
        return;
    }
    static const char fails[] =
        "echo '{\"error\":{\"code\":\"unavailable\",\"message\":\"no room\"}}' >&4";
    static const char begins_and_fails[] =
        "echo '{\"progress\":{\"done\":0,\"total\":0}}' >&4;"
        "echo '{\"error\":{\"code\":\"unavailable\",\"message\":\"no room\"}}' >&4";
    static const char writes_and_fails[] =
        "echo x; echo '{\"error\":{\"code\":\"unavailable\",\"message\":\"no room\"}}' >&4";
    const char *next = n_places > 1 ? places[1] : "native";
    tars_model_entry entry;
    tars_error err;
    CHECK_INT(import_by("auto", fails, &entry, &err), TARS_OK);
    CHECK_STRING(entry.sandbox, next);
    CHECK_STRING(err.message, "");
    CHECK_INT(import_by("microvm", fails, &entry, &err), TARS_UNAVAILABLE);
    CHECK_STRING(err.message, "no room");
    CHECK_INT(import_by("auto", begins_and_fails, &entry, &err), TARS_UNAVAILABLE);
    CHECK_INT(import_by("auto", writes_and_fails, &entry, &err), TARS_UNAVAILABLE);
    CHECK_INT(import_by("auto", "kill -SEGV $$", &entry, &err), TARS_FAILED);
}

static void compiled_guests_are_kept(void) {
    if (!begin() || !has("wasm")) {
        check_skip("no WebAssembly");
        return;
    }
    fixture f;
    fixture_begin(&f);
    tars_error err;
    const char *tiny = check_data_path(TINY_MODEL);
    CHECK_INT(import_in(&f, "native", tiny, NULL, &err), TARS_OK);
    CHECK(!fixture_exists(fixture_path(&f, "cache")));
    if (has("microvm")) {
        CHECK_INT(import_in(&f, "microvm", tiny, NULL, &err), TARS_OK);
        CHECK(!fixture_exists(fixture_path(&f, "cache"))); /* nothing is compiled */
    }
    CHECK_INT(import_in(&f, "wasm", tiny, NULL, &err), TARS_OK);
    CHECK_INT(fixture_count(fixture_path(&f, "cache")), 1);
    /* a damaged one is never run */
    char command[400];
    snprintf(command, sizeof command, "for f in %s/cache/*; do chmod u+w $f; echo x >$f; done",
             f.home);
    fixture_run(command);
    CHECK_INT(import_in(&f, "wasm", tiny, NULL, &err), TARS_OK);
    CHECK_STRING(err.message, "");
    fixture_end(&f);
}

static bool stop_at_import(void *user, const char *step, uint64_t done, uint64_t total) {
    (void)user;
    (void)done;
    (void)total;
    return strcmp(step, "import") != 0;
}

static void cancelling_leaves_nothing(void) {
    for (size_t i = 0; begin() && i < n_places; i++) {
        importer_options options = import_options_of(&shared, "m");
        tars_error err = {0};
        options.sandbox = places[i];
        options.progress = stop_at_import;
        CHECK_INT(importer_run(check_data_path(TINY_MODEL), &options, NULL, &err), TARS_CANCELLED);
        import_check_clean(&shared, 0);
    }
}

/* The first child of a process, or 0. */
static pid_t child_of(pid_t process) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)process, (int)process);
    FILE *file = fopen(path, "r");
    int child = 0;
    if (file) {
        if (fscanf(file, "%d", &child) != 1) {
            child = 0;
        }
        fclose(file);
    }
    return (pid_t)child;
}

static void kill_children_in(const char *place) {
    int hit = 0;
    for (int round = 0; round < 24; round++) {
        fflush(stdout);
        pid_t process = fork();
        if (process == 0) {
            importer_options options = import_options_of(&shared, "k");
            options.sandbox = place;
            tars_error err;
            _exit((int)importer_run(check_data_path(TINY_MODEL), &options, NULL, &err));
        }
        pid_t child = 0;
        for (int i = 0; i < 2000 && child == 0; i++) {
            platform_sleep_ns(500000);
            child = child_of(process);
        }
        platform_sleep_ns((uint64_t)round * 2000000);
        if (child > 0) {
            kill(child, SIGKILL);
        }
        int status = 0;
        waitpid(process, &status, 0);
        CHECK(WIFEXITED(status));
        if (WIFEXITED(status) && WEXITSTATUS(status) != TARS_OK) {
            CHECK_INT(WEXITSTATUS(status), TARS_OUT_OF_MEMORY); /* what an unasked SIGKILL means */
            import_check_clean(&shared, 0);
            hit++;
        } else {
            store *s = fixture_open(&shared);
            tars_error ignored;
            (void)store_remove(s, "k", &ignored);
            store_close(s);
        }
    }
    CHECK(hit > 0);
}

static void killed_children_leave_nothing(void) {
    for (size_t i = 0; begin() && i < n_places; i++) {
        kill_children_in(places[i]);
    }
}

static void end(void) {
    if (shared.home[0] != '\0') {
        fixture_end(&shared);
    }
}

static const check_test tests[] = {
    {"models are packed alike", models_are_packed_alike},
    {"hostile files are refused alike", hostile_files_are_refused_alike},
    {"folders are packed alike", folders_are_packed_alike},
    {"the strongest is taken", the_strongest_is_taken},
    {"machines that cannot be made give way", machines_that_cannot_be_made_give_way},
    {"compiled guests are kept", compiled_guests_are_kept},
    {"cancelling leaves nothing", cancelling_leaves_nothing},
    {"killed children leave nothing", killed_children_leave_nothing},
    {"end", end},
};
IMPORT_CHECK_MAIN(tests)
