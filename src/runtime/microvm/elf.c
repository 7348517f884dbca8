#include "runtime/microvm/elf.h"

#include "base/checked.h"

#include <string.h>

/* The file format (System V ABI, chapters 4 and 5; AMD64 supplement). */
enum {
    HEADER_BYTES = 64,
    ENTRY_BYTES = 56, /* of a program header */
    CLASS_64 = 2,
    LITTLE_ENDIAN_DATA = 1,
    TYPE_EXECUTABLE = 2,
    TYPE_SHARED = 3, /* static-PIE programs, too */
    MACHINE_X86_64 = 62,
    SEGMENT_LOAD = 1,
    SEGMENT_INTERPRETER = 3,
    SEGMENT_HEADERS = 6,
    FLAG_EXECUTE = 1,
    FLAG_WRITE = 2,
    FLAG_READ = 4
};

typedef struct reader {
    const uint8_t *bytes;
    size_t length;
    const char *name;
    tars_error *err;
} reader;

typedef struct header {
    uint32_t type, flags;
    uint64_t at; /* in the file, for messages */
    uint64_t offset, address, stored_bytes, size_bytes, alignment;
} header;

/* Of bytes that were found to be there. */
static uint64_t get(const reader *r, uint64_t at, unsigned n_bytes) {
    uint64_t value = 0;
    for (unsigned i = 0; i < n_bytes; i++) {
        value |= (uint64_t)r->bytes[at + i] << (8 * i);
    }
    return value;
}

static tars_status refuse(const reader *r, tars_status status, uint64_t at, const char *what) {
    error_set(r->err, status, "%s: %s", r->name, what);
    return error_where(r->err, "offset %llu", (unsigned long long)at);
}

/* ---- the file's header ----------------------------------------------------------------- */

typedef struct field_rule {
    uint8_t at, n_bytes;
    uint16_t expected;
    tars_status status;
    const char *what;
} field_rule;

static const field_rule header_rules[] = {
    {4, 1, CLASS_64, TARS_UNSUPPORTED, "a 32-bit ELF file; programs must be for x86-64"},
    {5, 1, LITTLE_ENDIAN_DATA, TARS_UNSUPPORTED,
     "a big-endian ELF file; programs must be for x86-64"},
    {6, 1, 1, TARS_MALFORMED, "not version 1 of the ELF format"},
    {18, 2, MACHINE_X86_64, TARS_UNSUPPORTED,
     "an ELF file for another processor; programs must be for x86-64"},
    {20, 4, 1, TARS_MALFORMED, "not version 1 of the ELF format"},
    {52, 2, HEADER_BYTES, TARS_MALFORMED, "its ELF header has not 64 bytes"},
    {54, 2, ENTRY_BYTES, TARS_MALFORMED, "its program headers have not 56 bytes each"},
};

static tars_status read_header(const reader *r, elf_image *out, uint64_t *headers_at) {
    if (r->length < HEADER_BYTES || memcmp(r->bytes, "\177ELF", 4) != 0) {
        return refuse(r, TARS_MALFORMED, 0, "not an ELF file");
    }
    for (size_t i = 0; i < sizeof header_rules / sizeof header_rules[0]; i++) {
        const field_rule *rule = &header_rules[i];
        if (get(r, rule->at, rule->n_bytes) != rule->expected) {
            return refuse(r, rule->status, rule->at, rule->what);
        }
    }
    uint64_t type = get(r, 16, 2);
    if (type != TYPE_EXECUTABLE && type != TYPE_SHARED) {
        return refuse(r, TARS_UNSUPPORTED, 16, "an ELF file that is no program");
    }
    out->base = type == TYPE_SHARED ? ELF_PIE_BASE : 0;
    out->n_headers = (uint16_t)get(r, 56, 2);
    *headers_at = get(r, 32, 8);
    if (out->n_headers == 0) {
        return refuse(r, TARS_MALFORMED, 56, "it has no program headers");
    }
    if (out->n_headers > ELF_MAX_HEADERS) { /* 65,535 says that they are counted elsewhere */
        return refuse(r, TARS_MALFORMED, 56, "it has more than 128 program headers");
    }
    uint64_t size = (uint64_t)out->n_headers * ENTRY_BYTES;
    if (*headers_at > r->length || size > r->length - *headers_at) {
        return refuse(r, TARS_MALFORMED, 32, "its program headers lie outside of the file");
    }
    return TARS_OK;
}

