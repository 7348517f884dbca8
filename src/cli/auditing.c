#include "cli/auditing.h"

#include "cli/configuration.h"
#include "cli/report.h"
#include "store/files.h"

#include <stdlib.h>
#include <string.h>

#define AUDIT "deployment.audit."

/* ---- the configuration ----------------------------------------------------------------------- */

enum { PATH_BYTES = 512, NAMES_BYTES = 2048 };

/* What somebody said, and did not leave as it is by default. */
typedef struct said_walk {
    sha256_context digest;
    text_buffer path, names;
    uint64_t count;
} said_walk;

static bool feed(void *context, const char *bytes, size_t length) {
    sha256_update(context, bytes, length);
    return true;
}

static void say(said_walk *walk, const config_value *value) {
    json_writer json;
    json_writer_init(&json, feed, &walk->digest);
    sha256_update(&walk->digest, walk->path.data, walk->path.length);
    sha256_update(&walk->digest, "=", 1);
    config_json_write(value, &json);
    sha256_update(&walk->digest, "\n", 1);
    text_append_string(&walk->names, walk->count > 0 ? " " : "");
    text_append(&walk->names, walk->path.data, walk->path.length);
    walk->count++;
}

static void walk_said(said_walk *walk, const config_value *value) {
    if (value->kind != CONFIG_MAP) {
        if (value->origin.layer > CONFIG_LAYER_PLATFORM) {
            say(walk, value);
        }
        return;
    }
    for (const config_value *v = value->first; v; v = v->next) {
        size_t length = walk->path.length;
        text_append_string(&walk->path, length > 0 ? "." : "");
        text_append_string(&walk->path, v->name ? v->name : "");
        walk_said(walk, v);
        walk->path.length = length;
        walk->path.data[length] = '\0';
    }
}

static tars_status note_configuration(const config *values, audit_log *log, tars_error *err) {
    char path[PATH_BYTES];
    char names[NAMES_BYTES];
    char hex[SHA256_HEX_BYTES];
    uint8_t digest[SHA256_DIGEST_BYTES] = {0}; /* all is default */
    said_walk walk = {.count = 0};
    sha256_init(&walk.digest);
    text_init(&walk.path, path, sizeof path);
    text_init(&walk.names, names, sizeof names);
    walk_said(&walk, config_root(values));
    if (walk.count > 0) {
        sha256_final(&walk.digest, digest);
    }
    sha256_hex(digest, hex);
    const log_field fields[] = {{"sha256", hex, 0}, {"count", NULL, walk.count}, {"set", names, 0}};
    audit_event event = {.kind = AUDIT_CONFIGURATION_CHANGED,
                         .subject = config_folder(values),
                         .attributes = fields,
                         .n_attributes = sizeof fields / sizeof fields[0]};
    return audit_write_configuration(log, digest, &event, err);
}

/* ---- opening --------------------------------------------------------------------------------- */

static tars_status take_words(const config *values, auditing *out, tars_error *err) {
    const config_value *list = config_get(values, "deployment.tracing.redact");
    size_t n = 0;
    out->words = calloc((list ? list->count : 0) + 1, sizeof *out->words);
    if (!out->words) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the audit log");
    }
    for (const config_value *v = list ? list->first : NULL; v; v = v->next) {
        out->words[n++] = v->text;
    }
    return TARS_OK;
}

static audit_sync sync_of(const config *values) {
    static const struct {
        const char *word;
        audit_sync sync;
    } rows[] = {{"always", AUDIT_SYNC_ALWAYS}, {"never", AUDIT_SYNC_NEVER}};
    const char *word = config_text_or(values, AUDIT "fsync", "checkpoint");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].word, word) == 0) {
            return rows[i].sync;
        }
    }
    return AUDIT_SYNC_CHECKPOINT;
}

static bool has_log(const char *home, const char *folder) {
    char path[PLATFORM_PATH_BYTES];
    char head[PLATFORM_PATH_BYTES];
    return audit_folder_path(home, folder, path, sizeof path, NULL) == TARS_OK &&
           files_join(head, sizeof head, path, "head", NULL) == TARS_OK && files_exists(head);
}

tars_status auditing_open(const cli *c, const config *values, auditing *out, tars_error *err) {
    char home[PLATFORM_PATH_BYTES];
    bool is_on = config_bool_or(values, AUDIT "enabled", true);
    *out = (auditing){.log = NULL};
    audit_options options = {
        .home = home,
        .folder = config_text_or(values, AUDIT "folder", NULL),
        .sync = sync_of(values),
        .refuses = strcmp(config_text_or(values, AUDIT "on_failure", ""), "refuse") == 0,
        .rotate_bytes = (uint64_t)config_int_or(values, AUDIT "rotate_mb", 0),
        .keep = (uint32_t)config_int_or(values, AUDIT "keep", 0),
        .checkpoint_records = (uint32_t)config_int_or(values, AUDIT "checkpoint_records", 0),
    };
    tars_status status = configuration_home(c, home, err);
    if (!is_on && (status != TARS_OK || !has_log(home, options.folder))) {
        return TARS_OK;
    }
    if (status != TARS_OK && !options.refuses) {
        error_set(&out->no_place, status, "%s", err->message);
        return TARS_OK;
    }
    if (status == TARS_OK) {
        status = take_words(values, out, err);
    }
    options.redact.words = out->words;
    if (status == TARS_OK) {
        status = audit_open(&options, &out->log, err);
    }
    if (status == TARS_OK) {
        status = note_configuration(values, out->log, err);
    }
    if (!is_on) { /* that it is switched off is the last that is recorded */
        auditing_close(out);
    }
    return status;
}

void auditing_close(auditing *own) {
    audit_close(own->log);
    free(own->words);
    *own = (auditing){.log = NULL};
}

void auditing_tell_lost(const cli *c, auditing *own) {
    tars_error why;
    uint64_t n_lost = audit_lost(own->log, &why);
    if (n_lost > 0) {
        report_note(c, "the audit log lacks %llu record%s: %s (%s)", (unsigned long long)n_lost,
                    n_lost == 1 ? "" : "s", why.message, why.where);
    }
    if (own->no_place.status != TARS_OK) {
        report_note(c, "there is no audit log: %s", own->no_place.message);
    }
}

tars_status auditing_work(audit_log *log, const char *work, const char *subject, tars_error *err) {
    const log_field fields[] = {{"work", work, 0}};
    return audit_refuses(log) ? auditing_event(log, AUDIT_RUN_STARTED, subject, fields, 1, err)
                              : TARS_OK;
}

tars_status auditing_event(audit_log *log, audit_kind kind, const char *subject,
                           const log_field *more, size_t n_more, tars_error *err) {
    audit_event event = {
        .kind = kind, .subject = subject, .attributes = more, .n_attributes = n_more};
    return audit_write(log, &event, err);
}
