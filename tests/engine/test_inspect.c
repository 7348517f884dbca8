/* Reports on sound, damaged and hostile files. */
#include "support/check.h"

#include "base/json.h"
#include "engine/gguf_write.h"
#include "engine/inspect.h"
#include "tiny_bert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 4 << 20, TEXT_BYTES = 4 << 20 };

typedef struct text_sink {
    char *text;
    size_t length;
} text_sink;

static bool append(void *context, const char *bytes, size_t length) {
    text_sink *sink = context;
    if (length > TEXT_BYTES - 1 - sink->length) {
        return false;
    }
    memcpy(sink->text + sink->length, bytes, length);
    sink->length += length;
    sink->text[sink->length] = '\0';
    return true;
}

typedef struct inspected {
    void *memory;
    arena a;
    inspect_report report;
    text_sink sink;
    json_value *json;
} inspected;

/* Inspects a copy of the bytes, writes JSON and reads it back. */
static void inspect_bytes(inspected *in, const void *bytes, size_t size) {
    in->memory = malloc(ARENA_BYTES + size + 1);
    uint8_t *copy = (uint8_t *)in->memory + ARENA_BYTES;
    memcpy(copy, bytes, size);
    arena_init(&in->a, in->memory, ARENA_BYTES);
    byte_source source = byte_source_memory(copy, size);
    tars_error err;
    CHECK_INT(inspect_source(&source, &in->a, &in->report, &err), TARS_OK);
    in->sink = (text_sink){malloc(TEXT_BYTES), 0};
    json_writer writer;
    json_writer_init(&writer, append, &in->sink);
    inspect_write_json(&in->report, &writer);
    CHECK(!writer.failed);
    in->json = NULL;
    if (json_parse(in->sink.text, in->sink.length, NULL, &in->a, &in->json, &err) != TARS_OK) {
        check_fail(__FILE__, __LINE__, "%s (%s): %.200s", err.message, err.where, in->sink.text);
    }
}

static void finish(inspected *in) {
    free(in->memory);
    free(in->sink.text);
}

static void inspect_file(inspected *in, const char *path) {
    size_t size;
    void *bytes = check_read_file(path, &size);
    inspect_bytes(in, bytes, size);
    free(bytes);
}

static const char *problem_text(const inspected *in, size_t i, const char *member) {
    const json_value *p = json_member(in->json, "problems")->first;
    for (; p && i > 0; i--) {
        p = p->next;
    }
    return json_string_or(json_member(p, member), "");
}

static void test_sound_file(void) {
    inspected in;
    inspect_file(&in, "hostile/ok-base.gguf");
    CHECK_STRING(json_string_or(json_member(in.json, "format"), ""), "gguf");
    CHECK_INT(json_integer_or(json_member(in.json, "version"), 0), 3);
    CHECK_INT(json_member(in.json, "problems")->count, 0);
    const json_value *metadata = json_member(in.json, "metadata");
    CHECK_INT(metadata->count, 17);
    CHECK_STRING(json_string_or(json_member(metadata, "general.architecture"), ""), "llama");
    CHECK_INT(json_integer_or(json_member(metadata, "llama.block_count"), 0), 1);
    CHECK_INT(json_member(metadata, "tokenizer.ggml.tokens")->count, 12);
    const json_value *tensors = json_member(in.json, "tensors");
    CHECK_INT(tensors->count, 11);
    const json_value *first = tensors->first;
    CHECK_STRING(json_string_or(json_member(first, "name"), ""), "token_embd.weight");
    CHECK_STRING(json_string_or(json_member(first, "type"), ""), "F32");
    CHECK_INT(json_member(first, "shape")->count, 2);
    CHECK_INT(json_integer_or(json_member(first, "shape")->first, 0), 8);
    CHECK_INT(json_integer_or(json_member(first, "bytes"), 0), 384);
    finish(&in);
}

