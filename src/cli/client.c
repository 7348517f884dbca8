#include "cli/client.h"

#include "api/context.h"
#include "cli/configuration.h"
#include "cli/report.h"

/* Inside a signal handler. */
static void cancel_running(void *user) {
    client *self = user;
    tars_job *job = atomic_load(&self->running);
    if (job) {
        tars_job_cancel(job);
    }
}

static void log_line(void *user, int level, const char *line) {
    const cli *c = user;
    static const log_level levels[] = {[CONTEXT_LOG_ERROR] = LOG_ERROR,
                                       [CONTEXT_LOG_WARNING] = LOG_WARN,
                                       [CONTEXT_LOG_INFO] = LOG_INFO,
                                       [CONTEXT_LOG_DEBUG] = LOG_DEBUG};
    log_level said =
        level >= CONTEXT_LOG_ERROR && level <= CONTEXT_LOG_DEBUG ? levels[level] : LOG_TRACE;
    configuration_log(c, said, line, NULL, 0);
    if (!configuration_logs(c, said)) {
        return;
    }
    if (said <= LOG_WARN) {
        report_note(c, "%s", line);
    } else {
        report_detail(c, "%s", line);
    }
}

tars_status client_open(client *self, cli *c, tars_error *err) {
    self->cli = c;
    self->context = NULL;
    atomic_store(&self->running, NULL);
    const config *values;
    tars_status status = configuration_get(c, &values, err);
    if (status != TARS_OK) {
        return status;
    }
    tars_context_options options = TARS_CONTEXT_OPTIONS_DEFAULTS;
    options.home = c->globals.home;
    options.offline = c->globals.offline;
    options.log = log_line;
    options.log_user = c;
    options.no_wasm = !config_bool_or(values, "deployment.wasm.enabled", true);
    options.audit = TARS_AUDIT_OFF;
    status = tars_context_create(&options, &self->context, err);
    if (status == TARS_OK) {
        context_use_audit(self->context, configuration_audit(c));
    }
    if (status == TARS_OK) {
        status = platform_guard_install(err);
    }
    if (status == TARS_OK) {
        status = platform_interrupt_install(cancel_running, self, err);
    }
    if (status != TARS_OK) {
        client_close(self);
    }
    return status;
}

void client_close(client *self) {
    platform_interrupt_remove();
    tars_context_destroy(self->context);
    self->context = NULL;
}

tars_status client_open_model(client *self, const char *name, tars_model **out,
                              tars_model_info *info, tars_error *err) {
    *out = NULL;
    tars_status status = tars_model_open(self->context, name, out, err);
    if (status != TARS_OK) {
        return status;
    }
    *info = (tars_model_info){.size_bytes = sizeof *info};
    status = tars_model_get_info(*out, info, err);
    if (status != TARS_OK) {
        tars_model_close(*out);
        *out = NULL;
    }
    return status;
}

tars_status client_check_interrupt(tars_error *err) {
    if (platform_interrupted() == 0) {
        return TARS_OK;
    }
    return error_set(err, TARS_CANCELLED, "interrupted");
}

tars_status client_run(client *self, const tars_request *request, const tars_sink *sink,
                       tars_job **job, tars_result *result, tars_error *err) {
    *job = NULL;
    tars_status status = client_check_interrupt(err);
    if (status != TARS_OK) {
        return status;
    }
    status = tars_submit(self->context, request, sink, job, err);
    if (status != TARS_OK) {
        return status;
    }
    atomic_store(&self->running, *job);
    if (platform_interrupted() > 0) { /* it came before the handler knew of the job */
        tars_job_cancel(*job);
    }
    *result = (tars_result){.size_bytes = sizeof *result};
    status = tars_job_wait(*job, result, err);
    atomic_store(&self->running, NULL);
    if (status != TARS_OK && status != TARS_CANCELLED) {
        tars_job_destroy(*job);
        *job = NULL;
    }
    return status;
}