/* ---- segments -------------------------------------------------------------------------- */

static header header_at(const reader *r, uint64_t at) {
    return (header){.at = at,
                    .type = (uint32_t)get(r, at, 4),
                    .flags = (uint32_t)get(r, at + 4, 4),
                    .offset = get(r, at + 8, 8),
                    .address = get(r, at + 16, 8),
                    .stored_bytes = get(r, at + 32, 8),
                    .size_bytes = get(r, at + 40, 8),
                    .alignment = get(r, at + 48, 8)};
}

static tars_status check_segment(const reader *r, const header *h) {
    uint64_t end;
    if (h->stored_bytes > h->size_bytes) {
        return refuse(r, TARS_MALFORMED, h->at + 40, "a segment is smaller in memory than stored");
    }
    if (h->offset > r->length || h->stored_bytes > r->length - h->offset) {
        return refuse(r, TARS_MALFORMED, h->at + 8, "a segment lies outside of the file");
    }
    if (!checked_add_u64(h->address, h->size_bytes, &end) || end > INT64_MAX) {
        return refuse(r, TARS_MALFORMED, h->at + 16, "a segment ends beyond all addresses");
    }
    if ((h->alignment & (h->alignment - 1)) != 0) {
        return refuse(r, TARS_MALFORMED, h->at + 48, "a segment's alignment is no power of two");
    }
    if (h->alignment > 1 && (h->address - h->offset) % h->alignment != 0) {
        return refuse(r, TARS_MALFORMED, h->at + 48, "a segment is not where its alignment says");
    }
    if ((h->flags & FLAG_WRITE) != 0 && (h->flags & FLAG_EXECUTE) != 0) {
        refuse(r, TARS_UNSUPPORTED, h->at + 4, "a segment is writable and executable");
        return error_hint(r->err, "link it without -N and without -z rwx segments");
    }
    return TARS_OK;
}

static uint64_t first_page(uint64_t address) {
    return address / SPACE_PAGE_BYTES;
}

/* Keeps a segment, which must begin on a page behind the one before it. */
static tars_status add_segment(const reader *r, const header *h, elf_image *out) {
    uint64_t address = h->address + out->base;
    if (h->size_bytes == 0) {
        return TARS_OK;
    }
    if (out->base != 0 && h->alignment > ELF_PIE_BASE) {
        return refuse(r, TARS_UNSUPPORTED, h->at + 48, "a segment's alignment exceeds 4 MiB");
    }
    if (address < SPACE_LOWEST) {
        return refuse(r, TARS_MALFORMED, h->at + 16, "a segment begins below address 65536");
    }
    if (out->n_segments == ELF_MAX_SEGMENTS) {
        return refuse(r, TARS_MALFORMED, h->at, "it has more than 32 segments");
    }
    if (out->n_segments > 0) {
        const elf_segment *before = &out->segments[out->n_segments - 1];
        if (first_page(address) <= first_page(before->address + before->size_bytes - 1)) {
            return refuse(r, TARS_MALFORMED, h->at + 16,
                          "segments overlap, share a page or are not in order");
        }
    }
    out->segments[out->n_segments++] =
        (elf_segment){.address = address,
                      .size_bytes = h->size_bytes,
                      .offset = h->offset,
                      .stored_bytes = h->stored_bytes,
                      .access = ((h->flags & FLAG_READ) != 0 ? (unsigned)SPACE_READ : 0) |
                                ((h->flags & FLAG_WRITE) != 0 ? (unsigned)SPACE_WRITE : 0) |
                                ((h->flags & FLAG_EXECUTE) != 0 ? (unsigned)SPACE_EXECUTE : 0)};
    return TARS_OK;
}

