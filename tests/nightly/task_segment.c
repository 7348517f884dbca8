/* Preloaded where QEMU emulates the hardware under KVM: its processor looks at the task segment's
 * map of ports only when that segment is not marked busy, which no hardware asks for. Between a
 * program and KVM this marks it so. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum { AVAILABLE_TASK = 9, MAX_HANDLES = 1024 };
static struct kvm_run *runs[MAX_HANDLES]; /* what was mapped last of each descriptor */

void *mmap(void *address, size_t length, int protection, int flags, int handle, off_t offset) {
    void *(*next)(void *, size_t, int, int, int, off_t);
    *(void **)&next = dlsym(RTLD_NEXT, "mmap");
    void *result = next(address, length, protection, flags, handle, offset);
    if (handle >= 0 && handle < MAX_HANDLES && result != MAP_FAILED) {
        runs[handle] = result;
    }
    return result;
}

void *mmap64(void *address, size_t length, int protection, int flags, int handle, off_t offset) {
    return mmap(address, length, protection, flags, handle, offset);
}

int ioctl(int handle, unsigned long request, ...) {
    int (*next)(int, unsigned long, ...);
    *(void **)&next = dlsym(RTLD_NEXT, "ioctl");
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (request == KVM_SET_SREGS) {
        ((struct kvm_sregs *)argument)->tr.type = AVAILABLE_TASK;
    }
    if (request == KVM_RUN && handle >= 0 && handle < MAX_HANDLES && runs[handle]) {
        runs[handle]->s.regs.sregs.tr.type = AVAILABLE_TASK;
    }
    return next(handle, request, argument);
}
