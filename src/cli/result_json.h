/* The JSON of results, as interface.md names it. What is unknown is left out, never invented. */
#ifndef CLI_RESULT_JSON_H
#define CLI_RESULT_JSON_H

#include "base/json.h"

#include <tars/tars.h>

/* "model":{"name","sha256","architecture","quantization"} */
void result_json_model(json_writer *json, const tars_model_info *model);
/* "runtime","isa","threads" */
void result_json_place(json_writer *json, const tars_result *result);
/* "usage":{…} */
void result_json_usage(json_writer *json, const tars_usage *usage);
/* "violations":[],"route":{"choice","reason"} */
void result_json_route(json_writer *json, const tars_result *result);
void result_json_ids(json_writer *json, const char *key, const int32_t *ids, size_t count);
/* The document of `run`. */
void result_json_answer(json_writer *json, const tars_model_info *model, const tars_result *result);
/* One entry of the store: what `pull`, `import` and `list` print. */
void result_json_entry(json_writer *json, const tars_model_entry *entry);

#endif
