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

tars_status platform_thread_create(const char *name, void (*function)(void *argument),
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
    block_signals(&before);
    int number = pthread_create(&thread, NULL, run, start);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
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

void platform_yield(void) {
    (void)sched_yield();
}
