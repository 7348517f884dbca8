#include "platform/internal.h"
#include "platform/linux/cgroup.h"
#include "platform/linux/procfs.h"
#include "scratch.h"

#include <sched.h>
#include <sys/wait.h>

/* ---- clocks and random ------------------------------------------------------------------- */

static void clocks_advance(void) {
    uint64_t before = platform_clock_ns();
    uint64_t cpu = platform_thread_cpu_ns();
    uint64_t process_cpu = platform_process_cpu_ns();
    platform_sleep_ns(30000000);
    CHECK(platform_clock_ns() - before >= 30000000);
    CHECK(platform_thread_cpu_ns() - cpu < 20000000);
    uint64_t last = before;
    for (int i = 0; i < 100000; i++) {
        uint64_t now = platform_clock_ns();
        if (now < last) {
            check_fail(__FILE__, __LINE__, "the clock went back");
            break;
        }
        last = now;
    }
    CHECK(platform_thread_cpu_ns() > cpu);
    CHECK(platform_process_cpu_ns() > process_cpu);
    int64_t year_2020 = INT64_C(1577836800) * 1000000000;
    CHECK(platform_wall_clock_ns() > year_2020);
}

static void random_bytes_differ(void) {
    uint8_t a[1000], b[1000];
    tars_error err;
    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    CHECK_INT(platform_random(a, sizeof a, &err), TARS_OK);
    CHECK_INT(platform_random(b, sizeof b, &err), TARS_OK);
    CHECK(memcmp(a, b, sizeof a) != 0);
    unsigned ones = 0;
    for (size_t i = 0; i < sizeof a; i++) {
        ones += (unsigned)__builtin_popcount(a[i]);
    }
    CHECK(ones > 3500 && ones < 4500); /* 4000 ± 11 deviations */
    CHECK_INT(platform_random(a, 0, &err), TARS_OK);
}

/* ---- processor --------------------------------------------------------------------------- */

#if defined(__x86_64__)
static bool listed(const char *flags, const char *name) {
    size_t length = strlen(name);
    for (const char *p = strstr(flags, name); p; p = strstr(p + 1, name)) {
        if (p[-1] == ' ' && (p[length] == ' ' || p[length] == '\n')) {
            return true;
        }
    }
    return false;
}

#endif

/* Linux lists a flag when the CPU has it and the kernel lets programs use it. */
static void cpu_bits_equal_the_systems(void) {
    platform_cpu_info cpu = platform_cpu();
    char *text;
    size_t length;
    tars_error err;
    CHECK_INT(platform_file_read_all("/proc/cpuinfo", 1 << 20, &text, &length, &err), TARS_OK);
#if defined(__x86_64__)
    const char *flags = strstr(text, "\nflags");
    if (!flags) {
        check_skip("/proc/cpuinfo lists no flags");
        free(text);
        return;
    }
    const struct {
        const char *name;
        bool found;
    } rows[] = {{"sse4_1", cpu.sse41},
                {"avx2", cpu.avx2},
                {"fma", cpu.fma},
                {"f16c", cpu.f16c},
                {"avx512_vnni", cpu.avx512_vnni},
                {"avx_vnni", cpu.avx_vnni},
                {"sha_ni", cpu.sha}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (listed(flags, rows[i].name) != rows[i].found) {
            check_fail(__FILE__, __LINE__, "%s is %d here", rows[i].name, rows[i].found);
        }
    }
    CHECK_INT(cpu.avx512, listed(flags, "avx512f") && listed(flags, "avx512bw") &&
                              listed(flags, "avx512vl") && listed(flags, "avx512dq"));
    CHECK(!cpu.amx_int8 || listed(flags, "amx_int8")); /* permission may still be refused */
    CHECK(strstr(text, cpu.vendor) != NULL && strlen(cpu.vendor) == 12);
    CHECK(strstr(text, cpu.brand) != NULL);
#elif defined(__aarch64__)
    CHECK(cpu.neon);
#endif
    CHECK(cpu.cache_line_bytes >= 16);
    printf("    %s %s: L1d %u, L2 %u, L3 %llu KiB; amx_int8 %d\n", cpu.vendor, cpu.brand,
           (unsigned)cpu.l1d_bytes >> 10, (unsigned)cpu.l2_bytes >> 10,
           (unsigned long long)cpu.l3_bytes >> 10, cpu.amx_int8);
    free(text);
}

