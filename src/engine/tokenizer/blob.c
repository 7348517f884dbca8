/* Opening a blob and looking things up in it. What the header says was checked once; what lies
 * beyond it is checked at each use, so that opening touches one page. */
#include "engine/tokenizer/blob.h"

#include <assert.h>
#include <string.h>

static tars_status corrupt(tars_error *err, const char *what) {
    error_set(err, TARS_CORRUPT, "the packed tokenizer is damaged: %s", what);
    return error_hint(err, "import the model again");
}

static bool is_power_of_two(uint32_t n) {
    return n != 0 && (n & (n - 1)) == 0;
}

static tars_status check_sections(const tokenizer_header *h, tars_error *err) {
    uint64_t n_tokens = h->n_tokens;
    const uint64_t expected_bytes[TOKENIZER_SECTIONS] = {
        [SECTION_OFFSETS] = (n_tokens + 1) * sizeof(uint32_t),
        [SECTION_TEXTS] = h->sections[SECTION_TEXTS].size_bytes,
        [SECTION_ATTRIBUTES] = n_tokens,
        [SECTION_PRIORITIES] = h->model == TOKENIZER_SPM ? n_tokens * sizeof(uint32_t) : 0,
        [SECTION_SPECIALS] = (uint64_t)h->n_specials * sizeof(uint32_t),
        [SECTION_BYTES] = TOKENIZER_BYTE_VALUES * sizeof(uint32_t),
        [SECTION_TEXT_SLOTS] = (uint64_t)h->n_text_slots * sizeof(tokenizer_text_slot),
        [SECTION_PAIR_SLOTS] = (uint64_t)h->n_pair_slots * sizeof(tokenizer_pair_slot),
    };
    uint64_t end = sizeof *h;
    for (unsigned i = 0; i < TOKENIZER_SECTIONS; i++) {
        const tokenizer_place *place = &h->sections[i];
        if (place->offset % TOKENIZER_ALIGNMENT != 0 || place->offset < end ||
            place->offset > h->size_bytes || place->size_bytes > h->size_bytes - place->offset ||
            place->size_bytes != expected_bytes[i]) {
            return corrupt(err, "a table lies outside of it");
        }
        end = place->offset + place->size_bytes;
    }
    return TARS_OK;
}

static tars_status check_header(const tokenizer_header *h, size_t size_bytes, tars_error *err) {
    if (memcmp(h->magic, TOKENIZER_MAGIC, sizeof h->magic) != 0) {
        return corrupt(err, "it does not begin with its mark");
    }
    if (h->version != TOKENIZER_BLOB_VERSION) {
        error_set(err, TARS_CORRUPT, "the packed tokenizer has version %u, expected %d", h->version,
                  TOKENIZER_BLOB_VERSION);
        return error_hint(err, "import the model again with this version");
    }
    if (h->size_bytes != size_bytes) {
        return corrupt(err, "its size is not the one it names");
    }
    if (h->model < TOKENIZER_BPE || h->model > TOKENIZER_WPM || h->n_tokens == 0 ||
        h->n_tokens > TOKENIZER_MAX_TOKENS || !is_power_of_two(h->n_text_slots) ||
        (h->model == TOKENIZER_BPE ? !is_power_of_two(h->n_pair_slots) : h->n_pair_slots != 0) ||
        h->n_specials > h->n_tokens) {
        return corrupt(err, "its counts cannot be");
    }
    return check_sections(h, err);
}

tars_status tokenizer_open(const void *blob, size_t size_bytes, tokenizer *out, tars_error *err) {
    memset(out, 0, sizeof *out);
    if (size_bytes < sizeof(tokenizer_header)) {
        return corrupt(err, "it is cut within its header");
    }
    assert((uintptr_t)blob % TOKENIZER_ALIGNMENT == 0);
    const tokenizer_header *h = blob;
    tars_status status = check_header(h, size_bytes, err);
    if (status != TARS_OK) {
        return status;
    }
    const void *tables[TOKENIZER_SECTIONS];
    for (unsigned i = 0; i < TOKENIZER_SECTIONS; i++) {
        tables[i] = (const char *)blob + h->sections[i].offset;
    }
    out->header = h;
    out->offsets = tables[SECTION_OFFSETS];
    out->texts = tables[SECTION_TEXTS];
    out->attributes = tables[SECTION_ATTRIBUTES];
    out->priorities = h->model == TOKENIZER_SPM ? tables[SECTION_PRIORITIES] : NULL;
    out->specials = tables[SECTION_SPECIALS];
    out->bytes = tables[SECTION_BYTES];
    out->text_slots = tables[SECTION_TEXT_SLOTS];
    out->pair_slots = h->model == TOKENIZER_BPE ? tables[SECTION_PAIR_SLOTS] : NULL;
    return TARS_OK;
}

