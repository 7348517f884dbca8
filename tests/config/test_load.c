#include "config/config.h"
#include "platform/platform.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const environment[] = {"HOME=/home/x", "PORT=81", "EMPTY=", NULL};

static tars_status load_with(const char *text, const char *const *variables,
                             const char *const *settings, config_diagnostics *problems,
                             config **out) {
    size_t n_settings = 0;
    while (settings && settings[n_settings]) {
        n_settings++;
    }
    config_options options = {.text = text,
                              .text_length = strlen(text),
                              .environment = variables,
                              .settings = settings,
                              .n_settings = n_settings};
    *problems = (config_diagnostics){0};
    tars_error err;
    return config_load(&options, problems, out, &err);
}

/* "1:2 C0105 deployment.x; …": all diagnostics in short. */
static void list_problems(const config_diagnostics *problems, char *bytes, size_t size_bytes) {
    text_buffer text;
    text_init(&text, bytes, size_bytes);
    for (const config_diagnostic *d = problems->first; d; d = d->next) {
        text_format(&text, "%s%d:%d %s%s %s", d != problems->first ? "; " : "", d->line, d->column,
                    d->warning ? "w" : "", d->code, d->path);
    }
}

typedef struct mistake {
    const char *text, *expected;
} mistake;

static void expect_mistakes(const mistake *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        config_diagnostics problems;
        config *c = NULL;
        char found[1024];
        tars_status status = load_with(cases[i].text, environment, NULL, &problems, &c);
        list_problems(&problems, found, sizeof found);
        if (strcmp(found, cases[i].expected) != 0) {
            check_fail(__FILE__, __LINE__, "case %zu: %s\n  found    %s\n  expected %s", i,
                       cases[i].text, found, cases[i].expected);
        }
        CHECK_INT(status, problems.n_errors > 0 ? TARS_MALFORMED : TARS_OK);
        CHECK((c == NULL) == (problems.n_errors > 0));
        config_destroy(c);
        diagnostics_free(&problems);
    }
}
#define EXPECT_MISTAKES(CASES) expect_mistakes(CASES, sizeof(CASES) / sizeof((CASES)[0]))

static void the_subset_of_yaml_is_kept(void) {
    static const mistake cases[] = {
        {"", ""},
        {"# nothing\n", ""},
        {"{}", ""},
        {"[]", "1:1 C0106 "},
        {"3", "1:1 C0106 "},
        {"deployment: {region: [", "2:1 C0101 "},
        {"deployment:\n  region: !!str x", "2:11 C0102 deployment.region"},
        {"deployment: {region: x}\n---\na: b", "2:1 C0102 "},
        {"deployment:\n  region: a\n  region: b\n  region: c",
         "3:3 C0103 deployment.region; 4:3 C0103 deployment.region"},
        {"? [a]\n: b", "1:3 C0102 "},
        {"a: &a [*a]", "1:8 C0102 a[0]"},
        {"a: *b", "1:4 C0101 a"},
        {"a: \"x\\0y\"", "1:4 C0102 a"},
        {"deployment: {region: \xff}", "1:22 C0101 "},
        {"deployment: {environment: &e test, region: *e}", ""},
    };
    EXPECT_MISTAKES(cases);
}

static void keys_are_known(void) {
    static const mistake cases[] = {
        {"deploymant: {}", "1:1 C0105 deploymant"},
        {"deployment: {wasm: {maxInstances: 3}}", ""},
        {"deployment: {wasm: {max_instances: 3}}", ""},
        {"deployment: {wasm: {maxInstances: 3, max_instances: 3}}",
         "1:38 C0104 deployment.wasm.max_instances"},
        {"deployment: {wasm: {max_instances: 3, max_instances!: 3}}",
         "1:39 C0104 deployment.wasm.max_instances"},
        {"deployment: {wasm: {MaxInstances: 3}}", "1:21 C0105 deployment.wasm.MaxInstances"},
        {"x-a: {deployment: 1}\ndeployment: {x-b: [], wasm: {x-c: 1}}", ""},
        {"deployment: {docker: {environment: {FooBar: a, x: 1}}}", ""},
        {"deployment: {native: {platforms: {linux: {user: a}, linus: {user: a}}}}",
         "1:53 C0109 deployment.native.platforms.linus"},
        {"deployment: {models: {a: {sha256: null}}}", "1:26 C0108 deployment.models.a"},
        {"deployment: {models: {a: {path: [x]}}}", "1:33 C0106 deployment.models.a.path"},
        {"deployment: {alerts: [{name: a}, null]}",
         "1:34 C0106 deployment.alerts[1]; 1:23 C0108 deployment.alerts[0]"},
    };
    EXPECT_MISTAKES(cases);
}

