/* A bare machine for tests: some bytes of machine code in ring 3. Ownership: begin to end. */
#ifndef TESTS_RUNTIME_VMM_FIXTURE_H
#define TESTS_RUNTIME_VMM_FIXTURE_H

#include "platform/platform.h"
#include "platform/vmm.h"
#include "runtime/microvm/pages.h"
#include "support/check.h"

#include <string.h>

static const uint64_t SECOND_NS = 1000000000;

enum {
    RAM_BYTES = 1 << 20,
    CODE_AT = 0x10000,
    STACK_TOP = 0x20000,
    STACK_PAGES = 1,
    N_PROCESSORS = 2
};

typedef struct bench {
    const vmm_functions *vmm;
    vmm_machine *machine;
    vmm_processor *processor;
    pages pages;
    uint8_t *ram;
} bench;

static inline bool has_vmm(const vmm_functions **out) {
    tars_error err = {.message = ""};
    *out = platform_vmm();
    if (!*out || (*out)->probe(&err) != TARS_OK) {
        check_skip("%s", *out ? err.message : "no virtual machines on this system");
        return false;
    }
    return true;
}

/* A machine that will run these bytes at CODE_AT; false after a failure that was told. */
static inline bool begin(bench *b, const void *code, size_t length) {
    tars_error err = {.message = ""};
    vmm_tables tables;
    memset(b, 0, sizeof *b);
    if (!has_vmm(&b->vmm)) {
        return false;
    }
    void *ram = NULL;
    tars_status status = platform_reserve(RAM_BYTES, false, &ram, &err);
    b->ram = ram;
    if (status == TARS_OK) {
        memcpy(b->ram + CODE_AT, code, length);
        status = pages_create(RAM_BYTES, N_PROCESSORS, &b->pages, &err);
    }
    if (status == TARS_OK) {
        (void)pages_set(&b->pages, CODE_AT / PAGE_BYTES, 1, PAGE_READ | PAGE_EXECUTE);
        (void)pages_set(&b->pages, STACK_TOP / PAGE_BYTES - STACK_PAGES, STACK_PAGES,
                        PAGE_READ | PAGE_WRITE);
        status = b->vmm->create(&b->machine, &err);
    }
    if (status == TARS_OK) {
        status = b->vmm->map(b->machine, 0, 0, b->ram, RAM_BYTES, false, &err);
    }
    if (status == TARS_OK) {
        status = b->vmm->map(b->machine, 1, SYSTEM_ADDRESS, b->pages.memory, b->pages.size_bytes,
                             false, &err);
    }
    if (status == TARS_OK) {
        status = b->vmm->processor_create(b->machine, &b->processor, &err);
    }
    if (status == TARS_OK) {
        status = b->vmm->attach(b->processor, &err);
    }
    if (status == TARS_OK) {
        pages_tables(&b->pages, 0, &tables);
        status = b->vmm->start(b->processor, &tables, CODE_AT, STACK_TOP, &err);
    }
    if (status != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s: %s", err.message, err.cause);
    }
    return status == TARS_OK;
}

static inline void end(bench *b) {
    if (b->processor) {
        b->vmm->detach(b->processor);
        b->vmm->processor_destroy(b->processor);
    }
    if (b->machine) {
        b->vmm->destroy(b->machine);
    }
    pages_destroy(&b->pages);
    if (b->ram) {
        platform_release(b->ram, RAM_BYTES);
    }
}

static inline vmm_exit run(bench *b, uint64_t slice_ns) {
    tars_error err = {.message = ""};
    vmm_exit out = {.kind = VMM_EXIT_OTHER};
    if (b->vmm->run(b->processor, slice_ns, &out, &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s: %s", err.message, err.cause);
    }
    return out;
}

#endif
