/* Shows how a model cuts a text: the id and the piece of text of each token, one a line.
 *
 *   tokenize MODEL TEXT
 *
 * MODEL is a name of the store, as in 'tars list', or a path to a packed file. A path needs a
 * slash: ./model.tars. */
#include <stdio.h>
#include <string.h>
#include <tars/tars.h>

/* A piece is any bytes: it may hold a line break, or half of a character. */
static void print_piece(tars_text_view piece) {
    putchar('"');
    for (size_t i = 0; i < piece.length; i++) {
        unsigned char byte = (unsigned char)piece.bytes[i];
        if (byte == '"' || byte == '\\') {
            printf("\\%c", byte);
        } else if (byte >= ' ' && byte <= '~') {
            putchar(byte);
        } else {
            printf("\\x%02x", byte);
        }
    }
    putchar('"');
}

static tars_status tokenize(tars_context *context, tars_model *model, const char *text,
                            tars_error *err) {
    tars_request request = TARS_REQUEST_DEFAULTS;
    request.kind = TARS_REQUEST_TOKENIZE;
    request.model = model;
    request.text.bytes = text;
    request.text.length = strlen(text);

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
        for (size_t i = 0; i < result.n_ids; i++) {
            printf("%7d  ", (int)result.ids[i]);
            print_piece(result.pieces[i]);
            putchar('\n');
        }
    }
    tars_job_destroy(job);
    return status;
}

/* Says what went wrong, where and what to do, and returns the exit status. */
static int report(tars_status status, const tars_error *err) {
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("tokenize: cannot write to standard output\n", stderr);
        return 1;
    }
    if (status != TARS_OK) {
        fprintf(stderr, "tokenize: %s\n", err->message);
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
        fputs("usage: tokenize MODEL TEXT\n", stderr);
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
        status = tokenize(context, model, argv[2], &err);
    }
    tars_model_close(model); /* NULL is allowed, here and below */
    tars_context_destroy(context);
    return report(status, &err);
}