static void values_have_their_type(void) {
    static const mistake cases[] = {
        {"deployment: {wasm: {enabled: 1}}", "1:30 C0106 deployment.wasm.enabled"},
        {"deployment: {wasm: {enabled: \"true\"}}", "1:30 C0106 deployment.wasm.enabled"},
        {"deployment: {wasm: {max_instances: 1.5}}", "1:36 C0106 deployment.wasm.max_instances"},
        {"deployment: {wasm: {max_instances: 0}}", "1:36 C0107 deployment.wasm.max_instances"},
        {"deployment: {wasm: {limits: {memory: 5 cows}}}",
         "1:38 C0106 deployment.wasm.limits.memory"},
        {"deployment: {wasm: {limits: {memory: -5}}}", "1:38 C0106 deployment.wasm.limits.memory"},
        {"deployment: {wasm: {limits: {memory: 99999999TiB}}}",
         "1:38 C0106 deployment.wasm.limits.memory"},
        {"deployment: {tracing: {retention: 7}}", "1:35 C0106 deployment.tracing.retention"},
        {"deployment: {logging: {level: loud}}", "1:31 C0107 deployment.logging.level"},
        {"deployment: {wasm: []}", "1:20 C0106 deployment.wasm"},
        {"deployment: {selection: {runtime_chain: native}}",
         "1:41 C0106 deployment.selection.runtime_chain"},
        {"deployment: {selection: {runtime_chain: [native, native]}}",
         "1:50 C0322 deployment.selection.runtime_chain"},
        {"deployment: {backup: {schedule: 0 2 * *}}", "1:33 C0106 deployment.backup.schedule"},
        {"deployment: {kubernetes: {namespace: Big}}",
         "1:38 C0106 deployment.kubernetes.namespace"},
        {"tree: {metadata: {last_updated: 2025-13-01}}", "1:33 C0106 tree.metadata.last_updated"},
        {"deployment: {version: 2.0, region: 17, docker: {user: 0}}", ""},
    };
    EXPECT_MISTAKES(cases);
}

static void texts_take_variables_and_no_secrets(void) {
    static const mistake cases[] = {
        {"deployment: {region: \"${NOPE}\"}", "1:22 C0110 deployment.region"},
        {"deployment: {region: \"${EMPTY}\"}", "1:22 C0110 deployment.region"},
        {"deployment: {region: \"${NOPE:-}\"}", ""},
        {"deployment: {region: \"${HOME\"}", "1:22 C0110 deployment.region"},
        {"deployment: {region: \"${1}\"}", "1:22 C0110 deployment.region"},
        {"deployment: {server: {http: {port: \"${PORT}\"}}}", ""},
        {"deployment: {server: {http: {port: \"${HOME}\"}}}",
         "1:36 C0106 deployment.server.http.port"},
        {"deployment: {server: {auth: {token: abc}}}", "1:37 C0111 deployment.server.auth.token"},
        {"deployment: {bus: {password: \"${HOME}\"}}", "1:30 C0111 deployment.bus.password"},
        {"agents: {specializations: {a: {type: QA, configuration: {db: [{secret: x}]}}}}",
         "1:72 C0111 agents.specializations.a.configuration.db[0].secret"},
        {"deployment: {bus: {credentials_file: /nowhere/at/all}}",
         "1:38 wC0113 deployment.bus.credentials_file"},
    };
    EXPECT_MISTAKES(cases);
}

