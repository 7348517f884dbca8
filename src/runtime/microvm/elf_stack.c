#include "runtime/microvm/elf.h"

#include "base/checked.h"
#include "platform/platform.h"

#include <string.h>

/* The auxiliary vector of x86-64 Linux. */
enum {
    AUX_END = 0,
    AUX_HEADERS = 3,
    AUX_HEADER_BYTES = 4,
    AUX_HEADER_COUNT = 5,
    AUX_PAGE_BYTES = 6,
    AUX_BASE = 7,
    AUX_FLAGS = 8,
    AUX_ENTRY = 9,
    AUX_USER = 11,
    AUX_EFFECTIVE_USER = 12,
    AUX_GROUP = 13,
    AUX_EFFECTIVE_GROUP = 14,
    AUX_HARDWARE = 16,
    AUX_CLOCK_TICKS = 17,
    AUX_SECURE = 23,
    AUX_RANDOM = 25,
    AUX_PROGRAM = 31
};
enum { PROGRAM_HEADER_BYTES = 56, NOBODY = 65534, CLOCK_TICKS = 100 };
enum { GUARD_BYTES = 64 << 10, MAX_WORDS = 16 << 10 };

typedef struct stack {
    space *s;
    uint64_t low;   /* nothing is put below */
    uint64_t texts; /* where the texts begin; grows down */
    uint64_t words; /* where the next word goes */
} stack;

/* Below what is there already; false when there is no room. */
static bool push_bytes(stack *k, const void *bytes, size_t length, uint64_t *at) {
    if (length > k->texts - k->low) {
        return false;
    }
    k->texts -= length;
    *at = k->texts;
    return space_put(k->s, k->texts, bytes, length);
}

static bool put_word(stack *k, uint64_t value) {
    uint8_t bytes[8];
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    bool done = space_put(k->s, k->words, bytes, sizeof bytes);
    k->words += sizeof bytes;
    return done;
}

static size_t count_texts(const char *const *texts) {
    size_t n = 0;
    while (texts && texts[n]) {
        n++;
    }
    return n;
}

/* The total with their NULs. */
static uint64_t size_of_texts(const char *const *texts) {
    uint64_t total = 0;
    for (size_t i = 0; texts && texts[i]; i++) {
        total += strlen(texts[i]) + 1;
    }
    return total;
}

/* The texts lie one behind the other from `at` on, their pointers among the words. */
static bool put_texts(stack *k, const char *const *texts, uint64_t at) {
    bool done = true;
    for (size_t i = 0; texts && texts[i] && done; i++) {
        size_t length = strlen(texts[i]) + 1;
        done = space_put(k->s, at, texts[i], length) && put_word(k, at);
        at += length;
    }
    return done && put_word(k, 0);
}

static bool put_vector(stack *k, const elf_image *image, uint64_t random, uint64_t program) {
    const struct {
        uint64_t type, value;
    } rows[] = {
        {AUX_HEADERS, image->headers},
        {AUX_HEADER_BYTES, PROGRAM_HEADER_BYTES},
        {AUX_HEADER_COUNT, image->headers != 0 ? image->n_headers : 0},
        {AUX_PAGE_BYTES, SPACE_PAGE_BYTES},
        {AUX_BASE, 0},
        {AUX_FLAGS, 0},
        {AUX_ENTRY, image->entry},
        {AUX_USER, NOBODY},
        {AUX_EFFECTIVE_USER, NOBODY},
        {AUX_GROUP, NOBODY},
        {AUX_EFFECTIVE_GROUP, NOBODY},
        {AUX_SECURE, 0},
        {AUX_CLOCK_TICKS, CLOCK_TICKS},
        {AUX_HARDWARE, 0},
        {AUX_RANDOM, random},
        {AUX_PROGRAM, program},
        {AUX_END, 0},
    };
    bool done = true;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && done; i++) {
        done = put_word(k, rows[i].type) && put_word(k, rows[i].value);
    }
    return done;
}

enum { VECTOR_WORDS = 2 * 17 };

