#include "runtime/microvm/pages.h"

#include "platform/platform.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Pages of the system area that stay what they are, in this order; those of each processor follow,
 * then tables. */
enum { AT_ENTRY, AT_SYSTEM_LEAVES, AT_PROCESSORS };
enum { N_LEVEL_2 = 4 /* one for each GiB below 4 */, N_UPPER = 2 + N_LEVEL_2 };
enum { MAX_LEAVES = PAGES_MAX_RAM_BYTES >> 21 };
enum { SPARE_PAGES = 1024 /* tables that are written anew before all is forgotten */ };

/* Pages of a processor: descriptor tables with its task segment, and its stack for faults. */
enum { OF_DESCRIPTORS, OF_STACK, N_OF_PROCESSOR };

/* Bits of an entry (AMD64 Architecture Programmer's Manual, volume 2, section 5.4). */
#define ENTRY_PRESENT ((uint64_t)1)
#define ENTRY_WRITABLE ((uint64_t)2)
#define ENTRY_USER ((uint64_t)4)
#define ENTRY_ACCESSED ((uint64_t)0x20)
#define ENTRY_DIRTY ((uint64_t)0x40)
#define ENTRY_LARGE ((uint64_t)0x80)
#define ENTRY_NO_EXECUTE ((uint64_t)1 << 63)

enum {
    ENTRIES = 512,
    GDT_AT = 0,
    GDT_BYTES = 7 * 8,
    TSS_AT = 0x100,
    TSS_HEAD_BYTES = 104,
    TSS_PORT_BYTES = 0x100 / 8,
    TSS_BYTES = TSS_HEAD_BYTES + TSS_PORT_BYTES + 1,
    IDT_AT = 0x800,
    IDT_BYTES = N_FAULTS * 16,
    /* within the entry page */
    ENTRY_CALL_AT = 0,
    ENTRY_FAULTS_AT = 0x100,
    ENTRY_FAULT_BYTES = 16
};
enum {
    KERNEL_CODE = 0x08,
    KERNEL_DATA = 0x10,
    USER_DATA = 0x18 | 3,
    USER_CODE = 0x20 | 3,
    TASK = 0x28
};

static uint8_t *page(const pages *p, size_t index) {
    return p->memory + index * PAGE_BYTES;
}

static uint64_t address_of(size_t index) {
    return SYSTEM_ADDRESS + index * PAGE_BYTES;
}

static size_t page_of_processor(unsigned processor, unsigned which) {
    return AT_PROCESSORS + (size_t)processor * N_OF_PROCESSOR + which;
}

static size_t first_table(const pages *p) {
    return page_of_processor(p->n_processors, 0);
}

static size_t count_leaves(const pages *p) {
    return (p->n_ram + ENTRIES - 1) / ENTRIES;
}

static void put64(uint8_t *at, uint64_t value) {
    memcpy(at, &value, sizeof value); /* little-endian, as this CPU */
}

/* ---- descriptors --------------------------------------------------------------------------- */

static void write_descriptors(const pages *p, unsigned processor) {
    const size_t own = page_of_processor(processor, OF_DESCRIPTORS);
    uint8_t *base = page(p, own);
    /* accessed bits are set already, so that nothing has to be written here */
    static const uint64_t segments[5] = {0, UINT64_C(0x00AF9B000000FFFF),
                                         UINT64_C(0x00CF93000000FFFF), UINT64_C(0x00CFF3000000FFFF),
                                         UINT64_C(0x00AFFB000000FFFF)};
    memcpy(base + GDT_AT, segments, sizeof segments);
    uint64_t tss = address_of(own) + TSS_AT;
    const uint64_t limit = TSS_BYTES - 1;
    put64(base + GDT_AT + TASK,
          limit | (tss & 0xFFFFFF) << 16 | UINT64_C(0x8B) << 40 | (tss >> 24 & 0xFF) << 56);
    put64(base + GDT_AT + TASK + 8, tss >> 32);
    uint8_t *task = base + TSS_AT;
    const uint64_t stack = address_of(page_of_processor(processor, OF_STACK));
    put64(task + 36, stack + PAGE_BYTES); /* stack 1, for faults */
    task[102] = TSS_HEAD_BYTES;           /* where the bitmap of ports begins */
    memset(task + TSS_HEAD_BYTES, 0xFF, TSS_PORT_BYTES + 1);
    task[TSS_HEAD_BYTES + PORT_CALL / 8] &= (uint8_t)~(1 << PORT_CALL % 8);
    for (unsigned i = 0; i < N_FAULTS; i++) {
        uint64_t handler = address_of(AT_ENTRY) + ENTRY_FAULTS_AT + i * ENTRY_FAULT_BYTES;
        /* Interrupt gates of ring 0; a program may call those of INT3 and INTO itself. Always on
         * stack 1: the entry page, in ring 0, has a stack of the program's. */
        uint64_t kind = i == 3 || i == 4 ? 0xEE01 : 0x8E01;
        put64(base + IDT_AT + i * 16, (handler & 0xFFFF) | (uint64_t)KERNEL_CODE << 16 |
                                          kind << 32 | (handler >> 16 & 0xFFFF) << 48);
        put64(base + IDT_AT + i * 16 + 8, handler >> 32);
    }
}