#if defined(__x86_64__)
/* The answer is only right if the instructions really run. */
static void amx_runs_when_claimed(void) {
    if (!platform_cpu().amx_int8) {
        check_skip("no AMX on this CPU, or not permitted");
        return;
    }
    static const uint8_t configuration[64] __attribute__((aligned(64))) = {
        [0] = 1, [16] = 4, [48] = 1}; /* palette 1, tile 0: one row of 4 bytes */
    static int32_t stored[16];
    __asm__ volatile("ldtilecfg (%0)\n\t"
                     "tilezero %%tmm0\n\t"
                     "tilestored %%tmm0, (%1, %2, 1)\n\t"
                     "tilerelease"
                     :
                     : "r"(configuration), "r"(stored), "r"((long)64)
                     : "memory");
    CHECK_INT(stored[0], 0);
}
#endif

static int count_on_one_cpu(void) {
    cpu_set_t set, all;
    if (sched_getaffinity(0, sizeof all, &all) != 0) {
        return 1;
    }
    CPU_ZERO(&set);
    for (size_t i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &all)) {
            CPU_SET(i, &set);
            break;
        }
    }
    return sched_setaffinity(0, sizeof set, &set) == 0 && platform_cpu_count() == 1 ? 0 : 2;
}

static void cpus_are_counted(void) {
    uint32_t count = platform_cpu_count();
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    CHECK(count >= 1 && (long)count <= online);
    fflush(stdout);
    pid_t id = fork();
    if (id == 0) {
        _exit(count_on_one_cpu());
    }
    int how;
    waitpid(id, &how, 0);
    CHECK_INT(how, 0);
}

/* ---- control groups ---------------------------------------------------------------------- */

static void put_file(const char *name, const char *text) {
    char folder[1024];
    tars_error err;
    snprintf(folder, sizeof folder, "%s", scratch_path(name));
    *strrchr(folder, '/') = '\0';
    CHECK_INT(platform_make_folders(folder, &err), TARS_OK);
    scratch_write(scratch_path(name), text, strlen(text));
}

static void groups_of_version_2(void) {
    scratch_make();
    put_file("membership", "0::/a/b\n");
    put_file("fs/a/b/memory.max", "max\n");
    put_file("fs/a/b/cpu.max", "150000 100000\n");
    put_file("fs/a/memory.max", "1000000\n");
    put_file("fs/a/memory.current", "700000\n");
    put_file("fs/a/memory.stat", "anon 500000\ninactive_file 100000\nactive_file 50000\n");
    put_file("fs/a/cpu.max", "max 100000\n");
    cgroup_limits limits = cgroup_read(scratch_path("membership"), scratch_path("fs"));
    CHECK_INT(limits.memory_bytes, 1000000);
    CHECK_INT(limits.memory_available_bytes, 400000);
    CHECK_INT(limits.cpu_millis, 1500);
    /* in a container the path can be the host's and the root is the group's own */
    put_file("membership", "0::/docker/0123\n");
    put_file("fs/memory.max", "5000\n");
    put_file("fs/memory.current", "9000\n");
    put_file("fs/cpu.max", "25000 100000\n");
    limits = cgroup_read(scratch_path("membership"), scratch_path("fs"));
    CHECK_INT(limits.memory_bytes, 5000);
    CHECK_INT(limits.memory_available_bytes, 0);
    CHECK_INT(limits.cpu_millis, 250);
    put_file("membership", "0::/\n");
    limits = cgroup_read(scratch_path("membership"), scratch_path("fs"));
    CHECK_INT(limits.memory_bytes, 5000);
    scratch_remove();
}

