#include "runtime/wasi/internal.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t ASK_EVERY_NS = 1000000;
static const uint64_t SLICE_NS = 5000000;

tars_status wasi_create(const wasi_options *options, wasi_context **out, tars_error *err) {
    *out = NULL;
    wasi_context *context = calloc(1, sizeof *context);
    if (!context) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for a guest's system interface");
    }
    context->options = *options;
    context->start_ns = platform_clock_ns();
    context->cpu_start_ns = platform_thread_cpu_ns();
    uint64_t keys[8];
    tars_status status = platform_random(keys, sizeof keys, err);
    if (status == TARS_OK) {
        memcpy(context->inode_keys, keys, sizeof context->inode_keys);
        memcpy(context->device_keys, keys + 4, sizeof context->device_keys);
        status = wasi_descriptors_open(context, err);
    }
    if (status != TARS_OK) {
        wasi_destroy(context);
        return status;
    }
    *out = context;
    return TARS_OK;
}

void wasi_destroy(wasi_context *context) {
    if (!context) {
        return;
    }
    wasi_descriptors_close(context);
    free(context->output.data);
    free(context->errors.data);
    free(context);
}

uint32_t wasi_call(wasi_context *context, const wasi_function *function, wasi_memory memory,
                   const uint64_t *arguments) {
    size_t row = (size_t)(function - wasi_functions);
    if (context->end != WASI_RUNS) {
        return WASI_EINTR;
    }
    context->counts[row]++;
    context->running = function;
    if ((context->options.allowed >> row & 1) == 0) {
        wasi_refuse(context, "wasi");
        return WASI_ENOTCAPABLE;
    }
    /* code without loops is never interrupted but here */
    if (!wasi_pulse(context)) {
        return WASI_EINTR;
    }
    uint32_t result = function->call(context, memory, arguments);
    (void)wasi_pulse(context);
    return result;
}

void wasi_finish(wasi_context *context, wasi_end end) {
    if (context->end == WASI_RUNS) {
        context->end = end;
    }
}

void wasi_refuse(wasi_context *context, const char *kind) {
    runtime_violations_add(&context->violations, kind, context->running->name, 1);
}

bool wasi_pulse(wasi_context *context) {
    const wasi_options *o = &context->options;
    if (o->deadline_ns == 0 && !o->goes_on) {
        return context->end == WASI_RUNS;
    }
    uint64_t now = platform_clock_ns();
    if (o->deadline_ns != 0 && now >= o->deadline_ns) {
        wasi_finish(context, WASI_TIME);
    } else if (o->goes_on && now - context->asked_ns >= ASK_EVERY_NS) {
        context->asked_ns = now;
        if (!o->goes_on(o->user)) {
            wasi_finish(context, WASI_STOPPED);
        }
    }
    return context->end == WASI_RUNS;
}

uint64_t wasi_slice_ns(const wasi_context *context, uint64_t wanted_ns) {
    uint64_t deadline = context->options.deadline_ns;
    uint64_t now = platform_clock_ns();
    uint64_t slice = wanted_ns < SLICE_NS ? wanted_ns : SLICE_NS;
    if (deadline == 0 || slice == 0) {
        return slice;
    }
    uint64_t left = deadline > now ? deadline - now : 0;
    return slice < left ? slice : left;
}

/* ---- output ---------------------------------------------------------------------------- */

static bool make_room(wasi_buffer *buffer, size_t length) {
    if (buffer->capacity - buffer->length > length) { /* and a NUL */
        return true;
    }
    size_t capacity = buffer->capacity < 4096 ? 4096 : buffer->capacity;
    while (capacity - buffer->length <= length) {
        if (capacity > SIZE_MAX / 2) {
            return false;
        }
        capacity *= 2;
    }
    char *grown = realloc(buffer->data, capacity);
    if (!grown) {
        return false;
    }
    buffer->data = grown;
    buffer->capacity = capacity;
    return true;
}

bool wasi_buffer_add(wasi_context *context, wasi_buffer *buffer, const uint8_t *bytes,
                     size_t length) {
    uint64_t used = (uint64_t)context->output.length + context->errors.length;
    uint64_t left = context->options.output_bytes - used; /* never more than the limit is kept */
    size_t kept = length <= left ? length : (size_t)left;
    if (!make_room(buffer, kept)) {
        wasi_finish(context, WASI_NO_MEMORY);
        return false;
    }
    if (kept > 0) {
        memcpy(buffer->data + buffer->length, bytes, kept);
    }
    buffer->length += kept;
    buffer->data[buffer->length] = '\0';
    context->bytes_out += kept;
    if (kept < length) {
        wasi_finish(context, WASI_OUTPUT);
    }
    return kept == length;
}

/* ---- what was done --------------------------------------------------------------------- */

wasi_end wasi_ended(const wasi_context *context) {
    return context->end;
}

uint32_t wasi_exit_code(const wasi_context *context) {
    return context->exit_code;
}

static wasi_bytes bytes_of(const wasi_buffer *buffer) {
    static char nothing[1];
    return (wasi_bytes){buffer->data ? buffer->data : nothing, buffer->length};
}

wasi_bytes wasi_output(const wasi_context *context) {
    return bytes_of(&context->output);
}

wasi_bytes wasi_errors(const wasi_context *context) {
    return bytes_of(&context->errors);
}

void wasi_add_usage(const wasi_context *context, runtime_usage *usage) {
    usage->bytes_in += context->bytes_in;
    usage->bytes_out += context->bytes_out;
    for (size_t i = 0; i < wasi_function_count; i++) {
        runtime_usage_count(usage, wasi_functions[i].name, context->counts[i]);
    }
}

const runtime_violations *wasi_violations(const wasi_context *context) {
    return &context->violations;
}
