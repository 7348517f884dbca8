#include "base/sha256.h"
#include "base/sha256_blocks.h"
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

/* Digests published in FIPS 180-4's examples and the NIST test vectors. */
static void published_vectors(void) {
    static const struct {
        const char *text;
        const char *hex;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr"
         "lmnopqrsmnopqrstnopqrstu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t digest[SHA256_DIGEST_BYTES];
        char hex[SHA256_HEX_BYTES];
        sha256(cases[i].text, strlen(cases[i].text), digest);
        sha256_hex(digest, hex);
        CHECK_STRING(hex, cases[i].hex);
    }
}

static void a_million_letters(void) {
    sha256_context context;
    sha256_init(&context);
    char chunk[1000];
    memset(chunk, 'a', sizeof chunk);
    for (int i = 0; i < 1000; i++) {
        sha256_update(&context, chunk, sizeof chunk);
    }
    uint8_t digest[SHA256_DIGEST_BYTES];
    char hex[SHA256_HEX_BYTES];
    sha256_final(&context, digest);
    sha256_hex(digest, hex);
    CHECK_STRING(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* Any cut into updates, at any length around the block's edges, gives the digest of the whole. */
static void any_cut_gives_the_same(void) {
    uint64_t random = 7;
    uint8_t bytes[400];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)check_random(&random);
    }
    for (size_t length = 0; length <= sizeof bytes; length++) {
        uint8_t whole[SHA256_DIGEST_BYTES];
        sha256(bytes, length, whole);
        for (int turn = 0; turn < 8; turn++) {
            sha256_context context;
            sha256_init(&context);
            for (size_t done = 0; done < length;) {
                size_t part = 1 + (size_t)(check_random(&random) % 130);
                part = part < length - done ? part : length - done;
                sha256_update(&context, bytes + done, part);
                sha256_update(&context, NULL, 0);
                done += part;
            }
            uint8_t parts[SHA256_DIGEST_BYTES];
            sha256_final(&context, parts);
            CHECK_BYTES(parts, whole, sizeof whole);
        }
    }
}

static void a_copied_context_forks(void) {
    sha256_context a;
    sha256_init(&a);
    sha256_update(&a, "ab", 2);
    sha256_context b = a;
    sha256_update(&a, "c", 1);
    sha256_update(&b, "d", 1);
    uint8_t digest_a[SHA256_DIGEST_BYTES], digest_b[SHA256_DIGEST_BYTES];
    uint8_t expected[SHA256_DIGEST_BYTES];
    sha256_final(&a, digest_a);
    sha256_final(&b, digest_b);
    sha256("abc", 3, expected);
    CHECK_BYTES(digest_a, expected, sizeof expected);
    sha256("abd", 3, expected);
    CHECK_BYTES(digest_b, expected, sizeof expected);
}

static void instructions_equal_portable(void) {
    if (strcmp(sha256_implementation(), "portable") == 0) {
        check_skip("no SHA-256 instructions on this CPU");
        return;
    }
    uint64_t random = 11;
    for (size_t n_blocks = 0; n_blocks < 9; n_blocks++) {
        for (int turn = 0; turn < 200; turn++) {
            uint32_t start[8], portable[8];
            uint8_t bytes[9 * 64 + 1];
            for (size_t i = 0; i < 8; i++) {
                start[i] = (uint32_t)check_random(&random);
            }
            for (size_t i = 0; i < sizeof bytes; i++) {
                bytes[i] = (uint8_t)check_random(&random);
            }
            memcpy(portable, start, sizeof portable);
            sha256_blocks_portable(portable, bytes + 1, n_blocks); /* + 1: any alignment */
            sha256_context context = {.length_bytes = 0};
            memcpy(context.state, start, sizeof start);
            sha256_update(&context, bytes + 1, n_blocks * 64);
            CHECK_BYTES(context.state, portable, sizeof portable);
        }
    }
}

static const check_test tests[] = {
    {"published vectors", published_vectors},
    {"a million letters", a_million_letters},
    {"any cut gives the same digest", any_cut_gives_the_same},
    {"a copied context forks", a_copied_context_forks},
    {"instructions equal the portable form", instructions_equal_portable},
};
CHECK_MAIN(tests)
