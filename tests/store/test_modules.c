#include "store/modules.h"

#include "fixture.h"
#include "store/artifacts.h"
#include "store/modules_internal.h"

#include <signal.h>

static const char content[] = "\0asm\1\0\0\0 for the store it is only bytes";
static const char other_content[] = "\0asm\1\0\0\0 another one";

static tars_status load_bytes(const fixture *f, const char *name, const char *bytes, size_t length,
                              tars_error *err) {
    uint8_t digest[SHA256_DIGEST_BYTES];
    modules_load load;
    sha256(bytes, length, digest);
    tars_status status = modules_load_begin(f->home, name, digest, &load, err);
    if (status == TARS_OK && !load.was_there) {
        status = modules_load_commit(&load, bytes, length, err);
    }
    modules_load_end(&load);
    return status;
}

static void load_one(const fixture *f, const char *name) {
    tars_error err = {0};
    if (load_bytes(f, name, content, sizeof content, &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "load: %s (%s)", err.message, err.where);
    }
}

static module_entry find(const fixture *f, const char *reference) {
    module_entry entry = {.state = MODULE_UNLOADED};
    tars_error err = {0};
    if (modules_find(f->home, reference, &entry, &err) != TARS_OK) {
        entry.state = MODULE_UNLOADED;
    }
    return entry;
}

static const char *module_path(const fixture *f, const char *ending) {
    char relative[128];
    module_entry entry = find(f, "one");
    snprintf(relative, sizeof relative, "modules/%s.%s", entry.sha256, ending);
    return fixture_path(f, relative);
}

static tars_status unload(const fixture *f, const char *reference, size_t expected,
                          tars_error *err) {
    module_entry *removed = NULL;
    size_t count = 0;
    tars_status status = modules_unload(f->home, reference, &removed, &count, err);
    CHECK_INT(count, status == TARS_OK ? expected : 0);
    free(removed);
    return status;
}

/* ---- states ---------------------------------------------------------------------------- */

static void only_the_ways_of_the_table_are_allowed(void) {
    static const char *const ways[MODULE_STATE_COUNT] = {
        /* to: unloaded, loading, loaded, executing, error, disposed */
        [MODULE_UNLOADED] = ".x....",  [MODULE_LOADING] = "..x.x.", [MODULE_LOADED] = "xx.xxx",
        [MODULE_EXECUTING] = "..x.x.", [MODULE_ERROR] = "xx...x",   [MODULE_DISPOSED] = "......",
    };
    for (int from = 0; from < MODULE_STATE_COUNT; from++) {
        for (int to = 0; to < MODULE_STATE_COUNT; to++) {
            tars_error err = {0};
            tars_status status =
                module_state_check("m", (module_state)from, (module_state)to, &err);
            CHECK_INT(status, ways[from][to] == 'x' ? TARS_OK : TARS_CONFLICT);
            CHECK_INT(module_state_allows((module_state)from, (module_state)to), status == TARS_OK);
            if (status != TARS_OK) {
                CHECK(strstr(err.message, module_state_name((module_state)from)) != NULL);
                CHECK(strstr(err.message, module_state_name((module_state)to)) != NULL);
                CHECK(err.hint[0] != '\0');
            }
        }
    }
    CHECK(!module_state_allows(MODULE_STATE_COUNT, MODULE_LOADED));
    CHECK(!module_state_allows(MODULE_LOADED, MODULE_STATE_COUNT));
}

static void a_handle_goes_through_its_states(void) {
    fixture f;
    fixture_begin(&f);
    tars_error err = {0};
    static module_handle h;
    CHECK_INT(module_handle_open(f.home, "one", &h, &err), TARS_NOT_FOUND);
    load_one(&f, "one");
    CHECK_INT(module_handle_open(f.home, "one", &h, &err), TARS_OK);
    CHECK_INT(h.length, sizeof content);
    CHECK_BYTES(h.bytes, content, sizeof content);
    CHECK_INT(module_handle_end(&h, NULL, &err), TARS_CONFLICT);
    CHECK_INT(module_handle_begin(&h, &err), TARS_OK);
    CHECK_INT(module_handle_begin(&h, &err), TARS_CONFLICT);
    CHECK_INT(module_handle_dispose(&h, &err), TARS_CONFLICT);
    CHECK(strstr(err.message, "executing") && strstr(err.message, "disposed"));
    CHECK_INT(find(&f, "one").state, MODULE_EXECUTING);
    CHECK_INT(unload(&f, "one", 1, &err), TARS_CONFLICT);
    CHECK_INT(module_handle_end(&h, NULL, &err), TARS_OK);
    CHECK_INT(find(&f, "one").state, MODULE_LOADED);
    CHECK_INT(find(&f, "one").runs, 1);
    CHECK_INT(module_handle_dispose(&h, &err), TARS_OK);
    CHECK(h.bytes == NULL);
    CHECK_INT(module_handle_begin(&h, &err), TARS_CONFLICT);
    CHECK(strstr(err.message, "disposed") && strstr(err.message, "executing"));
    CHECK_INT(module_handle_dispose(&h, &err), TARS_CONFLICT);
    fixture_end(&f);
}

