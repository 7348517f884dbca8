#include "runtime/wasi/internal.h"

#include <string.h>

/* ---- arguments and environment --------------------------------------------------------- */

/* False when they do not fit a guest's 32 bits. */
static bool size_of(const char *const *texts, uint32_t *count, uint32_t *size_bytes) {
    uint64_t n = 0;
    uint64_t total = 0;
    for (; texts && texts[n]; n++) {
        total += strlen(texts[n]) + 1;
    }
    *count = (uint32_t)n;
    *size_bytes = (uint32_t)total;
    return n <= UINT32_MAX && total <= UINT32_MAX;
}

static wasi_errno put_sizes(wasi_memory memory, const char *const *texts,
                            const uint64_t *arguments) {
    uint32_t count, size_bytes;
    if (!size_of(texts, &count, &size_bytes)) {
        return WASI_EOVERFLOW;
    }
    wasi_errno result = wasi_put_u32(memory, wasi_u32(arguments, 0), count);
    return result == WASI_SUCCESS ? wasi_put_u32(memory, wasi_u32(arguments, 1), size_bytes)
                                  : result;
}

/* An array of pointers and, elsewhere, the texts that they point to. */
static wasi_errno put_texts(wasi_memory memory, const char *const *texts,
                            const uint64_t *arguments) {
    uint32_t pointers = wasi_u32(arguments, 0);
    uint32_t at = wasi_u32(arguments, 1);
    uint32_t count, size_bytes;
    if (!size_of(texts, &count, &size_bytes)) {
        return WASI_EOVERFLOW;
    }
    if (!wasi_in_memory(memory, pointers, (uint64_t)count * 4) ||
        !wasi_in_memory(memory, at, size_bytes)) {
        return WASI_EFAULT;
    }
    for (uint32_t i = 0; i < count; i++) {
        size_t length = strlen(texts[i]) + 1;
        (void)wasi_put_u32(memory, pointers + 4 * i, at);
        (void)wasi_put(memory, at, texts[i], length);
        at += (uint32_t)length;
    }
    return WASI_SUCCESS;
}

WASI_CALL(args_get) {
    return put_texts(memory, context->options.arguments, arguments);
}

WASI_CALL(args_sizes_get) {
    return put_sizes(memory, context->options.arguments, arguments);
}

WASI_CALL(environ_get) {
    return put_texts(memory, context->options.environment, arguments);
}

WASI_CALL(environ_sizes_get) {
    return put_sizes(memory, context->options.environment, arguments);
}

/* ---- the program itself ---------------------------------------------------------------- */

WASI_CALL(proc_exit) {
    (void)memory;
    context->exit_code = wasi_u32(arguments, 0);
    wasi_finish(context, WASI_EXITED);
    return WASI_SUCCESS;
}

/* There are no signals. A program that raises one to end itself goes on to trap, as abort does. */
WASI_CALL(proc_raise) {
    (void)context;
    (void)memory;
    (void)arguments;
    return WASI_ENOSYS;
}

WASI_CALL(sched_yield) {
    (void)memory;
    (void)arguments;
    platform_yield();
    (void)wasi_pulse(context);
    return WASI_SUCCESS;
}

WASI_CALL(random_get) {
    uint32_t at = wasi_u32(arguments, 0);
    size_t length = wasi_u32(arguments, 1);
    if (!wasi_in_memory(memory, at, length)) {
        return WASI_EFAULT;
    }
    for (size_t done = 0; done < length;) {
        size_t part = length - done < WASI_CHUNK_BYTES ? length - done : WASI_CHUNK_BYTES;
        if (!wasi_pulse(context)) {
            return WASI_EINTR;
        }
        if (platform_random(memory.bytes + at + done, part, NULL) != TARS_OK) {
            return WASI_EIO;
        }
        done += part;
    }
    return WASI_SUCCESS;
}

WASI_CALL(sock_refused) {
    (void)memory;
    (void)arguments;
    wasi_refuse(context, "wasi");
    return WASI_ENOTCAPABLE;
}
