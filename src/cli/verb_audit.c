#include "base/nearest.h"
#include "cli/auditing.h"
#include "cli/configuration.h"
#include "cli/report.h"
#include "store/files.h"
#include "trace/audit_verify.h"

#include <stdlib.h>
#include <string.h>

typedef struct audit_values {
    const char *key, *expect, *severity, *since, *until;
    option_list kinds;
    option_uint64 last;
} audit_values;

static const char *const severity_names[] = {"info", "warning", "error", "critical", NULL};

static const option audit_rows[] = {
    {.name = "key",
     .type = OPTION_FILE,
     .offset = offsetof(audit_values, key),
     .value_name = "FILE",
     .help = "public key (PEM) that signed the log; else the one of the store"},
    {.name = "expect",
     .type = OPTION_TEXT,
     .offset = offsetof(audit_values, expect),
     .value_name = "SEQUENCE:HASH",
     .help = "a record that must be there, as an earlier verify printed it"},
    {.name = "kind",
     .type = OPTION_TEXT,
     .offset = offsetof(audit_values, kinds),
     .value_name = "KIND",
     .repeated = true,
     .help = "with show: records of this kind, such as security.denied, or of all that begin so, "
             "such as security"},
    {.name = "severity",
     .type = OPTION_ENUM,
     .offset = offsetof(audit_values, severity),
     .value_name = "SEVERITY",
     .choices = severity_names,
     .help = "with show: records at least as severe"},
    {.name = "since",
     .type = OPTION_TEXT,
     .offset = offsetof(audit_values, since),
     .value_name = "TIME",
     .help = "with show: from this time on, in UTC: 2025-01-31, or 2025-01-31T12:00"},
    {.name = "until",
     .type = OPTION_TEXT,
     .offset = offsetof(audit_values, until),
     .value_name = "TIME",
     .help = "with show: before this time"},
    {.name = "last",
     .type = OPTION_UINT64,
     .offset = offsetof(audit_values, last),
     .value_name = "N",
     .help = "with show: the last N of them"},
};
static const option_set audit_set = OPTION_SET("Options", audit_rows);

/* ---- which log, which key ---------------------------------------------------------------- */

typedef struct audit_place {
    char path[PLATFORM_PATH_BYTES];
    uint8_t public_key[KEYS_PUBLIC_BYTES];
    char key_id[KEYS_ID_BYTES];
} audit_place;

/* The configuration is read without being recorded: looking at a log adds nothing to it. */
static tars_status find_folder(const cli *c, const char *home, char *path, tars_error *err) {
    config_diagnostics problems = {0};
    config *values = NULL;
    tars_status status = configuration_load(c, &problems, &values, err);
    if (status == TARS_OK) {
        const char *folder = config_text_or(values, "deployment.audit.folder", NULL);
        status = audit_folder_path(home, folder, path, PLATFORM_PATH_BYTES, err);
        config_destroy(values);
    }
    diagnostics_free(&problems);
    return status;
}

static tars_status find_key(const char *home, const char *file, audit_place *out, tars_error *err) {
    keys *own = NULL;
    tars_status status = TARS_OK;
    if (file) {
        status = keys_read_public(file, out->public_key, err);
    } else {
        status = keys_open_existing(home, &own, err);
        if (status == TARS_OK) {
            memcpy(out->public_key, keys_public(own), sizeof out->public_key);
        } else if (status == TARS_NOT_FOUND) {
            error_hint(err, "name the public key of whoever wrote the log: --key FILE");
        }
        keys_close(own);
    }
    if (status == TARS_OK) {
        keys_id_of(out->public_key, out->key_id);
    }
    return status;
}

static tars_status find_place(const cli *c, const verb_call *call, audit_place *out,
                              tars_error *err) {
    const audit_values *values = call->values;
    char home[PLATFORM_PATH_BYTES] = "";
    bool needs_home = call->n_arguments < 2 || !values->key;
    tars_status status = needs_home ? configuration_home(c, home, err) : TARS_OK;
    if (status == TARS_OK) {
        status = call->n_arguments > 1 ? files_copy_path(out->path, call->arguments[1], err)
                                       : find_folder(c, home, out->path, err);
    }
    platform_kind kind = PLATFORM_KIND_MISSING;
    if (status == TARS_OK) {
        status = platform_path_kind(out->path, &kind, NULL, err);
    }
    if (status == TARS_OK && kind == PLATFORM_KIND_MISSING) { /* rather than of the key */
        error_set(err, TARS_NOT_FOUND, "there is no audit log");
        error_where(err, "%s", out->path);
        return error_hint(err, "one is made with the first event; name another folder or file, or "
                               "a store with --home");
    }
    return status == TARS_OK ? find_key(home, values->key, out, err) : status;
}

