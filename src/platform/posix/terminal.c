#include "platform/internal.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool platform_is_terminal(platform_handle handle) {
    return isatty((int)handle) == 1;
}

unsigned platform_terminal_width(platform_handle handle) {
    struct winsize size;
    return ioctl((int)handle, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/* A signal handler has no argument, so what it needs stands here; written while the handler is not
 * installed. */
static const int interrupt_signals[2] = {SIGINT, SIGTERM};
static struct sigaction interrupt_previous[2];
static bool interrupt_installed;
static atomic_uint interrupt_count;
static void (*interrupt_notify)(void *user);
static void *interrupt_user;

static void on_interrupt(int number) {
    int saved = errno;
    if (atomic_fetch_add(&interrupt_count, 1) >= 2) { /* nobody listens: end for real */
        (void)signal(number, SIG_DFL);
        (void)raise(number);
    }
    if (interrupt_notify) {
        interrupt_notify(interrupt_user);
    }
    errno = saved;
}

tars_status platform_interrupt_install(void (*notify)(void *user), void *user, tars_error *err) {
    platform_interrupt_remove();
    atomic_store(&interrupt_count, 0);
    interrupt_notify = notify;
    interrupt_user = user;
    struct sigaction action = {.sa_handler = on_interrupt}; /* no SA_RESTART: waits end at once */
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < 2; i++) {
        if (sigaction(interrupt_signals[i], &action, &interrupt_previous[i]) != 0) {
            return platform_fail(err, errno, NULL, "cannot install a signal handler");
        }
    }
    interrupt_installed = true;
    return TARS_OK;
}

void platform_interrupt_remove(void) {
    for (size_t i = 0; i < 2 && interrupt_installed; i++) {
        (void)sigaction(interrupt_signals[i], &interrupt_previous[i], NULL);
    }
    interrupt_installed = false;
}

unsigned platform_interrupted(void) {
    return atomic_load(&interrupt_count);
}
void platform_interrupt_clear(void) {
    atomic_store(&interrupt_count, 0);
}

void platform_ignore_broken_pipes(void) {
    (void)signal(SIGPIPE, SIG_IGN);
}
