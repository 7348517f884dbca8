/* The guest's select: sets of descriptors as bits, and time-outs of every size. */
#include "support/check.h"

#if defined(__linux__) && defined(__x86_64__)

#include "runtime/linux_fixture.h"

static const uint64_t MS = 1000000;

enum { SET_READ = BUFFER + 0x400, SET_WRITE = BUFFER + 0x500, SET_OTHER = BUFFER + 0x600 };

/* With a time-out of so many microseconds at BUFFER. */
static int64_t select_for(uint64_t count, uint64_t us) {
    put_u64(BUFFER, us / 1000000);
    put_u64(BUFFER + 8, us % 1000000);
    return CALL(select, count, SET_READ, SET_WRITE, SET_OTHER, BUFFER);
}

static void select_tells_what_is_ready(void) {
    linux_prepare();
    g.options.n_folders = 0;
    linux_start();
    CHECK_INT(CALL(pipe, BUFFER), 0); /* 3 is read, 4 written */
    put_u64(SET_READ, 1 | 1 << 3);
    put_u64(SET_WRITE, 1 << 1 | 1 << 2 | 1 << 4);
    put_u64(SET_OTHER, 1 << 3);
    CHECK_INT(select_for(5, 0), 4); /* an empty input is at its end */
    CHECK_INT(get_u64(SET_READ), 1);
    CHECK_INT(get_u64(SET_WRITE), 1 << 1 | 1 << 2 | 1 << 4);
    CHECK_INT(get_u64(SET_OTHER), 0);
    put_u64(SET_READ, 1 << 3);
    put_u64(SET_WRITE, 0);
    uint64_t before = platform_clock_ns();
    CHECK_INT(select_for(5, 20000), 0);
    CHECK(platform_clock_ns() - before >= 20 * MS);
    CHECK_INT(get_u64(BUFFER) + get_u64(BUFFER + 8), 0); /* nothing is left of it */
    CHECK_INT(get_u64(SET_READ), 0);
    CHECK_INT(CALL(write, 4, BUFFER, 1), 1);
    put_u64(SET_READ, 1 << 3);
    CHECK_INT(select_for(4, 5000000), 1);
    CHECK(get_u64(BUFFER) == 4 && get_u64(BUFFER + 8) < 1000000);
    CHECK_INT(get_u64(SET_READ), 1 << 3);
    put_u64(SET_WRITE, 1 << 4);
    CHECK_INT(select_for(4, 0), 1); /* 4 is beyond */
    CHECK_INT(select_for(UINT64_MAX, 0), -LINUX_EINVAL);
    CHECK_INT(select_for(INT32_MAX, 0), 1); /* as many as there can be */
    put_u64(SET_OTHER, 1 << 9);
    CHECK_INT(select_for(9, 0), 1);
    CHECK_INT(get_u64(SET_OTHER), 0); /* whole words are told */
    put_u64(SET_OTHER, 1 << 9);
    CHECK_INT(select_for(10, 0), -LINUX_EBADF);
    CHECK_INT(get_u64(SET_OTHER), 1 << 9); /* nothing was told */
    CHECK_INT(CALL(select, 4, 0, 0, 0, BUFFER), 0);
    put_u64(BUFFER + 8, UINT64_MAX);
    CHECK_INT(CALL(select, 4, 0, 0, 0, BUFFER), -LINUX_EINVAL);
    put_u64(BUFFER, INT64_MAX); /* longer than clocks go, but something is ready */
    put_u64(BUFFER + 8, INT64_MAX);
    CHECK_INT(CALL(select, 4, SET_READ, 0, 0, BUFFER), 1);
    put_u64(BUFFER, 0);
    put_u64(BUFFER + 8, 1000000000);
    CHECK_INT(CALL(pselect6, 4, SET_READ, 0, 0, BUFFER, 0), -LINUX_EINVAL);
    CHECK_INT(CALL(pselect6, 4, SET_READ, 0, 0, 0, 0), 1);
    CHECK_INT(CALL(getpeername, 0, BUFFER, BUFFER), -LINUX_ENOTSOCK);
    CHECK_INT(CALL(getsockname, 7, BUFFER, BUFFER), -LINUX_EBADF);
    CHECK_INT(CALL(select, 0, 0, 0, 0, 0), -LINUX_EINTR); /* for ever */
    CHECK_INT(linux_ended(g.context), LINUX_TIME);
    linux_finish_guest();
}

static const check_test table[] = {
    {"select tells what is ready", select_tells_what_is_ready},
};

#else

static void is_not_here(void) {
    check_skip("micro-VMs are x86-64 Linux's");
}
static const check_test table[] = {{"is not here", is_not_here}};

#endif

CHECK_MAIN(table)
