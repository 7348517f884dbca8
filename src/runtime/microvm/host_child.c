/* The process of host_process.h. */
#include "platform/vmm_walls.h"
#include "runtime/microvm/host_process.h"
#include "runtime/microvm/programs.h"

#include <stdlib.h>
#include <string.h>

/* Others: the folders on the way of a path that is walked, the machine, standard channels. */
enum { FILES_OF_A_GUESTS = 2, OTHER_FILES = 192, SECONDS_TO_SPARE = 10 };

typedef struct host_child {
    const host_request *request;
    const char *name;
    const char **arguments, **environment;
    linux_folder folders[RUNTIME_MAX_FOLDERS];
    const uint8_t *image;
} host_child;

/* ---- what is asked ----------------------------------------------------------------------- */

typedef struct text_reader {
    const char *at, *end;
} text_reader;

/* NULL behind the last. */
static const char *next_text(text_reader *r) {
    const char *text = r->at;
    const char *nul = text ? memchr(text, '\0', (size_t)(r->end - text)) : NULL;
    r->at = nul ? nul + 1 : NULL;
    return nul ? text : NULL;
}

static const char **read_list(text_reader *r, uint32_t n) {
    const char **list = calloc((size_t)n + 1, sizeof *list);
    for (uint32_t i = 0; list && i < n; i++) {
        list[i] = next_text(r);
    }
    return list;
}

static tars_status read_request(host_child *c, tars_error *err) {
    platform_snapshot block, image;
    tars_status status = platform_snapshot_adopt(HOST_REQUEST, &block, err);
    if (status == TARS_OK) {
        status = platform_snapshot_adopt(HOST_IMAGE, &image, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    const host_request *r = block.bytes;
    if (block.size_bytes < sizeof *r || r->texts_bytes > block.size_bytes - sizeof *r ||
        r->n_folders > RUNTIME_MAX_FOLDERS || r->image_bytes > image.size_bytes) {
        return error_set(err, TARS_MALFORMED, "the request for a virtual machine is none");
    }
    text_reader texts = {(const char *)(r + 1), (const char *)(r + 1) + r->texts_bytes};
    c->request = r;
    c->image = image.bytes;
    c->name = next_text(&texts);
    c->arguments = read_list(&texts, r->n_arguments);
    c->environment = read_list(&texts, r->n_environment);
    for (uint32_t i = 0; i < r->n_folders; i++) {
        c->folders[i] = (linux_folder){.handle = HOST_FIRST_FOLDER + (int)i,
                                       .guest = next_text(&texts),
                                       .writable = (r->writable >> i & 1u) != 0};
    }
    return c->name && c->arguments && c->environment
               ? TARS_OK
               : error_set(err, TARS_OUT_OF_MEMORY, "no memory for a request");
}

/* ---- running ----------------------------------------------------------------------------- */

/* The machine is made, and nothing of the program was looked at. */
static tars_status enter_walls(void *user, tars_error *err) {
    const host_child *c = user;
    const host_request *r = c->request;
    platform_vmm_folder folders[RUNTIME_MAX_FOLDERS];
    platform_vmm_report report;
    for (uint32_t i = 0; i < r->n_folders; i++) {
        folders[i] = (platform_vmm_folder){c->folders[i].handle, c->folders[i].writable};
    }
    platform_vmm_walls walls = {.folders = folders,
                                .n_folders = r->n_folders,
                                .file_bytes = r->file_bytes,
                                .n_files = (uint64_t)r->n_files * FILES_OF_A_GUESTS + r->n_folders +
                                           r->n_threads + OTHER_FILES,
                                .cpu_seconds =
                                    (r->timeout_ms / 1000 + SECONDS_TO_SPARE) * (r->n_threads + 1)};
    tars_status status = platform_vmm_walls_last(&walls, &report, err);
    for (size_t i = 0; i < report.n_missing && status == TARS_OK; i++) {
        (void)host_send_missing(HOST_ANSWER, report.missing[i]);
    }
    return status;
}

static tars_status run(host_child *c, runtime_outcome *out, tars_error *err) {
    const host_request *r = c->request;
    linux_options options = {.folders = c->folders,
                             .n_folders = r->n_folders,
                             .files = r->file_calls != 0,
                             .input = r->has_input ? HOST_INPUT : PLATFORM_NO_HANDLE,
                             .output_bytes = r->output_bytes,
                             .file_bytes = r->file_bytes,
                             .n_files = r->n_files,
                             .n_threads = r->n_threads,
                             .n_processors = r->n_processors,
                             .clock_resolution_ns = r->clock_resolution_ns};
    machine_program program = {.bytes = c->image,
                               .length = (size_t)r->image_bytes,
                               .name = c->name,
                               .arguments = c->arguments,
                               .environment = c->environment};
    machine_limits limits = {.memory_bytes = r->memory_bytes,
                             .stack_bytes = r->stack_bytes,
                             .deadline_ns = r->deadline_ns,
                             .made = enter_walls,
                             .user = c};
    return microvm_run(&program, &limits, &options, out, err);
}

int host_child_main(int argc, char **argv) {
    static host_child child; /* large, and the only one of its process */
    static runtime_outcome outcome;
    tars_error err;
    (void)argv;
    if (argc != 1) {
        static const char usage[] = HOST_CHILD_VERB " is run by tars, not by hand\n";
        (void)platform_handle_write(PLATFORM_STDERR, usage, sizeof usage - 1, NULL);
        return 2;
    }
    uint64_t begin_ns = 0;
    outcome.exit_code = -1;
    tars_status status = platform_vmm_walls_first(&err);
    if (status == TARS_OK) {
        status = read_request(&child, &err);
    }
    if (status == TARS_OK) {
        begin_ns = platform_clock_ns();
        status = run(&child, &outcome, &err);
    }
    err.status = status;
    bool told = status == TARS_OK
                    ? host_send_outcome(HOST_ANSWER, &outcome, begin_ns + outcome.usage.start_ns)
                    : host_send_failure(HOST_ANSWER, &err);
    _Exit(told ? 0 : 1);
}
