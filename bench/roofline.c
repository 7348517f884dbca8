/* The machine's two limits for a language model: how fast memory is read in one stream (what
 * generation needs) and how many multiplications are done in a second (what prompts need).
 *
 *   roofline [--json] [--threads N]
 *
 * Each figure is the median, best, 95th and 99th percentile of samples of about 40 ms, for 1 and
 * for N threads (all processors without --threads). */
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#endif

enum { SAMPLES = 25, THREADS_MAX = 64, SAMPLE_NS = 40000000 };
enum { MEBIBYTE = 1 << 20 };

typedef struct work_part {
    const uint8_t *bytes; /* this thread's part of the buffer, NULL when registers are enough */
    size_t size_bytes;
    uint64_t rounds;
    uint64_t result; /* keeps the compiler from dropping the work */
} work_part;

/* One thing measured. `run` does `rounds` rounds; a round is `units_of_round` units (0: one unit a
 * byte of the buffer). */
typedef struct limit_probe {
    const char *name;
    const char *unit;
    size_t buffer_bytes;
    double units_of_round;
    bool (*available)(void);
    void (*run)(work_part *work);
} limit_probe;

static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* ---- reading ---------------------------------------------------------------------------- */

static void read_portable(work_part *work) {
    uint64_t sums[8] = {0};
    for (uint64_t round = 0; round < work->rounds; round++) {
        const uint64_t *words = (const uint64_t *)(const void *)work->bytes;
        for (size_t i = 0; i + 8 <= work->size_bytes / 8; i += 8) {
            for (size_t j = 0; j < 8; j++) {
                sums[j] += words[i + j];
            }
        }
    }
    work->result += sums[0] ^ sums[1] ^ sums[2] ^ sums[3] ^ sums[4] ^ sums[5] ^ sums[6] ^ sums[7];
}

#if defined(__x86_64__)

static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
static bool lacks_avx2(void) {
    return !has_avx2();
}
static bool has_avx512(void) {
    return __builtin_cpu_supports("avx512f");
}
static bool has_vnni(void) {
    return has_avx512() && __builtin_cpu_supports("avx512vnni");
}

/* Tiles need the CPU's bits and the kernel's permission for this process. */
static bool has_amx(void) {
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || (edx >> 24 & 3) != 3) {
        return false;
    }
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

__attribute__((target("avx2"))) static void read_avx2(work_part *work) {
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    for (uint64_t round = 0; round < work->rounds; round++) {
        for (size_t i = 0; i + 128 <= work->size_bytes; i += 128) {
            const __m256i *from = (const __m256i *)(const void *)(work->bytes + i);
            _mm_prefetch((const char *)from + 2048, _MM_HINT_T0);
            _mm_prefetch((const char *)from + 2112, _MM_HINT_T0);
            a = _mm256_add_epi64(a, _mm256_loadu_si256(from));
            b = _mm256_add_epi64(b, _mm256_loadu_si256(from + 1));
            c = _mm256_add_epi64(c, _mm256_loadu_si256(from + 2));
            d = _mm256_add_epi64(d, _mm256_loadu_si256(from + 3));
        }
    }
    a = _mm256_add_epi64(_mm256_add_epi64(a, b), _mm256_add_epi64(c, d));
    work->result += (uint64_t)_mm256_extract_epi64(a, 0) + (uint64_t)_mm256_extract_epi64(a, 3);
}

/* ---- multiplying ------------------------------------------------------------------------ */

/* A round is 10 independent accumulators of one instruction sequence: enough to hide latency. */
enum { CHAINS = 10 };

/* Hides a value from the optimiser, so that no product is hoisted or merged. */
#define OPAQUE(vector) __asm__ volatile("" : "+x"(vector))

