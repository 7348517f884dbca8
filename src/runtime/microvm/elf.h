/* The loader of programs: static and static-PIE ELF files for x86-64 Linux, put into a guest's
 * space, and the stack that such a program finds at its first instruction. Nothing of a file is
 * trusted: elf_read checks all of it before the first page is mapped.
 *
 * Ownership: an elf_image is plain memory; the file's bytes are borrowed and must live until
 * elf_load has returned. */
#ifndef RUNTIME_MICROVM_ELF_H
#define RUNTIME_MICROVM_ELF_H

#include "runtime/microvm/space.h"

enum { ELF_MAX_SEGMENTS = 32, ELF_MAX_HEADERS = 128, ELF_PIE_BASE = 0x400000 };

typedef struct elf_segment {
    uint64_t address, size_bytes;  /* in memory, the base included */
    uint64_t offset, stored_bytes; /* in the file */
    unsigned access;               /* SPACE_READ … */
} elf_segment;

typedef struct elf_image {
    const uint8_t *bytes;
    elf_segment segments[ELF_MAX_SEGMENTS]; /* ascending, no page in two of them */
    size_t n_segments;
    uint64_t base; /* added to the file's addresses */
    uint64_t entry;
    uint64_t headers; /* address of the program headers; 0: no segment holds them */
    uint16_t n_headers;
} elf_image;

/* Checks a file of `length` bytes; `name` is for messages. MALFORMED, or UNSUPPORTED for what is an
 * ELF file of another kind, or is dynamically linked. */
tars_status elf_read(const uint8_t *bytes, size_t length, const char *name, elf_image *out,
                     tars_error *err);
/* Maps the segments, each with its own access, and begins the heap behind them. LIMIT when the
 * space is too small. What was mapped stays mapped after a failure. */
tars_status elf_load(const elf_image *image, space *s, tars_error *err);

typedef struct elf_start {
    const char *const *arguments;   /* argv, argv[0] included, NULL at the end */
    const char *const *environment; /* "K=V", NULL at the end */
    const char *program;            /* its path, as the guest sees it */
    uint64_t stack_bytes;           /* whole pages */
} elf_start;

/* Maps the stack at the top of the space, with pages below it that nothing may use, and fills it:
 * arguments, environment, auxiliary vector with 16 fresh random bytes. *stack_pointer is that of
 * the first instruction. LIMIT when texts take more than a quarter of it, or when it does not fit.
 */
tars_status elf_make_stack(const elf_image *image, space *s, const elf_start *start,
                           uint64_t *stack_pointer, tars_error *err);
enum { ELF_RANDOM_BYTES = 16 };
/* Where the random bytes of such a stack lie. */
tars_status elf_find_random(const space *s, uint64_t stack_pointer, uint64_t *address,
                            tars_error *err);
/* New random bytes for a clone of a guest whose stack elf_make_stack made. */
tars_status elf_renew_random(space *s, uint64_t stack_pointer, tars_error *err);

#endif
