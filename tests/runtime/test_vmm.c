/* The bare machine under the micro-VM: calls reach the host, faults are told, time is kept, and
 * what is not mapped cannot be reached. Guests are a few bytes of machine code. */
#include "platform/snapshot.h"
#include "vmm_fixture.h"

#include <stdio.h>

static void finish_call(bench *b, const vmm_exit *e, uint64_t result) {
    vmm_registers *r = b->vmm->registers(b->processor);
    r->general[VMM_RAX] = result;
    if (!e->in_supervisor) {
        r->rip = r->general[VMM_RCX];
        r->rflags = r->general[VMM_R11];
    }
}

static void calls_reach_the_host(void) {
    /* mov $7,%eax; mov $9,%edi; syscall; add $1,%rax; mov %rax,%rdi; mov $8,%eax; syscall */
    static const uint8_t code[] = {0xB8, 7,    0, 0,    0,    0xBF, 9,    0, 0, 0, 0x0F, 5,    0x48,
                                   0x83, 0xC0, 1, 0x48, 0x89, 0xC7, 0xB8, 8, 0, 0, 0,    0x0F, 5};
    bench b;
    if (begin(&b, code, sizeof code)) {
        const vmm_registers *r = b.vmm->registers(b.processor);
        vmm_exit e = run(&b, SECOND_NS);
        CHECK_INT(e.kind, VMM_EXIT_PORT);
        CHECK_INT(e.port, PORT_CALL);
        CHECK_INT(r->general[VMM_RAX], 7);
        CHECK_INT(r->general[VMM_RDI], 9);
        CHECK_INT(r->general[VMM_RCX], CODE_AT + 12);
        printf("    calls arrive in ring %d\n", e.in_supervisor ? 0 : 3);
        finish_call(&b, &e, 41);
        e = run(&b, SECOND_NS);
        CHECK_INT(e.kind, VMM_EXIT_PORT);
        CHECK_INT(r->general[VMM_RAX], 8);
        CHECK_INT(r->general[VMM_RDI], 42);
        CHECK_INT(r->general[VMM_RSP], STACK_TOP);
    }
    end(&b);
}

enum { ANY = 32 };

/* One instruction each that a guest must not get through. */
static const struct {
    const char *name;
    uint8_t code[12];
    size_t length;
    int exception; /* ANY: hosts differ */
    uint64_t address;
} fault_rows[] = {
    {"ud2", {0x0F, 0x0B}, 2, 6, 0},
    {"hlt", {0xF4}, 1, 13, 0},
    {"cli", {0xFA}, 1, 13, 0},
    {"in from another port", {0xE4, 0x60}, 2, 13, 0},
    {"out to another port", {0xE6, 0x81}, 2, 13, 0},
    {"out of two bytes", {0x66, 0xE7, 0x80}, 3, 13, 0},
    {"mov %cr3,%rax", {0x0F, 0x20, 0xD8}, 3, 13, 0},
    {"wrmsr", {0x0F, 0x30}, 2, 13, 0},
    {"lgdt", {0x0F, 0x01, 0x14, 0x24}, 4, 13, 0},
    {"lldt", {0x0F, 0x00, 0xD0}, 3, 13, 0},
    {"swapgs", {0x0F, 0x01, 0xF8}, 3, 13, 0},
    {"a load from page 0", {0x31, 0xC0, 0x8B, 0x40, 8}, 5, 14, 8},
    {"a store to its code", {0x48, 0x8D, 0x05, 0, 0, 0, 0, 0x88, 0x00}, 9, 14, CODE_AT + 7},
    {"a jump to its stack", {0x48, 0x83, 0xEC, 16, 0xFF, 0xE4}, 6, 14, STACK_TOP - 16},
    {"a division by zero", {0x31, 0xC9, 0xF7, 0xF1}, 4, 0, 0},
    {"a segment of a local table", {0xB8, 0x0F, 0, 0, 0, 0x8E, 0xD8}, 7, 13, 0},
    {"a gate of a local table", {0x6A, 0x0F, 0xFF, 0x5C, 0x24, 0xFC}, 6, 13, 0},
    {"a call of the task", {0x6A, 0x28, 0xFF, 0x5C, 0x24, 0xFC}, 6, ANY, 0},
    {"a return to ring 0", {0x6A, 0x08, 0x6A, 0, 0x48, 0xCB}, 6, ANY, 0},
    {"sysenter", {0x0F, 0x34}, 2, ANY, 0},
    {"int3", {0xCC}, 1, 3, 0},
    {"int $1", {0xCD, 0x01}, 2, ANY, 0},
    {"int $8", {0xCD, 0x08}, 2, ANY, 0},
    {"int $0x80", {0xCD, 0x80}, 2, ANY, 0},
    {"icebp", {0xF1}, 1, ANY, 0},
    {"a trap after each instruction", {0x9C, 0x80, 0x4C, 0x24, 1, 1, 0x9D, 0x90, 0x90}, 9, 1, 0},
};

