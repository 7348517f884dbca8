/* The configuration that governs this call: the folder of --config, variables and --set, read once
 * when a verb first needs it. Ownership: configuration_get keeps what it read in the cli, and
 * configuration_end gives it back; values live until then. */
#ifndef CLI_CONFIGURATION_H
#define CLI_CONFIGURATION_H

#include "cli/verb.h"
#include "config/config.h"
#include "store/log_file.h"
#include "trace/audit.h"

/* A broken configuration is MALFORMED with its first mistake; warnings are told as notes. From the
 * first call on, the log of deployment.logging is open and its level is in force; a log that cannot
 * be written is the failure that log_file_open tells. What the configuration says is recorded in
 * the audit log when it is not what it was. */
tars_status configuration_get(cli *c, const config **out, tars_error *err);
void configuration_end(cli *c);

/* The store's folder of this call: --home, or the platform's. */
tars_status configuration_home(const cli *c, char out[PLATFORM_PATH_BYTES], tars_error *err);

/* Whether what has this level is said; on standard error, --quiet and --verbose say more. */
bool configuration_logs(const cli *c, log_level level);
/* Sends a record to the log's file, if there is one. That it cannot be written is told once. */
void configuration_log(const cli *c, log_level level, const char *message, const log_field *fields,
                       size_t n_fields);

/* The audit log, or NULL when there is none. Records that it lost are told at the end. */
audit_log *configuration_audit(const cli *c);

/* Reads it for a verb that wants to tell every problem: config_load with this call's options. */
tars_status configuration_load(const cli *c, config_diagnostics *problems, config **out,
                               tars_error *err);
/* Whether a file, a variable or an option says something about the key; else it has its default. */
bool configuration_says(const config *values, const char *path);
/* "deployment.wasm.enabled is false in /etc/tars/deployment.config.yaml:3:5" as the error's
 * `where`. */
void configuration_where(const config *values, const char *path, tars_error *err);

#endif
