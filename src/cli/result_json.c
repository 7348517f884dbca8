#include "cli/result_json.h"

void result_json_model(json_writer *json, const tars_model_info *model) {
    json_key(json, "model");
    json_begin_object(json);
    json_member_string(json, "name", model->name);
    json_member_string(json, "sha256", model->sha256);
    json_member_string(json, "architecture", model->architecture);
    json_member_string(json, "quantization", model->quantization);
    json_end_object(json);
}

void result_json_place(json_writer *json, const tars_result *result) {
    if (result->runtime) {
        json_member_string(json, "runtime", result->runtime);
    }
    if (result->isa) {
        json_member_string(json, "isa", result->isa);
    }
    if (result->n_threads > 0) {
        json_member_uint(json, "threads", result->n_threads);
    }
}

static void uint_if_known(json_writer *json, const char *key, uint64_t value) {
    if (value > 0) {
        json_member_uint(json, key, value);
    }
}

void result_json_usage(json_writer *json, const tars_usage *usage) {
    json_key(json, "usage");
    json_begin_object(json);
    json_member_uint(json, "prompt_tokens", usage->prompt_tokens);
    json_member_uint(json, "completion_tokens", usage->completion_tokens);
    json_member_uint(json, "cached_tokens", usage->cached_tokens);
    json_member_double(json, "start_ms", usage->start_ms);
    json_member_double(json, "prompt_ms", usage->prompt_ms);
    json_member_double(json, "decode_ms", usage->decode_ms);
    json_member_double(json, "time_to_first_token_ms", usage->time_to_first_token_ms);
    json_member_double(json, "wall_ms", usage->wall_ms);
    json_member_double(json, "cpu_ms", usage->cpu_ms);
    json_member_double(json, "hash_ms", usage->hash_ms);
    uint_if_known(json, "memory_peak_bytes", usage->memory_peak_bytes);
    uint_if_known(json, "bytes_in", usage->bytes_in);
    uint_if_known(json, "bytes_out", usage->bytes_out);
    json_end_object(json);
}

void result_json_route(json_writer *json, const tars_result *result) {
    json_key(json, "violations");
    json_begin_array(json);
    json_end_array(json);
    if (result->runtime && result->route_reason) {
        json_key(json, "route");
        json_begin_object(json);
        json_member_string(json, "choice", result->runtime);
        json_member_string(json, "reason", result->route_reason);
        json_end_object(json);
    }
}

void result_json_ids(json_writer *json, const char *key, const int32_t *ids, size_t count) {
    json_key(json, key);
    json_begin_array(json);
    for (size_t i = 0; i < count; i++) {
        json_int(json, ids[i]);
    }
    json_end_array(json);
}

void result_json_answer(json_writer *json, const tars_model_info *model,
                        const tars_result *result) {
    json_begin_object(json);
    result_json_model(json, model);
    result_json_place(json, result);
    result_json_ids(json, "prompt_tokens", result->prompt_ids, result->n_prompt_ids);
    result_json_ids(json, "tokens", result->ids, result->n_ids);
    json_key(json, "text");
    json_string_n(json, result->text ? result->text : "", result->text_length);
    json_member_string(json, "finish_reason", result->finish_reason);
    json_member_uint(json, "seed", result->seed);
    json_member_uint(json, "context", result->context);
    json_member_string(json, "kv_type", result->kv_type);
    if (result->logits_hash[0] != '\0') {
        json_member_string(json, "logits_hash", result->logits_hash);
    }
    result_json_usage(json, &result->usage);
    result_json_route(json, result);
    json_end_object(json);
}

void result_json_entry(json_writer *json, const tars_model_entry *entry) {
    json_begin_object(json);
    json_member_string(json, "model", entry->name);
    json_member_string(json, "sha256", entry->sha256);
    json_member_uint(json, "packed_bytes", entry->packed_bytes);
    json_member_string(json, "packed_sha256", entry->packed_sha256);
    json_member_string(json, "architecture", entry->architecture);
    json_member_string(json, "quantization", entry->quantization);
    json_member_uint(json, "parameters", entry->parameters);
    json_member_uint(json, "context_length", entry->context_length);
    json_member_int(json, "imported_unix_s", entry->imported_unix_s);
    if (entry->sandbox[0]) {
        json_member_string(json, "sandbox", entry->sandbox);
    }
    json_end_object(json);
}
