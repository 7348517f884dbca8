#include "cli/auditing.h"
#include "cli/client.h"
#include "cli/configuration.h"
#include "cli/model_options.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/result_json.h"
#include "store/receipt.h"

#include <stdlib.h>
#include <string.h>

typedef struct verify_values {
    place_values place;
    const char *model;
} verify_values;

static const option verify_rows[] = {
    {.name = "model",
     .type = OPTION_MODEL,
     .offset = offsetof(verify_values, model),
     .value_name = "MODEL",
     .help = "the model to recompute with; else the one of the store with the receipt's digest"},
};
static const option_set verify_set = OPTION_SET("Options", verify_rows);

/* What was found; the texts say why it does not match. */
typedef struct verdict {
    bool match;
    bool has_first_difference;
    uint64_t first_difference; /* index among the answer's tokens */
    char reason[320];
    tars_result result; /* of the recomputation; its texts live in the job */
    bool recomputed;
} verdict;

static void differ(verdict *v, const char *format, ...) BASE_PRINTF(2, 3);
static void differ(verdict *v, const char *format, ...) {
    text_buffer text;
    text_init(&text, v->reason, sizeof v->reason);
    va_list arguments;
    va_start(arguments, format);
    text_format_list(&text, format, arguments);
    va_end(arguments);
    v->match = false;
}

/* ---- before computing ---------------------------------------------------------------------- */

/* False, with the reason in the verdict, when the receipt cannot match whatever is computed. */
static bool check_receipt(const receipt *r, verdict *v) {
    tars_error problem;
    error_clear(&problem);
    if (receipt_verify(r, &problem) != TARS_OK) {
        differ(v, "%s", problem.message);
        return false;
    }
    if (r->arithmetic_version != tars_arithmetic_version()) {
        differ(v, "the receipt obeys arithmetic version %u, this program computes with version %u",
               r->arithmetic_version, tars_arithmetic_version());
        return false;
    }
    return true;
}

/* The name in the store of the model the receipt is about: by packed digest, else by source. */
static tars_status find_model(client *session, const receipt *r, char *name, size_t name_bytes,
                              tars_error *err) {
    tars_model_entry *entries = NULL;
    size_t count = 0;
    tars_status status = tars_model_list(session->context, &entries, &count, err);
    if (status != TARS_OK) {
        return status;
    }
    const tars_model_entry *found = NULL;
    for (size_t i = 0; i < count; i++) {
        bool packed = strcmp(entries[i].packed_sha256, r->packed_sha256) == 0;
        bool source = strcmp(entries[i].sha256, r->source_sha256) == 0;
        if (packed || (source && !found)) {
            found = &entries[i];
        }
        if (packed) {
            break;
        }
    }
    if (found) {
        text_buffer text;
        text_init(&text, name, name_bytes);
        text_append_string(&text, found->name);
    }
    tars_free(entries);
    if (found) {
        return TARS_OK;
    }
    error_set(err, TARS_NOT_FOUND, "the store has no model with the receipt's digest %.16s…",
              r->source_sha256);
    error_where(err, "model %s of the receipt", r->model_name);
    return error_hint(err, "import the file with that SHA-256, or name one with --model");
}

static bool check_model(const receipt *r, const tars_model_info *info, verdict *v) {
    if (strcmp(info->sha256, r->source_sha256) != 0) {
        differ(v, "the receipt is about the source %.16s…, the model %s was made from %.16s…",
               r->source_sha256, info->name, info->sha256);
        return false;
    }
    /* A path to a packed file knows no digest of it. */
    if (info->packed_sha256[0] != '\0' && strcmp(info->packed_sha256, r->packed_sha256) != 0) {
        differ(v, "the receipt is about the packed file %.16s…, the model %s is packed as %.16s…",
               r->packed_sha256, info->name, info->packed_sha256);
        return false;
    }
    return true;
}

/* ---- after computing ----------------------------------------------------------------------- */

static void compare(const receipt *r, const tars_result *result, verdict *v) {
    size_t n = r->n_digests < result->n_digests ? r->n_digests : result->n_digests;
    for (size_t i = 0; i < n; i++) {
        bool same_token = i >= r->n_tokens || i >= result->n_ids || r->tokens[i] == result->ids[i];
        if (same_token && memcmp(r->digests[i], result->digests[i], SHA256_DIGEST_BYTES) == 0) {
            continue;
        }
        v->has_first_difference = true;
        v->first_difference = i;
        if (same_token) {
            differ(v, "the logits of token %zu differ", i);
        } else {
            differ(v, "token %zu differs: the receipt says %d, computed was %d", i,
                   (int)r->tokens[i], (int)result->ids[i]);
        }
        return;
    }
    if (r->n_digests != result->n_digests || r->n_tokens != result->n_ids) {
        v->has_first_difference = true;
        v->first_difference = n;
        differ(v, "the receipt holds %zu tokens, computed were %zu", r->n_tokens, result->n_ids);
    } else if (strcmp(r->logits_hash, result->logits_hash) != 0) {
        differ(v, "the logits_hash differs: the receipt says %.16s…, computed was %.16s…",
               r->logits_hash, result->logits_hash);
    } else {
        v->match = true;
    }
}

