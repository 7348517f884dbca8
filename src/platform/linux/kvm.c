/* KVM (Documentation/virt/kvm/api.rst of the kernel), without an interrupt controller: the machine
 * and its memory. */
#include "platform/vmm.h"

#if defined(__x86_64__)

#include "platform/linux/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { API_VERSION = 12 };

tars_status kvm_fail(tars_error *err, const char *what) {
    return platform_fail(err, errno, "/dev/kvm", "%s", what);
}

int kvm_ioctl(int handle, unsigned long request, void *argument) {
    int result;
    do {
        result = ioctl(handle, request, argument);
    } while (result < 0 && errno == EINTR);
    return result;
}

/* ---- being there ------------------------------------------------------------------------- */

static tars_status open_system(int *out, tars_error *err) {
    *out = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (*out < 0) {
        int number = errno;
        error_set(err, TARS_UNAVAILABLE, "runtime microvm is unavailable: %s",
                  number == ENOENT   ? "there is no /dev/kvm"
                  : number == EACCES ? "there is no permission on /dev/kvm"
                                     : "/dev/kvm cannot be opened");
        error_cause(err, "%s (errno %d)", strerror(number), number);
        return error_hint(err, number == EACCES
                                   ? "add the user to the group of /dev/kvm, usually kvm"
                                   : "switch virtualisation on in the firmware, or nested "
                                     "virtualisation on the host, and load kvm_intel or kvm_amd");
    }
    static const struct {
        int number;
        const char *name;
    } needed[] = {{KVM_CAP_USER_MEMORY, "user memory"},
                  {KVM_CAP_READONLY_MEM, "read-only memory"},
                  {KVM_CAP_IMMEDIATE_EXIT, "immediate exits"},
                  {KVM_CAP_SYNC_REGS, "registers in shared memory"},
                  {KVM_CAP_XCRS, "extended control registers"}};
    const char *lacks = ioctl(*out, KVM_GET_API_VERSION, 0) != API_VERSION ? "version 12" : NULL;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0] && !lacks; i++) {
        lacks = ioctl(*out, KVM_CHECK_EXTENSION, needed[i].number) > 0 ? NULL : needed[i].name;
    }
    if (lacks) {
        (void)close(*out);
        *out = -1;
        return error_set(err, TARS_UNAVAILABLE,
                         "runtime microvm is unavailable: this kernel's KVM lacks %s", lacks);
    }
    return TARS_OK;
}

/* Opened and asked once, then kept: either takes a part of what a machine takes. */
static tars_status get_system(int *out, tars_error *err) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static int kept = -1;
    (void)pthread_mutex_lock(&lock);
    tars_status status = kept >= 0 ? TARS_OK : open_system(&kept, err);
    *out = kept;
    (void)pthread_mutex_unlock(&lock);
    return status;
}

static void kvm_destroy(vmm_machine *m) {
    if (!m) {
        return;
    }
    if (m->vm >= 0) {
        (void)close(m->vm);
    }
    free(m);
}

static tars_status kvm_create(vmm_machine **out, tars_error *err) {
    *out = NULL;
    vmm_machine *m = calloc(1, sizeof *m);
    if (!m) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a virtual machine");
    }
    m->vm = -1;
    tars_status status = get_system(&m->system, err);
    if (status == TARS_OK) {
        m->vm = kvm_ioctl(m->system, KVM_CREATE_VM, NULL);
        status = m->vm >= 0 ? TARS_OK : kvm_fail(err, "cannot create a virtual machine");
    }
    if (status != TARS_OK) {
        kvm_destroy(m);
        m = NULL;
    }
    *out = m;
    return status;
}

static tars_status kvm_probe(tars_error *err) {
    vmm_machine *m;
    vmm_processor *p = NULL;
    tars_status status = kvm_create(&m, err);
    if (status == TARS_OK) {
        status = kvm_processor_create(m, &p, err);
    }
    kvm_processor_destroy(p);
    kvm_destroy(m);
    return status;
}

static tars_status kvm_map(vmm_machine *m, unsigned slot, uint64_t guest_address, void *host,
                           size_t size_bytes, bool read_only, tars_error *err) {
    struct kvm_userspace_memory_region region = {.slot = slot,
                                                 .flags = read_only ? KVM_MEM_READONLY : 0,
                                                 .guest_phys_addr = guest_address,
                                                 .memory_size = size_bytes,
                                                 .userspace_addr = (uint64_t)(uintptr_t)host};
    if (size_bytes > 0 && madvise(host, size_bytes, MADV_DONTDUMP) != 0) {
        return kvm_fail(err, "cannot keep a guest's memory from dumps");
    }
    return kvm_ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &region) == 0
               ? TARS_OK
               : kvm_fail(err, "cannot give memory to a virtual machine");
}

/* Since Linux 6.12; older headers lack the name. */
#define QUIRK_SLOT_ZAP_ALL (UINT64_C(1) << 7)

static void kvm_keep_others(vmm_machine *m) {
    struct kvm_enable_cap off = {.cap = KVM_CAP_DISABLE_QUIRKS2, .args = {QUIRK_SLOT_ZAP_ALL}};
    (void)kvm_ioctl(m->vm, KVM_ENABLE_CAP, &off); /* refused by those that do not know it */
}

static const vmm_functions functions = {
    .name = "kvm",
    .probe = kvm_probe,
    .create = kvm_create,
    .destroy = kvm_destroy,
    .map = kvm_map,
    .keep_others = kvm_keep_others,
    .processor_create = kvm_processor_create,
    .processor_destroy = kvm_processor_destroy,
    .start = kvm_start,
    .save = kvm_save,
    .load = kvm_load,
    .state_destroy = kvm_state_destroy,
    .attach = kvm_attach,
    .detach = kvm_detach,
    .run = kvm_run,
    .registers = kvm_registers,
    .set_segment_bases = kvm_set_segment_bases,
    .get_vectors = kvm_get_vectors,
    .set_vectors = kvm_set_vectors,
    .to_user = kvm_to_user,
    .set_page_table = kvm_set_page_table,
    .ticks_per_ms = kvm_ticks_per_ms,
    .kick = kvm_kick,
};

const vmm_functions *platform_vmm(void) {
    return &functions;
}

#else

const vmm_functions *platform_vmm(void) {
    return NULL; /* ARM: not in this version */
}

#endif
