#include "runtime/microvm/space.h"

#include "base/checked.h"

#include <stdlib.h>
#include <string.h>

enum { LOWEST_PAGE = SPACE_LOWEST / SPACE_PAGE_BYTES };

/* Whole pages of the guest. */
typedef struct page_range {
    uint64_t first, count;
} page_range;

tars_status space_init(space *s, const space_options *options, tars_error *err) {
    *s = (space){.options = *options};
    if (options->size_bytes % SPACE_PAGE_BYTES != 0 || options->size_bytes <= SPACE_LOWEST ||
        !options->ram) {
        return error_set(err, TARS_USAGE, "a guest's memory of %llu bytes is not whole pages",
                         (unsigned long long)options->size_bytes);
    }
    s->n_pages = options->size_bytes / SPACE_PAGE_BYTES;
    s->n_limit = options->limit_bytes / SPACE_PAGE_BYTES;
    s->flags = calloc((size_t)s->n_pages, 1);
    if (!s->flags) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the pages of a guest");
    }
    return TARS_OK;
}

void space_free(space *s) {
    free(s->flags);
    *s = (space){.flags = NULL};
}

void space_copy(space *to, const space *from) {
    memcpy(to->flags, from->flags, (size_t)to->n_pages);
    to->n_counted = from->n_counted;
    to->n_peak = from->n_peak;
    to->break_start = from->break_start;
    to->break_end = from->break_end;
}

uint64_t space_used_bytes(const space *s) {
    return s->n_counted * SPACE_PAGE_BYTES;
}

uint64_t space_peak_bytes(const space *s) {
    return s->n_peak * SPACE_PAGE_BYTES;
}

/* ---- ranges ---------------------------------------------------------------------------- */

/* INVALID unless it begins at a page, has a length and lies in the space. */
static space_result range_of(const space *s, uint64_t address, uint64_t length, page_range *out) {
    uint64_t rounded;
    if (address % SPACE_PAGE_BYTES != 0 || length == 0 ||
        !checked_align_u64(length, SPACE_PAGE_BYTES, &rounded)) {
        return SPACE_INVALID;
    }
    *out = (page_range){address / SPACE_PAGE_BYTES, rounded / SPACE_PAGE_BYTES};
    bool inside = out->first <= s->n_pages && out->count <= s->n_pages - out->first;
    return inside ? SPACE_OK : SPACE_INVALID;
}

/* What a page's flags say, READ included; DENIED for writable and executable. */
static space_result access_of(unsigned wanted, unsigned *access) {
    unsigned found = wanted & SPACE_ACCESS;
    if ((found & SPACE_WRITE) != 0 && (found & SPACE_EXECUTE) != 0) {
        return SPACE_DENIED;
    }
    *access = found != 0 ? found | SPACE_READ : 0;
    return SPACE_OK;
}

static bool all_mapped(const space *s, page_range r) {
    for (uint64_t i = r.first; i < r.first + r.count; i++) {
        if ((s->flags[i] & SPACE_MAPPED) == 0) {
            return false;
        }
    }
    return true;
}

static bool none_mapped(const space *s, page_range r) {
    for (uint64_t i = r.first; i < r.first + r.count; i++) {
        if ((s->flags[i] & SPACE_MAPPED) != 0) {
            return false;
        }
    }
    return true;
}

static uint64_t count_counted(const space *s, page_range r) {
    uint64_t n = 0;
    for (uint64_t i = r.first; i < r.first + r.count; i++) {
        n += (s->flags[i] & SPACE_COUNTED) != 0 ? 1 : 0;
    }
    return n;
}

/* The highest hole of so many pages, so that the heap has room to grow. */
static bool find_hole(const space *s, uint64_t count, uint64_t *first) {
    uint64_t free_pages = 0;
    for (uint64_t page = s->n_pages; page-- > LOWEST_PAGE;) {
        free_pages = (s->flags[page] & SPACE_MAPPED) == 0 ? free_pages + 1 : 0;
        if (free_pages == count) {
            *first = page;
            return true;
        }
    }
    return false;
}

/* ---- pages ----------------------------------------------------------------------------- */

static uint8_t *page_at(const space *s, uint64_t page) {
    return s->options.ram + page * SPACE_PAGE_BYTES;
}

static bool has_room(space *s, uint64_t n_more) {
    bool fits = n_more <= s->n_limit && s->n_counted <= s->n_limit - n_more;
    s->n_refused += !fits;
    return fits;
}

