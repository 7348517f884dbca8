#include "platform/internal.h"

#include <crt_externs.h>
#include <errno.h>
#include <mach-o/dyld.h>
#include <mach/mach.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysctl.h>
#include <unistd.h>

static uint64_t ask_number(const char *name) {
    uint64_t value = 0; /* shorter answers fill the low bytes */
    size_t size = sizeof value;
    return sysctlbyname(name, &value, &size, NULL, 0) == 0 ? value : 0;
}

void platform_os_cpu(platform_cpu_info *info) {
    size_t size = sizeof info->brand;
    (void)sysctlbyname("machdep.cpu.brand_string", info->brand, &size, NULL, 0);
    info->brand[sizeof info->brand - 1] = '\0';
#if defined(__aarch64__)
    info->sha = ask_number("hw.optional.arm.FEAT_SHA256") != 0;
    info->dotprod = ask_number("hw.optional.arm.FEAT_DotProd") != 0;
    info->cache_line_bytes = 128;
#endif
    if (info->l1d_bytes == 0) {
        info->l1d_bytes = (uint32_t)ask_number("hw.l1dcachesize");
        info->l2_bytes = (uint32_t)ask_number("hw.l2cachesize");
        info->l3_bytes = ask_number("hw.l3cachesize");
    }
}

uint32_t platform_cpu_count(void) {
    uint64_t count = ask_number("hw.activecpu");
    return count > 0 ? (uint32_t)count : 1;
}

tars_status platform_memory(platform_memory_info *out, tars_error *err) {
    vm_statistics64_data_t pages;
    mach_msg_type_number_t count = HOST_VM_INFO64_COUNT;
    *out = (platform_memory_info){.total_bytes = ask_number("hw.memsize")};
    mach_port_t host = mach_host_self();
    kern_return_t result = host_statistics64(host, HOST_VM_INFO64, (host_info64_t)&pages, &count);
    (void)mach_port_deallocate(mach_task_self(), host);
    if (result != KERN_SUCCESS || out->total_bytes == 0) {
        return error_set(err, TARS_UNAVAILABLE, "the system does not tell the memory's size");
    }
    out->available_bytes =
        ((uint64_t)pages.free_count + pages.inactive_count + pages.purgeable_count) *
        (uint64_t)sysconf(_SC_PAGESIZE);
    return TARS_OK;
}

uint64_t platform_peak_resident_bytes(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss : 0;
}

tars_status platform_memory_used(platform_memory_usage *out, tars_error *err) {
    task_vm_info_data_t info;
    mach_msg_type_number_t count = TASK_VM_INFO_COUNT;
    *out = (platform_memory_usage){.peak_resident_bytes = platform_peak_resident_bytes()};
    if (task_info(mach_task_self(), TASK_VM_INFO, (task_info_t)&info, &count) != KERN_SUCCESS) {
        return error_set(err, TARS_UNAVAILABLE, "the system does not tell the process's memory");
    }
    out->resident_bytes = info.resident_size;
    out->private_bytes = info.phys_footprint;
    return TARS_OK;
}

tars_status platform_random(void *bytes, size_t length, tars_error *err) {
    uint8_t *p = bytes;
    while (length > 0) {
        size_t part = length < 256 ? length : 256;
        if (getentropy(p, part) != 0) {
            return platform_fail(err, errno, NULL, "cannot get random bytes");
        }
        p += part;
        length -= part;
    }
    return TARS_OK;
}

const char *platform_os_name(void) {
    return "macos";
}
const char *platform_os_container(void) {
    return NULL;
}

tars_status platform_executable_path(char *out, size_t size_bytes, tars_error *err) {
    uint32_t size = size_bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)size_bytes;
    return _NSGetExecutablePath(out, &size) == 0
               ? TARS_OK
               : platform_fail(err, ENAMETOOLONG, NULL, "cannot find this program's own file");
}

/* The system maps files with the pages it likes and does not tell which. */
tars_status platform_mapping_pages(const platform_mapping *mapping, platform_page_report *out,
                                   tars_error *err) {
    (void)mapping;
    *out = (platform_page_report){.kind = "small"};
    return platform_not_here(err, "the report on mapped pages");
}

/* A library has no `environ` of its own here. */
const char *const *platform_os_environment(void) {
    return (const char *const *)*_NSGetEnviron();
}