static void names_of_system_calls_are_known(void) {
    static const mistake cases[] = {
        {"deployment: {security: {profiles: {a: {extends: strict, syscalls: [openat, close]}}}}",
         ""},
        {"deployment: {security: {profiles: {a: {extends: strict, syscalls: [opennat, socket, "
         "statfs]}}}}",
         "1:68 C0335 deployment.security.profiles.a.syscalls; "
         "1:77 C0335 deployment.security.profiles.a.syscalls; "
         "1:85 C0335 deployment.security.profiles.a.syscalls"},
    };
    if (!platform_jail_call_name(0)) {
        check_skip("names of system calls are Linux's");
        return;
    }
    EXPECT_MISTAKES(cases);
}

#define WEIGHTS "agents: {semantic_coordination: {capability_matching: {weight_factors: "
#define THRESHOLDS "agents: {semantic_coordination: {capability_matching: {thresholds: "
#define PROFILES "deployment: {security: {profiles: "
static void rules_between_keys_hold(void) {
    static const mistake cases[] = {
        {"deployment: {version: 3.0}", "1:23 C0323 deployment.version"},
        {"deployment: {default_model: a}", "1:29 C0321 deployment.default_model"},
        {"deployment: {default_model: a, models: {a: {path: x}}}", ""},
        {"deployment: {wasm: {priority: 2}}", "1:31 C0324 deployment.wasm.priority"},
        {"deployment: {wasm: {limits: {memory: 1MiB}}}", "1:38 wC0320 deployment.wasm.limits"},
        {"deployment: {wasm: {limits: {memory: 1MiB, max_memory_pages: 16}}}", ""},
        {"deployment: {hyperlight: {pool: {max: 5}}}", "1:39 C0326 deployment.hyperlight.pool.max"},
        {"deployment: {kubernetes: {resources: {requests: {cpu: 2}}}}",
         "1:55 C0327 deployment.kubernetes.resources.requests.cpu"},
        {"deployment: {server: {auth: {mode: none}}}", ""},
        {"deployment: {server: {auth: {mode: none}, http: {address: 0.0.0.0}}}",
         "1:36 C0330 deployment.server.auth.mode"},
        {"deployment: {rollout: {canary: {steps: [{weight: 5}, {weight: 5}]}}}",
         "1:63 C0332 deployment.rollout.canary.steps"},
        {"deployment: {native: {platforms: {linux: {paths: {data: var, logs: /a/../b}}}}}",
         "1:57 C0325 deployment.native.platforms.linux; "
         "1:68 C0325 deployment.native.platforms.linux"},
        {"deployment: {native: {platforms: {linux: {paths: {data: /a, logs: /a}}}}}",
         "1:67 C0325 deployment.native.platforms.linux"},
        {WEIGHTS "{skills: 0.5}}}}", "1:81 C0312 agents.semantic_coordination.capability_matching."
                                     "weight_factors"},
        {WEIGHTS "{skills: 0.5, workload: 0}}}}", ""},
        {THRESHOLDS "{good: 0.95}}}}",
         "1:75 C0313 agents.semantic_coordination.capability_matching.thresholds.good"},
        {"agents: {specializations: {a: {type: Nope}}}", "1:38 C0311 agents.specializations.a"},
        {"agents: {agent_types: {Own: {capabilities: [a-b]}}, specializations: {a: {type: Own}}}",
         ""},
        {"agents: {agent_types: {A: {deployment_preferences: {preferred: [docker], fallback: "
         "[docker]}}}}",
         "1:85 C0315 agents.agent_types.A"},
        {"agents: {agent_types: {A: {security_profile: lax}}}", "1:46 C0334 agents.agent_types.A"},
        {PROFILES "{a: {extends: strict, network: allow-list}}}}",
         "1:66 C0333 deployment.security.profiles.a"},
        {PROFILES "{a: {extends: trusted, network: none}, b: {extends: a, network: none}}}}", ""},
        {PROFILES "{a: {extends: b}, b: {extends: a}}}}",
         "1:49 C0334 deployment.security.profiles.a; 1:66 C0334 deployment.security.profiles.b"},
        {"deployment: {security: {maximum: {network: none}, profiles: {a: {extends: trusted, "
         "network: allow-list}}}}",
         "1:93 C0333 deployment.security.profiles.a"},
        {PROFILES "{strict: {extends: trusted}}}}",
         "1:44 C0334 deployment.security.profiles.strict"},
        {"deployment: {wasm: {features: {threads: true}}}",
         "1:41 wC0331 deployment.wasm.features.threads"},
        {"deployment: {wasm: {wasi: {allowed_calls: [fd_read, \"path_*\", fd_raed, \"x*\"]}}}",
         "1:63 C0329 deployment.wasm.wasi.allowed_calls; "
         "1:72 C0329 deployment.wasm.wasi.allowed_calls"},
        {"deployment: {wasm: {wasi: {allowed_calls: []}}}", ""},
        {"agents: {communication: {transport: {primary: named-pipe}}}",
         "1:47 C0317 agents.communication.transport.primary"},
        {"agents: {global: {environment: {supported_platforms: []}}}",
         "1:54 C0310 agents.global.environment.supported_platforms"},
        {"agents: {global: {environment: {supported_platforms: [], auto_detect: false}}}", ""},
        {"deployment: {hyperlight: {vm: {snapshot: false, memory: 900TB}}}",
         "1:42 C0328 deployment.hyperlight"},
        {"agents: {monitoring: {health_checks: {timeout_seconds: 15}}}",
         "1:56 C0316 agents.monitoring.health_checks.timeout_seconds"},
    };
    EXPECT_MISTAKES(cases);
}

