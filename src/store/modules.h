/* Loaded WebAssembly modules: files named by their digest, and records that give them names.
 *
 *   HOME/modules/names/NAME.json   the digest, size and time of a name, or why it is of no use
 *   HOME/modules/DIGEST.wasm       modules, for their owner alone; read only with their digest
 *   HOME/modules/DIGEST.keys       keys of their compiled code in HOME/cache (artifacts.h)
 *   HOME/modules/DIGEST.runs       one byte a run
 *   HOME/modules/busy/             a locked file for each load and run that goes on
 *   HOME/modules/.lock             held by whoever changes or lists them
 *
 * Each file appears whole or not at all, a module before its name, and the locks fall with their
 * process: a kill at any moment leaves the module loaded or not, and what has no name is removed by
 * the next load. Ownership: handles and loads are the caller's memory and do not move while they
 * are open. Different threads may work at once, each call opens what it needs. */
#ifndef STORE_MODULES_H
#define STORE_MODULES_H

#include "base/sha256.h"
#include "platform/platform.h"
#include "store/module_state.h"
#include "store/store.h"

enum { MODULES_MAX_BYTES = 64 << 20, MODULES_MAX_NAMES = 10000, MODULES_REASON_BYTES = 256 };

typedef struct module_entry {
    char name[STORE_NAME_BYTES];
    char sha256[SHA256_HEX_BYTES]; /* "" when its record is damaged */
    uint64_t bytes, runs;
    int64_t loaded_unix_s;
    module_state state;
    char reason[MODULES_REASON_BYTES]; /* of the state error */
} module_entry;

/* All names and loads that go on, sorted by name; *entries is freed with free(). Reads every module
 * and compares its digest. */
tars_status modules_list(const char *home, module_entry **entries, size_t *count, tars_error *err);
/* The entry of a name, of NAME@digits, or of the beginning of a digest (at least 4 digits); a name
 * wins. NOT_FOUND suggests the nearest name; USAGE when digits fit several modules. */
tars_status modules_find(const char *home, const char *reference, module_entry *out,
                         tars_error *err);
/* As modules_find, with the path of the module's file. CORRUPT when it is damaged, CONFLICT when
 * the module is not in a state to be run. Who runs it opens a handle instead. */
tars_status modules_locate(const char *home, const char *reference, module_entry *out, char *path,
                           size_t path_bytes, tars_error *err);

/* ---- loading --------------------------------------------------------------------------- */

typedef struct modules_load {
    char home[STORE_PATH_BYTES];
    char name[STORE_NAME_BYTES];
    char sha256[SHA256_HEX_BYTES];
    platform_lock lock;
    char lock_path[STORE_PATH_BYTES];
    bool was_there; /* loaded already under this name: nothing is to be done */
} modules_load;

/* The name is loading from here on. Waits while another process loads the same file under it.
 * CONFLICT when it is the name of another module that is being run. */
tars_status modules_load_begin(const char *home, const char *name,
                               const uint8_t sha256[SHA256_DIGEST_BYTES], modules_load *out,
                               tars_error *err);
/* Notes the key of compiled code, which goes when the module does. */
tars_status modules_note_key(const char *home, const char *sha256,
                             const uint8_t key[SHA256_DIGEST_BYTES], tars_error *err);
/* Keeps the module; the one that had the name goes when it has no other. */
tars_status modules_load_commit(modules_load *load, const void *bytes, size_t length,
                                tars_error *err);
/* Keeps the reason why it cannot be used, unless the name belongs to a module that can. */
void modules_load_fail(modules_load *load, size_t length, const tars_error *why);
/* Ends the load, whatever became of it. */
void modules_load_end(modules_load *load);

/* Drops a name; for the beginning of a digest all names of that module. With the last one go the
 * module and its compiled code. *removed, which is freed with free(), are those names. CONFLICT
 * while it loads or executes. */
tars_status modules_unload(const char *home, const char *reference, module_entry **removed,
                           size_t *count, tars_error *err);

/* ---- running --------------------------------------------------------------------------- */

/* A module that this process holds. Any thread may call; what the state does not allow is
 * CONFLICT. */
typedef struct module_handle {
    char home[STORE_PATH_BYTES];
    module_entry entry;
    uint8_t *bytes; /* checked against the digest; NULL once disposed */
    size_t length;
    platform_mutex mutex;
    module_state state;
    platform_lock lock;
    char lock_path[STORE_PATH_BYTES];
} module_handle;

/* Loaded from here on. As modules_locate, which see for failures. */
tars_status module_handle_open(const char *home, const char *reference, module_handle *out,
                               tars_error *err);
/* Executing from here on, in the sight of all processes, and counted as a run. */
tars_status module_handle_begin(module_handle *handle, tars_error *err);
/* Loaded again; with `failure` (why the module is of no use) in error instead, for everybody, which
 * may also come before it executes. */
tars_status module_handle_end(module_handle *handle, const tars_error *failure, tars_error *err);
/* Frees the bytes. Refused while it executes. */
tars_status module_handle_dispose(module_handle *handle, tars_error *err);

#endif
