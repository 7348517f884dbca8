/* Tokenizing, templates and embeddings in a guest: the same ids, texts, vectors and failures as
 * without one. */
#include "platform/platform.h"
#include "runtime/registry.h"
#include "support/tiny_model.h"

#include "base/json.h"
#include "engine/gguf.h"

#include <string.h>

enum { JSON_BYTES = 64 << 20, MAX_MESSAGES = 64, MAX_GGUF_BYTES = 8 << 20 };

static const char *place = "wasm"; /* the runtime that is compared with native */

/* False, and the test is skipped, when guests cannot run here. */
static bool has_guests(void) {
    tars_error err;
    if (runtime_find(place)->probe(&err) != TARS_OK) {
        check_skip("%s", err.message);
        return false;
    }
    return true;
}

/* A request in both runtimes. */
typedef struct pair {
    tars_status status[2];
    tars_error err[2];
    tars_result result[2];
    tars_job *job[2];
} pair;

static pair ask_both(const tars_request *request) {
    pair p = {0};
    const char *const runtimes[] = {"native", place};
    static tars_request r[2]; /* a job borrows its request */
    for (int i = 0; i < 2; i++) {
        r[i] = *request;
        r[i].policy.runtime = runtimes[i];
        p.result[i].size_bytes = sizeof p.result[i];
        p.status[i] = tars_submit(context, &r[i], NULL, &p.job[i], &p.err[i]);
        if (p.status[i] == TARS_OK) {
            p.status[i] = tars_job_wait(p.job[i], &p.result[i], &p.err[i]);
        }
    }
    CHECK_INT(p.status[1], p.status[0]);
    if (p.status[0] != TARS_OK || p.status[1] != TARS_OK) {
        CHECK_STRING(p.err[1].message, p.err[0].message);
        CHECK_STRING(p.err[1].hint, p.err[0].hint);
        CHECK_STRING(p.err[1].where, p.err[0].where);
    }
    return p;
}

static void end_both(pair *p) {
    tars_job_destroy(p->job[0]);
    tars_job_destroy(p->job[1]);
}

/* The same ids and pieces, and the text that the ids make; how many ids, 0 after a failure. */
static size_t check_tokens(const tars_request *request) {
    pair p = ask_both(request);
    const tars_result *here = &p.result[0];
    const tars_result *guest = &p.result[1];
    size_t n = p.status[0] == TARS_OK && p.status[1] == TARS_OK ? here->n_ids : 0;
    CHECK_INT(guest->n_ids, here->n_ids);
    CHECK_INT(guest->usage.bytes_in, here->usage.bytes_in);
    if (n > 0 && guest->n_ids == n) {
        CHECK_BYTES(guest->ids, here->ids, n * sizeof(int32_t));
        for (size_t i = 0; i < n; i++) {
            CHECK_INT(guest->pieces[i].length, here->pieces[i].length);
            CHECK_BYTES(guest->pieces[i].bytes, here->pieces[i].bytes, here->pieces[i].length);
        }
        tars_request back = *request;
        back.kind = TARS_REQUEST_DETOKENIZE;
        back.n_messages = 0;
        back.ids = here->ids;
        back.n_ids = n;
        pair q = ask_both(&back);
        CHECK_INT(q.result[1].text_length, q.result[0].text_length);
        CHECK_BYTES(q.result[1].text, q.result[0].text, q.result[0].text_length);
        end_both(&q);
    }
    end_both(&p);
    return n;
}

static json_value *read_json(const char *relative, void **memory, char **text) {
    size_t length;
    *text = check_read_file(relative, &length);
    *memory = malloc(JSON_BYTES);
    arena a;
    arena_init(&a, *memory, JSON_BYTES);
    json_value *root = NULL;
    json_limits limits = {.max_depth = 32, .max_values = 1 << 20};
    tars_error err;
    CHECK_INT(json_parse(*text, length, &limits, &a, &root, &err), TARS_OK);
    return root;
}

static size_t check_cases(tars_model *opened, const char *relative) {
    void *memory;
    char *text;
    json_value *root = read_json(relative, &memory, &text);
    size_t count = 0;
    const json_value *items = root ? json_member(root, "items") : NULL;
    for (const json_value *item = items ? items->first : NULL; item; item = item->next) {
        const json_value *t = json_member(item, "text");
        tars_request r = TARS_REQUEST_DEFAULTS;
        r.kind = TARS_REQUEST_TOKENIZE;
        r.model = opened;
        r.text = (tars_text_view){t->string, t->string_length};
        r.parse_special = count % 2 == 0;
        r.no_special = count % 3 == 0;
        (void)check_tokens(&r);
        count++;
    }
    free(memory);
    free(text);
    return count;
}

