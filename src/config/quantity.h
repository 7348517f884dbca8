/* Numbers with a unit: sizes, durations, shares of a CPU; and plain numbers as YAML writes them.
 * Ownership: nothing is kept. All return false, and leave *out alone, for a text of another form
 * or a value that does not fit. */
#ifndef CONFIG_QUANTITY_H
#define CONFIG_QUANTITY_H

#include "base/text.h"

bool quantity_read_int(const char *text, int64_t *out);
bool quantity_read_double(const char *text, double *out);
/* "512MB", "64KiB", "8Gi"; kB, MB, GB are powers of 1000. A plain number counts `unit` bytes; with
 * unit 0 it is refused. */
bool quantity_read_size(const char *text, int64_t unit, int64_t *bytes);
/* "250ms", "30s", "5m", "2h", "30d"; a plain number counts `unit` milliseconds. */
bool quantity_read_duration(const char *text, int64_t unit, int64_t *milliseconds);
/* "500m", "0.5", "4 cores" in thousandths of a core. */
bool quantity_read_cpu(const char *text, int64_t *millicores);

/* The shortest exact text, which reads back to the same value. */
void quantity_write_size(text_buffer *out, int64_t bytes);
void quantity_write_duration(text_buffer *out, int64_t milliseconds);
void quantity_write_cpu(text_buffer *out, int64_t millicores);

#endif
