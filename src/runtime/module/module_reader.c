#include "runtime/module/module_reader.h"

#include "base/utf8.h"

void reader_fail(module_reader *r, tars_status status, size_t offset, const char *format, ...) {
    if (r->status != TARS_OK) {
        return;
    }
    r->status = status;
    char message[sizeof r->err->message];
    text_buffer text;
    text_init(&text, message, sizeof message);
    va_list arguments;
    va_start(arguments, format);
    text_format_list(&text, format, arguments);
    va_end(arguments);
    error_set(r->err, status, "%s", message);
    error_where(r->err, "byte %zu, %s", offset, r->part);
}

/* The part is too short for what begins at `offset`. */
static void fail_short(module_reader *r, size_t offset, const char *what) {
    reader_fail(r, TARS_MALFORMED, offset, "the %s ends at byte %zu, inside the %s", r->part,
                r->end, what);
    r->position = r->end;
}

uint8_t reader_byte(module_reader *r, const char *what) {
    if (!reader_ok(r) || reader_left(r) == 0) {
        fail_short(r, r->position, what);
        return 0;
    }
    return r->bytes[r->position++];
}

/* The number's bits, extended by its sign when is_signed. */
static uint64_t read_leb(module_reader *r, unsigned bits, bool is_signed, const char *what) {
    const size_t start = r->position;
    uint64_t value = 0;
    for (unsigned shift = 0; reader_ok(r); shift += 7) {
        if (reader_left(r) == 0) {
            fail_short(r, start, what);
            break;
        }
        uint8_t byte = r->bytes[r->position++];
        unsigned left = bits - shift; /* bits that this byte may still bring */
        if (left < 7) {
            unsigned unused = (byte & 0x7Fu) >> (is_signed ? left - 1 : left);
            unsigned all = 0x7Fu >> (is_signed ? left - 1 : left);
            if (byte & 0x80u) {
                reader_fail(r, TARS_MALFORMED, start,
                            "the %s takes more than %u bytes, expected a number of %u bits", what,
                            (bits + 6) / 7, bits);
                break;
            }
            if (unused != 0 && !(is_signed && unused == all)) {
                reader_fail(r, TARS_MALFORMED, start, "the %s does not fit a number of %u bits",
                            what, bits);
                break;
            }
        }
        value |= (uint64_t)(byte & 0x7Fu) << shift;
        if (!(byte & 0x80u)) {
            bool negative = is_signed && (byte & 0x40u) && shift + 7 < 64;
            return negative ? value | UINT64_MAX << (shift + 7) : value;
        }
    }
    return 0;
}

uint32_t reader_u32(module_reader *r, const char *what) {
    return (uint32_t)read_leb(r, 32, false, what);
}
uint64_t reader_u64(module_reader *r, const char *what) {
    return read_leb(r, 64, false, what);
}
int32_t reader_s32(module_reader *r, const char *what) {
    return (int32_t)(int64_t)read_leb(r, 32, true, what);
}
int64_t reader_s33(module_reader *r, const char *what) {
    return (int64_t)read_leb(r, 33, true, what);
}
int64_t reader_s64(module_reader *r, const char *what) {
    return (int64_t)read_leb(r, 64, true, what);
}

void reader_skip(module_reader *r, size_t length, const char *what) {
    if (!reader_ok(r) || length > reader_left(r)) {
        fail_short(r, r->position, what);
        return;
    }
    r->position += length;
}

uint32_t reader_count(module_reader *r, size_t least_bytes, uint32_t most, const char *what) {
    size_t start = r->position;
    uint32_t count = reader_u32(r, what);
    if (reader_ok(r) && count > most) {
        reader_fail(r, TARS_LIMIT, start, "the %s is %u, at most %u are possible", what, count,
                    most);
    } else if (reader_ok(r) && count > reader_left(r) / least_bytes) {
        reader_fail(r, TARS_MALFORMED, start, "the %s is %u, but only %zu bytes follow", what,
                    count, reader_left(r));
    }
    return reader_ok(r) ? count : 0;
}

module_text reader_name(module_reader *r, const char *what) {
    size_t start = r->position;
    uint32_t length = reader_u32(r, what);
    if (reader_ok(r) && length > reader_left(r)) {
        reader_fail(r, TARS_MALFORMED, start, "the %s has %u bytes, but only %zu follow", what,
                    length, reader_left(r));
    }
    module_text name = {(const char *)r->bytes + r->position, reader_ok(r) ? length : 0};
    size_t bad = 0;
    if (!utf8_valid(name.bytes, name.length, &bad)) {
        reader_fail(r, TARS_MALFORMED, r->position + bad,
                    "the %s is not UTF-8: found the byte 0x%02x", what,
                    (unsigned)(uint8_t)name.bytes[bad]);
        name.length = 0;
    }
    r->position += name.length;
    return name;
}

uint32_t reader_index(module_reader *r, uint32_t count, const char *what) {
    size_t start = r->position;
    uint32_t index = reader_u32(r, what);
    if (reader_ok(r) && index >= count) {
        reader_fail(r, TARS_MALFORMED, start, "found %s %u, but there are only %u", what, index,
                    count);
    }
    return reader_ok(r) ? index : 0;
}