static void texts_give_the_same_ids(void) {
    if (!has_guests()) {
        return;
    }
    set_up();
    CHECK(check_cases(tiny, "tokenizer/smollm2-cases.json") > 200);
    CHECK(check_cases(tiny, "tokenizer/spm-cases.json") > 200);
    enum { LONG_BYTES = 300000 };
    char *text = malloc(LONG_BYTES);
    for (size_t i = 0; i < LONG_BYTES; i++) {
        text[i] = (char)(i % 7 == 0 ? ' ' : 'a' + i * i % 26);
    }
    tars_request r = TARS_REQUEST_DEFAULTS;
    r.kind = TARS_REQUEST_TOKENIZE;
    r.model = tiny;
    r.text = (tars_text_view){text, LONG_BYTES};
    CHECK(check_tokens(&r) > 10000);
    text[LONG_BYTES / 2] = (char)0xff; /* refused by both */
    CHECK_INT(check_tokens(&r), 0);
    r.text = (tars_text_view){"", 0};
    (void)check_tokens(&r);
    free(text);
    static const int32_t bad[] = {1, 1 << 20};
    r.kind = TARS_REQUEST_DETOKENIZE;
    r.ids = bad;
    r.n_ids = 2;
    pair p = ask_both(&r);
    CHECK_INT(p.status[1], TARS_USAGE);
    end_both(&p);
}

/* ---- templates ------------------------------------------------------------------------- */

/* The tiny model's file with another chat template; its size. */
static size_t with_template(const char *text, size_t length, uint8_t *out) {
    static const char key[] = "tokenizer.chat_template";
    size_t size;
    uint8_t *gguf = check_read_file("models/tiny.gguf", &size);
    void *memory = malloc(16 << 20);
    arena a;
    arena_init(&a, memory, 16 << 20);
    byte_source source = byte_source_memory(gguf, size);
    gguf_file file;
    tars_error err;
    CHECK_INT(gguf_open(&source, NULL, &a, &file, &err), TARS_OK);
    size_t header = (size_t)file.header_bytes;
    size_t at = 0;
    while (at < header && memcmp(gguf + at, key, sizeof key - 1) != 0) {
        at++;
    }
    at += sizeof key - 1 + sizeof(uint32_t); /* key and type */
    uint64_t old;
    uint64_t length_field = length;
    memcpy(&old, gguf + at, sizeof old);
    size_t rest = at + sizeof old + (size_t)old;
    size_t n = at;
    CHECK(size + length < MAX_GGUF_BYTES - 64);
    memcpy(out, gguf, n);
    memcpy(out + n, &length_field, sizeof length_field);
    n += sizeof length_field;
    memcpy(out + n, text, length);
    n += length;
    memcpy(out + n, gguf + rest, header - rest);
    n += header - rest;
    while (n % 32 != 0) {
        out[n++] = 0;
    }
    memcpy(out + n, gguf + file.data_offset, size - (size_t)file.data_offset);
    n += size - (size_t)file.data_offset;
    free(memory);
    free(gguf);
    return n;
}

static size_t read_messages(const json_value *list, tars_message *messages) {
    size_t n = 0;
    for (const json_value *m = list ? list->first : NULL; m && n < MAX_MESSAGES; m = m->next) {
        messages[n++] = (tars_message){.role = json_string_or(json_member(m, "role"), "user"),
                                       .content = json_string_or(json_member(m, "content"), "")};
    }
    return n;
}

/* How many of the file's conversations rendered. */
static size_t check_template(const char *relative) {
    void *memory;
    char *text;
    json_value *root = read_json(relative, &memory, &text);
    const json_value *template = root ? json_member(root, "template") : NULL;
    const json_value *cases = root ? json_member(root, "cases") : NULL;
    static uint8_t gguf[MAX_GGUF_BYTES];
    size_t rendered = 0;
    char path[300];
    snprintf(path, sizeof path, "%s.template", packed_path);
    pack_model(gguf, with_template(template->string, template->string_length, gguf), path);
    tars_model *opened = NULL;
    tars_error err;
    CHECK_INT(tars_model_open(context, path, &opened, &err), TARS_OK);
    size_t tried = 0;
    for (const json_value *c = cases->first; opened && c && tried < 3; c = c->next) {
        tars_message messages[MAX_MESSAGES];
        tars_request r = TARS_REQUEST_DEFAULTS;
        r.kind = TARS_REQUEST_TOKENIZE;
        r.model = opened;
        r.messages = messages;
        r.n_messages = read_messages(json_member(c, "messages"), messages);
        tried += r.n_messages > 0;
        rendered += r.n_messages > 0 && check_tokens(&r) > 0;
    }
    tars_model_close(opened);
    unlink(path);
    free(memory);
    free(text);
    return rendered;
}