tokenizer_text tokenizer_piece(const tokenizer *t, int32_t id) {
    tokenizer_text none = {t->texts, 0};
    if (id < 0 || (uint32_t)id >= t->header->n_tokens) {
        return none;
    }
    uint32_t start = t->offsets[id], end = t->offsets[id + 1];
    if (start > end || end > t->header->sections[SECTION_TEXTS].size_bytes) {
        return none; /* damaged */
    }
    return (tokenizer_text){t->texts + start, end - start};
}

uint32_t tokenizer_find_text(const tokenizer *t, const char *bytes, size_t length) {
    if (length > t->header->max_lookup_bytes) {
        return TOKENIZER_NO_SYMBOL;
    }
    uint64_t hash = hash_text(&t->header->seed, bytes, length);
    uint32_t check = (uint32_t)(hash >> 32);
    uint32_t mask = t->header->n_text_slots - 1;
    for (uint32_t i = 0; i <= mask; i++) {
        const tokenizer_text_slot *slot = &t->text_slots[((uint32_t)hash + i) & mask];
        if (slot->id_plus_1 == 0) {
            break;
        }
        if (slot->check == check && slot->id_plus_1 <= t->header->n_tokens) {
            tokenizer_text piece = tokenizer_piece(t, (int32_t)(slot->id_plus_1 - 1));
            if (piece.length == length && memcmp(piece.bytes, bytes, length) == 0) {
                return slot->id_plus_1 - 1;
            }
        }
    }
    return TOKENIZER_NO_SYMBOL;
}

const tokenizer_pair_slot *tokenizer_find_pair(const tokenizer *t, uint32_t left, uint32_t right) {
    uint64_t hash = hash_pair(&t->header->seed, left, right);
    uint32_t mask = t->header->n_pair_slots - 1;
    for (uint32_t i = 0; i <= mask; i++) {
        const tokenizer_pair_slot *slot = &t->pair_slots[((uint32_t)hash + i) & mask];
        if (slot->left == left && slot->right == right) {
            return slot;
        }
        if (slot->left == TOKENIZER_NO_SYMBOL) {
            break;
        }
    }
    return NULL;
}

tokenizer_model tokenizer_get_model(const tokenizer *t) {
    return (tokenizer_model)t->header->model;
}

uint32_t tokenizer_n_tokens(const tokenizer *t) {
    return t->header->n_tokens;
}

tokenizer_type tokenizer_get_type(const tokenizer *t, int32_t id) {
    if (id < 0 || (uint32_t)id >= t->header->n_tokens) {
        return TOKENIZER_NO_TYPE;
    }
    return (tokenizer_type)(t->attributes[id] & ATTRIBUTE_TYPE);
}

int32_t tokenizer_bos(const tokenizer *t) {
    return tokenizer_id(t, ID_BOS);
}
int32_t tokenizer_eos(const tokenizer *t) {
    return tokenizer_id(t, ID_EOS);
}
int32_t tokenizer_eot(const tokenizer *t) {
    return tokenizer_id(t, ID_EOT);
}
int32_t tokenizer_unk(const tokenizer *t) {
    return tokenizer_id(t, ID_UNK);
}
int32_t tokenizer_pad(const tokenizer *t) {
    return tokenizer_id(t, ID_PAD);
}

bool tokenizer_is_end(const tokenizer *t, int32_t id) {
    return id >= 0 && (uint32_t)id < t->header->n_tokens && (t->attributes[id] & ATTRIBUTE_END);
}

bool tokenizer_adds_bos(const tokenizer *t) {
    return t->header->model == TOKENIZER_WPM ? tokenizer_id(t, ID_CLS) >= 0
                                             : tokenizer_has(t, HEADER_ADD_BOS);
}
