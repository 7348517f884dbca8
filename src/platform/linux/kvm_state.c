/* The whole state of a virtual processor of KVM, kept and given to others. */
#include "platform/vmm.h"

#if defined(__x86_64__)

#include "platform/linux/kvm.h"

#include <stdlib.h>
#include <string.h>

/* Model-specific registers that code can see or use, if only after a mistake in setting it up; the
 * time-stamp counter goes on by itself. */
static const uint32_t msrs[] = {
    0xC0000081, /* STAR */
    0xC0000082, /* LSTAR */
    0xC0000083, /* CSTAR */
    0xC0000084, /* SFMASK */
    0xC0000102, /* KERNEL_GS_BASE */
    0xC0000103, /* TSC_AUX */
    0x00000174, /* SYSENTER_CS */
    0x00000175, /* SYSENTER_ESP */
    0x00000176, /* SYSENTER_EIP */
    0x00000277, /* PAT */
    0x000001A0, /* MISC_ENABLE */
    0x00000DA0, /* XSS */
};
enum { N_MSRS = sizeof msrs / sizeof msrs[0] };

/* As struct kvm_msrs, whose array has no length. */
typedef struct msr_block {
    uint32_t count, padding;
    struct kvm_msr_entry entries[N_MSRS];
} msr_block;

struct vmm_state {
    vmm_registers registers;
    uint64_t call_entry;
    bool hides_time;
    struct kvm_sregs system;
    _Alignas(struct kvm_xsave) uint8_t vectors[sizeof(struct kvm_xsave)];
    struct kvm_xcrs control;
    struct kvm_vcpu_events events;
    struct kvm_debugregs debug;
    msr_block msrs;
};

/* Those that this processor has; some can be read by the host though no guest has them. */
static void get_msrs(const vmm_processor *p, msr_block *out) {
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < N_MSRS; i++) {
        msr_block one = {.count = 1, .entries = {{.index = msrs[i]}}};
        if (kvm_ioctl(p->cpu, KVM_GET_MSRS, &one) == 1 &&
            kvm_ioctl(p->cpu, KVM_SET_MSRS, &one) == 1) {
            out->entries[out->count++] = one.entries[0];
        }
    }
}

tars_status kvm_save(vmm_processor *p, vmm_state **out, tars_error *err) {
    *out = NULL;
    tars_status status = kvm_settle(p, err);
    if (status != TARS_OK) {
        return status;
    }
    vmm_state *s = calloc(1, sizeof *s);
    if (!s) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the state of a processor");
    }
    s->registers = p->registers;
    s->hides_time = p->hides_time;
    s->call_entry = p->call_entry;
    const struct {
        unsigned long request;
        void *argument;
    } parts[] = {{KVM_GET_SREGS, &s->system},
                 {KVM_GET_XSAVE, s->vectors},
                 {KVM_GET_XCRS, &s->control},
                 {KVM_GET_VCPU_EVENTS, &s->events},
                 {KVM_GET_DEBUGREGS, &s->debug}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (kvm_ioctl(p->cpu, parts[i].request, parts[i].argument) != 0) {
            free(s);
            return kvm_fail(err, "cannot read the state of a virtual processor");
        }
    }
    if ((p->dirty & KVM_SYNC_X86_SREGS) != 0) { /* not told to the kernel yet */
        s->system = p->run->s.regs.sregs;
    }
    get_msrs(p, &s->msrs);
    *out = s;
    return TARS_OK;
}

/* The kernel takes its arguments through pointers that are not const, and changes none of them. */
tars_status kvm_load(vmm_processor *p, const vmm_state *state, tars_error *err) {
    tars_status status = kvm_settle(p, err);
    if (status != TARS_OK) {
        return status;
    }
    vmm_state *s = (vmm_state *)(uintptr_t)state;
    const struct {
        unsigned long request;
        void *argument;
        int result;
    } parts[] = {{KVM_SET_XCRS, &s->control, 0},
                 {KVM_SET_SREGS, &s->system, 0},
                 {KVM_SET_MSRS, &s->msrs, (int)s->msrs.count},
                 {KVM_SET_XSAVE, s->vectors, 0},
                 {KVM_SET_DEBUGREGS, &s->debug, 0},
                 {KVM_SET_VCPU_EVENTS, &s->events, 0}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (kvm_ioctl(p->cpu, parts[i].request, parts[i].argument) != parts[i].result) {
            return kvm_fail(err, "cannot set the state of a virtual processor");
        }
    }
    p->registers = s->registers;
    p->hides_time = s->hides_time;
    p->call_entry = s->call_entry;
    p->was_started = true;
    p->run->s.regs.sregs = s->system;
    p->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
    p->dirty = 0;
    return TARS_OK;
}

void kvm_state_destroy(vmm_state *state) {
    free(state);
}

#endif