/* out %al, $port; then what returns: SYSRET where the call came to ring 0 (in ring 3 the host
 * returns itself). A fault ends the guest: its handler never goes on. */
static void write_entry(const pages *p) {
    uint8_t *code = page(p, AT_ENTRY);
    memset(code, 0xCC, PAGE_BYTES); /* int3 */
    static const uint8_t call[] = {0xE6, PORT_CALL, 0x48, 0x0F, 0x07};
    memcpy(code + ENTRY_CALL_AT, call, sizeof call);
    for (unsigned i = 0; i < N_FAULTS; i++) {
        const uint8_t fault[] = {0xE6, (uint8_t)(PORT_FAULT + i), 0xEB, 0xFC};
        memcpy(code + ENTRY_FAULTS_AT + i * ENTRY_FAULT_BYTES, fault, sizeof fault);
    }
}

/* ---- tables -------------------------------------------------------------------------------- */

typedef enum page_state {
    PAGE_FREE, /* no processor knows what was there before */
    PAGE_USED,
    PAGE_LEFT /* unused, but processors may know it */
} page_state;

typedef struct page_use {
    uint8_t state;
    uint32_t since; /* the generation; in the one that goes on no processor knows it */
} page_use;

typedef struct page_leaf {
    uint32_t page;      /* 0: none, nothing there is mapped */
    uint16_t n_present; /* entries */
} page_leaf;

#define INNER (ENTRY_PRESENT | ENTRY_WRITABLE | ENTRY_USER | ENTRY_ACCESSED)

static uint64_t *entries_of(const pages *p, size_t table) {
    return (uint64_t *)(void *)page(p, table);
}

/* A processor may read it at any time. */
static void set_entry(const pages *p, size_t table, size_t index, uint64_t entry) {
    __atomic_store_n(&entries_of(p, table)[index], entry, __ATOMIC_RELEASE);
}

static bool is_unknown(const pages *p, size_t table) {
    return p->uses[table].since == p->generation;
}

/* An empty table; there must be a free page. */
static size_t take(pages *p) {
    while (p->uses[p->next].state != PAGE_FREE) {
        p->next = p->next + 1 < p->n_pages ? p->next + 1 : first_table(p);
    }
    size_t table = p->next;
    p->uses[table] = (page_use){.state = PAGE_USED, .since = p->generation};
    p->n_free--;
    memset(page(p, table), 0, PAGE_BYTES);
    return table;
}

static void leave(pages *p, size_t table) {
    bool is_free = is_unknown(p, table);
    p->uses[table].state = is_free ? PAGE_FREE : PAGE_LEFT;
    p->n_free += is_free ? 1 : 0;
}

static size_t take_copy(pages *p, size_t table) {
    size_t copy = take(p);
    memcpy(page(p, copy), page(p, table), PAGE_BYTES);
    leave(p, table);
    return copy;
}

