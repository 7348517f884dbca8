#include "cli/module_code.h"

#include "cli/configuration.h"
#include "cli/report.h"
#include "store/modules.h"

#include <string.h>

static void note(const module_code *code, const uint8_t key[SHA256_DIGEST_BYTES]) {
    if (code->sha256[0] != '\0') {
        (void)modules_note_key(code->store.home, code->sha256, key, NULL);
    }
}

static bool load(void *user, const uint8_t key[SHA256_DIGEST_BYTES], uint8_t **bytes,
                 size_t *length) {
    module_code *code = user;
    bool found = code->kept.load(code->kept.user, key, bytes, length);
    if (found) { /* a program that was run before it was loaded has its code already */
        note(code, key);
    }
    return found;
}

static void save(void *user, const uint8_t key[SHA256_DIGEST_BYTES], const void *bytes,
                 size_t length) {
    module_code *code = user;
    note(code, key);
    code->kept.save(code->kept.user, key, bytes, length);
}

static void record_signing(void *user, const uint8_t key[SHA256_DIGEST_BYTES]) {
    const module_code *code = user;
    const log_field fields[] = {{"purpose", "compiled code", 0}};
    char hex[SHA256_HEX_BYTES];
    sha256_hex(key, hex);
    (void)auditing_event(code->audit, AUDIT_KEY_USED, hex, fields, 1, NULL);
}

tars_status module_code_artifacts(const cli *c, const char *home, const char *sha256,
                                  const wasm_settings *settings, module_code *out,
                                  wasm_artifacts *artifacts, tars_error *err) {
    *out = (module_code){
        .store = {.home = home, .folder = settings->code_folder, .is_off = !settings->keeps_code}};
    out->audit = configuration_audit(c);
    out->store.signs = record_signing;
    out->store.user = out;
    out->kept = code_store_artifacts(&out->store);
    if (sha256) {
        memcpy(out->sha256, sha256, sizeof out->sha256);
    }
    *artifacts =
        (wasm_artifacts){.user = out, .load = load, .save = save, .program_path = out->program};
    return platform_executable_path(out->program, sizeof out->program, err);
}

void module_code_tell(const cli *c, const module_code *code) {
    if (code->store.trouble[0] != '\0') {
        report_note(c, "the module was compiled anew, or its code is not kept: %s",
                    code->store.trouble);
    }
    if (code->store.is_tampered) {
        const log_field fields[] = {{"reason", code->store.trouble, 0}};
        (void)auditing_event(code->audit, AUDIT_TAMPER, "compiled code", fields, 1, NULL);
    }
}