static void conversations_give_the_same_ids(void) {
    if (!has_guests()) {
        return;
    }
    set_up();
    static const char *const names[] = {"chatml",
                                        "deepseek-r1",
                                        "functionary-v3.1",
                                        "gemma-2-2b-it",
                                        "gemma-3",
                                        "gpt-oss-120b",
                                        "jamba",
                                        "kimi-k2-instruct",
                                        "llama-3",
                                        "llama-2-chat",
                                        "llama-3.1-8b-instruct",
                                        "mistral-large-2411-v7",
                                        "phi-4",
                                        "qwen2.5-7b-instruct",
                                        "mistral-7b-instruct-v0.2",
                                        "smollm2-135m-instruct",
                                        "qwen3-0.6b",
                                        "qwen3-coder",
                                        "smollm3-3b",
                                        "zephyr-7b"};
    size_t rendered = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "templates/%s.json", names[i]);
        rendered += check_template(path);
    }
    CHECK(rendered > 30);
}

/* Templates that fail, or never end, fail alike. */
static void bad_templates_fail_alike(void) {
    if (!has_guests()) {
        return;
    }
    set_up();
    static const char *const templates[] = {
        "{{ raise_exception('no, ' ~ messages[0].content) }}",
        "{% for i in range(1000000000) %}{% for j in range(1000000000) %}{% endfor %}{% endfor %}",
        "{% for m in messages %}",
        "{{ messages[0].content.__class__ }}",
        "{% include 'x' %}",
        "{{ 1 // 0 }}",
        "{{ messages | map(attribute='content') | join(' ') }}{{ bos_token }}{{ eos_token }}",
    };
    static uint8_t gguf[MAX_GGUF_BYTES];
    char path[300];
    snprintf(path, sizeof path, "%s.template", packed_path);
    for (size_t i = 0; i < sizeof templates / sizeof templates[0]; i++) {
        pack_model(gguf, with_template(templates[i], strlen(templates[i]), gguf), path);
        tars_model *opened = NULL;
        tars_error err;
        CHECK_INT(tars_model_open(context, path, &opened, &err), TARS_OK);
        tars_message messages[] = {{.role = "user", .content = "Zo\xc3\xab"},
                                   {.role = "assistant", .content = ""}};
        tars_request r = TARS_REQUEST_DEFAULTS;
        r.kind = TARS_REQUEST_TOKENIZE;
        r.model = opened;
        r.messages = messages;
        r.n_messages = 2;
        (void)check_tokens(&r);
        messages[1].role = NULL; /* refused by both */
        CHECK_INT(check_tokens(&r), 0);
        tars_model_close(opened);
    }
    unlink(path);
}

/* ---- embeddings ------------------------------------------------------------------------ */

static void check_vectors(const tars_request *request) {
    pair p = ask_both(request);
    CHECK_INT(p.status[0], TARS_OK);
    CHECK_INT(p.result[1].n_embeddings, p.result[0].n_embeddings);
    CHECK_INT(p.result[1].n_prompt_ids, p.result[0].n_prompt_ids);
    if (p.status[0] == TARS_OK && p.status[1] == TARS_OK) {
        CHECK_BYTES(p.result[1].prompt_ids, p.result[0].prompt_ids,
                    p.result[0].n_prompt_ids * sizeof(int32_t));
        CHECK_BYTES(p.result[1].embeddings, p.result[0].embeddings,
                    p.result[0].n_embeddings * p.result[0].n_embd * sizeof(float));
        CHECK_STRING(p.result[1].runtime, place);
        CHECK_INT(p.result[1].n_threads, 1);
        CHECK(p.result[1].usage.memory_peak_bytes > 0);
        CHECK(p.result[1].isa[0] != '\0');
    }
    end_both(&p);
}

