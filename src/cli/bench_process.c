#include "cli/bench_process.h"

#include "api/context.h"
#include "cli/bench_llm.h"
#include "cli/report.h"

#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 64, MAX_PROMPT_TOKENS = 65535, ROLLUP_MAX_BYTES = 65536 };

/* ---- the side that measures ---------------------------------------------------------------- */

static void take_line(bench_process_times *times, const char *line, uint64_t now_ns) {
    if (strcmp(line, "ready") == 0) {
        times->ready_ns = now_ns;
    } else if (strcmp(line, "token") == 0) {
        times->token_ns = now_ns;
    } else if (strncmp(line, "private ", 8) == 0) {
        (void)option_read_uint64(line + 8, &times->private_bytes);
    }
}

static tars_status read_lines(platform_handle handle, bench_process_times *times, tars_error *err) {
    char line[LINE_BYTES];
    size_t used = 0;
    for (;;) {
        size_t n = 0;
        tars_status status =
            platform_handle_read(handle, line + used, sizeof line - 1 - used, &n, err);
        uint64_t now_ns = platform_clock_ns();
        if (status != TARS_OK || n == 0) {
            return status;
        }
        used += n;
        line[used] = '\0';
        for (char *end = strchr(line, '\n'); end; end = strchr(line, '\n')) {
            *end = '\0';
            take_line(times, line, now_ns);
            used -= (size_t)(end + 1 - line);
            memmove(line, end + 1, used + 1);
        }
        if (used == sizeof line - 1) {
            return error_set(err, TARS_FAILED, "the measured process wrote an unknown line");
        }
    }
}

static tars_status finish_process(platform_process *process, tars_status status,
                                  const bench_process_times *times, tars_error *err) {
    platform_exit how = {0};
    if (status == TARS_OK) {
        status = platform_process_wait(process, PLATFORM_FOREVER, &how, err);
    }
    if (status != TARS_OK) {
        platform_process_kill(process);
        return status;
    }
    if (!how.exited || how.code != 0 || times->ready_ns == 0 || times->token_ns == 0) {
        char description[80];
        platform_exit_describe(&how, description, sizeof description);
        return error_set(err, TARS_FAILED, "the measured process %s", description);
    }
    return TARS_OK;
}

tars_status bench_process_run(client *session, const char *model, unsigned threads,
                              unsigned prompt_tokens, const char *isa, bench_process_times *out,
                              tars_error *err) {
    char numbers[2][16];
    const unsigned values[2] = {threads, prompt_tokens};
    for (size_t i = 0; i < 2; i++) {
        text_buffer text;
        text_init(&text, numbers[i], sizeof numbers[i]);
        text_format(&text, "%u", values[i]);
    }
    const char *const arguments[] = {"tars",     BENCH_PROCESS_VERB, session->context->home, model,
                                     numbers[0], numbers[1],         isa ? isa : "",         NULL};
    platform_handle read_end;
    platform_handle write_end;
    tars_status status = platform_pipe(&read_end, &write_end, err);
    if (status != TARS_OK) {
        return status;
    }
    const platform_spawn_handle handles[] = {{write_end, 1}, {PLATFORM_STDERR, 2}};
    platform_spawn_options options = {
        .arguments = arguments, .handles = handles, .n_handles = 2, .dies_with_us = true};
    platform_process process;
    *out = (bench_process_times){.start_ns = platform_clock_ns()};
    status = platform_spawn(&options, &process, err);
    platform_handle_close(write_end);
    if (status == TARS_OK) {
        status = finish_process(&process, read_lines(read_end, out, err), out, err);
    }
    platform_handle_close(read_end);
    return status;
}

/* ---- the side that is measured ------------------------------------------------------------- */

/* Memory that no other process could share: what was written. Pages of the mapped model are not.
 * 0 when the system does not say. */
