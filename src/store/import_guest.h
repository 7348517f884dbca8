/* The import child's second wall: the foreign file is read by a guest, in a virtual machine or in
 * WebAssembly, which has nothing but the wire to this process, which has nothing but its
 * descriptors.
 *
 * Ownership: the guest lives as long as the process; sources and sink are borrowed. One thread. */
#ifndef STORE_IMPORT_GUEST_H
#define STORE_IMPORT_GUEST_H

#include "engine/import.h"
#include "runtime/guest_import.h"

/* Where a guest can be. */
typedef struct import_place import_place;

typedef struct import_guest {
    const import_place *place;
    void *instance;
    uint64_t address_space_bytes; /* that the instance takes of the process */
    guest_import talk;
} import_guest;

/* "microvm" or "wasm"; NULL: there is no such place. */
const import_place *import_place_named(const char *name);
const char *import_place_name(const import_place *place);
/* UNAVAILABLE with the reason when no guest runs there. */
tars_status import_place_probe(const import_place *place, tars_error *err);
/* Whether virtual processors run there. */
bool import_place_has_machines(const import_place *place);

/* Makes the instance: all that needs more of the system than memory, the sources and what
 * platform_hardening leaves. HOME/cache has compiled guests. */
tars_status import_guest_start(import_guest *g, const import_place *place, const char *home,
                               tars_error *err);
/* Reads the sources and writes the packed file to the sink; the digests are taken here, not by the
 * guest, but for the source of a folder. */
tars_status import_guest_run(import_guest *g, const guest_import_request *request,
                             const import_options *options, const byte_sink *sink,
                             import_result *out, tars_error *err);

#endif