static void groups_of_version_1(void) {
    scratch_make();
    put_file("membership",
             "12:cpuset:/\n5:cpu,cpuacct:/x\n4:memory:/m/n\n1:name=systemd:/x\n0::/\n");
    put_file("fs/memory/m/n/memory.limit_in_bytes", "9223372036854771712\n"); /* none */
    put_file("fs/memory/m/memory.limit_in_bytes", "2000\n");
    put_file("fs/memory/m/memory.usage_in_bytes", "1500\n");
    put_file("fs/memory/m/memory.stat", "inactive_file 1\ntotal_inactive_file 200\n");
    put_file("fs/cpu,cpuacct/x/cpu.cfs_quota_us", "-1\n");
    put_file("fs/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n");
    cgroup_limits limits = cgroup_read(scratch_path("membership"), scratch_path("fs"));
    CHECK_INT(limits.memory_bytes, 2000);
    CHECK_INT(limits.memory_available_bytes, 700);
    CHECK_INT(limits.cpu_millis, UINT32_MAX);
    put_file("fs/cpu,cpuacct/x/cpu.cfs_quota_us", "200000\n");
    limits = cgroup_read(scratch_path("membership"), scratch_path("fs"));
    CHECK_INT(limits.cpu_millis, 2000);
    limits = cgroup_read(scratch_path("absent"), scratch_path("fs"));
    CHECK(limits.memory_bytes == UINT64_MAX && limits.cpu_millis == UINT32_MAX);
    /* nonsense in any file is no limit */
    put_file("membership", ":::\n\n0:\n0::\n4:memory\n9:memory:/m");
    put_file("fs/memory/m/memory.limit_in_bytes", "");
    put_file("fs/cpu.max", "1000000000000000000000000 0\n");
    limits = cgroup_read(scratch_path("membership"), scratch_path("fs"));
    CHECK(limits.memory_bytes == UINT64_MAX && limits.cpu_millis == UINT32_MAX);
    scratch_remove();
}

static void numbers_in_proc_files(void) {
    uint64_t value = 7;
    const char *text = "Name:\tx\nVmHWM:\t   123 kB\nVmHWMX: 5 kB\nBig: 99999999999999999999\n";
    CHECK(procfs_find(text, "VmHWM:", 1024, &value));
    CHECK_INT(value, 123 * 1024);
    CHECK(!procfs_find(text, "HWM:", 1, &value));
    CHECK(!procfs_find(text, "Name:", 1, &value));
    CHECK(procfs_find(text, "Big:", 1024, &value));
    CHECK(value == UINT64_MAX);
    CHECK(!procfs_find("", "x", 1, &value));
}

/* ---- memory ------------------------------------------------------------------------------ */

static void memory_is_known(void) {
    platform_memory_info info;
    tars_error err;
    CHECK_INT(platform_memory(&info, &err), TARS_OK);
    CHECK(info.total_bytes >= 16 << 20);
    CHECK(info.available_bytes > 0 && info.available_bytes <= info.total_bytes);
}

static void used_memory_is_measured(void) {
    if (SCRATCH_MEMORY_IS_SHADOWED) {
        check_skip("the thread sanitizer's own memory hides the program's");
        return;
    }
    platform_memory_usage before, after;
    tars_error err;
    CHECK_INT(platform_memory_used(&before, &err), TARS_OK);
    CHECK(before.resident_bytes >= before.private_bytes && before.private_bytes > 0);
    const size_t size = 32 << 20;
    void *memory;
    CHECK_INT(platform_reserve(size, false, &memory, &err), TARS_OK);
    CHECK_INT(platform_memory_used(&after, &err), TARS_OK);
    CHECK(after.private_bytes < before.private_bytes + size / 2); /* untouched pages are free */
    memset(memory, 1, size);
    CHECK_INT(platform_memory_used(&after, &err), TARS_OK);
    CHECK(after.private_bytes >= before.private_bytes + size - (1 << 20));
    CHECK(after.private_bytes <= before.private_bytes + size + (8 << 20));
    CHECK(platform_peak_resident_bytes() >= size);
    platform_release(memory, size);
    CHECK_INT(platform_memory_used(&after, &err), TARS_OK);
    CHECK(after.private_bytes < before.private_bytes + size / 2);
    CHECK(after.peak_resident_bytes >= size);
}