static void faults_are_told(void) {
    for (size_t i = 0; i < sizeof fault_rows / sizeof fault_rows[0]; i++) {
        bench b;
        if (!begin(&b, fault_rows[i].code, fault_rows[i].length)) {
            end(&b);
            return;
        }
        vmm_exit e = run(&b, SECOND_NS);
        unsigned exception = (unsigned)e.port - PORT_FAULT;
        bool is_expected = fault_rows[i].exception == ANY
                               ? exception < N_FAULTS
                               : exception == (unsigned)fault_rows[i].exception;
        page_fault_frame frame = {0};
        if (e.kind == VMM_EXIT_PORT && is_expected) {
            pages_read_fault(&b.pages, 0, exception, &frame);
        }
        bool is_at =
            exception != 14 || fault_rows[i].exception == ANY || e.faulted == fault_rows[i].address;
        if (frame.rip < CODE_AT || frame.rip >= STACK_TOP || !is_at) {
            check_fail(__FILE__, __LINE__, "%s: exit %d, port %x, detail %u, %llx at %llx",
                       fault_rows[i].name, (int)e.kind, e.port, e.detail,
                       (unsigned long long)e.faulted, (unsigned long long)frame.rip);
        }
        end(&b);
    }
}

/* What lies in the entry page gives a program in ring 3 nothing, wherever it jumps to. */
static void entry_page_gives_nothing(void) {
    static const uint8_t code[] = {0x0F, 0x0B};
    bench b;
    tars_error err = {.message = ""};
    if (begin(&b, code, sizeof code)) {
        vmm_tables tables;
        pages_tables(&b.pages, 0, &tables);
        for (uint64_t at = 0; at < PAGE_BYTES; at++) {
            CHECK_INT(b.vmm->start(b.processor, &tables, tables.call_entry + at, STACK_TOP, &err),
                      TARS_OK);
            vmm_exit e = run(&b, SECOND_NS);
            bool is_call = at == 0 && e.port == PORT_CALL && !e.in_supervisor;
            bool is_fault = e.port >= PORT_FAULT && e.port < PORT_FAULT + N_FAULTS;
            if (e.kind != VMM_EXIT_PORT || !(is_call || is_fault)) {
                check_fail(__FILE__, __LINE__, "at %llx: exit %d, port %x, detail %u",
                           (unsigned long long)at, (int)e.kind, e.port, e.detail);
            }
        }
    }
    end(&b);
}

