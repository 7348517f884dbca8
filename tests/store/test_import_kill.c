/* Whatever is killed whenever, the store stays whole: every name leads to a whole packed file, and
 * the next import leaves nothing of the dead one. */
#include "import_fixture.h"

#include <signal.h>
#include <time.h>

enum { ROUNDS = 48 };

static void check_store_is_whole(const fixture *f) {
    store *s = NULL;
    store_entry *entries = NULL;
    size_t count = 0;
    tars_error err = {0};
    CHECK_INT(store_open(f->home, STORE_READ, &s, &err), TARS_OK);
    CHECK_STRING(err.message, "");
    if (!s) {
        return;
    }
    CHECK_INT(store_list(s, &entries, &count, &err), TARS_OK);
    for (size_t i = 0; i < count; i++) {
        char path[STORE_PATH_BYTES];
        store_entry entry;
        CHECK_INT(store_locate(s, entries[i].model.name, &entry, path, sizeof path, &err), TARS_OK);
        CHECK_INT(store_verify(s, &entry, NULL, NULL, &err), TARS_OK);
        CHECK_INT(entry.inode, entries[i].inode);
        CHECK_INT(entry.ctime_ns, entries[i].ctime_ns);
    }
    free(entries);
    store_close(s);
}

static int import_once(const fixture *f, const char *name, tars_error *err) {
    importer_options options = import_options_of(f, name);
    options.replace = true;
    return (int)importer_run(check_data_path(TINY_MODEL), &options, NULL, err);
}

static pid_t start_import(const fixture *f, const char *name) {
    fflush(stdout);
    pid_t process = fork();
    if (process == 0) {
        tars_error err;
        _exit(import_once(f, name, &err));
    }
    return process;
}

static uint64_t measured_import_ns(void) {
    fixture f;
    tars_error err = {0};
    fixture_begin(&f);
    uint64_t start_ns = platform_clock_ns();
    pid_t process = start_import(&f, "m");
    int status = 0;
    waitpid(process, &status, 0);
    uint64_t took_ns = platform_clock_ns() - start_ns;
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_STRING(err.message, "");
    fixture_end(&f);
    return took_ns;
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

static bool has_child_lists(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)getpid(), (int)getpid());
    return fixture_exists(path);
}

/* Ends a round: an import that is left alone must succeed and leave no trace of the dead one. */
static void check_next_import(const fixture *f, const char *name) {
    tars_error err = {0};
    CHECK_INT(import_once(f, name, &err), TARS_OK);
    CHECK_STRING(err.message, "");
    check_store_is_whole(f);
    import_check_clean(f, 1);
}

static void killed_parents(void) {
    uint64_t took_ns = measured_import_ns();
    uint64_t state = 17;
    int killed = 0;
    for (int round = 0; round < ROUNDS; round++) {
        fixture f;
        fixture_begin(&f);
        uint64_t delay_ns = took_ns * (uint64_t)round / (ROUNDS * 9 / 10);
        pid_t process = start_import(&f, "m");
        platform_sleep_ns(delay_ns + check_random(&state) % 500000);
        kill(process, SIGKILL);
        int status = 0;
        waitpid(process, &status, 0);
        killed += WIFSIGNALED(status);
        check_store_is_whole(&f);
        check_next_import(&f, round % 2 == 0 ? "m" : "n");
        fixture_end(&f);
    }
    CHECK(killed > 0); /* how many depends on the machine's load */
}

static void killed_parents_in_one_store(void) {
    uint64_t took_ns = measured_import_ns();
    uint64_t state = 18;
    fixture f;
    fixture_begin(&f);
    for (int round = 0; round < ROUNDS; round++) {
        char name[16];
        snprintf(name, sizeof name, "m%d", round % 5);
        pid_t process = start_import(&f, name);
        platform_sleep_ns(check_random(&state) % took_ns);
        kill(process, SIGKILL);
        waitpid(process, NULL, 0);
        check_store_is_whole(&f);
        if (round % 4 == 3) { /* so that there is something to pack again */
            store *s = fixture_open(&f);
            for (int i = 0; i < 5; i++) {
                tars_error ignored;
                snprintf(name, sizeof name, "m%d", i);
                (void)store_remove(s, name, &ignored);
            }
            store_close(s);
        }
    }
    check_next_import(&f, "last");
    fixture_end(&f);
}

static void killed_children(void) {
    if (!has_child_lists()) {
        check_skip("this kernel does not list a process's children");
        return;
    }
    uint64_t took_ns = measured_import_ns();
    uint64_t state = 19;
    int hit = 0;
    for (int round = 0; round < ROUNDS; round++) {
        fixture f;
        fixture_begin(&f);
        pid_t process = start_import(&f, "m");
        platform_sleep_ns(check_random(&state) % took_ns);
        pid_t child = child_of(process);
        int status = 0;
        if (child > 0) {
            kill(child, SIGKILL);
        }
        waitpid(process, &status, 0); /* it tells, it does not crash */
        CHECK(WIFEXITED(status));
        if (WIFEXITED(status) && WEXITSTATUS(status) != TARS_OK) {
            CHECK_INT(WEXITSTATUS(status), TARS_OUT_OF_MEMORY); /* what an unasked SIGKILL means */
            import_check_clean(&f, 0);
            hit++;
        }
        check_store_is_whole(&f);
        check_next_import(&f, "m");
        fixture_end(&f);
    }
    CHECK(hit > 0);
}

static void orphans_end_with_their_parent(void) {
    if (!has_child_lists()) {
        check_skip("this kernel does not list a process's children");
        return;
    }
    fixture f;
    fixture_begin(&f);
    const char *script = import_script(&f, "exec /bin/sleep 60");
    fflush(stdout);
    pid_t process = fork();
    if (process == 0) {
        importer_options options = import_options_of(&f, "m");
        options.program_path = script;
        tars_error err;
        _exit((int)importer_run(check_data_path(TINY_MODEL), &options, NULL, &err));
    }
    pid_t child = 0;
    for (int i = 0; i < 500 && child == 0; i++) {
        platform_sleep_ns(10000000);
        child = child_of(process);
    }
    CHECK(child > 0);
    kill(process, SIGKILL);
    waitpid(process, NULL, 0);
    bool alive = child > 0;
    for (int i = 0; i < 500 && alive; i++) {
        platform_sleep_ns(10000000);
        alive = kill(child, 0) == 0;
    }
    CHECK(!alive);
    fixture_end(&f);
}

static const check_test tests[] = {
    {"the store survives killed parents", killed_parents},
    {"one store survives many killed parents", killed_parents_in_one_store},
    {"the store survives killed children", killed_children},
    {"orphans end with their parent", orphans_end_with_their_parent},
};
IMPORT_CHECK_MAIN(tests)
