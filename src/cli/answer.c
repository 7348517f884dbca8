#include "cli/answer.h"

#include "api/context.h"
#include "cli/auditing.h"
#include "cli/number_text.h"
#include "cli/report.h"
#include "store/receipt.h"

#include <string.h>

static bool on_text(void *user, const char *bytes, size_t length) {
    answer *a = user;
    progress_clear(&a->progress);
    if (length == 0) {
        return true;
    }
    a->wrote_text = true;
    a->wrote_newline = bytes[length - 1] == '\n';
    output_foreign(&a->session->cli->out, bytes, length);
    return output_flush(&a->session->cli->out);
}

static bool on_progress(void *user, const char *step, uint64_t done, uint64_t total) {
    answer *a = user;
    return progress_update(&a->progress, step, done, total);
}

tars_status answer_run(answer *a, client *session, const tars_model_info *model,
                       const tars_request *request, bool streams, tars_error *err) {
    *a = (answer){.session = session, .model = model, .streams = streams};
    progress_init(&a->progress, session->cli);
    tars_sink sink = {.user = a, .progress = on_progress};
    if (streams) {
        sink.text = on_text;
    }
    tars_status status = client_run(session, request, &sink, &a->job, &a->result, err);
    progress_clear(&a->progress);
    if (streams && a->wrote_text && !a->wrote_newline) {
        output_text(&session->cli->out, "\n");
        output_flush(&session->cli->out);
    }
    return a->job ? TARS_OK : status;
}

bool answer_was_cancelled(const answer *a) {
    return a->result.finish_reason && strcmp(a->result.finish_reason, "cancelled") == 0;
}

/* "NAME 12 tokens, 85.1 tokens/s; ": `timed` of the tokens took `ms`. */
static void append_rate(text_buffer *text, const char *name, uint64_t tokens, uint64_t timed,
                        double ms) {
    text_format(text, "%s %llu tokens", name, (unsigned long long)tokens);
    if (ms > 0 && timed > 0) {
        text_append_string(text, ", ");
        number_text_decimal(text, (double)timed * 1000 / ms, 1);
        text_append_string(text, " tokens/s");
    }
    text_append_string(text, "; ");
}

void answer_summarize(const answer *a) {
    const tars_usage *usage = &a->result.usage;
    char memory[400];
    text_buffer text;
    text_init(&text, memory, sizeof memory);
    append_rate(&text, "prompt", usage->prompt_tokens, usage->prompt_tokens - usage->cached_tokens,
                usage->prompt_ms);
    /* the first token comes out of the prompt's pass */
    uint64_t decoded = usage->completion_tokens > 0 ? usage->completion_tokens - 1 : 0;
    append_rate(&text, "answer", usage->completion_tokens, decoded, usage->decode_ms);
    if (usage->time_to_first_token_ms > 0) {
        text_append_string(&text, "first token after ");
        number_text_decimal(&text, usage->time_to_first_token_ms, 0);
        text_append_string(&text, " ms; ");
    }
    text_format(&text, "%s, %s, %u thread%s, seed %llu", a->result.runtime ? a->result.runtime : "",
                a->result.isa ? a->result.isa : "", (unsigned)a->result.n_threads,
                a->result.n_threads == 1 ? "" : "s", (unsigned long long)a->result.seed);
    report_note(a->session->cli, "%s", memory);
}

/* Before it signs. */
static tars_status record_signing(const client *session, const keys *signer, const char *path,
                                  tars_error *err) {
    audit_log *log = session->context->audit;
    const log_field fields[] = {{"purpose", "receipt", 0}, {"file", path, 0}};
    tars_status status = TARS_OK;
    if (keys_is_new(signer)) {
        status = auditing_event(log, AUDIT_KEY_CREATED, keys_id(signer), NULL, 0, err);
    }
    return status == TARS_OK ? auditing_event(log, AUDIT_KEY_USED, keys_id(signer), fields, 2, err)
                             : status;
}

tars_status answer_write_receipt(const answer *a, const tars_request *request, const char *path,
                                 tars_error *err) {
    receipt record;
    int64_t now_s = platform_wall_clock_ns() / 1000000000;
    tars_status status = receipt_from_result(a->model, request, &a->result, now_s, &record, err);
    if (status != TARS_OK) {
        return status;
    }
    keys *signer = NULL;
    status = keys_open(a->session->context->home, &signer, err);
    if (status == TARS_OK) {
        status = record_signing(a->session, signer, path, err);
        if (status == TARS_OK) {
            status = receipt_write(&record, signer, path, err);
        }
        keys_close(signer);
    }
    return status;
}

void answer_finish(answer *a) {
    tars_job_destroy(a->job);
    a->job = NULL;
}