static void note_peak(space *s) {
    s->n_peak = s->n_counted > s->n_peak ? s->n_counted : s->n_peak;
}

/* Before what lies there changes. */
static void hold(const space *s, page_range r) {
    for (uint64_t i = r.first; s->options.changing && i < r.first + r.count; i++) {
        if ((s->flags[i] & SPACE_ACCESS) != 0) {
            s->options.changing(s->options.user);
            return;
        }
    }
}

static void tell(const space *s, page_range r) {
    if (s->options.changed && r.count > 0) {
        s->options.changed(s->options.user, r.first, r.count);
    }
}

/* Gives a page an access; one that gets its first is zero then, and counts. */
static void set_access(space *s, uint64_t page, unsigned access) {
    uint8_t flags = s->flags[page];
    if (access != 0 && (flags & SPACE_COUNTED) == 0) {
        if ((flags & SPACE_USED) != 0) {
            memset(page_at(s, page), 0, SPACE_PAGE_BYTES);
        }
        flags |= SPACE_COUNTED | SPACE_USED;
        s->n_counted++;
    }
    flags &= (uint8_t)~SPACE_ACCESS;
    s->flags[page] = (uint8_t)(flags | SPACE_MAPPED | access);
}

/* Runs of pages that may hold bytes go back to the host when it takes them. */
static void discard(space *s, page_range r) {
    uint64_t end = r.first + r.count;
    for (uint64_t i = r.first; i < end;) {
        uint64_t run = i;
        while (run < end && (s->flags[run] & SPACE_USED) != 0) {
            run++;
        }
        if (run > i && s->options.discard && s->options.discard(s->options.user, i, run - i)) {
            for (uint64_t k = i; k < run; k++) {
                s->flags[k] &= (uint8_t)~SPACE_USED;
            }
        }
        i = run > i ? run : i + 1;
    }
}

static void drop(space *s, page_range r) {
    s->n_counted -= count_counted(s, r);
    for (uint64_t i = r.first; i < r.first + r.count; i++) {
        s->flags[i] &= SPACE_USED;
    }
}

/* ---- mapping --------------------------------------------------------------------------- */

static space_result choose(const space *s, uint64_t address, space_place place, uint64_t length,
                           page_range *out) {
    uint64_t wish = address - address % SPACE_PAGE_BYTES;
    if (place == SPACE_ANYWHERE) {
        bool fits = wish >= SPACE_LOWEST && range_of(s, wish, length, out) == SPACE_OK &&
                    none_mapped(s, *out);
        if (fits) {
            return SPACE_OK;
        }
        space_result result = range_of(s, 0, length, out);
        if (result != SPACE_OK) {
            return length == 0 ? SPACE_INVALID : SPACE_NO_MEMORY;
        }
        return find_hole(s, out->count, &out->first) ? SPACE_OK : SPACE_NO_MEMORY;
    }
    if (range_of(s, address, length, out) != SPACE_OK) {
        return address % SPACE_PAGE_BYTES == 0 && length != 0 ? SPACE_NO_MEMORY : SPACE_INVALID;
    }
    if (out->first < LOWEST_PAGE) {
        return SPACE_DENIED;
    }
    return place == SPACE_VACANT && !none_mapped(s, *out) ? SPACE_EXISTS : SPACE_OK;
}

space_result space_map(space *s, uint64_t address, space_place place, uint64_t length,
                       unsigned wanted, uint64_t *out) {
    page_range r;
    unsigned access = 0;
    space_result result = access_of(wanted, &access);
    if (result == SPACE_OK) {
        result = choose(s, address, place, length, &r);
    }
    if (result != SPACE_OK) {
        return result;
    }
    uint64_t replaced = count_counted(s, r);
    if (access != 0 && r.count > replaced && !has_room(s, r.count - replaced)) {
        return SPACE_NO_MEMORY;
    }
    if (replaced > 0) {
        hold(s, r);
        drop(s, r);
        discard(s, r);
    }
    for (uint64_t i = r.first; i < r.first + r.count; i++) {
        set_access(s, i, access);
    }
    note_peak(s);
    tell(s, r);
    *out = r.first * SPACE_PAGE_BYTES;
    return SPACE_OK;
}

space_result space_unmap(space *s, uint64_t address, uint64_t length) {
    page_range r;
    space_result result = range_of(s, address, length, &r);
    if (result != SPACE_OK) {
        return result;
    }
    hold(s, r);
    drop(s, r);
    tell(s, r); /* before: the guest must not reach pages that are being given back */
    discard(s, r);
    return SPACE_OK;
}