/* A processor that is in ring 0 goes on in the entry page or not at all. */
static void ring_0_is_the_entry_page(void) {
    static const uint8_t code[] = {0x0F, 5, 0xB8, 5, 0, 0, 0, 0x0F, 5};
    bench b;
    tars_error err = {.message = ""};
    if (begin(&b, code, sizeof code)) {
        vmm_registers *r = b.vmm->registers(b.processor);
        vmm_exit e = run(&b, SECOND_NS);
        CHECK_INT(e.port, PORT_CALL);
        bool in_supervisor = e.in_supervisor;
        uint64_t rip = r->rip;
        if (in_supervisor) {
            r->rip = CODE_AT + 2;
            CHECK_INT(b.vmm->run(b.processor, SECOND_NS, &e, &err), TARS_FAILED);
            r->rip = rip;
        }
        e.in_supervisor = in_supervisor;
        finish_call(&b, &e, 1);
        b.vmm->kick(b.processor);
        e = run(&b, SECOND_NS);
        CHECK_INT(e.kind, VMM_EXIT_KICKED);
        CHECK_INT(e.in_supervisor, in_supervisor);
        e = run(&b, SECOND_NS);
        CHECK_INT(e.port, PORT_CALL);
        CHECK_INT(r->general[VMM_RAX], 5);
    }
    end(&b);
}

/* Between SYSCALL and its return the stack is the program's, whatever that is: a fault there would
 * be told all the same. */
static void faults_need_no_stack(void) {
    static const uint8_t code[] = {0x0F, 5};
    static const uint64_t stacks[] = {0, 8, CODE_AT + 64, SYSTEM_ADDRESS + 64};
    for (size_t i = 0; i < sizeof stacks / sizeof stacks[0]; i++) {
        bench b;
        if (begin(&b, code, sizeof code)) {
            vmm_registers *r = b.vmm->registers(b.processor);
            r->general[VMM_RSP] = stacks[i];
            vmm_exit e = run(&b, SECOND_NS);
            CHECK_INT(e.port, PORT_CALL);
            CHECK_INT(r->general[VMM_RSP], stacks[i]);
            r->rip = (r->rip & ~(uint64_t)(PAGE_BYTES - 1)) + PAGE_BYTES - 16; /* int3 */
            page_fault_frame frame;
            e = run(&b, SECOND_NS);
            CHECK_INT(e.kind, VMM_EXIT_PORT);
            CHECK_INT(e.port, PORT_FAULT + 3);
            pages_read_fault(&b.pages, 0, 3, &frame);
            CHECK_INT(frame.rip % PAGE_BYTES, PAGE_BYTES - 15);
            CHECK_INT(frame.rsp, stacks[i]);
        }
        end(&b);
    }
}

typedef struct touch {
    const char *name;
    uint8_t code[2]; /* with the address in RDI */
    uint64_t error;  /* of the page fault, beside whether a page is there */
} touch;

/* The error's lowest bit says that a page is there: so the right one was tried. */
static void check_touch(const char *name, const touch *t, uint64_t address, bool is_mapped) {
    bench b;
    if (begin(&b, t->code, sizeof t->code)) {
        b.vmm->registers(b.processor)->general[VMM_RDI] = address;
        vmm_exit e = run(&b, SECOND_NS);
        page_fault_frame frame = {.error = 0};
        pages_read_fault(&b.pages, 0, 14, &frame);
        bool is_refused = e.kind == VMM_EXIT_PORT && e.port == PORT_FAULT + 14;
        if (!is_refused || frame.error != (t->error | (is_mapped ? 1 : 0))) {
            check_fail(__FILE__, __LINE__, "%s of %s: exit %d, port %x, error %llx", t->name, name,
                       (int)e.kind, e.port, (unsigned long long)frame.error);
        }
    }
    end(&b);
}

