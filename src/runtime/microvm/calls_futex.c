/* Words of the guest's memory that its threads wait for: who waits is known here alone, by guest
 * address, so that nothing of the host's can be waited for or woken. */
#include "runtime/microvm/linux_internal.h"

enum {
    WAIT = 0,
    WAKE = 1,
    REQUEUE = 3,
    REQUEUE_IF = 4,
    WAKE_OPERATION = 5,
    WAIT_SET = 9,
    WAKE_SET = 10,
    N_COMMANDS
};
enum { COMMAND_MASK = 127, ON_WALL_CLOCK = 256 };
#define EVERY_SET UINT32_MAX

static uint32_t *word_at(linux_context *context, uint64_t address, unsigned access) {
    return address % sizeof(uint32_t) == 0
               ? space_pointer(context->options.space, address, sizeof(uint32_t), access)
               : NULL;
}

static int64_t no_word(uint64_t address) {
    return address % sizeof(uint32_t) == 0 ? -LINUX_EFAULT : -LINUX_EINVAL;
}

/* ---- waiting ----------------------------------------------------------------------------- */

/* Under the lock from the look at the word on: a wake that follows finds who waits. */
static int64_t wait_until(linux_context *context, linux_wait wanted, uint64_t until_ns) {
    const linux_options *o = &context->options;
    linux_wait *own = &context->current->wait;
    if (until_ns == PLATFORM_FOREVER && !context->machine.sleep && o->deadline_ns == 0 &&
        !o->goes_on) {
        linux_finish(context, LINUX_TIME); /* nothing else would ever end it */
    }
    *own = wanted;
    own->waits = true;
    own->turn = ++context->n_turns;
    bool timed_out = false;
    while (linux_pulse(context) && !own->woken && !timed_out && !linux_has_signal(context)) {
        uint64_t now = platform_clock_ns();
        timed_out = now >= until_ns;
        if (!timed_out) {
            linux_nap(context, linux_slice_ns(context, until_ns - now));
        }
    }
    own->waits = false;
    if (own->woken) {
        return 0;
    }
    if (timed_out || context->end != LINUX_RUNS) {
        return timed_out ? -LINUX_ETIMEDOUT : -LINUX_EINTR;
    }
    return until_ns == PLATFORM_FOREVER ? -LINUX_RESTART : -LINUX_EINTR;
}

static int64_t wait_for_word(linux_context *context, const uint64_t *a) {
    uint32_t command = (uint32_t)a[1] & COMMAND_MASK;
    uint64_t until = PLATFORM_FOREVER;
    linux_wait wanted = {.address = a[0], .set = command == WAIT_SET ? (uint32_t)a[5] : EVERY_SET};
    if (a[3] != 0) {
        uint64_t ns;
        int64_t result = linux_get_time(context, a[3], &ns);
        if (result != 0) {
            return result;
        }
        bool wall = ((uint32_t)a[1] & ON_WALL_CLOCK) != 0;
        until = command == WAIT_SET
                    ? linux_moment_of(context, wall ? LINUX_CLOCK_WALL : LINUX_CLOCK_STEADY, ns)
                    : linux_later(platform_clock_ns(), ns);
    }
    const uint32_t *word = word_at(context, a[0], SPACE_READ);
    if (!word) {
        return no_word(a[0]);
    }
    return __atomic_load_n(word, __ATOMIC_SEQ_CST) == (uint32_t)a[2]
               ? wait_until(context, wanted, until)
               : -LINUX_EAGAIN;
}

/* ---- waking ------------------------------------------------------------------------------ */

/* Who waits longest for that word with one of those bits, or NULL. */
static linux_thread *first_of(linux_context *context, uint64_t address, uint32_t set) {
    linux_thread *first = NULL;
    for (unsigned i = 0; i < context->n_threads; i++) {
        linux_thread *t = &context->threads[i];
        const linux_wait *w = &t->wait;
        if (t->is_live && w->waits && !w->woken && w->address == address && (w->set & set) != 0 &&
            (!first || w->turn < first->wait.turn)) {
            first = t;
        }
    }
    return first;
}

int64_t linux_wake(linux_context *context, uint64_t address, uint32_t count, uint32_t set) {
    const linux_machine *m = &context->machine;
    linux_thread *t;
    int64_t n = 0;
    while (n < (int64_t)count && (t = first_of(context, address, set)) != NULL) {
        t->wait.woken = true;
        m->wake(m->user, (unsigned)(t - context->threads));
        n++;
    }
    return n;
}

