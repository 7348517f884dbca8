#include "cli/configuration.h"

#include "cli/auditing.h"
#include "cli/report.h"
#include "store/files.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define LOGGING "deployment.logging."

struct configuration {
    config *values;
    log_file *log; /* NULL: standard error alone */
    log_level level;
    atomic_bool is_broken; /* that was told */
    auditing audit;
};

tars_status configuration_load(const cli *c, config_diagnostics *problems, config **out,
                               tars_error *err) {
    config_options options = {.folder = c->globals.configuration,
                              .environment = platform_environment_block(),
                              .settings = c->globals.settings.items,
                              .n_settings = c->globals.settings.count};
    return config_load(&options, problems, out, err);
}

static void tell_warnings(const cli *c, const config_diagnostics *problems) {
    char line[1024];
    for (const config_diagnostic *d = problems->first; d; d = d->next) {
        text_buffer text;
        text_init(&text, line, sizeof line);
        diagnostics_line(d, &text);
        report_note(c, "%s", line);
    }
}

static void configuration_free(struct configuration *own) {
    log_file_close(own->log);
    auditing_close(&own->audit);
    config_destroy(own->values);
    free(own);
}

static tars_status open_log(struct configuration *own, tars_error *err) {
    const config *values = own->values;
    const char *path = config_text_or(values, LOGGING "file", "");
    const char *format = config_text_or(values, LOGGING "format", "json");
    own->level = LOG_INFO;
    (void)log_level_find(config_text_or(values, LOGGING "level", "info"), &own->level);
    log_options options = {
        .path = path,
        .as_text = strcmp(format, "text") == 0,
        .level = own->level,
        .rotate_bytes = (uint64_t)config_int_or(values, LOGGING "rotate_mb", 100000000),
        .keep = (uint32_t)config_int_or(values, LOGGING "keep", 7),
    };
    return path[0] != '\0' ? log_file_open(&options, &own->log, err) : TARS_OK;
}

static tars_status read_all(const cli *c, struct configuration *own, tars_error *err) {
    config_diagnostics problems = {0};
    tars_status status = configuration_load(c, &problems, &own->values, err);
    if (status == TARS_OK) {
        tell_warnings(c, &problems);
        status = open_log(own, err);
    }
    if (status == TARS_OK) {
        status = auditing_open(c, own->values, &own->audit, err);
    }
    diagnostics_free(&problems);
    return status;
}

tars_status configuration_get(cli *c, const config **out, tars_error *err) {
    *out = NULL;
    if (!c->configuration) {
        struct configuration *own = calloc(1, sizeof *own);
        if (!own) {
            return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the configuration");
        }
        tars_status status = read_all(c, own, err);
        if (status != TARS_OK) {
            configuration_free(own);
            return status;
        }
        c->configuration = own;
        if (own->level >= LOG_DEBUG && !c->globals.quiet) { /* the default says nothing new */
            c->globals.verbose = true;
        }
    }
    *out = c->configuration->values;
    return TARS_OK;
}

void configuration_end(cli *c) {
    if (c->configuration) {
        auditing_tell_lost(c, &c->configuration->audit);
        configuration_free(c->configuration);
        c->configuration = NULL;
    }
}

audit_log *configuration_audit(const cli *c) {
    return c->configuration ? c->configuration->audit.log : NULL;
}

bool configuration_logs(const cli *c, log_level level) {
    return !c->configuration || level <= c->configuration->level;
}

void configuration_log(const cli *c, log_level level, const char *message, const log_field *fields,
                       size_t n_fields) {
    struct configuration *own = c->configuration;
    tars_error err;
    error_clear(&err);
    if (own && own->log &&
        log_file_write(own->log, level, message, fields, n_fields, &err) != TARS_OK &&
        !atomic_exchange(&own->is_broken, true)) {
        report_note(c, "the log %s is incomplete: %s", err.where, err.message);
    }
}

tars_status configuration_home(const cli *c, char out[PLATFORM_PATH_BYTES], tars_error *err) {
    return c->globals.home ? files_copy_path(out, c->globals.home, err)
                           : platform_data_path(out, PLATFORM_PATH_BYTES, err);
}

bool configuration_says(const config *values, const char *path) {
    const config_value *value = config_get(values, path);
    return value && value->origin.layer > CONFIG_LAYER_PLATFORM;
}

void configuration_where(const config *values, const char *path, tars_error *err) {
    const config_value *value = config_get(values, path);
    char origin[sizeof err->where];
    char said[64];
    text_buffer text;
    text_init(&text, origin, sizeof origin);
    text_buffer scalar;
    text_init(&scalar, said, sizeof said);
    if (value) {
        config_origin_write(&value->origin, &text);
        config_scalar_write(value, &scalar);
        error_where(err, "%s is %s in %s", path, said, origin);
    }
}
