/* The file that a download grows in: PARTIAL/KEY.part beside PARTIAL/KEY.tag, where KEY is made
 * from the URL and the tag is the server's strong entity tag. Locked while it is open. Ownership:
 * part_open allocates, part_close frees. */
#ifndef STORE_PART_H
#define STORE_PART_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PART_TAG_BYTES = 256 };

typedef struct part_file part_file;

/* CONFLICT when another process fetches the same URL. A part without a tag is emptied: nothing
 * says that it can be continued. */
tars_status part_open(const char *folder, const char *url, part_file **out, tars_error *err);
/* Frees it; without `keep` the files go, and so does an empty part. */
void part_close(part_file *part, bool keep);
uint64_t part_length(const part_file *part);
/* The entity tag, or "". */
const char *part_tag(const part_file *part);
/* Empties it and records the tag (NULL or a weak one: none). */
tars_status part_restart(part_file *part, const char *tag, tars_error *err);
/* DISK_FULL when the disk cannot take that many bytes more. */
tars_status part_reserve(part_file *part, uint64_t more_bytes, tars_error *err);
tars_status part_append(part_file *part, const void *bytes, size_t length, tars_error *err);
/* Brings all to the disk and gives the path. */
tars_status part_finish(part_file *part, char *path, size_t path_bytes, tars_error *err);
/* Removes a finished part and its tag. */
void part_discard(const char *path);

#endif
