#include "base/text.h"
#include "platform/windows/native.h"

/* Children with chosen handles, and hardening, are not written for Windows yet: whoever asks is
 * told so. */

tars_status platform_spawn(const platform_spawn_options *options, platform_process *out,
                           tars_error *err) {
    (void)options;
    *out = (platform_process){.id = -1, .handle = PLATFORM_NO_HANDLE};
    return platform_not_here(err, "starting a confined child process");
}

tars_status platform_process_wait(platform_process *process, uint64_t timeout_ns,
                                  platform_exit *out, tars_error *err) {
    (void)process;
    (void)timeout_ns;
    *out = (platform_exit){.exited = false};
    return platform_not_here(err, "waiting for a child process");
}

void platform_process_terminate(const platform_process *process) {
    (void)process;
}
void platform_process_kill(platform_process *process) {
    (void)process;
}

void platform_exit_describe(const platform_exit *how, char *out, size_t size_bytes) {
    text_buffer text;
    text_init(&text, out, size_bytes);
    text_format(&text, "exited with status %d", how->code);
}

int64_t platform_process_id(void) {
    return (int64_t)GetCurrentProcessId();
}

tars_status platform_harden(const platform_hardening *wanted, platform_hardening_report *report,
                            tars_error *err) {
    (void)wanted;
    *report = (platform_hardening_report){.missing = "nothing of it exists on this system"};
    return platform_not_here(err, "hardening of a process");
}

tars_status platform_jail_run(const platform_jail_options *options, platform_jail_result *out,
                              tars_error *err) {
    (void)options;
    *out = (platform_jail_result){0};
    return platform_not_here(err, "running a program in a process sandbox");
}

void platform_jail_free(platform_jail_result *result) {
    *result = (platform_jail_result){0};
}

/* ---- terminal and signals ---------------------------------------------------------------- */

bool platform_is_terminal(platform_handle handle) {
    DWORD mode;
    return GetConsoleMode(native_handle(handle), &mode) != 0;
}

unsigned platform_terminal_width(platform_handle handle) {
    CONSOLE_SCREEN_BUFFER_INFO info;
    if (!GetConsoleScreenBufferInfo(native_handle(handle), &info)) {
        return 0;
    }
    int width = info.srWindow.Right - info.srWindow.Left + 1;
    return width > 0 ? (unsigned)width : 0;
}

/* The system calls the handler on a thread of its own, without an argument of ours. */
static atomic_uint interrupt_count;
static void (*interrupt_notify)(void *user);
static void *interrupt_user;

static BOOL WINAPI on_interrupt(DWORD kind) {
    if (kind != CTRL_C_EVENT && kind != CTRL_BREAK_EVENT) {
        return FALSE;
    }
    if (atomic_fetch_add(&interrupt_count, 1) >= 2) {
        return FALSE; /* nobody listens: end for real */
    }
    if (interrupt_notify) {
        interrupt_notify(interrupt_user);
    }
    return TRUE;
}

tars_status platform_interrupt_install(void (*notify)(void *user), void *user, tars_error *err) {
    platform_interrupt_remove();
    interrupt_notify = notify;
    interrupt_user = user;
    atomic_store(&interrupt_count, 0);
    return SetConsoleCtrlHandler(on_interrupt, TRUE)
               ? TARS_OK
               : native_fail(err, GetLastError(), NULL, "cannot install a handler for Ctrl-C");
}

void platform_interrupt_remove(void) {
    (void)SetConsoleCtrlHandler(on_interrupt, FALSE);
}
unsigned platform_interrupted(void) {
    return atomic_load(&interrupt_count);
}
void platform_interrupt_clear(void) {
    atomic_store(&interrupt_count, 0);
}
void platform_ignore_broken_pipes(void) {} /* writing to one fails by itself */

const char *platform_jail_call_name(size_t index) {
    (void)index;
    return NULL;
}

const char *platform_call_name(uint32_t number) {
    (void)number;
    return NULL;
}
