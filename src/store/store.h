/* The model store: packed files named by their digest, and an index that gives them names.
 *
 *   HOME/models/index.sqlite        names, digests, facts and identity of each packed file
 *   HOME/models/index.backup        the index as it was after the last change, for store_rebuild
 *   HOME/models/blobs/DIGEST.tars   packed files, read-only, never changed once they are there
 *   HOME/models/tmp/                files being written; swept by the next import
 *   HOME/models/partial/            downloads that can be resumed
 *   HOME/models/.lock               held by whoever changes the store
 *
 * A packed file is in place, whole and on the disk before the index names it, so a kill at any
 * moment leaves either the old state or the new one. Ownership: store_open allocates the store,
 * store_close frees it; one store is used by one thread, any number of stores may be open on the
 * same folder. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tars/model.h>

enum {
    STORE_NAME_BYTES = 128, /* with the NUL, as in tars_model_entry */
    STORE_PATH_BYTES = 4096 /* PLATFORM_PATH_BYTES */
};

typedef struct store store;

/* What the index knows about one name. */
typedef struct store_entry {
    tars_model_entry model;
    uint64_t source_bytes;
    uint32_t pack_version;
    uint32_t arithmetic_version;
    /* the packed file when its digest was last checked */
    uint64_t inode;
    int64_t mtime_ns;
    int64_t ctime_ns;
} store_entry;

typedef enum store_mode {
    STORE_READ, /* a store that does not exist yet counts as empty */
    STORE_WRITE /* makes what is missing */
} store_mode;

/* Opens the store below the folder `home`. CORRUPT: the index is damaged; DENIED: no permission;
 * UNSUPPORTED: written by a newer version. */
tars_status store_open(const char *home, store_mode mode, store **out, tars_error *err);
void store_close(store *s);

/* True for 1 … 127 of a-z 0-9 . _ - that begin with a letter or digit: no name leaves the folder.
 */
bool store_name_valid(const char *name);
/* The same as a status: USAGE with what is allowed. */
tars_status store_name_check(const char *name, tars_error *err);
/* A valid name made from a file's or folder's name: lower case, without .gguf, other characters
 * as '-'. */
void store_name_from_path(const char *path, char name[STORE_NAME_BYTES]);

/* All entries sorted by name; *entries is freed with free(). */
tars_status store_list(store *s, store_entry **entries, size_t *count, tars_error *err);
/* The entry of `name` or `name@digits`, where the digits (at least 4) begin the digest of the
 * source or of the packed file. NOT_FOUND suggests the nearest name. Looks at the index only. */
tars_status store_find(store *s, const char *reference, store_entry *out, tars_error *err);
/* As store_find, then checks that the packed file is the one that was imported: size, inode and
 * times as recorded, or else its whole digest (and records the new identity). CORRUPT when it is
 * missing or differs. `path` receives the packed file's path. */
tars_status store_locate(store *s, const char *reference, store_entry *out, char *path,
                         size_t path_bytes, tars_error *err);
/* Recomputes the whole digest of an entry's packed file; CORRUPT when it differs. `progress` may
 * be NULL. */
tars_status store_verify(store *s, const store_entry *entry, tars_progress progress, void *user,
                         tars_error *err);
/* Drops a name, and its packed file when no other name uses it. */
tars_status store_remove(store *s, const char *name, tars_error *err);

typedef struct store_rebuild_report {
    size_t kept;    /* packed files that are whole and have a name again */
    size_t named;   /* of these, how many got a name made from their facts */
    size_t damaged; /* packed files whose digest is wrong; left where they are, not listed */
} store_rebuild_report;

/* Makes the index anew from the packed files, with the names of the damaged index or of its
 * backup as far as they can be read. The damaged index is kept as index.sqlite.damaged. */
tars_status store_rebuild(const char *home, store_rebuild_report *report, tars_error *err);

#endif