static tars_status parse_expectation(const char *text, audit_verify_options *out, tars_error *err) {
    const char *colon = text ? strchr(text, ':') : NULL;
    if (!text) {
        return TARS_OK;
    }
    audit_cursor cursor = {.at = text, .end = text + strlen(text)};
    out->expected_sequence = audit_take_number(&cursor);
    audit_take(&cursor, ":");
    audit_take_hex(&cursor, out->expected_hash, sizeof out->expected_hash);
    if (!colon || cursor.is_wrong || cursor.at != cursor.end || out->expected_sequence == 0) {
        error_set(err, TARS_USAGE, "--expect \"%.100s\" names no record", text);
        return error_hint(err, "write SEQUENCE:HASH with 64 digits, as 'tars audit verify' prints");
    }
    return TARS_OK;
}

/* ---- verify ------------------------------------------------------------------------------ */

static void print_verdict_json(output *out, const audit_place *place, const audit_verdict *v) {
    json_writer json;
    char hash[SHA256_HEX_BYTES];
    sha256_hex(v->last_hash, hash);
    output_json(out, &json);
    json_begin_object(&json);
    json_member_bool(&json, "valid", v->is_valid);
    json_member_uint(&json, "records", v->records);
    json_key(&json, "first_bad");
    if (v->is_valid) {
        json_null(&json);
    } else {
        json_uint(&json, v->bad_sequence);
        json_member_string(&json, "reason", v->reason);
        json_member_string(&json, "file", v->bad_file);
        json_member_uint(&json, "line", v->bad_line);
        json_member_uint(&json, "offset", v->bad_offset);
    }
    json_member_uint(&json, "first", v->first);
    json_member_uint(&json, "last", v->last);
    json_member_string(&json, "last_hash", hash);
    json_member_uint(&json, "checkpoints", v->checkpoints);
    json_member_uint(&json, "signed_to", v->signed_to);
    json_member_uint(&json, "unproven_bytes", v->n_unsigned_bytes);
    json_member_string(&json, "key_id", place->key_id);
    json_member_string(&json, "path", place->path);
    json_end_object(&json);
    output_text(out, "\n");
}

static void print_verdict(cli *c, const audit_place *place, const audit_verdict *v) {
    char hash[SHA256_HEX_BYTES];
    sha256_hex(v->last_hash, hash);
    if (!v->is_valid) {
        output_format(&c->out, "not valid: record %llu (%s, line %llu, byte %llu): %s\n",
                      (unsigned long long)v->bad_sequence, v->bad_file,
                      (unsigned long long)v->bad_line, (unsigned long long)v->bad_offset,
                      v->reason);
        return;
    }
    output_format(&c->out,
                  "valid: %llu records, %llu to %llu, with %llu checkpoints, signed by key %s up "
                  "to record %llu\n",
                  (unsigned long long)v->records, (unsigned long long)v->first,
                  (unsigned long long)v->last, (unsigned long long)v->checkpoints, place->key_id,
                  (unsigned long long)v->signed_to);
    output_format(&c->out, "%llu:%s\n", (unsigned long long)v->last, hash);
    report_note(c, "keep the last line in another place: --expect finds a log that was put back "
                   "to an older one");
    if (v->n_unsigned_bytes > 0) {
        report_note(c,
                    "%llu bytes behind the end are not acknowledged: a writer is at work, or "
                    "was ended",
                    (unsigned long long)v->n_unsigned_bytes);
    }
}