static uint64_t written_private_bytes(void) {
    char *text = NULL;
    size_t length = 0;
    uint64_t kib = 0;
    if (platform_file_read_all("/proc/self/smaps_rollup", ROLLUP_MAX_BYTES, &text, &length, NULL) !=
        TARS_OK) {
        return 0;
    }
    char *found = strstr(text, "Private_Dirty:");
    if (found) {
        found += strcspn(found, "0123456789\n");
        found[strspn(found, "0123456789")] = '\0';
        (void)option_read_uint64(found, &kib);
    }
    free(text);
    return kib * 1024;
}

typedef struct token_watch {
    bool told;
    bool measures_memory;
    uint64_t private_bytes;
} token_watch;

static void tell(const char *line) {
    (void)platform_handle_write(PLATFORM_STDOUT, line, strlen(line), NULL);
}

static bool on_token(void *user, int32_t id) {
    (void)id;
    token_watch *watch = user;
    if (!watch->told) {
        watch->told = true;
        tell("token\n");
    }
    if (watch->measures_memory) {
        watch->private_bytes = written_private_bytes();
    }
    return true;
}

/* First the short prompt, whose first token is timed, then the long one, for memory. */
static tars_status answer_twice(tars_context *context, tars_model *model,
                                const tars_model_info *info, unsigned threads,
                                unsigned prompt_tokens, const char *isa, tars_error *err) {
    size_t n_ids = prompt_tokens + BENCH_SHORT_PROMPT_TOKENS;
    int32_t *ids = calloc(n_ids, sizeof *ids);
    if (!ids) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the prompt");
    }
    bench_fill_ids(ids, n_ids, info->n_vocab, 1);
    token_watch watch = {0};
    tars_sink sink = {.user = &watch, .token = on_token};
    tars_status status = TARS_OK;
    for (int turn = 0; turn < 2 && status == TARS_OK; turn++) {
        unsigned n = turn == 0 ? BENCH_SHORT_PROMPT_TOKENS : prompt_tokens;
        tars_request request = bench_request(model, ids, n, 1, threads, isa);
        tars_job *job = NULL;
        status = tars_submit(context, &request, &sink, &job, err);
        if (status == TARS_OK) {
            if (turn == 0) {
                tell("ready\n");
            }
            watch.measures_memory = turn == 1;
            status = tars_job_wait(job, NULL, err);
        }
        tars_job_destroy(job);
    }
    char line[LINE_BYTES];
    text_buffer text;
    text_init(&text, line, sizeof line);
    text_format(&text, "private %llu\n", (unsigned long long)watch.private_bytes);
    tell(line);
    free(ids);
    return status;
}

static tars_status serve(char **argv, unsigned threads, unsigned prompt_tokens, tars_error *err) {
    tars_context_options options = TARS_CONTEXT_OPTIONS_DEFAULTS;
    options.home = argv[1];
    tars_context *context = NULL;
    tars_model *model = NULL;
    tars_model_info info = {.size_bytes = sizeof info};
    tars_status status = tars_context_create(&options, &context, err);
    if (status == TARS_OK) {
        status = tars_model_open(context, argv[2], &model, err);
    }
    if (status == TARS_OK) {
        status = tars_model_get_info(model, &info, err);
    }
    if (status == TARS_OK) {
        const char *isa = argv[5][0] != '\0' ? argv[5] : NULL;
        status = answer_twice(context, model, &info, threads, prompt_tokens, isa, err);
    }
    tars_model_close(model);
    tars_context_destroy(context);
    return status;
}

int bench_process_main(int argc, char **argv) {
    uint64_t threads = 0;
    uint64_t prompt_tokens = 0;
    tars_error err;
    error_clear(&err);
    tars_status status = TARS_USAGE;
    if (argc == 6 && option_read_uint64(argv[3], &threads) && threads <= UINT16_MAX &&
        option_read_uint64(argv[4], &prompt_tokens) && prompt_tokens <= MAX_PROMPT_TOKENS) {
        status = serve(argv, (unsigned)threads, (unsigned)prompt_tokens, &err);
    }
    if (status != TARS_OK) {
        err.status = status;
        terminal messages = {.handle = PLATFORM_STDERR};
        report_error(&messages, &err);
    }
    return tars_status_exit(status);
}
