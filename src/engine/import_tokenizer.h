/* From a GGUF file's tokenizer keys to the packed tokenizer tables. Ownership: the blob lives in
 * the caller's arena. */
#ifndef ENGINE_IMPORT_TOKENIZER_H
#define ENGINE_IMPORT_TOKENIZER_H

#include "engine/gguf.h"

tars_status import_tokenizer(const gguf_file *file, arena *memory, const void **blob,
                             size_t *size_bytes, tars_error *err);

#endif
