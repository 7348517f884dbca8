#include "engine/source.h"

#include <string.h>

static tars_status read_memory(void *context, uint64_t offset, void *buffer, size_t length,
                               tars_error *err) {
    (void)err;
    memcpy(buffer, (const uint8_t *)context + offset, length);
    return TARS_OK;
}

byte_source byte_source_memory(const void *bytes, size_t size_bytes) {
    /* read_memory never writes through the pointer; the interface is shared with files */
    return (byte_source){
        .context = (void *)(uintptr_t)bytes, .size_bytes = size_bytes, .read_at = read_memory};
}

tars_status byte_source_read(const byte_source *source, uint64_t offset, void *buffer,
                             size_t length, tars_error *err) {
    if (offset > source->size_bytes || length > source->size_bytes - offset) {
        error_set(err, TARS_CORRUPT, "wanted %zu bytes at offset %llu, the source has %llu", length,
                  (unsigned long long)offset, (unsigned long long)source->size_bytes);
        return TARS_CORRUPT;
    }
    return length == 0 ? TARS_OK : source->read_at(source->context, offset, buffer, length, err);
}
