#include "platform/internal.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

typedef struct thread_start {
    void (*function)(void *argument);
    void *argument;
    char name[16];
} thread_start;

static void *run(void *record) {
    const thread_start *start = record;
#if defined(__linux__)
    (void)pthread_setname_np(pthread_self(), start->name);
#elif defined(__APPLE__)
    (void)pthread_setname_np(start->name);
#endif
    start->function(start->argument);
    return NULL;
}

/* The signals that tell of a fault in the thread itself stay open, all others go to the program's
 * own threads. */
static void block_signals(sigset_t *before) {
    static const int faults[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    sigset_t all;
    (void)sigfillset(&all);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        (void)sigdelset(&all, faults[i]);
    }
    (void)pthread_sigmask(SIG_BLOCK, &all, before);
}

static tars_status create(const char *name, size_t stack_bytes, void (*function)(void *argument),
                          void *argument, platform_thread *out, tars_error *err) {
    *out = (platform_thread){.id = 0, .record = NULL};
    thread_start *start = calloc(1, sizeof *start);
    if (!start) {
        return platform_fail(err, ENOMEM, NULL, "cannot start thread %s", name);
    }
    start->function = function;
    start->argument = argument;
    size_t length = strlen(name);
    memcpy(start->name, name, length < sizeof start->name ? length : sizeof start->name - 1);
    sigset_t before;
    pthread_t thread;
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    int number = stack_bytes > 0 ? pthread_attr_setstacksize(&attributes, stack_bytes) : 0;
    block_signals(&before);
    number = number == 0 ? pthread_create(&thread, &attributes, run, start) : number;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    if (number != 0) {
        free(start);
        return platform_fail(err, number, NULL, "cannot start thread %s", name);
    }
    out->id = (uintptr_t)thread;
    out->record = start;
    return TARS_OK;
}

void platform_thread_join(platform_thread *thread) {
    if (thread->record) {
        (void)pthread_join((pthread_t)thread->id, NULL);
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

/* The lowest address of this thread's stack; 0 when the system does not say. The main thread's is
 * looked up in a file, so it is kept. */
static uintptr_t stack_begin(void) {
    static _Thread_local uintptr_t begin;
#if defined(__linux__)
    pthread_attr_t attributes;
    if (begin == 0 && pthread_getattr_np(pthread_self(), &attributes) == 0) {
        void *low = NULL;
        size_t size_bytes = 0;
        (void)pthread_attr_getstack(&attributes, &low, &size_bytes);
        (void)pthread_attr_destroy(&attributes);
        begin = (uintptr_t)low;
    }
#elif defined(__APPLE__)
    if (begin == 0) { /* this gives the high end */
        begin = (uintptr_t)pthread_get_stackaddr_np(pthread_self()) -
                pthread_get_stacksize_np(pthread_self());
    }
#endif
    return begin;
}

tars_status platform_call_with_stack(size_t stack_bytes, void (*function)(void *argument),
                                     void *argument, tars_error *err) {
    uintptr_t begin = stack_begin();
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if (begin > 0 && here > begin && here - begin >= stack_bytes) {
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
    (void)sched_yield();
}
