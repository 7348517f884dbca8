/* What the files of the module store share: paths, records, locks. Ownership: as in modules.h;
 * everything here is called with the store's lock held unless it says otherwise. */
#ifndef STORE_MODULES_INTERNAL_H
#define STORE_MODULES_INTERNAL_H

#include "store/files.h"
#include "store/modules.h"

/* A path below HOME/modules. */
tars_status modules_path(const char *home, const char *relative, char *out, tars_error *err);
/* The path of a module's file with that ending: "wasm", "keys", "runs". */
tars_status modules_digest_path(const char *home, const char *sha256, const char *ending, char *out,
                                tars_error *err);
tars_status modules_make_folders(const char *home, tars_error *err);
/* Without HOME/modules *out holds nothing, and the call is fine. */
tars_status modules_lock(const char *home, platform_lock *out, tars_error *err);

/* A record becomes an entry of the state loaded, or error with its reason; the module's file is
 * not looked at. */
tars_status modules_record_write(const char *home, const module_entry *entry, tars_error *err);
tars_status modules_record_remove(const char *home, const char *name, tars_error *err);
/* Of a name; *found false: it has none. */
tars_status modules_record_find(const char *home, const char *name, module_entry *out, bool *found,
                                tars_error *err);
/* All records, sorted by name, with room for `spare` more; freed with free(). */
tars_status modules_records(const char *home, size_t spare, module_entry **entries, size_t *count,
                            tars_error *err);

/* A load or run that goes on in some process. */
typedef struct modules_busy {
    char sha256[SHA256_HEX_BYTES];
    char name[STORE_NAME_BYTES]; /* of a load; "" for a run */
    char holder[64];             /* "locked by somebody else: process 12" */
} modules_busy;
/* All of them, freed with free(); what dead processes left is removed. */
tars_status modules_busy_list(const char *home, modules_busy **out, size_t *count, tars_error *err);
/* Takes the lock of a load or run. Without the store's lock for a load. */
tars_status modules_busy_take(const char *home, const char *file_name, uint32_t wait_ms, char *path,
                              platform_lock *out, tars_error *err);
void modules_busy_release(const char *path, platform_lock *lock);

/* Reads a module's file and compares its digest; *bytes is freed with free(). CORRUPT, DENIED. */
tars_status modules_read(const char *home, const char *sha256, uint8_t **bytes, size_t *length,
                         tars_error *err);
uint64_t modules_runs(const char *home, const char *sha256);
void modules_count_run(const char *home, const char *sha256);
/* Removes a module's file, its compiled code and what is counted about it. */
tars_status modules_remove_files(const char *home, const char *sha256, tars_error *err);
/* Removes what has no name. */
tars_status modules_sweep(const char *home, tars_error *err);
/* What list and find tell about a record, given who is busy. */
void modules_settle(const char *home, module_entry *entry, const modules_busy *busy, size_t n_busy);
/* The entry that a reference means, from all entries. */
tars_status modules_choose(const module_entry *entries, size_t count, const char *reference,
                           const module_entry **out, bool *by_digest, tars_error *err);

#endif