/* Some are woken, some of the others wait for another word from now on. */
static int64_t requeue(linux_context *context, const uint64_t *a) {
    const uint32_t *word = word_at(context, a[0], SPACE_READ);
    linux_thread *t;
    if (!word || !word_at(context, a[4], SPACE_READ)) {
        return no_word(!word ? a[0] : a[4]);
    }
    if ((int32_t)a[2] < 0 || (int32_t)a[3] < 0) {
        return -LINUX_EINVAL;
    }
    if (((uint32_t)a[1] & COMMAND_MASK) == REQUEUE_IF &&
        __atomic_load_n(word, __ATOMIC_SEQ_CST) != (uint32_t)a[5]) {
        return -LINUX_EAGAIN;
    }
    int64_t n = linux_wake(context, a[0], (uint32_t)a[2], EVERY_SET);
    for (uint32_t i = 0;
         a[0] != a[4] && i < (uint32_t)a[3] && (t = first_of(context, a[0], EVERY_SET)) != NULL;
         i++, n++) {
        t->wait.address = a[4];
        t->wait.turn = ++context->n_turns;
    }
    return n;
}

/* What FUTEX_WAKE_OP does to a word, and asks of what it was. */
typedef struct operation {
    uint32_t kind, comparison;
    int32_t operand, compared;
} operation;

static bool decode(uint32_t code, operation *out) {
    enum { SHIFTED = 8, N_KINDS = 5, N_COMPARISONS = 6 };
    uint32_t kind = code >> 28;
    *out = (operation){.kind = kind & ~(uint32_t)SHIFTED,
                       .comparison = code >> 24 & 15,
                       .operand = (int32_t)(code << 8) >> 20,
                       .compared = (int32_t)(code << 20) >> 20};
    if ((kind & SHIFTED) != 0) {
        out->operand = (int32_t)((uint32_t)1 << (out->operand & 31));
    }
    return out->kind < N_KINDS && out->comparison < N_COMPARISONS;
}

static uint32_t apply(const operation *o, uint32_t *word) {
    enum { SET = 0, ADD, OR, AND_NOT, XOR };
    uint32_t value = (uint32_t)o->operand;
    return o->kind == SET       ? __atomic_exchange_n(word, value, __ATOMIC_SEQ_CST)
           : o->kind == ADD     ? __atomic_fetch_add(word, value, __ATOMIC_SEQ_CST)
           : o->kind == OR      ? __atomic_fetch_or(word, value, __ATOMIC_SEQ_CST)
           : o->kind == AND_NOT ? __atomic_fetch_and(word, ~value, __ATOMIC_SEQ_CST)
                                : __atomic_fetch_xor(word, value, __ATOMIC_SEQ_CST);
}

static bool compare(const operation *o, int32_t before) {
    const bool results[] = {before == o->compared, before != o->compared,
                            before<o->compared, before <= o->compared, before> o->compared,
                            before >= o->compared};
    return results[o->comparison];
}

static int64_t wake_by_operation(linux_context *context, const uint64_t *a) {
    operation o;
    uint32_t *second = word_at(context, a[4], SPACE_READ | SPACE_WRITE);
    if (!word_at(context, a[0], SPACE_READ) || !second) {
        return no_word(second ? a[0] : a[4]);
    }
    if (!decode((uint32_t)a[5], &o)) {
        return -LINUX_ENOSYS;
    }
    bool also = compare(&o, (int32_t)apply(&o, second));
    int64_t n = linux_wake(context, a[0], (uint32_t)a[2], EVERY_SET);
    return n + (also ? linux_wake(context, a[4], (uint32_t)a[3], EVERY_SET) : 0);
}

static int64_t wake_word(linux_context *context, const uint64_t *a) {
    uint32_t set = ((uint32_t)a[1] & COMMAND_MASK) == WAKE_SET ? (uint32_t)a[5] : EVERY_SET;
    return word_at(context, a[0], SPACE_READ) ? linux_wake(context, a[0], (uint32_t)a[2], set)
                                              : no_word(a[0]);
}

LINUX_CALL(futex) {
    static int64_t (*const commands[N_COMMANDS])(linux_context *, const uint64_t *) = {
        [WAIT] = wait_for_word,
        [WAKE] = wake_word,
        [REQUEUE] = requeue,
        [REQUEUE_IF] = requeue,
        [WAKE_OPERATION] = wake_by_operation,
        [WAIT_SET] = wait_for_word,
        [WAKE_SET] = wake_word};
    uint32_t command = (uint32_t)arguments[1] & COMMAND_MASK;
    bool takes_set = command == WAIT_SET || command == WAKE_SET;
    if (command >= N_COMMANDS || !commands[command]) {
        return -LINUX_ENOSYS;
    }
    return takes_set && (uint32_t)arguments[5] == 0 ? -LINUX_EINVAL
                                                    : commands[command](context, arguments);
}