#define TEAM                                                                                       \
    "tree: {organization: {departments: {d: {name: D, id: d, head: a-1, deployment: [native], "    \
    "teams: {t: {name: T, id: t, lead: "
static void the_organisation_is_one(void) {
    static const mistake cases[] = {
        {TEAM "a-1, agents: [{name: A, id: a-1, type: QA, deployment: [native]}]}}}}}}", ""},
        {TEAM "b-1, agents: [{name: A, id: a-1, type: QA, deployment: [wasm]}]}}}}}}",
         "1:124 C0342 tree.organization.departments.d.teams.t; "
         "1:180 C0340 tree.organization.departments.d.teams.t"},
        {TEAM "a-1, agents: [{name: A, id: a-1, type: QA}, {name: A, id: a-1, type: QA}]}}}}}}",
         "1:182 C0341 tree.organization.departments.d.teams.t.agents[1]"},
        {TEAM "a-1, agents: [{name: A, id: a-1, type: QA, resources: {memory: 300MB, cpu: 0.2}}]"
              "}}}}}}\nagents: {agent_types: {QA: {max_instances: 1}}}",
         "1:187 C0344 tree.organization.departments.d.teams.t"},
        {"tree: {metadata: {total_agents: 2}, organization: {leadership: [{name: A, id: a}]}}",
         "1:33 C0302 tree.metadata.total_agents"},
        {"tree: {organization: {leadership: [{name: A, id: a}]}}\n"
         "organization: {executive: {x: {name: B, id: a}}}",
         "2:45 C0301 organization.executive.x"},
        {"organization: {lifecycle: {states: [active]}}",
         "1:36 C0350 organization.lifecycle.states"},
    };
    EXPECT_MISTAKES(cases);
}

static config *load_good(const char *text, const char *const *variables,
                         const char *const *settings) {
    config_diagnostics problems;
    config *c = NULL;
    if (load_with(text, variables, settings, &problems, &c) != TARS_OK) {
        char found[1024];
        list_problems(&problems, found, sizeof found);
        check_fail(__FILE__, __LINE__, "%s is refused: %s", text, found);
    }
    diagnostics_free(&problems);
    return c;
}

