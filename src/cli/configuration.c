#include "cli/configuration.h"

#include "cli/report.h"

#include <stdlib.h>
#include <string.h>

struct configuration {
    config *values;
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

tars_status configuration_get(cli *c, const config **out, tars_error *err) {
    config_diagnostics problems = {0};
    tars_status status = TARS_OK;
    if (!c->configuration) {
        struct configuration *own = calloc(1, sizeof *own);
        if (!own) {
            return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the configuration");
        }
        status = configuration_load(c, &problems, &own->values, err);
        if (status == TARS_OK) {
            tell_warnings(c, &problems);
            c->configuration = own;
        } else {
            free(own);
        }
        diagnostics_free(&problems);
    }
    *out = status == TARS_OK ? c->configuration->values : NULL;
    return status;
}

void configuration_end(cli *c) {
    if (c->configuration) {
        config_destroy(c->configuration->values);
        free(c->configuration);
        c->configuration = NULL;
    }
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