/* Everything above the stack pointer. */
static bool fill(stack *k, const elf_image *image, const elf_start *start,
                 const uint8_t random[ELF_RANDOM_BYTES], uint64_t *stack_pointer) {
    const char *name = start->program ? start->program : "";
    uint64_t n_arguments = count_texts(start->arguments);
    uint64_t n_words = 1 + n_arguments + 1 + count_texts(start->environment) + 1 + VECTOR_WORDS;
    uint64_t texts_bytes = size_of_texts(start->arguments) + size_of_texts(start->environment);
    uint64_t name_at, random_at;
    if (n_words > MAX_WORDS || !push_bytes(k, name, strlen(name) + 1, &name_at) ||
        !push_bytes(k, random, ELF_RANDOM_BYTES, &random_at) || texts_bytes > k->texts - k->low ||
        n_words * 8 + 16 > k->texts - k->low - texts_bytes) {
        return false;
    }
    uint64_t arguments_at = k->texts - texts_bytes;
    uint64_t environment_at = arguments_at + size_of_texts(start->arguments);
    k->words = (arguments_at - n_words * 8) / 16 * 16;
    *stack_pointer = k->words;
    return put_word(k, n_arguments) && put_texts(k, start->arguments, arguments_at) &&
           put_texts(k, start->environment, environment_at) &&
           put_vector(k, image, random_at, name_at);
}

static tars_status no_stack(tars_error *err, uint64_t size_bytes) {
    error_set(err, TARS_LIMIT, "a stack of %llu bytes does not fit the guest's memory",
              (unsigned long long)size_bytes);
    return error_hint(err, "raise the memory limit or lower that of the stack");
}

tars_status elf_make_stack(const elf_image *image, space *s, const elf_start *start,
                           uint64_t *stack_pointer, tars_error *err) {
    uint64_t top = s->options.size_bytes;
    uint64_t at;
    uint8_t random[ELF_RANDOM_BYTES];
    if (start->stack_bytes == 0 || start->stack_bytes % SPACE_PAGE_BYTES != 0) {
        return error_set(err, TARS_USAGE, "a stack of %llu bytes is not whole pages",
                         (unsigned long long)start->stack_bytes);
    }
    if (start->stack_bytes > top || top - start->stack_bytes < SPACE_LOWEST + GUARD_BYTES) {
        return no_stack(err, start->stack_bytes);
    }
    uint64_t low = top - start->stack_bytes;
    if (space_map(s, low, SPACE_VACANT, start->stack_bytes, SPACE_READ | SPACE_WRITE, &at) !=
            SPACE_OK ||
        space_map(s, low - GUARD_BYTES, SPACE_VACANT, GUARD_BYTES, 0, &at) != SPACE_OK) {
        return no_stack(err, start->stack_bytes);
    }
    tars_status status = platform_random(random, sizeof random, err);
    if (status != TARS_OK) {
        return status;
    }
    stack k = {.s = s, .low = top - start->stack_bytes / 4, .texts = top - 16};
    if (!fill(&k, image, start, random, stack_pointer)) {
        error_set(err, TARS_LIMIT,
                  "arguments and environment take more than a quarter of the "
                  "stack of %llu bytes",
                  (unsigned long long)start->stack_bytes);
        return error_hint(err, "pass fewer, or raise the limit of the stack");
    }
    return TARS_OK;
}

/* The words above the stack pointer up to the vector's AUX_RANDOM; a guest that has run may have
 * changed them, and then only its own bytes are lost. */
tars_status elf_find_random(const space *s, uint64_t stack_pointer, uint64_t *address,
                            tars_error *err) {
    uint64_t n_nulls = 0;
    for (uint64_t i = 1; i < MAX_WORDS; i++) {
        uint64_t pair[2]; /* guest and host are little-endian alike */
        if (!space_get(s, stack_pointer + i * 8, pair, sizeof pair)) {
            break;
        }
        if (n_nulls < 2) {
            n_nulls += pair[0] == 0 ? 1 : 0;
            continue;
        }
        if (pair[0] == AUX_RANDOM) {
            *address = pair[1];
            return TARS_OK;
        }
        if (pair[0] == AUX_END) {
            break;
        }
        i++; /* a pair is two words */
    }
    return error_set(err, TARS_FAILED, "a guest's stack has no random bytes");
}

tars_status elf_renew_random(space *s, uint64_t stack_pointer, tars_error *err) {
    uint8_t random[ELF_RANDOM_BYTES];
    uint64_t address = 0;
    tars_status status = elf_find_random(s, stack_pointer, &address, err);
    if (status == TARS_OK) {
        status = platform_random(random, sizeof random, err);
    }
    if (status == TARS_OK && !space_put(s, address, random, sizeof random)) {
        status = error_set(err, TARS_FAILED, "a guest's random bytes are not in its memory");
    }
    return status;
}
