#include "store/modules_internal.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BEGIN_WAIT_MS = 5000 };

tars_status module_handle_open(const char *home, const char *reference, module_handle *out,
                               tars_error *err) {
    char path[STORE_PATH_BYTES];
    *out = (module_handle){.lock = {PLATFORM_NO_HANDLE}};
    snprintf(out->home, sizeof out->home, "%s", home);
    tars_status status = modules_locate(home, reference, &out->entry, path, sizeof path, err);
    if (status == TARS_OK) {
        status = modules_read(home, out->entry.sha256, &out->bytes, &out->length, err);
    }
    out->state = status == TARS_OK ? MODULE_LOADED : MODULE_UNLOADED;
    return status;
}

/* Whether its record still is what was opened. The store's lock is held. */
static tars_status check_kept(const module_handle *h, tars_error *err) {
    module_entry entry;
    bool found = false;
    tars_status status = modules_record_find(h->home, h->entry.name, &entry, &found, err);
    if (status == TARS_OK && (!found || strcmp(entry.sha256, h->entry.sha256) != 0)) {
        status = module_state_check(h->entry.name, MODULE_UNLOADED, MODULE_EXECUTING, err);
    } else if (status == TARS_OK && entry.state != MODULE_LOADED) {
        status = module_state_check(h->entry.name, entry.state, MODULE_EXECUTING, err);
        error_cause(err, "%s", entry.reason);
    }
    return status;
}

/* Under the store's lock a run and an unload cannot miss each other. */
static tars_status begin(module_handle *h, tars_error *err) {
    static atomic_uint turn;
    char file[160];
    platform_lock lock;
    snprintf(file, sizeof file, "run@%s@%lld.%u", h->entry.sha256, (long long)platform_process_id(),
             atomic_fetch_add(&turn, 1));
    tars_status status = modules_lock(h->home, &lock, err);
    if (status != TARS_OK) {
        return status;
    }
    status = check_kept(h, err);
    if (status == TARS_OK) {
        status = modules_busy_take(h->home, file, BEGIN_WAIT_MS, h->lock_path, &h->lock, err);
    }
    if (status == TARS_OK) {
        modules_count_run(h->home, h->entry.sha256);
    }
    platform_lock_release(&lock);
    return status;
}

tars_status module_handle_begin(module_handle *h, tars_error *err) {
    platform_mutex_lock(&h->mutex);
    tars_status status = module_state_check(h->entry.name, h->state, MODULE_EXECUTING, err);
    if (status == TARS_OK) {
        status = begin(h, err);
    }
    h->state = status == TARS_OK ? MODULE_EXECUTING : h->state;
    platform_mutex_unlock(&h->mutex);
    return status;
}

/* For everybody: the module is of no use. */
static void record_failure(const module_handle *h, const tars_error *failure) {
    platform_lock lock;
    module_entry entry;
    bool found = false;
    if (modules_lock(h->home, &lock, NULL) != TARS_OK) {
        return;
    }
    if (modules_record_find(h->home, h->entry.name, &entry, &found, NULL) == TARS_OK && found &&
        strcmp(entry.sha256, h->entry.sha256) == 0) {
        snprintf(entry.reason, sizeof entry.reason, "%.250s",
                 failure->message[0] != '\0' ? failure->message
                                             : tars_status_code(failure->status));
        (void)modules_record_write(h->home, &entry, NULL);
    }
    platform_lock_release(&lock);
}

tars_status module_handle_end(module_handle *h, const tars_error *failure, tars_error *err) {
    module_state to = failure ? MODULE_ERROR : MODULE_LOADED;
    platform_mutex_lock(&h->mutex);
    tars_status status = module_state_check(h->entry.name, h->state, to, err);
    if (status == TARS_OK) {
        modules_busy_release(h->lock_path, &h->lock);
        if (failure) {
            record_failure(h, failure);
        }
        h->state = to;
    }
    platform_mutex_unlock(&h->mutex);
    return status;
}

tars_status module_handle_dispose(module_handle *h, tars_error *err) {
    platform_mutex_lock(&h->mutex);
    tars_status status = module_state_check(h->entry.name, h->state, MODULE_DISPOSED, err);
    if (status == TARS_OK) {
        free(h->bytes);
        h->bytes = NULL;
        h->length = 0;
        h->state = MODULE_DISPOSED;
    }
    platform_mutex_unlock(&h->mutex);
    return status;
}