static tars_status recompute(client *session, const verify_values *values, const receipt *r,
                             tars_model *model, verdict *v, tars_error *err) {
    /* Not as a replay: the sampler chooses again, so that a token which does not follow from the
     * logits, the settings and the seed is found too. */
    tars_request request;
    receipt_to_request(r, model, &request);
    request.kind = TARS_REQUEST_GENERATE;
    request.limits.max_tokens = r->max_tokens;
    place_apply(&values->place, &request);
    progress bar;
    progress_init(&bar, session->cli);
    tars_sink sink = {.user = &bar, .progress = progress_update};
    tars_job *job = NULL;
    tars_result result;
    tars_status status = client_run(session, &request, &sink, &job, &result, err);
    progress_clear(&bar);
    if (status == TARS_OK) {
        compare(r, &result, v);
        v->result = result;
        v->recomputed = true;
    }
    tars_job_destroy(job);
    return status;
}

static tars_status record_check(cli *c, const receipt *r, const char *path, const verdict *v,
                                tars_error *err) {
    bool is_good = receipt_verify(r, NULL) == TARS_OK;
    const log_field fields[] = {
        {"purpose", "receipt", 0}, {"file", path, 0}, {"reason", v->reason, 0}};
    const config *values;
    tars_status status = configuration_get(c, &values, err);
    return status == TARS_OK
               ? auditing_event(configuration_audit(c), is_good ? AUDIT_KEY_USED : AUDIT_SIGNATURE,
                                r->key_id, fields, is_good ? 2 : 3, err)
               : status;
}

static tars_status judge(cli *c, const verify_values *values, const receipt *r, const char *path,
                         verdict *v, tars_error *err) {
    bool is_good = check_receipt(r, v);
    tars_status status = record_check(c, r, path, v, err);
    if (status != TARS_OK || !is_good) {
        return status;
    }
    client session;
    status = client_open(&session, c, err);
    if (status != TARS_OK) {
        return status;
    }
    char name[128];
    const char *wanted = values->model ? values->model : name;
    if (!values->model) {
        status = find_model(&session, r, name, sizeof name, err);
    }
    tars_model *model = NULL;
    tars_model_info info;
    if (status == TARS_OK) {
        status = client_open_model(&session, wanted, &model, &info, err);
    }
    if (status == TARS_OK && check_model(r, &info, v)) {
        status = recompute(&session, values, r, model, v, err);
    }
    tars_model_close(model);
    client_close(&session);
    return status;
}

/* ---- telling ------------------------------------------------------------------------------- */

static void print_json(output *out, const receipt *r, const verdict *v) {
    json_writer json;
    output_json(out, &json);
    json_begin_object(&json);
    json_member_bool(&json, "match", v->match);
    json_key(&json, "first_difference");
    if (v->has_first_difference) {
        json_uint(&json, v->first_difference);
    } else {
        json_null(&json);
    }
    json_member_string(&json, "reason", v->reason);
    json_member_string(&json, "key_id", r->key_id);
    json_member_uint(&json, "arithmetic_version", r->arithmetic_version);
    json_member_string(&json, "logits_hash", r->logits_hash);
    if (v->recomputed) {
        result_json_place(&json, &v->result);
    }
    json_end_object(&json);
    output_text(out, "\n");
}

static void print_text(output *out, const receipt *r, const verdict *v) {
    if (v->match) {
        output_format(out,
                      "match: %zu tokens of %s, signed by key %s, recomputed with %s, %s, %u "
                      "threads\n",
                      r->n_tokens, r->model_name, r->key_id, v->result.runtime, v->result.isa,
                      (unsigned)v->result.n_threads);
    } else {
        output_format(out, "no match: %s\n", v->reason);
    }
}

static tars_status run_verify(cli *c, const verb_call *call, tars_error *err) {
    receipt r;
    void *memory = NULL;
    tars_status status = receipt_read(call->arguments[0], &r, &memory, err);
    if (status != TARS_OK) {
        return status;
    }
    verdict v = {0};
    status = judge(c, call->values, &r, call->arguments[0], &v, err);
    if (status == TARS_OK) {
        if (c->globals.json) {
            print_json(&c->out, &r, &v);
        } else {
            print_text(&c->out, &r, &v);
        }
        c->exit_status = v.match ? 0 : tars_status_exit(TARS_MISMATCH);
    }
    free(memory);
    return status;
}

const verb verb_verify = {
    .name = "verify",
    .group = "Checks",
    .summary = "recompute a receipt",
    .description =
        "Checks the signature of a receipt, its arithmetic version and its model, computes the "
        "recorded tokens again and compares every digest. A receipt that does not match ends with "
        "status 1 and names the first token that differs.",
    .arguments = {{.name = "RECEIPT",
                   .kind = ARGUMENT_FILE,
                   .help = "a file that 'tars run --receipt' wrote"}},
    .uses = {{&verify_set, 0}, {&place_options, offsetof(verify_values, place)}},
    .examples = {{"tars verify sky.json", "recompute with the best instructions here"},
                 {"tars verify sky.json --force-isa scalar --threads 1",
                  "recompute in the slowest, plainest way"}},
    .values_bytes = sizeof(verify_values),
    .run = run_verify,
};