static tars_status refuse_dynamic(const reader *r, const header *h) {
    refuse(r, TARS_UNSUPPORTED, h->at, "it is linked dynamically and needs a loader");
    return error_hint(r->err, "link it statically: cc -static; Go: CGO_ENABLED=0; Rust: --target "
                              "x86_64-unknown-linux-musl");
}

/* Where the program finds its own headers in memory. */
static void find_headers(elf_image *out, uint64_t headers_at) {
    uint64_t size = (uint64_t)out->n_headers * ENTRY_BYTES;
    for (size_t i = 0; i < out->n_segments; i++) {
        const elf_segment *s = &out->segments[i];
        uint64_t inside = headers_at - s->offset; /* wraps when it is before */
        if (headers_at >= s->offset && inside <= s->stored_bytes &&
            size <= s->stored_bytes - inside) {
            out->headers = s->address + inside;
            return;
        }
    }
}

static tars_status check_entry(const reader *r, elf_image *out) {
    uint64_t entry = get(r, 24, 8);
    out->entry = entry + out->base;
    for (size_t i = 0; i < out->n_segments && entry <= INT64_MAX; i++) {
        const elf_segment *s = &out->segments[i];
        if ((s->access & SPACE_EXECUTE) != 0 && out->entry >= s->address &&
            out->entry - s->address < s->size_bytes) {
            return TARS_OK;
        }
    }
    return refuse(r, TARS_MALFORMED, 24, "its entry lies in no executable segment");
}

tars_status elf_read(const uint8_t *bytes, size_t length, const char *name, elf_image *out,
                     tars_error *err) {
    const reader r = {bytes, length, name, err};
    uint64_t headers_at = 0;
    *out = (elf_image){.bytes = bytes};
    tars_status status = read_header(&r, out, &headers_at);
    for (uint16_t i = 0; i < out->n_headers && status == TARS_OK; i++) {
        const header h = header_at(&r, headers_at + (uint64_t)i * ENTRY_BYTES);
        if (h.type == SEGMENT_INTERPRETER) {
            return refuse_dynamic(&r, &h);
        }
        if (h.type == SEGMENT_LOAD) {
            status = check_segment(&r, &h);
            if (status == TARS_OK) {
                status = add_segment(&r, &h, out);
            }
        }
    }
    if (status != TARS_OK) {
        return status;
    }
    find_headers(out, headers_at);
    return check_entry(&r, out);
}

/* ---- loading --------------------------------------------------------------------------- */

static tars_status too_small(tars_error *err, const space *s, uint64_t end) {
    error_set(err, TARS_LIMIT,
              "the program needs memory up to address %llu, its space has %llu bytes and its limit "
              "is %llu bytes",
              (unsigned long long)end, (unsigned long long)s->options.size_bytes,
              (unsigned long long)s->options.limit_bytes);
    return error_hint(err, "raise the memory limit");
}

static tars_status load_segment(const elf_image *image, const elf_segment *g, space *s,
                                tars_error *err) {
    uint64_t begin = first_page(g->address) * SPACE_PAGE_BYTES;
    uint64_t end = g->address + g->size_bytes;
    uint64_t at;
    /* filled by the host before it becomes what the file says */
    if (space_map(s, begin, SPACE_VACANT, end - begin, SPACE_READ | SPACE_WRITE, &at) != SPACE_OK ||
        !space_put(s, g->address, image->bytes + g->offset, (size_t)g->stored_bytes) ||
        space_protect(s, begin, end - begin, g->access) != SPACE_OK) {
        return too_small(err, s, end);
    }
    return TARS_OK;
}

tars_status elf_load(const elf_image *image, space *s, tars_error *err) {
    uint64_t end = 0;
    for (size_t i = 0; i < image->n_segments; i++) {
        const elf_segment *g = &image->segments[i];
        tars_status status = load_segment(image, g, s, err);
        if (status != TARS_OK) {
            return status;
        }
        end = g->address + g->size_bytes;
    }
    space_set_break(s, (end + SPACE_PAGE_BYTES - 1) / SPACE_PAGE_BYTES * SPACE_PAGE_BYTES);
    return TARS_OK;
}
