#include "config/rules.h"

#include "config/assign.h"
#include "config/reach.h"
#include "platform/platform.h"

#include <string.h>

enum { PATH_BYTES = 512 };

const config_value *rules_at(const rules *r, const char *path) {
    path_parts parts;
    const config_value *value = r->root;
    if (!path_split(path, strlen(path), &parts)) {
        return NULL;
    }
    for (size_t i = 0; value && i < parts.count; i++) {
        value = config_member(value, parts.parts[i]);
    }
    return value;
}

static void add(const rules *r, const char *code, bool warning, const config_value *value,
                const char *path, const char *format, va_list arguments) {
    char message[700];
    text_buffer text;
    text_init(&text, message, sizeof message);
    text_format_list(&text, format, arguments);
    diagnostics_add(r->problems, code, warning, value->origin.place, path, "%s", message);
}

void rules_tell(const rules *r, const char *code, const config_value *value, const char *path,
                const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add(r, code, false, value, path, format, arguments);
    va_end(arguments);
}

static void warn(const rules *r, const char *code, const config_value *value, const char *path,
                 const char *format, ...) BASE_PRINTF(5, 6);
static void warn(const rules *r, const char *code, const config_value *value, const char *path,
                 const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add(r, code, true, value, path, format, arguments);
    va_end(arguments);
}

void rules_each_in(const rules *r, const config_value *value, const char *path, rules_visit visit) {
    check_context context; /* for its path */
    size_t index = 0;
    for (const config_value *v = value ? value->first : NULL; v; v = v->next) {
        check_begin(&context, NULL, NULL);
        text_append_string(&context.path, path);
        check_enter(&context, v->name, index++);
        visit(r, v, context.path.data);
    }
}

void rules_each(const rules *r, const char *path, rules_visit visit) {
    rules_each_in(r, rules_at(r, path), path, visit);
}

/* ---- pairs of numbers --------------------------------------------------------------------- */

typedef struct order_row {
    const char *code, *lower, *upper;
    bool strict; /* they may not be equal */
} order_row;

#define THRESHOLDS "agents.semantic_coordination.capability_matching.thresholds."
static const order_row orders[] = {
    {"C0313", THRESHOLDS "good", THRESHOLDS "excellent", true},
    {"C0313", THRESHOLDS "acceptable", THRESHOLDS "good", true},
    {"C0313", THRESHOLDS "minimum", THRESHOLDS "acceptable", true},
    {"C0316", "agents.monitoring.health_checks.timeout_seconds",
     "agents.monitoring.health_checks.interval_seconds", true},
    {"C0326", "deployment.hyperlight.pool.initial", "deployment.hyperlight.pool.max", false},
    {"C0326", "deployment.hyperlight.pool.low_water", "deployment.hyperlight.pool.max", false},
    {"C0326", "deployment.kubernetes.autoscaling.min", "deployment.kubernetes.autoscaling.max",
     false},
    {"C0326", "deployment.scaling.min_instances", "deployment.scaling.max_instances", false},
    {"C0327", "deployment.kubernetes.resources.requests.memory",
     "deployment.kubernetes.resources.limits.memory", false},
    {"C0327", "deployment.kubernetes.resources.requests.cpu",
     "deployment.kubernetes.resources.limits.cpu", false},
};

static void check_orders(const rules *r) {
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        const order_row *row = &orders[i];
        const config_value *lower = rules_at(r, row->lower);
        const config_value *upper = rules_at(r, row->upper);
        if (!lower || !upper || lower->number < upper->number ||
            (!row->strict && lower->number <= upper->number)) {
            continue;
        }
        bool upper_is_to_blame = upper->origin.layer > lower->origin.layer;
        char bytes[128];
        text_buffer text;
        text_init(&text, bytes, sizeof bytes);
        config_scalar_write(upper_is_to_blame ? lower : upper, &text);
        const char *than = row->strict ? "than" : "or equal to";
        if (upper_is_to_blame) {
            rules_tell(r, row->code, upper, row->upper, "must be greater %s %s, which is %s", than,
                       row->lower, bytes);
        } else {
            rules_tell(r, row->code, lower, row->lower, "must be less %s %s, which is %s", than,
                       row->upper, bytes);
        }
    }
}

static void check_weights(const rules *r) {
    static const char path[] = "agents.semantic_coordination.capability_matching.weight_factors";
    const config_value *weights = rules_at(r, path);
    const config_value *latest = weights ? weights->first : NULL;
    double sum = 0;
    for (const config_value *v = latest; v; v = v->next) {
        sum += v->number;
        latest = v->origin.layer > latest->origin.layer ? v : latest;
    }
    if (latest && (sum < 0.999 || sum > 1.001)) {
        rules_tell(r, "C0312", latest, path, "the four weights must have the sum 1");
    }
}

