/* What threads of a guest do, one thing for each argument; 0 when it went as it should. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096 };
/* linux/futex.h, which not every compiler here finds; the private ones */
enum {
    FUTEX_WAIT = 128 + 0,
    FUTEX_WAKE = 128 + 1,
    FUTEX_CMP_REQUEUE = 128 + 4,
    FUTEX_WAKE_OP = 128 + 5,
    FUTEX_LOCK_PI = 128 + 6,
    FUTEX_WAIT_BITSET = 128 + 9,
    FUTEX_WAKE_BITSET = 128 + 10,
    ADD_5_AND_WAKE_IF_0 = 1 << 28 | 5 << 12
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static _Thread_local int own = 7;

static pthread_t begin(void *(*run)(void *), intptr_t argument) {
    pthread_t t;
    int number = pthread_create(&t, NULL, run, (void *)argument);
    if (number != 0) {
        printf("no thread: %s\n", strerror(number));
        exit(90);
    }
    return t;
}

static long end(pthread_t t) {
    void *result = NULL;
    return pthread_join(t, &result) == 0 ? (long)(intptr_t)result : -1;
}

static void sleep_ms(long ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* ---- beginning and ending ------------------------------------------------------------------ */

static void *add_own(void *argument) {
    own += (int)(intptr_t)argument;
    errno = own;
    sched_yield();
    return (void *)(intptr_t)(errno == own ? own : -1);
}

static int in_turn(void) {
    for (int i = 0; i < 1000; i++) {
        if (end(begin(add_own, i)) != 7 + i) {
            return 1;
        }
    }
    return own == 7 ? 0 : 2;
}

static void *wait_here(void *argument) {
    pthread_barrier_wait(argument);
    return NULL;
}

/* So many at once; then one more can be had when one has ended. */
static int at_once(int count) {
    pthread_t threads[64];
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, (unsigned)count);
    for (int i = 1; i < count; i++) {
        threads[i] = begin(wait_here, (intptr_t)&barrier);
    }
    pthread_barrier_wait(&barrier);
    for (int i = 1; i < count; i++) {
        if (end(threads[i]) != 0) {
            return 1;
        }
    }
    return end(begin(add_own, 1)) == 8 ? 0 : 2;
}

static int past_limit(int count) {
    pthread_t threads[64];
    pthread_t more;
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, (unsigned)count);
    for (int i = 1; i < count; i++) {
        threads[i] = begin(wait_here, (intptr_t)&barrier);
    }
    int number = pthread_create(&more, NULL, add_own, NULL);
    pthread_barrier_wait(&barrier);
    for (int i = 1; i < count; i++) {
        end(threads[i]);
    }
    return number == EAGAIN ? 0 : 1;
}

static void *exit_soon(void *argument) {
    (void)argument;
    sleep_ms(20);
    printf("last\n");
    fflush(stdout);
    return NULL;
}

static int main_ends_first(void) {
    begin(exit_soon, 0);
    pthread_exit(NULL);
}

static void *spin(void *argument);

static int main_ends_others_spin(void) {
    begin(spin, 0);
    pthread_exit(NULL);
}

/* ---- locks --------------------------------------------------------------------------------- */

static int turn;
static long total;
static atomic_long atomic_total;