/* ---- places ------------------------------------------------------------------------------ */

static void check_data_is(const char *expected) {
    char path[PLATFORM_PATH_BYTES];
    tars_error err;
    CHECK_INT(platform_data_path(path, sizeof path, &err), TARS_OK);
    CHECK_STRING(path, expected);
}

static int places_of_a_user(void) {
    char path[PLATFORM_PATH_BYTES];
    tars_error err;
    if (platform_is_root() && platform_drop_privileges(65534, 65534, &err) != TARS_OK) {
        return 77;
    }
    setenv("TARS_PLATFORM", "linux", 1);
    setenv("HOME", "/home/somebody", 1);
    unsetenv("XDG_DATA_HOME");
    if (platform_data_path(path, sizeof path, &err) != TARS_OK ||
        strcmp(path, "/home/somebody/.local/share/tars") != 0) {
        return 1;
    }
    setenv("XDG_DATA_HOME", "/data", 1);
    if (platform_data_path(path, sizeof path, &err) != TARS_OK || strcmp(path, "/data/tars") != 0) {
        return 2;
    }
    setenv("XDG_DATA_HOME", "relative", 1);
    setenv("HOME", "", 1); /* now the user database is asked */
    if (platform_data_path(path, sizeof path, &err) != TARS_OK || path[0] == '\0' ||
        strncmp(path, "relative", 8) == 0) {
        return 3;
    }
    setenv("TARS_PLATFORM", "docker", 1);
    if (platform_data_path(path, sizeof path, &err) != TARS_OK || strcmp(path, "/app/data") != 0) {
        return 4;
    }
    return platform_is_root() ? 5 : 0;
}

static void places(void) {
    setenv("TARS_HOME", "/first", 1);
    setenv("TARS_DATA_DIR", "/second", 1);
    check_data_is("/first");
    setenv("TARS_HOME", "", 1);
    check_data_is("/second");
    char small[4];
    tars_error err;
    CHECK_INT(platform_data_path(small, sizeof small, &err), TARS_LIMIT);
    unsetenv("TARS_HOME");
    unsetenv("TARS_DATA_DIR");
    setenv("TARS_PLATFORM", "docker", 1);
    CHECK_STRING(platform_name(), "docker");
    setenv("TARS_PLATFORM", "something", 1);
    CHECK_STRING(platform_name(), "unknown");
    setenv("TARS_PLATFORM", "linux", 1);
    CHECK_STRING(platform_name(), "linux");
    if (platform_is_root()) {
        check_data_is("/var/lib/tars");
    }
    unsetenv("TARS_PLATFORM");
    const char *name = platform_name();
    CHECK(strcmp(name, "linux") == 0 || strcmp(name, "docker") == 0 ||
          strcmp(name, "kubernetes") == 0);
    setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1", 1);
    CHECK_STRING(platform_name(), "kubernetes");
    unsetenv("KUBERNETES_SERVICE_HOST");
    fflush(stdout);
    pid_t id = fork();
    if (id == 0) {
        _exit(places_of_a_user());
    }
    int how;
    waitpid(id, &how, 0);
    CHECK(WIFEXITED(how));
    if (WEXITSTATUS(how) == 77) {
        check_skip("cannot become an unprivileged user here");
    } else {
        CHECK_INT(WEXITSTATUS(how), 0);
    }
}