static void a_failure_of_a_run_is_everybodys(void) {
    fixture f;
    fixture_begin(&f);
    tars_error err = {0};
    tars_error failure = {.status = TARS_UNSUPPORTED, .message = "it imports a thing"};
    char path[STORE_PATH_BYTES];
    module_entry entry;
    static module_handle h;
    load_one(&f, "one");
    CHECK_INT(module_handle_open(f.home, "one", &h, &err), TARS_OK);
    CHECK_INT(module_handle_begin(&h, &err), TARS_OK);
    CHECK_INT(module_handle_end(&h, &failure, &err), TARS_OK);
    CHECK_INT(module_handle_begin(&h, &err), TARS_CONFLICT);
    CHECK_INT(module_handle_dispose(&h, &err), TARS_OK);
    CHECK_INT(find(&f, "one").state, MODULE_ERROR);
    CHECK_STRING(find(&f, "one").reason, "it imports a thing");
    CHECK_INT(modules_locate(f.home, "one", &entry, path, sizeof path, &err), TARS_CORRUPT);
    CHECK_INT(module_handle_open(f.home, "one", &h, &err), TARS_CORRUPT);
    load_one(&f, "one"); /* again: that mends it */
    CHECK_INT(find(&f, "one").state, MODULE_LOADED);
    fixture_end(&f);
}

/* ---- names and digests ----------------------------------------------------------------- */

static void modules_are_found_by_name_and_digest(void) {
    fixture f;
    fixture_begin(&f);
    tars_error err = {0};
    char path[STORE_PATH_BYTES];
    char reference[STORE_NAME_BYTES + 80];
    module_entry entry;
    CHECK_INT(modules_find(f.home, "one", &entry, &err), TARS_NOT_FOUND);
    load_one(&f, "one");
    CHECK_INT(load_bytes(&f, "two", other_content, sizeof other_content, &err), TARS_OK);
    CHECK_INT(modules_find(f.home, "onne", &entry, &err), TARS_NOT_FOUND);
    CHECK(strstr(err.hint, "one") != NULL);
    CHECK_INT(modules_locate(f.home, "one", &entry, path, sizeof path, &err), TARS_OK);
    size_t length = 0;
    uint8_t *bytes = check_read_file(path, &length);
    CHECK_INT(length, sizeof content);
    CHECK_BYTES(bytes, content, sizeof content);
    free(bytes);
    struct stat facts;
    CHECK(stat(path, &facts) == 0);
    CHECK_INT(facts.st_mode & 0777, 0600);
    for (int digits = 4; digits <= 64; digits += 30) {
        snprintf(reference, sizeof reference, "%.*s", digits, entry.sha256);
        CHECK_STRING(find(&f, reference).name, "one");
        snprintf(reference, sizeof reference, "one@%.*s", digits, entry.sha256);
        CHECK_STRING(find(&f, reference).name, "one");
        snprintf(reference, sizeof reference, "two@%.*s", digits, entry.sha256);
        CHECK_INT(modules_find(f.home, reference, &entry, &err), TARS_NOT_FOUND);
        entry = find(&f, "one");
    }
    CHECK_INT(modules_find(f.home, "one@xyz!", &entry, &err), TARS_USAGE);
    CHECK_INT(modules_find(f.home, "abc", &entry, &err), TARS_NOT_FOUND); /* too short */
    CHECK_INT(modules_find(f.home, "../../etc/passwd", &entry, &err), TARS_NOT_FOUND);
    CHECK_INT(load_bytes(&f, "../x", content, sizeof content, &err), TARS_USAGE);
    fixture_end(&f);
}

static void digits_of_several_modules_are_refused(void) {
    module_entry entries[2] = {{.name = "a", .sha256 = "abcd1"}, {.name = "b", .sha256 = "abcd2"}};
    const module_entry *chosen = NULL;
    bool by_digest = false;
    tars_error err = {0};
    CHECK_INT(modules_choose(entries, 2, "abcd", &chosen, &by_digest, &err), TARS_USAGE);
    CHECK_INT(modules_choose(entries, 2, "abcd2", &chosen, &by_digest, &err), TARS_OK);
    CHECK(chosen == &entries[1] && by_digest);
}