__attribute__((target("avx2,fma"))) static void fma_f32_avx2(work_part *work) {
    __m256 sums[CHAINS];
    __m256 a = _mm256_set1_ps(1.0f), b = _mm256_set1_ps(1e-9f);
    for (int i = 0; i < CHAINS; i++) {
        sums[i] = _mm256_setzero_ps();
    }
    for (uint64_t round = 0; round < work->rounds; round++) {
        OPAQUE(a);
#pragma GCC unroll 10
        for (int i = 0; i < CHAINS; i++) {
            sums[i] = _mm256_fmadd_ps(a, b, sums[i]);
        }
    }
    for (int i = 0; i < CHAINS; i++) {
        work->result += (uint64_t)_mm256_cvtss_f32(sums[i]);
    }
}

__attribute__((target("avx512f"))) static void fma_f32_avx512(work_part *work) {
    __m512 sums[CHAINS];
    __m512 a = _mm512_set1_ps(1.0f), b = _mm512_set1_ps(1e-9f);
    for (int i = 0; i < CHAINS; i++) {
        sums[i] = _mm512_setzero_ps();
    }
    for (uint64_t round = 0; round < work->rounds; round++) {
        __asm__ volatile("" : "+v"(a));
#pragma GCC unroll 10
        for (int i = 0; i < CHAINS; i++) {
            sums[i] = _mm512_fmadd_ps(a, b, sums[i]);
        }
    }
    for (int i = 0; i < CHAINS; i++) {
        work->result += (uint64_t)_mm512_cvtss_f32(sums[i]);
    }
}

__attribute__((target("avx2"))) static void mac_i8_avx2(work_part *work) {
    __m256i sums[CHAINS];
    __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(-2);
    const __m256i ones = _mm256_set1_epi16(1);
    for (int i = 0; i < CHAINS; i++) {
        sums[i] = _mm256_setzero_si256();
    }
    for (uint64_t round = 0; round < work->rounds; round++) {
#pragma GCC unroll 10
        for (int i = 0; i < CHAINS; i++) {
            OPAQUE(a);
            __m256i pairs = _mm256_maddubs_epi16(a, b);
            sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(pairs, ones));
        }
    }
    for (int i = 0; i < CHAINS; i++) {
        work->result += (uint64_t)_mm256_extract_epi32(sums[i], 0);
    }
}

__attribute__((target("avx512f,avx512vnni"))) static void mac_i8_vnni(work_part *work) {
    __m512i sums[CHAINS];
    __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(-2);
    for (int i = 0; i < CHAINS; i++) {
        sums[i] = _mm512_setzero_si512();
    }
    for (uint64_t round = 0; round < work->rounds; round++) {
        __asm__ volatile("" : "+v"(a));
#pragma GCC unroll 10
        for (int i = 0; i < CHAINS; i++) {
            sums[i] = _mm512_dpbusd_epi32(sums[i], a, b);
        }
    }
    for (int i = 0; i < CHAINS; i++) {
        work->result += (uint64_t)_mm_cvtsi128_si32(_mm512_castsi512_si128(sums[i]));
    }
}

/* A round is 4 products of 16 × 64 by 64 × 16 bytes into 4 tiles. Written in assembly: the
 * intrinsic that loads the configuration is declared too narrowly by gcc 12. */
__attribute__((target("amx-tile,amx-int8"))) static void mac_i8_amx(work_part *work) {
    uint8_t configuration[64] = {1};
    static const uint8_t zeros[1024];
    for (size_t tile = 0; tile < 8; tile++) {
        configuration[16 + 2 * tile] = 64; /* bytes a row */
        configuration[48 + tile] = 16;     /* rows */
    }
    __asm__ volatile("ldtilecfg %0" ::"m"(configuration));
    __asm__ volatile(
        "tileloadd (%0,%1,1), %%tmm6\n\ttileloadd (%0,%1,1), %%tmm7\n\t"
        "tilezero %%tmm0\n\ttilezero %%tmm1\n\ttilezero %%tmm2\n\ttilezero %%tmm3" ::"r"(zeros),
        "r"((uint64_t)64)
        : "memory");
    for (uint64_t round = 0; round < work->rounds; round++) {
        __asm__ volatile("tdpbssd %tmm7, %tmm6, %tmm0\n\ttdpbssd %tmm7, %tmm6, %tmm1\n\t"
                         "tdpbssd %tmm7, %tmm6, %tmm2\n\ttdpbssd %tmm7, %tmm6, %tmm3");
    }
    __asm__ volatile("tilerelease");
    work->result += work->rounds;
}

