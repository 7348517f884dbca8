#include "cli/wasm_settings.h"

#include "cli/configuration.h"

#define ROOT "deployment.wasm."
enum { PAGE_BYTES = 65536 };

typedef struct feature_row {
    const char *path;
    unsigned proposal;
} feature_row;

static const feature_row features[] = {
    {ROOT "features.simd", PROPOSAL_SIMD},
    {ROOT "features.bulk_memory", PROPOSAL_BULK_MEMORY},
    {ROOT "features.multi_value", PROPOSAL_MULTI_VALUE},
    {ROOT "features.tail_call", PROPOSAL_TAIL_CALL},
};

static tars_status check_there(const config *values, tars_error *err) {
    static const char enabled[] = ROOT "enabled";
    static const char threads[] = ROOT "features.threads";
    if (!config_bool_or(values, enabled, true)) {
        error_set(err, TARS_UNAVAILABLE, "runtime wasm is unavailable: by configuration");
        configuration_where(values, enabled, err);
        return error_hint(err, "set %s to true, or use another runtime", enabled);
    }
    if (config_bool_or(values, threads, false)) {
        error_set(err, TARS_UNAVAILABLE,
                  "threads and shared memory of WebAssembly are unavailable in this version");
        configuration_where(values, threads, err);
        return error_hint(err, "set %s to false", threads);
    }
    return TARS_OK;
}

/* Pages and bytes say the same twice: the smaller of the two holds. */
static uint64_t memory_bytes(const config *values) {
    int64_t memory = config_int_or(values, ROOT "limits.memory", 0);
    int64_t pages = config_int_or(values, ROOT "limits.max_memory_pages", 0) * PAGE_BYTES;
    return (uint64_t)(pages < memory ? pages : memory);
}

static wasi_call_set refused_calls(const config *values) {
    static const char path[] = ROOT "wasi.allowed_calls";
    wasi_call_set allowed = 0;
    if (!config_bool_or(values, ROOT "wasi.enabled", true)) {
        return ~allowed;
    }
    const config_value *list = config_get(values, path);
    for (const config_value *v = list ? list->first : NULL; v; v = v->next) {
        (void)wasi_calls_add(&allowed, v->text); /* unknown ones: the check of the configuration */
    }
    return list && configuration_says(values, path) ? ~allowed : 0;
}

tars_status wasm_settings_get(const config *values, wasm_settings *out, tars_error *err) {
    *out = (wasm_settings){0};
    tars_status status = check_there(values, err);
    if (status != TARS_OK) {
        return status;
    }
    out->limits.memory_bytes = memory_bytes(values);
    out->limits.stack_bytes = (uint64_t)config_int_or(values, ROOT "limits.max_stack", 0);
    out->limits.table_elements =
        (uint32_t)config_int_or(values, ROOT "limits.max_table_elements", 0);
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        if (!config_bool_or(values, features[i].path, true)) {
            out->without_proposals |= features[i].proposal;
        }
    }
    out->wasi_refused = refused_calls(values);
    out->keeps_code = config_bool_or(values, ROOT "cache.enabled", true);
    out->code_folder = config_text_or(values, ROOT "cache.path", NULL);
    return TARS_OK;
}