/* Where they lie is asked, not known: a test of another page would pass as well. */
static void tables_are_not_the_guests(void) {
    static const touch load = {"a load", {0x8A, 0x07}, 4};
    static const touch store = {"a store", {0x88, 0x07}, 6};
    static const touch jump = {"a jump", {0xFF, 0xE7}, 0x14};
    bench b;
    vmm_tables t;
    if (!begin(&b, load.code, sizeof load.code)) {
        end(&b);
        return;
    }
    pages_tables(&b.pages, 0, &t);
    uint64_t stack_end = 0; /* the first of its table of stacks */
    memcpy(&stack_end, b.pages.memory + (t.tss - SYSTEM_ADDRESS) + 36, sizeof stack_end);
    end(&b);
    const struct {
        const char *name;
        uint64_t address;
        bool is_mapped;
    } rows[] = {{"the descriptors", t.gdt, true},
                {"the table of faults", t.idt, true},
                {"the task segment", t.tss, true},
                {"the bitmap of ports", t.tss + t.tss_bytes - 1, true},
                {"the stack for faults", stack_end - 8, true},
                {"the page table", t.page_table, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check_touch(rows[i].name, &load, rows[i].address, rows[i].is_mapped);
        check_touch(rows[i].name, &store, rows[i].address, rows[i].is_mapped);
        check_touch(rows[i].name, &jump, rows[i].address, rows[i].is_mapped);
    }
    check_touch("the entry page", &store, t.call_entry, true);
}

/* A saved processor goes on in another machine, twice, with its own memory. */
static void states_are_kept(void) {
    /* mov $7,%eax; movq %rax,%xmm9; push %rax; mov %fs:0,%rsi; syscall;
     * movq %xmm9,%rdi; pop %rdx; mov %fs:0,%r8; syscall */
    static const uint8_t code[] = {0xB8, 7,    0,    0,    0,    0x66, 0x4C, 0x0F, 0x6E, 0xC8,
                                   0x50, 0x64, 0x48, 0x8B, 0x34, 0x25, 0,    0,    0,    0,
                                   0x0F, 5,    0x66, 0x4C, 0x0F, 0x7E, 0xCF, 0x5A, 0x64, 0x4C,
                                   0x8B, 0x04, 0x25, 0,    0,    0,    0,    0x0F, 5};
    bench first, other;
    tars_error err = {.message = ""};
    vmm_state *state = NULL;
    if (!begin(&first, code, sizeof code)) {
        end(&first);
        return;
    }
    const uint64_t base = STACK_TOP - 64;
    memcpy(first.ram + base, "12345678", 8);
    first.vmm->set_segment_bases(first.processor, base, 0);
    vmm_exit e = run(&first, SECOND_NS);
    CHECK_INT(e.kind, VMM_EXIT_PORT);
    finish_call(&first, &e, 99);
    CHECK_INT(first.vmm->save(first.processor, &state, &err), TARS_OK);
    for (int i = 0; i < 2 && state; i++) {
        if (begin(&other, code, sizeof code)) {
            memcpy(other.ram, first.ram, RAM_BYTES);
            memcpy(other.ram + base, i == 0 ? "abcdefgh" : "ABCDEFGH", 8);
            CHECK_INT(other.vmm->load(other.processor, state, &err), TARS_OK);
            const vmm_registers *r = other.vmm->registers(other.processor);
            e = run(&other, SECOND_NS);
            CHECK_INT(e.kind, VMM_EXIT_PORT);
            CHECK_INT(e.port, PORT_CALL);
            CHECK_INT(r->general[VMM_RAX], 99);
            CHECK_INT(r->general[VMM_RDI], 7);
            CHECK_INT(r->general[VMM_RDX], 7);
            CHECK_INT(r->general[VMM_RSP], STACK_TOP);
            CHECK(memcmp(&r->general[VMM_RSI], "12345678", 8) == 0);
            CHECK(memcmp(&r->general[VMM_R8], i == 0 ? "abcdefgh" : "ABCDEFGH", 8) == 0);
        }
        end(&other);
    }
    first.vmm->state_destroy(state);
    end(&first);
}

static void loops_are_ended(void) {
    static const uint8_t code[] = {0xEB, 0xFE};
    bench b;
    if (begin(&b, code, sizeof code)) {
        for (int i = 0; i < 5; i++) {
            uint64_t begin_ns = platform_clock_ns();
            vmm_exit e = run(&b, 5000000);
            double took_ms = (double)(platform_clock_ns() - begin_ns) / 1e6;
            CHECK_INT(e.kind, VMM_EXIT_KICKED);
            CHECK(took_ms < 2000);
            CHECK_INT(b.vmm->registers(b.processor)->rip, CODE_AT);
            printf("    a loop of 5 ms ended after %.1f ms\n", took_ms);
        }
        b.vmm->kick(b.processor);
        vmm_exit e = run(&b, SECOND_NS);
        CHECK_INT(e.kind, VMM_EXIT_KICKED);
    }
    end(&b);
}

/* Each has its own task segment and stack for faults: one's fault does not hide another's. */
static void processors_fault_apart(void) {
    static const uint8_t code[] = {0x0F, 0x0B, 0xF4}; /* ud2; hlt */
    bench b;
    if (begin(&b, code, sizeof code)) {
        tars_error err;
        vmm_tables tables;
        bench other = {.vmm = b.vmm, .machine = b.machine};
        CHECK_INT(b.vmm->processor_create(b.machine, &other.processor, &err), TARS_OK);
        CHECK_INT(b.vmm->attach(other.processor, &err), TARS_OK);
        pages_tables(&b.pages, 1, &tables);
        CHECK_INT(b.vmm->start(other.processor, &tables, CODE_AT + 2, STACK_TOP - 64, &err),
                  TARS_OK);
        vmm_exit first = run(&b, SECOND_NS);
        vmm_exit second = run(&other, SECOND_NS);
        CHECK_INT(first.port, PORT_FAULT + 6);
        CHECK_INT(second.port, PORT_FAULT + 13);
        page_fault_frame frames[2];
        pages_read_fault(&b.pages, 0, 6, &frames[0]);
        pages_read_fault(&b.pages, 1, 13, &frames[1]);
        CHECK_INT(frames[0].rip, CODE_AT);
        CHECK_INT(frames[0].rsp, STACK_TOP);
        CHECK_INT(frames[1].rip, CODE_AT + 2);
        CHECK_INT(frames[1].rsp, STACK_TOP - 64);
        b.vmm->detach(other.processor);
        b.vmm->processor_destroy(other.processor);
    }
    end(&b);
}

/* All that XSAVE keeps, by a program that begins behind one that filled it; then MXCSR. */
static bool keep_vectors(bench *b, uint8_t out[PAGE_BYTES], uint64_t *control) {
    enum { KEEPS_AT = 64 };
    vmm_tables tables;
    tars_error err;
    memset(b->ram + STACK_TOP - PAGE_BYTES, 0, PAGE_BYTES);
    pages_tables(&b->pages, 0, &tables);
    CHECK_INT(b->vmm->start(b->processor, &tables, CODE_AT + KEEPS_AT, STACK_TOP, &err), TARS_OK);
    vmm_exit e = run(b, SECOND_NS);
    memcpy(out, b->ram + STACK_TOP - PAGE_BYTES, PAGE_BYTES);
    *control = b->vmm->registers(b->processor)->general[VMM_RSI];
    return e.kind == VMM_EXIT_PORT && e.port == PORT_CALL;
}

/* Nothing that a processor held is there when it is started again. */
static void starting_again_forgets(void) {
    /* movl $0x1F9F,-8(%rsp); ldmxcsr -8(%rsp); mov $-1,%rax; movq %rax,%xmm0; movq %rax,%xmm15;
     * fldpi; xor %eax,%eax; syscall; at 64: mov %rsp,%rdi; sub $4096,%rdi; mov $-1,%eax;
     * mov $-1,%edx; xsave (%rdi); stmxcsr -8(%rsp); mov -8(%rsp),%esi; syscall */
    static const uint8_t code[] = {
        0xC7, 0x44, 0x24, 0xF8, 0x9F, 0x1F, 0,    0,    0x0F, 0xAE, 0x54, 0x24, 0xF8, 0x48,
        0xC7, 0xC0, 0xFF, 0xFF, 0xFF, 0xFF, 0x66, 0x48, 0x0F, 0x6E, 0xC0, 0x66, 0x4C, 0x0F,
        0x6E, 0xF8, 0xD9, 0xEB, 0x31, 0xC0, 0x0F, 0x05, 0,    0,    0,    0,    0,    0,
        0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
        0,    0,    0,    0,    0,    0,    0,    0,    0x48, 0x89, 0xE7, 0x48, 0x81, 0xEF,
        0,    0x10, 0,    0,    0xB8, 0xFF, 0xFF, 0xFF, 0xFF, 0xBA, 0xFF, 0xFF, 0xFF, 0xFF,
        0x0F, 0xAE, 0x27, 0x0F, 0xAE, 0x5C, 0x24, 0xF8, 0x8B, 0x74, 0x24, 0xF8, 0x0F, 0x05};
    uint8_t fresh[PAGE_BYTES], again[PAGE_BYTES];
    uint64_t fresh_control = 0, again_control = 0;
    bench b;
    if (begin(&b, code, sizeof code)) {
        CHECK(keep_vectors(&b, fresh, &fresh_control));
    }
    end(&b);
    if (b.machine && begin(&b, code, sizeof code)) {
        vmm_exit e = run(&b, SECOND_NS);
        CHECK(e.kind == VMM_EXIT_PORT && e.port == PORT_CALL);
        CHECK(keep_vectors(&b, again, &again_control));
        CHECK_BYTES(again, fresh, PAGE_BYTES - 64);
        CHECK_INT(again_control, fresh_control);
        end(&b);
    }
}

/* The kernel finishes the instruction that asked for something when the processor runs next: that
 * must not be what another program begins with. */
static void instructions_end_with_their_program(void) {
    enum { NEXT_AT = 32, HOLE_AT = 0x80000, CODE_BYTES = 48 };
    static const uint8_t parts[][4] = {
        {0x48, 0x8B, 0x18, 0x90}, /* mov (%rax),%rbx; nop */
        {0x48, 0x89, 0x18, 0x90}, /* mov %rbx,(%rax); nop */
        {0x48, 0x01, 0x18, 0x90}, /* add %rbx,(%rax); nop */
        {0xFF, 0x70, 0x00, 0x90}, /* push (%rax); nop */
    };
    for (size_t i = 0; i < 2 * sizeof parts / sizeof parts[0]; i++) {
        /* mov $0x80000,%eax; the part; ud2; at 32: mov $7,%eax; syscall */
        uint8_t code[CODE_BYTES] = {0xB8, 0, 0, 8, 0, 0, 0, 0, 0, 0x0F, 0x0B};
        static const uint8_t next[] = {0xB8, 7, 0, 0, 0, 0x0F, 5};
        memcpy(code + 5, parts[i / 2], sizeof parts[0]);
        memcpy(code + NEXT_AT, next, sizeof next);
        bench b;
        tars_error err;
        vmm_tables tables;
        vmm_state *state = NULL;
        if (begin(&b, code, sizeof code)) {
            (void)pages_set(&b.pages, HOLE_AT / PAGE_BYTES, 1, PAGE_READ | PAGE_WRITE);
            CHECK_INT(b.vmm->map(b.machine, 0, 0, b.ram, 0, false, &err), TARS_OK);
            CHECK_INT(b.vmm->map(b.machine, 0, 0, b.ram, HOLE_AT, false, &err), TARS_OK);
            pages_tables(&b.pages, 0, &tables);
            CHECK_INT(b.vmm->start(b.processor, &tables, CODE_AT + NEXT_AT, STACK_TOP, &err),
                      TARS_OK);
            CHECK_INT(b.vmm->save(b.processor, &state, &err), TARS_OK);
            CHECK_INT(b.vmm->start(b.processor, &tables, CODE_AT, STACK_TOP, &err), TARS_OK);
            vmm_exit e = run(&b, SECOND_NS);
            CHECK_INT(e.kind, VMM_EXIT_MEMORY);
            CHECK_INT(e.address, HOLE_AT);
            CHECK_INT(i % 2 == 0
                          ? b.vmm->load(b.processor, state, &err)
                          : b.vmm->start(b.processor, &tables, CODE_AT + NEXT_AT, STACK_TOP, &err),
                      TARS_OK);
            e = run(&b, SECOND_NS);
            CHECK_INT(e.kind, VMM_EXIT_PORT);
            CHECK_INT(e.port, PORT_CALL);
            CHECK_INT(b.vmm->registers(b.processor)->general[VMM_RAX], 7);
            b.vmm->state_destroy(state);
        }
        end(&b);
    }
}

static void kick_soon(void *argument) {
    bench *b = argument;
    platform_sleep_ns(20000000);
    b->vmm->kick(b->processor);
}

static void other_threads_end_it(void) {
    static const uint8_t code[] = {0xEB, 0xFE};
    bench b;
    if (begin(&b, code, sizeof code)) {
        platform_thread thread;
        tars_error err;
        CHECK_INT(platform_thread_create("kick", kick_soon, &b, &thread, &err), TARS_OK);
        uint64_t begin_ns = platform_clock_ns();
        vmm_exit e = run(&b, 30 * SECOND_NS);
        CHECK_INT(e.kind, VMM_EXIT_KICKED);
        CHECK(platform_clock_ns() - begin_ns < 5 * SECOND_NS);
        platform_thread_join(&thread);
    }
    end(&b);
}

/* Whether the system leaves the page at an address out of memory dumps. */
static bool is_in_no_dump(const void *address) {
    char line[512];
    bool inside = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    CHECK(maps);
    while (maps && fgets(line, sizeof line, maps)) {
        unsigned long long start, last;
        if (sscanf(line, "%llx-%llx ", &start, &last) == 2) {
            uint64_t at = (uint64_t)(uintptr_t)address;
            inside = at >= start && at < last;
        } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            fclose(maps);
            return strstr(line, " dd ") != NULL;
        }
    }
    if (maps) {
        fclose(maps);
    }
    return false;
}