/* ---- agents ------------------------------------------------------------------------------ */

static bool has_text(const config_value *list, const char *text) {
    for (const config_value *v = list ? list->first : NULL; v; v = v->next) {
        if (v->text && strcmp(v->text, text) == 0) {
            return true;
        }
    }
    return false;
}

static void check_profile_name(const rules *r, const config_value *name, const char *path) {
    for (size_t i = 0; name && config_profiles[i]; i++) {
        if (strcmp(config_profiles[i], name->text) == 0) {
            return;
        }
    }
    if (name && !config_member(rules_at(r, "deployment.security.profiles"), name->text)) {
        rules_tell(
            r, "C0334", name, path,
            "there is no profile \"%.80s\": known are strict, standard, trusted and those of "
            "deployment.security.profiles",
            name->text);
    }
}

static void check_preferences(const rules *r, const config_value *entry, const char *path) {
    const config_value *preferences = config_member(entry, "deployment_preferences");
    const config_value *preferred = config_member(preferences, "preferred");
    const config_value *fallback = config_member(preferences, "fallback");
    for (const config_value *v = fallback ? fallback->first : NULL; v; v = v->next) {
        if (v->text && has_text(preferred, v->text)) {
            rules_tell(r, "C0315", v, path,
                       "\"%s\" is preferred and fallback at once; remove it from one list",
                       v->text);
        }
    }
}

static void check_agent_type(const rules *r, const config_value *entry, const char *path) {
    check_preferences(r, entry, path);
    check_profile_name(r, config_member(entry, "security_profile"), path);
}

static void check_specialization(const rules *r, const config_value *entry, const char *path) {
    static const char *const types[] = {"Infrastructure", "Development",       "Analysis", "QA",
                                        "Coordination",   "LightweightWorker", "Executive"};
    const config_value *type = config_member(entry, "type");
    check_preferences(r, entry, path);
    for (size_t i = 0; type && i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i], type->text) == 0) {
            return;
        }
    }
    if (type && !config_member(rules_at(r, "agents.agent_types"), type->text)) {
        rules_tell(r, "C0311", type, path, "there is no agent type \"%.80s\" in agents.agent_types",
                   type->text);
    }
}

/* ---- deployment -------------------------------------------------------------------------- */

/* What this machine must be or have. */
static void check_machine(const rules *r) {
    static const char supported_path[] = "agents.global.environment.supported_platforms";
    const config_value *supported = rules_at(r, supported_path);
    const config_value *detect = rules_at(r, "agents.global.environment.auto_detect");
    const char *platform = platform_name();
    if (supported && detect && detect->boolean && strcmp(platform, "unknown") != 0 &&
        !has_text(supported, platform)) {
        rules_tell(r, "C0310", supported, supported_path,
                   "this platform is %s, which is not in the list", platform);
    }
    const config_value *primary = rules_at(r, "agents.communication.transport.primary");
    if (primary && strcmp(primary->text, "named-pipe") == 0 && strcmp(platform, "windows") != 0) {
        rules_tell(r, "C0317", primary, "agents.communication.transport.primary",
                   "named pipes are on Windows only, this platform is %s; take unix or memory",
                   platform);
    }
    const config_value *vm = rules_at(r, "deployment.hyperlight.vm.memory");
    const config_value *snapshot = rules_at(r, "deployment.hyperlight.vm.snapshot");
    const config_value *max = rules_at(r, "deployment.hyperlight.pool.max");
    const config_value *reserve = rules_at(r, "deployment.resources.allocation.reserve_percent");
    platform_memory_info memory;
    if (!vm || !max || !reserve || !snapshot || snapshot->boolean ||
        platform_memory(&memory, NULL) != TARS_OK) {
        return;
    }
    double usable = (double)memory.total_bytes * (100.0 - reserve->number) / 100.0;
    if (vm->number * max->number > usable) {
        rules_tell(r, "C0328", snapshot, "deployment.hyperlight",
                   "without snapshots %lld machines need more memory than this one has after its "
                   "reserve; lower pool.max or vm.memory",
                   (long long)max->integer);
    }
}

static void check_version(const rules *r) {
    const config_value *version = rules_at(r, "deployment.version");
    if (version && strcmp(version->text, "2") != 0 && strncmp(version->text, "2.", 2) != 0) {
        rules_tell(r, "C0323", version, "deployment.version",
                   "this program reads configurations of version 2, found \"%.80s\"",
                   version->text);
    }
}

static void check_default_model(const rules *r) {
    const config_value *name = rules_at(r, "deployment.default_model");
    const config_value *models = rules_at(r, "deployment.models");
    /* TARS_MODEL may also name a model of the store, as the command line does */
    if (name && name->origin.layer != CONFIG_LAYER_VARIABLE && !config_member(models, name->text)) {
        rules_tell(r, "C0321", name, "deployment.default_model",
                   "there is no model \"%.80s\" in deployment.models", name->text);
    }
}

