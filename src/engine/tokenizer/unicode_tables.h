/* The generated tables behind unicode.h. Private to unicode.c. */
#ifndef ENGINE_TOKENIZER_UNICODE_TABLES_H
#define ENGINE_TOKENIZER_UNICODE_TABLES_H

#include <stdint.h>

enum {
    UNICODE_PAGE_SIZE = 256,
    UNICODE_PAGES = 0x110000 / UNICODE_PAGE_SIZE,
    UNICODE_DECOMPOSITIONS = 2061
};

typedef struct unicode_record {
    uint8_t category;        /* unicode_category */
    uint8_t flags;           /* unicode_flags */
    uint8_t combining_class; /* canonical */
    int32_t lower_delta;     /* add for the lower-case letter */
} unicode_record;

/* The canonical decomposition (NFD), complete, of a character other than a Hangul syllable. */
typedef struct unicode_decomposition {
    uint32_t code_point;
    uint16_t start; /* in unicode_decomposed */
    uint16_t count; /* 1 … 4 */
} unicode_decomposition;

extern const unicode_record unicode_records[];
extern const uint8_t unicode_page_numbers[UNICODE_PAGES];
extern const uint8_t unicode_pages[][UNICODE_PAGE_SIZE]; /* index of a record */
extern const unicode_decomposition unicode_decompositions[UNICODE_DECOMPOSITIONS]; /* ascending */
extern const uint32_t unicode_decomposed[];

#endif
