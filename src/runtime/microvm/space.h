/* The address space of a guest without a kernel: guest address = offset into one block of the
 * host's memory. Every page has flags, no page is ever writable and executable, and the first
 * 64 KiB are never mapped. What the guest maps is limited exactly: a page counts from the moment
 * it can first be used until it is unmapped, so that a reservation (no access) costs nothing and
 * a page cannot be hidden from the limit by taking its access away.
 *
 * Of the flags alone the machine makes its page tables: `changed` tells of every change.
 *
 * Ownership: space_init to space_free; `ram` is the caller's, zero at first, and must live as long.
 * One thread at a time: who runs several threads of a guest holds a lock. What other threads of
 * the guest write meanwhile may change under a reader, hence copy first and check the copy. */
#ifndef RUNTIME_MICROVM_SPACE_H
#define RUNTIME_MICROVM_SPACE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SPACE_PAGE_BYTES = 4096, SPACE_LOWEST = 64 << 10 /* no byte below is ever mapped */ };

/* Flags of a page. Hardware reads what it may write or execute: either implies READ. */
enum {
    SPACE_MAPPED = 1,
    SPACE_READ = 2,
    SPACE_WRITE = 4,
    SPACE_EXECUTE = 8,
    SPACE_COUNTED = 16, /* within the limit */
    SPACE_USED = 32,    /* may hold bytes of before: cleared when it is used again */
    SPACE_ACCESS = SPACE_READ | SPACE_WRITE | SPACE_EXECUTE
};

typedef enum space_result {
    SPACE_OK = 0,
    SPACE_INVALID,   /* not at a page, no length, beyond the space */
    SPACE_NO_MEMORY, /* no hole, or the limit */
    SPACE_EXISTS,    /* mapped already */
    SPACE_ABSENT,    /* not mapped */
    SPACE_DENIED     /* writable and executable, or the first 64 KiB */
} space_result;

typedef struct space_options {
    uint8_t *ram; /* at a page */
    uint64_t size_bytes;
    uint64_t limit_bytes; /* of counted pages */
    /* Before pages that the guest can reach change: nobody but the caller may use memory from then
     * on, until the guest goes on. May be NULL. */
    void (*changing)(void *user);
    /* After flags of these pages changed; may be NULL. */
    void (*changed)(void *user, uint64_t first_page, uint64_t n_pages);
    /* Makes pages zero again and gives their memory back to the host. False, or NULL: they are
     * cleared when they are used again. */
    bool (*discard)(void *user, uint64_t first_page, uint64_t n_pages);
    void *user;
} space_options;

typedef struct space {
    space_options options;
    uint8_t *flags; /* one byte a page */
    uint64_t n_pages;
    uint64_t n_counted, n_peak, n_limit; /* pages */
    uint64_t n_refused;                  /* times that the limit was met */
    uint64_t break_start, break_end;     /* of space_brk; bytes */
} space;

typedef enum space_place {
    SPACE_ANYWHERE, /* `address` is a wish */
    SPACE_REPLACE,  /* there; what is mapped there goes */
    SPACE_VACANT    /* there, or EXISTS */
} space_place;

/* USAGE when the memory is not whole pages. */
tars_status space_init(space *s, const space_options *options, tars_error *err);
void space_free(space *s);

/* Pages, counts and heap become those of a space of the same size, for memory that is a copy of its
 * memory: what a snapshot needs. Nothing is told to `changed`. */
void space_copy(space *to, const space *from);

/* `wanted` of SPACE_READ …; 0 reserves. Lengths are rounded up to pages; new pages are zero. After
 * a failure nothing has changed. */
space_result space_map(space *s, uint64_t address, space_place place, uint64_t length,
                       unsigned wanted, uint64_t *out);
/* Pages that are not mapped are passed over. */
space_result space_unmap(space *s, uint64_t address, uint64_t length);
/* ABSENT unless all pages are mapped. */
space_result space_protect(space *s, uint64_t address, uint64_t length, unsigned wanted);
/* Grows or shrinks in place, else moves when it may (`may_move`), or moves to *out (`fixed`). The
 * old pages must be mapped with one access. */
space_result space_remap(space *s, uint64_t address, uint64_t old_length, uint64_t new_length,
                         bool may_move, bool fixed, uint64_t *out);
/* Zero again, still mapped. ABSENT unless all are. */
space_result space_clear(space *s, uint64_t address, uint64_t length);
/* The heap's end becomes `address` when it can. Returns what it is then. */
uint64_t space_brk(space *s, uint64_t address);
/* Where the heap begins; before the first space_brk. */
void space_set_break(space *s, uint64_t address);

uint64_t space_used_bytes(const space *s);
uint64_t space_peak_bytes(const space *s);

/* ---- bytes of the guest ------------------------------------------------------------------- */

/* The one conversion of a guest's pointer: NULL unless every byte of the range lies in the space,
 * in pages that have all of `access`. A range without bytes may be anywhere. */
void *space_pointer(const space *s, uint64_t address, uint64_t length, unsigned access);
/* False: the guest's pointer is bad, and nothing was copied. */
bool space_get(const space *s, uint64_t address, void *out, size_t length);
bool space_put(const space *s, uint64_t address, const void *bytes, size_t length);

typedef enum space_text {
    SPACE_TEXT_OK,
    SPACE_TEXT_FAULT,
    SPACE_TEXT_LONG /* no NUL within `capacity` */
} space_text;
/* A text with its NUL. */
space_text space_get_text(const space *s, uint64_t address, char *out, size_t capacity,
                          size_t *length);

#endif
