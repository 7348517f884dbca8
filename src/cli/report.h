/* How an error is told: lines on standard error, or one JSON document on standard output. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "cli/verb.h"

/* "tars: message", then where, cause and hint on lines of their own. */
void report_error(const terminal *messages, const tars_error *err);
/* {"error":{"code","message","hint","where","cause"}} and a newline. */
void report_error_json(output *out, const tars_error *err);
/* "tars: note: …" on standard error, not with --quiet. */
void report_note(const cli *c, const char *format, ...) BASE_PRINTF(2, 3);
/* The same, only with --verbose. */
void report_detail(const cli *c, const char *format, ...) BASE_PRINTF(2, 3);

#endif
