/* Frames of the import child: whatever it says, the parent reads a frame or refuses the line, and
 * what it reads it could have written. */
#include "store/frame.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    import_frame frame;
    import_frame again;
    char line[FRAME_LINE_BYTES];
    tars_error err;
    if (frame_parse((const char *)data, size, &frame, &err) != TARS_OK) {
        return 0;
    }
    size_t length = frame_format(&frame, line);
    if (length > FRAME_LINE_BYTES || line[length - 1] != '\n' ||
        frame_parse(line, length - 1, &again, &err) != TARS_OK || again.kind != frame.kind ||
        again.done != frame.done || again.total != frame.total || again.bytes != frame.bytes ||
        strcmp(again.error.message, frame.error.message) != 0) {
        abort();
    }
    return 0;
}