static void *pass_on(void *argument) {
    int me = (int)(intptr_t)argument;
    for (int i = 0; i < 100; i++) {
        pthread_mutex_lock(&lock);
        while (turn != me) {
            pthread_cond_wait(&changed, &lock);
        }
        turn = (me + 1) % 8;
        total++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static int round_robin(void) {
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) {
        threads[i] = begin(pass_on, i);
    }
    for (int i = 0; i < 8; i++) {
        end(threads[i]);
    }
    return total == 800 ? 0 : 1;
}

static void *count_up(void *argument) {
    (void)argument;
    for (int i = 0; i < 50000; i++) {
        atomic_fetch_add(&atomic_total, 1);
        pthread_mutex_lock(&lock);
        total++;
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static int locks_hold(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        threads[i] = begin(count_up, 0);
    }
    for (int i = 0; i < 4; i++) {
        end(threads[i]);
    }
    return total == 200000 && atomic_total == 200000 ? 0 : 1;
}

static int timed_wait(void) {
    struct timespec until, begin_time, end_time;
    clock_gettime(CLOCK_REALTIME, &until);
    clock_gettime(CLOCK_MONOTONIC, &begin_time);
    until.tv_nsec += 30000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&lock);
    int number = pthread_cond_timedwait(&changed, &lock, &until);
    pthread_mutex_unlock(&lock);
    clock_gettime(CLOCK_MONOTONIC, &end_time);
    long ms = (end_time.tv_sec - begin_time.tv_sec) * 1000 +
              (end_time.tv_nsec - begin_time.tv_nsec) / 1000000;
    return number == ETIMEDOUT && ms >= 25 ? 0 : 1;
}

static pthread_mutex_t robust;

static void *die_with_lock(void *argument) {
    (void)argument;
    pthread_mutex_lock(&robust);
    return NULL;
}

static int robust_locks(void) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attributes);
    end(begin(die_with_lock, 0));
    return pthread_mutex_lock(&robust) == EOWNERDEAD ? 0 : 1;
}

/* ---- futex itself -------------------------------------------------------------------------- */

static uint32_t words[2];

static long futex(uint32_t *word, int command, uint32_t value, void *more, uint32_t *second,
                  uint32_t third) {
    return syscall(SYS_futex, word, command, value, more, second, third);
}

static void *wait_for_word(void *argument) {
    long set = (intptr_t)argument;
    long result = set != 0 ? futex(&words[0], FUTEX_WAIT_BITSET, 0, NULL, NULL, (uint32_t)set)
                           : futex(&words[0], FUTEX_WAIT, 0, NULL, NULL, 0);
    return (void *)(intptr_t)(result == 0 ? 0 : errno);
}

static int words_and_sets(void) {
    pthread_t a = begin(wait_for_word, 1);
    pthread_t b = begin(wait_for_word, 2);
    sleep_ms(20);
    if (futex(&words[0], FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, 4) != 0 ||
        futex(&words[0], FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, 2) != 1 || end(b) != 0) {
        return 1;
    }
    /* from one word to the other */
    if (futex(&words[0], FUTEX_CMP_REQUEUE, 0, (void *)1, &words[1], 1) != -1 || errno != EAGAIN ||
        futex(&words[0], FUTEX_CMP_REQUEUE, 0, (void *)1, &words[1], 0) != 1 ||
        futex(&words[0], FUTEX_WAKE, 1, NULL, NULL, 0) != 0 ||
        futex(&words[1], FUTEX_WAKE, 1, NULL, NULL, 0) != 1 || end(a) != 0) {
        return 2;
    }
    a = begin(wait_for_word, 0);
    sleep_ms(20);
    long woken = futex(&words[1], FUTEX_WAKE_OP, 1, (void *)1, &words[0], ADD_5_AND_WAKE_IF_0);
    return woken == 1 && words[0] == 5 && end(a) == 0 ? 0 : 3;
}

static int bad_words(void) {
    uint32_t *none = (uint32_t *)0x7000;
    uint32_t *far = (uint32_t *)0x7ffffffff000;
    uint32_t *odd = (uint32_t *)((char *)words + 2);
    return futex(none, FUTEX_WAIT, 0, NULL, NULL, 0) == -1 && errno == EFAULT &&
                   futex(far, FUTEX_WAKE, 1, NULL, NULL, 0) == -1 && errno == EFAULT &&
                   futex(odd, FUTEX_WAKE, 1, NULL, NULL, 0) == -1 && errno == EINVAL &&
                   futex(words, FUTEX_LOCK_PI, 0, NULL, NULL, 0) == -1 && errno == ENOSYS &&
                   futex(words, FUTEX_WAKE_OP, 1, (void *)1, none, 0) == -1 && errno == EFAULT
               ? 0
               : 1;
}

