/* What the files of the guest share: its state, and one table row for each kind of request.
 *
 * Ownership: the state lives in the guest's arena of that, all that a request takes in the other,
 * which goes back to where it was when the request has ended. */
#ifndef GUEST_SERVICE_H
#define GUEST_SERVICE_H

#include "engine/model.h"
#include "engine/tokenizer/tokenizer.h"
#include "guest/serve.h"

struct guest {
    serve_place place;
    const kernel_table *kernels;
    bool has_model; /* else the next three are not set */
    pack_view pack;
    model model;
    tokenizer tokenizer;
    wire_message message; /* the last one */
    void *request;        /* the running one, as its service's take made it */
    bool cancelled;
};

/* How a kind of request is served. */
typedef struct guest_service {
    bool needs_model;
    /* Checks the request's frame (g->message), makes room and takes the data. An error ends the
     * talk: what follows could not be understood. */
    tars_status (*take)(guest *g, tars_error *err);
    /* Serves it; fills what of the result is its own. An error is told to the host. */
    tars_status (*run)(guest *g, wire_result *result, tars_error *err);
} guest_service;

extern const guest_service guest_answers, guest_imports, guest_encodes, guest_decodes, guest_embeds;

/* Where the data of a section goes. */
typedef struct guest_section {
    void *to;
    size_t size_bytes;
} guest_section;

/* Takes the DATA frames up to START; every section must come whole. */
tars_status guest_take_data(guest *g, const guest_section sections[WIRE_SECTION_COUNT],
                            tars_error *err);
/* OUT_OF_MEMORY of the request. */
tars_status guest_no_memory(const guest *g, tars_error *err);
/* Gives the host its turn, so that it hears of all that was told. CANCELLED when it cancelled. */
tars_status guest_check(guest *g, tars_error *err);
/* Text in whole characters as TEXT frames. */
tars_status guest_tell_text(guest *g, const char *bytes, size_t length, tars_error *err);
tars_status guest_tell_progress(guest *g, uint64_t done, uint64_t total, tars_error *err);

#endif