/* Lets no processor know the tables above a GiB's leaves; false: there are too few pages. */
static bool renew_path(pages *p, size_t gib) {
    if (is_unknown(p, p->level_2[gib])) { /* then those above, too */
        return true;
    }
    if (p->n_free < 3) {
        return false;
    }
    if (!is_unknown(p, p->level_4)) {
        p->level_4 = take_copy(p, p->level_4);
        p->table = address_of(p->level_4);
        p->level_3 = take_copy(p, p->level_3);
        set_entry(p, p->level_4, 0, address_of(p->level_3) | INNER);
    }
    p->level_2[gib] = take_copy(p, p->level_2[gib]);
    set_entry(p, p->level_3, gib, address_of(p->level_2[gib]) | INNER);
    return true;
}

static void link_leaf(pages *p, size_t index, size_t table) {
    p->leaves[index].page = (uint32_t)table;
    set_entry(p, p->level_2[index / ENTRIES], index % ENTRIES,
              table != 0 ? address_of(table) | INNER : 0);
}

/* Where nothing was: processors that run may know it from then on. */
static bool add_leaf(pages *p, size_t index) {
    if (p->n_free == 0) {
        return false;
    }
    size_t table = take(p);
    if (!is_unknown(p, p->level_2[index / ENTRIES])) {
        p->uses[table].since--;
    }
    link_leaf(p, index, table);
    return true;
}

/* Takes it away when it is empty soon, else makes it one that no processor knows. */
static bool renew_leaf(pages *p, size_t index, bool is_empty) {
    size_t table = p->leaves[index].page;
    if (is_unknown(p, table) && !is_empty) {
        return true;
    }
    if (!renew_path(p, index / ENTRIES) || (!is_empty && p->n_free == 0)) {
        return false;
    }
    if (is_empty) {
        link_leaf(p, index, 0);
        p->leaves[index].n_present = 0;
        leave(p, table);
    } else {
        link_leaf(p, index, take_copy(p, table));
    }
    return true;
}

static void make_far_tables(pages *p) {
    for (size_t i = 0; i < p->n_far / ENTRIES; i++) {
        size_t table = take(p); /* one behind the other */
        p->first_far = i == 0 ? table : p->first_far;
        set_entry(p, p->level_3, N_LEVEL_2 + i, address_of(table) | INNER);
    }
}

static void make_tables(pages *p) {
    p->next = first_table(p);
    p->n_free = p->n_pages - p->next;
    p->generation = 1; /* of all there is now */
    p->level_4 = take(p);
    p->level_3 = take(p);
    p->table = address_of(p->level_4);
    set_entry(p, p->level_4, 0, address_of(p->level_3) | INNER);
    for (size_t i = 0; i < N_LEVEL_2; i++) {
        p->level_2[i] = take(p);
        set_entry(p, p->level_3, i, address_of(p->level_2[i]) | INNER);
    }
    make_far_tables(p);
    set_entry(p, p->level_2[SYSTEM_ADDRESS >> 30], SYSTEM_ADDRESS >> 21 & (ENTRIES - 1),
              address_of(AT_SYSTEM_LEAVES) | INNER);
    const uint64_t seen = ENTRY_PRESENT | ENTRY_ACCESSED;
    set_entry(p, AT_SYSTEM_LEAVES, AT_ENTRY, address_of(AT_ENTRY) | seen | ENTRY_USER);
    for (unsigned i = 0; i < p->n_processors; i++) {
        size_t descriptors = page_of_processor(i, OF_DESCRIPTORS);
        size_t stack = page_of_processor(i, OF_STACK);
        set_entry(p, AT_SYSTEM_LEAVES, descriptors,
                  address_of(descriptors) | seen | ENTRY_NO_EXECUTE);
        set_entry(p, AT_SYSTEM_LEAVES, stack,
                  address_of(stack) | seen | ENTRY_DIRTY | ENTRY_WRITABLE | ENTRY_NO_EXECUTE);
    }
}

static tars_status check_sizes(uint64_t ram_bytes, unsigned n_processors, uint64_t far_bytes,
                               tars_error *err) {
    if (n_processors == 0 || n_processors > VMM_MAX_PROCESSORS) {
        return error_set(err, TARS_USAGE, "a micro-VM of %u processors; 1 to %d are possible",
                         n_processors, VMM_MAX_PROCESSORS);
    }
    if (ram_bytes == 0 || ram_bytes % PAGE_BYTES != 0 || ram_bytes > PAGES_MAX_RAM_BYTES) {
        return error_set(err, TARS_USAGE, "a micro-VM of %llu bytes; up to 3 GiB in pages of 4 KiB",
                         (unsigned long long)ram_bytes);
    }
    if (far_bytes > PAGES_MAX_FAR_BYTES) {
        return error_set(err, TARS_LIMIT, "a micro-VM with %llu bytes behind 4 GiB; up to 500 GiB",
                         (unsigned long long)far_bytes);
    }
    return TARS_OK;
}