static tars_model *open_model(const char *relative, const char *path) {
    size_t size;
    void *gguf = check_read_file(relative, &size);
    pack_model(gguf, size, path);
    free(gguf);
    tars_model *opened = NULL;
    tars_error err = {0};
    CHECK_INT(tars_model_open(context, path, &opened, &err), TARS_OK);
    return opened;
}

static void embeddings_equal_native(void) {
    if (!has_guests()) {
        return;
    }
    set_up();
    static const char *const models[] = {"models/arch/bert-mean.gguf", "models/arch/bert-cls.gguf"};
    static char long_text[20000];
    memset(long_text, 'w', sizeof long_text - 1);
    for (size_t i = 5; i < sizeof long_text; i += 6) {
        long_text[i] = ' '; /* more words than the context holds */
    }
    tars_text_view texts[] = {{"a cat", 5}, {"", 0}, {"zwei Hunde", 10}, {long_text, 19999}};
    char path[300];
    snprintf(path, sizeof path, "%s.bert", packed_path);
    for (size_t i = 0; i < 2; i++) {
        tars_model *opened = open_model(models[i], path);
        tars_request r = TARS_REQUEST_DEFAULTS;
        r.kind = TARS_REQUEST_EMBED;
        r.model = opened;
        r.texts = texts;
        r.n_texts = 4;
        check_vectors(&r);
        r.no_normalize = true;
        check_vectors(&r);
        r.float_activations = true;
        check_vectors(&r);
        r.policy.force_isa = "scalar";
        check_vectors(&r);
        r.n_texts = 0;
        pair p = ask_both(&r);
        CHECK_INT(p.status[1], TARS_USAGE);
        end_both(&p);
        r.n_texts = 1;
        texts[0].bytes = "\xff\xff\xff\xff\xff";
        p = ask_both(&r);
        CHECK_INT(p.status[1], TARS_MALFORMED);
        end_both(&p);
        texts[0].bytes = "a cat";
        tars_model_close(opened);
    }
    unlink(path);
}

static void many_texts_are_embedded(void) {
    if (!has_guests()) {
        return;
    }
    set_up();
    enum { N = 3000 };
    static tars_text_view texts[N];
    static char words[N][16];
    for (int i = 0; i < N; i++) {
        int n = snprintf(words[i], sizeof words[i], "%d %d", i, i * i % 97);
        texts[i] = (tars_text_view){words[i], (size_t)n};
    }
    char path[300];
    snprintf(path, sizeof path, "%s.bert", packed_path);
    tars_model *opened = open_model("models/arch/bert-mean.gguf", path);
    tars_request r = TARS_REQUEST_DEFAULTS;
    r.kind = TARS_REQUEST_EMBED;
    r.model = opened;
    r.texts = texts;
    r.n_texts = N;
    check_vectors(&r);
    r.policy.runtime = place;
    r.limits.deadline_ms = 1;
    tars_job *job;
    tars_error err;
    tars_result result = {.size_bytes = sizeof result};
    CHECK_INT(tars_submit(context, &r, NULL, &job, &err), TARS_OK);
    CHECK_INT(tars_job_wait(job, &result, &err), TARS_TIMEOUT);
    tars_job_destroy(job);
    r.limits.deadline_ms = 0;
    r.limits.memory_bytes = 4096;
    CHECK_INT(tars_submit(context, &r, NULL, &job, &err), TARS_OK);
    CHECK_INT(tars_job_wait(job, &result, &err), TARS_OUT_OF_MEMORY);
    tars_job_destroy(job);
    tars_model_close(opened);
    unlink(path);
}

static void tear_down_and_take_machines(void) {
    tear_down();
    place = "microvm";
}

static const check_test tests[] = {
    {"texts give the same ids", texts_give_the_same_ids},
    {"conversations give the same ids", conversations_give_the_same_ids},
    {"bad templates fail alike", bad_templates_fail_alike},
    {"embeddings equal native", embeddings_equal_native},
    {"many texts are embedded", many_texts_are_embedded},
    {"tear down", tear_down_and_take_machines},
    {"machine: texts give the same ids", texts_give_the_same_ids},
    {"machine: conversations give the same ids", conversations_give_the_same_ids},
    {"machine: bad templates fail alike", bad_templates_fail_alike},
    {"machine: embeddings equal native", embeddings_equal_native},
    {"machine: many texts are embedded", many_texts_are_embedded},
    {"tear down again", tear_down},
};
CHECK_MAIN(tests)