static int wait_for_ever(void) {
    begin(wait_for_word, 1);
    begin(wait_for_word, 0);
    futex(&words[0], FUTEX_WAIT, 0, NULL, NULL, 0);
    return 1;
}

/* ---- ends ---------------------------------------------------------------------------------- */

static void *spin(void *argument) {
    (void)argument;
    for (;;) {
        __asm__ volatile("");
    }
}

static void *sleep_long(void *argument) {
    (void)argument;
    sleep_ms(1000000);
    return NULL;
}

static void *read_nothing(void *argument) {
    char byte;
    int *ends = argument;
    return (void *)(intptr_t)read(ends[0], &byte, 1);
}

static int spin_all(int count) {
    for (int i = 1; i < count; i++) {
        begin(spin, 0);
    }
    spin(NULL);
    return 1;
}

static int exit_of_all(void) {
    static int ends[2];
    if (pipe(ends) != 0) {
        return 1;
    }
    begin(spin, 0);
    begin(sleep_long, 0);
    begin(wait_for_word, 0);
    begin(read_nothing, (intptr_t)ends);
    sleep_ms(20);
    _exit(42);
}

static void *end_all(void *argument) {
    (void)argument;
    sleep_ms(20);
    _exit(43);
}

static int other_exits(void) {
    begin(end_all, 0);
    spin(NULL);
    return 1;
}

static void *go_deep(void *argument) {
    volatile char block[10000];
    block[0] = (char)(intptr_t)argument;
    return (void *)((intptr_t)go_deep((void *)((intptr_t)argument + 1)) + block[0]);
}

static int stack_overflow(void) {
    end(begin(go_deep, 0));
    return 1;
}

/* ---- memory -------------------------------------------------------------------------------- */

static _Atomic(uint8_t *) shared;
static atomic_int stops;

static void *read_shared(void *argument) {
    (void)argument;
    for (unsigned i = 1;; i++) {
        uint8_t *p = atomic_load(&shared);
        if (i % 256 == 0) {
            sched_yield();
        }
        if (p && p[100] != 0 && p[100] != 1) {
            _exit(44); /* what never lay there */
        }
        if (stops) {
            return NULL;
        }
    }
}

static void ignore_fault(int signal, siginfo_t *info, void *context) {
    ucontext_t *u = context;
    (void)signal;
    (void)info;
    /* read_shared alone loads from there: the next instruction, whatever its length */
    u->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)read_shared;
    u->uc_mcontext.gregs[REG_RSP] = (u->uc_mcontext.gregs[REG_RSP] & ~(greg_t)15) - 8;
}

/* Pages are taken away and given again with another's bytes while threads look: they see zeros, the
 * bytes that belong there, or a fault. */
