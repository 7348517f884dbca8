#include "runtime/microvm/pages.h"

#include "platform/platform.h"

#include <string.h>

/* Pages of the system area, in this order; those of each processor follow, then the tables of the
 * guest's memory. */
enum {
    AT_ENTRY,
    AT_LEVEL_4,
    AT_LEVEL_3,
    AT_LEVEL_2, /* four: one for each GiB below 4 */
    AT_SYSTEM_LEAVES = AT_LEVEL_2 + 4,
    AT_PROCESSORS
};

/* Pages of a processor: descriptor tables with its task segment, and its stack for faults. */
enum { OF_DESCRIPTORS, OF_STACK, N_OF_PROCESSOR };

/* Bits of an entry (AMD64 Architecture Programmer's Manual, volume 2, section 5.4). */
#define ENTRY_PRESENT ((uint64_t)1)
#define ENTRY_WRITABLE ((uint64_t)2)
#define ENTRY_USER ((uint64_t)4)
#define ENTRY_ACCESSED ((uint64_t)0x20)
#define ENTRY_DIRTY ((uint64_t)0x40)
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

static size_t first_leaf(const pages *p) {
    return page_of_processor(p->n_processors, 0);
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
    put64(task + 4, stack + PAGE_BYTES); /* of ring 0 */
    task[102] = TSS_HEAD_BYTES;          /* where the bitmap of ports begins */
    memset(task + TSS_HEAD_BYTES, 0xFF, TSS_PORT_BYTES + 1);
    task[TSS_HEAD_BYTES + PORT_CALL / 8] &= (uint8_t)~(1 << PORT_CALL % 8);
    for (unsigned i = 0; i < N_FAULTS; i++) {
        uint64_t handler = address_of(AT_ENTRY) + ENTRY_FAULTS_AT + i * ENTRY_FAULT_BYTES;
        /* interrupt gates of ring 0; a program may call those of INT3 and INTO itself */
        uint64_t kind = i == 3 || i == 4 ? 0xEE : 0x8E;
        put64(base + IDT_AT + i * 16, (handler & 0xFFFF) | (uint64_t)KERNEL_CODE << 16 |
                                          kind << 40 | (handler >> 16 & 0xFFFF) << 48);
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

static void link_tables(pages *p) {
    const uint64_t inner = ENTRY_PRESENT | ENTRY_WRITABLE | ENTRY_USER | ENTRY_ACCESSED;
    put64(page(p, AT_LEVEL_4), address_of(AT_LEVEL_3) | inner);
    for (size_t i = 0; i < 4; i++) {
        put64(page(p, AT_LEVEL_3) + i * 8, address_of(AT_LEVEL_2 + i) | inner);
    }
    size_t n_leaves = (p->n_ram + ENTRIES - 1) / ENTRIES;
    uint8_t *level_2 = page(p, AT_LEVEL_2);
    for (size_t i = 0; i < n_leaves; i++) {
        put64(level_2 + i * 8, address_of(first_leaf(p) + i) | inner);
    }
    put64(level_2 + (SYSTEM_ADDRESS >> 21) * 8, address_of(AT_SYSTEM_LEAVES) | inner);
    uint8_t *leaves = page(p, AT_SYSTEM_LEAVES);
    const uint64_t seen = ENTRY_PRESENT | ENTRY_ACCESSED;
    put64(leaves + AT_ENTRY * 8, address_of(AT_ENTRY) | seen | ENTRY_USER);
    for (unsigned i = 0; i < p->n_processors; i++) {
        size_t descriptors = page_of_processor(i, OF_DESCRIPTORS);
        size_t stack = page_of_processor(i, OF_STACK);
        put64(leaves + descriptors * 8, address_of(descriptors) | seen | ENTRY_NO_EXECUTE);
        put64(leaves + stack * 8,
              address_of(stack) | seen | ENTRY_DIRTY | ENTRY_WRITABLE | ENTRY_NO_EXECUTE);
    }
}

tars_status pages_create(uint64_t ram_bytes, unsigned n_processors, pages *out, tars_error *err) {
    *out = (pages){.n_processors = n_processors};
    if (n_processors == 0 || n_processors > VMM_MAX_PROCESSORS) {
        return error_set(err, TARS_USAGE, "a micro-VM of %u processors; 1 to %d are possible",
                         n_processors, VMM_MAX_PROCESSORS);
    }
    if (ram_bytes == 0 || ram_bytes % PAGE_BYTES != 0 || ram_bytes > PAGES_MAX_RAM_BYTES) {
        return error_set(err, TARS_USAGE, "a micro-VM of %llu bytes; up to 3 GiB in pages of 4 KiB",
                         (unsigned long long)ram_bytes);
    }
    size_t n_ram = (size_t)(ram_bytes / PAGE_BYTES);
    size_t n_leaves = (n_ram + ENTRIES - 1) / ENTRIES;
    size_t bytes = (first_leaf(out) + n_leaves) * PAGE_BYTES;
    void *memory;
    tars_status status = platform_reserve(bytes, false, &memory, err);
    if (status != TARS_OK) {
        return status;
    }
    out->memory = memory;
    out->size_bytes = bytes;
    out->ram = (uint64_t *)(void *)page(out, first_leaf(out));
    out->n_ram = n_ram;
    out->table = address_of(AT_LEVEL_4);
    for (unsigned i = 0; i < n_processors; i++) {
        write_descriptors(out, i);
    }
    write_entry(out);
    link_tables(out);
    return TARS_OK;
}

void pages_destroy(pages *p) {
    if (p->memory) {
        platform_release(p->memory, p->size_bytes);
        *p = (pages){0};
    }
}

bool pages_is_entry(uint64_t address) {
    return address - address_of(AT_ENTRY) < PAGE_BYTES;
}

bool pages_set(pages *p, size_t first, size_t count, unsigned rights) {
    uint64_t bits = 0;
    bool changed = false;
    if (rights != 0) {
        bits = ENTRY_PRESENT | ENTRY_USER | ENTRY_ACCESSED | ENTRY_DIRTY |
               (rights & PAGE_WRITE ? ENTRY_WRITABLE : 0) |
               (rights & PAGE_EXECUTE ? 0 : ENTRY_NO_EXECUTE);
    }
    for (size_t i = first; i < first + count && i < p->n_ram; i++) {
        uint64_t now = bits == 0 ? 0 : bits | i * PAGE_BYTES;
        uint64_t before = p->ram[i];
        changed = changed || ((before & ENTRY_PRESENT) != 0 && now != before);
        p->ram[i] = now;
    }
    return changed;
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