static void values_are_typed(void) {
    config *c =
        load_good("deployment:\n"
                  "  wasm: {maxInstances: 5, limits: {memory: 16Mi, max_memory_pages: 256}}\n"
                  "  region: \"$ ${HOME} $$ ${NOPE:-d}\"\n"
                  "  models: {\"a.b\": {path: x, sha256: null}}\n"
                  "  kubernetes: {liveness: {period: 20}, resources: {limits: {cpu: 2 cores}}}\n"
                  "  logging: {rotate_mb: 5}\n"
                  "agents: {agent_types: {QA: {capabilities: [a-b]}}}\n",
                  environment, NULL);
    if (!c) {
        return;
    }
    CHECK_INT(config_int_or(c, "deployment.wasm.max_instances", 0), 5);
    CHECK_INT(config_int_or(c, "deployment.wasm.maxInstances", 0), 5);
    CHECK_INT(config_int_or(c, "deployment.wasm.limits.memory", 0), 16 << 20);
    CHECK_STRING(config_text_or(c, "deployment.region", ""), "$ /home/x $ d");
    CHECK_STRING(config_text_or(c, "deployment.models.\"a.b\".path", ""), "x");
    CHECK(config_get(c, "deployment.models.\"a.b\".sha256") == NULL);
    CHECK(config_get(c, "deployment.nothing.here") == NULL);
    CHECK_INT(config_int_or(c, "deployment.kubernetes.liveness.period", 0), 20000);
    CHECK_INT(config_int_or(c, "deployment.kubernetes.resources.limits.cpu", 0), 2000);
    CHECK_INT(config_int_or(c, "deployment.logging.rotate_mb", 0), 5000000);
    CHECK(config_bool_or(c, "deployment.wasm.enabled", false));
    CHECK(config_float_or(c, "deployment.cuda.memory_fraction", 0) == 0.9);
    const config_value *list = config_get(c, "agents.agent_types.QA.capabilities");
    CHECK(list && list->kind == CONFIG_LIST && list->count == 1);
    CHECK_STRING(list ? list->first->text : "", "a_b");
    const config_value *memory = config_get(c, "deployment.wasm.limits.memory");
    CHECK(memory && memory->origin.layer == CONFIG_LAYER_FOLDER && memory->origin.place.line == 2 &&
          memory->origin.place.column == 44);
    config_destroy(c);
}

static void variables_and_settings_win(void) {
    static const char *const variables[] = {
        "TARS_LOG_LEVEL=warn",
        "TARS__DEPLOYMENT__WASM__MAX_INSTANCES=7",
        "tars__deployment__models__a_b__context_length=9",
        "TARS__DEPLOYMENT__SELECTION__RUNTIME_CHAIN=wasm, native",
        "TARS__DEPLOYMENT__TRACING__REDACT=[\"a,b\"]",
        "TARS_HTTP_ADDR=[::1]:99",
        "TARS_MODEL=of-the-store",
        "TARS_UNRELATED=x",
        NULL,
    };
    static const char *const settings[] = {"deployment.wasm.max_instances=8",
                                           "deployment.models.\"a.b\".path=y",
                                           "deployment.logging.format=null", NULL};
    config *c = load_good("deployment:\n"
                          "  models: {a.b: {path: x}}\n"
                          "  wasm: {max_instances: 6}\n"
                          "  logging: {level: debug, format: text}\n",
                          variables, settings);
    if (!c) {
        return;
    }
    CHECK_INT(config_int_or(c, "deployment.wasm.max_instances", 0), 8);
    CHECK_STRING(config_text_or(c, "deployment.logging.level", ""), "warn");
    CHECK_STRING(config_text_or(c, "deployment.logging.format", ""), "json");
    CHECK_INT(config_int_or(c, "deployment.models.\"a.b\".context_length", 0), 9);
    CHECK_STRING(config_text_or(c, "deployment.models.\"a.b\".path", ""), "y");
    CHECK_STRING(config_text_or(c, "deployment.server.http.address", ""), "::1");
    CHECK_INT(config_int_or(c, "deployment.server.http.port", 0), 99);
    const config_value *chain = config_get(c, "deployment.selection.runtime_chain");
    CHECK(chain && chain->count == 2 && strcmp(chain->first->text, "wasm") == 0);
    const config_value *redact = config_get(c, "deployment.tracing.redact");
    CHECK(redact && redact->count == 1 && strcmp(redact->first->text, "a,b") == 0);
    char origin[128];
    text_buffer text;
    text_init(&text, origin, sizeof origin);
    const config_value *level = config_get(c, "deployment.logging.level");
    config_origin_write(&level->origin, &text);
    CHECK_STRING(origin, "TARS_LOG_LEVEL");
    config_destroy(c);
}

