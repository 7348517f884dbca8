/* Waiting for descriptors. What they can wait for lies within the guest, but for standard input. */
#include "runtime/microvm/linux_internal.h"

#include "base/checked.h"

#include <stdlib.h>
#include <string.h>

enum {
    EVENT_IN = 1,
    EVENT_OUT = 4,
    EVENT_ERROR = 8,
    EVENT_END = 16,
    EVENT_BAD = 32, /* poll: no such descriptor */
    EVENT_ONCE = 1 << 30
};
#define EVENT_EDGE ((uint32_t)1 << 31)
static const uint64_t LOOK_EVERY_NS = 1000000;
static const uint64_t MS = 1000000;

static uint32_t events_of(linux_context *context, const linux_open *open) {
    uint32_t events = 0;
    if (open->kind == LINUX_KIND_EPOLL) {
        return 0;
    }
    events |= open->readable && linux_ready(context, open, false) ? EVENT_IN : 0;
    events |= open->writable && linux_ready(context, open, true) ? EVENT_OUT : 0;
    if (open->kind == LINUX_KIND_PIPE_READ && open->pipe->n_writers == 0) {
        events |= EVENT_END;
    }
    if (open->kind == LINUX_KIND_PIPE_WRITE && open->pipe->n_readers == 0) {
        events |= EVENT_ERROR;
    }
    return events;
}

/* Waits for a moment before the next look; false: the time is over, or the guest has ended. */
static bool wait_more(linux_context *context, uint64_t until_ns) {
    const linux_options *o = &context->options;
    uint64_t now = platform_clock_ns();
    if (until_ns == PLATFORM_FOREVER && o->deadline_ns == 0 && !o->goes_on &&
        !context->machine.sleep && o->input == PLATFORM_NO_HANDLE) {
        linux_finish(context, LINUX_TIME); /* nothing else would ever end it */
    }
    if (!linux_pulse(context) || now >= until_ns || linux_has_signal(context)) {
        return false;
    }
    uint64_t left = until_ns - now;
    bool is_told = context->machine.wake && o->input == PLATFORM_NO_HANDLE; /* of all changes */
    uint64_t most = is_told ? UINT64_MAX : LOOK_EVERY_NS;
    linux_nap_for_files(context, linux_slice_ns(context, left < most ? left : most));
    return linux_pulse(context);
}

/* Of a time-out in milliseconds, an int: negative is forever. */
static uint64_t end_of(uint64_t timeout_ms) {
    int32_t ms = (int32_t)timeout_ms;
    return ms < 0 ? PLATFORM_FOREVER : platform_clock_ns() + (uint64_t)ms * MS;
}

/* ---- poll -------------------------------------------------------------------------------- */

typedef struct poll_row {
    int32_t number;
    int16_t wanted, found;
} poll_row;

enum { MAX_POLLED = 1024 };

static int64_t look_at_all(linux_context *context, poll_row *rows, size_t count) {
    int64_t n = 0;
    for (size_t i = 0; i < count; i++) {
        linux_open *open;
        rows[i].found = 0;
        if (rows[i].number < 0) {
            continue;
        }
        bool bad = linux_take(context, (uint32_t)rows[i].number, LINUX_KIND_ANY, &open) != 0;
        uint32_t wanted = (uint16_t)rows[i].wanted | EVENT_ERROR | EVENT_END;
        uint32_t found = bad ? EVENT_BAD : events_of(context, open) & wanted;
        rows[i].found = (int16_t)found;
        n += found != 0 ? 1 : 0;
    }
    return n;
}

static int64_t poll_until(linux_context *context, uint64_t address, uint64_t count,
                          uint64_t until_ns) {
    poll_row rows[MAX_POLLED];
    uint32_t n_rows = (uint32_t)count;
    if (n_rows > MAX_POLLED) {
        return -LINUX_EINVAL;
    }
    int64_t result = linux_get(context, address, rows, n_rows * sizeof rows[0]);
    if (result != 0) {
        return result;
    }
    do {
        result = look_at_all(context, rows, n_rows);
    } while (result == 0 && wait_more(context, until_ns));
    if (context->end != LINUX_RUNS || (result == 0 && linux_has_signal(context))) {
        return -LINUX_EINTR;
    }
    int64_t stored = linux_put(context, address, rows, n_rows * sizeof rows[0]);
    return stored == 0 ? result : stored;
}