static tars_status run_verify(cli *c, const verb_call *call, tars_error *err) {
    const audit_values *values = call->values;
    audit_place place;
    audit_verdict verdict;
    audit_verify_options options = {.path = place.path, .public_key = place.public_key};
    tars_status status = parse_expectation(values->expect, &options, err);
    if (status == TARS_OK) {
        status = find_place(c, call, &place, err);
    }
    if (status == TARS_OK) {
        status = audit_verify(&options, &verdict, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    if (c->globals.json) {
        print_verdict_json(&c->out, &place, &verdict);
    } else {
        print_verdict(c, &place, &verdict);
    }
    c->exit_status = verdict.is_valid ? 0 : tars_status_exit(TARS_MISMATCH);
    return TARS_OK;
}

/* ---- show -------------------------------------------------------------------------------- */

enum { SHOW_ARENA_BYTES = 4 << 20 };

typedef struct show_walk {
    cli *cli;
    const audit_values *values;
    audit_severity severity;
    uint64_t found, skipped; /* that fit; those of them that are not shown */
    bool prints;
    void *memory; /* SHOW_ARENA_BYTES */
    uint64_t shown, unreadable;
} show_walk;

static bool is_of_kind(const option_list *kinds, const audit_scan *scan) {
    for (size_t i = 0; i < kinds->count; i++) {
        size_t length = strlen(kinds->items[i]);
        if (length <= scan->kind_length && memcmp(kinds->items[i], scan->kind, length) == 0 &&
            (length == scan->kind_length || scan->kind[length] == '.')) {
            return true;
        }
    }
    return kinds->count == 0;
}

/* Times have one form, so their texts are in order as they are. */
static int compare_time(const audit_scan *scan, const char *time) {
    size_t length = strlen(time);
    size_t n = length < scan->time_length ? length : scan->time_length;
    int order = memcmp(scan->time, time, n);
    return order != 0 ? order : scan->time_length < length ? -1 : 0;
}

static bool is_severe(const show_walk *walk, const audit_scan *scan) {
    static const char between[] = "\",\"severity\":\"";
    const char *word = scan->kind + scan->kind_length + sizeof between - 1;
    audit_severity found = AUDIT_INFO;
    return walk->severity == AUDIT_INFO ||
           (audit_severity_find(word, (size_t)(strchr(word, '"') - word), &found) &&
            found >= walk->severity);
}

static bool is_wanted(const show_walk *walk, const audit_scan *scan) {
    const audit_values *values = walk->values;
    return is_of_kind(&values->kinds, scan) &&
           (!values->since || compare_time(scan, values->since) >= 0) &&
           (!values->until || compare_time(scan, values->until) < 0) && is_severe(walk, scan);
}

static void print_value(output *out, const json_value *value) {
    if (value->type == JSON_STRING) {
        output_format(out, " %s=\"%s\"", value->key, value->string);
    } else if (value->is_integer) {
        output_format(out, " %s=%lld", value->key, (long long)value->integer);
    } else if (value->type == JSON_NUMBER) { /* beyond int64: counts are never negative */
        output_format(out, " %s=%llu", value->key, (unsigned long long)value->number);
    }
}

/* 7  2025-01-31T12:00:00.123Z  warning  security.syscall  blocked  ./program  runtime="native" … */
static void print_record(output *out, const json_value *record) {
    static const char *const plain[] = {"profile", "runtime", "tenant", "trace_id", "span_id"};
    output_format(out, "%llu  %s  %-8s  %s  %s  %s",
                  (unsigned long long)json_integer_or(json_member(record, "sequence"), 0),
                  json_string_or(json_member(record, "time"), ""),
                  json_string_or(json_member(record, "severity"), ""),
                  json_string_or(json_member(record, "kind"), ""),
                  json_string_or(json_member(record, "action"), ""),
                  json_string_or(json_member(record, "subject"), ""));
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        const json_value *value = json_member(record, plain[i]);
        if (value) {
            print_value(out, value);
        }
    }
    const json_value *attributes = json_member(record, "attributes");
    for (const json_value *v = attributes ? attributes->first : NULL; v; v = v->next) {
        print_value(out, v);
    }
    output_text(out, "\n");
}

static bool show_record(void *user, const char *line, size_t length, const audit_scan *scan) {
    show_walk *walk = user;
    arena memory;
    json_value *record = NULL;
    if (!is_wanted(walk, scan) || platform_interrupted() > 0) {
        return platform_interrupted() == 0;
    }
    walk->found++;
    if (!walk->prints || walk->found <= walk->skipped) {
        return true;
    }
    output *out = &walk->cli->out;
    arena_init(&memory, walk->memory, SHOW_ARENA_BYTES);
    if (json_parse(line, length, NULL, &memory, &record, NULL) != TARS_OK) {
        walk->unreadable++; /* whoever wrote it has no key */
    } else if (walk->cli->globals.json) {
        output_text(out, walk->shown++ > 0 ? ",\n" : "\n");
        output_foreign(out, line, length);
    } else {
        walk->shown++;
        print_record(out, record);
    }
    return true;
}

static void end_show(cli *c, const audit_verdict *v, const show_walk *walk) {
    if (c->globals.json) {
        output_text(&c->out, walk->shown > 0 ? "\n]}\n" : "]}\n");
    }
    if (!v->is_valid) {
        report_note(c, "the log is not valid from record %llu on, which is not shown: %s",
                    (unsigned long long)v->bad_sequence, v->reason);
    }
    if (walk->unreadable > 0) {
        report_note(c, "%llu records are no JSON and are not shown",
                    (unsigned long long)walk->unreadable);
    }
    c->exit_status = v->is_valid ? 0 : tars_status_exit(TARS_MISMATCH);
}

/* Proven first, read then: what is shown comes before the first bad record. */
static tars_status run_show(cli *c, const verb_call *call, tars_error *err) {
    const audit_values *values = call->values;
    audit_place place;
    audit_verdict verdict;
    show_walk walk = {.cli = c, .values = values, .memory = malloc(SHOW_ARENA_BYTES)};
    audit_verify_options options = {
        .path = place.path, .public_key = place.public_key, .visit = show_record, .user = &walk};
    if (!walk.memory) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory to show the audit log");
    }
    if (values->severity) {
        (void)audit_severity_find(values->severity, strlen(values->severity), &walk.severity);
    }
    tars_status status = find_place(c, call, &place, err);
    if (status == TARS_OK) {
        status = audit_verify(&options, &verdict, err);
    }
    if (status == TARS_OK) {
        uint64_t last = values->last.given ? values->last.value : walk.found;
        walk.skipped = walk.found > last ? walk.found - last : 0;
        walk.found = 0;
        walk.prints = true;
        if (c->globals.json) {
            output_format(&c->out, "{\"valid\":%s,\"records\":[",
                          verdict.is_valid ? "true" : "false");
        }
        status = audit_verify(&options, &verdict, err);
        end_show(c, &verdict, &walk);
    }
    free(walk.memory);
    return status;
}