static void check_priorities(const rules *r) {
    static const char *const targets[] = {"native", "docker", "kubernetes", "hyperlight", "wasm"};
    enum { N = sizeof targets / sizeof targets[0] };
    const config_value *priorities[N];
    for (size_t i = 0; i < N; i++) {
        priorities[i] =
            config_member(config_member(rules_at(r, "deployment"), targets[i]), "priority");
        for (size_t j = 0; j < i; j++) {
            if (!priorities[i] || !priorities[j] ||
                priorities[i]->integer != priorities[j]->integer) {
                continue;
            }
            bool blame_j = priorities[j]->origin.layer > priorities[i]->origin.layer;
            char path[64];
            text_buffer text;
            text_init(&text, path, sizeof path);
            text_format(&text, "deployment.%s.priority", targets[blame_j ? j : i]);
            rules_tell(r, "C0324", priorities[blame_j ? j : i], path,
                       "%s has the same priority; each target needs its own",
                       targets[blame_j ? i : j]);
        }
    }
}

static bool is_absolute(const char *path) {
    bool drive = ((path[0] >= 'A' && path[0] <= 'Z') || (path[0] >= 'a' && path[0] <= 'z')) &&
                 path[1] == ':' && (path[2] == '\\' || path[2] == '/');
    return path[0] == '/' || drive;
}

/* A part ".." leads out of the folder that was meant. */
static bool leads_up(const char *path) {
    for (const char *at = path; (at = strstr(at, "..")) != NULL; at += 2) {
        bool begins = at == path || at[-1] == '/' || at[-1] == '\\';
        if (begins && (at[2] == '\0' || at[2] == '/' || at[2] == '\\')) {
            return true;
        }
    }
    return false;
}

static void check_platform(const rules *r, const config_value *entry, const char *path) {
    const config_value *paths = config_member(entry, "paths");
    for (const config_value *a = paths ? paths->first : NULL; a; a = a->next) {
        /* the user's own folders come from the environment, where a relative one is good */
        bool is_written =
            a->origin.layer != CONFIG_LAYER_PLATFORM && a->origin.layer != CONFIG_LAYER_VARIABLE;
        if (is_written && !is_absolute(a->text)) {
            rules_tell(r, "C0325", a, path, "paths.%s must be absolute, found \"%.200s\"", a->name,
                       a->text);
        } else if (leads_up(a->text)) {
            rules_tell(r, "C0325", a, path, "paths.%s must not have a part \"..\"", a->name);
        }
        for (const config_value *b = paths->first; b != a; b = b->next) {
            if (strcmp(a->text, b->text) == 0) {
                const config_value *later = b->origin.layer > a->origin.layer ? b : a;
                rules_tell(r, "C0325", later, path, "paths.%s and paths.%s are the same folder",
                           b->name, a->name);
            }
        }
    }
}

static void check_pages(const rules *r) {
    const config_value *memory = rules_at(r, "deployment.wasm.limits.memory");
    const config_value *pages = rules_at(r, "deployment.wasm.limits.max_memory_pages");
    bool given = (memory && memory->origin.layer != CONFIG_LAYER_DEFAULT) ||
                 (pages && pages->origin.layer != CONFIG_LAYER_DEFAULT);
    if (!memory || !pages || !given || pages->integer * 65536 == memory->integer) {
        return;
    }
    bool blame_pages = pages->origin.layer > memory->origin.layer;
    warn(r, "C0320", blame_pages ? pages : memory, "deployment.wasm.limits",
         "%lld pages of 64 KiB are not the memory that is given; the smaller of the two holds",
         (long long)pages->integer);
}

static void check_features(const rules *r) {
    static const char path[] = "deployment.wasm.features.threads";
    const config_value *threads = rules_at(r, path);
    if (threads && threads->boolean) {
        warn(r, "C0331", threads, path,
             "threads of WebAssembly are unavailable in this version: nothing will run there");
    }
}

static void check_server(const rules *r) {
    const config_value *mode = rules_at(r, "deployment.server.auth.mode");
    const config_value *address = rules_at(r, "deployment.server.http.address");
    const char *host = address ? address->text : "127.0.0.1";
    bool loopback = strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
                    strcmp(host, "[::1]") == 0 || strcmp(host, "localhost") == 0;
    if (mode && strcmp(mode->text, "none") == 0 && !loopback && !r->insecure) {
        rules_tell(r, "C0330", mode, "deployment.server.auth.mode",
                   "a server without keys may listen on loopback only, but "
                   "deployment.server.http.address is \"%.80s\"",
                   host);
    }
}

