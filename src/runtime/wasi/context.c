#include "runtime/wasi/internal.h"

#include <stdlib.h>
#include <string.h>

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
    kept_output_finish(&context->output);
    kept_output_finish(&context->errors);
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
    request_clock_state state =
        request_clock_look(o->deadline_ns, o->goes_on, o->user, &context->asked_ns);
    if (state != REQUEST_GOES_ON) {
        wasi_finish(context, state == REQUEST_TIME_IS_OVER ? WASI_TIME : WASI_STOPPED);
    }
    return context->end == WASI_RUNS;
}

uint64_t wasi_slice_ns(const wasi_context *context, uint64_t wanted_ns) {
    return request_clock_slice_ns(context->options.deadline_ns, wanted_ns);
}

/* ---- output ---------------------------------------------------------------------------- */

bool wasi_buffer_add(wasi_context *context, kept_output *buffer, const uint8_t *bytes,
                     size_t length) {
    uint64_t used = (uint64_t)context->output.length + context->errors.length;
    size_t kept = 0;
    kept_output_result result =
        kept_output_add(buffer, bytes, length, context->options.output_bytes - used, &kept);
    context->bytes_out += kept;
    if (result != KEPT_ALL) {
        wasi_finish(context, result == KEPT_NOTHING ? WASI_NO_MEMORY : WASI_OUTPUT);
    }
    return result == KEPT_ALL;
}

/* ---- what was done --------------------------------------------------------------------- */

wasi_end wasi_ended(const wasi_context *context) {
    return context->end;
}

uint32_t wasi_exit_code(const wasi_context *context) {
    return context->exit_code;
}

static wasi_bytes bytes_of(const kept_output *buffer) {
    return (wasi_bytes){kept_output_text(buffer), buffer->length};
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
