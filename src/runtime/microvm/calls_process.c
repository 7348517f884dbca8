#include "runtime/microvm/linux_internal.h"

#include <string.h>

/* ---- ending ---------------------------------------------------------------------------- */

LINUX_CALL(exit_group) {
    context->code = (uint32_t)arguments[0] & 0xFF;
    linux_finish(context, LINUX_EXITED);
    return 0;
}

/* ---- who it is ------------------------------------------------------------------------- */

#define CONSTANT_CALL(name, value)                                                                 \
    LINUX_CALL(name) {                                                                             \
        (void)context;                                                                             \
        (void)arguments;                                                                           \
        return value;                                                                              \
    }
CONSTANT_CALL(getpid, LINUX_PROCESS_ID)
CONSTANT_CALL(getppid, 1)
CONSTANT_CALL(getpgrp, LINUX_PROCESS_ID)
CONSTANT_CALL(getuid, LINUX_USER_ID)
CONSTANT_CALL(geteuid, LINUX_USER_ID)
CONSTANT_CALL(getgid, LINUX_USER_ID)
CONSTANT_CALL(getegid, LINUX_USER_ID)
CONSTANT_CALL(rseq, -LINUX_ENOSYS) /* programs do without */

/* It never has a child. */
CONSTANT_CALL(wait4, -LINUX_ECHILD)
CONSTANT_CALL(waitid, -LINUX_ECHILD)

/* Its group and session are itself. */
static int64_t group_of(uint64_t process) {
    bool own = (uint32_t)process == 0 || (uint32_t)process == LINUX_PROCESS_ID;
    return own ? LINUX_PROCESS_ID : -LINUX_ESRCH;
}

LINUX_CALL(getpgid) {
    (void)context;
    return group_of(arguments[0]);
}

LINUX_CALL(getsid) {
    (void)context;
    return group_of(arguments[0]);
}

/* Of no further group. */
LINUX_CALL(getgroups) {
    (void)context;
    return (int32_t)arguments[0] < 0 ? -LINUX_EINVAL : 0;
}

/* It is nobody and stays so. */
static int64_t set_identity(linux_context *context, uint64_t wanted) {
    if ((uint32_t)wanted == LINUX_USER_ID) {
        return 0;
    }
    linux_refuse(context, "syscall");
    return -LINUX_EPERM;
}

LINUX_CALL(setuid) {
    return set_identity(context, arguments[0]);
}

LINUX_CALL(setgid) {
    return set_identity(context, arguments[0]);
}

LINUX_CALL(uname) {
    enum { FIELD_BYTES = 65 };
    static const char *const fields[] = {"Linux", "guest", "6.1.0", "#1", "x86_64", "(none)"};
    char names[sizeof fields / sizeof fields[0]][FIELD_BYTES] = {{0}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        memcpy(names[i], fields[i], strlen(fields[i]));
    }
    return linux_put(context, arguments[0], names, sizeof names);
}

LINUX_CALL(prctl) {
    enum { SET_NAME = 15, GET_NAME = 16 };
    size_t length;
    char *own = context->current->name;
    char name[sizeof context->current->name];
    uint32_t option = (uint32_t)arguments[0];
    if (option == GET_NAME) {
        return linux_put(context, arguments[1], own, sizeof name);
    }
    if (option != SET_NAME) {
        return -LINUX_EINVAL;
    }
    if (space_get_text(context->options.space, arguments[1], name, sizeof name, &length) ==
        SPACE_TEXT_FAULT) {
        return -LINUX_EFAULT;
    }
    name[sizeof name - 1] = '\0';
    memcpy(own, name, sizeof name);
    return 0;
}

/* ---- the processor ---------------------------------------------------------------------- */

LINUX_CALL(arch_prctl) {
    enum { SET_FS = 0x1002, GET_FS = 0x1003 };
    const linux_machine *m = &context->machine;
    uint32_t code = (uint32_t)arguments[0];
    if (code == SET_FS && m->set_thread_base) {
        return arguments[1] <= (uint64_t)INT64_MAX >> 16 &&
                       m->set_thread_base(m->user, arguments[1])
                   ? 0
                   : -LINUX_EPERM;
    }
    if (code == GET_FS && m->get_thread_base) {
        uint64_t base = m->get_thread_base(m->user);
        return linux_put(context, arguments[1], &base, sizeof base);
    }
    return -LINUX_EINVAL;
}