/* Files that break in several places, and what must still be listed. */
static void test_damaged_files(void) {
    static const struct {
        const char *file;
        size_t keys, tensors;
        const char *where; /* of the first problem */
    } cases[] = {
        {"cut-in-data.gguf", 17, 11, "tensor 'token_embd.weight'"},
        {"dup-key.gguf", 17, 11, "key 'llama.block_count'"},
        {"dup-tensor.gguf", 17, 12, "tensor 'output_norm.weight'"},
        {"dims-0.gguf", 17, 11, "tensor 'output_norm.weight'"},
        {"tensor-type-99.gguf", 17, 11, "tensor 'output_norm.weight'"},
        {"cut-in-dims.gguf", 17, 1, "tensor 'output_norm.weight'"},
        {"kv-type-13.gguf", 17, 0, "key 'x.y'"},
        {"alignment-string.gguf", 18, 11, "key 'general.alignment'"},
        {"key-not-utf8.gguf", 18, 11, "key 'gen??.x'"},
        {"bool-2.gguf", 18, 11, "key 'x.y'"},
        {"scores-strings.gguf", 17, 11, "key 'tokenizer.ggml.scores'"},
        {"bos-string.gguf", 17, 11, "key 'tokenizer.ggml.bos_token_id'"},
        {"types-short.gguf", 17, 11, "key 'tokenizer.ggml.token_type'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "hostile/%s", cases[i].file);
        inspected in;
        inspect_file(&in, path);
        CHECK_STRING(json_string_or(json_member(in.json, "format"), ""), "gguf");
        if (json_member(in.json, "metadata")->count != cases[i].keys ||
            json_member(in.json, "tensors")->count != cases[i].tensors ||
            strncmp(problem_text(&in, 0, "where"), cases[i].where, strlen(cases[i].where)) != 0) {
            check_fail(__FILE__, __LINE__, "%s: %zu keys, %zu tensors, %s", cases[i].file,
                       json_member(in.json, "metadata")->count,
                       json_member(in.json, "tensors")->count, problem_text(&in, 0, "where"));
        }
        CHECK(problem_text(&in, 0, "message")[0] && problem_text(&in, 0, "code")[0]);
        finish(&in);
    }
}

/* Every file of the manifest gives a report, and one with problems when a container reader must
 * refuse the file. */
static void test_manifest(void) {
    size_t size, with_problems = 0;
    char *text = check_read_file("hostile/manifest.json", &size);
    void *memory = malloc(ARENA_BYTES);
    arena a;
    arena_init(&a, memory, ARENA_BYTES);
    json_value *root = NULL;
    CHECK_INT(json_parse(text, size, NULL, &a, &root, NULL), TARS_OK);
    for (const json_value *e = json_member(root, "files")->first; e; e = e->next) {
        char path[160];
        const char *file = json_string_or(json_member(e, "file"), "");
        snprintf(path, sizeof path, "hostile/%s", file);
        inspected in;
        inspect_file(&in, path);
        const char *expect = json_string_or(json_member(e, "expect"), "");
        bool container = strcmp(json_string_or(json_member(e, "stage"), ""), "container") == 0;
        bool problems = in.report.n_problems > 0;
        bool sound = strcmp(expect, "accept") == 0 || strcmp(expect, "inspect") == 0;
        if ((container && strcmp(expect, "reject") == 0 && !problems) || (sound && problems)) {
            check_fail(__FILE__, __LINE__, "%s: %zu problems, %s", file, in.report.n_problems,
                       problems ? in.report.problems[0].message : "");
        }
        with_problems += problems;
        finish(&in);
    }
    printf("    %zu files with problems\n", with_problems);
    CHECK(with_problems >= 70);
    free(memory);
    free(text);
}

static void test_summaries(void) {
    gguf_text words[100];
    float few[3] = {1, 2.5f, -0.0f};
    double one = 1e300;
    uint64_t big = UINT64_MAX;
    uint8_t flag = 1;
    for (size_t i = 0; i < 100; i++) {
        words[i] = (gguf_text){"word", 4};
    }
    char *longer = malloc(INSPECT_MAX_TEXT_BYTES + 1);
    memset(longer, 'x', INSPECT_MAX_TEXT_BYTES + 1);
    const gguf_entry entries[] = {
        gguf_entry_texts("many", words, 100),
        gguf_entry_numbers("few", GGUF_FLOAT32, few, 3),
        gguf_entry_numbers("one", GGUF_FLOAT64, &one, 1),
        gguf_entry_numbers("big", GGUF_UINT64, &big, 1),
        gguf_entry_numbers("flag", GGUF_BOOL, &flag, 1),
        gguf_entry_texts("bad", &(gguf_text){"a\xFFz", 3}, 1),
        gguf_entry_u64("scalar", UINT64_MAX),
        gguf_entry_text("not utf8", (gguf_text){"\xFF", 1}),
        gguf_entry_text("longer", (gguf_text){longer, INSPECT_MAX_TEXT_BYTES + 1}),
        gguf_entry_text("longest", (gguf_text){longer, INSPECT_MAX_TEXT_BYTES}),
    };
    void *memory = malloc(ARENA_BYTES);
    arena a;
    arena_init(&a, memory, ARENA_BYTES);
    gguf_header header;
    CHECK_INT(gguf_write_header(entries, 10, NULL, 0, &a, &header, NULL), TARS_OK);
    inspected in;
    inspect_bytes(&in, header.bytes, header.header_bytes);
    CHECK_INT(in.report.n_problems, 1);
    CHECK_STRING(problem_text(&in, 0, "message"), "the string is not UTF-8 at its byte 0");
    CHECK(strstr(in.sink.text, "\"scalar\":18446744073709551615,") != NULL);
    CHECK(strstr(in.sink.text, "\"many\":{\"type\":\"string\",\"count\":100}") != NULL);
    CHECK(strstr(in.sink.text, "\"few\":[1,2.5,0]") != NULL ||
          strstr(in.sink.text, "\"few\":[1,2.5,-0]") != NULL);
    CHECK(strstr(in.sink.text, "\"one\":[1e+300]") != NULL);
    CHECK(strstr(in.sink.text, "\"big\":[18446744073709551615]") != NULL);
    CHECK(strstr(in.sink.text, "\"flag\":[true]") != NULL);
    CHECK(strstr(in.sink.text, "\"longer\":{\"type\":\"string\",\"bytes\":65537}") != NULL);
    const json_value *metadata = json_member(in.json, "metadata");
    CHECK_INT(json_member(metadata, "longest")->string_length, INSPECT_MAX_TEXT_BYTES);
    CHECK_STRING(json_member(metadata, "bad")->first->string, "a\xEF\xBF\xBDz");
    finish(&in);
    free(longer);
    free(memory);
}

static void test_many_problems(void) {
    enum { N = 200 };
    gguf_tensor_entry tensors[N];
    char names[N][8];
    for (size_t i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "t%zu", i);
        tensors[i] =
            (gguf_tensor_entry){.name = names[i], .type = TENSOR_F32, .n_dims = 1, .dims = {100}};
    }
    void *memory = malloc(ARENA_BYTES);
    arena a;
    arena_init(&a, memory, ARENA_BYTES);
    gguf_header header;
    CHECK_INT(gguf_write_header(NULL, 0, tensors, N, &a, &header, NULL), TARS_OK);
    inspected in;
    inspect_bytes(&in, header.bytes, header.data_offset); /* all data is missing */
    CHECK_INT(in.report.gguf.n_tensors, N);
    CHECK_INT(in.report.n_problems, INSPECT_MAX_PROBLEMS);
    CHECK_INT(in.report.n_problems_left_out, N - INSPECT_MAX_PROBLEMS);
    CHECK_INT(json_integer_or(json_member(in.json, "problems_left_out"), 0),
              N - INSPECT_MAX_PROBLEMS);
    finish(&in);
    free(memory);
}

