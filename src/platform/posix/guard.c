#include "platform/internal.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__APPLE__) && !defined(MAP_NORESERVE)
#define MAP_NORESERVE 0
#endif

/* A signal handler has no argument to find the mappings by, so they stand in a fixed table. A slot
 * is taken and freed by one atomic operation; the handler only reads. */
enum { MAX_MAPPINGS = 4096 }; /* of models, and of guests that see one */
static _Atomic(platform_mapping *) mappings[MAX_MAPPINGS];
static struct sigaction previous; /* written once, before the handler can run */
static size_t guard_page_bytes;

bool platform_guard_add(platform_mapping *mapping) {
    for (size_t i = 0; i < MAX_MAPPINGS; i++) {
        platform_mapping *expected = NULL;
        if (atomic_compare_exchange_strong(&mappings[i], &expected, mapping)) {
            return true;
        }
    }
    return false;
}

void platform_guard_remove(platform_mapping *mapping) {
    for (size_t i = 0; i < MAX_MAPPINGS; i++) {
        platform_mapping *expected = mapping;
        if (atomic_compare_exchange_strong(&mappings[i], &expected, NULL)) {
            return;
        }
    }
}

/* By the bare system call where there is one: it is safe in a signal handler, and tools that watch
 * memory do not take the exchange of pages under other readers, which is wanted, for their own. */
static bool map_zeros(uintptr_t start, size_t length) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
#if defined(__linux__) && defined(SYS_mmap)
    return syscall(SYS_mmap, start, length, PROT_READ, flags, -1, 0L) == (long)start;
#else
    return mmap((void *)start, length, PROT_READ, flags, -1, 0) != MAP_FAILED;
#endif
}

/* From the page at fault to the mapping's end zeros take the file's place: a file that was cut
 * lacks all of it, and one step avoids a signal for each page. */
static bool replace_pages(uintptr_t address) {
    for (size_t i = 0; i < MAX_MAPPINGS; i++) {
        platform_mapping *m = atomic_load(&mappings[i]);
        uintptr_t start = m ? (uintptr_t)m->bytes : 0;
        if (!m || address < start || address - start >= m->size_bytes) {
            continue;
        }
        uintptr_t page = address & ~(uintptr_t)(guard_page_bytes - 1);
        size_t length = start + m->size_bytes - page;
        if (!map_zeros(page, length)) {
            return false;
        }
        atomic_store_explicit(&m->damaged, 1, memory_order_release);
        return true;
    }
    return false;
}

static void on_fault(int number, siginfo_t *info, void *context) {
    int saved = errno;
    bool ours = info->si_code > 0 && replace_pages((uintptr_t)info->si_addr);
    errno = saved;
    if (ours) {
        return;
    }
    if (previous.sa_flags & SA_SIGINFO) {
        previous.sa_sigaction(number, info, context);
    } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
        previous.sa_handler(number);
    } else {
        (void)signal(number, SIG_DFL); /* the instruction faults again, and the process ends */
    }
}

tars_status platform_guard_install(tars_error *err) {
    struct sigaction now;
    if (sigaction(SIGBUS, NULL, &now) != 0) {
        return platform_fail(err, errno, NULL, "cannot look at the handler of SIGBUS");
    }
    if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_fault) {
        return TARS_OK;
    }
    previous = now;
    guard_page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    (void)sigemptyset(&action.sa_mask);
    if (sigaction(SIGBUS, &action, NULL) != 0) {
        return platform_fail(err, errno, NULL, "cannot install the handler of SIGBUS");
    }
    return TARS_OK;
}
