/* What the files of the KVM backend share. Ownership: as in vmm.h. */
#ifndef PLATFORM_LINUX_KVM_H
#define PLATFORM_LINUX_KVM_H

#include "platform/internal.h"
#include "platform/vmm.h"

#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

struct vmm_machine {
    int system; /* /dev/kvm, that all machines share */
    int vm;
    unsigned n_processors; /* ever */
};

struct vmm_processor {
    vmm_machine *machine;
    int cpu;
    struct kvm_run *run;
    size_t run_bytes;
    vmm_registers registers;
    uint64_t dirty;      /* KVM_SYNC_X86_… that the next run takes besides the general registers */
    uint64_t call_entry; /* the page that alone runs in ring 0 */
    bool hides_time;
    bool was_started;     /* it may hold what a program left there */
    bool is_unfinished;   /* its last exit is completed by the kernel only in the next run */
    pthread_mutex_t lock; /* of the next two, which kick reads */
    bool is_attached;
    pthread_t thread;
    timer_t timer;
};

/* What stops a processor that runs: sent to its thread, which blocks it otherwise. */
static inline int kvm_tick_signal(void) {
    return SIGRTMIN + 5;
}

tars_status kvm_fail(tars_error *err, const char *what);
/* An ioctl that a signal may have cut short before it did anything. */
int kvm_ioctl(int handle, unsigned long request, void *argument);

tars_status kvm_processor_create(vmm_machine *m, vmm_processor **out, tars_error *err);
void kvm_processor_destroy(vmm_processor *p);
/* Completes the last exit, so that its registers are all there is of it, and nothing of it is left
 * for registers that it is given. */
tars_status kvm_settle(vmm_processor *p, tars_error *err);
tars_status kvm_start(vmm_processor *p, const vmm_tables *tables, uint64_t rip, uint64_t rsp,
                      tars_error *err);
tars_status kvm_save(vmm_processor *p, vmm_state **out, tars_error *err);
tars_status kvm_load(vmm_processor *p, const vmm_state *state, tars_error *err);
void kvm_state_destroy(vmm_state *state);
tars_status kvm_attach(vmm_processor *p, tars_error *err);
void kvm_detach(vmm_processor *p);
tars_status kvm_run(vmm_processor *p, uint64_t slice_ns, vmm_exit *out, tars_error *err);
vmm_registers *kvm_registers(vmm_processor *p);
void kvm_set_segment_bases(vmm_processor *p, uint64_t fs, uint64_t gs);
void kvm_set_page_table(vmm_processor *p, uint64_t page_table);
size_t kvm_get_vectors(vmm_processor *p, uint8_t *out, size_t capacity);
bool kvm_set_vectors(vmm_processor *p, const uint8_t *bytes, size_t length);
void kvm_to_user(vmm_processor *p, const vmm_tables *tables);
uint64_t kvm_ticks_per_ms(const vmm_processor *p);
void kvm_kick(vmm_processor *p);
/* Between the kernel's order of general registers and that of instructions. */
void kvm_move_registers(vmm_registers *own, struct kvm_regs *theirs, bool to_kernel);

#endif