static void wrong_variables_and_settings_are_named(void) {
    static const char *const variables[] = {"TARS__DEPLOYMENT__WASM__MAX_INSTANCE=7", "TARS__=1",
                                            "TARS__DEPLOYMENT____X=1", "TARS_LOG_LEVEL=loud", NULL};
    static const char *const settings[] = {"deployment.x=1",
                                           "nothing",
                                           "a..b=1",
                                           "deployment.native.platforms.amiga.user=x",
                                           "deployment.wasm.enabled=maybe",
                                           NULL};
    config_diagnostics problems;
    config *c = NULL;
    char found[1024];
    CHECK_INT(load_with("", variables, settings, &problems, &c), TARS_MALFORMED);
    list_problems(&problems, found, sizeof found);
    CHECK_STRING(found, "0:0 C0107 deployment.logging.level; "
                        "0:0 C0105 deployment.wasm.max_instance; 0:0 C0105 ; 0:0 C0105 ; "
                        "0:0 C0105 deployment.x; 0:0 C0105 ; 0:0 C0105 ; "
                        "0:0 C0109 deployment.native.platforms.amiga; "
                        "0:0 C0106 deployment.wasm.enabled");
    char line[512];
    text_buffer text;
    text_init(&text, line, sizeof line);
    diagnostics_line(problems.first->next, &text);
    CHECK_STRING(line, "TARS__DEPLOYMENT__WASM__MAX_INSTANCE: error[C0105]: "
                       "deployment.wasm.max_instance: there is no such key; did you mean "
                       "\"max_instances\"?");
    diagnostics_free(&problems);
}

static void limits_hold(void) {
    size_t length = (1 << 20) + 1;
    char *text = malloc(length + 1);
    memset(text, ' ', length);
    text[length] = '\0';
    mistake large = {text, "1:1 C0102 "};
    expect_mistakes(&large, 1);
    free(text);

    char deep[400] = "x-a: ";
    memset(deep + 5, '[', 31);
    memset(deep + 36, ']', 31);
    mistake good = {deep, ""};
    expect_mistakes(&good, 1);
    memset(deep + 5, '[', 32);
    memset(deep + 37, ']', 32);
    config_diagnostics problems;
    config *c = NULL;
    CHECK_INT(load_with(deep, environment, NULL, &problems, &c), TARS_MALFORMED);
    CHECK_STRING(problems.first ? problems.first->code : "", "C0102");
    diagnostics_free(&problems);

    /* ten levels of ten aliases each: ten thousand million values from a few hundred bytes */
    char laughs[1024] = "x-0: &a0 [1,1,1,1,1,1,1,1,1,1]\n";
    for (int i = 1; i < 10; i++) {
        size_t used = strlen(laughs);
        int p = i - 1;
        snprintf(laughs + used, sizeof laughs - used,
                 "x-%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, p, p, p,
                 p, p, p, p, p, p, p);
    }
    CHECK_INT(load_with(laughs, environment, NULL, &problems, &c), TARS_MALFORMED);
    CHECK_INT(problems.n_errors, 1);
    CHECK_STRING(problems.first ? problems.first->code : "", "C0102");
    diagnostics_free(&problems);
}

typedef struct json_text {
    char bytes[1 << 18];
    size_t length;
} json_text;

static bool keep(void *context, const char *bytes, size_t length) {
    json_text *text = context;
    if (length > sizeof text->bytes - 1 - text->length) {
        return false;
    }
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = '\0';
    return true;
}

