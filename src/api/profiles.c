#include "api/profiles.h"

#include "base/nearest.h"
#include "config/reach.h"

#include <string.h>

#define PROFILES "deployment.security.profiles"
#define MAXIMUM "deployment.security.maximum"

/* A profile's chain: those that extend each other, the one that was asked for first, and the
 * built-in one that it ends in. */
typedef struct profile_chain {
    const config_value *links[REACH_MAX_EXTENDS];
    size_t count;
    const runtime_profile *base;
    size_t base_index; /* of config_profiles */
    const config_value *maximum;
} profile_chain;

static void unknown_profile(const config_value *profiles, const char *name, tars_error *err) {
    nearest_search search;
    nearest_init(&search, name);
    for (size_t i = 0; config_profiles[i]; i++) {
        nearest_offer(&search, config_profiles[i]);
    }
    for (const config_value *p = profiles ? profiles->first : NULL; p; p = p->next) {
        nearest_offer(&search, p->name);
    }
    error_set(err, TARS_USAGE, "there is no profile \"%.80s\"", name);
    if (nearest_result(&search)) {
        error_hint(err, "did you mean \"%s\"?", nearest_result(&search));
    } else {
        error_hint(err, "profiles: strict, standard, trusted and those of " PROFILES);
    }
}

static bool is_built_in(const char *name, size_t *index) {
    for (*index = 0; config_profiles[*index]; (*index)++) {
        if (strcmp(config_profiles[*index], name) == 0) {
            return true;
        }
    }
    return false;
}

static tars_status follow(const config *values, const char *name, profile_chain *out,
                          tars_error *err) {
    const config_value *profiles = config_get(values, PROFILES);
    *out = (profile_chain){.maximum = config_get(values, MAXIMUM)};
    for (const char *at = name;;) {
        out->base = is_built_in(at, &out->base_index) ? runtime_profile_find(at) : NULL;
        if (out->base) {
            return TARS_OK;
        }
        const config_value *link = config_member(profiles, at);
        const config_value *next = config_member(link, "extends");
        if (!link || !next || out->count == REACH_MAX_EXTENDS) {
            unknown_profile(profiles, at, err); /* more was told by the configuration */
            return TARS_USAGE;
        }
        out->links[out->count++] = link;
        at = next->text;
    }
}

/* What the profile itself, or the nearest that it extends, says; NULL when none does. */
static const config_value *said(const profile_chain *chain, const char *key) {
    for (size_t i = 0; i < chain->count; i++) {
        const config_value *value = config_member(chain->links[i], key);
        if (value) {
            return value;
        }
    }
    return NULL;
}

/* The rank that is in force: the profile's or `otherwise`, but at most the maximum's. */
static int rank_of(const profile_chain *chain, reach_kind kind, const char *otherwise) {
    const char *key = reach_rows[kind].key;
    const config_value *own = said(chain, key);
    const config_value *most = config_member(chain->maximum, key);
    int rank = reach_rank(kind, own ? own->text : otherwise);
    int bound = most ? reach_rank(kind, most->text) : rank;
    return bound < rank ? bound : rank;
}

/* "hosts in /etc/tars/deployment.config.yaml:3:5" as the error's `where`. */
static void tell_origin(const config_value *value, tars_error *err) {
    char origin[sizeof err->where];
    text_buffer text;
    text_init(&text, origin, sizeof origin);
    if (value) {
        config_origin_write(&value->origin, &text);
        error_where(err, "%s in %s", value->name, origin);
    }
}

/* ---- what must be there -------------------------------------------------------------------- */

typedef struct list_row {
    reach_kind kind;
    const char *word; /* with which the list is in force */
    const char *key, *what;
} list_row;

static const list_row lists[] = {
    {REACH_NETWORK, "allow-list", "hosts", "the network"},
    {REACH_PROCESSES, "allow-list", "commands", "starting programs"},
    {REACH_FILES, "configured", "paths", "configured paths"},
};

