#include "api/context.h"

#include "base/text.h"
#include "platform/platform.h"

#include <stdlib.h>
#include <string.h>

enum { CONTEXT_LINE_BYTES = 1024 };

/* Options may come from a caller built against an older, smaller struct. */
static tars_context_options read_options(const tars_context_options *options) {
    tars_context_options own = TARS_CONTEXT_OPTIONS_DEFAULTS;
    if (options) {
        size_t size = options->size_bytes < sizeof own ? options->size_bytes : sizeof own;
        memcpy(&own, options, size);
    }
    return own;
}

static bool environment_says(const char *name) {
    const char *value = platform_environment(name);
    return value && strcmp(value, "0") != 0 && strcmp(value, "false") != 0;
}

/* Copies the path without a slash at its end. */
static tars_status set_home(tars_context *context, const char *home, tars_error *err) {
    if (!home) {
        return platform_data_path(context->home, sizeof context->home, err);
    }
    size_t length = strlen(home);
    while (length > 1 && home[length - 1] == '/') {
        length--;
    }
    if (length == 0 || length >= sizeof context->home) {
        error_set(err, TARS_USAGE, "the path of the store is empty or longer than %d bytes",
                  CONTEXT_PATH_BYTES - 1);
        return error_hint(err, "name a folder with TARS_HOME");
    }
    memcpy(context->home, home, length);
    context->home[length] = '\0';
    return TARS_OK;
}

static tars_status set_program(tars_context *context, const char *program, tars_error *err) {
    if (!program) {
        return platform_executable_path(context->program_path, sizeof context->program_path, err);
    }
    size_t length = strlen(program);
    if (length == 0 || length >= sizeof context->program_path) {
        return error_set(err, TARS_USAGE, "the path of the program is empty or too long");
    }
    memcpy(context->program_path, program, length + 1);
    return TARS_OK;
}

static tars_status set_audit(tars_context *context, tars_audit wanted, tars_error *err) {
    audit_options options = {.home = context->home,
                             .sync = AUDIT_SYNC_CHECKPOINT,
                             .refuses = wanted == TARS_AUDIT_REQUIRED};
    if (wanted == TARS_AUDIT_OFF) {
        return TARS_OK;
    }
    context->owns_audit = true;
    return audit_open(&options, &context->audit, err);
}

tars_status tars_context_create(const tars_context_options *options, tars_context **out,
                                tars_error *err) {
    tars_error own_error;
    err = err ? err : &own_error;
    if (!out) {
        return error_set(err, TARS_USAGE, "tars_context_create: out is NULL");
    }
    *out = NULL;
    tars_context_options own = read_options(options);
    tars_context *context = calloc(1, sizeof *context);
    if (!context) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a context");
    }
    context->offline = own.offline || environment_says("TARS_OFFLINE");
    context->log = own.log;
    context->log_user = own.log_user;
    context->no_wasm = own.no_wasm;
    tars_status status = set_home(context, own.home, err);
    if (status == TARS_OK) {
        status = set_program(context, own.program_path, err);
    }
    if (status == TARS_OK) {
        status = set_audit(context, own.audit, err);
    }
    if (status != TARS_OK) {
        free(context);
        return status;
    }
    *out = context;
    return TARS_OK;
}

void tars_context_destroy(tars_context *context) {
    if (context && context->owns_audit) {
        audit_close(context->audit);
    }
    free(context);
}

void context_use_audit(tars_context *context, audit_log *log) {
    if (context->owns_audit) {
        audit_close(context->audit);
    }
    context->audit = log;
    context->owns_audit = false;
}

tars_status context_audit(const tars_context *context, const audit_event *event, tars_error *err) {
    tars_error why;
    uint64_t before = audit_lost(context->audit, NULL);
    tars_status status = audit_write(context->audit, event, err);
    if (context->owns_audit && audit_lost(context->audit, &why) > before) {
        context_log(context, CONTEXT_LOG_WARNING, "the audit log lacks a record: %s", why.message);
    }
    return status;
}

void context_log(const tars_context *context, int level, const char *format, ...) {
    if (!context->log) {
        return;
    }
    char line[CONTEXT_LINE_BYTES];
    text_buffer text;
    text_init(&text, line, sizeof line);
    va_list arguments;
    va_start(arguments, format);
    text_format_list(&text, format, arguments);
    va_end(arguments);
    context->log(context->log_user, level, line);
}

void tars_free(void *memory) {
    free(memory);
}