static tars_status create(uint64_t ram_bytes, unsigned n_processors, uint64_t far_bytes,
                          size_t n_spare, pages *out, tars_error *err) {
    *out = (pages){.n_processors = n_processors};
    tars_status status = check_sizes(ram_bytes, n_processors, far_bytes, err);
    if (status != TARS_OK) {
        return status;
    }
    const uint64_t table_bytes = ENTRIES * PAGES_LARGE_BYTES;
    size_t n_far_tables = (size_t)((far_bytes + table_bytes - 1) / table_bytes);
    out->n_ram = (size_t)(ram_bytes / PAGE_BYTES);
    out->n_far = n_far_tables * ENTRIES;
    out->n_pages = first_table(out) + N_UPPER + count_leaves(out) + n_far_tables + n_spare;
    void *memory;
    status = platform_reserve(out->n_pages * PAGE_BYTES, false, &memory, err);
    if (status != TARS_OK) {
        return status;
    }
    out->memory = memory;
    out->size_bytes = out->n_pages * PAGE_BYTES;
    out->uses = calloc(out->n_pages, sizeof *out->uses);
    out->leaves = calloc(MAX_LEAVES, sizeof *out->leaves);
    if (!out->uses || !out->leaves) {
        pages_destroy(out);
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the tables of a machine");
    }
    write_entry(out);
    for (unsigned i = 0; i < n_processors; i++) {
        write_descriptors(out, i);
    }
    make_tables(out);
    return TARS_OK;
}

tars_status pages_create(uint64_t ram_bytes, unsigned n_processors, pages *out, tars_error *err) {
    return create(ram_bytes, n_processors, 0, SPARE_PAGES, out, err);
}

tars_status pages_create_far(uint64_t ram_bytes, unsigned n_processors, uint64_t far_bytes,
                             pages *out, tars_error *err) {
    return create(ram_bytes, n_processors, far_bytes, 0, out, err);
}

void pages_move(const pages *p, void *memory, pages *out) {
    *out = *p;
    out->memory = memory;
    out->uses = NULL;
    out->leaves = NULL;
}

void pages_destroy(pages *p) {
    if (p->memory) {
        platform_release(p->memory, p->size_bytes);
    }
    free(p->uses);
    free(p->leaves);
    *p = (pages){0};
}

bool pages_is_entry(uint64_t address) {
    return address - address_of(AT_ENTRY) < PAGE_BYTES;
}

static size_t count_present(const uint64_t *entries, size_t count) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        n += (entries[i] & ENTRY_PRESENT) != 0 ? 1 : 0;
    }
    return n;
}

/* Pages that lie in one leaf; entry i becomes bits | (first + i) * PAGE_BYTES, or 0 without bits.
 */
static bool set_in_leaf(pages *p, size_t first, size_t count, uint64_t bits) {
    page_leaf *leaf = &p->leaves[first / ENTRIES];
    size_t at = first % ENTRIES;
    if (leaf->page == 0) {
        if (bits == 0 || !add_leaf(p, first / ENTRIES)) {
            return bits == 0;
        }
    }
    size_t n_before = count_present(entries_of(p, leaf->page) + at, count);
    bool changes = false;
    for (size_t i = 0; n_before > 0 && i < count && !changes; i++) {
        uint64_t before = entries_of(p, leaf->page)[at + i];
        changes = (before & ENTRY_PRESENT) != 0 &&
                  before != (bits != 0 ? bits | (first + i) * PAGE_BYTES : 0);
    }
    bool is_empty = bits == 0 && n_before == leaf->n_present;
    if (changes && !renew_leaf(p, first / ENTRIES, is_empty)) {
        return false;
    }
    if (leaf->page == 0) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        set_entry(p, leaf->page, at + i, bits != 0 ? bits | (first + i) * PAGE_BYTES : 0);
    }
    leaf->n_present = (uint16_t)(leaf->n_present - n_before + (bits != 0 ? count : 0));
    return true;
}