/* ---- the verb ---------------------------------------------------------------------------- */

typedef struct audit_action {
    const char *name;
    bool shows;
    tars_status (*run)(cli *c, const verb_call *call, tars_error *err);
} audit_action;

static const audit_action actions[] = {{"verify", false, run_verify}, {"show", true, run_show}};
static const char *const action_names[] = {"verify", "show", NULL};

static tars_status check_options(const audit_action *action, const audit_values *values,
                                 tars_error *err) {
    bool of_show = values->kinds.count > 0 || values->severity || values->since || values->until ||
                   values->last.given;
    if (of_show && !action->shows) {
        return error_set(err, TARS_USAGE,
                         "--kind, --severity, --since, --until and --last are options of audit "
                         "show");
    }
    if (values->expect && action->shows) {
        return error_set(err, TARS_USAGE, "--expect is an option of audit verify");
    }
    const char *const times[] = {values->since, values->until};
    for (size_t i = 0; i < 2; i++) {
        if (times[i] && (strlen(times[i]) < 4 || strspn(times[i], "0123456789") != 4 ||
                         strspn(times[i], "0123456789-T:.Z") != strlen(times[i]))) {
            error_set(err, TARS_USAGE, "\"%.60s\" is no time", times[i]);
            return error_hint(err, "write it in UTC, as far as you mean it: 2025-01-31T12:00:00Z");
        }
    }
    return TARS_OK;
}

static tars_status run_audit(cli *c, const verb_call *call, tars_error *err) {
    nearest_search search;
    nearest_init(&search, call->arguments[0]);
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        nearest_offer(&search, actions[i].name);
        if (strcmp(actions[i].name, call->arguments[0]) == 0) {
            tars_status status = check_options(&actions[i], call->values, err);
            return status == TARS_OK ? actions[i].run(c, call, err) : status;
        }
    }
    error_set(err, TARS_USAGE, "audit has no action \"%.80s\": expected verify or show",
              call->arguments[0]);
    if (nearest_result(&search)) {
        error_hint(err, "did you mean \"%s\"?", nearest_result(&search));
    }
    return TARS_USAGE;
}

const verb verb_audit = {
    .name = "audit",
    .group = "Checks",
    .summary = "prove and show the audit log",
    .description =
        "The audit log records every violation and denial, every use of the signing key, every "
        "import and removal, and every change of the configuration. verify recomputes the chain "
        "of all records, checks the signatures of the checkpoints and of the head, and names the "
        "first record that was changed, removed, inserted or moved: exit status 1 then. show "
        "proves the log in the same way and prints the records before the first bad one. Both "
        "only read. PATH is a log's folder, or one of its files, which is proven by itself.",
    .arguments = {{.name = "ACTION",
                   .kind = ARGUMENT_CHOICE,
                   .choices = action_names,
                   .help = "verify or show"},
                  {.name = "PATH",
                   .kind = ARGUMENT_FILE,
                   .optional = true,
                   .help = "a folder or file of a log; else the store's"}},
    .uses = {{&audit_set, 0}},
    .examples = {{"tars audit verify", "is it as it was written?"},
                 {"tars audit verify --expect 1234:$HASH", "and does it still hold that record?"},
                 {"tars audit show --kind security --last 20", "what was refused lately?"},
                 {"tars audit show --json --since 2025-01-31", "records as JSON"}},
    .values_bytes = sizeof(audit_values),
    .run = run_audit,
};
