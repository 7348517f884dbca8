/* Presents a BERT encoder in Hugging Face's files (model.safetensors, config.json and a
 * vocabulary) as one GGUF file, so that import needs to know GGUF alone. The header is made up in
 * memory, tensor data is read through from the safetensors file and never copied.
 *
 * What the model's files say and GGUF has no key for is refused: another activation than GELU (by
 * erf), relative positions, a pooling other than mean, first or last token, dense layers after it.
 * The position table is cut to the sentence length the model was trained for
 * (sentence_bert_config.json), which becomes bert.context_length.
 *
 * Memory: about 64 times the JSON files' sizes from the arena. Ownership: the sources belong to
 * the caller and must outlive the result; everything else lives in the arena. */
#ifndef ENGINE_SAFETENSORS_TO_GGUF_H
#define ENGINE_SAFETENSORS_TO_GGUF_H

#include "base/arena.h"
#include "base/error.h"
#include "engine/source.h"

/* The model's files. NULL where there is none. */
typedef struct safetensors_sources {
    const byte_source *weights;          /* model.safetensors, required */
    const byte_source *config;           /* config.json, required */
    const byte_source *tokenizer;        /* tokenizer.json, preferred */
    const byte_source *vocabulary;       /* vocab.txt, when there is no tokenizer.json */
    const byte_source *tokenizer_config; /* tokenizer_config.json */
    const byte_source *pooling;          /* 1_Pooling/config.json */
    const byte_source *sentence;         /* sentence_bert_config.json */
    const byte_source *modules;          /* modules.json */
} safetensors_sources;

/* Fills *out with a source that reads as a GGUF file of version 3. Errors name the file and what
 * in it: USAGE (a required file is missing), MALFORMED, UNSUPPORTED, LIMIT, OUT_OF_MEMORY, or what
 * a source says. */
tars_status safetensors_to_gguf(const safetensors_sources *sources, arena *memory, byte_source *out,
                                tars_error *err);

#endif