static bool environment_has(const char *variable) {
    for (const char *const *v = platform_environment_block(); *v; v++) {
        if (strcmp(*v, variable) == 0) {
            return true;
        }
    }
    return false;
}

static void default_places(void) {
    setenv("TARS_BLOCK_TEST", "a=b", 1);
    CHECK(environment_has("TARS_BLOCK_TEST=a=b"));
    unsetenv("TARS_BLOCK_TEST");
    CHECK(!environment_has("TARS_BLOCK_TEST=a=b"));
    setenv("TARS_PLATFORM", "docker", 1);
    platform_places container = platform_default_places();
    CHECK(container.ours);
    CHECK_STRING(container.config, "/app/config");
    setenv("TARS_PLATFORM", "linux", 1);
    platform_places machine = platform_default_places();
    CHECK_INT(machine.ours, platform_is_root());
    CHECK_STRING(machine.config, "/etc/tars");
    CHECK_STRING(machine.logs, "/var/log/tars");
    setenv("TARS_PLATFORM", "something", 1);
    CHECK(platform_default_places().config == NULL);
    unsetenv("TARS_PLATFORM");
}

static void other_places(void) {
    char path[PLATFORM_PATH_BYTES], expected[PLATFORM_PATH_BYTES];
    tars_error err;
    CHECK_INT(platform_executable_path(path, sizeof path, &err), TARS_OK);
    CHECK(strstr(path, "system") != NULL && path[0] == '/');
    CHECK_INT(platform_executable_path(path, 5, &err), TARS_USAGE);
    setenv("TARS_TEMP_DIR", "/a/b//", 1);
    CHECK_INT(platform_temporary_path(path, sizeof path, &err), TARS_OK);
    CHECK_STRING(path, "/a/b");
    unsetenv("TARS_TEMP_DIR");
    CHECK_INT(platform_temporary_path(path, sizeof path, &err), TARS_OK);
    snprintf(expected, sizeof expected, "%s", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    CHECK(strncmp(path, expected, strlen(path)) == 0);
    CHECK(platform_environment("TARS_SURELY_UNSET") == NULL);
    setenv("TARS_EMPTY", "", 1);
    CHECK(platform_environment("TARS_EMPTY") == NULL);
    CHECK_INT(platform_is_root(), geteuid() == 0);
}

static void libraries(void) {
    platform_library library;
    tars_error err;
    CHECK_INT(platform_library_open("relative/path.so", &library, &err), TARS_UNAVAILABLE);
    CHECK_STRING(err.cause, "the path is not absolute");
    CHECK_INT(platform_library_open("/nowhere/at/all.so", &library, &err), TARS_UNAVAILABLE);
    CHECK(err.cause[0] != '\0');
    CHECK_INT(platform_library_open("libm.so.6", &library, &err), TARS_OK);
    CHECK(platform_library_symbol(&library, "cos") != NULL);
    CHECK(platform_library_symbol(&library, "no_such_symbol_here") == NULL);
    char path[4096];
    CHECK_INT(platform_own_path(path, sizeof path, &err), TARS_OK);
    CHECK(path[0] == '/' && strstr(path, "test_platform_system") != NULL);
    CHECK_INT(platform_own_path(path, 5, &err), TARS_UNAVAILABLE);
}

static const check_test tests[] = {
    {"clocks advance", clocks_advance},
    {"random bytes differ", random_bytes_differ},
    {"CPU bits equal the system's", cpu_bits_equal_the_systems},
#if defined(__x86_64__)
    {"AMX runs when claimed", amx_runs_when_claimed},
#endif
    {"CPUs are counted", cpus_are_counted},
    {"groups of version 2", groups_of_version_2},
    {"groups of version 1", groups_of_version_1},
    {"numbers in /proc files", numbers_in_proc_files},
    {"memory is known", memory_is_known},
    {"used memory is measured", used_memory_is_measured},
    {"places", places},
    {"default places and variables", default_places},
    {"other places", other_places},
    {"libraries", libraries},
};
CHECK_MAIN(tests)
