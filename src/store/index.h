/* The store's index: one SQLite database (WAL, synchronous FULL) with a row a packed file and a
 * row a name. Ownership: index_open allocates, index_close frees; one thread at a time. Every row
 * is checked when it is read: a digest or a name that is not one is CORRUPT, so that nothing made
 * from it leaves the store's folders. */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include "base/error.h"
#include "store/store.h"

typedef struct store_index store_index;

/* STORE_READ: the file exists; nothing is written, and a read-only file system will do. *out is
 * NULL for an index without tables, as a process leaves that is stopped while it makes one.
 * STORE_WRITE: made and given its tables when it is empty. */
tars_status index_open(const char *path, store_mode mode, store_index **out, tars_error *err);
void index_close(store_index *index);

/* NOT_FOUND when there is no such name. */
tars_status index_get(store_index *index, const char *name, store_entry *out, tars_error *err);
/* Sorted by name; *entries is freed with free(). */
tars_status index_list(store_index *index, store_entry **entries, size_t *count, tars_error *err);
/* Any entry made from that source; *found is false when there is none. */
tars_status index_find_source(store_index *index, const char *source_sha256, store_entry *out,
                              bool *found, tars_error *err);
/* How many names the packed file has; 0 also when it is unknown. */
tars_status index_count_names(store_index *index, const char *packed_sha256, uint64_t *count,
                              tars_error *err);
/* Writes the entry's packed file and its name in one transaction; a name that exists is replaced,
 * and the row of the packed file it had goes when no name uses it. */
tars_status index_put(store_index *index, const store_entry *entry, tars_error *err);
/* Drops the name; *orphan tells whether its packed file has no name left (its row is gone then). */
tars_status index_remove(store_index *index, const char *name, bool *orphan, tars_error *err);
/* Records a packed file's identity after its digest was checked. */
tars_status index_refresh(store_index *index, const store_entry *entry, tars_error *err);
/* Writes a compact copy to `path`, which must not exist or be empty. */
tars_status index_copy(store_index *index, const char *path, tars_error *err);

#endif