/* Two short tensors within a long one: each is named, though only one is its neighbour. */
static void test_overlaps(void) {
    gguf_tensor_entry tensors[] = {
        {.name = "long", .type = TENSOR_F32, .n_dims = 1, .dims = {64}},
        {.name = "inside", .type = TENSOR_F32, .n_dims = 1, .dims = {4}},
        {.name = "inside too", .type = TENSOR_F32, .n_dims = 1, .dims = {4}},
        {.name = "behind", .type = TENSOR_F32, .n_dims = 1, .dims = {4}},
    };
    uint8_t memory[2048];
    arena a;
    arena_init(&a, memory, sizeof memory);
    gguf_header header;
    CHECK_INT(gguf_write_header(NULL, 0, tensors, 4, &a, &header, NULL), TARS_OK);
    uint8_t file[2048] = {0};
    memcpy(file, header.bytes, header.header_bytes);
    static const uint64_t offsets[4] = {0, 32, 96, 256}; /* the last field of each description */
    size_t at = GGUF_HEADER_MIN_BYTES;
    for (size_t i = 0; i < 4; i++) {
        at += 8 + strlen(tensors[i].name) + 4 + 8 + 4 + 8;
        memcpy(file + at - 8, &offsets[i], 8);
    }
    inspected in;
    inspect_bytes(&in, file, header.data_offset + 256 + 16);
    CHECK_INT(in.report.n_problems, 2);
    CHECK(strstr(problem_text(&in, 0, "where"), "tensor 'inside'") != NULL);
    CHECK(strstr(problem_text(&in, 1, "where"), "tensor 'inside too'") != NULL);
    CHECK(strstr(problem_text(&in, 1, "message"), "'long'") != NULL);
    finish(&in);
}

