/* An import by a guest: it reads the sources through the host and the packed file comes back. The
 * guest sees bytes of the sources that it asks for and nothing else; what it sends is the caller's
 * to check. Ownership: as in guest_client.h; request and sink are borrowed. */
#ifndef RUNTIME_GUEST_IMPORT_H
#define RUNTIME_GUEST_IMPORT_H

#include "engine/source.h"
#include "runtime/guest_client.h"

typedef struct guest_import_request {
    wire_import_form form;
    const byte_source *sources[WIRE_MAX_SOURCES]; /* NULL: there is none */
    uint8_t source_sha256[SHA256_DIGEST_BYTES];   /* of sources[0], of WIRE_GGUF only */
} guest_import_request;

/* Called on the thread that takes the turns. */
typedef struct guest_import_sink {
    byte_sink packed;
    void *user; /* of progress and check */
    void (*progress)(void *user, uint64_t done, uint64_t total);
    tars_status (*check)(void *user, tars_error *err); /* as in guest_client_request */
} guest_import_sink;

typedef struct guest_import {
    guest_client client; /* first */
    const guest_import_request *request;
    guest_import_sink sink;
    wire_import wire;
    wire_read read;    /* the last one; length is what is still to be sent */
    uint64_t may_read; /* bytes: an import reads its sources a few times at most */
    uint64_t may_do;   /* the most that its progress can be of */
    uint64_t done, total;
    uint64_t n_packed;   /* bytes that came */
    sha256_context hash; /* over them */
    uint8_t buffer[WIRE_MAX_PAYLOAD];
} guest_import;

void guest_import_init(guest_import *im, const guest_import_request *request,
                       const guest_import_sink *sink);

#endif