static void guest_memory_is_in_no_dump(void) {
    static const uint8_t code[] = {0x0F, 0x05};
    bench b;
    if (begin(&b, code, sizeof code)) {
        platform_snapshot snapshot;
        void *copy = NULL;
        tars_error err;
        CHECK(is_in_no_dump(b.ram) && is_in_no_dump(b.ram + RAM_BYTES - 1));
        CHECK(is_in_no_dump(b.pages.memory));
        CHECK(!is_in_no_dump(&b));
        CHECK_INT(platform_snapshot_begin(PAGE_BYTES, &snapshot, &err), TARS_OK);
        CHECK_INT(platform_snapshot_put(&snapshot, 0, "guest", 5, &err), TARS_OK);
        CHECK_INT(platform_snapshot_seal(&snapshot, &err), TARS_OK);
        CHECK_INT(platform_snapshot_copy(&snapshot, &copy, &err), TARS_OK);
        CHECK(is_in_no_dump(snapshot.bytes) && is_in_no_dump(copy));
        platform_release(copy, PAGE_BYTES);
        platform_snapshot_destroy(&snapshot);
    }
    end(&b);
}

static const check_test table[] = {
    {"calls reach the host", calls_reach_the_host},
    {"faults are told", faults_are_told},
    {"processors fault apart", processors_fault_apart},
    {"the entry page gives nothing", entry_page_gives_nothing},
    {"ring 0 is the entry page", ring_0_is_the_entry_page},
    {"faults need no stack", faults_need_no_stack},
    {"tables are not the guest's", tables_are_not_the_guests},
    {"states are kept", states_are_kept},
    {"starting again forgets", starting_again_forgets},
    {"instructions end with their program", instructions_end_with_their_program},
    {"loops are ended", loops_are_ended},
    {"other threads end it", other_threads_end_it},
    {"guest memory is in no dump", guest_memory_is_in_no_dump},
};
CHECK_MAIN(table)