static void the_last_name_takes_the_module_along(void) {
    fixture f;
    fixture_begin(&f);
    tars_error err = {0};
    static const uint8_t key[SHA256_DIGEST_BYTES] = {7};
    load_one(&f, "one");
    load_one(&f, "also");
    const char *path = module_path(&f, "wasm");
    char digest[SHA256_HEX_BYTES];
    memcpy(digest, find(&f, "one").sha256, sizeof digest);
    CHECK_INT(artifact_save(f.home, key, "code", 4, &err), TARS_OK);
    CHECK_INT(modules_note_key(f.home, digest, key, &err), TARS_OK);
    CHECK_INT(modules_note_key(f.home, digest, key, &err), TARS_OK); /* once is enough */
    struct stat facts;
    CHECK(stat(module_path(&f, "keys"), &facts) == 0 && facts.st_size == SHA256_HEX_BYTES);
    CHECK_INT(unload(&f, "one", 1, &err), TARS_OK);
    CHECK(fixture_exists(path));
    CHECK_INT(fixture_count(fixture_path(&f, "cache")), 1);
    load_one(&f, "one");
    CHECK_INT(unload(&f, digest, 2, &err), TARS_OK);
    CHECK(!fixture_exists(path));
    CHECK_INT(fixture_count(fixture_path(&f, "cache")), 0);
    CHECK_INT(fixture_count(fixture_path(&f, "modules")), 1); /* the lock */
    CHECK_INT(unload(&f, "one", 1, &err), TARS_NOT_FOUND);
    fixture_end(&f);
}

static void a_name_moves_to_another_module(void) {
    fixture f;
    fixture_begin(&f);
    tars_error err = {0};
    load_one(&f, "one");
    const char *path = module_path(&f, "wasm");
    static module_handle h;
    CHECK_INT(module_handle_open(f.home, "one", &h, &err), TARS_OK);
    CHECK_INT(module_handle_begin(&h, &err), TARS_OK);
    CHECK_INT(load_bytes(&f, "one", other_content, sizeof other_content, &err), TARS_CONFLICT);
    CHECK_INT(module_handle_end(&h, NULL, &err), TARS_OK);
    CHECK_INT(load_bytes(&f, "one", other_content, sizeof other_content, &err), TARS_OK);
    CHECK(!fixture_exists(path));
    CHECK_INT(find(&f, "one").bytes, sizeof other_content);
    CHECK_INT(module_handle_begin(&h, &err), TARS_CONFLICT); /* what it holds is unloaded */
    CHECK(strstr(err.message, "unloaded") != NULL);
    CHECK_INT(module_handle_dispose(&h, &err), TARS_OK);
    fixture_end(&f);
}

/* ---- damage ---------------------------------------------------------------------------- */

static void a_changed_module_is_in_error_and_not_handed_out(void) {
    fixture f;
    fixture_begin(&f);
    tars_error err = {0};
    static module_handle h;
    load_one(&f, "one");
    const char *path = module_path(&f, "wasm");
    char changed[sizeof content];
    memcpy(changed, content, sizeof content);
    changed[20] ^= 1;
    fixture_write(path, changed, sizeof changed);
    CHECK_INT(find(&f, "one").state, MODULE_ERROR);
    CHECK(strstr(find(&f, "one").reason, "digest") != NULL);
    CHECK_INT(module_handle_open(f.home, "one", &h, &err), TARS_CORRUPT);
    CHECK(strstr(err.hint, "load") != NULL);
    fixture_write(path, content, sizeof content);
    CHECK_INT(find(&f, "one").state, MODULE_LOADED);
    CHECK(chmod(path, 0666) == 0);
    CHECK_INT(find(&f, "one").state, MODULE_ERROR);
    CHECK(remove(path) == 0);
    CHECK(strstr(find(&f, "one").reason, "missing") != NULL);
    load_one(&f, "one"); /* mends it */
    CHECK_INT(find(&f, "one").state, MODULE_LOADED);
    CHECK_INT(unload(&f, "one", 1, &err), TARS_OK);
    fixture_end(&f);
}