space_result space_protect(space *s, uint64_t address, uint64_t length, unsigned wanted) {
    page_range r;
    unsigned access = 0;
    if (length == 0) {
        return address % SPACE_PAGE_BYTES == 0 ? SPACE_OK : SPACE_INVALID;
    }
    space_result result = access_of(wanted, &access);
    if (result != SPACE_OK) {
        return result;
    }
    if (range_of(s, address, length, &r) != SPACE_OK) {
        return address % SPACE_PAGE_BYTES == 0 ? SPACE_ABSENT : SPACE_INVALID;
    }
    if (!all_mapped(s, r)) {
        return SPACE_ABSENT;
    }
    if (access != 0 && !has_room(s, r.count - count_counted(s, r))) {
        return SPACE_NO_MEMORY;
    }
    hold(s, r);
    for (uint64_t i = r.first; i < r.first + r.count; i++) {
        set_access(s, i, access);
    }
    note_peak(s);
    tell(s, r);
    return SPACE_OK;
}

space_result space_clear(space *s, uint64_t address, uint64_t length) {
    page_range r;
    if (length == 0) {
        return address % SPACE_PAGE_BYTES == 0 ? SPACE_OK : SPACE_INVALID;
    }
    if (range_of(s, address, length, &r) != SPACE_OK) {
        return address % SPACE_PAGE_BYTES == 0 ? SPACE_ABSENT : SPACE_INVALID;
    }
    if (!all_mapped(s, r)) {
        return SPACE_ABSENT;
    }
    discard(s, r);
    for (uint64_t i = r.first; i < r.first + r.count; i++) {
        if ((s->flags[i] & SPACE_USED) != 0) {
            memset(page_at(s, i), 0, SPACE_PAGE_BYTES);
        } else if ((s->flags[i] & SPACE_COUNTED) != 0) {
            s->flags[i] |= SPACE_USED; /* the guest can write it again */
        }
    }
    return SPACE_OK;
}

/* ---- moving ---------------------------------------------------------------------------- */

static bool same_access(const space *s, page_range r) {
    for (uint64_t i = r.first; i < r.first + r.count; i++) {
        if ((s->flags[i] & SPACE_ACCESS) != (s->flags[r.first] & SPACE_ACCESS)) {
            return false;
        }
    }
    return true;
}

/* `to` is vacant and does not touch `from`. Pages count once: the old ones go. */
static void move_pages(space *s, page_range from, page_range to, unsigned access) {
    uint64_t kept = from.count < to.count ? from.count : to.count;
    hold(s, from);
    for (uint64_t i = 0; i < to.count; i++) {
        bool holds = i < kept && (s->flags[from.first + i] & SPACE_COUNTED) != 0;
        set_access(s, to.first + i, holds ? SPACE_READ : access);
        if (holds) {
            memcpy(page_at(s, to.first + i), page_at(s, from.first + i), SPACE_PAGE_BYTES);
            set_access(s, to.first + i, access);
        }
    }
    drop(s, from);
    tell(s, from);
    tell(s, to);
    discard(s, from);
}

static space_result grow_in_place(space *s, page_range from, page_range to, unsigned access) {
    page_range more = {from.first + from.count, to.count - from.count};
    if (to.count > s->n_pages - from.first || !none_mapped(s, more)) {
        return SPACE_EXISTS;
    }
    for (uint64_t i = more.first; i < more.first + more.count; i++) {
        set_access(s, i, access);
    }
    tell(s, more);
    return SPACE_OK;
}

/* Makes room at an address that the guest names. */
static space_result vacate(space *s, uint64_t address, uint64_t length, page_range from,
                           page_range *to) {
    space_result result = range_of(s, address, length, to);
    if (result != SPACE_OK) {
        return SPACE_INVALID;
    }
    if (to->first < LOWEST_PAGE) {
        return SPACE_DENIED;
    }
    bool apart = to->first + to->count <= from.first || from.first + from.count <= to->first;
    return apart ? space_unmap(s, address, length) : SPACE_INVALID;
}