LINUX_CALL(poll) {
    return poll_until(context, arguments[0], arguments[1], end_of(arguments[2]));
}

LINUX_CALL(ppoll) {
    uint64_t until = PLATFORM_FOREVER;
    if (arguments[2] != 0) {
        uint64_t ns;
        int64_t result = linux_get_time(context, arguments[2], &ns);
        if (result != 0) {
            return result;
        }
        until = linux_later(platform_clock_ns(), ns);
    }
    return poll_until(context, arguments[0], arguments[1], until);
}

/* ---- select ------------------------------------------------------------------------------ */

/* Sets of descriptors as bits: to be read, to be written, and those of whom something out of the
 * order could be told, which none ever does. Higher descriptors than have bits are not waited for,
 * as C libraries have it. */
enum { TO_READ = 0, TO_WRITE, UNUSUAL, N_SETS, SET_WORDS = MAX_POLLED / 64 };
typedef struct select_sets {
    uint64_t words[N_SETS][SET_WORDS];
} select_sets;

static uint64_t in_set(const uint64_t *words, uint32_t number) {
    return words[number / 64] & (uint64_t)1 << number % 64;
}

static size_t bytes_of_sets(uint32_t count) {
    return ((size_t)count + 63) / 64 * sizeof(uint64_t);
}

static int64_t get_sets(linux_context *context, const uint64_t *a, uint32_t count,
                        select_sets *out) {
    int64_t result = 0;
    for (size_t i = 0; i < N_SETS && result == 0; i++) {
        if (a[1 + i] != 0) {
            result = linux_get(context, a[1 + i], out->words[i], bytes_of_sets(count));
        }
    }
    for (uint32_t number = 0; number < count && result == 0; number++) {
        linux_open *open;
        bool named = in_set(out->words[TO_READ], number) || in_set(out->words[TO_WRITE], number) ||
                     in_set(out->words[UNUSUAL], number);
        result = named ? linux_take(context, number, LINUX_KIND_ANY, &open) : 0;
    }
    return result;
}

static int64_t put_sets(linux_context *context, const uint64_t *a, uint32_t count,
                        const select_sets *found) {
    int64_t result = 0;
    for (size_t i = 0; i < N_SETS && result == 0; i++) {
        if (a[1 + i] != 0) {
            result = linux_put(context, a[1 + i], found->words[i], bytes_of_sets(count));
        }
    }
    return result;
}

/* How many bits are found set. */
static int64_t look_at_sets(linux_context *context, const select_sets *wanted, uint32_t count,
                            select_sets *found) {
    static const uint32_t events[] = {EVENT_IN | EVENT_END | EVENT_ERROR, EVENT_OUT | EVENT_ERROR};
    int64_t n = 0;
    *found = (select_sets){.words = {{0}}};
    for (uint32_t number = 0; number < count; number++) {
        linux_open *open;
        for (size_t i = TO_READ; i <= TO_WRITE; i++) {
            uint64_t bit = in_set(wanted->words[i], number);
            if (bit != 0 && linux_take(context, number, LINUX_KIND_ANY, &open) == 0 &&
                (events_of(context, open) & events[i]) != 0) {
                found->words[i][number / 64] |= bit;
                n++;
            }
        }
    }
    return n;
}

static int64_t select_until(linux_context *context, const uint64_t *a, uint64_t until_ns) {
    select_sets wanted = {.words = {{0}}};
    select_sets found;
    int32_t given = (int32_t)a[0];
    size_t most = context->n_rows < MAX_POLLED ? context->n_rows : MAX_POLLED;
    if (given < 0) {
        return -LINUX_EINVAL;
    }
    uint32_t count = (uint32_t)given < most ? (uint32_t)given : (uint32_t)most;
    int64_t result = get_sets(context, a, count, &wanted);
    if (result != 0) {
        return result;
    }
    do {
        result = look_at_sets(context, &wanted, count, &found);
    } while (result == 0 && wait_more(context, until_ns));
    if (context->end != LINUX_RUNS || (result == 0 && linux_has_signal(context))) {
        return -LINUX_EINTR;
    }
    int64_t stored = put_sets(context, a, count, &found);
    return stored == 0 ? result : stored;
}