static void a_damaged_record_is_told_and_can_be_unloaded(void) {
    static const char *const damaged[] = {"", "{}", "[1",
                                          "{\"version\":1,\"sha256\":\"../x\",\"bytes\":1}",
                                          "{\"version\":2,\"sha256\":\"\",\"bytes\":1}"};
    fixture f;
    fixture_begin(&f);
    tars_error err = {0};
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        load_one(&f, "one");
        fixture_write(fixture_path(&f, "modules/names/one.json"), damaged[i], strlen(damaged[i]));
        CHECK_INT(find(&f, "one").state, MODULE_ERROR);
        CHECK_STRING(find(&f, "one").reason, "its record is damaged");
        CHECK_STRING(find(&f, "one").sha256, "");
        CHECK_INT(unload(&f, "one", 1, &err), TARS_OK);
    }
    load_one(&f, "two"); /* and the next load sweeps what lost its name */
    CHECK_INT(fixture_count(fixture_path(&f, "modules")), 3);
    fixture_end(&f);
}

static void a_failed_load_leaves_its_reason(void) {
    fixture f;
    fixture_begin(&f);
    tars_error err = {0};
    tars_error why = {.status = TARS_UNSUPPORTED, .message = "no such import"};
    uint8_t digest[SHA256_DIGEST_BYTES];
    static modules_load load;
    sha256(content, sizeof content, digest);
    CHECK_INT(modules_load_begin(f.home, "one", digest, &load, &err), TARS_OK);
    CHECK_INT(find(&f, "one").state, MODULE_LOADING);
    CHECK_INT(unload(&f, "one", 1, &err), TARS_CONFLICT);
    CHECK(strstr(err.message, "loading") != NULL);
    modules_load_fail(&load, sizeof content, &why);
    modules_load_end(&load);
    CHECK_INT(find(&f, "one").state, MODULE_ERROR);
    CHECK_STRING(find(&f, "one").reason, "no such import");
    /* a name that works keeps its module */
    CHECK_INT(load_bytes(&f, "one", other_content, sizeof other_content, &err), TARS_OK);
    CHECK_INT(modules_load_begin(f.home, "one", digest, &load, &err), TARS_OK);
    modules_load_fail(&load, sizeof content, &why);
    modules_load_end(&load);
    CHECK_INT(find(&f, "one").state, MODULE_LOADED);
    fixture_end(&f);
}

/* ---- processes ------------------------------------------------------------------------- */

/* Runs `work` in a process that says when it is ready and then waits to be killed. */
static pid_t start_process(void (*work)(const fixture *f), const fixture *f) {
    int ends[2];
    char ready = 0;
    fflush(stdout);
    if (pipe(ends) != 0) {
        return -1;
    }
    pid_t child = fork();
    if (child == 0) {
        work(f);
        _exit(write(ends[1], "r", 1) == 1 && pause() != 0);
    }
    close(ends[1]);
    CHECK_INT(read(ends[0], &ready, 1), 1);
    close(ends[0]);
    return child;
}

static void kill_process(pid_t child) {
    int status = 0;
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
    }
}

static void execute(const fixture *f) {
    static module_handle h;
    tars_error err = {0};
    if (module_handle_open(f->home, "one", &h, &err) != TARS_OK ||
        module_handle_begin(&h, &err) != TARS_OK) {
        _exit(1);
    }
}

static void begin_load(const fixture *f) {
    static modules_load load;
    tars_error err = {0};
    uint8_t digest[SHA256_DIGEST_BYTES];
    sha256(content, sizeof content, digest);
    if (modules_load_begin(f->home, "one", digest, &load, &err) != TARS_OK) {
        _exit(1);
    }
}

static void a_killed_run_leaves_the_module_loaded(void) {
    fixture f;
    fixture_begin(&f);
    tars_error err = {0};
    load_one(&f, "one");
    pid_t first = start_process(execute, &f);
    pid_t second = start_process(execute, &f); /* several may run it at once */
    CHECK_INT(find(&f, "one").state, MODULE_EXECUTING);
    CHECK_INT(unload(&f, "one", 1, &err), TARS_CONFLICT);
    CHECK(strstr(err.message, "executing") && strstr(err.message, "unloaded"));
    kill_process(first);
    CHECK_INT(find(&f, "one").state, MODULE_EXECUTING);
    kill_process(second);
    CHECK_INT(find(&f, "one").state, MODULE_LOADED);
    CHECK_INT(find(&f, "one").runs, 2);
    CHECK_INT(fixture_count(fixture_path(&f, "modules/busy")), 0);
    CHECK_INT(unload(&f, "one", 1, &err), TARS_OK);
    fixture_end(&f);
}