static int unmap_race(void) {
    struct sigaction action = {.sa_sigaction = ignore_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 1 << 20);
    pthread_t t;
    for (int i = 0; i < 2; i++) {
        if (pthread_create(&t, &attributes, read_shared, NULL) != 0) {
            return 1;
        }
    }
    for (int i = 0; i < 300; i++) {
        uint8_t *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        p[100] = 1;
        atomic_store(&shared, p);
        sched_yield();
        munmap(p, PAGE);
        /* now for others: no reader may see that */
        atomic_store(&shared, NULL);
        sched_yield();
        uint8_t *q =
            mmap(p, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        if (q != p || q[100] != 0) {
            return 2;
        }
        munmap(q, PAGE);
    }
    _exit(0);
}

static atomic_long n_written;
static void *write_on(void *argument) {
    uint8_t *p = argument;
    for (;;) {
        p[0]++;
        atomic_fetch_add(&n_written, 1);
    }
}

static void told(int signal) {
    (void)signal;
    _exit(45);
}

/* Once mprotect has returned no other thread writes any more. */
static int protect_race(void) {
    uint8_t *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    signal(SIGSEGV, told);
    begin(write_on, (intptr_t)p);
    while (n_written < 1000) {
        sched_yield();
    }
    if (mprotect(p, PAGE, PROT_READ) != 0) {
        return 1;
    }
    uint8_t seen = p[0];
    for (int i = 0; i < 1000000; i++) {
        if (*(volatile uint8_t *)p != seen) {
            return 2;
        }
    }
    sleep_ms(1000);
    return 3;
}

static void *map_much(void *argument) {
    unsigned seed = (unsigned)(intptr_t)argument + 1;
    for (int i = 0; i < 400; i++) {
        size_t length = (size_t)(1 + rand_r(&seed) % 64) * PAGE;
        uint8_t *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) {
            return (void *)1;
        }
        for (size_t k = 0; k < length; k += PAGE) {
            if (p[k] != 0) {
                return (void *)2;
            }
            p[k] = (uint8_t)seed;
        }
        if (mprotect(p, PAGE, PROT_READ) != 0 || p[0] != (uint8_t)seed ||
            mprotect(p, PAGE, PROT_READ | PROT_WRITE) != 0) {
            return (void *)3;
        }
        p[0]++;
        if (madvise(p, length, MADV_DONTNEED) != 0 || p[0] != 0) {
            return (void *)4;
        }
        munmap(p, length);
    }
    return NULL;
}

static int mappings_at_once(void) {
    pthread_t threads[4];
    long sum = 0;
    for (int i = 0; i < 4; i++) {
        threads[i] = begin(map_much, i);
    }
    for (int i = 0; i < 4; i++) {
        sum += end(threads[i]);
    }
    return (int)sum;
}

/* ---- descriptors --------------------------------------------------------------------------- */

static void *send_bytes(void *argument) {
    static uint8_t bytes[300000];
    int *ends = argument;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 7);
    }
    long done = write(ends[1], bytes, sizeof bytes);
    close(ends[1]);
    return (void *)(intptr_t)done;
}

static int pipes(void) {
    static uint8_t part[1000];
    int ends[2];
    long n = 0, got;
    if (pipe(ends) != 0) {
        return 1;
    }
    pthread_t t = begin(send_bytes, (intptr_t)ends);
    while ((got = read(ends[0], part, sizeof part)) > 0) {
        for (long i = 0; i < got; i++) {
            if (part[i] != (uint8_t)((n + i) * 7)) {
                return 2;
            }
        }
        n += got;
    }
    return n == 300000 && end(t) == 300000 ? 0 : 3;
}

static void *add_event(void *argument) {
    uint64_t one = 3;
    sleep_ms(20);
    return (void *)(intptr_t)write((int)(intptr_t)argument, &one, sizeof one);
}

static int events(void) {
    uint64_t value = 0;
    int e = eventfd(0, 0);
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 9};
    struct epoll_event found = {0};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, e, &event) != 0) {
        return 1;
    }
    pthread_t t = begin(add_event, e);
    if (epoll_wait(epoll, &found, 1, 5000) != 1 || found.data.u64 != 9) {
        return 2;
    }
    end(t);
    if (read(e, &value, sizeof value) != 8 || value != 3) {
        return 3;
    }
    t = begin(add_event, e);
    struct pollfd row = {.fd = e, .events = POLLIN};
    if (poll(&row, 1, 5000) != 1 || read(e, &value, sizeof value) != 8) {
        return 4;
    }
    end(t);
    t = begin(add_event, e);
    return read(e, &value, sizeof value) == 8 && value == 3 && end(t) == 8 ? 0 : 5;
}

/* A descriptor goes away under one who waits for it. */
static int closed_while_waiting(void) {
    static int ends[2];
    for (int i = 0; i < 20; i++) {
        if (pipe(ends) != 0) {
            return 1;
        }
        pthread_t t = begin(read_nothing, (intptr_t)ends);
        sleep_ms(2);
        close(ends[0]);
        int other = eventfd(1, 0); /* takes the number over */
        close(ends[1]);
        end(t);
        close(other);
    }
    return 0;
}