static tars_status check_lists(const profile_chain *chain, const char *name, tars_error *err) {
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        const list_row *row = &lists[i];
        const config_value *list = said(chain, row->key);
        const char *standard = reach_rows[row->kind].standard[chain->base_index];
        if (!list || list->count == 0 ||
            rank_of(chain, row->kind, standard) < reach_rank(row->kind, row->word)) {
            continue;
        }
        error_set(err, TARS_UNAVAILABLE,
                  "the profile %.60s needs %s, which is unavailable in this version", name,
                  row->what);
        tell_origin(list, err);
        return error_hint(err,
                          "leave %s out: programs have no network, start no programs, and see "
                          "only folders of --dir",
                          row->key);
    }
    return TARS_OK;
}

/* ---- what is in force ----------------------------------------------------------------------- */

static void set_floor(const profile_chain *chain, resolved_profile *out) {
    static const runtime_isolation isolations[] = {ISOLATION_MICROVM, ISOLATION_SANDBOX,
                                                   ISOLATION_PROCESS};
    const config_value *own = said(chain, "isolation");
    /* what a built-in profile prefers is no floor: its walls stand in any runtime */
    int rank = rank_of(chain, REACH_ISOLATION, "process");
    bool is_own = own && reach_rank(REACH_ISOLATION, own->text) == rank;
    out->floor = isolations[rank];
    out->floor_from = is_own ? own : config_member(chain->maximum, "isolation");
}

static void set_calls(const profile_chain *chain, resolved_profile *out) {
    const config_value *list = said(chain, "syscalls");
    size_t n = 0;
    for (const config_value *v = list ? list->first : NULL; v && n < PROFILES_MAX_CALLS;
         v = v->next) {
        out->calls[n++] = v->text;
    }
    out->calls[n] = NULL;
    out->rules.calls = list ? out->calls : NULL;
}

/* Nothing but scratch: no calls for files, whatever else says so. */
static void take_files(resolved_profile *out) {
    out->rules.file_calls = false;
    out->rules.system_libraries = false;
    out->rules.wasi_calls = wasi_calls_strict;
    out->no_folders = true;
}

static void set_files(const profile_chain *chain, resolved_profile *out) {
    const config_value *own = said(chain, "files");
    const config_value *most = config_member(chain->maximum, "files");
    if (most && reach_rank(REACH_FILES, most->text) == 0) {
        take_files(out);
        out->calls[0] = NULL; /* not even those that are named: trusted has none of them either */
        out->rules.calls = NULL;
    } else if (own && reach_rank(REACH_FILES, own->text) == 0) {
        take_files(out);
    }
}

tars_status profiles_resolve(const config *values, const char *name, resolved_profile *out,
                             tars_error *err) {
    profile_chain chain;
    *out = (resolved_profile){0};
    tars_status status = follow(values, name, &chain, err);
    if (status == TARS_OK) {
        status = check_lists(&chain, name, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    out->rules = *chain.base;
    out->rules.name = chain.count > 0 ? chain.links[0]->name : chain.base->name;
    set_floor(&chain, out);
    set_calls(&chain, out);
    set_files(&chain, out);
    return TARS_OK;
}

tars_status profiles_check_runtime(const resolved_profile *profile, const runtime_row *runtime,
                                   tars_error *err) {
    static const char *const names[] = {[ISOLATION_PROCESS] = "process",
                                        [ISOLATION_SANDBOX] = "sandbox",
                                        [ISOLATION_MICROVM] = "microvm"};
    static const char *const hints[] = {[ISOLATION_PROCESS] = "",
                                        [ISOLATION_SANDBOX] = "use --runtime wasm",
                                        [ISOLATION_MICROVM] = "use --runtime microvm"};
    if (runtime->isolation >= profile->floor) {
        return TARS_OK;
    }
    error_set(err, TARS_DENIED,
              "the profile %.60s demands isolation %s at least; runtime %s gives %s",
              profile->rules.name, names[profile->floor], runtime->name, names[runtime->isolation]);
    tell_origin(profile->floor_from, err);
    return error_hint(err, "%s", hints[profile->floor]);
}