#else

static bool always(void) {
    return true;
}

#endif

static const limit_probe probes[] = {
#if defined(__x86_64__)
    {"read_128MiB", "GB/s", 128u * MEBIBYTE, 0, has_avx2, read_avx2},
    {"read_1GiB", "GB/s", 1024u * MEBIBYTE, 0, has_avx2, read_avx2},
    {"read_128MiB", "GB/s", 128u * MEBIBYTE, 0, lacks_avx2, read_portable},
    {"fma_f32_avx2", "GMAC/s", 0, CHAINS * 8, has_avx2, fma_f32_avx2},
    {"fma_f32_avx512", "GMAC/s", 0, CHAINS * 16, has_avx512, fma_f32_avx512},
    {"mac_i8_avx2", "GMAC/s", 0, CHAINS * 32, has_avx2, mac_i8_avx2},
    {"mac_i8_avx512_vnni", "GMAC/s", 0, CHAINS * 64, has_vnni, mac_i8_vnni},
    {"mac_i8_amx", "GMAC/s", 0, 4.0 * 16 * 16 * 64, has_amx, mac_i8_amx},
#else
    {"read_128MiB", "GB/s", 128u * MEBIBYTE, 0, always, read_portable},
    {"read_1GiB", "GB/s", 1024u * MEBIBYTE, 0, always, read_portable},
#endif
};

/* ---- measuring -------------------------------------------------------------------------- */

typedef struct thread_crew {
    const limit_probe *probe;
    work_part works[THREADS_MAX];
    pthread_barrier_t barrier;
    bool stop;
    unsigned n_threads;
} thread_crew;

typedef struct crew_member {
    thread_crew *crew;
    unsigned index;
} crew_member;

static void *crew_serve(void *argument) {
    crew_member *self = argument;
    for (;;) {
        pthread_barrier_wait(&self->crew->barrier);
        if (self->crew->stop) {
            return NULL;
        }
        self->crew->probe->run(&self->crew->works[self->index]);
        pthread_barrier_wait(&self->crew->barrier);
    }
}

/* Nanoseconds of one run of `rounds` rounds by every thread, the caller being thread 0. */
static uint64_t crew_run(thread_crew *crew, uint64_t rounds) {
    for (unsigned i = 0; i < crew->n_threads; i++) {
        crew->works[i].rounds = rounds;
    }
    pthread_barrier_wait(&crew->barrier);
    uint64_t start = now_ns();
    crew->probe->run(&crew->works[0]);
    pthread_barrier_wait(&crew->barrier);
    return now_ns() - start;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_result(const limit_probe *probe, unsigned n_threads, double *rates, bool json,
                         bool first) {
    qsort(rates, SAMPLES, sizeof *rates, compare_doubles);
    /* rates: the 95th percentile is the one that 95 % of the samples reach */
    double median = rates[SAMPLES / 2], best = rates[SAMPLES - 1];
    double p95 = rates[SAMPLES / 20], p99 = rates[SAMPLES / 100];
    if (json) {
        printf("%s\n{\"name\":\"%s\",\"unit\":\"%s\",\"threads\":%u,\"median\":%.3f,\"p95\":%.3f,"
               "\"p99\":%.3f,\"best\":%.3f,\"samples\":%d}",
               first ? "" : ",", probe->name, probe->unit, n_threads, median, p95, p99, best,
               SAMPLES);
    } else {
        printf("%-20s %u thread%s  median %9.1f  best %9.1f %s\n", probe->name, n_threads,
               n_threads > 1 ? "s" : " ", median, best, probe->unit);
    }
    fflush(stdout);
}

/* Fills `rates` with SAMPLES figures in the probe's unit. False when a thread cannot be made. */
static bool measure(const limit_probe *probe, uint8_t *buffer, unsigned n_threads, double *rates) {
    thread_crew crew = {.probe = probe, .n_threads = n_threads};
    crew_member members[THREADS_MAX];
    pthread_t threads[THREADS_MAX];
    size_t part_bytes = probe->buffer_bytes / n_threads / 4096 * 4096;
    pthread_barrier_init(&crew.barrier, NULL, n_threads);
    for (unsigned i = 0; i < n_threads; i++) {
        crew.works[i] = (work_part){.bytes = buffer ? buffer + i * part_bytes : NULL,
                                    .size_bytes = buffer ? part_bytes : 0};
        members[i] = (crew_member){&crew, i};
        if (i > 0 && pthread_create(&threads[i], NULL, crew_serve, &members[i]) != 0) {
            return false;
        }
    }
    uint64_t rounds = 1, elapsed = crew_run(&crew, rounds);
    while (elapsed < SAMPLE_NS / 4) { /* doubling until the clock's grain is nothing */
        rounds *= 2;
        elapsed = crew_run(&crew, rounds);
    }
    rounds = rounds * SAMPLE_NS / elapsed + 1;
    double units = probe->units_of_round > 0 ? probe->units_of_round : (double)part_bytes;
    for (int i = 0; i < SAMPLES; i++) {
        elapsed = crew_run(&crew, rounds);
        rates[i] = units * (double)rounds * n_threads / (double)elapsed;
    }
    crew.stop = true;
    pthread_barrier_wait(&crew.barrier);
    for (unsigned i = 1; i < n_threads; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&crew.barrier);
    return true;
}

/* Memory filled with something, in huge pages where the system gives them; NULL when it is not
 * there. */
static uint8_t *buffer_create(size_t size_bytes) {
    void *memory =
        mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return NULL;
    }
    madvise(memory, size_bytes, MADV_HUGEPAGE);
    memset(memory, 0x5a, size_bytes);
    return memory;
}