/* ---- signals ------------------------------------------------------------------------------- */

static atomic_int n_signals;
static pthread_t main_thread;
static atomic_int in_main;

static void count_signal(int number, siginfo_t *info, void *context) {
    ucontext_t *u = context;
    double x = 1.5;
    for (int i = 0; i < 10; i++) {
        x = x * 1.1 + number;
    }
    n_signals += x > 0 && info->si_pid == getpid() && u->uc_mcontext.gregs[REG_RIP] != 0;
    in_main += pthread_equal(pthread_self(), main_thread) ? 1 : 0;
}

static void *send_signals(void *argument) {
    (void)argument;
    for (int i = 0; i < 200; i++) {
        pthread_kill(main_thread, SIGURG);
        int before = n_signals;
        for (int k = 0; k < 1000 && n_signals == before; k++) {
            sched_yield();
        }
    }
    stops = 1;
    return NULL;
}

/* The registers of a loop stay what they are whatever the handler does. */
static int signals_at_any_time(void) {
    struct sigaction action = {.sa_sigaction = count_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGURG, &action, NULL);
    main_thread = pthread_self();
    pthread_t t = begin(send_signals, 0);
    double x = 0;
    long n = 0;
    while (!stops) {
        x += 0.5;
        n++;
        if (x != (double)n / 2) {
            return 1;
        }
    }
    end(t);
    return n_signals > 100 && in_main == n_signals ? 0 : 2;
}

static void *signal_later(void *argument) {
    sleep_ms(20);
    pthread_kill(main_thread, (int)(intptr_t)argument);
    return NULL;
}

static void nothing(int number) {
    n_signals += number;
}

static int signals_end_waits(void) {
    char byte;
    int ends[2];
    struct timespec left, ten = {10, 0};
    struct sigaction action = {.sa_handler = nothing};
    main_thread = pthread_self();
    sigaction(SIGUSR1, &action, NULL);
    if (pipe(ends) != 0) {
        return 1;
    }
    pthread_t t = begin(signal_later, SIGUSR1);
    if (read(ends[0], &byte, 1) != -1 || errno != EINTR || n_signals != SIGUSR1) {
        return 2;
    }
    end(t);
    t = begin(signal_later, SIGUSR1);
    if (nanosleep(&ten, &left) != -1 || errno != EINTR) {
        return 3;
    }
    end(t);
    return 0;
}

static void *cancelled(void *argument) {
    (void)argument;
    sleep_ms(100000);
    return NULL;
}

static int cancelling(void) {
    pthread_t t = begin(cancelled, 0);
    sleep_ms(10);
    void *result;
    return pthread_cancel(t) == 0 && pthread_join(t, &result) == 0 && result == PTHREAD_CANCELED
               ? 0
               : 1;
}

static uint8_t other_stack[65536];
static atomic_int on_other;

static void look_at_stack(int number) {
    uint8_t here;
    (void)number;
    on_other += &here >= other_stack && &here < other_stack + sizeof other_stack ? 1 : 0;
}

static void leave_deep(int number, siginfo_t *info, void *context) {
    uint8_t here;
    (void)context;
    _exit(number == SIGSEGV && info->si_addr && &here >= other_stack &&
                  &here < other_stack + sizeof other_stack
              ? 46
              : 47);
}

static int signal_stacks(void) {
    stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof other_stack};
    struct sigaction action = {.sa_handler = look_at_stack, .sa_flags = SA_ONSTACK};
    struct sigaction deep = {.sa_sigaction = leave_deep, .sa_flags = SA_ONSTACK | SA_SIGINFO};
    sigaltstack(&stack, NULL);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGSEGV, &deep, NULL);
    raise(SIGUSR1);
    if (on_other != 1) {
        return 1;
    }
    go_deep(NULL);
    return 2;
}

