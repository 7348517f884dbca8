#include "store/code_store.h"

#include "base/text.h"
#include "platform/platform.h"
#include "store/artifacts.h"

/* Told to whoever made the request later: these run under the engine's lock. */
static void keep_trouble(code_store *s, const tars_error *err) {
    text_buffer text;
    text_init(&text, s->trouble, sizeof s->trouble);
    text_append_string(&text, err->message);
}

static bool load(void *user, const uint8_t key[SHA256_DIGEST_BYTES], uint8_t **bytes,
                 size_t *length) {
    code_store *s = user;
    tars_error err = {.status = TARS_OK};
    if (s->is_off) {
        return false;
    }
    tars_status status = artifact_load_from(s->home, s->folder, key, bytes, length, &err);
    if (status != TARS_OK && status != TARS_NOT_FOUND) {
        keep_trouble(s, &err);
    }
    s->is_tampered = s->is_tampered || status == TARS_CORRUPT || status == TARS_MISMATCH ||
                     status == TARS_DENIED;
    return status == TARS_OK;
}

static void save(void *user, const uint8_t key[SHA256_DIGEST_BYTES], const void *bytes,
                 size_t length) {
    code_store *s = user;
    tars_error err = {.status = TARS_OK};
    platform_kind kind = PLATFORM_KIND_MISSING;
    (void)platform_path_kind(s->home, &kind, NULL, NULL);
    if (s->is_off || kind == PLATFORM_KIND_MISSING) { /* an answer makes no store */
        return;
    }
    if (s->signs) {
        s->signs(s->user, key);
    }
    if (artifact_save_in(s->home, s->folder, key, bytes, length, &err) != TARS_OK) {
        keep_trouble(s, &err);
    }
}

wasm_artifacts code_store_artifacts(code_store *s) {
    return (wasm_artifacts){.user = s, .load = load, .save = save};
}