space_result space_remap(space *s, uint64_t address, uint64_t old_length, uint64_t new_length,
                         bool may_move, bool fixed, uint64_t *out) {
    page_range from, to;
    space_result result = range_of(s, address, old_length, &from);
    if (result != SPACE_OK || new_length == 0) {
        return old_length != 0 && new_length != 0 && address % SPACE_PAGE_BYTES == 0
                   ? SPACE_ABSENT
                   : SPACE_INVALID;
    }
    if (!all_mapped(s, from) || !same_access(s, from)) {
        return SPACE_ABSENT;
    }
    if (range_of(s, 0, new_length, &to) != SPACE_OK) {
        return SPACE_NO_MEMORY;
    }
    unsigned access = s->flags[from.first] & SPACE_ACCESS;
    uint64_t growth = access != 0 && to.count > from.count ? to.count - from.count : 0;
    if (!has_room(s, growth)) {
        return SPACE_NO_MEMORY;
    }
    to.first = from.first;
    if (fixed) {
        result = vacate(s, *out, new_length, from, &to);
    } else if (to.count <= from.count) {
        *out = address;
        return to.count == from.count ? SPACE_OK
                                      : space_unmap(s, address + to.count * SPACE_PAGE_BYTES,
                                                    (from.count - to.count) * SPACE_PAGE_BYTES);
    } else if (grow_in_place(s, from, to, access) == SPACE_OK) {
        note_peak(s);
        *out = address;
        return SPACE_OK;
    } else {
        result = may_move && find_hole(s, to.count, &to.first) ? SPACE_OK : SPACE_NO_MEMORY;
    }
    if (result != SPACE_OK) {
        return result;
    }
    move_pages(s, from, to, access);
    note_peak(s);
    *out = to.first * SPACE_PAGE_BYTES;
    return SPACE_OK;
}

/* ---- the heap -------------------------------------------------------------------------- */

void space_set_break(space *s, uint64_t address) {
    s->break_start = address;
    s->break_end = address;
}

static uint64_t page_end(uint64_t address) {
    return (address + SPACE_PAGE_BYTES - 1) / SPACE_PAGE_BYTES * SPACE_PAGE_BYTES;
}

uint64_t space_brk(space *s, uint64_t address) {
    if (address < s->break_start || address > s->options.size_bytes) {
        return s->break_end;
    }
    uint64_t before = page_end(s->break_end);
    uint64_t after = page_end(address);
    uint64_t at;
    space_result result = SPACE_OK;
    if (after > before) {
        result = space_map(s, before, SPACE_VACANT, after - before, SPACE_READ | SPACE_WRITE, &at);
    } else if (after < before) {
        result = space_unmap(s, after, before - after);
    }
    s->break_end = result == SPACE_OK ? address : s->break_end;
    return s->break_end;
}

/* ---- bytes of the guest ---------------------------------------------------------------- */

void *space_pointer(const space *s, uint64_t address, uint64_t length, unsigned access) {
    if (length == 0) {
        return s->options.ram;
    }
    if (address >= s->options.size_bytes || length > s->options.size_bytes - address) {
        return NULL;
    }
    uint64_t last = (address + length - 1) / SPACE_PAGE_BYTES;
    unsigned needed = SPACE_MAPPED | (access & SPACE_ACCESS);
    for (uint64_t page = address / SPACE_PAGE_BYTES; page <= last; page++) {
        if ((s->flags[page] & needed) != needed) {
            return NULL;
        }
    }
    return s->options.ram + address;
}

bool space_get(const space *s, uint64_t address, void *out, size_t length) {
    const void *from = space_pointer(s, address, length, SPACE_READ);
    if (from && length > 0) {
        memcpy(out, from, length);
    }
    return from != NULL;
}

bool space_put(const space *s, uint64_t address, const void *bytes, size_t length) {
    void *to = space_pointer(s, address, length, SPACE_WRITE);
    if (to && length > 0) {
        memcpy(to, bytes, length);
    }
    return to != NULL;
}

space_text space_get_text(const space *s, uint64_t address, char *out, size_t capacity,
                          size_t *length) {
    size_t n = 0;
    *length = 0;
    while (n < capacity) {
        uint64_t at = address + n;
        uint64_t left_in_page = SPACE_PAGE_BYTES - at % SPACE_PAGE_BYTES;
        size_t part = left_in_page < capacity - n ? (size_t)left_in_page : capacity - n;
        if (at < address || !space_get(s, at, out + n, part)) {
            return SPACE_TEXT_FAULT;
        }
        const char *end = memchr(out + n, '\0', part); /* of the copy: the guest's may change */
        if (end) {
            *length = (size_t)(end - out);
            return SPACE_TEXT_OK;
        }
        n += part;
    }
    return SPACE_TEXT_LONG;
}