static bool measure_and_print(const limit_probe *probe, unsigned n_threads, bool json,
                              bool *first) {
    uint8_t *buffer = NULL;
    if (probe->buffer_bytes > 0) {
        buffer = buffer_create(probe->buffer_bytes);
        if (!buffer) {
            fprintf(stderr, "roofline: no memory for %s: %zu bytes\n", probe->name,
                    probe->buffer_bytes);
            return false;
        }
    }
    double rates[SAMPLES];
    for (unsigned n = 1; n <= n_threads; n = n == n_threads ? n + 1 : n_threads) {
        if (!measure(probe, buffer, n, rates)) {
            fprintf(stderr, "roofline: cannot make %u threads\n", n);
            return false;
        }
        print_result(probe, n, rates, json, *first);
        *first = false;
    }
    if (buffer) {
        munmap(buffer, probe->buffer_bytes);
    }
    return true;
}

static void cpu_name(char *name, size_t size) {
    snprintf(name, size, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (!file) {
        return;
    }
    char line[512];
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
            snprintf(name, size, "%s", strchr(line, ':') + 2);
            name[strcspn(name, "\"\\\n")] = '\0';
            break;
        }
    }
    fclose(file);
}

int main(int argc, char **argv) {
    bool json = false;
    long n_threads = sysconf(_SC_NPROCESSORS_ONLN);
    for (int i = 1; i < argc; i++) {
        char *end = NULL;
        if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc) {
            n_threads = strtol(argv[++i], &end, 10);
        }
        if ((end && *end != '\0') || n_threads < 1 || n_threads > THREADS_MAX) {
            fprintf(stderr, "roofline: --threads takes a number from 1 to %d\n", THREADS_MAX);
            return 2;
        }
    }
    char cpu[256];
    cpu_name(cpu, sizeof cpu);
    printf(json ? "{\"machine\":{\"cpu\":\"%s\",\"processors\":%ld},\"results\":["
                : "%s, %ld processors\n",
           cpu, sysconf(_SC_NPROCESSORS_ONLN));
    bool first = true;
    for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++) {
        if (probes[i].available() &&
            !measure_and_print(&probes[i], (unsigned)n_threads, json, &first)) {
            return 1;
        }
    }
    if (json) {
        printf("\n]}\n");
    }
    return 0;
}
