/* Answers a prompt; the answer appears on standard output while it grows.
 *
 *   complete MODEL PROMPT
 *
 * MODEL is a name of the store, as in 'tars list', or a path to a packed file. A path needs a
 * slash: ./model.tars. */
#include <stdio.h>
#include <string.h>
#include <tars/tars.h>

/* Called with each new piece of the answer: whole UTF-8 characters, no NUL at the end. Returning
 * false ends the answer. A program with data of its own finds it in user, from tars_sink.user. */
static bool write_text(void *user, const char *bytes, size_t length) {
    (void)user;
    return fwrite(bytes, 1, length, stdout) == length && fflush(stdout) == 0;
}

static tars_status answer(tars_context *context, tars_model *model, const char *prompt,
                          tars_error *err) {
    tars_model_info info = {.size_bytes = sizeof info};
    tars_status status = tars_model_get_info(model, &info, err);
    if (status != TARS_OK) {
        return status;
    }
    tars_request request = TARS_REQUEST_DEFAULTS;
    request.kind = TARS_REQUEST_GENERATE;
    request.model = model;
    request.sampling.temperature = 0; /* always the likeliest token: equal on every machine */
    request.limits.max_tokens = 256;

    /* A model trained for conversations has a chat template, which gives a message the form that
     * the model knows. Any other model continues the plain text. */
    tars_message message = {"user", prompt};
    if (info.has_chat_template) {
        request.messages = &message;
        request.n_messages = 1;
    } else {
        request.text.bytes = prompt;
        request.text.length = strlen(prompt);
    }

    /* tars_submit checks the request; tars_job_wait does the work, on this thread. What the
     * request points to must stay valid until the job is destroyed. */
    tars_sink sink = {NULL, write_text, NULL, NULL};
    tars_job *job = NULL;
    status = tars_submit(context, &request, &sink, &job, err);
    if (status != TARS_OK) {
        return status;
    }
    tars_result result = {.size_bytes = sizeof result}; /* text, tokens, times: in the job */
    status = tars_job_wait(job, &result, err);
    tars_job_destroy(job);
    putchar('\n');
    return status;
}

/* Says what went wrong, where and what to do, and returns the exit status. */
static int report(tars_status status, const tars_error *err) {
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("complete: cannot write to standard output\n", stderr);
        return 1;
    }
    if (status != TARS_OK) {
        fprintf(stderr, "complete: %s\n", err->message);
        if (err->where[0] != '\0') {
            fprintf(stderr, "  where: %s\n", err->where);
        }
        if (err->hint[0] != '\0') {
            fprintf(stderr, "  hint: %s\n", err->hint);
        }
    }
    return tars_status_exit(status);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fputs("usage: complete MODEL PROMPT\n", stderr);
        return tars_status_exit(TARS_USAGE);
    }
    tars_error err; /* filled by the call that fails */
    tars_context *context = NULL;
    tars_model *model = NULL;
    tars_status status = tars_context_create(NULL, &context, &err); /* NULL: the user's store */
    if (status == TARS_OK) {
        status = tars_model_open(context, argv[1], &model, &err);
    }
    if (status == TARS_OK) {
        status = answer(context, model, argv[2], &err);
    }
    tars_model_close(model); /* NULL is allowed, here and below */
    tars_context_destroy(context);
    return report(status, &err);
}