/* The time that is left replaces the time-out: seconds and units of `unit_ns`. */
static void put_rest(linux_context *context, uint64_t address, uint64_t until_ns,
                     uint64_t unit_ns) {
    const uint64_t second_ns = 1000 * MS;
    uint64_t now = platform_clock_ns();
    uint64_t left = linux_round_down(context, until_ns > now ? until_ns - now : 0);
    const uint64_t pair[2] = {left / second_ns, left % second_ns / unit_ns};
    (void)linux_put(context, address, pair, sizeof pair); /* the sets are what counts */
}

LINUX_CALL(select) {
    const uint64_t microsecond_ns = 1000;
    int64_t pair[2];
    uint64_t ns;
    if (arguments[4] == 0) {
        return select_until(context, arguments, PLATFORM_FOREVER);
    }
    if (linux_get(context, arguments[4], pair, sizeof pair) != 0) {
        return -LINUX_EFAULT;
    }
    if (pair[0] < 0 || pair[1] < 0) {
        return -LINUX_EINVAL;
    }
    bool fits = checked_mul_u64((uint64_t)pair[0], 1000 * MS, &ns) &&
                (uint64_t)pair[1] <= UINT64_MAX / microsecond_ns &&
                checked_add_u64(ns, (uint64_t)pair[1] * microsecond_ns, &ns);
    uint64_t until = linux_later(platform_clock_ns(), fits ? ns : UINT64_MAX);
    int64_t result = select_until(context, arguments, until);
    put_rest(context, arguments[4], until, microsecond_ns);
    return result;
}

/* The thread's own mask of signals holds, not that which is given here. */
LINUX_CALL(pselect6) {
    uint64_t ns;
    if (arguments[4] == 0) {
        return select_until(context, arguments, PLATFORM_FOREVER);
    }
    int64_t result = linux_get_time(context, arguments[4], &ns);
    if (result != 0) {
        return result;
    }
    uint64_t until = linux_later(platform_clock_ns(), ns);
    result = select_until(context, arguments, until);
    put_rest(context, arguments[4], until, 1);
    return result;
}

/* ---- epoll ------------------------------------------------------------------------------- */

LINUX_CALL(epoll_create1) {
    enum { CLOSE_ON_EXEC = 0x80000 };
    uint32_t flags = (uint32_t)arguments[0];
    if ((flags & ~(uint32_t)CLOSE_ON_EXEC) != 0) {
        return -LINUX_EINVAL;
    }
    linux_open *open = linux_open_new(LINUX_KIND_EPOLL);
    return open ? linux_add(context, open, 0, flags != 0) : -LINUX_ENOMEM;
}

/* struct epoll_event, which has no padding. */
enum { EPOLL_EVENT_BYTES = 12, MAX_EVENTS = 1024 };

static linux_watch *find_watch(const linux_open *epoll, uint32_t number, uint64_t serial) {
    for (size_t i = 0; i < epoll->n_watches; i++) {
        if (epoll->watches[i].number == number && epoll->watches[i].serial == serial) {
            return &epoll->watches[i];
        }
    }
    return NULL;
}

/* Those whose descriptor was closed make room. */
static void forget_closed(linux_context *context, linux_open *epoll) {
    size_t kept = 0;
    for (size_t i = 0; i < epoll->n_watches; i++) {
        linux_open *open;
        const linux_watch w = epoll->watches[i];
        if (linux_take(context, w.number, LINUX_KIND_ANY, &open) == 0 && open->serial == w.serial) {
            epoll->watches[kept++] = w;
        }
    }
    epoll->n_watches = kept;
}

static int64_t add_watch(linux_context *context, linux_open *epoll, linux_watch watch) {
    forget_closed(context, epoll);
    linux_watch *grown =
        realloc(epoll->watches, (epoll->n_watches + 1) * sizeof *grown); /* at most a row each */
    if (!grown) {
        return -LINUX_ENOMEM;
    }
    epoll->watches = grown;
    epoll->watches[epoll->n_watches++] = watch;
    return 0;
}

