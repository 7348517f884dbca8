#include "trace/audit_kind.h"

#include <string.h>

const audit_kind_row audit_kind_rows[AUDIT_KINDS] = {
    [AUDIT_LOG_STARTED] = {"log.started", AUDIT_INFO, "the log begins"},
    [AUDIT_LOG_CHECKPOINT] = {"log.checkpoint", AUDIT_INFO, "all records before are signed"},
    [AUDIT_LOG_RECOVERED] = {"log.recovered", AUDIT_WARNING,
                             "records before were written, but not acknowledged"},
    [AUDIT_LOG_TAMPERED] = {"log.tampered", AUDIT_CRITICAL,
                            "the log was not as it had been written"},
    [AUDIT_LOG_LOST] = {"log.lost", AUDIT_ERROR, "records could not be written"},
    [AUDIT_LOG_REMOVED] = {"log.removed", AUDIT_INFO, "old files were removed, as configured"},
    [AUDIT_DENIED] = {"security.denied", AUDIT_WARNING, "something was refused by policy"},
    [AUDIT_SYSCALL] = {"security.syscall", AUDIT_WARNING, "a guest's call was refused"},
    [AUDIT_PATH_ESCAPE] = {"security.path_escape", AUDIT_ERROR,
                           "a guest's path leads out of its folders"},
    [AUDIT_LIMIT] = {"security.limit", AUDIT_WARNING, "a guest met a limit"},
    [AUDIT_SIGNATURE] = {"security.signature", AUDIT_ERROR, "a signature does not fit"},
    [AUDIT_TAMPER] = {"security.tamper", AUDIT_CRITICAL, "a file is not as it was written"},
    [AUDIT_RUN_STARTED] = {"run.started", AUDIT_INFO, "work begins"},
    [AUDIT_KEY_CREATED] = {"key.created", AUDIT_WARNING, "a signing key was made"},
    [AUDIT_KEY_USED] = {"key.used", AUDIT_INFO, "the signing key signs or verifies"},
    [AUDIT_MODEL_IMPORTED] = {"model.imported", AUDIT_INFO, "a model is in the store"},
    [AUDIT_MODEL_REMOVED] = {"model.removed", AUDIT_INFO, "a model's name was removed"},
    [AUDIT_MODULE_LOADED] = {"module.loaded", AUDIT_INFO, "a module is in the store"},
    [AUDIT_MODULE_UNLOADED] = {"module.unloaded", AUDIT_INFO, "a module's name was removed"},
    [AUDIT_CONFIGURATION_CHANGED] = {"configuration.changed", AUDIT_WARNING,
                                     "what files, variables and options say is not what it was"},
};

static const char *const severities[AUDIT_SEVERITIES] = {"info", "warning", "error", "critical"};

const char *audit_severity_name(audit_severity severity) {
    return severities[severity];
}

bool audit_severity_find(const char *word, size_t length, audit_severity *out) {
    for (audit_severity i = 0; i < AUDIT_SEVERITIES; i++) {
        if (strlen(severities[i]) == length && memcmp(severities[i], word, length) == 0) {
            *out = i;
            return true;
        }
    }
    return false;
}
