/* Profiles by name: what is in force of the built-in ones, of those of a configuration, and under
 * its maximum. */
#include "api/profiles.h"
#include "config/reach.h"
#include "support/check.h"

#include <string.h>

#define SECURITY "deployment: {security: "
#define PROFILES SECURITY "{profiles: "

static config *load(const char *text) {
    config_options options = {.text = text, .text_length = strlen(text)};
    config_diagnostics problems = {0};
    config *values = NULL;
    tars_error err = {.message = ""};
    if (config_load(&options, &problems, &values, &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s: %s", text, err.message);
    }
    diagnostics_free(&problems);
    return values;
}

typedef struct profile_case {
    const char *configuration, *name;
    bool file_calls, libraries, wasi_files, no_folders;
    runtime_isolation floor;
    const char *calls; /* with spaces between; NULL: file_calls decides */
} profile_case;

static const profile_case cases[] = {
    {"", "strict", false, false, false, false, ISOLATION_PROCESS, NULL},
    {"", "standard", true, true, true, false, ISOLATION_PROCESS, NULL},
    {"", "trusted", true, true, true, false, ISOLATION_PROCESS, NULL},
    /* profiles that narrow */
    {PROFILES "{a: {extends: standard}}}}", "a", true, true, true, false, ISOLATION_PROCESS, NULL},
    {PROFILES "{a: {extends: strict}}}}", "a", false, false, false, false, ISOLATION_PROCESS, NULL},
    {PROFILES "{a: {extends: trusted, files: workspace}}}}", "a", true, true, true, false,
     ISOLATION_PROCESS, NULL},
    {PROFILES "{a: {extends: trusted, files: scratch}}}}", "a", false, false, false, true,
     ISOLATION_PROCESS, NULL},
    {PROFILES "{a: {extends: standard, isolation: sandbox}}}}", "a", true, true, true, false,
     ISOLATION_SANDBOX, NULL},
    {PROFILES "{a: {extends: trusted, isolation: microvm}}}}", "a", true, true, true, false,
     ISOLATION_MICROVM, NULL},
    {PROFILES "{a: {extends: standard, network: none, processes: none}}}}", "a", true, true, true,
     false, ISOLATION_PROCESS, NULL},
    /* what is said further down the chain holds, the nearest first */
    {PROFILES "{a: {extends: b}, b: {extends: c, isolation: microvm}, c: {extends: trusted, files: "
              "scratch, isolation: sandbox}}}}",
     "a", false, false, false, true, ISOLATION_MICROVM, NULL},
    /* calls by name */
    {PROFILES "{a: {extends: strict, syscalls: [openat, close]}}}}", "a", false, false, false,
     false, ISOLATION_PROCESS, "openat close"},
    {PROFILES "{a: {extends: standard, syscalls: []}}}}", "a", true, true, true, false,
     ISOLATION_PROCESS, ""},
    {PROFILES "{a: {extends: b}, b: {extends: standard, syscalls: [pipe2]}}}}", "a", true, true,
     true, false, ISOLATION_PROCESS, "pipe2"},
    /* the maximum narrows every profile */
    {SECURITY "{maximum: {files: scratch}}}", "trusted", false, false, false, true,
     ISOLATION_PROCESS, NULL},
    {SECURITY "{maximum: {files: scratch}}}", "strict", false, false, false, true,
     ISOLATION_PROCESS, NULL},
    {SECURITY "{maximum: {files: workspace}}}", "trusted", true, true, true, false,
     ISOLATION_PROCESS, NULL},
    {SECURITY "{maximum: {isolation: sandbox}}}", "standard", true, true, true, false,
     ISOLATION_SANDBOX, NULL},
    {SECURITY "{maximum: {isolation: sandbox}, profiles: {a: {extends: strict, isolation: "
              "microvm}}}}",
     "a", false, false, false, false, ISOLATION_MICROVM, NULL},
    {SECURITY "{maximum: {files: scratch}, profiles: {a: {extends: trusted, syscalls: [openat]}}}}",
     "a", false, false, false, true, ISOLATION_PROCESS, NULL},
    {SECURITY "{maximum: {network: none}, profiles: {a: {extends: standard, hosts: [x.org]}}}}",
     "a", true, true, true, false, ISOLATION_PROCESS, NULL},
    /* lists that are not in force are no obstacle */
    {PROFILES "{a: {extends: standard, network: none, hosts: [x.org]}}}}", "a", true, true, true,
     false, ISOLATION_PROCESS, NULL},
    {PROFILES "{a: {extends: standard, hosts: [], commands: [/bin/sh], paths: [/srv]}}}}", "a",
     true, true, true, false, ISOLATION_PROCESS, NULL},
};

static void check_calls(const profile_case *c, const resolved_profile *found) {
    char bytes[256];
    text_buffer text;
    text_init(&text, bytes, sizeof bytes);
    CHECK_INT(found->rules.calls != NULL, c->calls != NULL);
    for (size_t i = 0; found->rules.calls && found->rules.calls[i]; i++) {
        text_format(&text, "%s%s", i > 0 ? " " : "", found->rules.calls[i]);
    }
    CHECK_STRING(bytes, c->calls ? c->calls : "");
}

static void profiles_are_resolved(void) {
    static resolved_profile found;
    if (!platform_jail_call_name(0)) {
        check_skip("names of system calls are Linux's");
        return;
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const profile_case *c = &cases[i];
        config *values = load(c->configuration);
        tars_error err = {.message = ""};
        if (!values || profiles_resolve(values, c->name, &found, &err) != TARS_OK) {
            check_fail(__FILE__, __LINE__, "case %zu: %s", i, err.message);
            config_destroy(values);
            continue;
        }
        wasi_call_set files = 0;
        CHECK(wasi_calls_add(&files, "path_open"));
        bool wasi_files = (found.rules.wasi_calls() & ~found.rules.wasi_refused & files) != 0;
        if (found.rules.file_calls != c->file_calls ||
            found.rules.system_libraries != c->libraries || wasi_files != c->wasi_files ||
            found.no_folders != c->no_folders || found.floor != c->floor) {
            check_fail(__FILE__, __LINE__,
                       "case %zu, %s: files %d, libraries %d, WASI %d, no folders %d, floor %d", i,
                       c->name, found.rules.file_calls, found.rules.system_libraries, wasi_files,
                       found.no_folders, (int)found.floor);
        }
        CHECK_STRING(found.rules.name, c->name);
        check_calls(c, &found);
        config_destroy(values);
    }
}

typedef struct refusal_case {
    const char *configuration, *name;
    tars_status status;
    const char *hint; /* begins so */
} refusal_case;

static void what_cannot_be_is_refused(void) {
    static const refusal_case refusals[] = {
        {"", "strickt", TARS_USAGE, "did you mean \"strict\"?"},
        {"", "nothing-like-it", TARS_USAGE, "profiles: strict, standard, trusted"},
        {"", "", TARS_USAGE, "profiles: "},
        {PROFILES "{workers: {extends: strict}}}}", "worker", TARS_USAGE,
         "did you mean \"workers\"?"},
        {PROFILES "{a: {extends: standard, network: allow-list, hosts: [x.org]}}}}", "a",
         TARS_UNAVAILABLE, "leave hosts out"},
        {PROFILES "{a: {extends: standard, hosts: [x.org]}}}}", "a", TARS_UNAVAILABLE,
         "leave hosts out"},
        {PROFILES "{a: {extends: b}, b: {extends: trusted, commands: [/bin/sh]}}}}", "a",
         TARS_UNAVAILABLE, "leave commands out"},
        {PROFILES "{a: {extends: trusted, paths: [/srv]}}}}", "a", TARS_UNAVAILABLE,
         "leave paths out"},
    };
    static resolved_profile found;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const refusal_case *c = &refusals[i];
        config *values = load(c->configuration);
        tars_error err = {.message = ""};
        CHECK_INT(profiles_resolve(values, c->name, &found, &err), c->status);
        if (strncmp(err.hint, c->hint, strlen(c->hint)) != 0) {
            check_fail(__FILE__, __LINE__, "case %zu: %s (%s)", i, err.message, err.hint);
        }
        config_destroy(values);
    }
}

