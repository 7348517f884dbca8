#include "platform/windows/native.h"

#include <stdlib.h>

typedef struct thread_start {
    void (*function)(void *argument);
    void *argument;
} thread_start;

static DWORD WINAPI run(void *record) {
    const thread_start *start = record;
    start->function(start->argument);
    return 0;
}

static tars_status create(const char *name, size_t stack_bytes, void (*function)(void *argument),
                          void *argument, platform_thread *out, tars_error *err) {
    *out = (platform_thread){.id = 0, .record = NULL};
    thread_start *start = calloc(1, sizeof *start);
    if (!start) {
        return error_set(err, TARS_OUT_OF_MEMORY, "cannot start thread %s", name);
    }
    *start = (thread_start){function, argument};
    HANDLE thread = CreateThread(NULL, stack_bytes, run, start,
                                 stack_bytes > 0 ? STACK_SIZE_PARAM_IS_A_RESERVATION : 0, NULL);
    if (!thread) {
        free(start);
        return native_fail(err, GetLastError(), NULL, "cannot start thread %s", name);
    }
    out->id = (uintptr_t)thread;
    out->record = start;
    return TARS_OK;
}

void platform_thread_join(platform_thread *thread) {
    if (thread->record) {
        (void)WaitForSingleObject((HANDLE)thread->id, INFINITE);
        (void)CloseHandle((HANDLE)thread->id);
        free(thread->record);
        thread->record = NULL;
    }
}

tars_status platform_thread_create(const char *name, void (*function)(void *argument),
                                   void *argument, platform_thread *out, tars_error *err) {
    return create(name, 0, function, argument, out, err);
}

tars_status platform_thread_create_small(const char *name, size_t stack_bytes,
                                         void (*function)(void *argument), void *argument,
                                         platform_thread *out, tars_error *err) {
    return create(name, stack_bytes, function, argument, out, err);
}

tars_status platform_call_with_stack(size_t stack_bytes, void (*function)(void *argument),
                                     void *argument, tars_error *err) {
    ULONG_PTR low = 0;
    ULONG_PTR high = 0;
    GetCurrentThreadStackLimits(&low, &high);
    if ((uintptr_t)__builtin_frame_address(0) - low >= stack_bytes) {
        function(argument);
        return TARS_OK;
    }
    platform_thread thread;
    tars_status status = create("tars-guest", stack_bytes, function, argument, &thread, err);
    if (status == TARS_OK) {
        platform_thread_join(&thread);
    }
    return status;
}

void platform_yield(void) {
    (void)SwitchToThread();
}

/* WaitOnAddress lives in a library that older systems lack under its import name, so it is looked
 * up; it has been there since Windows 8. */
typedef BOOL(WINAPI *wait_function)(volatile void *, void *, SIZE_T, DWORD);
typedef void(WINAPI *wake_function)(void *);

static FARPROC find(const char *name) {
    HMODULE library = GetModuleHandleW(L"kernelbase.dll");
    return library ? GetProcAddress(library, name) : NULL;
}

static wake_function find_wake(const char *name) {
    return (wake_function)(void (*)(void))find(name);
}

bool platform_gate_wait(atomic_uint *gate, unsigned expected, uint64_t timeout_ns) {
    wait_function wait = (wait_function)(void (*)(void))find("WaitOnAddress");
    if (!wait) {
        Sleep(1);
        return true; /* may come early */
    }
    BOOL woken = wait(gate, &expected, sizeof expected, native_wait_ms(timeout_ns));
    return woken || GetLastError() != ERROR_TIMEOUT;
}

void platform_gate_wake_one(atomic_uint *gate) {
    wake_function wake = find_wake("WakeByAddressSingle");
    if (wake) {
        wake(gate);
    }
}

void platform_gate_wake_all(atomic_uint *gate) {
    wake_function wake = find_wake("WakeByAddressAll");
    if (wake) {
        wake(gate);
    }
}
