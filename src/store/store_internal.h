/* What the files of the store share among themselves: paths, the lock, putting a packed file into
 * place. Ownership as in store.h. */
#ifndef STORE_STORE_INTERNAL_H
#define STORE_STORE_INTERNAL_H

#include "store/files.h"
#include "store/index.h"
#include "store/store.h"

struct store {
    store_index *index; /* NULL: nothing was ever imported */
    store_mode mode;
    char home[STORE_PATH_BYTES];
    char models[STORE_PATH_BYTES]; /* HOME/models */
};

enum { STORE_LOCK_WAIT_MS = 10 * 60 * 1000 };

/* The store without its index. */
tars_status store_open_folders(const char *home, store_mode mode, store **out, tars_error *err);
/* Writes the copy of the index that store_rebuild reads; its failure does not undo a change. */
void store_save_backup(store *s);
/* Path of a file or folder below HOME/models. */
tars_status store_path(const store *s, const char *relative, char *out, size_t size_bytes,
                       tars_error *err);
/* Path of the packed file with that digest. */
tars_status store_blob_path(const store *s, const char *packed_sha256, char *out, size_t size_bytes,
                            tars_error *err);
/* The lock of whoever changes the store; released with platform_lock_release. */
tars_status store_lock(const store *s, uint32_t wait_ms, tars_progress progress, void *user,
                       platform_lock *out, tars_error *err);
/* Removes what a killed import left: temporary files, and packed files that were renamed into
 * place without ever being named. The lock is held. */
tars_status store_sweep(store *s, tars_error *err);
/* Moves a settled temporary file to its place among the blobs and names it in the index. Fills the
 * entry's identity. The lock is held. */
tars_status store_commit(store *s, const char *temporary, store_entry *entry, tars_error *err);
/* Gives a packed file that is in place one more name. The lock is held. */
tars_status store_add_name(store *s, const store_entry *entry, tars_error *err);
/* Fills an entry with what a packed file says about itself; nothing about names. CORRUPT when it
 * is no packed model. */
tars_status store_describe(const char *path, store_entry *out, tars_error *err);
/* Whether an entry's packed file is the one that was imported (see store_locate). */
tars_status store_check_blob(store *s, store_entry *entry, tars_error *err);

#endif