static void a_killed_load_leaves_nothing(void) {
    fixture f;
    fixture_begin(&f);
    pid_t child = start_process(begin_load, &f);
    CHECK_INT(find(&f, "one").state, MODULE_LOADING);
    kill_process(child);
    CHECK_INT(find(&f, "one").state, MODULE_UNLOADED);
    /* killed after the module's file came into place, and before its name */
    CHECK_INT(modules_make_folders(f.home, NULL), TARS_OK);
    char relative[128];
    char digest[SHA256_HEX_BYTES];
    memset(digest, 'a', sizeof digest - 1);
    digest[sizeof digest - 1] = '\0';
    snprintf(relative, sizeof relative, "modules/%s.wasm", digest);
    fixture_write(fixture_path(&f, relative), content, sizeof content);
    CHECK_INT(find(&f, digest).state, MODULE_UNLOADED);
    load_one(&f, "one");
    CHECK(!fixture_exists(fixture_path(&f, relative)));
    CHECK_INT(find(&f, "one").state, MODULE_LOADED);
    fixture_end(&f);
}

static void loader(void *argument) {
    const fixture *f = argument;
    for (int i = 0; i < 10; i++) {
        load_one(f, "one");
    }
}

static void runner(void *argument) {
    const fixture *f = argument;
    for (int i = 0; i < 10; i++) {
        module_handle *h = malloc(sizeof *h);
        tars_error err = {0};
        tars_status status = module_handle_open(f->home, "one", h, &err);
        CHECK_INT(status, TARS_OK);
        if (status == TARS_OK) {
            CHECK_INT(module_handle_begin(h, &err), TARS_OK);
            CHECK_INT(module_handle_end(h, NULL, &err), TARS_OK);
            CHECK_INT(module_handle_dispose(h, &err), TARS_OK);
        }
        free(h);
    }
}

static void loads_and_runs_at_once_are_fine(void) {
    enum { THREADS = 4 };
    fixture f;
    fixture_begin(&f);
    platform_thread threads[THREADS];
    load_one(&f, "one");
    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(platform_thread_create("test", i % 2 ? runner : loader, &f, &threads[i], NULL),
                  TARS_OK);
    }
    for (int i = 0; i < THREADS; i++) {
        platform_thread_join(&threads[i]);
    }
    CHECK_INT(find(&f, "one").state, MODULE_LOADED);
    CHECK_INT(find(&f, "one").runs, 20);
    fixture_end(&f);
}

static void first_loads_at_once_are_fine(void) {
    fixture f;
    fixture_begin(&f);
    platform_thread threads[2];
    for (int i = 0; i < 2; i++) {
        CHECK_INT(platform_thread_create("test", loader, &f, &threads[i], NULL), TARS_OK);
    }
    for (int i = 0; i < 2; i++) {
        platform_thread_join(&threads[i]);
    }
    CHECK_INT(find(&f, "one").state, MODULE_LOADED);
    fixture_end(&f);
}

static void the_list_is_sorted_and_empty_without_a_store(void) {
    fixture f;
    fixture_begin(&f);
    tars_error err = {0};
    module_entry *entries = NULL;
    size_t count = 9;
    CHECK_INT(modules_list(f.home, &entries, &count, &err), TARS_OK);
    CHECK_INT(count, 0);
    CHECK(!fixture_exists(f.home)); /* looking makes nothing */
    free(entries);
    load_one(&f, "two");
    load_one(&f, "one");
    CHECK_INT(modules_list(f.home, &entries, &count, &err), TARS_OK);
    CHECK_INT(count, 2);
    CHECK_STRING(entries[0].name, "one");
    CHECK_STRING(entries[1].name, "two");
    CHECK(entries[0].loaded_unix_s > 1700000000);
    free(entries);
    fixture_end(&f);
}

static const check_test tests[] = {
    {"only the ways of the table are allowed", only_the_ways_of_the_table_are_allowed},
    {"a handle goes through its states", a_handle_goes_through_its_states},
    {"a failure of a run is everybody's", a_failure_of_a_run_is_everybodys},
    {"modules are found by name and digest", modules_are_found_by_name_and_digest},
    {"digits of several modules are refused", digits_of_several_modules_are_refused},
    {"the last name takes the module along", the_last_name_takes_the_module_along},
    {"a name moves to another module", a_name_moves_to_another_module},
    {"a changed module is in error and not handed out",
     a_changed_module_is_in_error_and_not_handed_out},
    {"a damaged record is told and can be unloaded", a_damaged_record_is_told_and_can_be_unloaded},
    {"a failed load leaves its reason", a_failed_load_leaves_its_reason},
    {"a killed run leaves the module loaded", a_killed_run_leaves_the_module_loaded},
    {"a killed load leaves nothing", a_killed_load_leaves_nothing},
    {"loads and runs at once are fine", loads_and_runs_at_once_are_fine},
    {"first loads at once are fine", first_loads_at_once_are_fine},
    {"the list is sorted, and empty without a store", the_list_is_sorted_and_empty_without_a_store},
};
CHECK_MAIN(tests)