LINUX_CALL(epoll_ctl) {
    enum { ADD = 1, REMOVE = 2, CHANGE = 3 };
    linux_open *epoll, *open;
    uint32_t operation = (uint32_t)arguments[1];
    uint8_t event[EPOLL_EVENT_BYTES] = {0};
    int64_t result = linux_take(context, arguments[0], LINUX_KIND_ANY, &epoll);
    if (result == 0) {
        result = linux_take(context, arguments[2], LINUX_KIND_ANY, &open);
    }
    if (result == 0 && (epoll->kind != LINUX_KIND_EPOLL || open->kind == LINUX_KIND_EPOLL ||
                        operation < ADD || operation > CHANGE)) {
        result = -LINUX_EINVAL;
    }
    if (result == 0 &&
        (open->kind & (LINUX_KIND_FILE | LINUX_KIND_FOLDERS | LINUX_KIND_DEVICE)) != 0) {
        result = -LINUX_EPERM; /* they never have to be waited for */
    }
    if (result == 0 && operation != REMOVE) {
        result = linux_get(context, arguments[3], event, sizeof event);
    }
    if (result != 0) {
        return result;
    }
    linux_wake_files(context);
    linux_watch wanted = {.number = (uint32_t)arguments[2], .serial = open->serial};
    memcpy(&wanted.events, event, sizeof wanted.events);
    memcpy(&wanted.data, event + 4, sizeof wanted.data);
    linux_watch *found = find_watch(epoll, wanted.number, wanted.serial);
    if (operation == ADD) {
        return found ? -LINUX_EEXIST : add_watch(context, epoll, wanted);
    }
    if (!found) {
        return -LINUX_ENOENT;
    }
    *found = operation == CHANGE ? wanted : epoll->watches[--epoll->n_watches];
    return 0;
}

static uint64_t changes_of(const linux_open *open) {
    return open->pipe ? open->pipe->n_changes : open->event.n_changes;
}

/* What a watch has to tell now. One that tells edges tells again only when something has changed;
 * of standard input that is not known. */
static uint32_t news_of(linux_context *context, linux_watch *w) {
    linux_open *open;
    if (w->events == 0 || linux_take(context, w->number, LINUX_KIND_ANY, &open) != 0 ||
        open->serial != w->serial) {
        return 0;
    }
    uint32_t found = events_of(context, open) & (w->events | EVENT_ERROR | EVENT_END);
    bool old = (w->events & EVENT_EDGE) != 0 && open->kind != LINUX_KIND_INPUT && w->told &&
               w->n_changes == changes_of(open);
    if (found == 0 || old) {
        return 0;
    }
    w->told = true;
    w->n_changes = changes_of(open);
    if ((w->events & EVENT_ONCE) != 0) {
        w->events = 0;
    }
    return found;
}

static int64_t wait_for_events(linux_context *context, const uint64_t *a) {
    linux_open *epoll;
    int32_t most = (int32_t)a[2];
    uint64_t until = end_of(a[3]);
    if (most <= 0) {
        return -LINUX_EINVAL;
    }
    most = most < MAX_EVENTS ? most : MAX_EVENTS;
    if (!space_pointer(context->options.space, a[1], (uint64_t)most * EPOLL_EVENT_BYTES,
                       SPACE_WRITE)) {
        return -LINUX_EFAULT;
    }
    do {
        int64_t n = 0;
        if (linux_take(context, a[0], LINUX_KIND_EPOLL, &epoll) != 0) {
            return linux_take(context, a[0], LINUX_KIND_ANY, &epoll) != 0 ? -LINUX_EBADF
                                                                          : -LINUX_EINVAL;
        }
        for (size_t i = 0; i < epoll->n_watches && n < most; i++) {
            uint32_t found = news_of(context, &epoll->watches[i]);
            uint8_t event[EPOLL_EVENT_BYTES];
            memcpy(event, &found, sizeof found);
            memcpy(event + 4, &epoll->watches[i].data, sizeof epoll->watches[i].data);
            if (found != 0 && linux_put(context, a[1] + (uint64_t)n * EPOLL_EVENT_BYTES, event,
                                        sizeof event) != 0) {
                return -LINUX_EFAULT; /* unmapped while it waited */
            }
            n += found != 0 ? 1 : 0;
        }
        if (n > 0) {
            return n;
        }
    } while (wait_more(context, until));
    return context->end == LINUX_RUNS && !linux_has_signal(context) ? 0 : -LINUX_EINTR;
}

LINUX_CALL(epoll_wait) {
    return wait_for_events(context, arguments);
}

LINUX_CALL(epoll_pwait) {
    return wait_for_events(context, arguments);
}