/* Every default is good by its own row, and what is written reads back as the same. */
static void defaults_read_back(void) {
    static json_text first, second;
    json_writer json;
    config *c = load_good("", environment, NULL);
    json_writer_init(&json, keep, &first);
    if (!c) {
        return;
    }
    config_json_write(config_root(c), &json);
    CHECK(!json.failed);
    config_destroy(c);
    c = load_good(first.bytes, environment, NULL);
    if (c) {
        json_writer_init(&json, keep, &second);
        config_json_write(config_root(c), &json);
        CHECK_STRING(second.bytes, first.bytes);
        config_destroy(c);
    }
}

static void the_schema_is_json(void) {
    static json_text text;
    json_writer json;
    tars_error err;
    json_writer_init(&json, keep, &text);
    CHECK_INT(config_schema_write(&json, &err), TARS_OK);
    CHECK(!json.failed);
    size_t memory_bytes = 8 << 20;
    void *memory = malloc(memory_bytes);
    arena a;
    json_value *schema = NULL;
    arena_init(&a, memory, memory_bytes);
    CHECK_INT(json_parse(text.bytes, text.length, NULL, &a, &schema, &err), TARS_OK);
    const json_value *deployment = json_member(json_member(schema, "properties"), "deployment");
    const json_value *wasm = json_member(json_member(deployment, "properties"), "wasm");
    const json_value *instances = json_member(json_member(wasm, "properties"), "max_instances");
    CHECK_STRING(json_string_or(json_member(instances, "type"), ""), "integer");
    CHECK_INT(json_integer_or(json_member(instances, "default"), 0), 200);
    CHECK(json_string_or(json_member(instances, "description"), "")[0] != '\0');
    free(memory);
}

/* What a row promises is there: words for people, choices for enums, limits in order. */
static void tables_are_sound(void) {
    static const config_key_table *const tables[] = {
        &config_keys_agents, &config_keys_deployment,   &config_keys_targets,
        &config_keys_tree,   &config_keys_organization,
    };
    size_t count = 0;
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            const config_key *row = &tables[t]->rows[i];
            bool good = row->text && row->text[0] && row->text[strlen(row->text) - 1] != '.' &&
                        (row->type != CONFIG_TYPE_ENUM || row->choices) &&
                        row->minimum <= row->maximum &&
                        !(row->flags & CONFIG_KEY_REQUIRED && row->standard);
            if (!good) {
                check_fail(__FILE__, __LINE__, "the row of %s is not sound", row->path);
            }
            count++;
        }
    }
    CHECK(count > 350);
}

static void paths_are_checked(void) {
    tars_error err;
    CHECK_INT(config_path_check("deployment.wasm.limits", &err), TARS_OK);
    CHECK_INT(config_path_check("deployment.models.\"a.b\".path", &err), TARS_OK);
    CHECK_INT(config_path_check("deployment.wasm.limit", &err), TARS_USAGE);
    CHECK(strstr(err.message, "\"limits\"") != NULL);
    CHECK_INT(config_path_check("", &err), TARS_USAGE);
    CHECK_INT(config_path_check("deployment.", &err), TARS_USAGE);
    CHECK_INT(config_path_check("deployment.models.\"a", &err), TARS_USAGE);
}

static const check_test tests[] = {
    {"the subset of YAML is kept", the_subset_of_yaml_is_kept},
    {"keys are known", keys_are_known},
    {"values have their type", values_have_their_type},
    {"texts take variables and no secrets", texts_take_variables_and_no_secrets},
    {"rules between keys hold", rules_between_keys_hold},
    {"names of system calls are known", names_of_system_calls_are_known},
    {"the organisation is one", the_organisation_is_one},
    {"values are typed", values_are_typed},
    {"variables and settings win", variables_and_settings_win},
    {"wrong variables and settings are named", wrong_variables_and_settings_are_named},
    {"limits of size, depth and aliases hold", limits_hold},
    {"defaults read back", defaults_read_back},
    {"the schema is JSON", the_schema_is_json},
    {"tables are sound", tables_are_sound},
    {"paths are checked", paths_are_checked},
};
CHECK_MAIN(tests)