static atomic_int is_ready;

static void *blocks_it(void *argument) {
    sigset_t set;
    (void)argument;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    is_ready = 1;
    while (!stops) {
        sched_yield();
    }
    return (void *)(intptr_t)n_signals;
}

/* Masks are a thread's own. */
static int masks(void) {
    struct sigaction action = {.sa_handler = nothing};
    sigaction(SIGUSR1, &action, NULL);
    pthread_t t = begin(blocks_it, 0);
    while (!is_ready) {
        sched_yield();
    }
    pthread_kill(t, SIGUSR1);
    sleep_ms(10);
    int before = n_signals;
    raise(SIGUSR1);
    int after = n_signals;
    stops = 1;
    return before == 0 && after == SIGUSR1 && end(t) == SIGUSR1 ? 0 : 1;
}

/* ---- what else ----------------------------------------------------------------------------- */

static int numbers(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0 || CPU_COUNT(&set) < 1) {
        return 1;
    }
    return gettid() == getpid() ? 0 : 2;
}

static struct iovec race_vector[2];
static char race_path[2][32];

static void *change_vector(void *argument) {
    (void)argument;
    while (!stops) {
        race_vector[0] = (struct iovec){(void *)0x10, 1 << 30};
        race_vector[0] = (struct iovec){(void *)"ab", 2};
        race_path[0][1] = 'e';
        race_path[0][1] = 'd';
    }
    return NULL;
}

/* Vectors and paths are another's at any moment: an error, or one of both. */
static int double_fetch(void) {
    int f = open("/etc/hosts", O_RDONLY);
    int ends[2];
    static char bytes[4096];
    if (f >= 0 || pipe(ends) != 0) {
        return 1;
    }
    strcpy(race_path[0], "/etc/passwd");
    begin(change_vector, 0);
    for (int i = 0; i < 3000; i++) {
        long n = writev(ends[1], race_vector, 1);
        if (n > 0 && (n != 2 || read(ends[0], bytes, sizeof bytes) != 2)) {
            return 2;
        }
        if (open(race_path[0], O_RDONLY) >= 0) {
            return 3;
        }
    }
    _exit(0);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        int (*run)(void);
        int (*run_many)(int count);
    } rows[] = {
        {"in-turn", in_turn, NULL},
        {"at-once", NULL, at_once},
        {"past-limit", NULL, past_limit},
        {"main-ends-first", main_ends_first, NULL},
        {"main-ends-others-spin", main_ends_others_spin, NULL},
        {"round-robin", round_robin, NULL},
        {"locks-hold", locks_hold, NULL},
        {"timed-wait", timed_wait, NULL},
        {"robust-locks", robust_locks, NULL},
        {"words-and-sets", words_and_sets, NULL},
        {"bad-words", bad_words, NULL},
        {"wait-for-ever", wait_for_ever, NULL},
        {"spin-all", NULL, spin_all},
        {"exit-of-all", exit_of_all, NULL},
        {"other-exits", other_exits, NULL},
        {"stack-overflow", stack_overflow, NULL},
        {"unmap-race", unmap_race, NULL},
        {"protect-race", protect_race, NULL},
        {"mappings-at-once", mappings_at_once, NULL},
        {"pipes", pipes, NULL},
        {"events", events, NULL},
        {"closed-while-waiting", closed_while_waiting, NULL},
        {"signals-at-any-time", signals_at_any_time, NULL},
        {"signals-end-waits", signals_end_waits, NULL},
        {"cancelling", cancelling, NULL},
        {"signal-stacks", signal_stacks, NULL},
        {"masks", masks, NULL},
        {"numbers", numbers, NULL},
        {"double-fetch", double_fetch, NULL},
    };
    for (unsigned i = 0; argc > 1 && i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, argv[1]) == 0) {
            return rows[i].run ? rows[i].run() : rows[i].run_many(argc > 2 ? atoi(argv[2]) : 8);
        }
    }
    return 91;
}
