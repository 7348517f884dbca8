/* Filling error objects. Ownership: the caller owns the tars_error; nothing here allocates. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdarg.h>
#include <tars/error.h>

/* mingw's "printf" is Microsoft's, which knows no %zu; text_format follows the standard. */
#if defined(__MINGW32__) && !defined(__clang__)
#define BASE_PRINTF(format_index, first) __attribute__((format(gnu_printf, format_index, first)))
#elif defined(__GNUC__)
#define BASE_PRINTF(format_index, first) __attribute__((format(printf, format_index, first)))
#else
#define BASE_PRINTF(format_index, first)
#endif

/* Sets status and message, clears the rest, and returns `status` so that a caller can write
 * `return error_set(err, TARS_MALFORMED, "…", …);`. `err` may be NULL. The format language is
 * that of text_format (text.h). */
tars_status error_set(tars_error *err, tars_status status, const char *format, ...)
    BASE_PRINTF(3, 4);
/* Fill one more field of an error that was set; they return err->status (TARS_FAILED if NULL). */
tars_status error_hint(tars_error *err, const char *format, ...) BASE_PRINTF(2, 3);
tars_status error_where(tars_error *err, const char *format, ...) BASE_PRINTF(2, 3);
tars_status error_cause(tars_error *err, const char *format, ...) BASE_PRINTF(2, 3);
/* Resets to TARS_OK and empty texts. */
void error_clear(tars_error *err);

#endif
