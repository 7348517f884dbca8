/* The import child's second wall: the foreign file is read by a guest in WebAssembly, which has
 * nothing but the wire to this process, which has nothing but its descriptors.
 *
 * Ownership: the guest lives as long as the process; sources and sink are borrowed. One thread. */
#ifndef STORE_IMPORT_GUEST_H
#define STORE_IMPORT_GUEST_H

#include "engine/import.h"
#include "runtime/guest_import.h"
#include "runtime/wasm/run.h"

typedef struct import_guest {
    wasm_guest *instance;
    guest_import talk;
} import_guest;

/* Compiles the guest, or takes what HOME/cache has of it, and makes the instance: all that needs
 * more of the system than memory and the sources. UNAVAILABLE without the runtime. */
tars_status import_guest_start(import_guest *g, const char *home, tars_error *err);
/* Reads the sources and writes the packed file to the sink; the digests are taken here, not by the
 * guest, but for the source of a folder. */
tars_status import_guest_run(import_guest *g, const guest_import_request *request,
                             const import_options *options, const byte_sink *sink,
                             import_result *out, tars_error *err);

#endif