LINUX_CALL(sched_getaffinity) {
    uint32_t n = context->options.n_processors;
    uint64_t mask = n >= 64 ? UINT64_MAX : n > 1 ? ((uint64_t)1 << n) - 1 : 1;
    if (arguments[1] < sizeof mask || arguments[1] % sizeof mask != 0) {
        return -LINUX_EINVAL;
    }
    int64_t result = linux_put(context, arguments[2], &mask, sizeof mask);
    return result == 0 ? (int64_t)sizeof mask : result;
}

/* ---- limits and randomness -------------------------------------------------------------- */

enum { LIMIT_FILE_SIZE = 1, LIMIT_STACK = 3, LIMIT_FILES = 7, LIMIT_SPACE = 9, LIMIT_COUNT = 16 };

static uint64_t limit_of(const linux_context *context, uint32_t resource) {
    const linux_options *o = &context->options;
    return resource == LIMIT_FILE_SIZE                      ? o->file_bytes
           : resource == LIMIT_STACK && o->stack_bytes != 0 ? o->stack_bytes
           : resource == LIMIT_FILES                        ? context->n_rows
           : resource == LIMIT_SPACE                        ? o->space->options.size_bytes
                                                            : UINT64_MAX;
}

static int64_t put_limit(linux_context *context, uint32_t resource, uint64_t address) {
    const uint64_t pair[2] = {limit_of(context, resource), limit_of(context, resource)};
    return linux_put(context, address, pair, sizeof pair);
}

LINUX_CALL(getrlimit) {
    uint32_t resource = (uint32_t)arguments[0];
    return resource < LIMIT_COUNT ? put_limit(context, resource, arguments[1]) : -LINUX_EINVAL;
}

/* A guest may wish for less, which changes nothing, and never for more. */
LINUX_CALL(prlimit64) {
    uint32_t process = (uint32_t)arguments[0];
    uint32_t resource = (uint32_t)arguments[1];
    uint64_t wanted[2] = {0, 0};
    if (resource >= LIMIT_COUNT) {
        return -LINUX_EINVAL;
    }
    if (process != 0 && process != LINUX_PROCESS_ID) {
        return -LINUX_ESRCH;
    }
    int64_t result = 0;
    if (arguments[2] != 0) {
        result = linux_get(context, arguments[2], wanted, sizeof wanted);
    }
    if (result == 0 && arguments[3] != 0) {
        result = put_limit(context, resource, arguments[3]);
    }
    if (result == 0 && arguments[2] != 0) {
        result = wanted[0] > wanted[1]                     ? -LINUX_EINVAL
                 : wanted[1] > limit_of(context, resource) ? -LINUX_EPERM
                                                           : 0;
    }
    return result;
}

/* Its memory is what its limit says. */
LINUX_CALL(sysinfo) {
    struct {
        uint64_t uptime, loads[3];
        uint64_t total, free, shared, buffers, swap, free_swap;
        uint16_t processes;
        uint64_t high, free_high;
        uint32_t unit;
        uint32_t rest;
    } info;
    const space *s = context->options.space;
    uint64_t total = s->options.limit_bytes;
    uint64_t used = space_used_bytes(s);
    memset(&info, 0, sizeof info);
    info.uptime = (platform_clock_ns() - context->start_ns) / 1000000000;
    info.total = total;
    info.free = total > used ? total - used : 0;
    info.processes = 1;
    info.unit = 1;
    return linux_put(context, arguments[0], &info, sizeof info);
}

LINUX_CALL(getrandom) {
    enum { FLAGS = 7, MOST_BYTES = 32 << 20 };
    size_t length = arguments[1] < MOST_BYTES ? (size_t)arguments[1] : MOST_BYTES;
    if (((uint32_t)arguments[2] & ~(uint32_t)FLAGS) != 0) {
        return -LINUX_EINVAL;
    }
    uint8_t *to = space_pointer(context->options.space, arguments[0], length, SPACE_WRITE);
    if (!to) {
        return -LINUX_EFAULT;
    }
    for (size_t done = 0; done < length;) {
        size_t part = length - done < LINUX_CHUNK_BYTES ? length - done : LINUX_CHUNK_BYTES;
        if (!linux_pulse(context)) {
            return -LINUX_EINTR;
        }
        if (platform_random(to + done, part, NULL) != TARS_OK) {
            return -LINUX_EIO;
        }
        done += part;
    }
    return (int64_t)length;
}
