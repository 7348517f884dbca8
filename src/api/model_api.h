/* An opened model, as the API hands it out. Ownership: tars_model_open to tars_model_close; read
 * only in between but for the images, which have a lock: any number of threads may share it. */
#ifndef API_MODEL_API_H
#define API_MODEL_API_H

#include "engine/model.h"
#include "engine/tokenizer/tokenizer.h"
#include "platform/platform.h"
#include "runtime/runtime.h"

#include <tars/model.h>

enum { MODEL_PATH_BYTES = 4096 };

/* What a runtime made of the model for its next requests. */
typedef struct model_images {
    platform_mutex lock; /* of the next one */
    const runtime_row *row;
    runtime_image *image; /* NULL: none yet */
} model_images;

struct tars_model {
    tars_model_entry entry;
    platform_mapping mapping;
    pack_view pack;
    model engine;
    tokenizer tokenizer;
    void *layers; /* memory of engine.layers */
    model_images *images;
};

/* CORRUPT when the packed file was cut or lost pages since it was opened; asked after every pass
 * that read it. */
tars_status model_api_check(const tars_model *m, tars_error *err);

#endif