static void test_safetensors(void) {
    uint8_t file[TINY_BERT_BYTES];
    size_t size = tiny_bert_weights("F16", "bert.", file);
    inspected in;
    inspect_bytes(&in, file, size);
    CHECK_STRING(json_string_or(json_member(in.json, "format"), ""), "safetensors");
    CHECK_INT(json_member(in.json, "version")->type, JSON_NULL);
    CHECK_INT(json_member(in.json, "tensors")->count, 23);
    CHECK_INT(in.report.n_problems, 0);
    finish(&in);
    inspect_bytes(&in, file, size - 1);
    CHECK_INT(json_member(in.json, "tensors")->count, 23);
    CHECK_INT(in.report.n_problems, 1);
    CHECK_STRING(problem_text(&in, 0, "where"), "tensor 'bert.pooler.dense.bias'");
    finish(&in);
    static const char header[] =
        "\x2E\0\0\0\0\0\0\0{\"__metadata__\":{\"format\":\"pt\",\"n\":1}}         ";
    inspect_bytes(&in, header, 8 + 0x2E);
    CHECK_STRING(in.sink.text,
                 "{\"format\":\"safetensors\",\"version\":null,\"file_bytes\":54,\"metadata\":"
                 "{\"format\":\"pt\"},\"tensors\":[],\"problems\":[],\"problems_left_out\":0}");
    finish(&in);
}

static void test_no_memory(void) {
    byte_source source = byte_source_memory("GGUF", 4);
    uint8_t memory[1000];
    arena a;
    arena_init(&a, memory, sizeof memory);
    inspect_report report;
    tars_error err;
    CHECK_INT(inspect_source(&source, &a, &report, &err), TARS_OUT_OF_MEMORY);
    CHECK(err.message[0] != '\0');
}

static const check_test tests[] = {
    {"sound file", test_sound_file},       {"damaged files", test_damaged_files},
    {"manifest", test_manifest},           {"summaries", test_summaries},
    {"many problems", test_many_problems}, {"overlaps", test_overlaps},
    {"safetensors", test_safetensors},     {"no memory", test_no_memory},
};

CHECK_MAIN(tests)
