/* The canonical form of JSON (RFC 8785): one text for one value, so that a signature over it means
 * the value. Ownership: nothing is kept. */
#ifndef STORE_CANONICAL_H
#define STORE_CANONICAL_H

#include "base/arena.h"
#include "base/json.h"

/* Writes `value` in canonical form: members sorted by the UTF-16 code units of their names, no
 * white space, numbers as ECMAScript writes doubles. The member `omit` of the outermost object is
 * left out (NULL: nothing is). `memory` holds the sorted members while they are written. LIMIT when
 * the value is nested deeper than JSON_WRITER_MAX_DEPTH, UNSUPPORTED for an integer that no double
 * holds. */
tars_status canonical_write(const json_value *value, const char *omit, arena *memory,
                            json_sink sink, void *context, tars_error *err);

#endif