static void floors_are_kept(void) {
    static const char *const runtimes[] = {"native", "wasm", "microvm"}; /* ascending */
    static const char *const texts[] = {"{isolation: process}", "{isolation: sandbox}",
                                        "{isolation: microvm}"};
    static resolved_profile found;
    for (size_t floor = 0; floor < 3; floor++) {
        char text[128];
        text_buffer writer;
        text_init(&writer, text, sizeof text);
        text_format(&writer, SECURITY "{maximum: %s}}", texts[floor]);
        config *values = load(text);
        tars_error err;
        CHECK_INT(profiles_resolve(values, "standard", &found, &err), TARS_OK);
        for (size_t i = 0; i < 3; i++) {
            tars_error told = {.message = ""};
            tars_status status = profiles_check_runtime(&found, runtime_find(runtimes[i]), &told);
            CHECK_INT(status, i < floor ? TARS_DENIED : TARS_OK);
            CHECK((strstr(told.message, "profile standard demands isolation ") != NULL) ==
                  (i < floor));
        }
        config_destroy(values);
    }
}

/* The configuration's layer cannot see the runtime's table: the two must say the same. */
static void names_of_calls_are_the_runtimes(void) {
    size_t n = 0;
    for (; config_wasi_calls[n]; n++) {
        if (!wasi_find(config_wasi_calls[n])) {
            check_fail(__FILE__, __LINE__, "there is no WASI call %s", config_wasi_calls[n]);
        }
    }
    CHECK_INT(n, wasi_function_count);
    for (size_t i = 0; config_profiles[i]; i++) {
        CHECK_STRING(config_profiles[i], runtime_profile_names[i]);
    }
}

static const check_test table[] = {
    {"profiles are resolved", profiles_are_resolved},
    {"what cannot be is refused", what_cannot_be_is_refused},
    {"floors are kept", floors_are_kept},
    {"names of calls are the runtime's", names_of_calls_are_the_runtimes},
};

CHECK_MAIN(table)