static void check_canary(const rules *r) {
    const config_value *steps = rules_at(r, "deployment.rollout.canary.steps");
    int64_t before = 0;
    for (const config_value *step = steps ? steps->first : NULL; step; step = step->next) {
        const config_value *weight = config_member(step, "weight");
        if (weight && weight->integer <= before) {
            rules_tell(r, "C0332", weight, "deployment.rollout.canary.steps",
                       "the weights must ascend, but %lld comes after %lld",
                       (long long)weight->integer, (long long)before);
        }
        before = weight ? weight->integer : before;
    }
}

static void check_language(const rules *r, const config_value *entry, const char *path) {
    check_profile_name(r, config_member(entry, "profile"), path);
}

/* ---- security profiles ------------------------------------------------------------------- */

/* What a profile says itself or takes from those that it extends; NULL for a chain that does not
 * end. */
static const char *inherited(const rules *r, const char *profile, const reach_row *row) {
    const config_value *profiles = rules_at(r, "deployment.security.profiles");
    for (int n = 0; n < REACH_MAX_EXTENDS; n++) {
        for (int i = 0; config_profiles[i]; i++) {
            if (strcmp(config_profiles[i], profile) == 0) {
                return row->standard[i];
            }
        }
        const config_value *custom = config_member(profiles, profile);
        const config_value *word = config_member(custom, row->key);
        const config_value *next = config_member(custom, "extends");
        if (word) {
            return word->text;
        }
        if (!next) {
            return row->words[0]; /* unknown, which is told elsewhere */
        }
        profile = next->text;
    }
    return NULL;
}

static void check_profile(const rules *r, const config_value *entry, const char *path) {
    const config_value *extends = config_member(entry, "extends");
    const config_value *maximum = rules_at(r, "deployment.security.maximum");
    if (!extends) {
        return;
    }
    check_profile_name(r, extends, path);
    for (size_t i = 0; config_profiles[i]; i++) {
        if (strcmp(config_profiles[i], entry->name) == 0) {
            rules_tell(r, "C0334", entry, path,
                       "the profile %s is built in and cannot be made anew; give yours another "
                       "name, or narrow all with deployment.security.maximum",
                       entry->name);
            return;
        }
    }
    for (reach_kind i = 0; i < REACH_KINDS; i++) {
        const reach_row *row = &reach_rows[i];
        const config_value *own = config_member(entry, row->key);
        const char *base = inherited(r, extends->text, row);
        const config_value *most = config_member(maximum, row->key);
        if (!base || strcmp(extends->text, entry->name) == 0) {
            rules_tell(r, "C0334", extends, path, "the profile extends itself in the end");
            return;
        }
        const char *word = own ? own->text : base;
        if (own && reach_rank(i, word) > reach_rank(i, base)) {
            rules_tell(r, "C0333", own, path,
                       "%s: \"%s\" is wider than \"%s\" of the profile \"%s\"; a profile can only "
                       "narrow",
                       row->key, word, base, extends->text);
        } else if (own && most && reach_rank(i, word) > reach_rank(i, most->text)) {
            rules_tell(r, "C0333", own, path,
                       "%s: \"%s\" is wider than \"%s\" of deployment.security.maximum", row->key,
                       word, most->text);
        }
    }
}

/* ---- files with secrets ------------------------------------------------------------------ */

static void check_secret_file(const rules *r, const config_value *value, const char *path) {
    platform_kind kind;
    platform_file_info info;
    bool is_secret = value->row && value->row->type == CONFIG_TYPE_SECRET_FILE;
    if (value->kind == CONFIG_MAP || value->kind == CONFIG_LIST) {
        rules_each_in(r, value, path, check_secret_file);
    } else if (is_secret && value->kind == CONFIG_TEXT) {
        if (platform_path_kind(value->text, &kind, &info, NULL) != TARS_OK ||
            kind != PLATFORM_KIND_FILE) {
            warn(r, "C0113", value, path, "there is no file \"%.200s\" that can be read here",
                 value->text);
        } else if ((info.mode & 077) != 0) {
            rules_tell(r, "C0112", value, path,
                       "others may read the secret in \"%.200s\"; run chmod 600 on it",
                       value->text);
        }
    }
}

void rules_check(const rules *r) {
    check_orders(r);
    check_weights(r);
    rules_each(r, "agents.agent_types", check_agent_type);
    rules_each(r, "agents.specializations", check_specialization);
    check_machine(r);
    check_version(r);
    check_default_model(r);
    check_priorities(r);
    rules_each(r, "deployment.native.platforms", check_platform);
    check_pages(r);
    check_features(r);
    check_server(r);
    check_canary(r);
    rules_each(r, "deployment.languages", check_language);
    check_profile_name(r, rules_at(r, "deployment.hyperlight.security.profile"),
                       "deployment.hyperlight.security.profile");
    rules_each(r, "deployment.security.profiles", check_profile);
    rules_check_calls(r);
    check_secret_file(r, r->root, "");
    rules_check_organization(r);
}
