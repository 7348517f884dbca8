#include "runtime/wasm/library.h"

#include "base/text.h"
#include "platform/platform.h"

#include <string.h>

/* Looked for beside the program or libtars, then in the folder of libraries as seen from there,
 * which the build defines. */
#define LIBRARY_NAME "libtars-wasmtime.so"

enum { PATH_BYTES = 4096, MESSAGE_BYTES = 256 };

static platform_mutex lock;
static enum { NOT_TRIED, LOADED, ABSENT } state; /* under the lock */
static wasm_library table;
static tars_error why_absent;

static tars_status take_symbols(const platform_library *library, tars_error *err) {
    static const struct {
        const char *name;
        size_t offset;
    } symbols[] = {
#define WASM_LIBRARY_SYMBOL(name) {#name, offsetof(wasm_library, name)},
        WASM_LIBRARY_FUNCTIONS(WASM_LIBRARY_SYMBOL)
#undef WASM_LIBRARY_SYMBOL
    };
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *address = platform_library_symbol(library, symbols[i].name);
        if (!address) {
            return error_set(err, TARS_UNAVAILABLE, "Wasmtime's library lacks %s, expected %s",
                             symbols[i].name, WASMTIME_VERSION);
        }
        memcpy((uint8_t *)&table + symbols[i].offset, &address, sizeof address);
    }
    return TARS_OK;
}

/* LIBRARY_NAME in the folder of `own`, or in the folder lib beside that folder. */
static void beside(const char *own, const char *folder, char path[PATH_BYTES]) {
    const char *slash = strrchr(own, '/');
    text_buffer text;
    text_init(&text, path, PATH_BYTES);
    text_append(&text, own, slash ? (size_t)(slash - own) + 1 : 0);
    text_append_string(&text, folder);
    text_append_string(&text, LIBRARY_NAME);
}

static tars_status load(tars_error *err) {
    char own[PATH_BYTES];
    char path[PATH_BYTES];
    platform_library library = {NULL};
    tars_status status = platform_own_path(own, sizeof own, err);
    if (status != TARS_OK) {
        return status;
    }
    static const char *const folders[] = {"", TARS_LIBRARY_FOLDER};
    for (size_t i = 0; !library.handle && i < 2; i++) {
        beside(own, folders[i], path);
        (void)platform_library_open(path, &library, err);
    }
    if (!library.handle) {
        beside(own, "", path);
        error_set(err, TARS_UNAVAILABLE, "runtime wasm is unavailable: no Wasmtime library at %s",
                  path);
        return error_hint(err, "fetch it with tools/fetch_wasmtime.py and build again");
    }
    return take_symbols(&library, err);
}

tars_status wasm_library_get(const wasm_library **out, tars_error *err) {
    platform_mutex_lock(&lock);
    if (state == NOT_TRIED) {
        state = load(&why_absent) == TARS_OK ? LOADED : ABSENT;
    }
    *out = state == LOADED ? &table : NULL;
    if (!*out && err) {
        *err = why_absent;
    }
    platform_mutex_unlock(&lock);
    return *out ? TARS_OK : TARS_UNAVAILABLE;
}

/* The text of a name, cut at its end or at `size`. */
static void copy_name(const wasm_name_t *name, char *out, size_t size) {
    size_t n = name->data && name->size < size ? name->size : name->data ? size - 1 : 0;
    if (n > 0) {
        memcpy(out, name->data, n);
    }
    out[n] = '\0';
}

tars_status wasm_library_fail(const wasm_library *w, tars_status status, const char *what,
                              wasmtime_error_t *error, wasm_trap_t *trap, tars_error *err) {
    char message[MESSAGE_BYTES] = "";
    wasm_byte_vec_t text = {0, NULL};
    if (trap) {
        w->wasm_trap_message(trap, &text);
    } else if (error) {
        w->wasmtime_error_message(error, &text);
    }
    copy_name(&text, message, sizeof message);
    if (text.data) {
        w->wasm_byte_vec_delete(&text);
    }
    if (trap) {
        w->wasm_trap_delete(trap);
    }
    if (error) {
        w->wasmtime_error_delete(error);
    }
    error_set(err, status, "%s", what);
    error_cause(err, "%s", message);
    return status;
}