static uint64_t entry_bits(unsigned rights) {
    return rights == 0 ? 0
                       : ENTRY_PRESENT | ENTRY_USER | ENTRY_ACCESSED | ENTRY_DIRTY |
                             (rights & PAGE_WRITE ? ENTRY_WRITABLE : 0) |
                             (rights & PAGE_EXECUTE ? 0 : ENTRY_NO_EXECUTE);
}

bool pages_set(pages *p, size_t first, size_t count, unsigned rights) {
    uint64_t bits = entry_bits(rights);
    size_t end = first + count < p->n_ram ? first + count : p->n_ram;
    while (first < end) {
        size_t left_in_leaf = ENTRIES - first % ENTRIES;
        size_t part = end - first < left_in_leaf ? end - first : left_in_leaf;
        if (!set_in_leaf(p, first, part, bits)) {
            return false;
        }
        first += part;
    }
    return true;
}

void pages_set_large(pages *p, uint64_t address, uint64_t size_bytes, unsigned rights) {
    uint64_t bits = entry_bits(rights) | ENTRY_LARGE;
    assert(address % PAGES_LARGE_BYTES == 0 && rights != 0);
    for (uint64_t at = address; at < address + size_bytes; at += PAGES_LARGE_BYTES) {
        size_t index = (size_t)(at / PAGES_LARGE_BYTES);
        bool is_near = at < SYSTEM_ADDRESS;
        assert(is_near || (at - PAGES_FAR) / PAGES_LARGE_BYTES < p->n_far);
        if (is_near && index < count_leaves(p) && p->leaves[index].page != 0) {
            leave(p, p->leaves[index].page);
            p->leaves[index] = (page_leaf){.page = 0};
        }
        size_t table =
            is_near ? p->level_2[index / ENTRIES] : p->first_far + index / ENTRIES - N_LEVEL_2;
        set_entry(p, table, index % ENTRIES, bits | at);
    }
}

void pages_seen(pages *p) {
    p->generation += is_unknown(p, p->level_4) ? 1 : 0;
}

void pages_forgotten(pages *p) {
    p->generation++;
    for (size_t i = first_table(p); i < p->n_pages; i++) {
        page_use *use = &p->uses[i];
        p->n_free += use->state == PAGE_LEFT ? 1 : 0;
        *use = (page_use){.state = use->state == PAGE_USED ? PAGE_USED : PAGE_FREE,
                          .since = p->generation};
    }
}

void pages_tables(const pages *p, unsigned processor, vmm_tables *out) {
    uint64_t base = address_of(page_of_processor(processor, OF_DESCRIPTORS));
    *out = (vmm_tables){.page_table = p->table,
                        .gdt = base + GDT_AT,
                        .gdt_bytes = GDT_BYTES,
                        .idt = base + IDT_AT,
                        .idt_bytes = IDT_BYTES,
                        .tss = base + TSS_AT,
                        .tss_bytes = TSS_BYTES,
                        .kernel_code = KERNEL_CODE,
                        .kernel_data = KERNEL_DATA,
                        .user_code = USER_CODE,
                        .user_data = USER_DATA,
                        .task = TASK,
                        .call_entry = address_of(AT_ENTRY) + ENTRY_CALL_AT};
}

/* Downwards from the end of the stack: SS, RSP, RFLAGS, CS, RIP, and an error code for some. */
void pages_read_fault(const pages *p, unsigned processor, unsigned exception,
                      page_fault_frame *out) {
    static const uint32_t with_error = 1u << 8 | 0x1Fu << 10 | 1u << 17 | 1u << 21;
    const uint8_t *end = page(p, page_of_processor(processor, OF_STACK)) + PAGE_BYTES;
    *out = (page_fault_frame){.has_error = (with_error >> exception & 1) != 0};
    memcpy(&out->rsp, end - 2 * 8, 8);
    memcpy(&out->rflags, end - 3 * 8, 8);
    memcpy(&out->rip, end - 5 * 8, 8);
    if (out->has_error) {
        memcpy(&out->error, end - 6 * 8, 8);
    }
}
