/* Compares the meaning of two texts: prints the dimension of their vectors and the cosine of the
 * angle between them, from -1 to 1, where 1 is the same.
 *
 *   embed MODEL TEXT TEXT
 *
 * MODEL is an embedding model: a name of the store, as in 'tars list', or a path to a packed file.
 * A path needs a slash: ./model.tars. */
#include <stdio.h>
#include <string.h>
#include <tars/tars.h>

static tars_status compare(tars_context *context, tars_model *model, const char *first,
                           const char *second, tars_error *err) {
    tars_text_view texts[2] = {{first, strlen(first)}, {second, strlen(second)}};
    tars_request request = TARS_REQUEST_DEFAULTS;
    request.kind = TARS_REQUEST_EMBED;
    request.model = model;
    request.texts = texts;
    request.n_texts = 2;

    /* tars_submit checks the request; tars_job_wait does the work, on this thread. What the
     * request points to must stay valid until the job is destroyed. */
    tars_job *job = NULL;
    tars_status status = tars_submit(context, &request, NULL, &job, err);
    if (status != TARS_OK) {
        return status;
    }
    tars_result result = {.size_bytes = sizeof result}; /* points into the job */
    status = tars_job_wait(job, &result, err);
    if (status == TARS_OK) {
        /* One vector after the other, each of length 1: their dot product is the cosine. */
        const float *a = result.embeddings;
        const float *b = a + result.n_embd;
        double cosine = 0;
        for (size_t i = 0; i < result.n_embd; i++) {
            cosine += (double)a[i] * (double)b[i];
        }
        printf("dimension: %zu\ncosine similarity: %.4f\n", result.n_embd, cosine);
    }
    tars_job_destroy(job);
    return status;
}

/* Says what went wrong, where and what to do, and returns the exit status. */
static int report(tars_status status, const tars_error *err) {
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("embed: cannot write to standard output\n", stderr);
        return 1;
    }
    if (status != TARS_OK) {
        fprintf(stderr, "embed: %s\n", err->message);
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
    if (argc != 4) {
        fputs("usage: embed MODEL TEXT TEXT\n", stderr);
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
        status = compare(context, model, argv[2], argv[3], &err);
    }
    tars_model_close(model); /* NULL is allowed, here and below */
    tars_context_destroy(context);
    return report(status, &err);
}
