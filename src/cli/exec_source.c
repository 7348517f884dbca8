#include "cli/exec_source.h"

#include "cli/configuration.h"
#include "store/files.h"

#include <string.h>

/* As for models: what has a slash or is a file here is a path. */
static bool is_name(const char *runtime, const char *argument) {
    return strcmp(runtime, "wasm") == 0 && !strchr(argument, '/') && !files_exists(argument);
}

static tars_status begin_module(exec_source *s, const char *name, tars_error *err) {
    module_entry entry;
    tars_status status = modules_locate(s->home, name, &entry, s->path, sizeof s->path, err);
    if (status == TARS_NOT_FOUND) {
        char hint[sizeof err->hint];
        memcpy(hint, err->hint, sizeof hint);
        error_set(err, status, "there is no file %.130s here, and no loaded module of that name",
                  name);
        return error_hint(err, "%s", hint);
    }
    if (status == TARS_OK) {
        status = module_handle_open(s->home, name, &s->module, err);
    }
    if (status == TARS_OK) {
        s->is_module = true;
        status = module_handle_begin(&s->module, err);
    }
    return status;
}

tars_status exec_source_open(const cli *c, const char *runtime, const wasm_settings *settings,
                             const char *argument, exec_source *out, tars_error *err) {
    *out = (exec_source){0};
    tars_status status = configuration_home(c, out->home, err);
    if (status == TARS_OK) {
        status = is_name(runtime, argument) ? begin_module(out, argument, err)
                                            : files_copy_path(out->path, argument, err);
    }
    if (status == TARS_OK) {
        status =
            module_code_artifacts(c, out->home, out->is_module ? out->module.entry.sha256 : NULL,
                                  settings, &out->code, &out->artifacts, err);
    }
    return status;
}

/* A failure that every later run would meet too. */
static bool is_lasting(const tars_error *failure) {
    return failure && (failure->status == TARS_MALFORMED || failure->status == TARS_UNSUPPORTED);
}

void exec_source_close(const cli *c, exec_source *source, const tars_error *failure) {
    tars_error ignored;
    module_code_tell(c, &source->code);
    if (source->is_module) {
        (void)module_handle_end(&source->module, is_lasting(failure) ? failure : NULL, &ignored);
        (void)module_handle_dispose(&source->module, &ignored);
    }
    *source = (exec_source){0};
}
